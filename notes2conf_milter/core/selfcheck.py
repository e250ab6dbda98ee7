"""Law 2, checked on every rewritten message by a reader that shares no parser with the edit.

In:  the original, the result, and what was meant to be put in. Out: None when nothing else changed, else a word that says
     where something did (for the log; it holds no octet of the message).
The reader is the standard library's `email` for the MIME structure and a few regular expressions for calendars and texts.
It asks of the result: the same parts; outside the bodies of the parts that changed, the same octets; of those parts, the same
encoded lines around the edits, and decoded nothing new but the inserted text; in a calendar the same lines, octet for octet,
but for the properties on the insertion list.
What it cannot see: how a property is folded from which something was taken; how the lines between the first and the last edit
of a quoted-printable part, and those behind the first of a base64 part, are encoded. What they say is compared all the same.
Fails: never; whatever goes wrong in here is a failed check.
"""

import binascii
import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import collapse_rfc2231_value

from notes2conf_milter.core.wording import FENCE, HTML_CLOSE, HTML_OPEN

_INSERTION_LIST = frozenset({b"LOCATION", b"DESCRIPTION", b"CONFERENCE", b"X-ALT-DESC", b"STYLED-DESCRIPTION"})
_LOGICAL = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*(?:[ \t][^\n]*\Z)?|[^\n]+\Z")
_FOLDING = re.compile(rb"(?<!\r)\r*\n[ \t]")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_SUBJECT = re.compile(rb"(?im)^Subject[ \t]*:(.*(?:\n[ \t].*)*\n?)")
_SEPARATOR = re.compile(rb"\\?[,;|/-]\Z")
_BLANKS = re.compile(rb"\s+")
_EOLS = (b"\r\n", b"\n", b"\\n")
_LEADS = tuple(escape + lead for escape in (b"", b"\\") for lead in (b"", *_EOLS, *(eol + eol for eol in _EOLS)))
_TRAILS = (b"", *_EOLS)
_BOM = b"\xef\xbb\xbf"
_CHUNK = 65_536
_CHANCE = 8  # octets that inserted text may have in common with what it stands before or behind
_CHANCE_OF_BLOCKS = 2_000  # the same, where a block or link of ours was there before
_TRIES = 50  # how many places are tried for a body
_LONG = 65_536  # octets that both messages have in common and that hold no structure: read as one line from here on
_STOPPER = re.compile(rb"\n[A-Za-z0-9+/=]+\r?\n")
_LEFT_OUT = re.compile(rb"n2c/[0-9]+/left/out\n")


@dataclass(frozen=True, slots=True)
class Meant:
    """What may be in the result and not in the original.

    uid: the value of UID of the events that may change. insertions: every text put in, as it stands decoded in a body or
    unfolded in a calendar. lines: the whole properties that an event may gain, unfolded. own: finds any join link of ours,
    group 1 the token. keyword: what may have been taken out, or None.
    """

    uid: bytes
    insertions: tuple[bytes, ...]
    lines: tuple[bytes, ...]
    own: re.Pattern[bytes]
    keyword: re.Pattern[bytes] | None = None


def check(original: bytes, result: bytes, meant: Meant) -> str | None:
    """Return None when `result` differs from `original` in nothing but what was meant, else a word for the place."""
    try:
        return _check(original, result, meant)
    except Exception as error:  # noqa: BLE001 - a check that cannot be made is a check that failed (law 4)
        return f"unreadable ({type(error).__name__})"


def _check(original: bytes, result: bytes, meant: Meant) -> str | None:
    (header, start), (header_other, start_other) = _header(original), _header(result)
    if header != header_other and (meant.keyword is None or not _header_equal(header, header_other, meant)):
        return "header"
    changed: list[tuple[Message, Message]] = []
    short, short_other, left_out = _shortened(original, result)
    complaint = _entity(_read(short), _read(short_other), changed)
    if complaint is not None:
        return complaint
    pairs = [(one, _body(one, left_out), _body(other, left_out)) for one, other in changed]
    if not _rest_equal(original[start:], result[start_other:], [(body, body_other) for _, body, body_other in pairs]):
        return "outside"
    return next((found for found in (_leaf(*pair, meant) for pair in pairs) if found), None)


