"""Law 2, checked on every rewritten message by a reader that shares no parser with the edit.

In:  the original, the result, and what was meant to be put in. Out: None when nothing else changed, else a word that says
     where something did (for the log; it holds no octet of the message).
The reader is the standard library's `email` for the MIME structure and a few regular expressions for calendars and texts.
It asks of the result: the same parts; outside the bodies of the parts that changed, the same octets; of those parts, the same
encoded lines around the edits, and decoded nothing new but the inserted text; in a calendar the same lines, octet for octet,
but for the properties on the insertion list. Of the repairs that were meant it knows the two edits (core.samewrapping,
core.samedates) and nothing more.
What it cannot see: how a property is folded from which something was taken; how the lines between the first and the last edit
of a quoted-printable part, and those behind the first of a base64 part, are encoded. What they say is compared all the same.
Fails: never, want of memory aside; whatever else goes wrong in here is a failed check.
"""

import binascii
import email
import email.policy
import re
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import collapse_rfc2231_value

from notes2conf_milter.core.meant import Meant, text_equal, without_keyword
from notes2conf_milter.core.octets import common, common_end
from notes2conf_milter.core.samecalendar import FOLDING, calendar_complaint
from notes2conf_milter.core.samewrapping import wrapped_again
from notes2conf_milter.core.shortened import shortened, whole

_HEADER_END = re.compile(rb"\r?\n\r?\n")
_FIELDS = re.compile(rb"(?:[!-9;-~]+[ \t]*:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n)+\r?\n")
_MIME_FIELD = re.compile(rb"(?im)^content-[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n")
_SUBJECT = re.compile(rb"(?im)^Subject[ \t]*:(.*(?:\n[ \t].*)*\n?)")
_BLANKS = re.compile(rb"\s+")
_CHANCE = 8  # octets that inserted text may have in common with what it stands before or behind
_CHANCE_OF_BLOCKS = 2_000  # the same, where a block or link of ours was there before; more where a block is longer
_LINE_END = "\r\n"
_TRIES = 50  # how many places are tried for a body


def check(original: bytes, result: bytes, meant: Meant) -> str | None:
    """Return None when `result` differs from `original` in nothing but what was meant, else a word for the place."""
    try:
        return _check(original, result, meant)
    except MemoryError:  # says nothing of the message: who gives the memory says what becomes of it
        raise
    except Exception as error:  # noqa: BLE001 - a check that cannot be made is a check that failed (law 4)
        return f"unreadable ({type(error).__name__})"


def _check(original: bytes, result: bytes, meant: Meant) -> str | None:
    if meant.unwraps:
        result = _wrapped_again(original, result)
    (header, start), (header_other, start_other) = _header(original), _header(result)
    if header != header_other and (meant.keyword is None or not _header_equal(header, header_other, meant)):
        return "header"
    changed: list[tuple[Message, Message]] = []
    short, short_other, runs = shortened(original, result)
    before, after = _read(_mime_alone(short, start)), _read(_mime_alone(short_other, start_other))
    complaint = _entity(before, after, changed)
    if complaint is not None:
        return complaint
    pairs = [(one, whole(_body(one), original, runs), whole(_body(other), original, runs)) for one, other in changed]
    bodies = [(body, body_other) for _, body, body_other in pairs]
    if not _rest_equal(original, result, start, start_other, bodies):
        return "outside"
    return next((found for found in (_leaf(*pair, meant) for pair in pairs) if found), None)


def _wrapped_again(original: bytes, result: bytes) -> bytes:
    """Return the result with every multipart/related that may be gone."""
    short, short_other, runs = shortened(original, result)
    before, after = (_read(_mime_alone(one, _header(one)[1])) for one in (short, short_other))
    return wrapped_again(
        result, before, after, lambda part: _decoded(whole(_body(part), original, runs), _encoding(part))
    )


def _encoding(part: Message) -> str:
    return "".join(str(part.get("content-transfer-encoding", "")).split()).partition(";")[0].lower()


def _read(message: bytes) -> Message:
    """Return a message as the standard library reads it, one character an octet.

    Where no delimiter closes a multipart it takes the last line end for a delimiter's: so it gets one to take.
    """
    found = email.message_from_string(message.decode("latin-1") + _LINE_END, policy=email.policy.compat32)
    alone = found.get_payload()
    if isinstance(alone, str):
        found.set_payload(alone.removesuffix(_LINE_END))
    return found


def _mime_alone(message: bytes, start: int) -> bytes:
    """Return a message with those fields alone that say how it is made; the others are compared elsewhere.

    start: where the body begins. A header of which any line is no field stays as it is.
    """
    header = message[:start]
    if _FIELDS.fullmatch(header) is None:
        return message
    return b"".join(_MIME_FIELD.findall(header)) + b"\r\n" + message[start:]


def _body(part: Message) -> bytes:
    return str(part.get_payload()).encode("latin-1")


# --- header ---


def _header(message: bytes) -> tuple[bytes, int]:
    """Return the header section with the empty line, and where the body begins."""
    end = _HEADER_END.search(message)
    return (message, len(message)) if end is None else (message[: end.end()], end.end())


