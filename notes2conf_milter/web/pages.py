"""The pages as octets of HTML: a join page, a start page, and pages that say one thing only.

In:  what to show, in which language. Out: UTF-8. Pure: no store, no clock, no network.
Fails: never for any text of a meeting: all of it is escaped by the templates, which are strict about names they do not
know, and what UTF-8 cannot say becomes "?".
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from notes2conf_milter.core.times import after_end, when
from notes2conf_milter.core.waitingroom import State
from notes2conf_milter.web.forms import OpenForm
from notes2conf_milter.web.texts import LANGUAGES, TEXTS, Notice
from notes2conf_milter.web.visits import Shown

LONG_SUBJECT = 60  # characters; longer ones are set smaller
_REFRESH = {State.EARLY: 60, State.CLOSED: 20}  # seconds; an open page has no reason to reload


@dataclass(frozen=True, slots=True)
class Assets:
    """The paths of the static files, as a page names them (with a hash of their content)."""

    style: str
    icon: str


class Pages:
    """Renders every page. Notices are rendered once, here: so a page that reports a failure cannot fail."""

    def __init__(self, assets: Assets, grace: int = 0) -> None:
        """grace: seconds that pages outlive their meeting."""
        self._templates = Environment(
            loader=PackageLoader("notes2conf_milter.web"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["assets"] = assets
        self._templates.globals["deleted"] = {language: after_end(grace, language) for language in LANGUAGES}
        self._notices = {
            (notice, language): self._notice(notice, language) for notice in Notice for language in LANGUAGES
        }

    def join(self, shown: Shown, language: str) -> bytes:
        """Return the page behind a join link."""
        texts = TEXTS[language]
        status = {State.EARLY: texts.guest_early, State.CLOSED: texts.guest_closed, State.OPEN: texts.guest_open}
        return self._render(
            "join.html",
            language,
            **_facts(shown, language),
            status=status[shown.view.state],
            refresh=_REFRESH.get(shown.view.state, 0),
        )

    def start(self, shown: Shown, form: OpenForm, language: str) -> bytes:
        """Return the page behind a start link. form: the hidden fields of its button."""
        texts = TEXTS[language]
        status = {State.EARLY: texts.host_early, State.CLOSED: texts.host_closed, State.OPEN: texts.host_open}
        return self._render(
            "start.html", language, **_facts(shown, language), status=status[shown.view.state], refresh=0, form=form
        )

    def notice(self, notice: Notice, language: str) -> bytes:
        """Return a page that says one thing only."""
        return self._notices[notice, language]

    def _notice(self, notice: Notice, language: str) -> bytes:
        headline, sentence = TEXTS[language].notices[notice]
        return self._render("notice.html", language, headline=headline, sentence=sentence, refresh=0)

    def _render(self, template: str, language: str, **values: object) -> bytes:
        text = self._templates.get_template(template).render(language=language, texts=TEXTS[language], **values)
        return text.encode("utf-8", "replace")


def _facts(shown: Shown, language: str) -> Mapping[str, object]:
    page, view = shown.page, shown.view
    subject = page.subject.strip() or TEXTS[language].no_subject
    return {
        "subject": subject,
        "long_subject": len(subject) > LONG_SUBJECT,
        "organizer": page.organizer.name.strip() or page.organizer.address,
        "when": when(view.occurrence, language) if view.dated else None,
        "all_day": view.occurrence.all_day,
        "recurring": page.recurring,
        "state": view.state.value,
        "url": view.url,
    }
