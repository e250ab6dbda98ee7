"""The mail that brings the organizer the start link, and tells when the meeting has been moved.

In:  what the page shows, the links, the address it comes from, its Message-ID and date. Out: its octets.
Fails: never for values that the store gives.

To the organizer alone.
"""

from dataclasses import dataclass

from notes2conf_milter.core.letter import (
    Letter,
    button,
    coming,
    compose,
    facts,
    greeting,
    link,
    one_line,
    paragraph,
    small,
    spoken,
)
from notes2conf_milter.core.meeting import Occurrence, Page
from notes2conf_milter.core.times import after_end


@dataclass(frozen=True, slots=True)
class StartMail:
    """One start mail. date: seconds since 1970 UTC. sender: the From address. language: "en" or "de".

    moved: an occurrence as it was and as it is now, where the meeting has been moved. refers_to: the Message-ID of the first
    start mail, or "". grace: seconds that the links outlive the meeting.
    """

    page: Page
    start_url: str
    join_url: str
    sender: str
    message_id: str
    date: int
    language: str
    moved: tuple[Occurrence, ...] = ()
    refers_to: str = ""
    grace: int = 0


@dataclass(frozen=True, slots=True)
class _Texts:
    name: str
    subject: str
    moved_subject: str
    intro: str
    moved: str
    date_moved: str
    what: str
    time: str
    series: str
    button: str
    keep: str
    guests: str
    again: str
    forget: str


_TEXTS = {
    "en": _Texts(
        name="Video conference",
        subject="Start link: {subject}",
        moved_subject="Moved, start link: {subject}",
        intro="your invitation has been given a video conference. With this link you start it:",
        moved="your meeting has been moved; before, it was on {before}. The links are the same. With this one you start it:",
        date_moved="a date of your series has been moved; before, it was on {before}. With the same link you start it:",
        what="Meeting",
        time="When",
        series="This is a series. The same link starts every date.",
        button="Start the video conference",
        keep="Whoever has this link can start the conference. Please do not forward it.",
        guests="Your guests have another link in their invitation; until you start, it leads to a waiting room",
        again="To get this mail again, send the invitation once more without a change.",
        forget="The links stop working {end}; what was kept for them is then deleted.",
    ),
    "de": _Texts(
        name="Videokonferenz",
        subject="Startlink: {subject}",
        moved_subject="Verlegt, Startlink: {subject}",
        intro="Ihre Einladung hat eine Videokonferenz erhalten. Mit diesem Link starten Sie sie:",
        moved="Ihre Besprechung wurde verlegt; vorher war sie am {before}. Die Links bleiben. Mit diesem starten Sie sie:",
        date_moved="ein Termin Ihrer Serie wurde verlegt; vorher war er am {before}. Derselbe Link startet ihn:",
        what="Besprechung",
        time="Wann",
        series="Dies ist eine Serie. Derselbe Link startet jeden Termin.",
        button="Videokonferenz starten",
        keep="Wer diesen Link hat, kann die Konferenz starten. Bitte leiten Sie ihn nicht weiter.",
        guests="Ihre Gäste haben einen anderen Link in der Einladung; bis Sie starten, führt er in einen Warteraum",
        again="Sie brauchen diese Mail noch einmal? Senden Sie die Einladung ohne Änderung erneut.",
        forget="Die Links verlieren {end} ihre Gültigkeit; dann wird gelöscht, was dafür gespeichert war.",
    ),
}


def start_mail(mail: StartMail) -> bytes:
    """Return the octets of a start mail."""
    texts = _TEXTS[mail.language]
    subject = one_line(mail.page.subject) or texts.what
    shown = mail.moved[1] if mail.moved else coming(mail.page.times, mail.date)
    told = texts.date_moved if mail.page.recurring else texts.moved
    moved = told.format(before=spoken(mail.moved[0], mail.language)) if mail.moved else texts.intro
    blocks = (
        greeting(mail.page.organizer.name, mail.language),
        paragraph(moved),
        button(texts.button, mail.start_url),
        facts(
            ((texts.what, subject), (texts.time, spoken(shown, mail.language) if shown else "")),
            *([texts.series] if mail.page.recurring else []),
        ),
        paragraph(texts.keep),
        link(texts.guests, mail.join_url),
        small(texts.again),
        small(texts.forget.format(end=after_end(mail.grace, mail.language, series=mail.page.recurring))),
    )
    return compose(
        Letter(
            mail.sender,
            texts.name,
            mail.page.organizer.address,
            (texts.moved_subject if mail.moved else texts.subject).format(subject=subject),
            mail.message_id,
            mail.date,
            mail.language,
            blocks,
            refers_to=mail.refers_to,
        )
    )
