"""Whether a message moved a meeting."""

from dataclasses import replace

from notes2conf_milter.core.meeting import Occurrence, Page, Person
from notes2conf_milter.core.work import LISTED_TIMES
from notes2conf_milter.store.moved import moved

DAY = 86_400
NOW = 1_000_000


def page(*days: int, length: int = 3600) -> Page:
    times = tuple(Occurrence(NOW + day * DAY, NOW + day * DAY + length) for day in days)
    return Page("x", Person("anna@example.org"), times, len(days) > 1)


def found(before: Page, after: Page, now: int = NOW) -> tuple[int, ...]:
    return tuple((one.start - NOW) // DAY for one in moved(before, after, now))


def test_a_meeting_that_moved() -> None:
    """Its start, or its end."""
    assert found(page(1), page(2)) == (1, 2)
    assert found(page(1), page(1, length=7200)) == (1, 1)
    assert found(page(1), replace(page(1), subject="y")) == ()


def test_a_date_of_a_series_that_moved() -> None:
    """The first that went, and the first that came."""
    assert found(page(1, 8, 15), page(1, 9, 15)) == (8, 9)
    assert found(page(1, 8, 15), page(2, 9, 16)) == (1, 2)


def test_what_only_goes_or_only_comes_is_no_move() -> None:
    assert found(page(1, 8, 15), page(1, 15)) == ()
    assert found(page(1, 8), page(1, 8, 15)) == ()
    assert found(page(1), page()) == ()


def test_what_is_over_has_not_moved() -> None:
    """A series that is sent again lists its coming dates alone."""
    assert found(page(1, 8, 15), page(8, 15, 22), NOW + 2 * DAY) == ()


def test_a_long_series_lists_later_dates_as_time_goes_on() -> None:
    """A date that went is not the one that came at the end."""
    before, after = range(1, LISTED_TIMES + 1), [day for day in range(1, LISTED_TIMES + 3) if day != 5]
    assert found(page(*before), page(*after)) == ()
    assert found(page(*before), page(*(4.5 if day == 5 else day for day in before))) == (5, 4)  # type: ignore[arg-type]
