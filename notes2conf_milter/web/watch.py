"""Looks whether mail has changed a meeting of which a page is open, and tells those pages.

In:  the visits' side of the store, the lobby, a clock. Out: halls that know how it stands.
Fails: never; a store that cannot answer is asked again.

Every half second one number is read (PRAGMA data_version); only when it differs the marks of the meetings concerned, and only
of those whose mark differs the row, with a link that somebody showed us.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.web.guard import describe
from notes2conf_milter.web.lobby import Hall, Lobby
from notes2conf_milter.web.visits import GUEST_KINDS, HOST_KINDS, Threads, Visits

_log = logging.getLogger("notes2conf_milter.web")

INTERVAL = 0.5  # seconds
SWEEP = 15  # seconds


class Watch:
    """The watcher of one process."""

    def __init__(self, visits: Visits, lobby: Lobby, ask: Threads, clock: Callable[[], int]) -> None:
        self._visits, self._lobby, self._ask, self._clock = visits, lobby, ask, clock
        self._version: int | None = None
        self._swept = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.look()
            except (StoreError, TimeoutError):
                self._version = None  # not seen: look at all of them next time
            except Exception as error:  # noqa: BLE001 - whatever it is, pages that are open must not be forgotten
                _log.error("looking for changes failed: %s", describe(error))
                self._version = None

    async def look(self) -> None:
        """Look once."""
        now = self._clock()
        if abs(now - self._swept) >= SWEEP:
            self._swept = now
            self._lobby.sweep()
        halls = dict(self._lobby.halls)
        if not halls:
            return
        failed: Exception | None = None
        version = await self._ask(self._visits.data_version)
        if version != self._version:
            marks = await self._ask(partial(self._visits.changes, list(halls)))
            changed = [
                hall
                for meeting, hall in halls.items()
                if hall.meeting is not None and marks.get(meeting) != hall.meeting.changed
            ]
            failed = await self._refreshed(changed)
            self._version = None if failed else version
        for hall in halls.values():
            hall.tick(now)
        if failed is not None:
            raise failed

    async def _refreshed(self, halls: Sequence[Hall]) -> Exception | None:
        """Open meetings anew; return the last failure: one that cannot be read does not hold up the others."""
        failed: Exception | None = None
        for hall in halls:
            try:
                await self._refresh(hall)
            except Exception as error:  # noqa: BLE001 - raised again when all have been looked at
                failed = error
        return failed

    async def _refresh(self, hall: Hall) -> None:
        """Open a meeting anew; whose own link is dead now has gone."""
        meeting = None
        for token in dict.fromkeys([hall.key, *(one.token for one in hall.guests.values())]):
            shown = await self._ask(partial(self._visits.show, token, (*GUEST_KINDS, *HOST_KINDS)))
            if shown is not None:
                meeting = shown.meeting
                hall.key = token
            else:
                for guest in hall.guests.values():
                    guest.gone = guest.gone or guest.token == token
        hall.update(meeting)
