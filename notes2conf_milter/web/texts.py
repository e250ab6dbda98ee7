"""The words on the pages, in German and English, and which of the two a browser wishes.

In:  an Accept-Language header. Out: a language, its texts. Fails: never; a header that says nothing to us means the default.
"""

from enum import Enum
from functools import lru_cache
from types import SimpleNamespace

LANGUAGES = ("en", "de")


class Notice(Enum):
    """A page that says one thing only."""

    GONE = "gone"
    REFUSED = "refused"
    WRONG_METHOD = "wrong-method"
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"
    CROWDED = "crowded"
    BROKEN = "broken"
    BUSY = "busy"
    FULL = "full"

    @property
    def status(self) -> int:
        """The HTTP status."""
        return _STATUS[self]


_STATUS = {
    Notice.GONE: 404,
    Notice.REFUSED: 403,
    Notice.WRONG_METHOD: 405,
    Notice.TOO_LARGE: 413,
    Notice.TOO_MANY: 429,
    Notice.CROWDED: 429,
    Notice.BROKEN: 500,
    Notice.BUSY: 503,
    Notice.FULL: 507,
}


# Each as English, German. "{}" stands for what the page knows.
_WORDS = {
    # every page
    "place": ("Video conference", "Videokonferenz"),
    "no_subject": ("Meeting", "Besprechung"),
    "when": ("When", "Wann"),
    "your_time": ("In your time zone", "In Ihrer Zeitzone"),
    "organizer": ("Invited by", "Eingeladen von"),
    "whole_day": ("all day", "ganztägig"),
    "series": (
        "One of a series. The same link leads to every date.",
        "Ein Termin einer Serie. Derselbe Link führt zu jedem Termin.",
    ),
    "reload": ("Refresh now", "Jetzt aktualisieren"),
    "forgets": (
        "What you see here is deleted {}. This page sets no cookies.",
        "Was hier steht, wird {} gelöscht. Diese Seite setzt keine Cookies.",
    ),
    "privacy": ("Privacy", "Datenschutz"),
    "imprint": ("Legal notice", "Impressum"),
    "calendar": ("Save the date (.ics)", "Termin speichern (.ics)"),
    "phone": ("Continue on your phone", "Auf dem Telefon weitermachen"),
    "phone_hint": (
        "Scan this code with your phone’s camera.",
        "Scannen Sie diesen Code mit der Kamera Ihres Telefons.",
    ),
    "phone_alt": ("QR code with the address of this page", "QR-Code mit der Adresse dieser Seite"),
    # a guest's
    "guest_early": ("Still some time to go", "Noch etwas Zeit"),
    "guest_early_hint": (
        "The conference has not started. You can come back at the time above, or wait here.",
        "Die Konferenz hat noch nicht begonnen. Kommen Sie zur angegebenen Zeit wieder, oder warten Sie hier.",
    ),
    "guest_closed": ("Not open yet", "Noch nicht eröffnet"),
    "guest_closed_hint": (
        "Press the button to wait. You go in as soon as the organizer opens the conference.",
        "Drücken Sie auf „Hier warten“. Sobald die Konferenz eröffnet wird, geht es los.",
    ),
    "guest_open": ("The conference is open", "Die Konferenz ist eröffnet"),
    "guest_open_hint": ("You can go in now.", "Sie können jetzt eintreten."),
    "guest_ask_hint": (
        "The organizer lets guests in one by one.",
        "Gäste werden einzeln eingelassen.",
    ),
    "guest_paused": ("A short pause", "Kurze Pause"),
    "guest_paused_hint": (
        "New guests wait for the moment. Press the button to wait, too.",
        "Neue Gäste warten gerade. Drücken Sie auf „Hier warten“, dann warten auch Sie.",
    ),
    "name": ("Your name", "Ihr Name"),
    "name_hint": (
        "Optional. Only the organizer sees it, and only while you wait; it is never stored.",
        "Freiwillig. Nur die einladende Person sieht ihn, und nur solange Sie warten; gespeichert wird er nie.",
    ),
    "name_handed_on_hint": (
        "Optional. The organizer sees it while you wait, and the conference service gets it when you go in; we never store it.",
        "Freiwillig. Die einladende Person sieht ihn, solange Sie warten, und der Konferenzdienst bekommt ihn, wenn Sie "
        "eintreten; hier gespeichert wird er nie.",
    ),
    "wait": ("Wait here", "Hier warten"),
    "join": ("Join the conference", "An der Konferenz teilnehmen"),
    "knock": ("Ask to be let in", "Um Einlass bitten"),
    "waiting": ("You are waiting", "Sie warten"),
    "waiting_hint": (
        "Leave this page open. You are taken in automatically when the conference opens.",
        "Lassen Sie diese Seite offen. Sobald die Konferenz eröffnet wird, geht es von selbst weiter.",
    ),
    "waiting_early_hint": (
        "Leave this page open. It begins at the time above; then you are taken in automatically.",
        "Lassen Sie diese Seite offen. Es beginnt zur angegebenen Zeit; dann geht es von selbst weiter.",
    ),
    "asked": ("The organizer knows that you are here", "Sie haben um Einlass gebeten"),
    "asked_hint": (
        "The conference is open. This page takes you there as soon as you are let in.",
        "Die Konferenz läuft. Sobald Sie eingelassen werden, geht es von selbst weiter.",
    ),
    "waiting_paused_hint": (
        "There is a pause for new guests. You are taken in automatically when it is over.",
        "Neue Gäste warten gerade. Danach geht es von selbst weiter.",
    ),
    "away": ("Not let in", "Nicht eingelassen"),
    "away_hint": (
        "The organizer has not let you in to this meeting.",
        "Sie wurden zu dieser Besprechung nicht eingelassen.",
    ),
    "go": ("The conference is open", "Die Konferenz ist eröffnet"),
    "go_hint": (
        "You are being taken there. If nothing happens, press the button.",
        "Sie werden dorthin geleitet. Falls nichts geschieht, drücken Sie auf die Schaltfläche.",
    ),
    "leave": ("Stop waiting", "Nicht mehr warten"),
    "over": ("The conference is over", "Die Konferenz ist vorbei"),
    "over_hint": (
        "It has ended or was cancelled. You can close this page.",
        "Sie ist zu Ende oder wurde abgesagt. Sie können diese Seite schließen.",
    ),
    "lost": ("The connection is lost. Trying again …", "Die Verbindung ist unterbrochen. Neuer Versuch …"),
    # the organizer's
    "host_only": (
        "This page is for you, the organizer. Whoever has its address can start the conference: please keep it to yourself.",
        "Diese Seite ist nur für Sie als einladende Person. Wer ihre Adresse hat, kann die Konferenz starten: "
        "Bitte geben Sie sie nicht weiter.",
    ),
    "host_early": ("Not open yet", "Noch nicht eröffnet"),
    "host_early_hint": (
        "There is still time. You can start the conference now all the same; then guests can come in.",
        "Es ist noch Zeit. Sie können die Konferenz trotzdem schon starten; dann können Gäste eintreten.",
    ),
    "host_closed": ("Not open yet", "Noch nicht eröffnet"),
    "host_closed_hint": (
        "Guests wait until you start the conference.",
        "Die Gäste warten, bis Sie die Konferenz starten.",
    ),
    "host_open": ("The conference is open", "Die Konferenz ist eröffnet"),
    "host_open_hint": ("Service: {}. Guests can come in.", "Dienst: {}. Gäste können eintreten."),
    "host_ask_hint": ("Service: {}. You let guests in one by one.", "Dienst: {}. Sie lassen Gäste einzeln ein."),
    "host_paused": ("Paused", "Pause"),
    "host_paused_hint": (
        "Service: {}. Whoever is in stays there; new guests wait until you go on.",
        "Dienst: {}. Wer da ist, bleibt; neue Gäste warten, bis Sie fortsetzen.",
    ),
    "host_ended": ("The conference has ended", "Die Konferenz ist zu Ende"),
    "host_ended_hint": (
        "Service: {}. It was ended there. New guests wait. Start it again to go on, or end it here, too.",
        "Dienst: {}. Dort wurde sie beendet. Neue Gäste warten. Starten Sie sie wieder, wenn es weitergeht, oder beenden "
        "Sie sie auch hier.",
    ),
    "service": ("Conference service", "Konferenzdienst"),
    "link": ("Your link", "Ihr Link"),
    "link_hint": (
        "Start the meeting in your own account there, and paste the link that is meant for guests.",
        "Starten Sie die Besprechung dort in Ihrem eigenen Konto, und fügen Sie den Link ein, der für Gäste gedacht ist.",
    ),
    "admission": ("Guests", "Gäste"),
    "admission_open": ("come in right away", "kommen gleich herein"),
    "admission_ask": ("come in when I let them in", "kommen herein, wenn ich sie einlasse"),
    "start": ("Start the conference", "Konferenz starten"),
    "start_again": ("Start it again", "Wieder starten"),
    "enter": ("Enter the conference", "Konferenz betreten"),
    "new_window": ("in a new tab", "in einem neuen Tab"),
    "pause": ("Pause", "Pause"),
    "pause_hint": ("New guests wait.", "Neue Gäste warten."),
    "resume": ("Go on", "Fortsetzen"),
    "end": ("End", "Beenden"),
    "more": ("More", "Weiteres"),
    "extend": ("Extend", "Verlängern"),
    "extend_hint": ("Planned until {}.", "Geplant bis {}."),
    "ending_hint": (
        "Planned until {}. Then this page and the links of guests stop working; whoever is in the conference may stay.",
        "Geplant bis {}. Dann gelten diese Seite und die Links der Gäste nicht mehr; wer in der Konferenz ist, kann bleiben.",
    ),
    "minutes": ("{} min", "{} Min."),
    "change": ("Use another service", "Anderen Dienst verwenden"),
    "change_hint": (
        "Guests who wait are led there; whoever is already in a conference stays in that one.",
        "Wartende Gäste werden dorthin geleitet; wer schon in einer Konferenz ist, bleibt in dieser.",
    ),
    "change_ends_hint": (
        "Guests who wait are led there. The present conference ends for all who are in it.",
        "Wartende Gäste werden dorthin geleitet. Die jetzige Konferenz endet für alle, die darin sind.",
    ),
    "save": ("Apply", "Übernehmen"),
    "in_room": ("Waiting", "Es warten"),
    "nobody": ("Nobody is waiting.", "Es wartet niemand."),
    "unnamed": ("Guest without a name", "Gast ohne Namen"),
    "since": ("since {}", "seit {}"),
    "own_link": ("with a personal link", "mit persönlichem Link"),
    "let_in": ("Let in", "Einlassen"),
    "let_in_all": ("Let all in", "Alle einlassen"),
    "turn_away": ("Turn away", "Abweisen"),
    "ending_next_hint": (
        "Planned until {}. Then this page shows the next date; whoever is in the conference may stay.",
        "Geplant bis {}. Dann zeigt diese Seite den nächsten Termin; wer in der Konferenz ist, kann bleiben.",
    ),
    "count": ("{} guests are waiting.", "Es warten {} Gäste."),
    "count_one": ("1 guest is waiting.", "Es wartet 1 Gast."),
    "and_more": ("and {} more", "und {} weitere"),
    "confirm": ("End the conference?", "Konferenz beenden?"),
    "confirm_hint": (
        "Nothing comes after this date. The meeting and all that is stored about it are deleted now, and all its links are "
        "dead.",
        "Nach diesem Termin kommt keiner mehr. Die Besprechung und alles, was zu ihr gespeichert ist, werden jetzt gelöscht, "
        "und alle ihre Links werden ungültig.",
    ),
    "confirm_stay": (
        "Whoever is in the conference may stay in it.",
        "Wer in der Konferenz ist, kann dort bleiben.",
    ),
    "confirm_ends": (
        "The conference ends for all who are in it.",
        "Die Konferenz endet für alle, die darin sind.",
    ),
    "confirm_end": ("End and delete", "Beenden und löschen"),
    "back": ("Back", "Zurück"),
    "ended": ("Ended and deleted", "Beendet und gelöscht"),
    "ended_hint": (
        "Nothing about this meeting is stored any more. You can close this page.",
        "Zu dieser Besprechung ist nichts mehr gespeichert. Sie können diese Seite schließen.",
    ),
    "failed": (
        "The conference service did not open a conference. Please try again. If that does not help, choose another service or "
        "ask your administrator.",
        "Der Konferenzdienst hat keine Konferenz eröffnet. Bitte versuchen Sie es noch einmal. Hilft das nicht, wählen Sie "
        "einen anderen Dienst, oder fragen Sie Ihre Administration.",
    ),
}

