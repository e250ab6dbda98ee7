"""The pages as HTML: what stands there, escaped, in both languages and every state."""

import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import pytest

from notes2conf_milter.core.meeting import NOWHERE, Admission, LinkKind, Occurrence, Page, Person, Room, RoomState
from notes2conf_milter.core.waitingroom import view
from notes2conf_milter.services.service import Service
from notes2conf_milter.store.links import OpenedMeeting
from notes2conf_milter.web.forms import blank_form
from notes2conf_milter.web.lobby import Guest
from notes2conf_milter.web.pages import LISTED_GUESTS, Assets, Pages
from notes2conf_milter.web.policy import Policy
from notes2conf_milter.web.texts import TEXTS, Notice
from notes2conf_milter.web.visits import Shown
from tests.web.house import HOUR, JITSI, LINK, MONDAY, page

ASSETS = Assets("/static/style.x.css", "/static/icon.x.svg", "/static/room.x.js", "/static/logo.x.png")
BASE = "https://conf.example.org"
PAGES = Pages(ASSETS, BASE, Policy("Example Ltd.", "privacy@example.org", "https://www.example.org/imprint"))
TOKEN, GUEST = "a" * 32, "g" * 32
URL = "https://meet.example.org/" + "q" * 32
STATES = {"early": None, "closed": None, "open": RoomState.OPEN, "paused": RoomState.PAUSED}


def shown(
    meeting: Page, now: int = MONDAY, state: str = "closed", kind: LinkKind = LinkKind.JOIN, label: str = ""
) -> Shown:
    known = STATES[state]
    room = None if known is None else Room(meeting.times[0].start, known, "jitsi", URL, "q" * 32)
    now = MONDAY - 9 * HOUR if state == "early" else now
    found = view(meeting, room, now)
    assert found is not None
    return Shown(TOKEN, OpenedMeeting(7, kind, meeting, room, 1, 2, 2, label), found, last=True)


FORM = blank_form(TOKEN, MONDAY)


def guest(**given: object) -> Guest:
    return Guest(
        **{"id": GUEST, "token": TOKEN, "language": "en", "name": "", "label": "", "since": MONDAY, "seen": 0, **given}
    )  # type: ignore[arg-type]


def join(
    meeting: Page, state: str = "closed", language: str = "en", ask: bool = False, now: int = MONDAY, label: str = ""
) -> str:
    admission = Admission.ASK if ask else Admission.OPEN
    return PAGES.join(shown(meeting, now, state, label=label), FORM, admission, language).decode()


def waits(state: str = "closed", url: str = "", language: str = "en", **given: object) -> str:
    found = shown(page(), state=state)
    one = guest(**given)
    return PAGES.wait(found, FORM, one, PAGES.status(found.view, one, url, language), url, language).decode()


def start(
    meeting: Page,
    state: str = "closed",
    language: str = "en",
    ask: bool = False,
    guests: tuple[Guest, ...] = (),
    problem: str = "",
    chosen: str = "",
    services: tuple[Service, ...] = (JITSI, LINK),
) -> str:
    found = shown(meeting, state=state, kind=LinkKind.START)
    admission = Admission.ASK if ask else Admission.OPEN
    waiting = PAGES.waiting(found.view, guests, FORM, admission, language)
    return PAGES.start(found, FORM, services, waiting, admission, "Jitsi Meet", language, problem, chosen).decode()


