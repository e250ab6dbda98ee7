"""Transfer encodings, decoded to read and edited in place (RFC 2045 §6).

In:  the encoded body of a part, and splices of its *decoded* octets. Out: splices of the *encoded* body that have that
     effect. Identity encodings: the same splices. Quoted-printable: only the octets spliced are encoded anew. Base64: the
     digits before the first splice stay, the rest is encoded anew at the same width.
Fails: `decode` returns None for an encoding or for octets that cannot be read without loss; such a part is left alone.
"""

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

IDENTITY = frozenset({b"", b"7bit", b"8bit", b"binary"})
_QP_LINE = 76  # RFC 2045 §6.7 (5), the "=" of a soft line break included
_BASE64_LINE = 76  # RFC 2045 §6.8
_BLANKS = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Splice:
    """Put `text` in the place of the octets [start, end); with start == end, insert it there."""

    start: int
    end: int
    text: bytes


def splice(octets: bytes, splices: Iterable[Splice]) -> bytes:
    """Return `octets` with `splices` applied; they may touch but not overlap (ValueError)."""
    out, at = [], 0
    for change in sorted(splices, key=lambda one: (one.start, one.end)):
        if change.start < at:
            raise ValueError("splices overlap")
        out += [octets[at : change.start], change.text]
        at = change.end
    return b"".join([*out, octets[at:]])


def decode(body: bytes, encoding: bytes) -> bytes | None:
    """Return the decoded octets of `body`, or None when `encoding` is unknown or the octets do not follow it."""
    if encoding in IDENTITY:
        return body
    if encoding == b"quoted-printable":
        return _QuotedPrintable(body).decoded
    if encoding == b"base64":
        return _decode_base64(body)
    return None


def encode(body: bytes, encoding: bytes, splices: Sequence[Splice]) -> list[Splice]:
    """Return the splices of the encoded `body` that have the effect of `splices` on its decoded octets.

    Raises ValueError when `decode` would return None.
    """
    if not splices or encoding in IDENTITY:
        return list(splices)
    if encoding == b"quoted-printable":
        return _QuotedPrintable(body).encode(splices)
    if encoding == b"base64":
        return [_encode_base64(body, splices)]
    raise ValueError("unknown transfer encoding")


# --- base64 ---


def _decode_base64(body: bytes) -> bytes | None:
    compact = body.translate(None, _BLANKS)
    try:
        return base64.b64decode(compact, validate=True)  # padding in the middle is refused, too
    except binascii.Error:
        return None


def _encode_base64(body: bytes, splices: Sequence[Splice]) -> Splice:
    decoded = _decode_base64(body)
    if decoded is None:
        raise ValueError("broken base64")
    group = min(change.start for change in splices) // 3
    start, column = _base64_digit(body, group * 4)
    tail = len(body.rstrip(_BLANKS))
    width, eol = _base64_shape(body)
    encoded = base64.b64encode(splice(decoded, splices)[group * 3 :])
    first = max(width - column, 0)
    lines = [encoded[:first], *(encoded[at : at + width] for at in range(first, len(encoded), width))]
    return Splice(start, max(start, tail), eol.join(lines))


def _base64_digit(body: bytes, digit: int) -> tuple[int, int]:
    """Return where the digit number `digit` stands, or where it would be put: its offset in `body`, and its column."""
    seen = at = 0
    for line in body.splitlines(keepends=True):
        digits = len(line.translate(None, _BLANKS))
        if seen + digits > digit:
            places = (column for column, octet in enumerate(line) if octet not in _BLANKS)
            column = next(islice(places, digit - seen, None))
            return at + column, column
        seen += digits
        at += len(line)
    tail = len(body.rstrip(_BLANKS))
    return tail, tail - max(body.rfind(b"\n", 0, tail), body.rfind(b"\r", 0, tail)) - 1


def _base64_shape(body: bytes) -> tuple[int, bytes]:
    """Return (digits a line, line end) of `body`."""
    lines = body.lstrip(_BLANKS).splitlines(keepends=True)
    first = lines[0] if lines else b""
    eol = b"\n" if first.endswith(b"\n") and not first.endswith(b"\r\n") else b"\r\n"
    width = len(first.strip())
    # One long line stays one long line only as far as SMTP carries it (RFC 5321 §4.5.3.1.6).
    return (width if 4 <= width <= 998 and len(lines) > 1 else _BASE64_LINE), eol


# --- quoted-printable ---

# In order: an escape, a soft line break, blanks that transport added (§6.7 (3)), a plain run, anything else as it is.
_QP_TOKEN = re.compile(
    rb"=([0-9A-Fa-f]{2})|(=[ \t]*\r?\n|=[ \t]*\Z)|([ \t]+(?=\r?\n|\Z))|[^= \t]+|[ \t]+|=",
)


