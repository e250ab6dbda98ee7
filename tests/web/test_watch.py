"""What mail does to a meeting is seen by those whose page is open."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import TypeVar

import pytest

from notes2conf_milter.core.meeting import Admission, LinkKind, Person, Revision
from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.store.sqlite import Claim
from notes2conf_milter.web.lobby import KEPT, Lobby
from notes2conf_milter.web.visits import GUEST_KINDS, HOST_KINDS, Visits
from notes2conf_milter.web.watch import Watch
from tests.store.vault import news
from tests.web.house import DAY, JITSI, MONDAY, ORGANIZER, House, page

T = TypeVar("T")


class Watched:
    """A watcher over a real store, with guests."""

    def __init__(self, house: House) -> None:
        self.house = house
        numbers = count(1)
        self.visits = Visits(house.store, [JITSI], house.clock, lambda: "r" * 32)  # type: ignore[arg-type]
        self.lobby = Lobby(Admission.OPEN, house.clock, lambda: f"guest{next(numbers)}")
        self.asked = 0
        self.watch = Watch(self.visits, self.lobby, self.ask, house.clock)

    async def ask(self, question: Callable[[], T]) -> T:
        self.asked += 1
        return question()

    def look(self) -> None:
        asyncio.run(self.watch.look())

    def guest(self, token: str) -> str:
        shown = self.visits.show(token, GUEST_KINDS)
        assert shown is not None
        guest = self.lobby.wait(token, shown.meeting, "", "en")
        assert guest is not None
        return guest.id


@pytest.fixture
def watched(house: House) -> Watched:
    return Watched(house)


def test_nothing_is_asked_while_no_page_is_open(watched: Watched) -> None:
    watched.look()
    assert watched.asked == 0


def test_little_is_asked_while_nothing_changes(house: House, watched: Watched) -> None:
    links = house.add(page())
    watched.guest(links.join)
    watched.look()
    before = watched.asked
    for _ in range(3):
        watched.look()
    assert watched.asked == before + 3


def test_a_meeting_that_is_moved_or_cancelled(house: House, watched: Watched) -> None:
    links, other = house.add(page()), house.add(page())
    guest, unconcerned = watched.guest(links.join), watched.guest(other.join)
    (hall, _), (quiet, _) = (
        found
        for token, one in ((links.join, guest), (other.join, unconcerned))
        if (found := watched.lobby.find(token, one))
    )
    watched.look()
    woken: list[str] = []
    hall.waking.add(lambda: woken.append("hall"))
    quiet.waking.add(lambda: woken.append("quiet"))
    house.update(links, page("Moved to the big hall"))
    watched.look()
    assert hall.meeting is not None and hall.meeting.page.subject == "Moved to the big hall"
    assert woken == ["hall"]
    house.forget(links)
    watched.look()
    assert hall.shown(house.clock()) is None
    assert quiet.shown(house.clock()) is not None


def test_an_attendee_who_is_uninvited(house: House, watched: Watched) -> None:
    """The own link is dead, that of the others is not."""
    bert, clara = Person("bert@example.com", "Bert"), Person("clara@example.com", "Clara")
    claim = house.mail.claim(ORGANIZER, "own", news(page(), (bert, clara), expires_at=MONDAY + DAY), house.clock())
    assert isinstance(claim, Claim)
    tokens = [house.mail.own_link(claim, one.address, house.clock())[0] or "" for one in (bert, clara)]
    guests = [watched.guest(token) for token in tokens]
    watched.look()
    house.mail.cancel(ORGANIZER, "own", frozenset({bert.address}), Revision(9, "20261231T000000Z"), house.clock())
    watched.look()
    found = [watched.lobby.find(token, guest) for token, guest in zip(tokens, guests, strict=True)]
    assert [one is not None and one[1].gone for one in found] == [True, False]
    assert [one is not None and one[1].label for one in found] == ["Bert", "Clara"]


def test_one_that_cannot_be_read_holds_up_no_other(
    house: House, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged row stays damaged; the meetings behind it change all the same, and it is looked at again."""
    broken, links = house.add(page()), house.add(page())
    first, second = (watched.lobby.find(one.join, watched.guest(one.join)) for one in (broken, links))
    assert first is not None and second is not None
    watched.look()
    house.update(broken, page("New"))
    house.update(links, page("New"))
    show = watched.visits.show

    def damaged(token: str, kinds: tuple[LinkKind, ...]) -> object:
        if token == broken.join:
            raise StoreError("damaged")
        return show(token, kinds)

    with monkeypatch.context() as patched:
        patched.setattr(watched.visits, "show", damaged)
        with pytest.raises(StoreError):
            watched.look()
    assert second[0].meeting is not None and second[0].meeting.page.subject == "New"
    watched.look()
    assert first[0].meeting is not None and first[0].meeting.page.subject == "New"


def test_what_another_process_opens_is_seen(house: House, watched: Watched) -> None:
    links = house.add(page())
    found = watched.lobby.find(links.join, watched.guest(links.join))
    assert found is not None
    watched.look()
    house.open_elsewhere(links, MONDAY, "https://meet.example.org/x")
    watched.look()
    assert watched.lobby.admitted(*found)


def test_the_organizers_page_alone(house: House, watched: Watched) -> None:
    """A hall without guests is watched, too, as long as a page listens."""
    links = house.add(page())
    shown = watched.visits.show(links.start, HOST_KINDS)
    assert shown is not None and shown.meeting.kind is LinkKind.START
    hall = watched.lobby.hall(links.start, shown.meeting)
    hall.waking.add(lambda: None)
    watched.look()
    house.update(links, replace(page(), subject="New"))
    watched.look()
    assert hall.meeting is not None and hall.meeting.page.subject == "New"


def test_who_has_left_is_swept(house: House, watched: Watched) -> None:
    links = house.add(page())
    watched.guest(links.join)
    house.clock.now += KEPT + 1
    watched.look()
    assert watched.lobby.halls == {}


@pytest.mark.parametrize("failure", [StoreError("locked"), RuntimeError("unforeseen: " + "a" * 32)])
def test_a_store_that_cannot_answer_is_asked_again(
    house: House,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
) -> None:
    """And then everything is looked at. What is unforeseen is logged by its type and place alone."""
    monkeypatch.setattr("notes2conf_milter.web.watch.INTERVAL", 0.001)
    links = house.add(page())
    found = watched.lobby.find(links.join, watched.guest(links.join))
    assert found is not None
    house.store.fail = failure

    async def run() -> None:
        task = asyncio.create_task(watched.watch.run())
        await asyncio.sleep(0.05)
        assert not task.done()
        house.update(links, page("New"))
        house.store.fail = None
        await asyncio.sleep(0.1)
        task.cancel()

    asyncio.run(run())
    assert found[0].meeting is not None and found[0].meeting.page.subject == "New"
    assert ("RuntimeError" in caplog.text) == isinstance(failure, RuntimeError)
    assert "unforeseen" not in caplog.text
