"""What the waiting room shows, by the time and by what was opened."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.meeting import Admission, Occurrence, Page, Person, Room, RoomState
from notes2conf_milter.core.waitingroom import (
    AFTER,
    EARLY,
    OVERRUN,
    State,
    View,
    admitting,
    ended,
    ending,
    extended,
    opened,
    paused,
    resumed,
    view,
)

HOUR, DAY = 3600, 86400
NOON = 1777896000
URL = "https://meet.example.org/abc"


def meeting(*starts: int) -> Page:
    times = tuple(Occurrence(start, start + HOUR) for start in starts)
    return Page("Planning", Person("anna@example.org"), times, recurring=len(times) > 1)


def room(start: int, state: RoomState = RoomState.OPEN) -> Room:
    return Room(start, state, "jitsi", URL)


def shown(page: Page, now: int, seen: Room | None = None) -> View:
    found = view(page, seen, now)
    assert found is not None
    return found


def test_early_then_closed_then_open() -> None:
    page = meeting(NOON)
    assert shown(page, NOON - EARLY - 1).state is State.EARLY
    assert shown(page, NOON - EARLY).state is State.CLOSED
    assert shown(page, NOON + 10).state is State.CLOSED
    assert shown(page, NOON + 10, room(NOON)) == View(page.times[0], State.OPEN, room(NOON), last=True)


def test_it_can_be_opened_early() -> None:
    page = meeting(NOON)
    assert shown(page, NOON - DAY, room(NOON)).state is State.OPEN


def test_a_late_organizer_can_still_open() -> None:
    assert shown(meeting(NOON), NOON + 2 * HOUR).state is State.CLOSED


def test_the_next_of_a_series_starts_closed() -> None:
    page = meeting(NOON, NOON + DAY)
    known = room(NOON)
    assert shown(page, NOON + 30, known).state is State.OPEN
    following = shown(page, NOON + DAY - 60, known)
    assert (following.occurrence.start, following.state, following.room.url) == (NOON + DAY, State.CLOSED, "")


def test_an_open_conference_may_overrun_until_the_next_is_due() -> None:
    page = meeting(NOON, NOON + DAY)
    assert shown(page, NOON + HOUR, room(NOON)).state is State.OPEN
    assert shown(page, NOON + HOUR + OVERRUN, room(NOON)).occurrence.start == NOON + DAY
    assert shown(page, NOON + HOUR).occurrence.start == NOON + DAY, "not known: nothing to overrun"


def test_back_to_back_dates_do_not_overrun() -> None:
    page = meeting(NOON, NOON + HOUR)
    assert shown(page, NOON + HOUR - 1, room(NOON)).occurrence.start == NOON
    assert shown(page, NOON + HOUR, room(NOON)).occurrence.start == NOON + HOUR


def test_an_open_conference_stays_until_the_store_forgets() -> None:
    assert shown(meeting(NOON), NOON + 9 * DAY, room(NOON)).state is State.OPEN


def test_the_last_known_of_a_series_stays_for_a_while() -> None:
    page = meeting(NOON, NOON + DAY)
    assert shown(page, NOON + DAY + AFTER, room(NOON + DAY)) == View(
        page.times[1], State.OPEN, room(NOON + DAY), last=True
    )
    assert shown(page, NOON + DAY + AFTER).dated
    whole_day = replace(page, times=(Occurrence(NOON, NOON + DAY, all_day=True),))
    assert shown(whole_day, NOON + DAY + AFTER - 1, room(NOON)).state is State.OPEN
    assert shown(whole_day, NOON + DAY + AFTER, room(NOON)).state is State.CLOSED


def test_a_series_that_outlives_its_known_times_is_opened_day_by_day() -> None:
    page = meeting(NOON, NOON + DAY)
    known: Room | None = room(NOON + DAY)
    for day in (2, 3, 75, 600):
        due = NOON + day * DAY - EARLY
        assert shown(page, due - 1, known).state is State.OPEN or day in (75, 600)
        found = shown(page, due, known)
        assert (found.state, found.room.url, found.dated) == (State.CLOSED, "", False)
        known = opened(found, "jitsi", URL, "")
        for later in (due, due + EARLY, due + DAY - 1):
            assert shown(page, later, known) == View(found.occurrence, State.OPEN, known, dated=False)


def test_an_ended_day_without_a_date_is_closed() -> None:
    page, now = meeting(NOON, NOON + DAY), NOON + 9 * DAY
    ended = replace(opened(shown(page, now), "jitsi", URL, ""), state=RoomState.ENDED)
    assert shown(page, now, ended).state is State.CLOSED


def test_ended_makes_way_for_the_next_and_then_for_nothing() -> None:
    page = meeting(NOON, NOON + DAY)
    assert shown(page, NOON + 60, room(NOON, RoomState.ENDED)).occurrence.start == NOON + DAY
    assert view(page, room(NOON + DAY, RoomState.ENDED), NOON + DAY + 60) is None
    assert view(page, room(NOON + DAY, RoomState.ENDED), NOON + DAY + AFTER) is None


def test_a_room_of_another_time_opens_nothing() -> None:
    """The meeting was moved after it had been known: the new time starts closed."""
    assert shown(meeting(NOON + DAY), NOON, room(NOON)).state is State.EARLY


def test_a_closed_room_is_closed() -> None:
    assert shown(meeting(NOON), NOON, room(NOON, RoomState.CLOSED)).state is State.CLOSED


def test_without_times_there_is_a_page_all_the_same() -> None:
    page = Page("", Person(""), (), recurring=True)
    found = shown(page, NOON)
    assert (found.state, found.dated) == (State.CLOSED, False)
    known = opened(found, "jitsi", URL, "")
    assert shown(page, NOON, known).room.url == URL
    assert shown(page, NOON + DAY, known).state is State.CLOSED


def test_opening_names_the_occurrence_shown() -> None:
    page = meeting(NOON, NOON + DAY)
    known = opened(shown(page, NOON + DAY), "jitsi", URL, "")
    assert known == room(NOON + DAY)
    assert shown(page, NOON + DAY, known).room.url == URL


def test_an_extended_conference_goes_on() -> None:
    """Into the time of the next, too: the organizer said so. Behind its end, counted from now."""
    page = meeting(NOON, NOON + HOUR)
    longer = extended(shown(page, NOON, room(NOON)), 1800, NOON, NOON + DAY)
    assert longer == replace(room(NOON), until=NOON + HOUR + 1800)
    assert shown(page, NOON + HOUR + 1799, longer).occurrence.start == NOON
    assert shown(page, NOON + HOUR + 1800, longer).occurrence.start == NOON + HOUR
    late = extended(shown(meeting(NOON), NOON + 2 * HOUR, room(NOON)), 1800, NOON + 2 * HOUR, NOON + DAY)
    assert late.until == NOON + 2 * HOUR + 1800
    assert shown(meeting(NOON), NOON, late).over == late.until
    most = extended(shown(meeting(NOON), NOON, late), 1800, NOON, late.until + 60)
    assert most.until == late.until + 60
    assert extended(shown(meeting(NOON), NOON, late), 1800, NOON, NOON).until == late.until, "never shortened"


def test_when_the_end_is_near() -> None:
    """Ten minutes before, while a conference is on; an extension puts it off."""
    page, on = meeting(NOON), room(NOON)
    assert [ending(shown(page, now, on), now) for now in (NOON + HOUR - 601, NOON + HOUR - 600)] == [False, True]
    now = NOON + HOUR - 1
    assert ending(shown(page, now, paused(shown(page, now, on))), now) and not ending(shown(page, now), now)
    assert not ending(shown(page, now, extended(shown(page, now, on), 1800, now, NOON + DAY)), now)


def test_a_pause() -> None:
    """Only of what is open; and it is open again after it."""
    page = meeting(NOON)
    assert paused(shown(page, NOON)).state is RoomState.CLOSED
    still = paused(shown(page, NOON, room(NOON)))
    found = shown(page, NOON, still)
    assert (found.state, found.room.url) == (State.PAUSED, URL)
    assert resumed(found) == room(NOON)
    assert resumed(shown(page, NOON)).state is RoomState.CLOSED


def test_how_guests_are_admitted_goes_along_with_the_series() -> None:
    page = meeting(NOON, NOON + DAY)
    asking = admitting(shown(page, NOON, room(NOON)), Admission.ASK)
    assert (asking.state, asking.admission) == (RoomState.OPEN, Admission.ASK)
    for known in (asking, ended(shown(page, NOON, asking))):
        following = shown(page, NOON + DAY, known)
        assert (following.state, following.room.admission, following.room.url) == (State.CLOSED, Admission.ASK, "")


def test_the_last_one() -> None:
    """Of a series the last of which anything is known; a day without a date is never the last."""
    page = meeting(NOON, NOON + DAY)
    assert [shown(page, now).last for now in (NOON, NOON + DAY, NOON + 9 * DAY)] == [False, True, False]


MOMENTS = st.integers(0, 40)
ROOMS = st.none() | st.builds(Room, MOMENTS, st.sampled_from(RoomState), st.just("jitsi"), st.just(URL))


@given(
    starts=st.lists(MOMENTS, max_size=6), length=st.integers(0, 9), known=ROOMS, now=MOMENTS, recurring=st.booleans()
)
def test_open_means_opened_for_this_very_occurrence(
    starts: list[int], length: int, known: Room | None, now: int, recurring: bool
) -> None:
    times = tuple(Occurrence(start * HOUR, (start + length) * HOUR) for start in sorted(starts))
    known = None if known is None else Room(known.occurrence * HOUR, known.state, known.service, known.url)
    found = view(Page("", Person(""), times, recurring), known, now * HOUR)
    if found is None:
        assert known is not None
        assert known.state is RoomState.ENDED
        return
    assert (found.occurrence in times) == found.dated
    mine = known is not None and known.occurrence == found.occurrence.start
    assert (found.state is State.OPEN) == (mine and known is not None and known.state is RoomState.OPEN)
    assert (found.room.url == "") == (not mine)
    assert not (mine and found.dated and known is not None and known.state is RoomState.ENDED)
