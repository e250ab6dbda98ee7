"""The privacy notice, from the settings that are in force.

In:  what the administrator set. Out: headlines and sentences, German or English. Pure. Fails: never.
"""

from dataclasses import dataclass

from notes2conf_milter.core.times import after_end


@dataclass(frozen=True, slots=True)
class Policy:
    """What the house decided.

    house: its name, or "". contact: whom to ask about personal data, or "". imprint_url: or "". grace: seconds that what is
    kept outlives its meeting. services: titles, by language. tombstone: seconds that a mark of a cancelled meeting stays.
    """

    house: str = ""
    contact: str = ""
    imprint_url: str = ""
    grace: int = 0
    services: tuple[tuple[str, str], ...] = ()  # English, German
    hands_on_names: bool = False


def policy_texts(policy: Policy, language: str) -> list[tuple[str, list[str]]]:
    """Return the notice: headlines, and sentences below each."""
    return _german(policy) if language == "de" else _english(policy)


def _english(policy: Policy) -> list[tuple[str, list[str]]]:
    names = ", ".join(one for one, _ in policy.services) or "a conference service"
    name = (
        "is handed on to the conference service when you go in"
        if policy.hands_on_names
        else "is handed on to nobody else"
    )
    return [
        (
            "What this page is for",
            [
                "It shows when a video conference takes place that you were invited to, and lets you in when the organizer "
                "opens it.",
                *([f"It is run by {policy.house}."] if policy.house else []),
            ],
        ),
        (
            "What is stored",
            [
                "Subject, times and organizer of the meeting, and who is invited, as the invitation has them, so that updates "
                "keep the same link. All of it is encrypted; this page can open it with your link alone.",
                f"It is deleted {after_end(policy.grace, 'en')}. After a cancellation only a hash and a number stay, for six "
                "days at most, so that old mail does not bring the meeting back.",
            ],
        ),
        (
            "When you wait",
            [
                "That somebody waits, since when, and the name that you type, if you type one. It is kept in memory while the "
                f"page is open and for a quarter of an hour after, shown to the organizer alone, and {name}. Nothing of it is "
                "stored.",
                "Your network address is used to answer you, to slow down who guesses links, and to leave room for others; it "
                "is kept in memory while you wait and for some minutes, and written nowhere.",
            ],
        ),
        (
            "What there is not",
            ["No cookies, no login, no statistics, nothing from other servers, no log of your visit."],
        ),
        (
            "Where you go from here",
            [f"The conference itself takes place on another service ({names}), under the rules of that service."],
        ),
        *([("Whom to ask", [policy.contact])] if policy.contact else []),
    ]


def _german(policy: Policy) -> list[tuple[str, list[str]]]:
    names = ", ".join(two for _, two in policy.services) or "einem Konferenzdienst"
    name = (
        "beim Eintreten an den Konferenzdienst weitergegeben"
        if policy.hands_on_names
        else "an niemanden sonst weitergegeben"
    )
    return [
        (
            "Wozu diese Seite dient",
            [
                "Sie zeigt, wann eine Videokonferenz stattfindet, zu der Sie eingeladen sind, und lässt Sie ein, sobald sie "
                "eröffnet wird.",
                *([f"Betrieben wird sie von {policy.house}."] if policy.house else []),
            ],
        ),
        (
            "Was gespeichert ist",
            [
                "Betreff, Zeiten und einladende Person der Besprechung sowie die Eingeladenen, wie sie in der Einladung "
                "stehen, damit Änderungen denselben Link behalten. Alles ist verschlüsselt; diese Seite kann es nur mit Ihrem "
                "Link öffnen.",
                f"Gelöscht wird es {after_end(policy.grace, 'de')}. Nach einer Absage bleiben nur ein Hashwert und eine "
                "Nummer, höchstens sechs Tage, damit alte Mail die Besprechung nicht zurückbringt.",
            ],
        ),
        (
            "Während Sie warten",
            [
                "Dass jemand wartet, seit wann, und der Name, den Sie eingeben, falls Sie einen eingeben. Das bleibt im "
                "Arbeitsspeicher, solange die Seite offen ist und eine Viertelstunde danach, wird nur der einladenden Person "
                "gezeigt und "
                f"{name}. Nichts davon wird gespeichert.",
                "Ihre Netzadresse dient dazu, Ihnen zu antworten, das Raten von Links zu bremsen und anderen Platz zu lassen; "
                "sie bleibt im Arbeitsspeicher, solange Sie warten, und einige Minuten, und wird nirgends aufgeschrieben.",
            ],
        ),
        (
            "Was es nicht gibt",
            [
                "Keine Cookies, keine Anmeldung, keine Statistik, nichts von fremden Servern, kein Protokoll Ihres Besuchs."
            ],
        ),
        (
            "Wohin es von hier geht",
            [f"Die Konferenz selbst findet bei einem anderen Dienst statt ({names}), nach dessen Regeln."],
        ),
        *([("Wen Sie fragen können", [policy.contact])] if policy.contact else []),
    ]
