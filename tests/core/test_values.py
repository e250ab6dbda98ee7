"""Single values: what is read, and that everything else is None."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.values import read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20260301", date(2026, 3, 1)),
        ("20260301T100000", datetime(2026, 3, 1, 10)),
        (" 20260301t100000z ", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("20260301T1000", datetime(2026, 3, 1, 10)),
        ("20260301T1000Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("PT1H30M", timedelta(minutes=90)),
        ("-P1W", timedelta(days=-7)),
    ],
)
def test_what_is_read(text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "x", "2026-03-01", "20260230", "20260301T250000", "100000", "09990101", "99010101T000000", "P", "P" + "9" * 5000 + "D",
     "20260301/20260302", "２０２６０３０１", "20260301T100000+01", "P99999999999999999999W"],
)  # fmt: skip
def test_what_is_not(text: str) -> None:
    assert read(text) in (None, timedelta(0))


@given(st.text() | st.from_regex(r"[+-]?P?[0-9]{0,9}T?[0-9]{0,7}[ZWDHMS]?", fullmatch=True))
def test_any_text(text: str) -> None:
    found = read(text)
    assert found is None or isinstance(found, date | timedelta)
