"""Everything a page asks of the store and of the conference services: what a link shows, and what a press of a button does.

In:  a token and a form. Out: what to show, or what became of the wish.
Fails: StoreError (cannot now). Showing changes nothing, ever (law 7); only `act` writes, and only a start link can do it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Protocol, TypeVar

from notes2conf_milter.core import waitingroom
from notes2conf_milter.core.joinlink import is_token
from notes2conf_milter.core.meeting import Admission, LinkKind, Room, RoomState
from notes2conf_milter.core.waitingroom import AFTER, State, View, view
from notes2conf_milter.services.service import Conference, RefusedLink, Service, ServiceError, Visitor, Why
from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.store.links import LinkStore, OpenedMeeting
from notes2conf_milter.store.rows import MAX_EXTENSION
from notes2conf_milter.web.forms import Form, is_from_page

GUEST_KINDS = (LinkKind.JOIN, LinkKind.ATTENDEE)
HOST_KINDS = (LinkKind.START,)
EXTENSIONS = (15, 30, 60)  # minutes
_ON = (RoomState.OPEN, RoomState.PAUSED)
_TRIES = 5  # each lost race means that somebody else wrote; more than a few in a row do not happen

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a valid link leads to. last: to end it is to end the meeting."""

    token: str
    meeting: OpenedMeeting
    view: View
    last: bool


class Outcome(Enum):
    """What became of a wish."""

    DONE = "done"  # or it was so already, or the page was of another day: the page says how it stands
    DELETED = "deleted"  # the meeting, with all that was stored of it
    GONE = "gone"
    REFUSED = "refused"  # not from our page
    CONFIRM = "confirm"  # it would end all: ask again
    FAILED = "failed"  # the service cannot now


Result = Outcome | Why
Written = tuple[Outcome, Shown | None, Conference | None]


@dataclass(frozen=True, slots=True)
class Acted:
    """What became of a wish, and how it stands then.

    meeting: whose it was, 0: nobody's; shown: None when that is gone. left: a conference to which nobody is led any more.
    """

    result: Result
    shown: Shown | None = None
    meeting: int = 0
    left: Conference | None = None


class Threads(Protocol):
    """Calls a function in the store's thread."""

    def __call__(self, question: Callable[[], T]) -> Awaitable[T]:
        """Return what it returns; raises TimeoutError."""


