"""The rule for a list of days, and the lists for which there is none."""

from datetime import date, timedelta

import pytest

from notes2conf_milter.core.shortrule import MAX_COUNT, short_rule


def days(*texts: str) -> list[date]:
    return [date.fromisoformat(text) for text in texts]


@pytest.mark.parametrize(
    ("texts", "rule"),
    [
        (["2026-03-09", "2026-03-16", "2026-03-23"], "FREQ=WEEKLY;COUNT=3;BYDAY=MO"),
        (["2026-03-09", "2026-04-06"], "FREQ=WEEKLY;COUNT=2;INTERVAL=4;BYDAY=MO"),
        (["2026-03-09", "2026-03-10", "2026-03-11"], "FREQ=DAILY;COUNT=3"),
        (["2026-03-09", "2026-03-12", "2026-03-15"], "FREQ=DAILY;COUNT=3;INTERVAL=3"),
        (["2026-03-12", "2026-03-16", "2026-03-19", "2026-03-23"], "FREQ=WEEKLY;COUNT=4;BYDAY=MO,TH"),
        (["2026-03-13", "2026-03-16", "2026-03-17"], "FREQ=WEEKLY;COUNT=3;BYDAY=MO,TU,FR"),
        (
            ["2026-03-09", "2026-03-13", "2026-03-23", "2026-03-27"],
            "FREQ=WEEKLY;COUNT=4;INTERVAL=2;BYDAY=MO,FR;WKST=MO",
        ),
        (["2026-03-28", "2026-04-28", "2026-05-28"], "FREQ=MONTHLY;COUNT=3;BYMONTHDAY=28"),
        (["2026-11-15", "2027-02-15", "2027-05-15"], "FREQ=MONTHLY;COUNT=3;INTERVAL=3;BYMONTHDAY=15"),
        (["2026-03-10", "2026-04-14", "2026-05-12"], "FREQ=MONTHLY;COUNT=3;BYDAY=2TU"),
        (["2026-04-28", "2026-05-26", "2026-06-30"], "FREQ=MONTHLY;COUNT=3;BYDAY=-1TU"),
        (["2026-03-24", "2026-04-28", "2026-05-26"], "FREQ=MONTHLY;COUNT=3;BYDAY=4TU"),
        (["2026-02-10", "2027-02-10", "2028-02-10"], "FREQ=YEARLY;COUNT=3;BYMONTHDAY=10;BYMONTH=2"),
    ],
)
def test_the_plainest_rule(texts: list[str], rule: str) -> None:
    """As a person would have entered the series."""
    assert short_rule(days(*texts)) == rule


@pytest.mark.parametrize(
    "texts",
    [
        ["2026-03-09"],
        ["2026-03-09", "2026-03-16", "2026-03-24"],
        ["2026-03-09", "2026-03-16", "2026-03-30"],
        ["2026-01-31", "2026-03-31", "2026-05-31"],
        ["2026-01-30", "2026-02-28", "2026-03-30"],
        ["2024-02-29", "2028-02-29", "2032-02-29"],
        ["2026-03-16", "2026-03-09"],
        ["2026-03-09", "2026-03-09"],
        ["2026-03-09", "2126-03-10"],
    ],
    ids=["one", "moved", "gap", "31st", "last", "leap", "disorder", "twice", "century"],
)
def test_no_rule(texts: list[str]) -> None:
    """Nothing that some reader could take otherwise: no day that not every month has."""
    assert short_rule(days(*texts)) is None


def test_no_more_than_a_series_may_have() -> None:
    """Outlook counts to 999."""
    every = [date(2026, 1, 1) + timedelta(days=number) for number in range(MAX_COUNT + 1)]
    assert short_rule(every[:-1]) == "FREQ=DAILY;COUNT=999"
    assert short_rule(every) is None
