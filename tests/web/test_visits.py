"""What a visit does to the store: nothing, or one room."""

from dataclasses import replace

import pytest

from notes2conf_milter.core.meeting import LinkKind, Occurrence, Person
from notes2conf_milter.core.waitingroom import State
from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.web.forms import open_form
from notes2conf_milter.web.visits import GUEST_KINDS, HOST_KINDS, Opening, Visits
from tests.web.house import DAY, HOUR, JITSI, MONDAY, House, page

ROOM = "r" * 32
LATE = Occurrence(MONDAY + DAY, MONDAY + DAY + HOUR)


@pytest.fixture
def visits(house: House) -> Visits:
    return Visits(house.store, [JITSI], house.clock, lambda: ROOM)  # type: ignore[arg-type]


def test_a_link_shows_its_meeting_alone(house: House, visits: Visits) -> None:
    links, _ = house.add(page("Mine")), house.add(page("Another"))
    shown = visits.show(links.join, GUEST_KINDS)
    assert shown is not None and (shown.page.subject, shown.view.state) == ("Mine", State.CLOSED)
    assert visits.show(links.join, HOST_KINDS) is None
    assert visits.show(links.start, GUEST_KINDS) is None
    assert LinkKind.ATTENDEE in GUEST_KINDS


def test_opening_stores_the_room_drawn(house: House, visits: Visits) -> None:
    links = house.add(page())
    assert visits.open(links.start, open_form(links.start, MONDAY)) is Opening.OPEN
    shown = visits.show(links.join, GUEST_KINDS)
    assert shown is not None and shown.view.url == f"https://meet.example.org/{ROOM}"


def test_a_series_beyond_its_known_dates_is_opened_for_the_day(house: House, visits: Visits) -> None:
    week, hours = 7 * DAY, 6 * HOUR
    links = house.add(replace(page(times=(Occurrence(MONDAY, MONDAY + HOUR), LATE)), recurring=True), kept=9 * week)
    house.clock.now = LATE.start + week
    shown = visits.show(links.start, HOST_KINDS)
    assert shown is not None and (shown.view.state, shown.view.dated) == (State.CLOSED, False)
    assert visits.open(links.start, open_form(links.start, shown.view.occurrence.start)) is Opening.OPEN
    for later, state in ((0, State.OPEN), (hours, State.OPEN), (DAY, State.CLOSED), (week, State.CLOSED)):
        house.clock.now = LATE.start + week + later
        guest = visits.show(links.join, GUEST_KINDS)
        assert guest is not None and guest.view.state is state


def test_what_cannot_open(house: House, visits: Visits) -> None:
    links = house.add(page())
    before = house.contents()
    assert visits.open("a" * 32, open_form("a" * 32, MONDAY)) is Opening.GONE
    assert visits.open("x" * 9999, open_form("x", MONDAY)) is Opening.GONE
    assert visits.open(links.join, open_form(links.join, MONDAY)) is Opening.GONE
    assert visits.open(links.start, open_form(links.join, MONDAY)) is Opening.REFUSED
    assert visits.open(links.start, open_form(links.start, MONDAY - 1)) is Opening.OPEN, (
        "a page of another day: look again"
    )
    assert house.contents() == before


def test_a_meeting_that_goes_while_it_is_opened(house: House, visits: Visits) -> None:
    links = house.add(page())
    house.store.before_write = lambda: house.forget(links)
    assert visits.open(links.start, open_form(links.start, MONDAY)) is Opening.GONE


def test_it_does_not_try_for_ever(house: House, visits: Visits) -> None:
    links = house.add(page())

    def change() -> None:
        house.update(links, page(organizer=Person("anna@example.org", f"Anna {house.clock.now}")))
        house.clock.now += 1
        house.store.before_write = change

    house.store.before_write = change
    with pytest.raises(StoreError):
        visits.open(links.start, open_form(links.start, MONDAY))
