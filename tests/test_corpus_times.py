"""When the meetings of the corpus take place and end: we and ical.js say the same, but for what a reviewed table explains.

The corpus lies beside the checkout and is no part of it; without it this test is skipped, in CI it fails.
`python -m tests.test_corpus_times` prints the figures.
"""

import csv
import email
import os
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest

from notes2conf_milter.core.contentlines import CalendarError, Component, components
from notes2conf_milter.core.occurrences import ScheduleError, schedule
from notes2conf_milter.core.work import LISTED_TIMES
from tests.corpus import CORPUS, messages
from tests.othertimes import Times, times_by_ical_js

TABLE = Path(__file__).with_name("corpus_times.tsv")
DAY = 86_400
KEPT = 730 * DAY  # how long a series without an end is kept
needed = pytest.mark.skipif(
    not CORPUS.is_dir() and os.environ.get("CI") != "true", reason="no corpus beside the checkout"
)


def calendars(octets: bytes) -> list[bytes]:
    """The calendars in a message, by Python's own reader."""
    parts = email.message_from_bytes(octets).walk()
    found = [part.get_payload(decode=True) for part in parts if part.get_content_type() == "text/calendar"]
    return [one for one in found if isinstance(one, bytes)]


def nows(theirs: Times) -> list[int]:
    """Return from when a meeting is looked at: before it begins, and in the middle."""
    if not theirs.taking:
        return [0]
    first, last = theirs.taking[0].start, theirs.taking[-1].over
    return [first - 2 * DAY, first + 600 * DAY if theirs.endless else (first + last) // 2]


def differences(calendar: Component, uid: str, theirs: Times) -> set[str]:
    """Return what differs: "times", "end". Raises ScheduleError."""
    found = set()
    for now in nows(theirs):
        ours = schedule(calendar, uid.encode(), now, open_ended_seconds=KEPT, max_times=LISTED_TIMES)
        times, over = theirs.seen(now, KEPT, LISTED_TIMES)
        found |= {"times"} if [(one.start, one.end) for one in ours.times] != times else set()
        found |= {"end"} if ours.over_at != over else set()
    return found


def readable(calendar: Component, uid: str) -> bool:
    try:
        schedule(calendar, uid.encode(), 0)
    except ScheduleError:
        return False
    return True


def in_our_reading(octets: bytes) -> list[Component]:
    try:
        return components(octets)
    except CalendarError:
        return []


def uids(calendar: Component) -> set[str]:
    events = calendar.within(b"VEVENT")
    return {line.value.strip().decode("utf-8", "replace") if (line := event.first(b"UID")) else "" for event in events}


@lru_cache(1)
def compared() -> dict[str, list[str]]:
    """What came of each meeting of each file: "same", "times", "end", "end, times", or who alone can read it."""
    found: dict[str, list[str]] = {name: [] for name in messages()}
    texts = [(name, octets) for name, message in messages().items() for octets in calendars(message)]
    expanded = times_by_ical_js([octets.decode("utf-8", "replace") for _, octets in texts])
    for (name, octets), theirs in zip(texts, expanded, strict=True):
        ours = in_our_reading(octets)
        for at in range(max(len(ours), len(theirs or []))):
            meetings = theirs[at] if theirs is not None and at < len(theirs) else {}
            calendar = ours[at] if at < len(ours) else None
            for uid in sorted((set() if calendar is None else uids(calendar)) | set(meetings)):
                found[name].append(_outcome(calendar, uid, meetings.get(uid, "unreadable")))
    return found


def _outcome(calendar: Component | None, uid: str, theirs: Times | str) -> str:
    if calendar is None or not readable(calendar, uid):
        return "nobody" if isinstance(theirs, str) else "ical.js alone"
    if isinstance(theirs, str):
        return f"we alone: {'no zone' if theirs == 'zone' else 'a value'}"
    return ", ".join(sorted(differences(calendar, uid, theirs))) or "same"


def differing() -> dict[str, str]:
    """What differs, by file."""
    kinds = {name: set(re.findall("times|end", " ".join(outcomes))) for name, outcomes in compared().items()}
    return {name: ", ".join(sorted(kind)) for name, kind in kinds.items() if kind}


def both_read() -> set[str]:
    """The files of which both read at least one meeting."""
    known = {"same", "times", "end", "end, times"}
    return {name for name, outcomes in compared().items() if known & set(outcomes)}


def table() -> dict[str, dict[str, str]]:
    """The reviewed differences, by file."""
    with TABLE.open(encoding="utf-8", newline="") as lines:
        return {row["file"]: row for row in csv.DictReader(lines, delimiter="\t")}


@needed
def test_times_and_ends_are_those_of_ical_js_or_explained() -> None:
    """A file that differs is in the table, and one that differs no longer is not; see tests/corpus_times.tsv."""
    assert differing() == {name: row["differs"] for name, row in table().items()}


@needed
def test_most_of_the_corpus_is_compared() -> None:
    assert len(both_read()) > 250
    assert sum(map(len, compared().values())) > 400


def test_each_difference_is_judged() -> None:
    for name, row in table().items():
        assert row["right"] in ("we", "ical.js", "nobody"), name
        assert re.search(r"RFC 5545 §\d", row["why"]), name


if __name__ == "__main__":
    print(len(messages()), "files, both read", len(both_read()), "of them", len(differing()), "differ:")
    print(Counter(row["right"] for row in table().values()))
    print("meetings:", Counter(outcome for outcomes in compared().values() for outcome in outcomes))
    print("files without a meeting:", sum(not outcomes for outcomes in compared().values()))
    for name, kind in differing().items():
        print(name, kind, sep="\t")
