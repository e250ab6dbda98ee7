"""The pages as octets of HTML: a guest's, the organizer's, and pages that say one thing only.

In:  what to show, in which language. Out: UTF-8. Pure: no store, no clock, no network.
Fails: never for any text of a meeting: all of it is escaped by the templates, which are strict about names they do not
know, and what UTF-8 cannot say becomes "?".
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import segno
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from notes2conf_milter.core.meeting import NOWHERE, Admission, Occurrence
from notes2conf_milter.core.times import after_end, clock_time, when
from notes2conf_milter.core.waitingroom import State, View
from notes2conf_milter.services import bigbluebutton
from notes2conf_milter.services.service import Service
from notes2conf_milter.web.forms import Form
from notes2conf_milter.web.lobby import Guest, fairly
from notes2conf_milter.web.policy import Policy, policy_texts
from notes2conf_milter.web.texts import LANGUAGES, TEXTS, Notice, notice_texts
from notes2conf_milter.web.visits import EXTENSIONS, Shown

LONG_SUBJECT = 60  # characters; longer ones are set smaller
LISTED_GUESTS = 200
# Signs that turn the direction of a text (UAX #9): a name could be made to look like another one, and reach beyond its place.
_TURNING = dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
_ONWARD = 2  # seconds until a page without a script leads on
_JOIN_REFRESH, _WAIT_REFRESH, _HOST_REFRESH = 60, 20, 30  # seconds; with a script only the first counts


@dataclass(frozen=True, slots=True)
class Assets:
    """The paths of the static files, as a page names them (with a hash of their content)."""

    style: str
    icon: str
    script: str
    logo: str


class Pages:
    """Renders every page. Notices are rendered once, here: so a page that reports a failure cannot fail."""

    def __init__(self, assets: Assets, base_url: str, policy: Policy) -> None:
        """base_url: what links begin with. policy: what the administrator set, for the privacy notice and the frame."""
        self._templates = Environment(
            loader=PackageLoader("notes2conf_milter.web"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._base_url = base_url
        prefix = "/" + base_url.partition("://")[2].partition("/")[2]
        self._templates.globals |= {
            "assets": assets,
            "house": policy.house,
            "imprint": policy.imprint_url,
            "privacy": prefix.rstrip("/") + "/privacy",
            "hands_on_names": policy.hands_on_names,
            "deleted": {language: after_end(policy.grace, language) for language in LANGUAGES},
            "scripted": False,
            "refresh": 0,
            "onward": "",
        }
        self._notices = {
            (notice, language): self._say(*notice_texts(notice, language), language)
            for notice in Notice
            for language in LANGUAGES
        }
        self._ended = {one: self._say(TEXTS[one].ended, TEXTS[one].ended_hint, one) for one in LANGUAGES}
        self._over = {one: self._say(TEXTS[one].over, TEXTS[one].over_hint, one) for one in LANGUAGES}
        self._privacy = {
            one: self._render("privacy.html", one, sections=policy_texts(policy, one)) for one in LANGUAGES
        }

    def join(self, shown: Shown, form: Form, admission: Admission, language: str) -> bytes:
        """Return the page behind a join link, with a button to wait. form: its hidden fields."""
        texts, state = TEXTS[language], shown.view.state
        headline = getattr(texts, f"guest_{state.value}")
        hint = getattr(texts, f"guest_{state.value}_hint")
        button = texts.wait
        if state is State.OPEN:
            ask = admission is Admission.ASK
            button, hint = (texts.knock, texts.guest_ask_hint) if ask else (texts.join, texts.guest_open_hint)
        more = {"headline": headline, "hint": hint, "button": button, "form": form, "tone": _tone(state)}
        return self._meeting("join.html", shown, language, refresh=_JOIN_REFRESH, **more)

    def status(self, shown: View | None, guest: Guest, url: str, language: str) -> str:
        """Return the part of a guest's page that changes. url: the way in for who may go in, else ""."""
        texts = TEXTS[language]
        if shown is None:
            said, tone = (texts.over, texts.over_hint), "closed"
        elif url:
            said, tone = (texts.go, texts.go_hint), "open"
        elif guest.turned_away == shown.occurrence.start:
            said, tone = (texts.away, texts.away_hint), "closed"
        else:
            said, tone = (
                {
                    State.EARLY: (texts.waiting, texts.waiting_early_hint),
                    State.CLOSED: (texts.waiting, texts.waiting_hint),
                    State.PAUSED: (texts.waiting, texts.waiting_paused_hint),
                    State.OPEN: (texts.asked, texts.asked_hint),
                }[shown.state],
                "wait",
            )
        return self._part("status.html", language, headline=said[0], hint=said[1], url=url, tone=tone)

    def wait(self, shown: Shown, form: Form, guest: Guest, status: str, url: str, language: str) -> bytes:
        """Return the page of a guest. status: its changing part; url: the way in, else ""."""
        more = {
            "status": Markup(status),
            "form": form,
            "events": "" if url else f"{guest.id}/events",
            "waits": not url and guest.turned_away != shown.view.occurrence.start,
            "onward": url,
        }
        return self._meeting("wait.html", shown, language, refresh=_ONWARD if url else _WAIT_REFRESH, **more)

    def start(
        self,
        shown: Shown,
        form: Form,
        services: Sequence[Service],
        waiting: str,
        admission: Admission,
        service: str,
        language: str,
        problem: str = "",
        chosen: str = "",
        ending: bool = False,
    ) -> bytes:
        """Return the page behind a start link.

        waiting: the list of guests; service: title of the one that is open; problem: what is wrong with the one `chosen`;
        ending: the planned end is near.
        """
        texts, state = TEXTS[language], shown.view.state
        on = state in (State.OPEN, State.PAUSED)
        headline, hint = getattr(texts, f"host_{state.value}"), getattr(texts, f"host_{state.value}_hint")
        if state is State.OPEN and admission is Admission.ASK:
            hint = texts.host_ask_hint
        ended_there = bool(shown.view.room.service) and not on
        if ended_there:
            headline, hint = texts.host_ended, texts.host_ended_hint
        offered = [{"name": one.name, "title": one.title(language), "asks_link": one.asks_link} for one in services]
        more = {
            "headline": headline,
            "ended_there": ended_there,
            "ending": ending,
            "last": shown.last,
            "hint": hint.format(service),
            "problem": problem,
            "wanted": chosen or ("" if on else shown.view.room.service),
            "form": form,
            "services": offered,
            "service": shown.view.room.service,
            "ends": _ends(shown),
            "admission": admission.value,
            "waiting": Markup(waiting),
            "extensions": EXTENSIONS,
            "until": clock_time(_until(shown.view), language) if shown.view.dated else "",
            "tone": _tone(state),
        }
        return self._meeting("start.html", shown, language, refresh=_HOST_REFRESH if on else 0, **more)

    def waiting(self, shown: View, guests: Sequence[Guest], form: Form, admission: Admission, language: str) -> str:
        """Return the list of those who wait, with buttons where they are let in one by one.

        Of more than LISTED_GUESTS some are listed, and it says how many there are.
        """
        nobodys = shown.occurrence.zone == NOWHERE  # a time of day would be UTC's, without saying so
        listed = [
            {
                "id": one.id,
                "name": one.label or one.name,
                "own": bool(one.label),
                "since": "" if nobodys else clock_time(_at(shown.occurrence, one.since), language),
            }
            for one in fairly(guests, LISTED_GUESTS)
        ]
        admits = shown.state is State.OPEN and admission is Admission.ASK
        values = {"guests": listed, "count": len(guests), "admits": admits, "form": form, "action": ""}
        return self._part("waiting.html", language, **values)

    def handing_over(self, shown: Shown, url: str, language: str) -> bytes:
        """Return the page that leads the organizer to the conference."""
        texts = TEXTS[language]
        status = self._part("status.html", language, headline=texts.go, hint=texts.go_hint, url=url, tone="open")
        values = {"status": Markup(status), "form": Form(), "events": "", "waits": False, "onward": url}
        return self._meeting("wait.html", shown, language, refresh=_ONWARD, **values)

    def confirm(self, shown: Shown, form: Form, language: str) -> bytes:
        """Return the page that asks whether to end a meeting for good."""
        return self._meeting("confirm.html", shown, language, form=form, ends=_ends(shown))

    def ended(self, language: str) -> bytes:
        """Return the page that says that the meeting is deleted."""
        return self._ended[language]

    def privacy(self, language: str) -> bytes:
        """Return the privacy notice."""
        return self._privacy[language]

    def over(self, language: str) -> bytes:
        """Return the page of a guest whose meeting is over, or whose link is dead."""
        return self._over[language]

    def notice(self, notice: Notice, language: str) -> bytes:
        """Return a page that says one thing only."""
        return self._notices[notice, language]

    def _say(self, headline: str, sentence: str, language: str) -> bytes:
        return self._render("notice.html", language, headline=headline, sentence=sentence)

    def _meeting(self, template: str, shown: Shown, language: str, **values: object) -> bytes:
        facts = {
            "code": f"{shown.token}/code.svg",
            "label": shown.meeting.label.translate(_TURNING),
            "events": f"{shown.token}/events",
        }
        facts["ics"] = f"{shown.token}/meeting.ics" if shown.view.dated else ""
        known = {**facts, **_facts(shown, language), "scripted": True, **values}
        return self._render(template, language, **known)

    def _render(self, template: str, language: str, **values: object) -> bytes:
        return self._part(template, language, **values).encode("utf-8", "replace")

    def _part(self, template: str, language: str, **values: object) -> str:
        return self._templates.get_template(template).render(language=language, texts=TEXTS[language], **values)


