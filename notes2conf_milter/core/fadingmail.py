"""The mail that tells the organizer of a series without an end that its links are about to be deleted.

In:  what the page shows, until when it is kept, the start link, where the mail comes from. Out: its octets.
Fails: never for values that the store gives.
"""

from dataclasses import dataclass

from babel.dates import format_date

from notes2conf_milter.core.instants import local_time
from notes2conf_milter.core.letter import Letter, button, compose, facts, greeting, one_line, paragraph, small
from notes2conf_milter.core.meeting import Page
from notes2conf_milter.core.times import LOCALES


@dataclass(frozen=True, slots=True)
class FadingMail:
    """One such mail. end, date: seconds since 1970 UTC. language: "en" or "de". refers_to: Message-ID of the start mail."""

    page: Page
    end: int
    start_url: str
    sender: str
    message_id: str
    date: int
    language: str
    refers_to: str


@dataclass(frozen=True, slots=True)
class _Texts:
    name: str
    subject: str
    what: str
    intro: str
    keep: str
    button: str
    else_: str


_TEXTS = {
    "en": _Texts(
        name="Video conference",
        subject="Links end soon: {subject}",
        what="Meeting",
        intro="your series has no end, and you have not written about it for a long time. Its links for the video conference "
        "end on {end}; what was kept for them is then deleted.",
        keep="To keep them, send the invitation once more: a copy without a change is enough. The links stay the same.",
        button="Start the video conference",
        else_="If nobody needs the series any more, you need not do anything.",
    ),
    "de": _Texts(
        name="Videokonferenz",
        subject="Links enden bald: {subject}",
        what="Besprechung",
        intro="Ihre Serie hat kein Ende, und Sie haben lange nichts zu ihr geschrieben. Ihre Links zur Videokonferenz enden am "
        "{end}; dann wird gelöscht, was dafür gespeichert war.",
        keep="Sollen sie bleiben, senden Sie die Einladung noch einmal: unverändert genügt. Die Links bleiben dieselben.",
        button="Videokonferenz starten",
        else_="Wird die Serie nicht mehr gebraucht, müssen Sie nichts tun.",
    ),
}


def fading_mail(mail: FadingMail) -> bytes:
    """Return the octets of the mail."""
    texts = _TEXTS[mail.language]
    subject = one_line(mail.page.subject) or texts.what
    end = format_date(local_time(mail.end).date(), "full", locale=LOCALES[mail.language])
    blocks = (
        greeting(mail.page.organizer.name, mail.language),
        paragraph(texts.intro.format(end=end)),
        facts(((texts.what, subject),)),
        paragraph(texts.keep),
        button(texts.button, mail.start_url),
        small(texts.else_),
    )
    return compose(
        Letter(
            mail.sender,
            texts.name,
            mail.page.organizer.address,
            texts.subject.format(subject=subject),
            mail.message_id,
            mail.date,
            mail.language,
            blocks,
            refers_to=mail.refers_to,
        )
    )
