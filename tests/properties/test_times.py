"""Series drawn at random take place when the text of the RFC says, and when ical.js says, but where ical.js is known to err.

One seed here, so that a commit is judged alike twice; `python -m tests.properties.test_times 7 2000` looks at 2000 of seed 7.
"""

import sys
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from random import Random
from zoneinfo import ZoneInfo

from notes2conf_milter.core.contentlines import components
from notes2conf_milter.core.occurrences import schedule
from notes2conf_milter.core.work import LISTED_TIMES
from tests.othertimes import Times, times_by_ical_js
from tests.properties.series import KNOWN, NO_ZONES, Series, draw

DAY = 86_400
KEPT = 730 * DAY
DRAWN, SEED = 300, 5545


def drawn(seed: int, number: int) -> list[Series]:
    random = Random(seed)
    return [draw(random) for _ in range(number)]


def nows(one: Series, times: Times) -> list[int]:
    """Return from when a series is looked at: before it begins, and in the middle; not where too little of it is known."""
    if not times.endless:
        first, last = (times.taking[0].start, times.taking[-1].over) if times.taking else (0, 0)
        return [first - 2 * DAY, (first + last) // 2]
    first, known = one.seconds(one.start), one.seconds(one.start + KNOWN)
    coming = [now for now in (first - 2 * DAY, first + 600 * DAY) if any(taking.over > now for taking in times.taking)]
    return [now for now in coming if now + KEPT + 2 * DAY < known]


def ours(one: Series, now: int) -> tuple[list[tuple[int, int]], int]:
    (calendar,) = components(one.text().encode())
    found = schedule(calendar, b"u", now, open_ended_seconds=KEPT, max_times=LISTED_TIMES)
    return [(time.start, time.end) for time in found.times], found.over_at


def same(one: Series, theirs: Times, text: Times) -> bool:
    """Tell whether we say what `theirs` says, at the times at which `text` can be asked."""
    return all(ours(one, now) == theirs.seen(now, KEPT, LISTED_TIMES) for now in nows(one, text))


# --- what ical.js 2.2.1 does not do ---


def odd_hours(one: Series) -> bool:
    """It takes the second of two equal hours, and the offset after the gap (RFC 5545 §3.3.5: the first, and before)."""
    if one.zone in NO_ZONES:
        return False
    zone = ZoneInfo(one.zone)

    def odd(local: datetime) -> bool:
        return local.replace(tzinfo=zone).utcoffset() != local.replace(tzinfo=zone, fold=1).utcoffset()

    starts = [*one.locals(), *(override.to for override in one.overrides if override.to is not None)]
    starts += [date.local for date in (*one.rdates, *one.exdates)]
    return any(odd(local) or odd(local + one.took) for local in starts)


def several_rules(one: Series) -> bool:
    """It loses times of one rule when another ends."""
    return len(one.rules) > 1


PARTLY = ("BYSETPOS", "BYWEEKNO", "BYYEARDAY", "BYHOUR")


def rule_parts(one: Series) -> bool:
    """It has some parts in part only; BYMONTHDAY only alone in a month."""
    for rule in one.rules:
        freq = rule.parts.partition(";")[0].removeprefix("FREQ=")
        others = {part.partition("=")[0] for part in rule.parts.split(";")} & {"BYMONTH", "BYDAY"}
        if any(part in rule.parts for part in PARTLY) or ("BYMONTHDAY" in rule.parts and (others or freq != "MONTHLY")):
            return True
    return False


def first_not_of_the_rule(one: Series) -> bool:
    """RFC 5545 §3.8.5.3 leaves open what a DTSTART means that its rule does not have."""
    return any(one.start not in rule.times(one.start)[:1] for rule in one.rules)


def until_of_another_kind(one: Series) -> bool:
    """It takes a local UNTIL for UTC, and a date for its midnight (RFC 5545 §3.3.10: UTC beside a zone)."""
    kinds = {"floating": "local", "date": "date"}
    return any(rule.until is not None and rule.written != kinds.get(one.zone, "utc") for rule in one.rules)


def exceptions_out_of_step(one: Series) -> bool:
    """It walks along EXDATEs one by one: those that match nothing, or twice, or that stand without a rule, throw it off."""
    dates = [date.local for date in one.exdates]
    loose = len(set(dates)) < len(dates) or not set(dates) <= set(one.locals())
    return bool(dates) and (
        loose or not one.rules or bool(one.rdates) or "date" in {date.written for date in one.exdates}
    )


def override_on_another_clock(one: Series) -> bool:
    """It compares RECURRENCE-ID with an RDATE in UTC as text."""
    in_utc = {date.local for date in one.rdates if date.written == "utc"}
    return any(override.original.local in in_utc for override in one.overrides)


def two_at_one_time(one: Series) -> bool:
    """An RDATE at a time of the rule or of another RDATE; here the longer one counts."""
    dates = [date.local for date in one.rdates]
    known = {one.start}.union(*(rule.times(one.start) for rule in one.rules))
    return len(set(dates)) < len(dates) or bool(known & set(dates))


CAUSES = (
    odd_hours,
    several_rules,
    rule_parts,
    first_not_of_the_rule,
    until_of_another_kind,
    exceptions_out_of_step,
    override_on_another_clock,
    two_at_one_time,
)


def causes(one: Series) -> list[str]:
    return [cause.__name__ for cause in CAUSES if cause(one)]


def by_ical_js(series: list[Series]) -> list[Times | str]:
    """What ical.js has for each; the loop that it would not leave is not drawn."""
    found = times_by_ical_js([one.text() for one in series])
    return ["unparsed" if one is None else one[0]["u"] for one in found]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One series, and who says what we say."""

    series: Series
    text: bool
    ical_js: bool


@lru_cache(1)
def outcomes(seed: int, number: int) -> list[Outcome]:
    series = drawn(seed, number)
    found = []
    for one, theirs in zip(series, by_ical_js(series), strict=True):
        text = one.times()
        # That a date counts for the end which UNTIL cuts off is a rule of ours, not of the library.
        agree = isinstance(theirs, Times) and same(one, replace(theirs, later=text.later), text)
        found.append(Outcome(one, same(one, text, text), agree))
    return found


def test_series_take_place_as_the_text_of_the_rfc_says() -> None:
    """All of them, whatever ical.js makes of them."""
    assert [one.series.text() for one in outcomes(SEED, DRAWN) if not one.text] == []


def test_series_take_place_as_ical_js_says_but_for_known_causes() -> None:
    found = outcomes(SEED, DRAWN)
    assert [one.series.text() for one in found if not one.ical_js and not causes(one.series)] == []
    assert sum(one.ical_js for one in found) > DRAWN / 2


if __name__ == "__main__":
    counted: Counter[str] = Counter()
    for one in outcomes(int(sys.argv[1]), int(sys.argv[2])):
        why = ", ".join(causes(one.series)) or "UNKNOWN"
        counted["ical.js says the same" if one.ical_js else f"ical.js differs: {why}"] += 1
        counted["the text says the same" if one.text else "the text DIFFERS"] += 1
        if not one.text or not (one.ical_js or causes(one.series)):
            print(one.series.text())
    for what, number in counted.most_common():
        print(number, what)
