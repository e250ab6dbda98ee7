"""When meetings take place, by ical.js: what core/occurrences.py should say, from a reader and an expander that are not ours.

See occurrences.mjs for what is the library's and what is our own rule.
"""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.otherparsers import ICAL_JS


@dataclass(frozen=True, slots=True)
class Taking:
    """One occurrence in seconds since 1970 UTC. over: when it is over for everybody."""

    start: int
    end: int
    over: int


@dataclass(frozen=True, slots=True)
class Times:
    """All occurrences by start, of two with the same start the longer one; of a series without an end those of some years.

    later: when a date were over that UNTIL cuts off within its day; it is no occurrence, and yet the meeting lives so long.
    """

    taking: tuple[Taking, ...]
    endless: bool
    later: int | None = None

    def seen(self, now: int, series_seconds: int, most: int) -> tuple[list[tuple[int, int]], int]:
        """Return what is current or comes (else the last), and when all is over, as `schedule` does."""
        coming = [one for one in self.taking if one.over > now]
        ends = [one.over for one in self.taking] + ([] if self.later is None else [self.later])
        over = max(ends, default=now)
        if self.endless:
            over = max(now + series_seconds, coming[0].over if coming else 0)
            coming = [one for one in coming if one.over <= over]
        if not coming and self.taking:
            coming = [max(self.taking, key=lambda one: (one.over, one.start))]
        return [(one.start, one.end) for one in coming[:most]], over


def times_by_ical_js(texts: list[str]) -> list[list[dict[str, Times | str]] | None]:
    """Return for each text its calendars' meetings by UID, or None; a str is why ical.js has no times."""
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("occurrences.mjs")), str(ICAL_JS)],
        input=json.dumps(texts).encode(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    return [
        None
        if calendars is None
        else [{uid: _times(meeting) for uid, meeting in calendar.items()} for calendar in calendars]
        for calendars in json.loads(done.stdout)
    ]


def _times(meeting: dict[str, object]) -> Times | str:
    if "problem" in meeting:
        return str(meeting["problem"])
    return Times(longest(Taking(*one) for one in meeting["times"]), bool(meeting["endless"]))  # type: ignore[attr-defined]


def longest(taking: Iterable[Taking]) -> tuple[Taking, ...]:
    """Return what takes place in order, of two with the same start the one that is over later."""
    found: dict[int, Taking] = {}
    for one in taking:
        if one.start not in found or found[one.start].over < one.over:
            found[one.start] = one
    return tuple(found[start] for start in sorted(found))