def _read(message: bytes) -> Message:
    return email.message_from_string(message.decode("latin-1"), policy=email.policy.compat32)  # one character an octet


def _body(part: Message, left_out: list[bytes]) -> bytes:
    body = str(part.get_payload()).encode("latin-1")
    return _LEFT_OUT.sub(lambda found: left_out[int(found[0].split(b"/")[1])], body) if left_out else body


# --- what need not be read line by line ---


def _shortened(original: bytes, result: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """Return both messages with one line in the place of each long run of lines that is the same in both; and those runs.

    A run stands behind a line of letters and digits alone. Whatever that line stands in, it is no header field and ends a
    header, so that what follows is text up to the next line that begins with `--`; only in a delivery status (RFC 3464) empty
    lines mean something. So the structure is the same without the run.
    """
    if (
        len(original) < _LONG
        or b"delivery-status" in original.lower()
        or any(_LEFT_OUT.search(message) for message in (original, result))
    ):
        return original, result, []
    left_out: list[bytes] = []
    head = _common(original, result)
    tail = _common_end(original, result, min(len(original), len(result)) - head)
    first, last = _without_runs(original[:head], left_out), _without_runs(original[len(original) - tail :], left_out)
    return (
        first + original[head : len(original) - tail] + last,
        first + result[head : len(result) - tail] + last,
        left_out,
    )


def _without_runs(octets: bytes, left_out: list[bytes]) -> bytes:
    """Return `octets` with a line for each long run, which goes to `left_out`."""
    out: list[bytes] = []
    at, ends = 0, dict.fromkeys((b"\n--", b"\r--"), -1)
    while at < len(octets):
        for seam, found in ends.items():
            if found < at:
                found = octets.find(seam, at)
                ends[seam] = found if found >= 0 else len(octets)
        end = min(ends.values())
        stopper = _STOPPER.search(octets, at, end) if end - at >= _LONG else None
        if stopper is not None:
            stop = octets.rfind(b"\n", at, octets.rfind(b"\n", at, end)) + 1  # a whole line before the end stays
            if stop - stopper.end() >= _LONG:
                out += [octets[at : stopper.end()], b"n2c/%d/left/out\n" % len(left_out)]
                left_out.append(octets[stopper.end() : stop])
                at = stop
        out.append(octets[at : end + 1])
        at = end + 1
    return b"".join(out)


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
    return any(_BLANKS.sub(b"", text) == words for text in _without_keyword(_words(before), meant))


def _words(value: bytes) -> bytes:
    """Return the octets that a Subject stands for, its encoded words (RFC 2047) decoded."""
    try:
        pieces = decode_header(_FOLDING.sub(b" ", value).decode("latin-1"))
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


def _rest_equal(one: bytes, other: bytes, changed: list[tuple[bytes, bytes]]) -> bool:
    """Say whether both are the same octet for octet but for the bodies that changed, in their order."""
    at = at_other = 0
    for body, body_other in changed:
        # The body begins as far before the first difference as the two bodies agree, or a little earlier.
        latest = at + _common(one, other, at, at_other) - _common(body, body_other)
        found = one.rfind(body, at, max(latest, at) + len(body))
        for _ in range(_TRIES):
            if found < 0 or other.startswith(body_other, at_other + found - at):
                break
            found = one.rfind(body, at, max(found - 1, 0) + len(body)) if found > at else -1
        if found < 0 or one[at:found] != other[at_other : at_other + found - at]:
            return False
        at, at_other = found + len(body), at_other + found - at + len(body_other)
    return one[at:] == other[at_other:]


def _common(one: bytes, other: bytes, at: int = 0, at_other: int = 0) -> int:
    """Return the length of the common prefix of one[at:] and other[at_other:]."""
    most = min(len(one) - at, len(other) - at_other)
    low = 0
    while low < most and one[at + low : at + low + _CHUNK] == other[at_other + low : at_other + low + _CHUNK]:
        low = min(low + _CHUNK, most)
    high = min(low + _CHUNK, most)
    while low < high:
        middle = (low + high + 1) // 2
        same = one[at + low : at + middle] == other[at_other + low : at_other + middle]
        low, high = (middle, high) if same else (low, middle - 1)
    return low


def _common_end(one: bytes, other: bytes, most: int) -> int:
    """Return the length of the common suffix, `most` at most."""
    low, size = 0, _CHUNK
    while size:
        step = min(size, most - low)
        same = one[len(one) - low - step : len(one) - low] == other[len(other) - low - step : len(other) - low]
        low += step if same else 0
        size = size if same and step == size else size // 2
    return low


def _leaf(before: Message, body: bytes, body_other: bytes, meant: Meant) -> str | None:
    encoding = "".join(str(before.get("content-transfer-encoding", "")).split()).partition(";")[0].lower()
    one, other = _decoded(body, encoding), _decoded(body_other, encoding)
    if encoding in ("base64", "quoted-printable") and not _lines_kept(body, body_other, one, other, encoding, meant):
        return "encoded-lines"
    if before.get_content_type() in ("text/calendar", "application/ics") or _is_ics(before):
        return _calendar(one, other, meant)
    if before.get_content_type() in ("text/plain", "text/html"):
        return None if _text_equal(one, other, meant) else "body"
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
    ours = meant.own.search(_FOLDING.sub(b"", decoded)) is not None
    chance = _CHANCE_OF_BLOCKS if ours else _CHANCE
    head = _common(decoded, decoded_other) - chance
    line_end = body.find(b"\n", _common(body, other)) + 1 or len(body)
    if encoding == "base64":
        return len(body[:line_end].translate(None, b" \t\r\n=")) * 3 // 4 >= head
    tail = _common_end(decoded, decoded_other, min(len(decoded), len(decoded_other)) - max(head, 0)) - chance
    same = _common_end(body, other, min(len(body), len(other)))
    line_start = body.rfind(b"\n", 0, max(len(body) - same - 1, 0)) + 1
    return len(_decoded(body[:line_end], encoding)) >= head and len(_decoded(body[line_start:], encoding)) >= tail


# --- calendar ---


@dataclass(frozen=True, slots=True)
class _Row:
    raw: bytes
    text: bytes
    event: int  # which component directly inside VCALENDAR; -1: none, or a component inside an event


def _calendar(before: bytes, after: bytes, meant: Meant) -> str | None:
    """Walk both calendars line by line: only properties of an event with the UID that are on the insertion list may differ."""
    old, uids = _rows(before)
    new, _ = _rows(after)
    allowed = _INSERTION_LIST | ({b"SUMMARY"} if meant.keyword is not None else frozenset())
    at = 0
    gained: set[tuple[int, bytes]] = set()
    for row in new:
        here = old[at] if at < len(old) else None
        if here is not None and here.raw == row.raw:
            at += 1
            continue
        name = _name(row.text)
        if row.event < 0 or row.event >= len(uids) or uids[row.event] != meant.uid or name not in allowed:
            return "calendar-line"
        if here is not None and here.event == row.event and _name(here.text) == name:
            if not _text_equal(here.text, row.text, meant) or not _octets_kept(here, row, meant):
                return "calendar-value"
            at += 1
        elif row.text in meant.lines and (row.event, name) not in gained:
            gained.add((row.event, name))
        else:
            return "calendar-new-line"
    return None if at == len(old) else "calendar-lost-line"


def _rows(calendar: bytes) -> tuple[list[_Row], list[bytes]]:
    """Return the lines of a calendar, folds kept, and the UID of each component directly inside VCALENDAR."""
    rows: list[_Row] = []
    uids: list[bytes] = []
    depth = 0
    for raw in _LOGICAL.findall(calendar.removeprefix(_BOM)):
        text = _FOLDING.sub(b"", raw).removesuffix(b"\n").rstrip(b"\r")
        name = _name(text)
        depth += name == b"BEGIN"
        if name == b"BEGIN" and depth == 2:
            uids.append(b"")
        if name == b"UID" and depth == 2 and not uids[-1]:
            uids[-1] = text.rpartition(b":")[2].strip() if b";" in text.partition(b":")[0] else text[4:].strip()
        rows.append(_Row(raw, text, len(uids) - 1 if depth == 2 else -1))
        depth -= name == b"END"
    return rows, uids


def _octets_kept(before: _Row, after: _Row, meant: Meant) -> bool:
    """Say whether the line is the old one, folds and all, with one insertion; where something was taken out it may not be."""
    if meant.own.search(before.text) or (meant.keyword is not None and meant.keyword.search(before.text)):
        return True
    head = _common(before.raw, after.raw)
    return after.raw.endswith(before.raw[head:])


def _name(text: bytes) -> bytes:
    return re.split(rb"[;:]", text, maxsplit=1)[0].upper()


# --- texts ---


def _text_equal(before: bytes, after: bytes, meant: Meant) -> bool:
    """Say whether `after` is `before` with one insertion; or where it held a keyword or links of ours, those replaced."""
    taken = meant.keyword is not None and meant.keyword.search(before) is not None
    if not taken and meant.own.search(before) is None:
        return any(text == before for text in _without_insertion(after, len(before), meant))
    tokens = {match[1].lower() for text in (before, *meant.insertions) for match in meant.own.finditer(text)}
    if any(match[1].lower() not in tokens for match in meant.own.finditer(after)):
        return False
    wanted = {_without_links(text, meant) for text in (before, *(_without_keyword(before, meant) if taken else ()))}
    results = [
        after,
        *(text for size in {len(text) for text in wanted} for text in _without_insertion(after, size, meant)),
    ]
    return any(_without_links(text, meant) in wanted for text in results)


def _without_insertion(after: bytes, size: int, meant: Meant) -> Iterator[bytes]:
    """Yield what `after` may have been before one insertion; of `size` octets."""
    for insertion in meant.insertions:
        at = after.find(insertion)
        if at < 0:
            continue
        end = at + len(insertion)
        for lead in _LEADS:
            for trail in _TRAILS:
                fits = len(after) - len(insertion) - len(lead) - len(trail) == size
                if fits and after.endswith(lead, 0, at) and after.startswith(trail, end):
                    yield after[: at - len(lead)] + after[end + len(trail) :]


def _without_links(text: bytes, meant: Meant) -> bytes:
    """Return `text` without our links, and without our blocks around them."""
    if meant.own.search(text) is None:
        return text
    for fences in ((FENCE, FENCE), (HTML_OPEN, HTML_CLOSE)):
        opening, closing = (re.escape(fence.encode()) for fence in fences)
        pieces = re.split(b"(" + opening + b"|" + closing + b")", text)
        kept: list[bytes] = []
        at = 0
        while at < len(pieces):
            block = pieces[at : at + 3]
            if (
                len(block) == 3
                and block[0] == fences[0].encode()
                and block[2] == fences[1].encode()
                and meant.own.search(block[1])
            ):
                at += 3
            else:
                kept.append(pieces[at])
                at += 1
        text = b"".join(kept)
    return meant.own.sub(b"", text)


def _without_keyword(text: bytes, meant: Meant) -> set[bytes]:
    """Return what may be left of `text` when the keyword is taken out: at the end, a separator may go with it."""
    if meant.keyword is None:
        return {text}
    found = meant.keyword.search(text)
    start = found.start() if found is not None else 0
    front, left = text[:start], meant.keyword.sub(b"", text[start:])
    if not front or front.endswith(b":"):  # the first word of a value: the blanks behind it go, too
        left = left.lstrip(b" \t")
    bare = (front + left).rstrip(b" \t")
    return {front + left, _SEPARATOR.sub(b"", bare).rstrip(b" \t")}
