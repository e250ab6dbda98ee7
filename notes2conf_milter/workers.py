"""Processes that read and rewrite messages (core.work), so that one that takes too long or too much can be stopped.

In:  a message, then questions about it. Out: what core.work answers.
A worker is started when there is work for it and ends when there has been none for a while; it is given no socket, no store and
no key. It gives each message a budget of CPU time and of memory and stops by itself when one is used up; what does not even do
that is killed. The event loop and other mail go on meanwhile.
Fails: `OverBudget` when the message may not be looked at any longer; `WorkFailed` for an error that nobody foresaw, with its
type and place and without a word of the message; OSError when no process can be had.
"""

import asyncio
import contextlib
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from notes2conf_milter.core.edits import Changes
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.skips import Skipped
from notes2conf_milter.core.verdict import Reason
from notes2conf_milter.core.work import Cancelled, Judged, WorkSettings
from notes2conf_milter.worker import HEAD, Budget

__all__ = ["Budget", "OverBudget", "Sitting", "Work", "WorkFailed", "Workers"]

T = TypeVar("T")

_IDLE = 600.0  # seconds without work after which a worker ends
_OURS = ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET")  # what systemd tells the service alone


class OverBudget(Exception):
    """The message would take more than its budget. The text says which."""


class WorkFailed(Exception):
    """An unforeseen error in a worker: its type and its places."""


class Sitting(Protocol):
    """The work on one message: `judge`, then perhaps `change`, then `end`."""

    async def judge(self, envelope: Envelope, now: int) -> Judged | Cancelled | Skipped | Reason:
        """As core.work.judge. now: seconds since 1970 UTC."""

    async def change(self, token: str) -> Changes | str:
        """As core.work.change, for the invitation that `judge` found."""

    def end(self) -> None:
        """Forget the message."""


class Work(Protocol):
    """Where messages are worked on."""

    def sitting(self, message: bytes) -> Sitting:
        """Return a new sitting."""


# --- the side of the service ---


class Workers:
    """Up to `count` worker processes. Use within one event loop, and `close` at the end."""

    def __init__(self, settings: WorkSettings, budget: Budget | None = None, count: int = 2) -> None:
        self.settings, self.budget = settings, budget or Budget()
        self._free: list[_Worker] = []
        self._turns = asyncio.Semaphore(count)
        self._tasks: set[asyncio.Task[Any]] = set()

    def sitting(self, message: bytes) -> "_Sitting":
        """Return a new sitting."""
        return _Sitting(self, message)

    async def close(self) -> None:
        """End every worker; questions that are open fail."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self._free:
            worker.stop()
        self._free.clear()

    @asynccontextmanager
    async def turn(self, wanted: "_Worker | None") -> AsyncIterator["_Worker"]:
        """Have a worker to oneself: the wanted one if it is free. One that fails inside is not used again."""
        async with self._turns:
            for dead in [worker for worker in self._free if not worker.alive]:
                self._retire(dead)
            at = self._free.index(wanted) if wanted in self._free else -1  # the last used first: others may grow idle
            worker = self._free.pop(at) if self._free else _Worker(self.settings, self.budget)
            worker.rest.cancel()
            try:
                yield worker
            except BaseException:
                worker.stop()
                raise
            if not worker.stopped:
                worker.rest = asyncio.get_running_loop().call_later(_IDLE, self._retire, worker)
                self._free.append(worker)

    def _retire(self, worker: "_Worker") -> None:
        self._free.remove(worker)
        worker.stop()

    async def finish(self, work: Awaitable[T]) -> T:
        """Await `work`, which goes on when the caller is cancelled: a worker is never left in the middle of an answer."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # has been seen, if anybody still waits for it