def _ends(shown: Shown) -> bool:
    """Say whether the conference ends, for all who are in it, when it is left here."""
    return shown.view.room.service == bigbluebutton.NAME


def _tone(state: State) -> str:
    return state.value


def _facts(shown: Shown, language: str) -> Mapping[str, object]:
    page, view = shown.meeting.page, shown.view
    subject = page.subject.translate(_TURNING).strip() or TEXTS[language].no_subject
    said = when(view.occurrence, language) if view.dated else None
    local = None
    if said is not None and not view.occurrence.all_day and said.zone:
        start = datetime.fromisoformat(said.machine)
        offset = start.utcoffset()
        seconds = 0 if offset is None else int(offset.total_seconds())
        local = {"start": view.occurrence.start, "end": view.occurrence.end, "offset": seconds}
    return {
        "subject": subject,
        "long_subject": len(subject) > LONG_SUBJECT,
        "organizer": page.organizer.name.translate(_TURNING).strip() or page.organizer.address,
        "when": said,
        "local": local,
        "all_day": view.occurrence.all_day,
        "recurring": page.recurring,
        "state": view.state.value,
    }


def _until(shown: View) -> Occurrence:
    return _at(shown.occurrence, shown.over)


def _at(occurrence: Occurrence, moment: int) -> Occurrence:
    """Return a moment as an occurrence in the meeting's zone."""
    return Occurrence(moment, moment, occurrence.zone, occurrence.offset)


def code(url: str) -> bytes:
    """Return a QR code as SVG; its colours are its own, for a camera must read it on a dark page, too.

    It takes ten times as long as a page: so it is a picture of its own, which a browser asks for when somebody unfolds it.
    """
    out = io.BytesIO()
    made = segno.make(url, error="l", micro=False)
    made.save(out, kind="svg", xmldecl=False, svgns=True, border=3, dark="#000", light="#fff", omitsize=True)
    return out.getvalue()
