"""Transfer encodings, decoded to read and edited in place (RFC 2045 §6).

In:  the encoded body of a part, and splices of its *decoded* octets. Out: splices of the *encoded* body that have that
     effect. Identity encodings: the same splices. Quoted-printable: only the octets spliced are encoded anew. Base64: the
     digits before the first splice stay, the rest is encoded anew at the same width.
Fails: `decode` returns None for an encoding or for octets that cannot be read without loss; such a part is left alone.
"""

import base64
import binascii
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
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


def splice(octets: bytes, splices: Iterable[Splice], start: int = 0) -> bytes:
    """Return `octets` from `start` on with `splices` applied; they may touch but not overlap (ValueError)."""
    out: list[bytes | memoryview] = []
    view, at = memoryview(octets), start
    for change in sorted(splices, key=lambda one: (one.start, one.end)):
        if change.start < at:
            raise ValueError("splices overlap")
        out += [view[at : change.start], change.text]
        at = change.end
    return b"".join([*out, view[at:]])


def decode(body: bytes, encoding: bytes) -> bytes | None:
    """Return the decoded octets of `body`, or None when `encoding` is unknown or the octets do not follow it."""
    if encoding in IDENTITY:
        return body
    if encoding == b"quoted-printable":
        return _decode_qp(body)
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

_QP_CHUNK = 65_536  # octets decoded at a time, and mapped at a time
_QP_SEAM = re.compile(rb"\n|[^=][^= \t\r\n]")  # behind this, no token is cut in two
# All that is longer encoded than decoded: an escape, a soft line break, blanks that transport added (RFC 2045 §6.7 (3)).
_QP_TOKEN = re.compile(
    rb"=([0-9A-Fa-f]{2})|=[ \t]*+(?:\r?\n|\Z)|[ \t](?<![ \t][ \t])[ \t]*+(?=\r?\n|\Z)",
)
_QP_ESCAPE = re.compile(rb"=[0-9A-Fa-f]{2}")
_QP_HALF = re.compile(rb"=[0-9A-Fa-f]?\Z")
_QP_BLANK = re.compile(rb"[ \t]*+\r*+(?:\n|\Z)")  # nothing but blanks to the end of the line


def _qp_chunks(body: bytes) -> Iterator[tuple[int, int]]:
    """Yield the spans in which `body` can be decoded one by one."""
    start = 0
    while start < len(body):
        seam = _QP_SEAM.search(body, start + _QP_CHUNK)
        end = len(body) if seam is None else seam.end()
        yield start, end
        start = end


def _qp_decoded(chunk: bytes) -> bytes:
    """Decode one span. An `=` that begins no escape stands for itself."""
    # What binascii reads in its own way: "=" CR as a line end wherever the LF is, and "==" as one.
    if b"=\r" in chunk:
        chunk = chunk.replace(b"=\r\n", b"=\n").replace(b"=\r", b"=3D\r")
    if b"==" in chunk:
        chunk = chunk.replace(b"==", b"=3D=").replace(b"==", b"=3D=")
    if chunk.endswith((b" ", b"\t")) or any(end in chunk for end in (b" \n", b"\t\n", b" \r\n", b"\t\r\n")):
        chunk = _without_added_blanks(chunk)
    return binascii.a2b_qp(chunk)


def _without_added_blanks(chunk: bytes) -> bytes:
    *lines, last = chunk.split(b"\n")
    kept = [line[:-1].rstrip(b" \t") + b"\r" if line.endswith(b"\r") else line.rstrip(b" \t") for line in lines]
    return b"\n".join([*kept, last.rstrip(b" \t")])


def _decode_qp(body: bytes) -> bytes:
    return b"".join(_qp_decoded(body[start:end]) for start, end in _qp_chunks(body))


# RFC 2045 §6.7: how each octet is written that does not end a line.
_QP_PIECES = [
    bytes((octet,)) if octet in b" \t" or (33 <= octet <= 126 and octet != ord("=")) else b"=%02X" % octet
    for octet in range(256)
]


