"""The mail that brings the organizer the start link.

In:  what the page shows, the links, the address it goes to and comes from, its Message-ID and date. Out: its octets, with
     CRLF line ends.
Fails: never for values that the store gives; whatever stands in a subject ends up on one line.

To the organizer alone; without a calendar part, so that no calendar takes it for an invitation; marked as made by a
machine (RFC 3834). The Message-ID is the same whenever the same mail is sent again, so that mail systems recognise the double.
"""

import binascii
import re
from dataclasses import dataclass
from email.charset import BASE64, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import compat32
from email.utils import formatdate
from html import escape

from notes2conf_milter.core.meeting import Page
from notes2conf_milter.core.times import when

_POLICY = compat32.clone(linesep="\r\n")  # the newer ones parse every field that they write: three times as slow
_UTF_8 = Charset("utf-8")
_UTF_8.header_encoding = BASE64  # finding out whether quoted-printable is shorter takes longer than all else here


@dataclass(frozen=True, slots=True)
class StartMail:
    """One start mail. date: seconds since 1970 UTC. sender: the From address. language: "en" or "de"."""

    page: Page
    start_url: str
    join_url: str
    sender: str
    message_id: str
    date: int
    language: str


@dataclass(frozen=True, slots=True)
class _Texts:
    name: str
    subject: str
    intro: str
    what: str
    time: str
    series: str
    start: str
    button: str
    keep: str
    guests: str
    forget: str


_TEXTS = {
    "en": _Texts(
        name="Video conference",
        subject="Start link: {subject}",
        intro="your invitation has been given a video conference. With this link you start it:",
        what="Meeting",
        time="When",
        series="This is a series. The same link starts every date.",
        start="Start link (for you alone)",
        button="Start the video conference",
        keep="Whoever has this link can start the conference. Please do not forward it.",
        guests="Your guests have this link in their invitation; until you start, it leads to a waiting room",
        forget="The links stop working when the meeting is over; what was kept for them is then deleted.",
    ),
    "de": _Texts(
        name="Videokonferenz",
        subject="Startlink: {subject}",
        intro="Ihre Einladung hat eine Videokonferenz erhalten. Mit diesem Link starten Sie sie:",
        what="Besprechung",
        time="Wann",
        series="Dies ist eine Serie. Derselbe Link startet jeden Termin.",
        start="Startlink (nur für Sie)",
        button="Videokonferenz starten",
        keep="Wer diesen Link hat, kann die Konferenz starten. Bitte leiten Sie ihn nicht weiter.",
        guests="Ihre Gäste haben diesen Link in der Einladung; bis Sie starten, führt er in einen Warteraum",
        forget="Die Links gelten bis zum Ende der Besprechung; danach wird gelöscht, was dafür gespeichert war.",
    ),
}


def compose(mail: StartMail) -> bytes:
    """Return the octets of a start mail: text and HTML, ASCII on the wire, CRLF line ends (RFC 5322 §2.3)."""
    texts = _TEXTS[mail.language]
    # The same mail has the same octets, so the boundary is fixed; quoted-printable never holds `=_`.
    message = MIMEMultipart("alternative", "=_notes2conf_start")
    subject = _line(mail.page.subject) or texts.what
    message["Date"] = formatdate(mail.date)
    message["From"] = f"{texts.name} <{mail.sender}>"
    message["To"] = f"<{mail.page.organizer.address}>"
    title = texts.subject.format(subject=subject)
    message["Subject"] = Header(title, "us-ascii" if title.isascii() else _UTF_8, header_name="Subject").encode()
    message["Message-ID"] = mail.message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5
    message["X-Auto-Response-Suppress"] = "All"  # Exchange: no out-of-office answers
    message["Content-Language"] = mail.language
    times = _times(mail)
    message.attach(_part("plain", _text(mail, texts, subject, times)))
    message.attach(_part("html", _html(mail, texts, subject, times)))
    return message.as_bytes(policy=_POLICY)


def _part(subtype: str, text: str) -> MIMENonMultipart:
    part = MIMENonMultipart("text", subtype, charset="utf-8")
    part["Content-Transfer-Encoding"] = "quoted-printable"
    part.set_payload(binascii.b2a_qp(text.encode(), istext=True).decode("ascii"))
    return part


def _times(mail: StartMail) -> str:
    if not mail.page.times:
        return ""
    first = when(mail.page.times[0], mail.language)
    return ", ".join(part for part in (first.date, first.time, first.zone) if part)


def _text(mail: StartMail, texts: _Texts, subject: str, times: str) -> str:
    lines = [
        f"{_greeting(mail)},",
        "",
        texts.intro,
        "",
        mail.start_url,
        "",
        f"{texts.what}: {subject}",
        f"{texts.time}: {times}",
        *([texts.series] if mail.page.recurring else []),
        "",
        texts.keep,
        "",
        f"{texts.guests}:",
        mail.join_url,
        "",
        texts.forget,
        "",
    ]
    return "\n".join(lines)


def _html(mail: StartMail, texts: _Texts, subject: str, times: str) -> str:
    series = f"<br>{escape(texts.series)}" if mail.page.recurring else ""
    start, join = escape(mail.start_url), escape(mail.join_url)
    return (
        f'<!DOCTYPE html>\n<html lang="{mail.language}"><head><meta charset="utf-8"><title>{escape(subject)}</title></head>\n'
        '<body style="font-family: sans-serif; font-size: 16px; line-height: 1.5; max-width: 36em">\n'
        f"<p>{escape(_greeting(mail))},</p>\n<p>{escape(texts.intro)}</p>\n"
        f'<p><a href="{start}" style="display: inline-block; padding: .6em 1.2em; border-radius: .4em; '
        f'background: #1f5f8b; color: #ffffff; text-decoration: none; font-weight: bold">{escape(texts.button)}</a></p>\n'
        f"<p><b>{escape(texts.what)}:</b> {escape(subject)}<br>\n"
        f"<b>{escape(texts.time)}:</b> {escape(times)}{series}</p>\n"
        f"<p>{escape(texts.keep)}</p>\n"
        f'<p>{escape(texts.guests)}:<br>\n<a href="{join}">{join}</a></p>\n'
        f'<p style="color: #555555; font-size: 14px">{escape(texts.forget)}</p>\n</body></html>\n'
    )


def _greeting(mail: StartMail) -> str:
    name = _line(mail.page.organizer.name)
    hello = {"en": "Hello", "de": "Guten Tag"}[mail.language]
    return f"{hello} {name}" if name else hello


def _line(text: str) -> str:
    """Return `text` on one line, without control characters, at most 200 characters.

    What looks like an encoded word (RFC 2047) is taken apart: `email` would decode it, line ends and all, into the header.
    """
    line = re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", text)
    return line.replace("=?", "= ?").strip()[:200]
