"""What a visit does: look a link up, or open the conference behind it. Plain synchronous code, run in the store's one thread.

In:  a token as it came in the path, and the store. Out: what to show, or what became of the wish to open.
Fails: StoreError (cannot now). Showing changes nothing, ever (law 7); only `open` writes, and only a start link can do it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from notes2conf_milter.core.joinlink import is_token
from notes2conf_milter.core.meeting import LinkKind, Page
from notes2conf_milter.core.waitingroom import State, View, open_room, view
from notes2conf_milter.services.jitsi import Jitsi
from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.store.links import LinkStore, OpenedMeeting
from notes2conf_milter.web.forms import OpenForm, is_from_page

GUEST_KINDS = (LinkKind.JOIN, LinkKind.ATTENDEE)
HOST_KINDS = (LinkKind.START,)
_TRIES = 5  # each lost race means that somebody else wrote; more than a few in a row do not happen


@dataclass(frozen=True, slots=True)
class Shown:
    """What a valid link leads to."""

    token: str
    page: Page
    view: View


class Opening(Enum):
    """What became of the wish to open."""

    OPEN = "open"  # it is open now, or was already, or the page was of another day: the start page says which
    GONE = "gone"
    REFUSED = "refused"


class Visits:
    """The questions that the pages ask. draw: makes a random room name; clock: seconds since 1970 UTC."""

    def __init__(
        self, store: LinkStore, services: Sequence[Jitsi], clock: Callable[[], int], draw: Callable[[], str]
    ) -> None:
        self._store = store
        self._service = services[0]
        self._clock = clock
        self._draw = draw

    def show(self, token: str, kinds: tuple[LinkKind, ...]) -> Shown | None:
        """Return what a link of one of these kinds shows; None for any other text."""
        found = self._look_up(token, kinds)
        return None if found is None else found[1]

    def open(self, token: str, form: OpenForm) -> Opening:
        """Open the conference; two clicks, or two browsers, lead to one room."""
        for _ in range(_TRIES):
            found = self._look_up(token, HOST_KINDS)
            if found is None:
                return Opening.GONE
            meeting, shown = found
            if not is_from_page(shown.token, form):
                return Opening.REFUSED
            if shown.view.state is State.OPEN or str(shown.view.occurrence.start) != form.occurrence:
                return Opening.OPEN
            room = open_room(shown.view, self._service.name, self._service.room_url(self._draw()))
            if self._store.set_room(shown.token, room, meeting.changed, self._clock()):
                return Opening.OPEN
        raise StoreError("the meeting changed again and again")

    def _look_up(self, token: str, kinds: tuple[LinkKind, ...]) -> tuple[OpenedMeeting, Shown] | None:
        token = token.lower()  # a token's case does not matter: some mail programs change it
        if not is_token(token):
            return None
        now = self._clock()
        meeting = self._store.open(token, kinds, now)
        shown = None if meeting is None else view(meeting.page, meeting.room, now)
        return None if meeting is None or shown is None else (meeting, Shown(token, meeting.page, shown))