class _Sitting:
    """Keeps no worker between two questions, but asks the same one again if it can: that one has read the message already."""

    def __init__(self, workers: Workers, message: bytes) -> None:
        self._workers, self._message = workers, message
        self._worker: _Worker | None = None
        self._question: tuple[Any, ...] = ()

    async def judge(self, envelope: Envelope, now: int) -> Judged | Cancelled | Skipped | Reason:
        self._question = ("judge", envelope, now)
        answer: Judged | Cancelled | Skipped | Reason = await self._ask(None)
        return answer

    async def change(self, token: str) -> Changes | str:
        answer: Changes | str = await self._ask(("change", token))
        return answer

    def end(self) -> None:
        self._message = b""
        if self._worker is not None and self._worker.sitting is self:
            self._worker.sitting = None
            self._worker.tell(("drop",))

    async def _ask(self, question: tuple[Any, ...] | None) -> Any:
        status, answer = await self._workers.finish(self._twice(question))
        if status == "over":
            raise OverBudget(answer)
        if status == "failed":
            raise WorkFailed(answer)
        return answer

    async def _twice(self, question: tuple[Any, ...] | None) -> tuple[str, Any]:
        """Ask, and ask another worker once if the first one dies: what kills two is the message."""
        with contextlib.suppress(EOFError, ConnectionError):
            return await self._once(question)
        with contextlib.suppress(EOFError, ConnectionError):
            return await self._once(question)
        return "over", "the worker died of it"

    async def _once(self, question: tuple[Any, ...] | None) -> tuple[str, Any]:
        with contextlib.suppress(TimeoutError):
            async with self._workers.turn(self._worker) as worker, asyncio.timeout(self._workers.budget.wall):
                status, answer = "ok", None
                if worker.sitting is not self or question is None:
                    worker.sitting = self._worker = None
                    status, answer = await worker.ask(self._question, self._message)
                    worker.sitting, self._worker = self, worker
                if question is not None and status == "ok":
                    status, answer = await worker.ask(question)
                if status == "over":
                    worker.stop()  # with what it has taken
                return status, answer
        return "over", "time"


class _Worker:
    """One process. sitting: whose message it holds. rest: ends it when nobody asks."""

    def __init__(self, settings: WorkSettings, budget: Budget) -> None:
        self.sitting: _Sitting | None = None
        self.stopped = False
        self.rest: asyncio.TimerHandle = asyncio.get_running_loop().call_later(_IDLE, int)
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "notes2conf_milter.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={name: value for name, value in os.environ.items() if name not in _OURS},
            )
        self._socket.setblocking(False)
        self._first: tuple[Any, ...] = (settings, budget)  # before the first question

    @property
    def alive(self) -> bool:
        """The process runs."""
        return self._process.poll() is None

    async def ask(self, question: tuple[Any, ...], message: bytes = b"") -> tuple[str, Any]:
        """Put a question and return the answer.

        Raises EOFError or ConnectionError when the worker has died, WorkFailed when it did not even start.
        """
        if self._first:
            first, self._first = self._first, ()
            try:
                await self._say(first)
                await self._answer()
            except (EOFError, ConnectionError):
                raise WorkFailed("a worker that does not start") from None
        await self._say(question, message)
        return await self._answer()

    async def _say(self, question: tuple[Any, ...], message: bytes = b"") -> None:
        loop, octets = asyncio.get_running_loop(), pickle.dumps(question)
        await loop.sock_sendall(self._socket, HEAD.pack(len(octets), len(message)) + octets)
        if message:
            await loop.sock_sendall(self._socket, message)

    async def _answer(self) -> tuple[str, Any]:
        length, _ = HEAD.unpack(await self._receive(HEAD.size))
        answer: tuple[str, Any] = pickle.loads(await self._receive(length))
        return answer

    def tell(self, question: tuple[Any, ...]) -> None:
        """Say something that has no answer, if it can be said at once."""
        octets = pickle.dumps(question)
        with contextlib.suppress(OSError):
            self._socket.send(HEAD.pack(len(octets), 0) + octets)

    async def _receive(self, length: int) -> bytes:
        pieces: list[bytes] = []
        while length:
            piece = await asyncio.get_running_loop().sock_recv(self._socket, min(length, 1 << 20))
            if not piece:
                raise EOFError
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def stop(self) -> None:
        """End it at once; it has nothing to lose."""
        self.stopped = True
        self.rest.cancel()
        self._socket.close()
        self._process.kill()
        self._process.wait()