class Outline(HTMLParser):
    """Checks that elements nest and close, and keeps their names and attributes."""

    VOID = ("meta", "link", "img", "input", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def names(self) -> list[str]:
        return [tag for tag, _ in self.elements]


def every_page(language: str) -> list[str]:
    texts = [join(page(), state, language, ask) for state in STATES for ask in (False, True)]
    texts += [waits(state, language=language) for state in STATES]
    texts += [waits("open", URL, language), waits("open", language=language, turned_away=MONDAY)]
    some = (guest(name="Bert"), guest(id="h" * 32, label="Clara"))
    texts += [
        start(page(), state, language, ask, guests)
        for state in STATES
        for ask in (False, True)
        for guests in ((), some)
    ]
    texts.append(start(page(), language=language, problem="No", services=(JITSI,)))
    found = shown(page(), state="open", kind=LinkKind.START)
    octets = [
        PAGES.confirm(found, FORM, language),
        PAGES.ended(language),
        PAGES.privacy(language),
        PAGES.over(language),
    ]
    octets += [PAGES.handing_over(found, URL, language), *(PAGES.notice(notice, language) for notice in Notice)]
    return texts + [one.decode() for one in octets]


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_page_is_sound_html(language: str) -> None:
    for text in every_page(language):
        outline = Outline(text)
        names = outline.names()
        assert names.count("h1") == names.count("main") == names.count("title") == 1
        assert dict(outline.elements)["html"]["lang"] == language
        assert not {"style", "iframe", "object"} & set(names)
        assert text.count("<script") <= 1 and text.count("</script>") == text.count('.js" defer></script>')
        assert "Example Ltd." in text and 'href="/privacy"' in text and "https://www.example.org/imprint" in text
        identifiers = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
        assert len(identifiers) == len(set(identifiers))
        for tag, attributes in outline.elements:
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            if tag == "label" and "for" in attributes:
                assert attributes["for"] in identifiers


def test_the_guests_page_before() -> None:
    text = join(page())
    for fact in ("Quarterly planning", "4 May 2026", "10:00 – 11:00", "Central European Summer Time", "Anna Müller"):
        assert fact in text
    assert TEXTS["en"].guest_closed in text
    assert '<noscript><meta http-equiv="refresh" content="60"></noscript>' in text
    assert "anna@example.org" not in text, "the name stands for the address"
    assert FORM.proof in text and "Wait here" in text


def test_no_page_of_a_link_names_the_conference() -> None:
    """Law 7: a crawler that follows everything is led nowhere; a button is pressed first."""
    for state in STATES:
        for text in (join(page(), state), start(page(), state)):
            assert URL not in text and "q" * 32 not in text


@pytest.mark.parametrize(
    ("state", "ask", "button"),
    [
        ("closed", False, "Wait here"),
        ("open", False, "Join the conference"),
        ("open", True, "Ask to be let in"),
        ("paused", True, "Wait here"),
    ],
)
def test_what_the_guests_button_says(state: str, ask: bool, button: str) -> None:
    assert f'value="wait">{button}</button>' in join(page(), state, ask=ask)


def test_whose_own_link_it_is() -> None:
    """Then nobody types a name."""
    text = join(page(), label="Bert Brandt")
    assert "Bert Brandt" in text and 'name="name"' not in text


def test_where_a_name_goes() -> None:
    """What stands beside the field is true also in a house that hands names on."""
    pages = Pages(ASSETS, BASE, Policy(hands_on_names=True))
    for language, kept, service in (
        ("en", "Only the organizer", "conference service"),
        ("de", "Nur die einladende", "Konferenzdienst"),
    ):
        handing = pages.join(shown(page()), FORM, Admission.OPEN, language).decode()
        assert kept in join(page(), language=language) and kept not in handing
        assert service in handing and service not in join(page(), language=language)


def test_a_guest_who_waits() -> None:
    text = waits()
    assert "You are waiting" in text and f'data-events="{GUEST}/events"' in text and "Stop waiting" in text
    assert '<noscript><meta http-equiv="refresh" content="20"></noscript>' in text
    asked, away = waits("open"), waits("open", turned_away=MONDAY)
    assert "as soon as you are let in" in asked and "Not let in" in away
    assert "Stop waiting" in asked and "Stop waiting" not in away, "who was turned away has nothing to stop"
    for one in (text, asked, away):
        assert 'class="button"' not in one and "data-go" not in one


def test_a_guest_who_goes_in() -> None:
    text = waits("open", URL)
    assert f'<a class="button" href="{URL}" rel="noreferrer noopener">Join the conference</a>' in text
    assert f'data-go="{URL}"' in text
    assert f'content="2; url={URL}"' in text
    assert "data-events" not in text and "Stop waiting" not in text


def test_a_way_in_is_escaped() -> None:
    assert 'href="https://x.example.org/?a=1&amp;b=%22&#34;"' in waits("open", 'https://x.example.org/?a=1&b=%22"')


@pytest.mark.parametrize("state", ["closed", "open"])
def test_where_something_is_wrong(state: str) -> None:
    """The field is there to be seen, what was chosen is chosen, and the field knows what is said about it."""
    text = start(page(), state, problem="Not this one.", chosen="link")
    assert '<p class="problem" id="problem" role="alert">Not this one.</p>' in text
    assert 'value="link" checked>' in text and 'value="jitsi" checked>' not in text
    assert re.search(
        r'<input id="(other-)?link-link" .* aria-describedby="problem \1?hint-link" aria-invalid="true">', text
    )
    assert ('<details class="aside" open>' in text) == (state == "open")
    assert '<details class="aside">' in start(page(), "open")


def test_a_service_that_failed_says_nothing_about_a_link() -> None:
    text = start(page(), problem="It did not open.", chosen="jitsi")
    assert "aria-invalid" not in text and 'aria-describedby="hint-link"' in text


def test_the_start_page() -> None:
    text = start(page())
    assert FORM.proof in text and 'value="open">Start the conference</button>' in text
    assert "Nobody is waiting." in text and f'data-events="{TOKEN}/events"' in text
    assert "http-equiv" not in text, "a page that reloads forgets what was typed"
    assert 'name="link"' in text and 'name="link"' not in start(page(), services=(JITSI,))


def test_the_start_page_when_open() -> None:
    text = start(page(), "open")
    for button in ("enter", "pause", "end", "admission", "change"):
        assert f'value="{button}"' in text
    assert "Service: Jitsi Meet." in text and "Planned until 11:00." in text
    assert 'value="resume"' in start(page(), "paused")


def test_who_waits_and_who_is_let_in() -> None:
    """Names for the organizer; buttons where guests are let in one by one."""
    some = (guest(name="<Bert>"), guest(id="h" * 32), guest(id="i" * 32, label="Clara"))
    text = start(page(), "open", ask=True, guests=some)
    assert (
        "&lt;Bert&gt;" in text
        and "Guest without a name" in text
        and "with a personal link" in text
        and "since 10:00" in text
    )
    assert text.count('name="admit"') == 4 and text.count('name="away"') == 3
    assert 'name="admit"' not in start(page(), "open", guests=some) + start(page(), "closed", ask=True, guests=some)
    many = tuple(guest(id=f"{number:032}") for number in range(LISTED_GUESTS + 5))
    text = start(page(), "open", guests=many)
    assert "and 5 more" in text and f"{LISTED_GUESTS + 5} guests are waiting." in text
    assert f">{LISTED_GUESTS} guests are waiting." in start(page(), "open", guests=many[5:])
    assert ">1 guest is waiting." in start(page(), "open", guests=many[:1])


def test_the_list_of_five_thousand_is_a_page_like_any_other() -> None:
    """Bounded, with a count, and a button for all."""
    many = tuple(guest(id=f"{number:032}", name="M" * 60, network="a") for number in range(5000))
    other = guest(id="o" * 32, name="Olga", network="b")
    text = start(page(), "open", ask=True, guests=(*many, other))
    assert text.count('<span class="who">') == LISTED_GUESTS and "Olga" in text
    assert "5001 guests are waiting." in text and "and 4801 more" in text and 'value="all"' in text
    assert len(text) < 200_000


def test_since_when_in_whose_time() -> None:
    """In the meeting's zone, also when its known dates are over; not at all where that is nobody's: it would be hours off."""
    berlin = Occurrence(MONDAY, MONDAY + HOUR, "Europe/Berlin", 7200)
    series = Page("Daily", Person("anna@example.org", "Anna"), (berlin,), recurring=True)
    late = shown(series, MONDAY + 400 * 24 * HOUR)
    assert not late.view.dated
    text = PAGES.waiting(late.view, [guest(since=MONDAY)], FORM, Admission.OPEN, "en")
    assert "since 10:00" in text
    for nobodys in (page(times=(Occurrence(MONDAY, MONDAY + HOUR, NOWHERE),)), replace(series, times=())):
        text = start(nobodys, guests=(guest(name="Bert"),))
        assert "Bert" in text and "since" not in text


def test_what_is_wrong_with_a_link_is_said() -> None:
    assert '<p class="problem" id="problem" role="alert">Paste it</p>' in start(page(), problem="Paste it")


@pytest.mark.parametrize("state", ["closed", "open"])
def test_what_was_chosen_stays_chosen(state: str) -> None:
    """Also when it was to be another service in mid-meeting: it is in sight, and the field says what is wrong with it."""
    refused = Outline(start(page(), state, problem="Paste it", chosen="link")).elements
    chosen = [had["value"] for _, had in refused if had.get("name") == "service" and "checked" in had]
    field = next(had for _, had in refused if had.get("name") == "link")
    assert chosen == ["link"] and field["aria-invalid"] == "true"
    assert field["aria-describedby"].split()[0] == "problem"  # type: ignore[union-attr]
    assert [had["id"] for _, had in refused if had.get("class") == "problem"] == ["problem"]
    unfolded = [had for tag, had in refused if tag == "details" and had.get("class") == "aside"]
    assert all("open" in had for had in unfolded) and len(unfolded) == (state == "open")
    other = Outline(start(page(), state, problem="No answer", chosen="jitsi")).elements
    assert not any("aria-invalid" in had for _, had in other), "the link is not at fault"
    assert not any("open" in had for tag, had in Outline(start(page(), state)).elements if tag == "details")


def test_another_service_is_another_one() -> None:
    """The button by itself does not lead those who come next into a second room of the service that is on."""
    for services, wanted in (((JITSI, LINK), "link"), ((LINK, JITSI), "link"), ((LINK,), "link")):
        elements = Outline(start(page(), "open", services=services)).elements
        assert [had["value"] for _, had in elements if had.get("name") == "service" and "checked" in had] == [wanted]


def test_signs_that_turn_a_text_are_left_out() -> None:
    """A subject or a name cannot be made to look like another one; letters that are written from the right stay."""
    turned = page("Plan\u202egnp.exe\u2066", organizer=Person("anna@example.org", "Anna \u202erelluM"))
    text = PAGES.join(shown(turned), FORM, Admission.OPEN, "en").decode()
    assert "Plangnp.exe" in text and "Anna relluM" in text
    assert not any(sign in text for sign in "\u202e\u2066")
    assert "\u05d0\u05d1" in PAGES.join(shown(page("\u05d0\u05d1")), FORM, Admission.OPEN, "en").decode()


def test_the_visitors_own_time() -> None:
    """What the script needs; not for whole days and times in nobody's zone."""
    assert f'data-start="{MONDAY}" data-end="{MONDAY + HOUR}" data-offset="7200"' in join(page())
    day = Occurrence(MONDAY - 8 * HOUR, MONDAY + 16 * HOUR, all_day=True)
    floating = Occurrence(MONDAY, MONDAY + HOUR, NOWHERE)
    for one in (day, floating):
        assert "data-start" not in join(page(times=(one,)))


def test_a_code_for_the_phone() -> None:
    assert '/code.svg"' in join(page()) and '/code.svg"' in start(page())


def test_who_may_stay_in_a_conference_that_is_left() -> None:
    """A BigBlueButton meeting is ended for all who are in it, others go on: what is said before is true of both."""
    found = shown(page(), state="open", kind=LinkKind.START)
    room = replace(found.view.room, service="bigbluebutton")
    ending = replace(found, view=replace(found.view, room=room))
    for language in ("en", "de"):
        texts = TEXTS[language]
        for one, change, confirm in (
            (found, texts.change_hint, texts.confirm_stay),
            (ending, texts.change_ends_hint, texts.confirm_ends),
        ):
            page_text = PAGES.start(one, FORM, (JITSI, LINK), "", Admission.OPEN, "x", language).decode()
            assert change in page_text and confirm in PAGES.confirm(one, FORM, language).decode()


def test_a_service_stands_by_itself() -> None:
    """Its title is no part of a sentence: "Mit Eigener Link" is no German."""
    found = shown(page(), state="open", kind=LinkKind.START)
    for language in ("en", "de"):
        title = f"{'Dienst' if language == 'de' else 'Service'}: {LINK.title(language)}."
        assert title in PAGES.start(found, FORM, (LINK,), "", Admission.OPEN, LINK.title(language), language).decode()


def test_german() -> None:
    text = join(page(), language="de")
    assert '<html lang="de">' in text and "Montag, 4. Mai 2026" in text and "Mitteleuropäische Sommerzeit" in text
    assert "Konferenz starten" in start(page(), language="de")


def test_the_address_where_there_is_no_name() -> None:
    assert "anna@example.org" in join(page(organizer=Person("anna@example.org", " ")))


def test_no_subject() -> None:
    assert '<h1 dir="auto">Meeting</h1>' in join(page(" "))
    assert '<h1 dir="auto">Besprechung</h1>' in join(page(" "), language="de")


def test_a_series_says_so() -> None:
    times = tuple(Occurrence(MONDAY + days * 24 * HOUR, MONDAY + days * 24 * HOUR + HOUR) for days in (0, 7))
    text = join(page(times=times), now=MONDAY + 2 * HOUR)
    assert TEXTS["en"].series in text and "11 May 2026" in text
    assert TEXTS["en"].series not in join(page())


def test_whole_days_have_no_clock() -> None:
    day = Occurrence(MONDAY - 8 * HOUR, MONDAY + 16 * HOUR, all_day=True)
    text = join(page(times=(day,)))
    assert "all day" in text and not re.search(r"\d\d:\d\d", re.sub("<[^>]*>", "", text))


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onmouseover='x",
        "{{ 7*7 }}{% raw %}",
        "</title><h1>",
        "&amp;<!--",
        "]]>",
    ],
)
def test_what_comes_from_mail_is_text(hostile: str) -> None:
    for text in (join(page(hostile, organizer=Person(hostile))), start(page(hostile, organizer=Person("", hostile)))):
        outline = Outline(text)
        assert outline.names().count("h1") == 1 and "alert" not in str(outline.elements)
        assert (
            text.count("<!--") == 0
            and "onerror" not in str(outline.elements)
            and "onmouseover" not in str(outline.elements)
        )
        assert escape(hostile).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text


@pytest.mark.parametrize(
    "subject",
    [
        "اجتماع الفريق الأسبوعي",
        "\u202eGnirts",
        "🎉 Release party 🎉",
        "x" * 5000,
        "\ud800 lone",
        "\0\x07",
        "日本語" * 40,
    ],
)
def test_subjects_of_all_kinds(subject: str) -> None:
    text = join(page(subject))
    assert Outline(text).names().count("h1") == 1
    assert 'dir="auto"' in text
    assert ('class="long"' in text) == (len(subject) > 60)


def test_a_series_without_known_dates_shows_none() -> None:
    """A page all the same, with all the rest on it."""
    meeting = Page("Daily", Person("anna@example.org", "Anna"), (), recurring=True)
    for text in (join(meeting), start(meeting)):
        assert "time" not in Outline(text).names()
        assert TEXTS["en"].when not in re.findall(r"<dt>(.*?)</dt>", text)
        assert TEXTS["en"].series in text