def _header_equal(before: bytes, after: bytes, meant: Meant) -> bool:
    """Say whether nothing but a keyword has gone from the Subject."""
    first, second = _SUBJECT.findall(before), _SUBJECT.findall(after)
    if _SUBJECT.sub(b"", before) != _SUBJECT.sub(b"", after) or len(first) != len(second):
        return False
    return all(one == other or _subject_equal(one, other, meant) for one, other in zip(first, second, strict=True))


def _subject_equal(before: bytes, after: bytes, meant: Meant) -> bool:
    words = _BLANKS.sub(b"", _words(after))
    return any(_BLANKS.sub(b"", text) == words for text in without_keyword(_words(before), meant))


def _words(value: bytes) -> bytes:
    """Return the octets that a Subject stands for, its encoded words (RFC 2047) decoded."""
    try:
        pieces = decode_header(FOLDING.sub(b" ", value).decode("latin-1"))
    except HeaderParseError:
        return value
    return b"".join(text if isinstance(text, bytes) else text.encode("latin-1") for text, _ in pieces)


# --- parts ---


def _entity(before: Message, after: Message, changed: list[tuple[Message, Message]], *, top: bool = True) -> str | None:
    """Walk both trees and gather the parts whose bodies differ."""
    if not top and before.items() != after.items():
        return "part-header"
    first, second = before.get_payload(), after.get_payload()
    if isinstance(first, list) and isinstance(second, list):
        if before.get_content_maintype() != "multipart":
            return None  # message/rfc822 and the like: nothing inside is ever edited
        if len(first) != len(second):
            return "parts"
        found = (_entity(one, other, changed, top=False) for one, other in zip(first, second, strict=True))
        return next((complaint for complaint in found if complaint), None)
    if first != second:
        changed.append((before, after))
    return None


def _rest_equal(one: bytes, other: bytes, at: int, at_other: int, changed: list[tuple[bytes, bytes]]) -> bool:
    """Say whether one[at:] and other[at_other:] are the same but for the bodies that changed, in their order."""
    for body, body_other in changed:
        same = common(one, other, at, at_other)
        # The body begins as far before the first difference as the two bodies agree, or a little earlier.
        latest = at + same - common(body, body_other)
        found = one.rfind(body, at, max(latest, at) + len(body))
        for _ in range(_TRIES):
            if found < 0 or other.startswith(body_other, at_other + found - at):
                break
            found = one.rfind(body, at, max(found - 1, at) + len(body)) if found > at else -1
        if found < 0 or same < found - at:
            return False
        at, at_other = found + len(body), at_other + found - at + len(body_other)
    rest = len(one) - at
    return len(other) - at_other == rest == common(one, other, at, at_other)


def _leaf(before: Message, body: bytes, body_other: bytes, meant: Meant) -> str | None:
    encoding = _encoding(before)
    one, other = _decoded(body, encoding), _decoded(body_other, encoding)
    if encoding in ("base64", "quoted-printable") and not _lines_kept(body, body_other, one, other, encoding, meant):
        return "encoded-lines"
    if before.get_content_type() in ("text/calendar", "application/ics") or _is_ics(before):
        return calendar_complaint(one, other, meant)
    if before.get_content_type() in ("text/plain", "text/html"):
        return None if text_equal(one, other, meant) else "body"
    return "attachment"


def _is_ics(part: Message) -> bool:
    """Say whether one of the part's file names ends in .ics, encoded words (RFC 2047) decoded."""
    names = [part.get_filename(), collapse_rfc2231_value(part.get_param("name", "") or "")]
    return any(str(make_header(decode_header(name))).strip("\"' ").lower().endswith(".ics") for name in names if name)


def _decoded(body: bytes, encoding: str) -> bytes:
    match encoding:
        case "base64":
            return binascii.a2b_base64(body.translate(None, b" \t\r\n"), strict_mode=True)
        case "quoted-printable":
            return binascii.a2b_qp(body)
    return body


def _lines_kept(body: bytes, other: bytes, decoded: bytes, decoded_other: bytes, encoding: str, meant: Meant) -> bool:
    """Say whether the encoded lines before the first change, and in quoted-printable behind the last, are the same (law 2)."""
    ours = meant.own.search(FOLDING.sub(b"", decoded)) is not None
    chance = max(_CHANCE_OF_BLOCKS, *map(len, meant.insertions)) if ours else _CHANCE
    head = common(decoded, decoded_other) - chance
    line_end = body.find(b"\n", common(body, other)) + 1 or len(body)
    if encoding == "base64":
        return len(body[:line_end].translate(None, b" \t\r\n=")) * 3 // 4 >= head
    tail = common_end(decoded, decoded_other, min(len(decoded), len(decoded_other)) - max(head, 0)) - chance
    same = common_end(body, other, min(len(body), len(other)))
    line_start = body.rfind(b"\n", 0, max(len(body) - same - 1, 0)) + 1
    return len(_decoded(body[:line_end], encoding)) >= head and len(_decoded(body[line_start:], encoding)) >= tail
