"""Who waits, and who may go in: in memory, whatever comes in whatever order."""

from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from notes2conf_milter.core.meeting import Admission, LinkKind, Room, RoomState
from notes2conf_milter.store.links import OpenedMeeting
from notes2conf_milter.web import lobby as module
from notes2conf_milter.web.lobby import KEPT, PATIENCE, Guest, Hall, Lobby, fairly
from tests.web.house import DAY, HOUR, MONDAY, Clock, page

TOKEN, OTHER = "a" * 32, "b" * 32
OPEN = Room(MONDAY, RoomState.OPEN, "jitsi", "https://meet.example.org/r", "r")


def meeting(room: Room | None = None, number: int = 1, changed: int = 1, label: str = "") -> OpenedMeeting:
    kind = LinkKind.ATTENDEE if label else LinkKind.JOIN
    return OpenedMeeting(number, kind, page(), room, changed, MONDAY + DAY, MONDAY + DAY, label)


def made(admission: Admission = Admission.OPEN, per_network: int = 100) -> tuple[Lobby, Clock]:
    clock, numbers = Clock(MONDAY), count(1)
    return Lobby(admission, clock, lambda: f"guest{next(numbers)}", per_network), clock


def waiting(lobby: Lobby, found: OpenedMeeting, token: str = TOKEN, network: str = "") -> tuple[Hall, Guest]:
    guest = lobby.wait(token, found, "Bert", "en", network)
    assert guest is not None
    return lobby.halls[found.meeting], guest


def test_a_guest_is_found_by_the_own_link_and_id_alone() -> None:
    lobby, _ = made()
    hall, guest = waiting(lobby, meeting())
    assert lobby.find(TOKEN, guest.id) == (hall, guest)
    assert lobby.find(OTHER, guest.id) is None
    assert lobby.find(TOKEN, "guest9") is None


def test_a_name_that_was_typed_and_one_that_is_known() -> None:
    """An own link says whose it is."""
    lobby, _ = made()
    _, guest = waiting(lobby, meeting(label="Clara Curtz"))
    assert (guest.name, guest.label) == ("Bert", "Clara Curtz")


def test_who_has_left_is_forgotten() -> None:
    """Without a stream of events and without a refresh; the hall goes with the last one."""
    lobby, clock = made()
    hall, guest = waiting(lobby, meeting())
    clock.now += PATIENCE
    assert hall.waiting(clock.now) == [guest]
    clock.now += 1
    assert hall.waiting(clock.now) == []
    guest.streams = 1
    lobby.sweep()
    assert hall.waiting(clock.now) == [guest]
    guest.streams = 0
    lobby.sweep()
    assert hall.waiting(clock.now) == [] and lobby.find(TOKEN, guest.id) == (hall, guest)
    clock.now += KEPT
    lobby.sweep()
    assert lobby.find(TOKEN, guest.id) is None
    assert lobby.halls == {}


def test_a_phone_that_was_locked_comes_back_to_its_place() -> None:
    """The organizer sees it go and come; name and place are kept for a quarter of an hour."""
    lobby, clock = made()
    hall, guest = waiting(lobby, meeting())
    stirred: list[int] = []
    hall.waking.add(lambda: stirred.append(clock.now))
    clock.now += PATIENCE + 1
    lobby.sweep()
    assert hall.waiting(clock.now) == [] and len(stirred) == 1
    clock.now += KEPT - PATIENCE - 1
    lobby.sweep()
    assert len(stirred) == 1, "nothing changed"
    found = lobby.find(TOKEN, guest.id)
    assert found == (hall, guest)
    guest.streams += 1
    lobby.sweep()
    assert hall.waiting(clock.now) == [guest] and len(stirred) == 2


def test_whose_link_is_dead_is_not_listed() -> None:
    """To let in who was uninvited would do nothing."""
    lobby, clock = made()
    hall, guest = waiting(lobby, meeting())
    guest.gone = True
    assert hall.waiting(clock.now) == []


def test_who_leaves_is_forgotten_at_once() -> None:
    lobby, clock = made()
    hall, guest = waiting(lobby, meeting())
    lobby.leave(hall, guest)
    lobby.leave(hall, guest)
    assert (hall.waiting(clock.now), lobby.find(TOKEN, guest.id)) == ([], None)


