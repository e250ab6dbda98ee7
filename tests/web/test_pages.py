"""The pages as HTML: what stands there, escaped, in both languages and every state."""

import re
from html import escape
from html.parser import HTMLParser

import pytest

from notes2conf_milter.core.meeting import Occurrence, Page, Person, Room, RoomState
from notes2conf_milter.core.waitingroom import view
from notes2conf_milter.web.forms import open_form
from notes2conf_milter.web.pages import Assets, Pages
from notes2conf_milter.web.texts import TEXTS, Notice
from notes2conf_milter.web.visits import Shown
from tests.web.house import HOUR, MONDAY, page

PAGES = Pages(Assets("/static/style.x.css", "/static/icon.x.svg"))
TOKEN = "a" * 32
URL = "https://meet.example.org/" + "q" * 32


def shown(meeting: Page, now: int, opened: bool = False) -> Shown:
    room = Room(meeting.times[0].start, RoomState.OPEN, "jitsi", URL) if opened else None
    found = view(meeting, room, now)
    assert found is not None
    return Shown(TOKEN, meeting, found)


def join(meeting: Page, now: int = MONDAY, opened: bool = False, language: str = "en") -> str:
    return PAGES.join(shown(meeting, now, opened), language).decode()


def start(meeting: Page, now: int = MONDAY, opened: bool = False, language: str = "en") -> str:
    return PAGES.start(shown(meeting, now, opened), open_form(TOKEN, MONDAY), language).decode()


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
    texts = [join(page(), MONDAY - 9 * HOUR, language=language)]
    for opened in (False, True):
        texts += [join(page(), opened=opened, language=language), start(page(), opened=opened, language=language)]
    return texts + [PAGES.notice(notice, language).decode() for notice in Notice]


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_page_is_sound_html(language: str) -> None:
    for text in every_page(language):
        outline = Outline(text)
        names = outline.names()
        assert names.count("h1") == names.count("main") == names.count("title") == 1
        assert dict(outline.elements)["html"]["lang"] == language
        assert not {"script", "style", "iframe", "object"} & set(names)
        for _, attributes in outline.elements:
            assert not [name for name in attributes if name.startswith("on") or name == "style"]


def test_the_guests_page_before() -> None:
    text = join(page(), MONDAY - 60)
    for fact in ("Quarterly planning", "4 May 2026", "10:00 – 11:00", "Central European Summer Time", "Anna Müller"):
        assert fact in text
    assert TEXTS["en"].guest_closed[0] in text
    assert '<meta http-equiv="refresh" content="20">' in text
    assert "anna@example.org" not in text, "the name stands for the address"
    assert "<form" not in text


def test_the_guests_page_when_open() -> None:
    text = join(page(), opened=True)
    assert f'<a class="button" href="{URL}" rel="noreferrer noopener">Join the conference</a>' in text
    assert "http-equiv" not in text


def test_an_early_page_refreshes_itself_less_often() -> None:
    assert 'content="60"' in join(page(), MONDAY - 9 * HOUR)


def test_the_start_page() -> None:
    form = open_form(TOKEN, MONDAY)
    text = start(page())
    assert form.proof in text and '<button class="button" type="submit">Start the conference</button>' in text
    assert "http-equiv" not in text
    assert TOKEN not in text, "a page that is saved or printed gives no token away"
    opened = start(page(), opened=True)
    assert URL in opened and "<form" not in opened


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
    text = join(page(times=times), MONDAY + 2 * HOUR)
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
        assert outline.names().count("h1") == 1 and "script" not in outline.names()
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
