"""Hints that a conference has ended at its service: an address for each start link, and what is done when it is called.

In:  a start link whose organizer opens a conference; later a call by a service (BigBlueButton's end callback, a GET).
Out: an id; the conference closed here when the service, asked itself, says that it has ended.
Fails: never; a service that cannot be asked is asked again, twice. Bounded: _MOST ids, for _SECONDS each, in memory alone.

The address is no secret: BigBlueButton tells it to everybody in the meeting. So a call is a hint and no order. All that it can
do is make us ask, at most once at a time for each meeting, and nothing is ever deleted by it.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable

from notes2conf_milter.services.service import ServiceError
from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.web.guard import describe
from notes2conf_milter.web.visits import Acted, Threads, Visits

PAUSES = (0.0, 5.0, 30.0)  # seconds before each question: a server may call before it knows itself
_SECONDS = 24 * 60 * 60
_MOST = 20_000

_log = logging.getLogger("notes2conf_milter.web")


class Hints:
    """The addresses of one process. done: is told what became of it. draw: makes a random id; clock: seconds since 1970 UTC."""

    def __init__(
        self,
        visits: Visits,
        ask: Threads,
        done: Callable[[Acted], None],
        clock: Callable[[], int],
        draw: Callable[[], str],
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        self._visits, self._ask, self._done, self._clock, self._draw = visits, ask, done, clock, draw
        self._pauses = pauses
        self._links: OrderedDict[str, tuple[str, int]] = OrderedDict()  # id -> start token, until when
        self._ids: dict[str, str] = {}  # start token -> id
        self._asking: dict[str, asyncio.Task[None]] = {}

    def id_of(self, token: str) -> str:
        """Return the id of a start link that was valid just now: the same one for as long as it is used."""
        now = self._clock()
        for old, (its, until) in list(self._links.items()):
            if until > now and len(self._links) < _MOST:
                break
            del self._links[old], self._ids[its]
        found = self._ids.setdefault(token, self._draw())
        self._links[found] = token, now + _SECONDS
        self._links.move_to_end(found)
        return found

    def heard(self, hint: str) -> bool:
        """Take a hint, and look later whether it is true; False: there is no such id."""
        kept = self._links.get(hint)
        if kept is None or kept[1] <= self._clock():
            return False
        if hint not in self._asking:
            task = self._asking[hint] = asyncio.create_task(self._look(hint, kept[0]), name="hint")
            task.add_done_callback(lambda _: self._asking.pop(hint, None))
        return True

    def close(self) -> None:
        """Look no longer."""
        for task in list(self._asking.values()):
            task.cancel()

    async def _look(self, hint: str, token: str) -> None:
        for pause in self._pauses:
            await asyncio.sleep(pause)
            try:
                acted = await self._visits.close_if_over(token, self._ask)
            except (ServiceError, StoreError, TimeoutError):
                continue
            except Exception as error:  # noqa: BLE001 - nobody waits for this task: else it would be silent
                _log.error("looking whether a conference has ended failed: %s", describe(error))
                return
            if acted is not None:
                self._done(acted)
                return
