"""Who waits, in memory alone: guests by random ids, and the meetings whose pages are open.

In:  what the pages do, the time. Out: who waits and who may go in; listeners are woken when something changed.
Fails: never; when there is no room for another guest, `wait` says so. Bounded: MAX_GUESTS for a meeting, MAX_ALL for all, and
so many from one network.

A guest is who pressed "Wait", and known by the id in the path of the page alone: no cookie, no address; the network is kept to
count by. Presence is an open stream of events, or a page that was refreshed lately. Nothing of it is ever written anywhere; a
restart forgets all, and a page that finds its id forgotten waits anew with a click.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from notes2conf_milter.core.meeting import Admission, LinkKind
from notes2conf_milter.core.waitingroom import State, View, ending, view
from notes2conf_milter.store.links import OpenedMeeting
from notes2conf_milter.web.limits import Shares

MAX_GUESTS = 12_000
MAX_ALL = 40_000
PATIENCE = 75  # seconds without a stream or a refresh, after which somebody has left (a page refreshes every 20)
KEPT = 900  # seconds for which the place of somebody who has left is kept: a phone that was locked comes back to it
_LOOK = 20  # seconds after which a view is computed anew though nothing was written: time itself opens and closes


@dataclass(slots=True, eq=False)
class Guest:
    """Somebody who waits.

    token: of the link that was used; label: whose own link that is; name: as typed. since, seen: seconds since 1970 UTC.
    network: where the guest came from, "": nobody knows. inside: the start of the occurrence into which the guest was let, 0:
    none; turned_away: of that from which. gone: the link that was used is dead. missed: not present at the last look.
    """

    id: str
    token: str
    language: str
    name: str
    label: str
    since: int
    seen: int
    network: str = ""
    streams: int = 0
    inside: int = 0
    turned_away: int = 0
    gone: bool = False
    missed: bool = False

    def present(self, now: int, patience: int = PATIENCE) -> bool:
        """Say whether the page is still open, as far as anybody can tell; patience: seconds without a sign of it."""
        return self.streams > 0 or now - self.seen <= patience


@dataclass(slots=True, eq=False)
class Hall:
    """One meeting some page of which is open. meeting: None when it is gone.

    waking: called at every change; telling: only when something changed for those who wait.
    said: what these were told since the last change: it is put into words once for all.
    """

    meeting: OpenedMeeting | None
    key: str  # a token that opens it, to look again
    guests: dict[str, Guest] = field(default_factory=dict)
    waking: set[Callable[[], None]] = field(default_factory=set)
    telling: set[Callable[[], None]] = field(default_factory=set)
    changes: int = 0
    said: dict[object, str] = field(default_factory=dict)
    _seen: object = None
    _ending: bool = False
    _view: View | None = None
    _until: int = 0

    def shown(self, now: int) -> View | None:
        """Return what the room shows now; None when the meeting is over or gone."""
        if self.meeting is None or self.meeting.expires_at <= now:
            return None
        if now >= self._until:
            self._view, self._until = view(self.meeting.page, self.meeting.room, now), now + _LOOK
        return self._view

    def update(self, meeting: OpenedMeeting | None) -> None:
        """Take what the store says now."""
        self.meeting, self._until = meeting, 0
        self.wake()

    def tick(self, now: int) -> None:
        """Tell the listeners when time alone changed what is shown."""
        shown = self.shown(now)
        seen = None if shown is None else (shown.occurrence, shown.state)
        if seen != self._seen:
            self._seen = seen
            self.wake()
        near = shown is not None and ending(shown, now)
        if near != self._ending:
            self._ending = near
            self.stir()

    def wake(self) -> None:
        """Tell all listeners that something changed."""
        self.said.clear()
        for listener in list(self.telling):
            listener()
        self.stir()

    def stir(self) -> None:
        """Tell who sees the list of guests that somebody came or went; ten thousand who wait are not woken for each other."""
        self.changes += 1
        for listener in list(self.waking):
            listener()

    def waiting(self, now: int) -> list[Guest]:
        """Return who is present and not let in, in the order of coming."""
        shown = self.shown(now)
        start = 0 if shown is None else shown.occurrence.start
        return [
            one
            for one in self.guests.values()
            if one.inside != start and one.turned_away != start and not one.gone and one.present(now)
        ]

    def let_in(self, ids: Iterable[str], start: int) -> None:
        """Let some guests into an occurrence."""
        for guest in filter(None, map(self.guests.get, ids)):
            guest.inside, guest.turned_away = start, 0

    def turn_away(self, ids: Iterable[str], start: int) -> None:
        """Turn some guests away from an occurrence."""
        for guest in filter(None, map(self.guests.get, ids)):
            guest.inside, guest.turned_away = 0, start


def fairly(guests: Sequence[Guest], most: int) -> list[Guest]:
    """Return so many guests at most, in the order given: the first of each network, then the second …

    So a crowd from one network does not push the others off the organizer's list.
    """
    if len(guests) <= most:
        return list(guests)
    turns: defaultdict[str, int] = defaultdict(int)
    ranked = []
    for at, guest in enumerate(guests):
        turns[guest.network] += 1
        ranked.append((turns[guest.network], at))
    return [guests[at] for at in sorted(at for _, at in sorted(ranked)[:most])]


class Lobby:
    """All halls. admission: of meetings whose organizer chose none. draw: makes a random id; clock: seconds since 1970 UTC.

    guests_per_network: how many may wait from one network, in all meetings.
    """

    def __init__(
        self,
        admission: Admission,
        clock: Callable[[], int],
        draw: Callable[[], str],
        guests_per_network: int = MAX_ALL,
    ) -> None:
        self._admission = admission
        self._clock = clock
        self._draw = draw
        self._shares = Shares(guests_per_network)
        self._swept: int | None = None
        self.halls: dict[int, Hall] = {}
        self._where: dict[str, Hall] = {}

    def hall(self, token: str, meeting: OpenedMeeting) -> Hall:
        """Return the hall of a meeting, with what was just read of it."""
        hall = self.halls.get(meeting.meeting)
        if hall is None:
            hall = self.halls[meeting.meeting] = Hall(meeting, token)
        elif hall.meeting is None or hall.meeting.changed != meeting.changed:
            hall.key = token
            hall.update(meeting)
        return hall

    def crowded(self, network: str) -> bool:
        """Say whether as many wait from one network as may."""
        if self._shares.full(network):
            self._make_room()
        return self._shares.full(network)

    def wait(self, token: str, meeting: OpenedMeeting, name: str, language: str, network: str = "") -> Guest | None:
        """Let somebody wait; None when there is no room."""
        hall = self.hall(token, meeting)
        if self._full(hall):
            self._make_room()
        if self._full(hall) or not self._shares.take(network):
            return None
        now = self._clock()
        label = meeting.label if meeting.kind is LinkKind.ATTENDEE else ""
        guest = Guest(self._draw(), token, language, name, label, now, now, network)
        self.halls[meeting.meeting] = hall  # a sweep may have taken it away
        hall.guests[guest.id] = guest
        self._where[guest.id] = hall
        hall.stir()
        return guest

    def _full(self, hall: Hall) -> bool:
        return len(hall.guests) >= MAX_GUESTS or len(self._where) >= MAX_ALL

    def _make_room(self) -> None:
        """Sweep, but once a second at most: it takes a while where many wait, and a flood asks for it again and again."""
        if self._swept != self._clock():
            self.sweep(PATIENCE)

    def find(self, token: str, guest: str) -> tuple[Hall, Guest] | None:
        """Return a guest who came by this link, and where."""
        hall = self._where.get(guest)
        found = None if hall is None else hall.guests.get(guest)
        return None if hall is None or found is None or found.token != token else (hall, found)

    def leave(self, hall: Hall, guest: Guest) -> None:
        """Forget a guest."""
        if guest.id in hall.guests:
            self._forget(hall, guest)
            hall.stir()

    def _forget(self, hall: Hall, guest: Guest) -> None:
        del hall.guests[guest.id], self._where[guest.id]
        self._shares.give_back(guest.network)

    def admitted(self, hall: Hall, guest: Guest) -> bool:
        """Say whether a guest may go in now; who has once been let in stays so until the occurrence is over."""
        shown = hall.shown(self._clock())
        if shown is None or guest.gone or shown.state not in (State.OPEN, State.PAUSED):
            return False
        start = shown.occurrence.start
        if shown.state is State.OPEN and guest.turned_away != start and self.admission(shown) is Admission.OPEN:
            guest.inside = start
        return guest.inside == start

    def admission(self, shown: View) -> Admission:
        """Return how guests are admitted: as the organizer chose, else as it is set."""
        return shown.room.admission or self._admission

    def sweep(self, patience: int = KEPT) -> None:
        """Forget guests who have left (patience: for so many seconds), and halls of which no page is open."""
        now = self._swept = self._clock()
        for meeting, hall in list(self.halls.items()):
            changed = False
            for guest in list(hall.guests.values()):
                missed = not guest.present(now)
                changed, guest.missed = changed or missed != guest.missed, missed
                if not guest.present(now, patience):
                    self._forget(hall, guest)
            if changed:
                hall.stir()
            if not hall.guests and not hall.waking and not hall.telling:
                del self.halls[meeting]
