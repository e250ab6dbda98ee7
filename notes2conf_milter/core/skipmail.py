"""The mail that tells an organizer why an invitation went on without a link.

In:  what was skipped and why, the address it comes from, its Message-ID and date. Out: its octets.
Fails: never.
"""

from dataclasses import dataclass

from notes2conf_milter.core.letter import Letter, compose, greeting, one_line, paragraph, small
from notes2conf_milter.core.skips import Obstacle


@dataclass(frozen=True, slots=True)
class SkipMail:
    """One such mail. date: seconds since 1970 UTC. sender: the From address. language: "en" or "de"."""

    obstacle: Obstacle
    organizer: str
    subject: str
    sender: str
    message_id: str
    date: int
    language: str


@dataclass(frozen=True, slots=True)
class _Texts:
    name: str
    subject: str
    untitled: str
    went: str
    went_untitled: str
    why: dict[Obstacle, str]
    once: str


_TEXTS = {
    "en": _Texts(
        name="Video conference",
        subject="Without a video conference: {subject}",
        untitled="your invitation",
        went="your invitation \N{LEFT DOUBLE QUOTATION MARK}{subject}\N{RIGHT DOUBLE QUOTATION MARK} has gone out unchanged, "
        "without a video conference.",
        went_untitled="your invitation has gone out unchanged, without a video conference.",
        why={
            Obstacle.SIGNED: "It is signed, and any change would break the signature. Without the signature it can be given a "
            "conference: send it once more unsigned.",
            Obstacle.ENCRYPTED: "It is encrypted and could not be read. Unencrypted it can be given a conference.",
            Obstacle.TNEF: "It was sent in Outlook's own format (winmail.dat, rich text), which other programs cannot read. "
            "Set your mail program to HTML or plain text and send it once more.",
            Obstacle.UNREADABLE: "Its calendar could not be read safely. If that happens again, tell your administrator.",
            Obstacle.DKIM: "Your mail server had signed it (DKIM), and any change would break that signature. That is for your "
            "administrator to solve, once for all: please pass this mail on.",
        },
        once="You get this mail once for each invitation.",
    ),
    "de": _Texts(
        name="Videokonferenz",
        subject="Ohne Videokonferenz: {subject}",
        untitled="Ihre Einladung",
        went="Ihre Einladung \N{DOUBLE LOW-9 QUOTATION MARK}{subject}\N{LEFT DOUBLE QUOTATION MARK} ist unverändert "
        "hinausgegangen, ohne Videokonferenz.",
        went_untitled="Ihre Einladung ist unverändert hinausgegangen, ohne Videokonferenz.",
        why={
            Obstacle.SIGNED: "Sie ist signiert, und jede Änderung würde die Signatur brechen. Ohne Signatur kann sie eine "
            "Konferenz erhalten: Senden Sie sie noch einmal unsigniert.",
            Obstacle.ENCRYPTED: "Sie ist verschlüsselt und konnte nicht gelesen werden. Unverschlüsselt kann sie eine "
            "Konferenz erhalten.",
            Obstacle.TNEF: "Sie wurde im eigenen Format von Outlook gesendet (winmail.dat, Rich-Text), das andere Programme "
            "nicht lesen. Stellen Sie Ihr Mailprogramm auf HTML oder Nur-Text und senden Sie sie noch einmal.",
            Obstacle.UNREADABLE: "Der Kalenderteil konnte nicht sicher gelesen werden. Kommt das wieder vor, sagen "
            "Sie es bitte Ihrer Administration.",
            Obstacle.DKIM: "Ihr Mailserver hatte sie schon signiert (DKIM), und jede Änderung würde diese Signatur brechen. "
            "Das kann Ihre Administration ein für alle Mal lösen: Leiten Sie ihr diese Mail bitte weiter.",
        },
        once="Zu jeder Einladung erhalten Sie diese Mail nur einmal.",
    ),
}


def skip_mail(mail: SkipMail) -> bytes:
    """Return the octets of a mail that says why there is no link."""
    texts = _TEXTS[mail.language]
    subject = one_line(mail.subject)
    blocks = (
        greeting("", mail.language),
        paragraph(texts.went.format(subject=subject) if subject else texts.went_untitled),
        paragraph(texts.why[mail.obstacle]),
        small(texts.once),
    )
    title = texts.subject.format(subject=subject or texts.untitled)
    return compose(
        Letter(mail.sender, texts.name, mail.organizer, title, mail.message_id, mail.date, mail.language, blocks)
    )
