"""Server-sent events: one open answer for each page that is told of news (WHATWG HTML §9.2).

In:  a function that says how it stands, callbacks that are called when something changed. Out: an ASGI answer that lasts.
Fails: never; it ends when the page is closed, when there is nothing more to say, or when the service stops.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Message, Receive, Scope, Send

HEARTBEAT = 25.0  # seconds; proxies close what is silent for a minute
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # nginx is not to collect it
]


@dataclass(frozen=True, slots=True)
class News:
    """What a page is told. event: "" for a change of what it shows; last: nothing comes after it."""

    text: str
    event: str = ""
    last: bool = False

    def octets(self) -> bytes:
        """Return it as an event."""
        head = f"event: {self.event}\n" if self.event else ""
        lines = "".join(f"data: {line}\n" for line in (self.text or " ").splitlines())
        return f"{head}{lines}\n".encode("utf-8", "replace")


class EventStream:
    """An ASGI application that answers one request.

    news: how it stands now. waking: where it puts a callback while it listens. pause: seconds between two events, so that many
    changes become one. done: called at the end.
    """

    def __init__(
        self,
        news: Callable[[], News],
        waking: set[Callable[[], None]],
        done: Callable[[], None] = lambda: None,
        pause: float = 0,
    ) -> None:
        self._news, self._waking, self._done, self._pause = news, waking, done, pause

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        wake = asyncio.Event()
        closed = asyncio.create_task(_disconnected(receive))
        closed.add_done_callback(lambda _: wake.set())
        self._waking.add(wake.set)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await self._talk(wake, closed, send)
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._waking.discard(wake.set)
            closed.cancel()
            self._done()

    async def _talk(self, wake: asyncio.Event, closed: "asyncio.Task[None]", send: Send) -> None:
        said: News | None = None
        while not closed.done():
            wake.clear()
            news = self._news()
            if news != said:
                said = news
                await send(_body(news.octets()))
            if news.last:
                return
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await wake.wait()
            except TimeoutError:
                await send(_body(b":\n\n"))
            if self._pause and not closed.done():
                await asyncio.sleep(self._pause)


def _body(octets: bytes) -> Message:
    return {"type": "http.response.body", "body": octets, "more_body": True}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
