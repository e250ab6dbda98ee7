"""Law 2, checked on every rewritten message by a reader that shares no parser with the edit.

In:  the original, the result, and what was meant to be put in. Out: None when nothing else changed, else a word that says
     where something did (for the log; it holds no octet of the message).
The reader is the standard library's `email` for the MIME structure and a few regular expressions for calendars and texts.
It asks of the result: the same header fields, the same parts with the same headers, the same octets in every part that
is not meant to change; in a calendar the same lines, octet for octet, but for the properties on the insertion list; and in
what did change nothing but the inserted text. Fails: never; whatever goes wrong in here is a failed check.
"""

import email
import email.policy
import re
from dataclasses import dataclass
from email.message import Message
from itertools import zip_longest

from notes2conf_milter.core.wording import FENCE, HTML_CLOSE, HTML_OPEN

_INSERTION_LIST = frozenset({b"LOCATION", b"DESCRIPTION", b"CONFERENCE", b"X-ALT-DESC", b"STYLED-DESCRIPTION"})
_PHYSICAL = re.compile(rb"[^\n]*\n?")
_FOLDING = re.compile(rb"(?<!\r)\r*\n[ \t]")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_SUBJECT = re.compile(rb"(?im)^Subject:.*(?:\n[ \t].*)*\n?")
_BLANKS = re.compile(rb"\s|\\[nN]")
_SEPARATOR = re.compile(rb"\\?[,;|/-]\Z")
_EOLS = (b"\r\n", b"\n", b"\\n")


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
    if _top(original, meant) != _top(result, meant):
        return "header"
    before = email.message_from_bytes(original, policy=email.policy.compat32)
    after = email.message_from_bytes(result, policy=email.policy.compat32)
    return _entity(before, after, meant)


def _top(message: bytes, meant: Meant) -> bytes:
    """Return the header section, without Subject when a keyword may have gone from it."""
    end = _HEADER_END.search(message)
    header = message if end is None else message[: end.end()]
    return header if meant.keyword is None else _SUBJECT.sub(b"", header)


def _entity(before: Message, after: Message, meant: Meant, *, top: bool = True) -> str | None:
    if not top and before.items() != after.items():
        return "part-header"
    if (before.preamble, before.epilogue) != (after.preamble, after.epilogue):
        return "between-parts"
    first, second = before.get_payload(), after.get_payload()
    if isinstance(first, list) and isinstance(second, list):
        if before.get_content_maintype() != "multipart":  # message/rfc822 and the like: nothing inside is ever edited
            return None if before.as_bytes() == after.as_bytes() else "forwarded-message"
        if len(first) != len(second):
            return "parts"
        found = (_entity(one, other, meant, top=False) for one, other in zip(first, second, strict=True))
        return next((complaint for complaint in found if complaint), None)
    if first == second:
        return None
    return _leaf(before, after, meant)


def _leaf(before: Message, after: Message, meant: Meant) -> str | None:
    one, other = before.get_payload(decode=True), after.get_payload(decode=True)
    if not isinstance(one, bytes) or not isinstance(other, bytes):
        return "payload"
    encoding = str(before.get("content-transfer-encoding", "")).strip().lower()
    if encoding == "base64" and not _lines_kept(str(before.get_payload()), str(after.get_payload()), one, other):
        return "encoded-lines"
    name = (before.get_filename() or "").lower()
    if before.get_content_type() in ("text/calendar", "application/ics") or name.endswith(".ics"):
        return _calendar(one, other, meant)
    if before.get_content_type() in ("text/plain", "text/html"):
        return None if _text_equal(one, other, meant) else "body"
    return "attachment"


def _lines_kept(before: str, after: str, one: bytes, other: bytes) -> bool:
    """Say whether the encoded lines before the first changed octet are the same (law 2)."""
    changed = _common(one, other)
    seen = 0
    for line, same in zip_longest(before.splitlines(), after.splitlines()):
        seen += len((line or "").strip()) * 3 // 4
        if seen >= changed:
            return True  # this line reaches the edit: a short last line may be filled up
        if line != same:
            return False
    return True


def _common(one: bytes, other: bytes) -> int:
    """Return the length of the common prefix."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


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
            if not _text_equal(here.text, row.text, meant):
                return "calendar-value"
            at += 1
        elif row.text in meant.lines and (row.event, name) not in gained:
            gained.add((row.event, name))
        else:
            return "calendar-new-line"
    return None if at == len(old) else "calendar-lost-line"


def _rows(calendar: bytes) -> tuple[list[_Row], list[bytes]]:
    """Return the lines of a calendar, folds kept, and the UID of each component directly inside VCALENDAR."""
    logical: list[bytes] = []
    for physical in _PHYSICAL.findall(calendar):
        if logical and physical[:1] in (b" ", b"\t"):
            logical[-1] += physical
        elif physical:
            logical.append(physical)
    rows: list[_Row] = []
    uids: list[bytes] = []
    depth = 0
    for raw in logical:
        text = _FOLDING.sub(b"", raw).rstrip(b"\r\n")
        name = _name(text)
        depth += name == b"BEGIN"
        if name == b"BEGIN" and depth == 2:
            uids.append(b"")
        if name == b"UID" and depth == 2 and not uids[-1]:
            uids[-1] = text.rpartition(b":")[2].strip() if b";" in text.partition(b":")[0] else text[4:].strip()
        rows.append(_Row(raw, text, len(uids) - 1 if depth == 2 else -1))
        depth -= name == b"END"
    return rows, uids


def _name(text: bytes) -> bytes:
    return re.split(rb"[;:]", text, maxsplit=1)[0].upper()


# --- texts ---


def _text_equal(before: bytes, after: bytes, meant: Meant) -> bool:
    """Say whether `after` is `before` with one insertion; else, where something was replaced, whether the rest is the same."""
    for insertion in meant.insertions:
        at = after.find(insertion)
        if at < 0:
            continue
        first, last = after[:at], after[at + len(insertion) :]
        leads = [b"", *_EOLS, *(eol + eol for eol in _EOLS)]
        if any(
            first.endswith(lead)
            and last.startswith(trail)
            and first[: len(first) - len(lead)] + last[len(trail) :] == before
            for lead in leads
            for trail in (b"", *_EOLS)
        ):
            return True
    if meant.keyword is None and meant.own.search(before) is None:
        return False
    return _rest(before, meant) == _rest(after, meant)


def _rest(text: bytes, meant: Meant) -> bytes:
    """Return `text` without our blocks, our links, the keyword and blanks."""
    for opening, closing in ((FENCE.encode(), FENCE.encode()), (HTML_OPEN.encode(), HTML_CLOSE.encode())):
        pieces = (
            text.split(opening)
            if opening == closing
            else re.split(re.escape(opening) + b"|" + re.escape(closing), text)
        )
        text = b"".join(piece for index, piece in enumerate(pieces) if index % 2 == 0 or not meant.own.search(piece))
    text = meant.own.sub(b"", text.replace(b"\\; ", b" "))
    if meant.keyword is not None:
        # A separator that stood before the keyword at the end may have gone with it.
        return _SEPARATOR.sub(b"", _BLANKS.sub(b"", meant.keyword.sub(b"", text)))
    return _BLANKS.sub(b"", text)
