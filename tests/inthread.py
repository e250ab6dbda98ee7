"""The work on messages in a thread of the test's own process, without a budget: what tests of the flow need is fast."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from notes2conf_milter.core.edits import Changes
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.invitation import Invitation
from notes2conf_milter.core.skips import Skipped
from notes2conf_milter.core.verdict import Reason
from notes2conf_milter.core.work import Cancelled, Judged, WorkSettings, change, judge

T = TypeVar("T")


class InThread:
    """Works in a thread of this process, without a budget."""

    def __init__(self, executor: Executor, settings: WorkSettings) -> None:
        self.executor, self.settings = executor, settings

    def sitting(self, message: bytes) -> "_ThreadSitting":
        """Return a new sitting."""
        return _ThreadSitting(self, message)


class _ThreadSitting:
    def __init__(self, work: InThread, message: bytes) -> None:
        self._work, self._message = work, message
        self._invitation: Invitation | None = None
        self._asked: tuple[Envelope, int] | None = None

    async def judge(self, envelope: Envelope, now: int) -> Judged | Cancelled | Skipped | Reason:
        found = await self._run(lambda: judge(self._message, envelope, self._work.settings, now))
        if not isinstance(found, tuple):
            return found
        self._invitation, judged = found
        self._asked = envelope, now
        return judged

    async def change(self, token: str) -> Changes | str:
        invitation, asked = self._invitation, self._asked
        assert invitation is not None
        assert asked is not None
        return await self._run(lambda: change(self._message, invitation, self._work.settings, token, *asked))

    def end(self) -> None:
        self._message, self._invitation = b"", None

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._work.executor, call)


class Complaining(InThread):
    """Every message fails its self-check."""

    def sitting(self, message: bytes) -> "_ThreadSitting":
        """Return a sitting that finds more changed than was meant."""

        async def complain(token: str) -> Changes | str:
            return "body"

        sitting = super().sitting(message)
        sitting.change = complain  # type: ignore[method-assign]
        return sitting
