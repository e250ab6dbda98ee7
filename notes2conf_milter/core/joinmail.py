"""The mail that brings an internal attendee the join link, and the one that says that the conference is off.

In:  what the page shows, the attendee, the link, the address it comes from, its Message-ID and date. Out: its octets.
Fails: never for values that the store gives.

The invitations of these attendees never pass the gateway, so they carry no link. Answers go to the organizer.
"""

from dataclasses import dataclass

from notes2conf_milter.core.letter import (
    Block,
    Letter,
    button,
    coming,
    compose,
    facts,
    greeting,
    one_line,
    paragraph,
    small,
    spoken,
)
from notes2conf_milter.core.meeting import Page, Person
from notes2conf_milter.core.times import after_end


@dataclass(frozen=True, slots=True)
class JoinMail:
    """One mail to an attendee. join_url: None says that the conference is off. date: seconds since 1970 UTC.

    sender: the From address. language: "en" or "de". grace: seconds that the link outlives the meeting.
    """

    page: Page
    attendee: Person
    join_url: str | None
    sender: str
    message_id: str
    date: int
    language: str
    grace: int = 0


@dataclass(frozen=True, slots=True)
class _Texts:
    name: str
    subject: str
    cancelled_subject: str
    intro: str
    cancelled: str
    what: str
    time: str
    who: str
    series: str
    button: str
    room: str
    calendar: str
    forget: str


_TEXTS = {
    "en": _Texts(
        name="Video conference",
        subject="Join link: {subject}",
        cancelled_subject="Cancelled, video conference: {subject}",
        intro="you are invited to a meeting with a video conference. With this link you join it:",
        cancelled="the video conference of this meeting is cancelled for you. Its link may not work any more.",
        what="Meeting",
        time="When",
        who="Organizer",
        series="This is a series. The link is the same for every date.",
        button="Join the video conference",
        room="Until the organizer opens the conference, the link leads to a waiting room.",
        calendar="The invitation itself is in your calendar; there you accept or decline it.",
        forget="The link stops working {end}; what was kept for it is then deleted.",
    ),
    "de": _Texts(
        name="Videokonferenz",
        subject="Teilnahmelink: {subject}",
        cancelled_subject="Abgesagt, Videokonferenz: {subject}",
        intro="Sie sind zu einer Besprechung mit Videokonferenz eingeladen. Mit diesem Link nehmen Sie teil:",
        cancelled="die Videokonferenz zu dieser Besprechung ist für Sie abgesagt. Ihr Link gilt womöglich nicht mehr.",
        what="Besprechung",
        time="Wann",
        who="Eingeladen von",
        series="Dies ist eine Serie. Der Link gilt für jeden Termin.",
        button="An der Videokonferenz teilnehmen",
        room="Bis die Konferenz eröffnet wird, führt der Link in einen Warteraum.",
        calendar="Die Einladung selbst steht in Ihrem Kalender; dort sagen Sie zu oder ab.",
        forget="Der Link verliert {end} seine Gültigkeit; dann wird gelöscht, was dafür gespeichert war.",
    ),
}


def join_mail(mail: JoinMail) -> bytes:
    """Return the octets of a mail to an attendee."""
    texts, page = _TEXTS[mail.language], mail.page
    subject = one_line(page.subject) or texts.what
    organizer = one_line(page.organizer.name) or page.organizer.address
    shown = coming(page.times, mail.date)
    named = ((texts.what, subject), (texts.time, spoken(shown, mail.language) if shown else ""))
    about = facts((*named, (texts.who, organizer)), *([texts.series] if page.recurring and mail.join_url else []))
    blocks: tuple[Block, ...]
    if mail.join_url is None:
        title, blocks = texts.cancelled_subject, (paragraph(texts.cancelled), about)
    else:
        title = texts.subject
        blocks = (paragraph(texts.intro), button(texts.button, mail.join_url), about, paragraph(texts.room))
        blocks += (
            paragraph(texts.calendar),
            small(texts.forget.format(end=after_end(mail.grace, mail.language, series=page.recurring))),
        )
    return compose(
        Letter(
            mail.sender,
            texts.name,
            mail.attendee.address,
            title.format(subject=subject),
            mail.message_id,
            mail.date,
            mail.language,
            (greeting(mail.attendee.name, mail.language), *blocks),
            reply_to=page.organizer.address,
        )
    )
