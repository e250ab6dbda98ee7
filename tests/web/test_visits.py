"""What a visit does to the store: nothing, or what a button of the start page says."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from notes2conf_milter.core.meeting import Admission, LinkKind, Occurrence, Person, Room, RoomState
from notes2conf_milter.core.waitingroom import State
from notes2conf_milter.services.service import Conference, ServiceError, Visitor, Why
from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.web.forms import Form, blank_form
from notes2conf_milter.web.visits import GUEST_KINDS, HOST_KINDS, Acted, Outcome, Shown, Visits
from tests.web.house import DAY, HOUR, JITSI, MONDAY, House, Links, Pasted, page

ROOM = "r" * 32
LATE = Occurrence(MONDAY + DAY, MONDAY + DAY + HOUR)
SERIES = replace(page(times=(Occurrence(MONDAY, MONDAY + HOUR), LATE)), recurring=True)
PASTED = "https://zoom.example.org/j/1"
T = TypeVar("T")


@pytest.fixture
def pasted() -> Pasted:
    return Pasted()


@pytest.fixture
def visits(house: House, pasted: Pasted) -> Visits:
    return Visits(house.store, [JITSI, pasted], house.clock, lambda: ROOM)  # type: ignore[arg-type]


async def ask(question: Callable[[], T]) -> T:
    return question()


def act(visits: Visits, token: str, do: str, start: int = MONDAY, form: Form | None = None, **fields: str) -> Acted:
    """Press a button; also within another press, for nothing in it waits here."""
    form = replace(form or blank_form(token, start), do=do, **{"service": "jitsi", **fields})

    async def acting() -> Acted:
        acted = await visits.act(token, form, "en", ask)
        await visits.leave(acted)
        return acted

    with pytest.raises(StopIteration) as stopped:
        acting().send(None)
    return stopped.value.value  # type: ignore[no-any-return]


def host(visits: Visits, links: Links) -> Shown:
    shown = visits.show(links.start, HOST_KINDS)
    assert shown is not None
    return shown


def test_a_link_shows_its_meeting_alone(house: House, visits: Visits) -> None:
    links, _ = house.add(page("Mine")), house.add(page("Another"))
    shown = visits.show(links.join, GUEST_KINDS)
    assert shown is not None and (shown.meeting.page.subject, shown.view.state) == ("Mine", State.CLOSED)
    assert visits.show(links.join, HOST_KINDS) is None
    assert visits.show(links.start, GUEST_KINDS) is None
    assert LinkKind.ATTENDEE in GUEST_KINDS


def test_opening_stores_the_room_drawn(house: House, visits: Visits) -> None:
    links = house.add(page())
    acted = act(visits, links.start, "open", admission="ask")
    assert acted.result is Outcome.DONE
    url = f"https://meet.example.org/{ROOM}"
    wanted = Room(MONDAY, RoomState.OPEN, "jitsi", url, ROOM, Admission.ASK)
    assert host(visits, links).view.room == wanted
    assert acted.shown is not None and acted.shown.view.room == wanted
    assert visits.way_in(wanted, Visitor(False, "en")) == url
    assert visits.way_in(replace(wanted, service="retired"), Visitor(False, "en")) == url
    assert (visits.title(wanted, "de"), visits.title(replace(wanted, service="retired"), "de")) == (
        "Jitsi Meet",
        "retired",
    )


def test_a_series_beyond_its_known_dates_is_opened_for_the_day(house: House, visits: Visits) -> None:
    week, hours = 7 * DAY, 6 * HOUR
    links = house.add(SERIES, kept=9 * week)
    house.clock.now = LATE.start + week
    shown = host(visits, links)
    assert (shown.view.state, shown.view.dated, shown.last) == (State.CLOSED, False, False)
    assert act(visits, links.start, "open", shown.view.occurrence.start).result is Outcome.DONE
    for later, state in ((0, State.OPEN), (hours, State.OPEN), (DAY, State.CLOSED), (week, State.CLOSED)):
        house.clock.now = LATE.start + week + later
        guest = visits.show(links.join, GUEST_KINDS)
        assert guest is not None and guest.view.state is state


def test_what_cannot_act(house: House, visits: Visits) -> None:
    """Another link, a form of another page, a service that is not offered; a page of another day: look again."""
    links = house.add(page())
    before = house.contents()
    for do in ("open", "pause", "resume", "extend", "admission", "change", "end", "end-all", "", "x"):
        more = {"minutes": "15", "admission": "ask"}
        assert act(visits, "a" * 32, do, **more) == Acted(Outcome.GONE)
        assert act(visits, "x" * 9999, do, **more) == Acted(Outcome.GONE)
        assert act(visits, links.join, do, **more) == Acted(Outcome.GONE)
        assert act(visits, links.start, do, form=blank_form(links.join, MONDAY), **more).result is Outcome.REFUSED
        assert act(visits, links.start, do, MONDAY - 1, **more).result is Outcome.DONE
    assert act(visits, links.start, "open", service="none").result is Outcome.REFUSED
    assert act(visits, links.start, "extend", minutes="15").result is Outcome.DONE, "it is not open"
    assert house.contents() == before


def test_a_link_that_is_pasted(house: House, visits: Visits, pasted: Pasted) -> None:
    """Taken, or refused with the reason; only who is offered the service can choose it."""
    links = house.add(page())
    before = house.contents()
    assert act(visits, links.start, "open", service="link").result is Why.NO_LINK
    assert act(visits, links.start, "open", service="link", link="https://evil.example/").result is Why.HOST_NOT_ALLOWED
    pasted.failing = True
    assert act(visits, links.start, "open", service="link", link=PASTED).result is Outcome.FAILED
    pasted.failing = False
    assert house.contents() == before
    assert act(visits, links.start, "open", service="link", link=PASTED).result is Outcome.DONE
    room = host(visits, links).view.room
    assert (room.service, room.url) == ("link", PASTED)
    assert visits.way_in(room, Visitor(True, "de", "Anna")) == f"{PASTED}?as=host-de-Anna-{MONDAY}"
    other = house.add(page(organizer=Person("berta@example.org")))
    assert [one.name for one in visits.offered("berta@example.org")] == ["jitsi"]
    assert act(visits, other.start, "open", service="link", link=PASTED).result is Outcome.REFUSED


def test_pause_and_go_on(house: House, visits: Visits) -> None:
    links = house.add(page())
    act(visits, links.start, "open")
    opened = host(visits, links).view.room
    for do, state in (
        ("resume", RoomState.OPEN),
        ("pause", RoomState.PAUSED),
        ("pause", RoomState.PAUSED),
        ("resume", RoomState.OPEN),
    ):
        assert act(visits, links.start, do).result is Outcome.DONE
        assert host(visits, links).view.room == replace(opened, state=state)


def test_open_again_is_the_same_room(house: House, visits: Visits) -> None:
    """Also in a pause; another service is chosen by another button, and the first one is left."""
    links = house.add(page())
    act(visits, links.start, "open", service="link", link=PASTED)
    assert act(visits, links.start, "open").result is Outcome.DONE
    assert host(visits, links).view.room.url == PASTED
    act(visits, links.start, "pause")
    assert act(visits, links.start, "open").result is Outcome.DONE
    assert host(visits, links).view.room.state is RoomState.PAUSED


def test_another_service_in_mid_meeting(house: House, visits: Visits, pasted: Pasted) -> None:
    """What was chosen of admission stays; the conference that is left ends."""
    links = house.add(page())
    act(visits, links.start, "open", service="link", link=PASTED, admission="ask")
    assert act(visits, links.start, "change").result is Outcome.DONE
    room = host(visits, links).view.room
    assert (room.service, room.name, room.admission) == ("jitsi", ROOM, Admission.ASK)
    assert [one.url for one in pasted.ended] == [PASTED]


def test_a_service_that_fails_late_tells_how_it_stands_then(house: House, visits: Visits, pasted: Pasted) -> None:
    """Meanwhile the meeting was opened elsewhere: what was read before is old."""
    links = house.add(page())

    async def fail(*_: str) -> Conference:
        house.open_elsewhere(links, MONDAY, "https://meet.example.org/x")
        raise ServiceError("no answer")

    pasted.open = fail  # type: ignore[method-assign]
    acted = act(visits, links.start, "open", service="link", link=PASTED)
    assert acted.result is Outcome.FAILED
    assert acted.shown is not None and acted.shown.view.state is State.OPEN


def test_the_end_of_one_date_is_not_the_end(house: House, visits: Visits, pasted: Pasted) -> None:
    """The links of a series stay; the next date starts closed."""
    links = house.add(SERIES, kept=0)
    act(visits, links.start, "open", service="link", link=PASTED, admission="ask")
    assert act(visits, links.start, "end").result is Outcome.DONE
    shown = host(visits, links)
    assert (shown.view.occurrence, shown.view.state, shown.last) == (LATE, State.EARLY, True)
    assert shown.view.room.admission is Admission.ASK
    assert len(pasted.ended) == 1


def test_the_end_of_the_last_is_asked_for_twice(house: House, visits: Visits) -> None:
    """Then the meeting is deleted, with all its links; a late invitation does not bring it back."""
    links = house.add(page())
    assert act(visits, links.start, "end").result is Outcome.CONFIRM
    assert host(visits, links).last
    acted = act(visits, links.start, "end-all")
    assert (acted.result, acted.shown) == (Outcome.DELETED, None)
    assert acted.meeting > 0
    assert visits.show(links.start, HOST_KINDS) is visits.show(links.join, GUEST_KINDS) is None
    assert act(visits, links.start, "end-all") == Acted(Outcome.GONE)


def test_end_all_of_a_series_that_goes_on_ends_one(house: House, visits: Visits) -> None:
    """A form that was left open, or made up: what is not the last is not deleted. Nor what may go on unseen."""
    links = house.add(SERIES)
    assert act(visits, links.start, "end-all").result is Outcome.DONE
    assert host(visits, links).view.occurrence == LATE
    endless = house.add(SERIES, kept=300 * DAY)
    house.clock.now = LATE.start
    assert not host(visits, endless).last
    assert act(visits, endless.start, "end-all", LATE.start).result is Outcome.DONE, "nothing is deleted"
    assert visits.show(endless.join, GUEST_KINDS) is None, "until the next day is due"
    house.clock.now = LATE.start + DAY
    assert host(visits, endless).view.state is State.CLOSED


def test_what_becomes_the_last_while_it_is_ended(house: House, visits: Visits) -> None:
    """An update has taken away what came after: then to end it is to delete the meeting, and that is asked first."""
    links = house.add(SERIES)
    act(visits, links.start, "open")
    house.store.before_write = lambda: house.update(links, page(times=(Occurrence(MONDAY, MONDAY + HOUR),)))
    acted = act(visits, links.start, "end")
    assert acted.result is Outcome.CONFIRM
    assert acted.shown is not None and (acted.shown.last, acted.shown.view.state) == (True, State.OPEN)


def test_two_who_choose_another_service_at_a_time(house: House, visits: Visits, pasted: Pasted) -> None:
    """The conference that nobody is led to ends: that of the first one, when the second replaces it."""
    links = house.add(page())
    act(visits, links.start, "open")
    other = f"{PASTED}1"
    house.store.before_write = lambda: act(visits, links.start, "change", service="link", link=other)
    assert act(visits, links.start, "change", service="link", link=PASTED).result is Outcome.DONE
    assert host(visits, links).view.room.url == PASTED
    assert [one.url for one in pasted.ended] == [other]


def test_two_who_open_at_a_time(house: House, visits: Visits, pasted: Pasted) -> None:
    """One room: the conference that came too late ends, for nobody is led to it. So it does when the meeting has gone."""
    links, gone = house.add(page()), house.add(page())
    house.store.before_write = lambda: act(visits, links.start, "open")
    assert act(visits, links.start, "open", service="link", link=PASTED).result is Outcome.DONE
    assert host(visits, links).view.room.service == "jitsi"
    assert [one.url for one in pasted.ended] == [PASTED]
    house.store.before_write = lambda: house.forget(gone)
    assert act(visits, gone.start, "open", service="link", link=f"{PASTED}2").result is Outcome.GONE
    assert [one.url for one in pasted.ended] == [PASTED, f"{PASTED}2"]


def test_longer_than_planned(house: House, visits: Visits) -> None:
    """The page outlives the planned end, as long as it is extended; only by what the page offers."""
    links = house.add(page(), kept=0)
    act(visits, links.start, "open")
    for minutes in ("", "7", "9999", "-15"):
        act(visits, links.start, "extend", minutes=minutes)
        assert host(visits, links).view.room.until == 0
    act(visits, links.start, "extend", minutes="30")
    act(visits, links.start, "extend", minutes="15")
    over = MONDAY + HOUR + 45 * 60
    assert host(visits, links).view.over == over
    house.clock.now = over - 1
    assert host(visits, links).view.state is State.OPEN
    house.clock.now = over
    assert visits.show(links.join, GUEST_KINDS) is None


def test_longer_and_longer_has_an_end(house: House, visits: Visits) -> None:
    """A date of a series does not hide the next one wholly, and the page promises nothing that the store does not keep."""
    links, single = house.add(SERIES), house.add(page(), kept=0)
    for start in (links.start, single.start):
        act(visits, start, "open")
        for _ in range(40):
            act(visits, start, "extend", minutes="60")
    assert host(visits, links).view.over == LATE.end
    assert host(visits, single).view.over == MONDAY + HOUR + DAY
    house.clock.now = MONDAY + HOUR + DAY - 1
    assert host(visits, single).view.state is State.OPEN


def test_a_meeting_that_goes_while_it_is_opened(house: House, visits: Visits) -> None:
    links = house.add(page())
    house.store.before_write = lambda: house.forget(links)
    assert act(visits, links.start, "open").result is Outcome.GONE


def test_a_meeting_that_is_moved_while_it_is_opened(house: House, visits: Visits) -> None:
    """The click was for another time: the page says how it stands."""
    links = house.add(page())
    moved = page(times=(Occurrence(MONDAY + DAY, MONDAY + DAY + HOUR),))
    house.store.before_write = lambda: house.update(links, moved)
    acted = act(visits, links.start, "open")
    assert acted.result is Outcome.DONE
    assert acted.shown is not None and acted.shown.view.state is State.EARLY


def test_it_does_not_try_for_ever(house: House, visits: Visits) -> None:
    links = house.add(page())

    def change() -> None:
        house.update(links, page(organizer=Person("anna@example.org", f"Anna {house.clock.now}")))
        house.clock.now += 1
        house.store.before_write = change

    house.store.before_write = change
    with pytest.raises(StoreError):
        act(visits, links.start, "open")
