"""Whether a calendar differs from another in nothing but what was meant: the same lines, octet for octet, in the same order.

In:  the decoded octets of two calendars, and what was meant to be put in. Out: None, or a word for the place.
Only properties of an event with the meant UID that are on the insertion list may differ; and a rule may stand in the place of
a list of dates, if it is the one that was meant and gives the same dates. Shares no parser with the edit.
Fails: never.
"""

import re
from dataclasses import dataclass, replace

from notes2conf_milter.core.meant import Meant, text_equal
from notes2conf_milter.core.octets import common
from notes2conf_milter.core.samedates import same_dates

_INSERTION_LIST = frozenset({b"LOCATION", b"DESCRIPTION", b"CONFERENCE", b"X-ALT-DESC", b"STYLED-DESCRIPTION"})
_LOGICAL = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*(?:[ \t][^\n]*\Z)?|[^\n]+\Z")
_BOM = b"\xef\xbb\xbf"
_NAME_END = re.compile(rb"[;:]")
FOLDING = re.compile(rb"(?<!\r)\r*\n[ \t]")


@dataclass(frozen=True, slots=True)
class _Row:
    raw: bytes
    text: bytes
    event: int  # which component directly inside VCALENDAR; -1: none, or a component inside an event


def calendar_complaint(before: bytes, after: bytes, meant: Meant) -> str | None:
    """Walk both calendars line by line: only properties of an event with the UID that are on the insertion list may differ."""
    old, uids = _rows(before)
    new, _ = _rows(after)
    if meant.rule is not None:
        old = _with_rule(old, new, {at for at, uid in enumerate(uids) if uid == meant.uid}, meant.rule)
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
            if not text_equal(here.text, row.text, meant) or not _octets_kept(here, row, meant):
                return "calendar-value"
            at += 1
        elif row.text in meant.lines and (row.event, name) not in gained:
            gained.add((row.event, name))
        else:
            return "calendar-new-line"
    return None if at == len(old) else "calendar-lost-line"


def _with_rule(old: list[_Row], new: list[_Row], events: set[int], rule: bytes) -> list[_Row]:
    """Return the old lines with the rule where it may stand: in the place of the first list of the same dates."""
    lists = [at for at, row in enumerate(old) if row.event in events and _name(row.text) == b"RDATE"]
    if not lists or any(old[at].event != old[lists[0]].event for at in lists):
        return old
    first = old[lists[0]]
    own = [row.text for row in old if row.event == first.event]
    put = [row.raw for row in new if row.event == first.event and row.text == rule]
    if len(put) != 1 or not same_dates(own, [row.text for row in old], rule):
        return old
    ending = first.raw.removeprefix(first.raw.rstrip(b"\r\n"))
    ruled = replace(first, raw=put[0].rstrip(b"\r\n") + ending, text=rule)
    gone = set(lists[1:])
    return [ruled if at == lists[0] else row for at, row in enumerate(old) if at not in gone]


def _rows(calendar: bytes) -> tuple[list[_Row], list[bytes]]:
    """Return the lines of a calendar, folds kept, and the UID of each component directly inside VCALENDAR."""
    rows: list[_Row] = []
    uids: list[bytes] = []
    depth = 0
    for raw in _LOGICAL.findall(calendar.removeprefix(_BOM)):
        text = FOLDING.sub(b"", raw).removesuffix(b"\n").rstrip(b"\r")
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
    head = common(before.raw, after.raw)
    return after.raw.endswith(before.raw[head:])


def _name(text: bytes) -> bytes:
    return _NAME_END.split(text, 1)[0].upper()
