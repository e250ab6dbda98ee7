"""A calendar as the content lines it is made of (RFC 5545 §3.1), each a span of the original octets.

In:  the decoded octets of a calendar part. Out: `ContentLine`s and the tree of `Component`s; every octet of the calendar
     belongs to exactly one line (its text, its folds, its line end), so that a line can be edited and all others stay.
Also: how to write text that is inserted (escape, fold), and how to splice it in.
Fails: `CalendarError` when BEGIN and END do not match or a bound is passed. Lines that are no content lines are kept
       and skipped: producers write them, and they must survive.

Octets in, octets out: an ASCII-transparent charset is enough, the octets themselves are never decoded here.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_CALENDAR_OCTETS = 2 * 1024 * 1024  # decoded from the transfer encoding
MAX_LINES = 50_000
MAX_DEPTH = 8
BOM = b"\xef\xbb\xbf"
FOLD_AT = 75  # octets, RFC 5545 §3.1

# RFC 5545 §3.1 says CRLF; LF alone and doubled CR are seen in the wild. The look-behind keeps a run of CRs linear.
_FOLD = re.compile(rb"(?<!\r)\r*\n[ \t]")
_NAME = re.compile(rb"[A-Za-z0-9-]+")
# Notes: `ALTREP=CID:<…>` without quotes, colons inside.
_PARAM_VALUE = re.compile(rb'"[^"]*"|[Cc][Ii][Dd]:<[^>]*>|[^";:,]*')
_PARAM_NAME = re.compile(rb";([A-Za-z0-9-]+)=")


class CalendarError(ValueError):
    """The octets are no calendar that can be edited safely. `bound`: a limit was passed, not the grammar."""

    def __init__(self, text: str, *, bound: bool = False) -> None:
        super().__init__(text)
        self.bound = bound


@dataclass(frozen=True, slots=True)
class ContentLine:
    """One unfolded content line and where it lies.

    start: offset of its first octet. end: offset behind its last octet of content. next: offset of the line after it, so
    that [end, next) is its line end. name: upper-case, b"" when this is no content line. text: unfolded octets. colon:
    index in `text` of the colon before the value, -1 when there is none.
    """

    start: int
    end: int
    next: int
    name: bytes
    text: bytes
    colon: int

    @property
    def value(self) -> bytes:
        """The unfolded octets behind the colon."""
        return self.text[self.colon + 1 :]

    def params(self) -> dict[bytes, bytes]:
        """Return the parameters (RFC 5545 §3.2): upper-case name to value without quotes, of a list the first."""
        found: dict[bytes, bytes] = {}
        at = len(self.name)
        while (head := _PARAM_NAME.match(self.text, at, self.colon)) is not None:
            value = _PARAM_VALUE.match(self.text, head.end(), self.colon)
            assert value is not None  # the pattern matches the empty string
            found.setdefault(head[1].upper(), value[0].strip(b'"'))
            at = value.end()
            while (
                self.text[at : at + 1] == b","
                and (more := _PARAM_VALUE.match(self.text, at + 1, self.colon)) is not None
            ):
                at = more.end()
        return found


@dataclass(frozen=True, slots=True)
class Component:
    """BEGIN to END: the two lines, the properties directly inside, and the components inside."""

    name: bytes
    begin: ContentLine
    end: ContentLine
    lines: tuple[ContentLine, ...]
    components: tuple["Component", ...]

    def all(self, name: bytes) -> tuple[ContentLine, ...]:
        """Return the properties called `name` (upper-case), in order."""
        return tuple(line for line in self.lines if line.name == name)

    def first(self, name: bytes) -> ContentLine | None:
        """Return the first property called `name` (upper-case), or None."""
        return next((line for line in self.lines if line.name == name), None)

    def within(self, name: bytes) -> tuple["Component", ...]:
        """Return the components called `name` (upper-case) directly inside."""
        return tuple(component for component in self.components if component.name == name)


def split(calendar: bytes) -> Iterator[ContentLine]:
    """Yield the content lines of `calendar`; behind a byte order mark their spans join without a gap.

    Raises CalendarError past MAX_LINES.
    """
    count = 0
    end = len(calendar)
    start = len(BOM) if calendar.startswith(BOM) else 0  # a byte order mark is no part of the first name
    while start < end:
        count += 1
        if count > MAX_LINES:
            raise CalendarError("too many lines", bound=True)
        after = _physical_end(calendar, start)
        folded = False
        while calendar[after : after + 1] in (b" ", b"\t"):  # RFC 5545 §3.1: a fold, before any character whatever
            after = _physical_end(calendar, after)
            folded = True
        yield _content_line(calendar, start, after, folded)
        start = after


def _physical_end(calendar: bytes, start: int) -> int:
    newline = calendar.find(b"\n", start)
    return len(calendar) if newline < 0 else newline + 1


def _content_line(calendar: bytes, start: int, after: int, folded: bool) -> ContentLine:
    raw = calendar[start:after]
    content = raw[:-1].rstrip(b"\r") if raw.endswith(b"\n") else raw
    text = _FOLD.sub(b"", content) if folded else content
    name = _NAME.match(text)
    colon = -1 if name is None else _colon(text, name.end())
    known = b"" if name is None or colon < 0 else name[0].upper()
    return ContentLine(start, start + len(content), after, known, text, colon)


def _colon(text: bytes, at: int) -> int:
    """Return the index of the colon that ends name and parameters, -1 when there is none."""
    if text[at : at + 1] == b":":
        return at
    while (head := _PARAM_NAME.match(text, at)) is not None:
        at = head.end()
        while True:
            value = _PARAM_VALUE.match(text, at)
            assert value is not None  # the pattern matches the empty string
            at = value.end()
            if text[at : at + 1] != b",":
                break
            at += 1
    return at if text[at : at + 1] == b":" else -1


@dataclass(slots=True)
class _Open:
    begin: ContentLine
    name: bytes
    lines: list[ContentLine] = field(default_factory=list)
    components: list[Component] = field(default_factory=list)


def components(calendar: bytes) -> tuple[Component, ...]:
    """Return the components at the top level of `calendar` (VCALENDARs), each with what is inside.

    Raises CalendarError when BEGIN and END do not match, or past MAX_CALENDAR_OCTETS, MAX_LINES and MAX_DEPTH.
    """
    if len(calendar) > MAX_CALENDAR_OCTETS:
        raise CalendarError("too long", bound=True)
    root: list[Component] = []
    stack: list[_Open] = []
    for line in split(calendar):
        if line.name == b"BEGIN":
            if len(stack) >= MAX_DEPTH:
                raise CalendarError("components nested too deep", bound=True)
            stack.append(_Open(line, line.value.strip().upper()))
        elif line.name == b"END":
            if not stack or stack[-1].name != line.value.strip().upper():
                raise CalendarError("END without its BEGIN")
            done = stack.pop()
            component = Component(done.name, done.begin, line, tuple(done.lines), tuple(done.components))
            (stack[-1].components if stack else root).append(component)
        elif stack and line.name:
            stack[-1].lines.append(line)
    if stack:
        raise CalendarError("BEGIN without its END")
    return tuple(root)


class Physical:
    """The physical lines of one content line: where each octet of its text stands in the calendar."""

    def __init__(self, calendar: bytes, line: ContentLine) -> None:
        self._texts = [0]  # index in line.text at which each physical line begins
        self._starts = [line.start]  # offset in the calendar of that octet
        self._ends: list[int] = []  # offset behind the last octet of each physical line's content
        for fold in _FOLD.finditer(calendar, line.start, line.end):
            self._texts.append(self._texts[-1] + fold.start() - self._starts[-1])
            self._starts.append(fold.end())
            self._ends.append(fold.start())
        self._ends.append(line.end)

    def place(self, index: int) -> tuple[int, int, int]:
        """Return where `line.text[index]` stands: its offset, its column, and how many octets follow on the physical line.

        At a fold that is the place *before* the fold, so that text put there stands before it. index: up to len(line.text).
        """
        at = max(bisect_left(self._texts, index) - 1, 0)
        offset = self._starts[at] + index - self._texts[at]
        column = index - self._texts[at] + (1 if at else 0)  # the blank of the fold counts
        return offset, column, self._ends[at] - offset


def escape(text: str) -> str:
    r"""Escape TEXT: backslash, semicolon, comma, line end (RFC 5545 §3.3.11)."""
    for plain, escaped in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\r\n", "\\n"), ("\n", "\\n")):
        text = text.replace(plain, escaped)
    return text


_UNESCAPE = re.compile(r"\\(.)", re.DOTALL)


def unescape(text: str) -> str:
    r"""Undo `escape`: \n and \N are line ends, any other escaped character is itself (RFC 5545 §3.3.11)."""
    return _UNESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], text)


def fold(text: bytes, *, at: int, eol: bytes, charset: str = "utf-8") -> bytes:
    """Return `text` with folds so that no physical line is longer than 75 octets (RFC 5545 §3.1).

    at: the column where the text begins. eol: the line end to fold with. charset: the encoding of `text`; no
    character is cut in two.
    """
    out = bytearray()
    for character in text.decode(charset):
        octets = character.encode(charset)
        if at + len(octets) > FOLD_AT:
            out += eol + b" "
            at = 1
        out += octets
        at += len(octets)
    return bytes(out)


def line_end(calendar: bytes, line: ContentLine) -> bytes:
    """Return the line end to write beside `line`: its own, else CRLF (RFC 5545 §3.1)."""
    ending = calendar[line.end : line.next]
    return b"\r\n" if not ending or b"\r" in ending else b"\n"
