"""The keyword that asks for a conference, found and taken out again.

In:  octets or a raw Subject value. Out: whether the keyword stands there; what to cut so that it does not.
A keyword is a word of its own: `@meet` stands in `Planning @meet`, not in `anna@meet.example` nor in `@meeting`.
Fails: never.
"""

import base64
import binascii
import quopri
import re
from dataclasses import dataclass
from itertools import pairwise

from notes2conf_milter.core.charset import Charset, charset_of
from notes2conf_milter.core.transfer import Splice, splice

_BLANK = rb"(?:[ \t]|\r?\n(?=[ \t]))"  # a fold in a header field counts as a blank (RFC 5322 §2.2.3)
_ENCODED_WORD = re.compile(
    rb"=\?([!-)+-<>@-~]+?)(?:\*[A-Za-z-]*)?\?([BbQq])\?([!->@-~]*)\?="
)  # RFC 2047 §2, RFC 2231 §5

_MAX_SUBJECT = 10_000  # octets; a longer one is left as it is


def keyword_pattern(keyword: str) -> re.Pattern[bytes]:
    """Return the pattern that finds `keyword` (ASCII, no blanks) as a word of its own, and the blanks before it."""
    word = re.escape(keyword.encode("ascii"))
    before = rb"(?<![A-Za-z0-9._%+@\-\x80-\xff])"
    after = rb"(?![A-Za-z0-9_@\-\x80-\xff]|\.[A-Za-z0-9])"
    # No start within a run of blanks and folds: a long run is walked once, not from each of its octets.
    blanks = rb"(?:(?<![ \t\n])(?<!\r(?=\n))" + _BLANK + rb"+|(?<![ \t])[ \t]*)"
    return re.compile(blanks + before + word + after, re.IGNORECASE)


def cuts(text: bytes, pattern: re.Pattern[bytes]) -> list[Splice]:
    """Return the splices that take the keyword out of `text`, each with the blanks before it, or behind it at the start."""
    found = []
    at, leading = 0, True  # where the cut before ended, and whether all in front of it is cut
    for match in pattern.finditer(text):
        start, end = match.span()
        if end == len(text):
            start = _separator_start(text, start)  # `Room 12, @meet` leaves no comma behind
        start = max(start, at)
        leading = leading and start == at
        while leading and text[end : end + 1] in (b" ", b"\t"):
            end += 1
        found.append(Splice(start, end, b""))
        at = end
    return found


def _separator_start(text: bytes, end: int) -> int:
    """Return where the separator and the blanks begin that stand right before `end`; escaped (RFC 5545 §3.3.11) or not."""
    kept = text[:end].rstrip(b" \t")
    if kept[-1:] not in (b",", b";", b"|", b"/", b"-"):
        return end
    separator, kept = kept[-1:], kept[:-1]
    before = kept.removesuffix(b"\\")
    if (separator == b"|" or before != kept) and before[-1:] >= b"\x80" and not _is_utf8(before):
        return end  # in Shift_JIS, GBK and Big5 the backslash or bar may be half a character
    if separator in (b",", b";") and (len(kept) - len(kept.rstrip(b"\\"))) % 2:
        kept = before
    return len(kept.rstrip(b" \t"))


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Word:
    """A piece of a Subject: [start, end) of the value, and the octets it stands for. charset: None for plain text."""

    start: int
    end: int
    octets: bytes
    charset: Charset | None
    head: bytes = b""


def without_keyword(value: bytes, pattern: re.Pattern[bytes]) -> bytes | None:
    """Return a Subject value (RFC 5322 §3.6.5, with encoded words) without the keyword; None when it is not in there."""
    if len(value) > _MAX_SUBJECT:
        return None
    lead = len(value) - len(value.lstrip(b" \t\r\n"))
    words = _words(value, lead)
    text = b"".join(word.octets for word in words)
    found = cuts(text, pattern)
    if not found:
        return None
    changes: list[Splice] = []
    at = 0
    for word in words:
        inside = [
            Splice(max(cut.start - at, 0), min(cut.end - at, len(word.octets)), b"")
            for cut in found
            if cut.start < at + len(word.octets) and cut.end > at
        ]
        at += len(word.octets)
        if inside:
            change = _without(value, lead, word, splice(word.octets, inside))
            start = max(change.start, changes[-1].end) if changes else change.start  # its blanks may be gone already
            changes.append(Splice(start, change.end, change.text))
    return splice(value, changes)


def _words(value: bytes, lead: int) -> list[_Word]:
    """Return the pieces of `value` behind its leading blanks; blanks between encoded words stand for nothing."""
    found = [match for match in _ENCODED_WORD.finditer(value, lead) if _decoded(match) is not None]
    ends = [lead, *(match.end() for match in found)]
    starts = [*(match.start() for match in found), len(value)]
    words: list[_Word] = []
    for index, (start, end) in enumerate(zip(ends, starts, strict=True)):
        between = value[start:end]
        if not (0 < index < len(found) and not between.strip()):  # RFC 2047 §6.2
            words.append(_Word(start, end, between, None))
        if index < len(found):
            match = found[index]
            octets = _decoded(match)
            charset = charset_of(match[1], octets or b"", b"base64", "ascii")
            words.append(
                _Word(match.start(), match.end(), octets or b"", charset, match[0][: match.start(3) - match.start()])
            )
    return words


def _decoded(match: re.Match[bytes]) -> bytes | None:
    try:
        octets = (
            base64.b64decode(match[3], validate=True)
            if match[2] in b"Bb"
            else quopri.decodestring(match[3], header=True)
        )
    except binascii.Error:
        return None
    return None if charset_of(match[1], octets, b"base64", "ascii") is None else octets


def _without(value: bytes, lead: int, word: _Word, octets: bytes) -> Splice:
    """Return the splice that makes `word` stand for `octets`; an encoded word that stands for nothing goes altogether."""
    if word.charset is None:
        return Splice(word.start, word.end, octets)
    if octets:
        coded = base64.b64encode(octets) if word.head[-2:-1] in b"Bb" else _q(octets)
        return Splice(word.start, word.end, word.head + coded + b"?=")
    start = word.start
    while start > lead and value[start - 1 : start] in (b" ", b"\t", b"\r", b"\n"):
        start -= 1
    return Splice(start, word.end, b"")


def _q(octets: bytes) -> bytes:
    """Return the Q encoding (RFC 2047 §4.2) that is safe in every header field."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
    return b"".join(
        b"_" if octet == 32 else bytes((octet,)) if octet in plain else b"=%02X" % octet for octet in octets
    )


def folds_whole(value: bytes) -> bool:
    """Say whether every line of a field value after the first begins with a blank and holds more than blanks."""
    lines = value.split(b"\n")
    return all(line[:1] in (b" ", b"\t") and line.strip() for _, line in pairwise(lines))