# Why a pasted link was not taken, by services.service.Why.
_WHY = {
    "no-link": ("Please paste the link of your meeting.", "Bitte fügen Sie den Link Ihrer Besprechung ein."),
    "not-https": (
        "A link must begin with https:// and must not contain blanks.",
        "Ein Link muss mit https:// beginnen und darf keine Leerzeichen enthalten.",
    ),
    "host-not-allowed": (
        "Links to this server are not allowed here. Ask your administrator.",
        "Links zu diesem Server sind hier nicht erlaubt. Fragen Sie Ihre Administration.",
    ),
    "hosts-own-link": (
        "This is your own link as the host: with it, guests would act in your name. Paste the one that is meant for guests.",
        "Das ist Ihr eigener Link als Veranstalter: Mit ihm könnten Gäste in Ihrem Namen handeln. Fügen Sie den Link ein, der "
        "für Gäste gedacht ist.",
    ),
}
_NO_SUCH_LINK = (
    "This link is not one that guests can use.",
    "Dieser Link ist keiner, den Gäste benutzen können.",
)

_NOTICES = {
    Notice.GONE: (
        ("Not valid", "This link is not valid, or not any more."),
        ("Nicht gültig", "Dieser Link ist nicht oder nicht mehr gültig."),
    ),
    Notice.REFUSED: (
        (
            "Not done",
            "This did not come from our own page. Please open your link again and use the button there.",
        ),
        (
            "Nicht ausgeführt",
            "Das kam nicht von unserer eigenen Seite. Bitte öffnen Sie Ihren Link neu und benutzen Sie die Schaltfläche dort.",
        ),
    ),
    Notice.WRONG_METHOD: (
        ("Not possible", "This page cannot be used in that way. Please open your link again."),
        ("Nicht möglich", "So lässt sich diese Seite nicht benutzen. Bitte öffnen Sie Ihren Link neu."),
    ),
    Notice.TOO_LARGE: (
        ("Too much", "That was more than this page takes. Please open your link again."),
        ("Zu viel", "Das war mehr, als diese Seite annimmt. Bitte öffnen Sie Ihren Link neu."),
    ),
    Notice.TOO_MANY: (
        (
            "Too many attempts",
            "Too many links that are not valid were tried from your network. Please wait a few minutes.",
        ),
        (
            "Zu viele Versuche",
            "Aus Ihrem Netz wurden zu viele ungültige Links aufgerufen. Bitte warten Sie einige Minuten.",
        ),
    ),
    Notice.CROWDED: (
        (
            "Many are waiting already",
            "As many guests are waiting from your network as can be taken at a time. Please try again in a minute.",
        ),
        (
            "Es warten schon viele",
            "Aus Ihrem Netz warten so viele Gäste, wie gleichzeitig möglich sind. Bitte versuchen Sie es gleich noch einmal.",
        ),
    ),
    Notice.BROKEN: (
        ("Something went wrong", "The mistake is ours, not yours. Please try again in a few minutes."),
        (
            "Etwas ist schiefgegangen",
            "Der Fehler liegt bei uns. Bitte versuchen Sie es in einigen Minuten noch einmal.",
        ),
    ),
    Notice.BUSY: (
        ("Just a moment", "This page cannot be shown right now. Please try again in a minute."),
        (
            "Einen Augenblick",
            "Diese Seite kann gerade nicht angezeigt werden. Bitte versuchen Sie es gleich noch einmal.",
        ),
    ),
    Notice.FULL: (
        ("The waiting room is full", "There is no room for another guest. Please try again in a minute."),
        (
            "Der Warteraum ist voll",
            "Es ist kein Platz für einen weiteren Gast. Bitte versuchen Sie es gleich noch einmal.",
        ),
    ),
}

TEXTS = {
    language: SimpleNamespace(**{key: both[at] for key, both in _WORDS.items()})
    for at, language in enumerate(LANGUAGES)
}


def notice_texts(notice: Notice, language: str) -> tuple[str, str]:
    """Return headline and sentence."""
    return _NOTICES[notice][LANGUAGES.index(language)]


def why_not(reason: str, language: str) -> str:
    """Explain why a pasted link was not taken."""
    return _WHY.get(reason, _NO_SUCH_LINK)[LANGUAGES.index(language)]


@lru_cache(256)
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
