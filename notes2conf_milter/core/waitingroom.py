"""What a waiting room shows: the occurrence that is on or comes next, and whether its conference is open.

In:  the meeting's Page, its Room if anything was ever chosen there, and the time. Out: a View, or None when nothing is left
     to show; and the Room after what the organizer does.
Opening belongs to one occurrence (by its start): the next one of a series starts closed, behind the same link; only how guests
are admitted goes along. A series may outlive the times that we know of it (a rule that nobody computed, or one that goes on and
on). Then each day counts as one occurrence, from the hour of the last known one on: the page shows no date, the organizer can
open it, and the next day starts closed.
Fails: never. Whether the link still answers at all is the store's to say; this module only reads what the store gave.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from notes2conf_milter.core.meeting import NOWHERE, Admission, Occurrence, Page, Room, RoomState

EARLY = 15 * 60  # longer than this before the start, "it has not started" would sound like a delay
ENDING = 10 * 60  # so long before the end the organizer is asked whether to extend
OVERRUN = 60 * 60  # for so long an open conference of a series stays the current one after its planned end
AFTER = (
    12 * 60 * 60
)  # for so long the last known occurrence of a series stays: told without a zone, it may be over so late
_DAY = 24 * 60 * 60
_ON = (RoomState.OPEN, RoomState.PAUSED)


class State(Enum):
    """What stands on the page."""

    EARLY = "early"
    CLOSED = "closed"
    OPEN = "open"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class View:
    """The occurrence to show and its state.

    room: of this occurrence. dated: False when the times that are known of the series are over: then `occurrence` is the day
    that an opening belongs to, no time that anybody was told. last: no other occurrence is known to come.
    """

    occurrence: Occurrence
    state: State
    room: Room
    dated: bool = True
    last: bool = False

    @property
    def over(self) -> int:
        """When it is over as planned, or as extended; seconds since 1970 UTC."""
        return max(self.occurrence.end, self.room.until)


def view(page: Page, room: Room | None, now: int) -> View | None:
    """Say what the page shows at `now`; None when the last occurrence was ended."""
    if not page.times or (page.recurring and _outlived(page.times[-1], room, now)):
        return _undated(page.times, room, now)
    occurrence = _current(page.times, room, now)
    if occurrence is None:
        return None
    own = _own(occurrence, room)
    state = _STATES.get(own.state) or (State.EARLY if now < occurrence.start - EARLY else State.CLOSED)
    return View(occurrence, state, own, last=occurrence == page.times[-1])


_STATES = {RoomState.OPEN: State.OPEN, RoomState.PAUSED: State.PAUSED}


def opened(shown: View, service: str, url: str, name: str) -> Room:
    """Return the Room after the organizer opened a conference, or another one in its stead."""
    return replace(shown.room, state=RoomState.OPEN, service=service, url=url, name=name)


def paused(shown: View) -> Room:
    """Return the Room whose new guests wait; a conference that is not open is not paused."""
    return replace(shown.room, state=RoomState.PAUSED) if shown.state is State.OPEN else shown.room


def resumed(shown: View) -> Room:
    """Return the Room that lets guests in again."""
    return replace(shown.room, state=RoomState.OPEN) if shown.state is State.PAUSED else shown.room


def closed(shown: View) -> Room:
    """Return the Room of a conference that has ended at its service: which one that was stays known."""
    return replace(shown.room, state=RoomState.CLOSED) if shown.state in (State.OPEN, State.PAUSED) else shown.room


def ended(shown: View) -> Room:
    """Return the Room of an occurrence that is over by the organizer's word."""
    return Room(shown.occurrence.start, RoomState.ENDED, admission=shown.room.admission)


def admitting(shown: View, admission: Admission) -> Room:
    """Return the Room with another admission, for this meeting from now on."""
    return replace(shown.room, admission=admission)


def extended(shown: View, seconds: int, now: int, most: int) -> Room:
    """Return the Room of a conference that goes on for so long beyond its end, or beyond now when that is over.

    most: when it has to make way at the latest, seconds since 1970 UTC: it is never shortened for that.
    """
    return replace(shown.room, until=max(shown.room.until, min(max(shown.over, now) + seconds, most)))


def ending(shown: View, now: int) -> bool:
    """Say whether a conference that is on comes to its planned end: time to extend it."""
    return shown.dated and shown.state in (State.OPEN, State.PAUSED) and now >= shown.over - ENDING


def _own(occurrence: Occurrence, room: Room | None) -> Room:
    """Return the room of an occurrence: the one that is known, or a closed one."""
    if room is not None and room.occurrence == occurrence.start:
        return room
    return Room(occurrence.start, RoomState.CLOSED, admission=None if room is None else room.admission)


def _outlived(last: Occurrence, room: Room | None, now: int) -> bool:
    """Say whether a series has outlived the last occurrence that is known of it."""
    until = 0 if room is None or room.occurrence != last.start else room.until
    return now >= max(last.end + AFTER, last.start + _DAY - EARLY, until)


def _undated(times: Sequence[Occurrence], room: Room | None, now: int) -> View:
    """Return the view of a day of which no time is known."""
    last = times[-1] if times else Occurrence(0, 0, NOWHERE)
    start = last.start + (now + EARLY - last.start) // _DAY * _DAY
    day = Occurrence(start, start + _DAY, last.zone, last.offset)
    own = _own(day, room)
    return View(day, _STATES.get(own.state, State.CLOSED), own, dated=False)


def _current(times: Sequence[Occurrence], room: Room | None, now: int) -> Occurrence | None:
    """Return the first occurrence that is not over; the last one stays until the store forgets the meeting or it was ended."""
    for index, occurrence in enumerate(times):
        following = times[index + 1] if index + 1 < len(times) else None
        if not _ended(occurrence, room) and now < _over(occurrence, following, room):
            return occurrence
    if not times or _ended(times[-1], room):
        return None
    return times[-1]


def _over(occurrence: Occurrence, following: Occurrence | None, room: Room | None) -> int:
    """Say when an occurrence makes way for the next: at its end, later while its conference is open and nothing else is due."""
    if following is None or room is None or room.occurrence != occurrence.start or room.state not in _ON:
        return occurrence.end
    return max(occurrence.end, room.until, min(occurrence.end + OVERRUN, following.start - EARLY))


def _ended(occurrence: Occurrence, room: Room | None) -> bool:
    return room is not None and room.occurrence == occurrence.start and room.state is RoomState.ENDED
