"""When a meeting takes place, after messages about the whole and about single dates."""

from dataclasses import replace

from notes2conf_milter.core.meeting import Instance, Occurrence, Page, Revision, Version
from notes2conf_milter.store import dates
from tests.store.vault import DAY, FIRST, HOUR, NOW, PAGE, SECOND

WEEK = 7 * DAY
WEEKLY = tuple(Occurrence(NOW + number * WEEK, NOW + number * WEEK + HOUR) for number in range(3))
SERIES = replace(PAGE, times=WEEKLY, recurring=True)
THIRD = Revision(2, "20260503T080000Z")


def seen(page: Page, version: Version) -> tuple[list[int], int]:
    """The days from NOW on which it takes place, and after how many it is over."""
    return [(one.start - NOW) // DAY for one in page.times], (dates.end(version) - NOW) // DAY


def known(revision: Revision = FIRST) -> tuple[Page, Version]:
    return dates.after_series(replace(SERIES, times=()), Version(Revision()), SERIES, revision, ())


def apart(number: int, day: int | None, revision: Revision) -> tuple[int, Instance]:
    times = () if day is None else (Occurrence(NOW + day * DAY, NOW + day * DAY + HOUR),)
    return NOW + number * WEEK, Instance(revision, times, times[-1].end if times else 0)


def test_a_message_with_instances_of_its_own() -> None:
    """The master and what was changed, in one: the changed dates are instances, and a later message may change them again."""
    moved = apart(1, 9, FIRST)
    together = replace(SERIES, times=(WEEKLY[0], *moved[1].times, WEEKLY[2]))
    page, version = dates.after_series(replace(SERIES, times=()), Version(Revision()), together, FIRST, (moved,))
    assert seen(page, version) == ([0, 9, 14], 14)
    assert seen(*dates.after_instances(page, version, (apart(1, 10, SECOND),))) == ([0, 10, 14], 14)
    assert seen(*dates.after_instances(page, version, (apart(2, 3, SECOND), apart(0, None, SECOND)))) == ([3, 9], 9)


def test_an_instance_past_the_last_date_and_back() -> None:
    """The end follows, in both directions."""
    page, version = dates.after_instances(*known(), (apart(1, 30, SECOND),))
    assert seen(page, version) == ([0, 14, 30], 30)
    assert seen(*dates.after_instances(page, version, (apart(1, 8, THIRD),))) == ([0, 8, 14], 14)


def test_a_date_whose_sequence_ran_ahead() -> None:
    """A later message about the whole puts all off with it, whatever the SEQUENCE of the date; an earlier one does not."""
    page, version = dates.after_instances(*known(), (apart(1, 30, Revision(5, SECOND.dtstamp)),))
    assert seen(page, version) == ([0, 14, 30], 30)
    assert seen(*dates.after_series(page, version, SERIES, Revision(1, THIRD.dtstamp), ())) == ([0, 7, 14], 14)
    before = Revision(1, "20260501T090000Z")
    assert seen(*dates.after_series(page, version, SERIES, before, ())) == ([0, 14, 30], 30)


def test_a_date_is_cancelled_with_a_sequence_behind() -> None:
    """Of what was cancelled by its own number a series with a higher one, but sent before, knows nothing."""
    page, version = known(Revision(3, FIRST.dtstamp))
    version = dates.without(version, NOW + WEEK, Revision(1, SECOND.dtstamp), frozenset({"a"}), onward=False)
    assert seen(*dates.settled(page, version, {"a"}))[0] == [0, 14]


def test_an_information_update_without_the_changed_dates() -> None:
    """Leaves them where they are, for the SEQUENCE did not rise; of a date that it has no more nothing is left."""
    page, version = dates.after_instances(*known(), (apart(1, 30, SECOND), apart(2, None, SECOND)))
    information = Revision(FIRST.sequence, THIRD.dtstamp)
    assert seen(*dates.after_series(page, version, SERIES, information, ())) == ([0, 30], 30)
    shorter = replace(SERIES, times=WEEKLY[:1])
    assert seen(*dates.after_series(page, version, shorter, information, ())) == ([0], 0)
    assert seen(*dates.after_series(page, version, shorter, information, (), complete=False))[0] == [0, 30]


def test_what_was_put_off_before_a_date_was_moved_and_comes_late() -> None:
    """The information after both came first, and did not tell when all was put off."""
    page, version = dates.after_series(*known(), SERIES, Revision(1, "20260505T080000Z"), ())
    page, version = dates.after_instances(page, version, (apart(1, 30, Revision(1, "20260504T080000Z")),))
    assert seen(page, version) == ([0, 7, 14], 14)
    assert seen(*dates.after_series(page, version, SERIES, Revision(1, THIRD.dtstamp), ())) == ([0, 14, 30], 30)


def test_the_time_behind_the_end_goes_along() -> None:
    """Of floating times and days: over when they are over everywhere."""
    _, version = known()
    assert dates.end(replace(version, lag=5)) == WEEKLY[-1].end + 5


def test_of_two_of_the_same_revision_the_cancellation_counts() -> None:
    """In whichever order they come."""
    for first, second in ((8, None), (None, 8)):
        page, version = dates.after_instances(*known(), (apart(1, first, SECOND),))
        assert seen(*dates.after_instances(page, version, (apart(1, second, SECOND),)))[0] == [0, 14]


def cut(page: Page, version: Version, start: int, revision: Revision) -> tuple[Page, Version]:
    return dates.settled(page, dates.without(version, start, revision, frozenset(), onward=True), set())


def test_cuts_in_any_order() -> None:
    """The earliest counts; an instance that was changed after it stands; a newer series knows better."""
    one, other = (NOW + WEEK, SECOND), (NOW + 2 * WEEK, THIRD)
    for first, second in ((one, other), (other, one)):
        page, version = cut(*known(), *first)
        page, version = cut(page, version, *second)
        assert seen(page, version) == ([0], 0)
        assert seen(*dates.after_instances(page, version, (apart(1, 8, THIRD),))) == ([0, 8], 8)
        assert seen(*dates.after_instances(page, version, (apart(1, 8, SECOND),))) == ([0], 0)
        assert seen(*dates.after_instances(page, version, (apart(2, 15, THIRD),))) == ([0], 0)
        newer = Revision(3, "20260504T080000Z")
        assert seen(*dates.after_series(page, version, SERIES, newer, ())) == ([0, 7, 14], 14)
    assert cut(*known(THIRD), *one) == known(THIRD)  # late


def test_cuts_are_bounded() -> None:
    page, version = known()
    for number in range(dates.MAX_CUTS + 5):
        page, version = cut(page, version, NOW + number * DAY, Revision(number + 1, f"2026{number:04}"))
    assert len(version.cuts) <= dates.MAX_CUTS


def test_dates_that_are_cancelled_for_some() -> None:
    """Go when everybody has been named; what came since is not undone by it."""
    page, version = known()
    version = dates.without(version, NOW + WEEK, SECOND, frozenset({"a"}), onward=False)
    assert dates.settled(page, version, {"a", "b"}) == (page, version)
    assert seen(*dates.settled(page, version, {"a"}))[0] == [0, 14]
    after = dates.after_instances(page, version, (apart(1, 8, THIRD),))
    assert after[1].partly == ()
    assert dates.without(after[1], NOW + WEEK, SECOND, frozenset({"b"}), onward=False) == after[1]
    older = dates.after_instances(page, version, (apart(1, 8, FIRST),))
    assert older[1].partly == version.partly


def test_dates_that_one_message_tells_with_a_sequence_behind() -> None:
    """The master has the higher SEQUENCE, and yet it tells of them what is true now; they stay when it is sent as it was."""
    told = apart(1, 30, Revision(0, THIRD.dtstamp))
    together = replace(SERIES, times=(WEEKLY[0], WEEKLY[2], *told[1].times))
    risen = Revision(1, THIRD.dtstamp)
    page, version = dates.after_series(*known(), together, risen, (told,))
    assert seen(page, version) == ([0, 14, 30], 30)
    later = Revision(1, "20260504T080000Z")
    assert seen(*dates.after_series(page, version, SERIES, later, ())) == ([0, 14, 30], 30)
    page, version = dates.after_series(*known(), SERIES, later, ())
    assert seen(*dates.after_series(page, version, together, risen, (told,))) == ([0, 14, 30], 30)


def test_a_date_that_was_told_before_the_whole_was_seen() -> None:
    """Whether all was put off between the two its SEQUENCE says."""
    early = dates.after_instances(replace(SERIES, times=()), Version(Revision()), (apart(1, 30, SECOND),))
    information = Revision(SECOND.sequence, THIRD.dtstamp)
    assert seen(*dates.after_series(*early, SERIES, information, ())) == ([0, 14, 30], 30)
    assert seen(*dates.after_series(*early, SERIES, FIRST, ())) == ([0, 14, 30], 30)
    assert seen(*dates.after_series(*early, SERIES, THIRD, ())) == ([0, 7, 14], 14)
