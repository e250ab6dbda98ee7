"""A conference that ends at its service: the service's hint, and what becomes of the waiting room."""

import asyncio
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from notes2conf_milter.services.bigbluebutton import BigBlueButton
from notes2conf_milter.web import hints
from notes2conf_milter.web.hints import Hints
from notes2conf_milter.web.visits import Acted, Outcome
from tests.services.bigbluebutton_server import SECRET
from tests.services.bigbluebutton_server import BigBlueButtonServer as Server
from tests.web.house import DAY, JITSI, Answer, Clock, House, ask, enter, guests_way, page, press, wait, way_in

BBB = "bigbluebutton"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server().serving() as found:
        yield found


@pytest.fixture
def house(house: House, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(hints.Hints.__init__, "__defaults__", ((0.0, 0.2, 0.4),))
    with house.serving(None, BigBlueButton(server.url, SECRET), JITSI):
        yield house


def call(house: House, server: Server, meeting: str) -> Answer:
    """What BigBlueButton does when a meeting has ended: GET, with parameters of its own behind the address."""
    parts = urlsplit(server.callbacks[meeting])
    assert parts.netloc == "conf.example.org"
    return ask(house.address, f"{parts.path}?meetingID={meeting}&recordingmarks=false")


def soon(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def asked(server: Server) -> list[str]:
    return [name for name, _ in server.calls]


def test_a_conference_that_was_ended_there_is_closed_here(house: House, server: Server) -> None:
    """Guests wait again instead of being led to a meeting that is gone; nothing is deleted, and it can go on."""
    links = house.add(page())
    inside = wait(house, links.join)
    press(house, links.start, service=BBB)
    assert way_in(ask(house.address, inside)) and enter(house, links.start)
    (meeting,) = server.meetings
    assert links.start not in server.callbacks[meeting] and links.join not in server.callbacks[meeting]
    server.meetings.clear()  # the organizer presses "End meeting" there
    assert call(house, server, meeting).status == 200
    soon(lambda: "The conference has ended" in ask(house.address, f"/s/{links.start}").text)
    shown = ask(house.address, f"/s/{links.start}").text
    assert "Service: BigBlueButton. It was ended there." in shown and 'value="open">Start it again' in shown
    assert not way_in(ask(house.address, inside)) and not guests_way(house, links.join)
    assert press(house, links.start, service=BBB).status == 303
    (again,) = server.meetings
    assert again != meeting and way_in(ask(house.address, inside))


def test_it_can_be_ended_here_too(house: House, server: Server) -> None:
    links = house.add(page())
    press(house, links.start, service=BBB)
    (meeting,) = server.meetings
    server.meetings.clear()
    call(house, server, meeting)
    soon(lambda: "The conference has ended" in ask(house.address, f"/s/{links.start}").text)
    assert 'value="end">' in ask(house.address, f"/s/{links.start}").text
    assert press(house, links.start, "end-all").status == 200
    assert ask(house.address, f"/s/{links.start}").status == 404


def test_a_hint_that_is_not_true_changes_nothing(house: House, server: Server) -> None:
    """BigBlueButton shows the address to everybody in the meeting: whoever calls it only makes us ask."""
    links = house.add(page())
    press(house, links.start, service=BBB)
    (meeting,) = server.meetings
    before = house.contents()
    for _ in range(20):
        assert call(house, server, meeting).status == 200
    soon(lambda: asked(server).count("getMeetingInfo") == 3)  # once for each of the pauses, not for each call
    time.sleep(0.1)
    assert asked(server).count("getMeetingInfo") == 3
    assert house.contents() == before and guests_way(house, links.join)


def test_a_server_that_knows_late(house: House, server: Server) -> None:
    """It may call before it has taken the meeting away itself, or not answer at once."""
    links = house.add(page())
    press(house, links.start, service=BBB)
    (meeting,) = server.meetings
    server.answer = (500, b"")
    call(house, server, meeting)
    soon(lambda: "isMeetingRunning" in asked(server))
    server.meetings.clear()
    server.answer = None
    soon(lambda: "The conference has ended" in ask(house.address, f"/s/{links.start}").text)


def test_an_old_hint_closes_no_other_conference(house: House, server: Server) -> None:
    """The organizer went elsewhere: that one is not closed, whatever the first service says."""
    links = house.add(page())
    press(house, links.start, service=BBB)
    (meeting,) = server.meetings
    press(house, links.start, "change", service="jitsi")
    assert meeting not in server.meetings
    assert call(house, server, meeting).status == 200
    time.sleep(0.8)
    assert guests_way(house, links.join).startswith("https://meet.example.org/")


@pytest.mark.parametrize("path", ["/c/x", "/c/" + "a" * 32, "/c/%00", "/c/"])
def test_a_hint_that_nobody_was_given(house: House, server: Server, path: str) -> None:
    """One and the same page as for any other address that leads nowhere."""
    assert ask(house.address, path).alike == ask(house.address, "/j/x").alike
    assert server.calls == []


def test_the_organizer_always_finds_it_open(house: House, server: Server) -> None:
    """The hint was lost, with a restart say: who enters, or goes on after a pause, has the meeting made anew."""
    links = house.add(page())
    press(house, links.start, service=BBB)
    (meeting,) = server.meetings
    server.meetings.clear()
    server.callbacks.clear()
    assert f"meetingID={meeting}" in enter(house, links.start)
    assert list(server.meetings) == [meeting] == list(server.callbacks)
    assert call(house, server, meeting).status == 200  # it has an address again, which is known
    press(house, links.start, "pause")
    server.meetings.clear()
    press(house, links.start, "resume")
    assert list(server.meetings) == [meeting]


def test_a_server_that_is_away_does_not_keep_the_organizer_out(house: House, server: Server) -> None:
    links = house.add(page())
    press(house, links.start, service=BBB)
    server.answer = (500, b"")
    assert "/api/join?" in enter(house, links.start)


def test_a_service_that_is_not_set_up_any_more(house: House, server: Server) -> None:
    """A conference that only its own service could lead to is closed; guests are not led to a server's front page."""
    links = house.add(page())
    press(house, links.start, service=BBB)
    assert guests_way(house, links.join)
    with house.serving(None, JITSI):
        waiting = wait(house, links.join)
        assert not way_in(ask(house.address, waiting))
        assert "Service: bigbluebutton. It was ended there" in ask(house.address, f"/s/{links.start}").text
        press(house, links.start, service="jitsi")
        assert way_in(ask(house.address, waiting)).startswith("https://meet.example.org/")


class Visitless:
    """Stands for the visits of a meeting that is gone."""

    def __init__(self) -> None:
        self.asked = 0

    async def close_if_over(self, token: str, ask: object) -> Acted:
        self.asked += 1
        return Acted(Outcome.GONE)


def test_addresses_are_forgotten() -> None:
    """After a day without use, or when there are too many; a start link has one as long as it is used."""
    clock, drawn, told = Clock(0), iter(range(10**6)), list[Acted]()
    visits = Visitless()
    made = Hints(visits, lambda _: None, told.append, clock, lambda: f"id-{next(drawn)}")  # type: ignore[arg-type]
    first = made.id_of("one")
    clock.now = DAY - 1
    assert made.id_of("one") == first
    clock.now = 2 * DAY - 2

    async def heard(name: str) -> bool:
        found = made.heard(name)
        await asyncio.sleep(0.01)
        return found

    assert asyncio.run(heard(first)) and visits.asked == 1 and told == [Acted(Outcome.GONE)]
    clock.now = 2 * DAY
    assert not asyncio.run(heard(first))
    assert made.id_of("one") != first
    kept = [made.id_of(f"token-{number}") for number in range(20_100)]
    assert not asyncio.run(heard(kept[0])) and asyncio.run(heard(kept[-1]))
    assert len(made._links) == len(made._ids) <= 20_000