class _QuotedPrintable:
    """A quoted-printable body, decoded, with the way back from each decoded octet to its encoded ones."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        out = bytearray()
        self.starts: list[int] = []  # decoded offset at which each token begins
        self.tokens: list[tuple[int, int]] = []  # its span in the body
        for token in _QP_TOKEN.finditer(body):
            if token[2] is not None or token[3] is not None:
                continue  # decodes to nothing
            self.starts.append(len(out))
            self.tokens.append(token.span())
            out += bytes((int(token[1], 16),)) if token[1] else token[0]
        self.decoded = bytes(out)
        self.eol = b"\n" if b"\n" in body and b"\r\n" not in body else b"\r\n"

    def begin(self, at: int) -> int:
        """Return the offset in the body of the token of decoded octet `at`, or of that octet in a plain run."""
        if at >= len(self.decoded):
            return self.end(len(self.decoded))
        index = bisect_right(self.starts, at) - 1
        start, stop = self.tokens[index]
        return start if stop - start == 3 and self.body[start : start + 1] == b"=" else start + at - self.starts[index]

    def end(self, at: int) -> int:
        """Return the offset in the body behind decoded octet `at` - 1; 0 for `at` 0."""
        if at == 0:
            return 0
        index = bisect_right(self.starts, at - 1) - 1
        start, stop = self.tokens[index]
        escape = stop - start == 3 and self.body[start : start + 1] == b"="
        return stop if escape else start + at - self.starts[index]

    def encode(self, splices: Sequence[Splice]) -> list[Splice]:
        """Return splices of the body for splices of the decoded octets."""
        found = []
        splices = _joined(splices)
        for change in splices:
            start = self.end(change.start)
            if change.start < change.end and b"=" in self.body[start : self.begin(change.start)]:
                start = self.begin(change.start)  # a soft line break stays, blanks that transport added do not
            found.append(Splice(start, max(start, self.end(change.end)), b""))
        out: list[Splice] = []
        previous, behind = -1, 0  # where the splice before ended, and the column its text left behind
        for where, change in zip(found, splices, strict=True):
            line_start = self.body.rfind(b"\n", 0, where.start) + 1
            column = where.start - line_start if previous < line_start else behind + where.start - previous
            text, behind = self._text(where, change.text, column)
            previous = where.end
            out.append(Splice(where.start, where.end, text))
        return out

    def _text(self, where: Splice, text: bytes, column: int) -> tuple[bytes, int]:
        """Return `text` in quoted-printable for the place `where`, and the column behind it: no line grows past 76."""
        out = bytearray()
        before = self.body[where.start - 1 : where.start] if where.start else b""
        if text.startswith(self.eol) and before in (b" ", b"\t"):
            out += b"=" + self.eol  # the blank must not end a line
        for line in re.findall(rb".*?" + self.eol + rb"|.+\Z", text, re.DOTALL):
            content = line.removesuffix(self.eol)
            hard = len(content) < len(line)
            for index, octet in enumerate(content):
                piece = _qp_piece(octet, last=hard and index == len(content) - 1)
                if column + len(piece) >= _QP_LINE:
                    out += b"=" + self.eol
                    column = 0
                out += piece
                column += len(piece)
            if hard:
                out += self.eol
                column = 0
        rejoin = self._rejoin(where, column, bytes(out[-1:]) or before)
        return bytes(out) + rejoin, 0 if rejoin else column

    def _rejoin(self, where: Splice, column: int, last: bytes) -> bytes:
        """Return the soft line break that is due before the octets that follow `where`, or b""."""
        newline = self.body.find(b"\n", where.end)
        following = self.body[where.end : len(self.body) if newline < 0 else newline].rstrip(b"\r")
        exposed = last in (b" ", b"\t") and not following.strip(b" \t")  # a blank would stand at the line's end
        if exposed or (following.strip(b" \t") and column + len(following) >= _QP_LINE):
            return b"=" + self.eol
        return b""


def _joined(splices: Sequence[Splice]) -> list[Splice]:
    """Return the splices in order, those that touch as one: what follows an inserted blank must stay."""
    joined: list[Splice] = []
    for change in sorted(splices, key=lambda one: (one.start, one.end)):
        if joined and joined[-1].end == change.start:
            last = joined.pop()
            change = Splice(last.start, change.end, last.text + change.text)
        joined.append(change)
    return joined


def _qp_piece(octet: int, *, last: bool) -> bytes:
    """Return the encoding of one octet; last: it ends a line, where a blank must not stand (RFC 2045 §6.7 (3))."""
    if octet in b" \t":
        return b"=%02X" % octet if last else bytes((octet,))
    return bytes((octet,)) if 33 <= octet <= 126 and octet != ord("=") else b"=%02X" % octet