def test_there_is_room_for_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one meeting, and in all; who has left makes room."""
    monkeypatch.setattr(module, "MAX_GUESTS", 2)
    monkeypatch.setattr(module, "MAX_ALL", 3)
    lobby, clock = made()
    first = waiting(lobby, meeting())[1]
    waiting(lobby, meeting())
    assert lobby.wait(TOKEN, meeting(), "", "en") is None
    waiting(lobby, meeting(number=2))
    assert lobby.wait(TOKEN, meeting(number=2), "", "en") is None
    clock.now += PATIENCE + 1
    first.seen = clock.now
    assert lobby.wait(TOKEN, meeting(number=2), "", "en") is not None


def test_there_is_room_for_so_many_of_one_network() -> None:
    """In all meetings; who leaves, or has left, makes room, and nobody else is held up."""
    lobby, clock = made(per_network=2)
    hall, first = waiting(lobby, meeting(), network="a")
    waiting(lobby, meeting(number=2), network="a")
    assert lobby.crowded("a") and lobby.wait(TOKEN, meeting(), "", "en", "a") is None
    assert not lobby.crowded("b") and not lobby.crowded("")
    waiting(lobby, meeting(), network="b")
    lobby.leave(hall, first)
    lobby.leave(hall, first)
    assert not lobby.crowded("a")
    waiting(lobby, meeting(), network="a")
    assert lobby.crowded("a")
    clock.now += PATIENCE + 1
    assert not lobby.crowded("a")


def test_a_flood_is_not_answered_by_looking_for_room_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes a while where forty thousand wait."""
    monkeypatch.setattr(module, "MAX_GUESTS", 2)
    lobby, clock = made(per_network=3)
    sweeps = []
    monkeypatch.setattr(module.Guest, "present", lambda one, now, patience=0: sweeps.append(now) or True)
    for _ in range(100):
        lobby.wait(TOKEN, meeting(), "", "en", "a")
        lobby.crowded("a")
    waiting(lobby, meeting(number=2), network="a")
    for _ in range(100):
        assert lobby.crowded("a")
    assert len(sweeps) <= 6
    clock.now += 1
    assert lobby.crowded("a")
    assert 6 <= len(sweeps) <= 12


def test_a_crowd_does_not_push_others_off_the_list() -> None:
    lobby, _ = made()
    crowd = [waiting(lobby, meeting(), network="a")[1] for _ in range(10)]
    others = [waiting(lobby, meeting(), network=network)[1] for network in ("b", "c", "b")]
    every = [*crowd, *others]
    assert fairly(every, 13) == every
    assert fairly(every, 6) == [*crowd[:3], *others]
    assert fairly(every, 3) == [crowd[0], others[0], others[1]]
    assert fairly(crowd, 4) == crowd[:4] and fairly([], 4) == []


def test_all_go_in_when_it_opens() -> None:
    lobby, _ = made()
    hall, guest = waiting(lobby, meeting())
    assert not lobby.admitted(hall, guest)
    hall.update(meeting(OPEN, changed=2))
    assert lobby.admitted(hall, guest)


def test_one_by_one_where_the_organizer_says_so() -> None:
    """By setting, or for this meeting; once let in is let in."""
    for default, chosen in ((Admission.ASK, None), (Admission.OPEN, Admission.ASK)):
        lobby, clock = made(default)
        room = Room(MONDAY, RoomState.OPEN, "jitsi", "u", "r", chosen)
        hall, guest = waiting(lobby, meeting(room))
        other = waiting(lobby, meeting(room))[1]
        assert not lobby.admitted(hall, guest)
        hall.let_in([guest.id, "nobody"], MONDAY)
        assert lobby.admitted(hall, guest)
        assert hall.waiting(clock.now) == [other]


def test_whoever_is_turned_away_stays_out() -> None:
    """Of this date; unless the organizer thinks better of it."""
    lobby, clock = made()
    hall, guest = waiting(lobby, meeting())
    hall.turn_away([guest.id], MONDAY)
    hall.update(meeting(OPEN, changed=2))
    assert not lobby.admitted(hall, guest)
    assert hall.waiting(clock.now) == []
    hall.let_in([guest.id], MONDAY)
    assert lobby.admitted(hall, guest)


def test_who_was_let_in_and_then_turned_away_is_out() -> None:
    """Whatever else changes after that: the last word counts."""
    lobby, _ = made(Admission.ASK)
    hall, guest = waiting(lobby, meeting(OPEN))
    hall.let_in([guest.id], MONDAY)
    assert lobby.admitted(hall, guest)
    hall.turn_away([guest.id], MONDAY)
    hall.update(meeting(OPEN, changed=2))
    assert not lobby.admitted(hall, guest)