class _QuotedPrintable:
    """The way back from the decoded octets of a quoted-printable body to its encoded ones."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.eol = b"\n" if b"\n" in body and b"\r\n" not in body else b"\r\n"
        self.chunks = list(_qp_chunks(body))
        self.sizes = array("q", [0])  # decoded octets before each chunk, and all of them
        for start, end in self.chunks:
            self.sizes.append(self.sizes[-1] + len(_qp_decoded(body[start:end])))
        self._mapped = -1  # the chunk whose map this is:
        self._decoded = self._encoded = array("q")  # offsets behind each token, decoded and in the body

    def begin(self, at: int) -> int:
        """Return the offset in the body where decoded octet `at` begins; behind the last, where the body's text ends."""
        if at >= self.sizes[-1]:
            return self.end(self.sizes[-1])
        self._map(bisect_right(self.sizes, at) - 1)
        token = bisect_right(self._decoded, at) - 1
        return self._encoded[token] + at - self._decoded[token]

    def end(self, at: int) -> int:
        """Return the offset in the body behind decoded octet `at` - 1; 0 for `at` 0."""
        if at == 0:
            return 0
        start = self.begin(at - 1)
        escape = _QP_ESCAPE.match(self.body, start)
        return start + 1 if escape is None else escape.end()

    def _map(self, chunk: int) -> None:
        if chunk == self._mapped:
            return
        start, end = self.chunks[chunk]
        decoded, encoded = self.sizes[chunk], start
        self._decoded, self._encoded = array("q", [decoded]), array("q", [encoded])
        for token in _QP_TOKEN.finditer(self.body, start, end):
            decoded += token.start() - encoded + (token[1] is not None)
            encoded = token.end()
            self._decoded.append(decoded)
            self._encoded.append(encoded)
        self._mapped = chunk

    def encode(self, splices: Sequence[Splice]) -> list[Splice]:
        """Return splices of the body for splices of the decoded octets."""
        found: list[Splice] = []
        splices = _joined(splices)
        for change in splices:
            start = self.end(change.start)
            if change.start < change.end:  # a soft line break stays, blanks that transport added do not
                start += self.body[start : self.begin(change.start)].rfind(b"\n") + 1
            end = max(start, self.end(change.end))
            first, kept = self._disturbed(start, (change.text or self.body[end : end + 1]).startswith(b"\n"))
            text = kept + change.text
            if found and first <= found[-1].end:  # nothing is left between the two
                before = found.pop()
                text = before.text + kept[len(kept) - (start - before.end) :] + change.text
                first = before.start
            found.append(Splice(first, end, text))
        out: list[Splice] = []
        previous, behind = -1, 0  # where the splice before ended, and the column its text left behind
        for where in found:
            line_start = self.body.rfind(b"\n", max(previous, 0), where.start) + 1
            column = behind + where.start - previous if not line_start and previous >= 0 else where.start - line_start
            text, behind = self._text(where, column)
            previous = where.end
            out.append(Splice(where.start, where.end, text))
        return out

    def _disturbed(self, start: int, line_feed: bool) -> tuple[int, bytes]:
        """Return where to begin a splice at `start`, and the octets before that are then encoded anew.

        They are those that would read otherwise with others behind: an `=` that begins no escape; and a CR, with the blanks
        and the `=` before it, where a line feed comes to stand behind it (line_feed) or stood there.
        """
        if (equals := _QP_HALF.search(self.body, max(start - 2, 0), start)) is not None:
            return equals.start(), equals[0]
        if not self.body.endswith(b"\r", 0, start):
            return start, b""
        was_line_end = self.body.startswith(b"\n", start)
        if not was_line_end and not line_feed:
            return start, b""
        first = start - 1
        while first and self.body[first - 1] in b" \t":
            first -= 1
        if was_line_end:  # blanks that transport added go
            return first, b"\r"
        first -= self.body.endswith(b"=", 0, first)
        return first, self.body[first:start]

    def _text(self, where: Splice, column: int) -> tuple[bytes, int]:
        """Return the text of `where` in quoted-printable, and the column behind it: no line grows past 76."""
        text, out = where.text, bytearray()
        before = self.body[where.start - 1 : where.start] if where.start else b""
        if text.startswith(self.eol) and before in (b" ", b"\t"):
            out += b"=" + self.eol  # the blank must not end a line
        for line in re.findall(rb".*?" + self.eol + rb"|.+\Z", text, re.DOTALL):
            content = line.removesuffix(self.eol)
            hard = len(content) < len(line)
            pieces = [_QP_PIECES[octet] for octet in content]
            if hard and content.endswith((b" ", b"\t")):
                pieces[-1] = b"=%02X" % content[-1]  # RFC 2045 §6.7 (3): no blank at the end of a line
            for piece in pieces:
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
        if _QP_BLANK.match(self.body, where.end):
            return b"=" + self.eol if last in (b" ", b"\t") else b""  # a blank would stand at the line's end
        following = self.body[where.end : where.end + 2 * _QP_LINE].partition(b"\n")[0].rstrip(b"\r")
        return b"=" + self.eol if column + len(following) >= _QP_LINE else b""


def _joined(splices: Sequence[Splice]) -> list[Splice]:
    """Return the splices in order, those that touch as one: what follows an inserted blank must stay."""
    joined: list[Splice] = []
    for change in sorted(splices, key=lambda one: (one.start, one.end)):
        if joined and joined[-1].end == change.start:
            last = joined.pop()
            change = Splice(last.start, change.end, last.text + change.text)
        joined.append(change)
    return joined
