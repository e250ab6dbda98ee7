"""The words on the pages, in German and English, and which of the two a browser wishes.

In:  an Accept-Language header. Out: a language, its texts. Fails: never; a header that says nothing to us means the default.
"""

from dataclasses import dataclass
from enum import Enum

LANGUAGES = ("en", "de")


class Notice(Enum):
    """A page that says one thing only."""

    GONE = 404
    REFUSED = 403
    WRONG_METHOD = 405
    TOO_LARGE = 413
    BROKEN = 500
    BUSY = 503


@dataclass(frozen=True, slots=True)
class Texts:
    """All texts of one language. notices: headline and sentence."""

    place: str
    no_subject: str
    when: str
    organizer: str
    whole_day: str
    series: str
    guest_early: tuple[str, str]
    guest_closed: tuple[str, str]
    guest_open: tuple[str, str]
    join: str
    reload: str
    host_early: tuple[str, str]
    host_closed: tuple[str, str]
    host_open: tuple[str, str]
    start: str
    enter: str
    host_only: str
    forgets: str
    notices: dict[Notice, tuple[str, str]]


_EN = Texts(
    place="Video conference",
    no_subject="Meeting",
    when="When",
    organizer="Invited by",
    whole_day="all day",
    series="One of a series. The same link leads to every date.",
    guest_early=(
        "The conference has not started",
        "Come back at the time above, or leave this page open. It refreshes itself.",
    ),
    guest_closed=(
        "The conference has not started",
        "Please wait until the organizer opens it. This page refreshes itself.",
    ),
    guest_open=("The conference is open", "You can go in now."),
    join="Join the conference",
    reload="Refresh now",
    host_early=(
        "The conference has not started",
        "There is still time. You can start it now all the same: guests can come in then.",
    ),
    host_closed=("The conference has not started", "Guests wait until you start it."),
    host_open=("The conference is open", "Guests can come in now."),
    start="Start the conference",
    enter="Enter the conference",
    host_only="This page is for you, the organizer. Whoever has its address can start the conference: "
    "please keep it to yourself.",
    forgets="What you see here is deleted {end}. This page sets no cookies.",
    notices={
        Notice.GONE: ("Not valid", "This link is not valid, or no longer valid."),
        Notice.REFUSED: (
            "Not done",
            "This did not come from our own page. Please open your link again and use the button there.",
        ),
        Notice.WRONG_METHOD: ("Not possible", "This page cannot be used in that way. Please open your link again."),
        Notice.TOO_LARGE: ("Too much", "That was more than this page takes. Please open your link again."),
        Notice.BROKEN: ("Something went wrong", "The mistake is ours, not yours. Please try again in a few minutes."),
        Notice.BUSY: ("Just a moment", "This page cannot be shown right now. Please try again in a minute."),
    },
)

_DE = Texts(
    place="Videokonferenz",
    no_subject="Besprechung",
    when="Wann",
    organizer="Eingeladen von",
    whole_day="ganztägig",
    series="Ein Termin einer Serie. Derselbe Link führt zu jedem Termin.",
    guest_early=(
        "Die Konferenz hat noch nicht begonnen",
        "Kommen Sie zur angegebenen Zeit wieder, oder lassen Sie diese Seite offen. Sie aktualisiert sich selbst.",
    ),
    guest_closed=(
        "Die Konferenz hat noch nicht begonnen",
        "Bitte warten Sie, bis sie eröffnet wird. Diese Seite aktualisiert sich selbst.",
    ),
    guest_open=("Die Konferenz ist eröffnet", "Sie können jetzt eintreten."),
    join="An der Konferenz teilnehmen",
    reload="Jetzt aktualisieren",
    host_early=(
        "Die Konferenz hat noch nicht begonnen",
        "Es ist noch Zeit. Sie können sie dennoch jetzt schon starten: Dann können Gäste eintreten.",
    ),
    host_closed=("Die Konferenz hat noch nicht begonnen", "Die Gäste warten, bis Sie sie starten."),
    host_open=("Die Konferenz ist eröffnet", "Gäste können jetzt eintreten."),
    start="Konferenz starten",
    enter="Konferenz betreten",
    host_only="Diese Seite ist nur für Sie als einladende Person. Wer ihre Adresse hat, kann die Konferenz starten: "
    "Bitte geben Sie sie nicht weiter.",
    forgets="Was hier steht, wird {end} gelöscht. Diese Seite setzt keine Cookies.",
    notices={
        Notice.GONE: ("Nicht gültig", "Dieser Link ist nicht oder nicht mehr gültig."),
        Notice.REFUSED: (
            "Nicht ausgeführt",
            "Das kam nicht von unserer eigenen Seite. Bitte öffnen Sie Ihren Link neu und benutzen Sie die Schaltfläche dort.",
        ),
        Notice.WRONG_METHOD: (
            "Nicht möglich",
            "So lässt sich diese Seite nicht benutzen. Bitte öffnen Sie Ihren Link neu.",
        ),
        Notice.TOO_LARGE: ("Zu viel", "Das war mehr, als diese Seite annimmt. Bitte öffnen Sie Ihren Link neu."),
        Notice.BROKEN: (
            "Etwas ging schief",
            "Der Fehler liegt bei uns. Bitte versuchen Sie es in einigen Minuten noch einmal.",
        ),
        Notice.BUSY: (
            "Einen Augenblick",
            "Diese Seite kann gerade nicht angezeigt werden. Bitte versuchen Sie es gleich noch einmal.",
        ),
    },
)

TEXTS = {"en": _EN, "de": _DE}


def choose_language(accept: str, default: str) -> str:
    """Return the language of ours that an Accept-Language header likes best (RFC 9110 §12.5.4), else `default`."""
    best, best_quality = default, 0.0
    for item in accept.split(",", 50)[:50]:
        tag, _, parameter = item.partition(";")
        language = tag.strip().lower().partition("-")[0]
        quality = _quality(parameter)
        if quality > best_quality and (language in LANGUAGES or language == "*"):
            best, best_quality = default if language == "*" else language, quality
    return best


def _quality(parameter: str) -> float:
    name, equals, value = parameter.partition("=")
    if not equals:
        return 1.0 if not name.strip() else 0.0
    try:
        quality = float(value) if name.strip().lower() == "q" else 0.0
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0  # also false for "nan"
