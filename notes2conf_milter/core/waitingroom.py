"""What a waiting room shows: the occurrence that is on or comes next, and whether its conference is open.

In:  the meeting's Page, the Room if one was opened, and the time. Out: a View, or None when there is nothing left to show.
Opening belongs to one occurrence (by its start): the next one of a series starts closed, behind the same link. A series may
outlive the times that we know of it (a rule that nobody computed, or one that goes on and on). Then each day counts as one
occurrence, from the hour of the last known one on: the page shows no date, the organizer can open it, and the next day starts
closed.
Fails: never. Whether the link still answers at all is the store's to say; this module only reads what the store gave.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from notes2conf_milter.core.meeting import Occurrence, Page, Room, RoomState

EARLY = 15 * 60  # longer than this before the start, "it has not started" would sound like a delay
OVERRUN = 60 * 60  # for so long an open conference of a series stays the current one after its planned end
AFTER = (
    12 * 60 * 60
)  # for so long the last known occurrence of a series stays: told without a zone, it may be over so late
_DAY = 24 * 60 * 60


class State(Enum):
    """What stands on the page."""

    EARLY = "early"
    CLOSED = "closed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class View:
    """The occurrence to show and its state. url: the way into the conference, "" unless it is open.

    dated: False when the times that are known of the series are over: then `occurrence` is the day that an opening belongs
    to, no time that anybody was told.
    """

    occurrence: Occurrence
    state: State
    url: str = ""
    dated: bool = True


def view(page: Page, room: Room | None, now: int) -> View | None:
    """Say what the page shows at `now`; None when the last occurrence was ended."""
    if not page.times or (page.recurring and _outlived(page.times[-1], now)):
        return _undated(page.times, room, now)
    occurrence = _current(page.times, room, now)
    if occurrence is None:
        return None
    if room is not None and _opened(occurrence, room):
        return View(occurrence, State.OPEN, room.url)
    return View(occurrence, State.EARLY if now < occurrence.start - EARLY else State.CLOSED)


def _outlived(last: Occurrence, now: int) -> bool:
    """Say whether a series has outlived the last occurrence that is known of it."""
    return now >= max(last.end + AFTER, last.start + _DAY - EARLY)


def _undated(times: Sequence[Occurrence], room: Room | None, now: int) -> View:
    """Return the view of a day of which no time is known."""
    since = times[-1].start if times else 0
    start = since + (now + EARLY - since) // _DAY * _DAY
    day = Occurrence(start, start + _DAY)
    if room is not None and _opened(day, room):
        return View(day, State.OPEN, room.url, dated=False)
    return View(day, State.CLOSED, dated=False)


def open_room(shown: View, service: str, url: str) -> Room:
    """Return the Room that opens the occurrence shown."""
    return Room(shown.occurrence.start, RoomState.OPEN, service, url)


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
    if following is None or not _opened(occurrence, room):
        return occurrence.end
    return max(occurrence.end, min(occurrence.end + OVERRUN, following.start - EARLY))


def _opened(occurrence: Occurrence, room: Room | None) -> bool:
    return room is not None and room.occurrence == occurrence.start and room.state is RoomState.OPEN


def _ended(occurrence: Occurrence, room: Room | None) -> bool:
    return room is not None and room.occurrence == occurrence.start and room.state is RoomState.ENDED
