"""Dates and times in words, in the meeting's own zone."""

import re
from datetime import datetime

import pytest

from notes2conf_milter.core.meeting import NOWHERE, Occurrence
from notes2conf_milter.core.times import When, after_end, when
from tests.web.house import HOUR, MONDAY


def plain(found: When) -> tuple[str, str, str]:
    """The texts, with the comma after an English weekday that editions of the CLDR put there or leave out."""
    return with_comma(found.date), with_comma(found.time), found.zone


def with_comma(text: str) -> str:
    return re.sub(r"day (?=[0-9])", "day, ", text)


def test_in_the_meetings_zone() -> None:
    occurrence = Occurrence(MONDAY, MONDAY + HOUR, "Europe/Berlin", 7200)
    assert plain(when(occurrence, "de")) == (
        "Montag, 4. Mai 2026",
        "10:00 – 11:00",
        "Mitteleuropäische Sommerzeit (UTC+2)",
    )
    assert plain(when(occurrence, "en")) == (
        "Monday, 4 May 2026",
        "10:00 – 11:00",
        "Central European Summer Time (UTC+2)",
    )


def test_half_hours_and_the_west() -> None:
    assert when(Occurrence(MONDAY, MONDAY + HOUR, "America/New_York"), "en").zone == "Eastern Daylight Time (UTC−4)"
    assert when(Occurrence(MONDAY, MONDAY + HOUR, "", -12600), "en").zone == "UTC−3:30"


def test_a_zone_that_nobody_knows_is_its_offset() -> None:
    for zone in ("", "W. Europe", "Europe", "../etc/passwd", "/etc/passwd", "\0", "x" * 5000):
        found = when(Occurrence(MONDAY, MONDAY + HOUR, zone, 7200), "de")
        assert plain(found) == ("Montag, 4. Mai 2026", "10:00 – 11:00", "UTC+2")


def test_a_time_in_nobodys_zone_names_none() -> None:
    """A floating time is the reader's own: to call it UTC would be wrong."""
    found = when(Occurrence(MONDAY, MONDAY + HOUR, NOWHERE), "en")
    assert (found.date, found.time, found.zone) == ("Monday, 4 May 2026", "08:00 – 09:00", "")
    assert found.machine == "2026-05-04T08:00:00"


def test_utc_is_called_utc() -> None:
    assert when(Occurrence(MONDAY, MONDAY + HOUR), "en").zone == "UTC"
    assert "UTC" in when(Occurrence(MONDAY, MONDAY + HOUR, "UTC"), "en").zone


def test_over_midnight_names_both_days() -> None:
    found = when(Occurrence(MONDAY + 12 * HOUR, MONDAY + 15 * HOUR, "Europe/Berlin"), "de")
    assert plain(found)[:2] == ("Montag, 4. Mai 2026", "22:00 – Dienstag, 5. Mai 2026, 01:00")


def test_without_a_length() -> None:
    assert when(Occurrence(MONDAY, MONDAY, "Europe/Berlin"), "en").time == "10:00"


def test_whole_days() -> None:
    midnight = MONDAY - 10 * HOUR
    one = Occurrence(midnight, midnight + 24 * HOUR, "Europe/Berlin", 7200, all_day=True)
    assert plain(when(one, "de")) == ("Montag, 4. Mai 2026", "", "")
    two = Occurrence(midnight, midnight + 48 * HOUR, "Europe/Berlin", 7200, all_day=True)
    assert plain(when(two, "en"))[0] == "Monday, 4 May 2026 – Tuesday, 5 May 2026"
    assert when(Occurrence(midnight, midnight, "Europe/Berlin", 7200, all_day=True), "de").date == "Montag, 4. Mai 2026"


def test_machines_can_read_it() -> None:
    found = when(Occurrence(MONDAY, MONDAY + HOUR, "Europe/Berlin"), "en")
    assert datetime.fromisoformat(found.machine).timestamp() == MONDAY


def test_of_a_series_after_its_last_date() -> None:
    assert (after_end(0, "en", series=True), after_end(0, "de", series=True)) == (
        "after its last date",
        "nach dem letzten Termin",
    )
    assert (after_end(3600, "en", series=True), after_end(7200, "de", series=True)) == (
        "1 hour after its last date",
        "2 Stunden nach dem letzten Termin",
    )


@pytest.mark.parametrize(
    ("grace", "english", "german"),
    [
        (0, "when the meeting is over", "mit dem Ende der Besprechung"),
        (1, "1 second after the meeting is over", "1 Sekunde nach dem Ende der Besprechung"),
        (1800, "30 minutes after the meeting is over", "30 Minuten nach dem Ende der Besprechung"),
        (3600, "1 hour after the meeting is over", "1 Stunde nach dem Ende der Besprechung"),
        (172_800, "2 days after the meeting is over", "2 Tage nach dem Ende der Besprechung"),
    ],
)
def test_when_it_is_deleted(grace: int, english: str, german: str) -> None:
    """To the second, in the largest unit that fits."""
    assert (after_end(grace, "en"), after_end(grace, "de")) == (english, german)
