"""Where mail ends in a live test: an SMTP server in a thread of its own that keeps what it gets, octet for octet.

    with Sink() as sink:
        ... Postfix(..., relay_to=sink.address) ...
        message = sink.wait_for(1)[0]

The server itself is `tests.smtp.nexthop.NextHop`; the thread lets a test that blocks (subprocesses, raw sockets) use it.
Fails: `wait_for` raises TimeoutError; it says how many messages there were.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.smtp.nexthop import KEYWORDS, Action, NextHop

_POLL = 0.02


@dataclass(frozen=True)
class Delivery:
    """One message that the sink accepted: envelope without angle brackets, octets as they were before dots were doubled."""

    sender: bytes
    recipients: tuple[bytes, ...]
    octets: bytes


class Sink:
    """The server; a context manager. `address` is HOST:PORT. script and the rest are as NextHop has them."""

    def __init__(
        self,
        script: Mapping[str, Action | Sequence[Action]] | None = None,
        keywords: Sequence[bytes] = KEYWORDS,
        vanish_after: int | None = None,
        port: int = 0,
        enter: Callable[[], object] = lambda: None,
    ) -> None:
        """enter: what the thread does first; it may go to another network namespace."""
        self._enter = enter
        self._given = {"keywords": keywords, "vanish_after": vanish_after, "port": port}
        self._script = script
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sink", daemon=True)

    def __enter__(self) -> "Sink":
        self._thread.start()
        if not self._started.wait(10):
            raise TimeoutError("the sink did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._enter()
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with NextHop(self._script, **self._given) as hop:
            self._hop = hop
            self.port = hop.address.port
            self.address = f"127.0.0.1:{self.port}"
            self._started.set()
            await self._stop.wait()

    @property
    def messages(self) -> list[Delivery]:
        """What was accepted so far, in order."""
        return [Delivery(one.sender, tuple(one.recipients), one.octets) for one in list(self._hop.messages)]

    def clear(self) -> None:
        """Forget what was accepted so far."""
        self._hop.messages.clear()

    def wait_for(self, count: int, timeout: float = 30.0) -> list[Delivery]:
        """Return the messages once there are at least `count` of them."""
        deadline = time.monotonic() + timeout
        while len(found := self.messages) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the sink has {len(found)} of {count} messages after {timeout:g} s")
            time.sleep(_POLL)
        return found
