"""A mail of the house: how its header and its two bodies are made, whatever it says.

In:  who it is from and for, a title, blocks of text. Out: its octets, text and HTML, ASCII on the wire, with CRLF line ends.
Fails: never for values that the store gives; whatever stands in a subject ends up on one line.

Such a mail goes to one person; it has no calendar part, so that no calendar takes it for an invitation, and is marked as made
by a machine (RFC 3834). The Message-ID is the same whenever the same mail is sent again, so that mail systems recognise the
double.
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

from notes2conf_milter.core.meeting import Occurrence
from notes2conf_milter.core.times import when

_POLICY = compat32.clone(linesep="\r\n")  # the newer ones parse every field that they write: three times as slow
_UTF_8 = Charset("utf-8")
_UTF_8.header_encoding = BASE64  # finding out whether quoted-printable is shorter takes longer than all else here
_HELLO = {"en": "Hello", "de": "Guten Tag"}


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, in both forms. text: lines; html: an element."""

    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail. sender, recipient, reply_to: addresses. name: beside the sender's. date: seconds since 1970 UTC.

    language: "en" or "de". refers_to: the Message-ID of an earlier mail, or "".
    """

    sender: str
    name: str
    recipient: str
    title: str
    message_id: str
    date: int
    language: str
    blocks: tuple[Block, ...]
    reply_to: str = ""
    refers_to: str = ""


def compose(letter: Letter) -> bytes:
    """Return the octets of a mail (RFC 5322 §2.3)."""
    # The same mail has the same octets, so the boundary is fixed; quoted-printable never holds `=_`.
    message = MIMEMultipart("alternative", "=_notes2conf_start")
    message["Date"] = formatdate(letter.date)
    message["From"] = f"{letter.name} <{letter.sender}>"
    message["To"] = f"<{letter.recipient}>"
    if letter.reply_to:
        message["Reply-To"] = f"<{letter.reply_to}>"
    title = one_line(letter.title)
    message["Subject"] = Header(title, "us-ascii" if title.isascii() else _UTF_8, header_name="Subject").encode()
    message["Message-ID"] = letter.message_id
    if letter.refers_to:
        message["In-Reply-To"] = message["References"] = letter.refers_to  # RFC 5322 §3.6.4
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5
    message["X-Auto-Response-Suppress"] = "All"  # Exchange: no out-of-office answers
    message["Content-Language"] = letter.language
    message.attach(_part("plain", "\n\n".join(block.text for block in letter.blocks if block.text) + "\n"))
    message.attach(_part("html", _page(letter)))
    return message.as_bytes(policy=_POLICY)


def _page(letter: Letter) -> str:
    body = "\n".join(block.html for block in letter.blocks if block.text)
    return (
        f'<!DOCTYPE html>\n<html lang="{letter.language}"><head><meta charset="utf-8">'
        f"<title>{escape(one_line(letter.title))}</title></head>\n"
        '<body style="font-family: sans-serif; font-size: 16px; line-height: 1.5; max-width: 36em">\n'
        f"{body}\n</body></html>\n"
    )


def _part(subtype: str, text: str) -> MIMENonMultipart:
    part = MIMENonMultipart("text", subtype, charset="utf-8")
    part["Content-Transfer-Encoding"] = "quoted-printable"
    octets = text.encode("utf-8", "replace")  # a lone surrogate is no character
    part.set_payload(binascii.b2a_qp(octets, istext=True).decode("ascii"))
    return part


def letter_language(*wished: str) -> str:
    """Return the first of the languages `wished` in which we can write a mail, else "en"."""
    return next((language for language in wished if language in _HELLO), "en")


def greeting(name: str, language: str) -> Block:
    """Return the first line. name: may be ""."""
    hello = _HELLO[language]
    name = one_line(name)
    return paragraph(f"{hello} {name}," if name else f"{hello},")


def paragraph(text: str) -> Block:
    """Return a paragraph."""
    return Block(text, f"<p>{escape(text)}</p>")


def small(text: str) -> Block:
    """Return a paragraph that matters less."""
    return Block(text, f'<p style="color: #555555; font-size: 14px">{escape(text)}</p>')


def button(label: str, url: str) -> Block:
    """Return a link to be clicked; in plain text the link alone."""
    style = "display: inline-block; padding: .6em 1.2em; border-radius: .4em; "
    style += "background: #1f5f8b; color: #ffffff; text-decoration: none; font-weight: bold"
    return Block(url, f'<p><a href="{escape(url)}" style="{style}">{escape(label)}</a></p>')


def link(intro: str, url: str) -> Block:
    """Return a sentence that ends before its colon, and a link that is shown."""
    return Block(f"{intro}:\n{url}", f'<p>{escape(intro)}:<br>\n<a href="{escape(url)}">{escape(url)}</a></p>')


def facts(named: tuple[tuple[str, str], ...], *more: str) -> Block:
    """Return lines of a name and what it stands for, where that is known and not the name itself, and further lines.

    Without any line it is an empty block, and is left out of the mail.
    """
    named = tuple((name, value) for name, value in named if value not in ("", name))
    text = "\n".join([*(f"{name}: {value}" for name, value in named), *more])
    lines = [*(f"<b>{escape(name)}:</b> {escape(value)}" for name, value in named), *map(escape, more)]
    return Block(text, "<p>" + "<br>\n".join(lines) + "</p>")


def spoken(occurrence: Occurrence, language: str) -> str:
    """Return when an occurrence takes place, on one line."""
    said = when(occurrence, language)
    return ", ".join(part for part in (said.date, said.time, said.zone) if part)


def coming(times: tuple[Occurrence, ...], now: int) -> Occurrence | None:
    """Return the current or next of some occurrences, else the last one, unless it is long over. now: seconds since 1970 UTC.

    Of a series whose rule nobody computes the first time alone is known: years after it that says nothing.
    """
    last = times[-1] if times and times[-1].end > now - 86_400 else None  # told without a zone, it may not be over yet
    return next((one for one in times if one.end > now), last)


def one_line(text: str) -> str:
    """Return `text` on one line, without control characters, at most 250 characters.

    What looks like an encoded word (RFC 2047) is taken apart: `email` would decode it, line ends and all, into the header.
    """
    line = re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", text)
    return line.replace("=?", "= ?").strip()[:250]