class Visits:
    """The questions that the pages ask. draw: makes a random room name; clock: seconds since 1970 UTC; grace: in seconds."""

    def __init__(
        self,
        store: LinkStore,
        services: Sequence[Service],
        clock: Callable[[], int],
        draw: Callable[[], str],
        grace: int = 0,
    ) -> None:
        self._store = store
        self._services = {one.name: one for one in services}
        self._clock = clock
        self._draw = draw
        self._grace = grace

    def show(self, token: str, kinds: tuple[LinkKind, ...]) -> Shown | None:
        """Return what a link of one of these kinds shows; None for any other text."""
        token = token.lower()  # a token's case does not matter: some mail programs change it
        if not is_token(token):
            return None
        now = self._clock()
        meeting = self._store.open(token, kinds, now)
        if meeting is None:
            return None
        meeting = replace(meeting, room=self._usable(meeting.room))
        shown = view(meeting.page, meeting.room, now)
        return None if shown is None else Shown(token, meeting, shown, self._is_last(meeting, shown))

    def _usable(self, room: Room | None) -> Room | None:
        """Return a room; it is closed when its service is not set up any more and nothing else leads in."""
        lost = room is not None and room.state in _ON and not room.url and room.service not in self._services
        return replace(room, state=RoomState.CLOSED) if room is not None and lost else room

    def changes(self, meetings: Sequence[int]) -> dict[int, int]:
        """Return the mark of each of these meetings that lives."""
        return self._store.changes(meetings, self._clock())

    def data_version(self) -> int:
        """Return a number that differs when somebody else has written."""
        return self._store.data_version()

    def offered(self, organizer: str) -> list[Service]:
        """Return the services that an organizer can choose, in their order."""
        return [one for one in self._services.values() if one.offered_to(organizer)]

    def title(self, room: Room, language: str) -> str:
        """Return the name of the service of a room."""
        service = self._services.get(room.service)
        return room.service if service is None else service.title(language)

    def way_in(self, room: Room, visitor: Visitor) -> str:
        """Return the URL for one visitor; a service that is not set up any more leads to the room's plain one."""
        service = self._services.get(room.service)
        return room.url if service is None else service.way_in(_conference(room), visitor, self._clock())

    async def act(
        self, token: str, form: Form, language: str, ask: Threads, ended_url: Callable[[], str] = str
    ) -> Acted:
        """Do what a button of the start page says; two clicks, or two browsers, lead to one room.

        What it leaves is not ended yet: that may take long, and is nothing that anybody who waits should wait for.
        ended_url: makes what the service may call when the conference has ended there; "" for nothing.
        """
        shown = await ask(lambda: self.show(token, HOST_KINDS))
        if shown is None:
            return Acted(Outcome.GONE)
        meeting, conference = shown.meeting.meeting, None
        if not is_from_page(shown.token, form):
            return Acted(Outcome.REFUSED, shown, meeting)
        if str(shown.view.occurrence.start) != form.occurrence:
            return Acted(Outcome.DONE, shown, meeting)
        if form.do in ("open", "change"):
            opened = await self._opened(shown, form, language, ended_url)
            if not isinstance(opened, Conference):  # a service may have taken its time: how it stands now, not then
                return Acted(opened, await ask(lambda: self.show(token, HOST_KINDS)), meeting)
            conference = opened
        if form.do == "resume":
            await self.revive(shown, language, ended_url)
        written = partial(
            self._written, shown, lambda one: self._after(one, form, conference), conference, asks=form.do == "end"
        )
        result, after, left = await ask(written)
        return Acted(result, after, meeting, left)

    async def _opened(
        self, shown: Shown, form: Form, language: str, ended_url: Callable[[], str]
    ) -> Conference | Result:
        organizer = shown.meeting.page.organizer.address
        service = self._services.get(form.service)
        if service is None or not service.offered_to(organizer):
            return Outcome.REFUSED
        if form.do == "open" and shown.view.state in (State.OPEN, State.PAUSED):
            return Outcome.DONE
        try:
            return await service.open(self._draw(), organizer, form.link, language, ended_url())
        except RefusedLink as refused:
            return refused.why
        except ServiceError:
            return Outcome.FAILED

    async def leave(self, acted: Acted) -> None:
        """End the conference to which nobody is led any more, where the service can."""
        conference = acted.left
        service = None if conference is None else self._services.get(conference.service)
        if conference is not None and service is not None:
            try:
                await service.end(conference)
            except ServiceError:
                return  # it ends when the last one leaves

    async def close_if_over(self, token: str, ask: Threads) -> Acted | None:
        """Close the conference of a start link if its service says that it has ended; None: it has not, or nobody knows.

        Nothing is deleted by it, and the organizer can open it again. Raises ServiceError.
        """
        shown = await ask(lambda: self.show(token, HOST_KINDS))
        if shown is None:
            return Acted(Outcome.GONE)
        before = shown.view.room
        service = self._services.get(before.service)
        if service is None or before.state not in _ON or not await service.over(_conference(before)):
            return None

        def closed(found: Shown) -> Room:
            same = (found.view.room.service, found.view.room.name) == (before.service, before.name)
            return waitingroom.closed(found.view) if same else found.view.room

        result, after, _ = await ask(lambda: self._written(shown, closed))
        return Acted(result, after, shown.meeting.meeting)

    async def revive(self, shown: Shown, language: str, ended_url: Callable[[], str] = str) -> None:
        """See to it that a conference that is open here has not ended at its service."""
        room = shown.view.room
        service = self._services.get(room.service)
        if service is None or room.state not in _ON:
            return
        try:
            if await service.over(_conference(room)):
                await service.open(room.name, shown.meeting.page.organizer.address, room.url, language, ended_url())
        except (ServiceError, RefusedLink):
            return  # the service will say so itself

    def _written(
        self, shown: Shown, after: Callable[[Shown], Room | None], made: Conference | None = None, *, asks: bool = False
    ) -> Written:
        """Write what was wished; say what became of it, how it stands, and which conference nobody is led to any more.

        made: for this wish; asks: what would end the last date is a question first.
        """
        for _ in range(_TRIES):
            if asks and shown.last:
                return Outcome.CONFIRM, shown, None
            now, before = self._clock(), shown.view
            room = after(shown)
            if room is None:
                written = self._store.end(shown.token, shown.meeting.changed, now)
            else:
                written = room == before.room or self._store.set_room(shown.token, room, shown.meeting.changed, now)
            found = self.show(shown.token, HOST_KINDS)
            if written and room is None:
                return Outcome.DELETED, None, _conference(before.room)
            if written:
                return Outcome.DONE, found, _left(before.room, room or before.room, made)
            if found is None:
                return Outcome.GONE, None, made
            if found.view.occurrence.start != before.occurrence.start:
                return Outcome.DONE, found, made
            shown = found
        raise StoreError("the meeting changed again and again")

    def _after(self, shown: Shown, form: Form, conference: Conference | None) -> Room | None:
        """Return the room as the organizer wants it; None: there is to be none any more."""
        room, one = shown.view, conference
        match form.do:
            case "open" if one is not None and room.state not in (State.OPEN, State.PAUSED):
                chosen = chosen_admission(form)
                if chosen is not None:
                    room = View(room.occurrence, room.state, waitingroom.admitting(room, chosen), room.dated, room.last)
                return waitingroom.opened(room, one.service, one.url, one.room)
            case "change" if one is not None:
                return waitingroom.opened(room, one.service, one.url, one.room)
            case "pause":
                return waitingroom.paused(room)
            case "resume":
                return waitingroom.resumed(room)
            case "extend" if form.minutes in map(str, EXTENSIONS) and room.state in (State.OPEN, State.PAUSED):
                return waitingroom.extended(room, int(form.minutes) * 60, self._clock(), _latest(shown))
            case "admission" if (chosen := chosen_admission(form)) is not None:
                return waitingroom.admitting(room, chosen)
            case "end" | "end-all":
                return None if shown.last and form.do == "end-all" else waitingroom.ended(room)
        return room.room

    def _is_last(self, meeting: OpenedMeeting, shown: View) -> bool:
        """Say whether nothing comes after the occurrence: a series may go on behind the dates that are known of it."""
        known = shown.occurrence.end + AFTER + self._grace
        return shown.last and not (meeting.page.recurring and meeting.ends_at > known)


def _latest(shown: Shown) -> int:
    """Return until when an occurrence can be extended: so long the store keeps it, and it does not hide the next one wholly."""
    start = shown.view.occurrence.start
    following = [one.end for one in shown.meeting.page.times if one.start > start][:1]
    return min([shown.meeting.ends_at + MAX_EXTENSION, *following])


def _conference(room: Room) -> Conference:
    return Conference(room.service, room.name, room.url)


def _left(before: Room, after: Room, made: Conference | None) -> Conference | None:
    """Return the conference of which a room was changed, or the one that came too late to be its own."""
    old, new = _conference(before), _conference(after)
    if made is not None and made != new:
        return made
    return old if old != new else None


def chosen_admission(form: Form) -> Admission | None:
    """Return the admission that a form chooses, if it does."""
    return Admission(form.admission) if form.admission in {one.value for one in Admission} else None
