"""What an RRULE says, and which rules are recognised as never yielding or unsafe, by analysis alone."""

from datetime import UTC, date, datetime

import pytest
from dateutil import rrule
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.rules import Rule, Verdict, read


def test_a_rule_is_read_whatever_its_order_and_case() -> None:
    found = read(b"wkst=SU; byday=TU,TH,TU,-1FR;FREQ=monthly;INTERVAL=2;UNTIL=20260101T000000Z;")
    assert (found.freq, found.interval, found.wkst) == (rrule.MONTHLY, 2, 6)
    assert found.weekdays == ((-1, 4), (0, 1), (0, 3))
    assert found.until == datetime(2026, 1, 1, tzinfo=UTC)
    assert found.verdict is Verdict.EXPAND


def test_times_of_the_day_do_not_count_for_whole_days() -> None:
    assert read(b"FREQ=DAILY;BYHOUR=8,9").hours == (8, 9)
    assert read(b"FREQ=DAILY;BYHOUR=8,9", all_day=True).hours == ()


def test_an_until_after_all_years_is_none() -> None:
    assert read(b"FREQ=DAILY;UNTIL=99991231T235959Z").until is None


@pytest.mark.parametrize(
    "value", [b"FREQ=DAILY;BYDAY=XX;UNTIL=20260101", b"FREQ=OFTEN;UNTIL=20260101", b"FREQ=DAILY;COUNT=x;UNTIL=20260101"]
)
def test_until_is_read_where_the_rest_is_not(value: bytes) -> None:
    assert read(value) == Rule(until=date(2026, 1, 1))


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (b"FREQ=YEARLY", Verdict.EXPAND),
        (b"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", Verdict.EXPAND),
        (b"FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", Verdict.EXPAND),
        (b"FREQ=YEARLY;BYYEARDAY=1,100", Verdict.EXPAND),
        (b"FREQ=YEARLY;BYDAY=20MO", Verdict.EXPAND),
        (b"FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", Verdict.EXPAND),
        (b"FREQ=MONTHLY;BYDAY=1SA;BYMONTHDAY=1,2,3,4,5,6,7", Verdict.EXPAND),
        (b"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", Verdict.EXPAND),
        (b"FREQ=WEEKLY;BYDAY=2MO", Verdict.EXPAND),  # an ordinal says nothing here
        (b"RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=OMIT", Verdict.EXPAND),
        (b"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", Verdict.NEVER),
        (b"FREQ=DAILY;BYMONTH=4,6;BYMONTHDAY=-31", Verdict.NEVER),
        (b"FREQ=MONTHLY;BYMONTH=13", Verdict.NEVER),
        (b"FREQ=MONTHLY;BYMONTHDAY=0", Verdict.NEVER),
        (b"FREQ=MONTHLY;BYDAY=6MO", Verdict.NEVER),
        (b"FREQ=YEARLY;BYMONTH=1;BYDAY=6MO", Verdict.NEVER),
        (b"FREQ=YEARLY;BYDAY=54MO", Verdict.NEVER),
        (b"FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1", Verdict.NEVER),
        (b"FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6", Verdict.NEVER),
        (b"FREQ=DAILY;BYSETPOS=2", Verdict.NEVER),
        (b"FREQ=YEARLY;BYSETPOS=367", Verdict.NEVER),
        (b"FREQ=HOURLY", Verdict.UNSAFE),
        (b"FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", Verdict.UNSAFE),
        (b"FREQ=WEEKLY;BYMONTHDAY=1", Verdict.UNSAFE),
        (b"FREQ=MONTHLY;BYYEARDAY=1", Verdict.UNSAFE),
        (b"FREQ=YEARLY;BYYEARDAY=1;BYMONTH=2", Verdict.UNSAFE),
        (b"FREQ=YEARLY;BYWEEKNO=1;BYMONTH=7", Verdict.UNSAFE),
        (b"FREQ=YEARLY;BYWEEKNO=1;BYSETPOS=1", Verdict.UNSAFE),
        (b"FREQ=DAILY;BYMINUTE=" + b",".join(b"%d" % minute for minute in range(60)), Verdict.UNSAFE),
        (b"FREQ=YEARLY;BYSETPOS=" + b",".join(b"%d" % place for place in range(1, 30)), Verdict.UNSAFE),
        (b"FREQ=DAILY;" + b"BYMONTH=1," * 500, Verdict.UNSAFE),
        (b"RSCALE=HEBREW;FREQ=YEARLY", Verdict.UNSAFE),
        (b"FREQ=YEARLY;SKIP=FORWARD", Verdict.UNSAFE),
        (b"FREQ=YEARLY;BYMONTH=5L", Verdict.UNSAFE),
        (b"", Verdict.UNSAFE),
        (b"\xff\x00", Verdict.UNSAFE),
    ],
)
def test_verdicts(value: bytes, verdict: Verdict) -> None:
    assert read(value).verdict is verdict


@given(st.binary(max_size=80))
def test_any_octets(value: bytes) -> None:
    assert isinstance(read(b"FREQ=DAILY;" + value).verdict, Verdict)
