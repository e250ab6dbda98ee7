"""One worker process: answers questions about one message after the other (core.work), each within its budget.

In:  on a socket that it inherits: settings and budget first, then questions, with the message that the first one is about.
Out: answers on the same socket: "ok" with what core.work says, "over" with the budget that was used up, or "failed" with the
     type and the places of an error that nobody foresaw, without a word of the message.
Fails: never to the outside; it ends when the other side is gone.
"""

import contextlib
import ctypes
import gc
import pickle
import resource
import signal
import socket
import struct
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from notes2conf_milter.core.carried import library
from notes2conf_milter.core.edits import Changes
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.invitation import Invitation
from notes2conf_milter.core.skips import Skipped
from notes2conf_milter.core.verdict import Reason
from notes2conf_milter.core.work import Cancelled, Judged, WorkSettings, change, judge

HEAD = struct.Struct("!QQ")  # octets of the pickled question or answer, octets of the message behind it
_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE = 1_048_576  # octets
_LEAST = 0.001  # seconds; 0 would mean no bound


@dataclass(frozen=True, slots=True)
class Budget:
    """What one message may take. cpu: seconds; memory: octets; wall: seconds, after which a worker that does not answer is
    killed."""

    cpu: float = 1.0
    memory: int = 200_000_000
    wall: float = 30.0


class _TimeIsUp(BaseException):
    """No `except Exception` between here and the worker's loop may keep it."""


def give_back_large_blocks() -> None:
    """Let malloc return each large block to the system when it is freed; glibc would soon keep them. mallopt(3)

    Without effect where there is no such call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


def serve(descriptor: int) -> None:
    """Answer questions until the other side is gone."""
    give_back_large_blocks()
    # The service ends us; systemd and a terminal tell every process of the group to stop, in the middle of a message.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    with (
        socket.socket(fileno=descriptor) as peer,
        peer.makefile("rb") as stream,
        contextlib.suppress(EOFError, ConnectionError),  # the service is gone
    ):
        (settings, budget), _ = _next(stream)
        desk = _Desk(settings, budget)
        if settings.signing.keys:
            library()  # takes a tenth of a second, which no message is to pay for
        gc.freeze()  # what was imported stays: no need to look through it after every few messages
        _reply(peer, ("ok", "ready"))
        while True:
            question, message = _next(stream)
            if question[0] == "drop":
                desk.drop()
                continue
            answer = desk.answer(question, message)
            del message
            _reply(peer, answer)


def _reply(peer: socket.socket, answer: tuple[str, Any]) -> None:
    octets = pickle.dumps(answer)
    peer.sendall(HEAD.pack(len(octets), 0) + octets)


def _next(stream: BinaryIO) -> tuple[Any, bytes]:
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        raise EOFError
    size, more = HEAD.unpack(head)
    return pickle.loads(stream.read(size)), stream.read(more)


class _Desk:
    """What a worker has before it: one message and its invitation."""

    def __init__(self, settings: WorkSettings, budget: Budget) -> None:
        self._settings, self._budget = settings, budget
        self._working = False
        self._seconds = budget.cpu  # left for the message
        self._message = b""
        self._invitation: Invitation | None = None
        self._envelope: Envelope | None = None
        self._now = 0
        signal.signal(signal.SIGPROF, self._time_is_up)

    def drop(self) -> None:
        """Forget the message."""
        self._message, self._invitation, self._envelope = b"", None, None

    def answer(self, question: tuple[Any, ...], message: bytes) -> tuple[str, Any]:
        """Return ("ok", answer), ("over", which budget) or ("failed", type and places of an error)."""
        if question[0] == "judge":  # a new message
            self._seconds = self._budget.cpu
            _bound_memory(self._budget.memory)
        try:
            self._working = True
            signal.setitimer(signal.ITIMER_PROF, self._seconds)
            try:
                return "ok", self._judge(message, *question[1:]) if question[0] == "judge" else self._change(
                    question[1]
                )
            finally:
                self._working = False
                left, _ = signal.setitimer(signal.ITIMER_PROF, 0)
                self._seconds = max(left, _LEAST)
        except _TimeIsUp:
            return "over", "CPU time"
        except MemoryError:
            return "over", "memory"
        except Exception as error:  # noqa: BLE001 - the service says what becomes of the message
            return "failed", f"{type(error).__name__} at {_places(error)}"

    def _judge(self, message: bytes, envelope: Envelope, now: int) -> Judged | Cancelled | Skipped | Reason:
        self.drop()
        found = judge(message, envelope, self._settings, now)
        if not isinstance(found, tuple):
            return found
        self._message, (self._invitation, judged) = message, found
        self._envelope, self._now = envelope, now
        return judged

    def _change(self, token: str) -> Changes | str:
        message, invitation, envelope = self._message, self._invitation, self._envelope
        self.drop()
        assert invitation is not None
        return change(message, invitation, self._settings, token, envelope, self._now)

    def _time_is_up(self, number: int, frame: FrameType | None) -> None:
        if self._working:
            raise _TimeIsUp


def _bound_memory(more: int) -> None:
    """Allow so many octets more than are in use now. getrlimit(2), RLIMIT_DATA; proc(5), statm."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[5])
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    with contextlib.suppress(ValueError, OSError):  # a lower bound of the system's stays
        resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + more, hard))


def _places(error: BaseException) -> str:
    frames = reversed(traceback.extract_tb(error.__traceback__)[-6:])
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in frames)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
