"""The next times and the last one, the same as a rule expanded from its start; and a bounded number of periods for any rule."""

from datetime import datetime, timedelta
from itertools import takewhile

import pytest
from dateutil import rrule as dateutil_rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from notes2conf_milter.core import rules
from notes2conf_milter.core.recurrence import MAX_COUNT, Budget, Ending, Spent, Walk, walk
from tests.bythetext import times

START = datetime(2024, 1, 31, 10)


def walked(
    rule: str,
    *,
    start: datetime = START,
    since: datetime = START,
    until: datetime | None = None,
    want: int = 5,
    left: int = 12_000,
) -> Walk:
    read = rules.read(rule.encode())
    return walk(read, start, since=since, until=until, want=want, keep=lambda _: True, budget=Budget(left))


def test_a_rule_without_end_is_open() -> None:
    found = walked("FREQ=DAILY", since=datetime(2030, 1, 1), want=2)
    assert found == Walk((datetime(2030, 1, 1, 10), datetime(2030, 1, 2, 10)), Ending.OPEN, exact=False)


def test_the_last_time_is_found_without_walking_there() -> None:
    found = walked("FREQ=DAILY", until=datetime(2090, 1, 1), want=1, left=100)
    assert found == Walk((START, datetime(2089, 12, 31, 10)), Ending.LAST)


def test_the_last_time_that_is_kept() -> None:
    keep = datetime(2024, 3, 1)
    found = walk(
        rules.read(b"FREQ=DAILY"),
        START,
        since=datetime(2026, 1, 1),
        until=datetime(2025, 1, 1),
        want=5,
        keep=lambda time: time < keep,
        budget=Budget(),
    )
    assert found.times == (datetime(2024, 2, 29, 10),)


@pytest.mark.parametrize("left", [0, 1, 50, 1000])
@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;INTERVAL=7;BYDAY=SA",
        "FREQ=WEEKLY;INTERVAL=5218;BYMONTH=2",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTH=2",
        "FREQ=YEARLY;INTERVAL=100;BYMONTH=2;BYMONTHDAY=29",
    ],
)
def test_each_period_is_paid_for(rule: str, left: int) -> None:
    """Not one of these yields: only the price of each period ends the search (else dateutil looks at all until 9999)."""
    budget = Budget(left)
    read = rules.read(rule.encode())
    assert read.verdict is rules.Verdict.EXPAND
    found = walk(read, START, since=datetime(2024, 2, 1), until=None, want=5, keep=lambda _: False, budget=budget)
    assert found == Walk((), Ending.OPEN, exact=False)
    assert budget.left < 0 or rule.startswith("FREQ=YEARLY") or "5218" in rule


def test_a_spent_budget_stays_spent() -> None:
    budget = Budget(1)
    budget.spend(1)
    with pytest.raises(Spent):
        budget.spend(1)


def test_counts_past_the_bound_are_lost() -> None:
    assert walked(f"FREQ=DAILY;COUNT={MAX_COUNT}").ending is Ending.LAST
    assert walked(f"FREQ=DAILY;COUNT={MAX_COUNT + 1}").ending is Ending.LOST


def test_an_interval_of_centuries_is_one_period() -> None:
    assert walked("FREQ=WEEKLY;INTERVAL=99999999;BYDAY=WE,TH") == Walk(
        (START, START + timedelta(days=1)), Ending.LAST, exact=False
    )


DAYS = st.lists(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1, max_size=3, unique=True).map(
    ",".join
)
PARTS = {
    "DAILY": [st.just(""), DAYS.map(";BYDAY={}".format), st.just(";BYMONTH=3,4,5,12")],
    "WEEKLY": [st.just(""), DAYS.map(";BYDAY={}".format)],
    "MONTHLY": [
        st.just(""),
        st.integers(1, 31).map(";BYMONTHDAY={}".format),
        st.integers(-4, -1).map(";BYDAY={}FR".format),
        DAYS.map(";BYDAY={};BYSETPOS=-1".format),
    ],
    "YEARLY": [st.just(""), st.just(";BYMONTH=2,8;BYDAY=1MO"), st.just(";BYMONTHDAY=7"), st.just(";BYYEARDAY=-1,60")],
}
RULES = st.sampled_from(list(PARTS)).flatmap(
    lambda freq: st.tuples(st.integers(1, 5), st.one_of(PARTS[freq])).map(
        lambda it: f"FREQ={freq};INTERVAL={it[0]}{it[1]}"
    )
)


@settings(max_examples=200, deadline=None)
@given(RULES, st.integers(0, 400), st.integers(0, 2500), st.integers(1, 2500))
def test_jumps_land_where_walking_lands(rule: str, begin: int, later: int, length: int) -> None:
    start = START.replace(day=1) + timedelta(days=begin)
    since, until = start + timedelta(days=later), start + timedelta(days=later + length)
    # from the whole first period on: dateutil counts BYSETPOS from DTSTART on, which is no set
    whole = start.replace(day=1) if "BYSETPOS" in rule else start
    extra = f";BYMONTHDAY={start.day}" if rule.startswith("FREQ=MONTHLY") and "BY" not in rule else ""
    expected = [
        time
        for time in dateutil_rrule.rrulestr(rule + extra, dtstart=whole).between(start, until, inc=True)
        if start <= time
    ]
    found = walked(rule, start=start, since=since, until=until, want=10_000)
    after = [time for time in expected if time >= since]
    assert list(found.times) == (after or expected[-1:])
    assert found.ending is Ending.LAST
    counted = walked(f"{rule};COUNT=7", start=start, since=start, want=7)
    if len(expected) >= 7:
        assert list(counted.times) == expected[:7]


@pytest.mark.parametrize("numbers", ["53", "52", "1", "-1", "-2", "-52", "-53", "1,53", "20,52"])
@pytest.mark.parametrize("wkst", ["MO", "SU", "TH", "SA"])
def test_weeks_that_lie_in_two_years(numbers: str, wkst: str) -> None:
    """Each day of them, for a century: dateutil numbers the first days of some years wrongly."""
    rule = f"FREQ=YEARLY;BYWEEKNO={numbers};WKST={wkst};BYDAY=MO,TU,WE,TH,FR,SA,SU"
    last = datetime(2126, 1, 1)
    found = walked(rule, until=last, want=3_000)
    assert found == Walk(tuple(takewhile(lambda time: time <= last, times(rule, START))))
