"""What the waiting room shows, by the time and by what was opened."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.meeting import Occurrence, Page, Person, Room, RoomState
from notes2conf_milter.core.waitingroom import AFTER, EARLY, OVERRUN, State, View, open_room, view

HOUR, DAY = 3600, 86400
NOON = 1777896000
URL = "https://meet.example.org/abc"


def meeting(*starts: int) -> Page:
    times = tuple(Occurrence(start, start + HOUR) for start in starts)
    return Page("Planning", Person("anna@example.org"), times, recurring=len(times) > 1)


def room(start: int, state: RoomState = RoomState.OPEN) -> Room:
    return Room(start, state, "jitsi", URL)


def shown(page: Page, now: int, opened: Room | None = None) -> View:
    found = view(page, opened, now)
    assert found is not None
    return found


def test_early_then_closed_then_open() -> None:
    page = meeting(NOON)
    assert shown(page, NOON - EARLY - 1).state is State.EARLY
    assert shown(page, NOON - EARLY).state is State.CLOSED
    assert shown(page, NOON + 10).state is State.CLOSED
    assert shown(page, NOON + 10, room(NOON)) == View(page.times[0], State.OPEN, URL)


def test_it_can_be_opened_early() -> None:
    page = meeting(NOON)
    assert shown(page, NOON - DAY, room(NOON)).state is State.OPEN


def test_a_late_organizer_can_still_open() -> None:
    assert shown(meeting(NOON), NOON + 2 * HOUR).state is State.CLOSED


def test_the_next_of_a_series_starts_closed() -> None:
    page = meeting(NOON, NOON + DAY)
    opened = room(NOON)
    assert shown(page, NOON + 30, opened).state is State.OPEN
    following = shown(page, NOON + DAY - 60, opened)
    assert (following.occurrence.start, following.state, following.url) == (NOON + DAY, State.CLOSED, "")


def test_an_open_conference_may_overrun_until_the_next_is_due() -> None:
    page = meeting(NOON, NOON + DAY)
    assert shown(page, NOON + HOUR, room(NOON)).state is State.OPEN
    assert shown(page, NOON + HOUR + OVERRUN, room(NOON)).occurrence.start == NOON + DAY
    assert shown(page, NOON + HOUR).occurrence.start == NOON + DAY, "not opened: nothing to overrun"


def test_back_to_back_dates_do_not_overrun() -> None:
    page = meeting(NOON, NOON + HOUR)
    assert shown(page, NOON + HOUR - 1, room(NOON)).occurrence.start == NOON
    assert shown(page, NOON + HOUR, room(NOON)).occurrence.start == NOON + HOUR


def test_an_open_conference_stays_until_the_store_forgets() -> None:
    assert shown(meeting(NOON), NOON + 9 * DAY, room(NOON)).state is State.OPEN


def test_the_last_known_of_a_series_stays_for_a_while() -> None:
    page = meeting(NOON, NOON + DAY)
    assert shown(page, NOON + DAY + AFTER, room(NOON + DAY)) == View(page.times[1], State.OPEN, URL)
    assert shown(page, NOON + DAY + AFTER).dated
    whole_day = replace(page, times=(Occurrence(NOON, NOON + DAY, all_day=True),))
    assert shown(whole_day, NOON + DAY + AFTER - 1, room(NOON)).state is State.OPEN
    assert shown(whole_day, NOON + DAY + AFTER, room(NOON)).state is State.CLOSED


def test_a_series_that_outlives_its_known_times_is_opened_day_by_day() -> None:
    page = meeting(NOON, NOON + DAY)
    opened: Room | None = room(NOON + DAY)
    for day in (2, 3, 75, 600):
        due = NOON + day * DAY - EARLY
        assert shown(page, due - 1, opened).state is State.OPEN or day in (75, 600)
        found = shown(page, due, opened)
        assert (found.state, found.url, found.dated) == (State.CLOSED, "", False)
        opened = open_room(found, "jitsi", URL)
        for later in (due, due + EARLY, due + DAY - 1):
            assert shown(page, later, opened) == View(found.occurrence, State.OPEN, URL, dated=False)


def test_an_ended_day_without_a_date_is_closed() -> None:
    page, now = meeting(NOON, NOON + DAY), NOON + 9 * DAY
    ended = replace(open_room(shown(page, now), "jitsi", URL), state=RoomState.ENDED)
    assert shown(page, now, ended).state is State.CLOSED


def test_ended_makes_way_for_the_next_and_then_for_nothing() -> None:
    page = meeting(NOON, NOON + DAY)
    assert shown(page, NOON + 60, room(NOON, RoomState.ENDED)).occurrence.start == NOON + DAY
    assert view(page, room(NOON + DAY, RoomState.ENDED), NOON + DAY + 60) is None
    assert view(page, room(NOON + DAY, RoomState.ENDED), NOON + DAY + AFTER) is None


def test_a_room_of_another_time_opens_nothing() -> None:
    """The meeting was moved after it had been opened: the new time starts closed."""
    assert shown(meeting(NOON + DAY), NOON, room(NOON)).state is State.EARLY


def test_a_closed_room_is_closed() -> None:
    assert shown(meeting(NOON), NOON, room(NOON, RoomState.CLOSED)).state is State.CLOSED


def test_without_times_there_is_a_page_all_the_same() -> None:
    page = Page("", Person(""), (), recurring=True)
    found = shown(page, NOON)
    assert (found.state, found.dated) == (State.CLOSED, False)
    opened = open_room(found, "jitsi", URL)
    assert shown(page, NOON, opened).url == URL
    assert shown(page, NOON + DAY, opened).state is State.CLOSED


def test_opening_names_the_occurrence_shown() -> None:
    page = meeting(NOON, NOON + DAY)
    opened = open_room(shown(page, NOON + DAY), "jitsi", URL)
    assert opened == room(NOON + DAY)
    assert shown(page, NOON + DAY, opened).url == URL


MOMENTS = st.integers(0, 40)
ROOMS = st.none() | st.builds(Room, MOMENTS, st.sampled_from(RoomState), st.just("jitsi"), st.just(URL))


@given(
    starts=st.lists(MOMENTS, max_size=6), length=st.integers(0, 9), opened=ROOMS, now=MOMENTS, recurring=st.booleans()
)
def test_open_means_opened_for_this_very_occurrence(
    starts: list[int], length: int, opened: Room | None, now: int, recurring: bool
) -> None:
    times = tuple(Occurrence(start * HOUR, (start + length) * HOUR) for start in sorted(starts))
    opened = None if opened is None else Room(opened.occurrence * HOUR, opened.state, opened.service, opened.url)
    found = view(Page("", Person(""), times, recurring), opened, now * HOUR)
    if found is None:
        assert opened is not None
        assert opened.state is RoomState.ENDED
        return
    assert (found.occurrence in times) == found.dated
    mine = opened is not None and opened.occurrence == found.occurrence.start
    assert (found.state is State.OPEN) == (mine and opened is not None and opened.state is RoomState.OPEN)
    assert (found.url == "") == (found.state is not State.OPEN)
    assert not (mine and found.dated and opened is not None and opened.state is RoomState.ENDED)