def test_a_pause_holds_new_guests() -> None:
    """Who was let in before it may still go in."""
    lobby, _ = made()
    hall, guest = waiting(lobby, meeting(OPEN))
    assert lobby.admitted(hall, guest)
    paused = Room(MONDAY, RoomState.PAUSED, "jitsi", "u", "r")
    hall.update(meeting(paused, changed=2))
    late = waiting(lobby, meeting(paused, changed=2))[1]
    assert (lobby.admitted(hall, guest), lobby.admitted(hall, late)) == (True, False)


def test_a_dead_link_goes_nowhere() -> None:
    lobby, _ = made()
    hall, guest = waiting(lobby, meeting(OPEN))
    guest.gone = True
    assert not lobby.admitted(hall, guest)


def test_nothing_when_it_is_over_or_gone() -> None:
    lobby, clock = made()
    hall, guest = waiting(lobby, meeting(OPEN))
    clock.now = MONDAY + DAY
    assert hall.shown(clock.now) is None
    assert not lobby.admitted(hall, guest)
    hall.update(None)
    clock.now = MONDAY
    assert hall.shown(clock.now) is None


def test_listeners_hear_of_changes_and_of_time() -> None:
    lobby, clock = made()
    hall, guest = waiting(lobby, meeting())
    woken: list[int] = []
    hall.waking.add(lambda: woken.append(clock.now))
    clock.now = MONDAY - HOUR
    hall.update(meeting(changed=2))
    hall.tick(clock.now)
    heard = len(woken)
    hall.tick(clock.now)
    assert len(woken) == heard, "nothing changed"
    clock.now = MONDAY
    hall.tick(clock.now)
    assert len(woken) == heard + 1, "it is due now"
    lobby.leave(hall, guest)
    assert len(woken) == heard + 2
    lobby.sweep()
    assert hall in lobby.halls.values(), "a page is open"


class Lobbies(RuleBasedStateMachine):
    """Guests of two meetings by four links, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.lobby, self.clock = made(Admission.ASK)
        self.guests: list[tuple[int, str, Guest]] = []
        self.away: set[str] = set()
        self.let: set[str] = set()
        self.changed = 1

    @rule(number=st.sampled_from([1, 2]), token=st.sampled_from("abcd"), state=st.sampled_from([None, *RoomState]))
    def somebody_waits(self, number: int, token: str, state: RoomState | None) -> None:
        self.changed += 1
        room = None if state is None else Room(MONDAY, state, "jitsi", "u", "r")
        guest = self.lobby.wait(token * 32, meeting(room, number, self.changed), "", "de")
        assert guest is not None
        self.guests.append((number, token * 32, guest))

    @rule(at=st.integers(0, 30), what=st.sampled_from(["let_in", "turn_away", "leave", "see"]))
    def something_happens(self, at: int, what: str) -> None:
        if at >= len(self.guests):
            return
        number, _, guest = self.guests[at]
        hall = self.lobby.halls.get(number)
        if hall is None or guest.id not in hall.guests:
            return
        if what == "leave":
            self.lobby.leave(hall, guest)
        elif what == "see":
            guest.seen = self.clock.now
        else:
            getattr(hall, what)([guest.id], MONDAY)
            chosen, other = (self.let, self.away) if what == "let_in" else (self.away, self.let)
            chosen.add(guest.id)
            other.discard(guest.id)

    @rule(seconds=st.integers(1, 100))
    def time_passes(self, seconds: int) -> None:
        self.clock.now = min(self.clock.now + seconds, MONDAY + HOUR - 1)
        self.lobby.sweep()

    @invariant()
    def what_holds(self) -> None:
        """Nobody is in two places, or found by another's link; nobody goes in whom the organizer did not let in last."""
        known = {guest.id for hall in self.lobby.halls.values() for guest in hall.guests.values()}
        for number, token, guest in self.guests:
            found = self.lobby.find(token, guest.id)
            assert (found is not None) == (guest.id in known)
            assert self.lobby.find("x" * 32, guest.id) is None
            if found is not None:
                assert found == (self.lobby.halls[number], guest)
                assert self.lobby.admitted(*found) <= (guest.id in self.let)
                assert (guest in found[0].waiting(self.clock.now)) <= (guest.id not in self.away | self.let)


test_lobbies = Lobbies.TestCase
test_lobbies.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
