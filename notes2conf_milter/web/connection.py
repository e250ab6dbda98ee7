"""One connection of a visitor: ours are the answers that the application never sees, and an end to whoever is too slow.

In:  a transport, what comes by it. Out: requests for the application (uvicorn's part), its answers.
Fails: never. What is not HTTP gets 400; one connection too many 503, with the word when to come again; a request without an
end, and an answer that nobody reads, end the connection. Nothing of it is logged.

Memory is bounded: of a request that is being read, HEADER_LIMIT and some 64 KB of a body; of an answer, one write (an event, or
a page) beyond what the system holds for the socket, for nothing more is written until all of that is gone.
"""

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from notes2conf_milter.web.guard import SECURITY_HEADERS, UNKEPT

REQUEST_SECONDS = 15.0  # a request must be whole after twice this time at the latest
SEND_SECONDS = 30.0  # what is written must be gone after this time
LINGER_SECONDS = 2.0  # for who was refused to read why
HEADER_LIMIT = 16 * 1024  # octets of a request's line and header
RETRY_SECONDS = 30  # then there may be room again

# Said before anybody could say which language is wished.
_FULL = (
    "There are too many connections. Please try again in a minute.\n"
    "Es gibt zu viele Verbindungen. Bitte versuchen Sie es gleich noch einmal.\n"
)


class Config(uvicorn.Config):
    """uvicorn's, and who is refused."""

    refuses: Callable[[tuple[str, int] | None], bool]


class Connection(H11Protocol):
    """One connection."""

    config: Config
    _parting = False
    _stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or refuse it."""
        super().connection_made(transport)
        # So "resume" means that all is gone: with the usual limits a slow reader would be seen only 64 KB later.
        transport.set_write_buffer_limits(high=1, low=0)
        self._seen: object = self
        self._watch = self.loop.call_later(REQUEST_SECONDS, self._look)
        if self.config.refuses(self.client):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, _FULL, {"Retry-After": str(RETRY_SECONDS)})

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._watch.cancel()
        if self._stuck is not None:
            self._stuck.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give the visitor some time to read; uvicorn writes nothing meanwhile."""
        super().pause_writing()
        self._stuck = self.loop.call_later(SEND_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """All is gone: go on."""
        if self._stuck is not None:
            self._stuck.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or not any more; an answer that has begun is cut off instead."""
        one = self.cycle
        if one is not None and one.response_started and not one.response_complete:
            self.transport.close()
            return
        if one is not None and not one.response_complete:
            one.disconnected = True  # what the application says now is no longer wanted
            one.message_event.set()
        self._refuse(HTTPStatus.BAD_REQUEST)

    def shutdown(self) -> None:
        """End it when there is nothing left to answer."""
        if self._parting:
            self.transport.abort()
        else:
            super().shutdown()

    def _look(self) -> None:
        """Close the connection when, since the last look, it has been at the same unfinished request.

        One that is idle after an answer is not reading: uvicorn's own keep-alive limit ends it.
        """
        reading = self.cycle is None or self.cycle.more_body or bool(self.conn.trailing_data[0])
        if reading and self._seen is self.cycle:
            self.transport.close()
            return
        self._seen = self.cycle if reading else self
        self._watch = self.loop.call_later(REQUEST_SECONDS, self._look)

    def _refuse(self, status: HTTPStatus, text: str = "", more: dict[str, str] | None = None) -> None:
        """Answer, and read on for a moment: closed with octets unread, TCP would take the answer back (RFC 9112 §9.6)."""
        body = (text or f"{status.phrase}\n").encode()
        plain = {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"}
        headers = SECURITY_HEADERS | UNKEPT | plain | (more or {})
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        self.transport.write("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("ascii") + body)
        self._parting = True
        self._watch.cancel()
        self._watch = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        self.transport.set_protocol(_Deaf(self))
        if self.transport.can_write_eof() and not self.transport.get_write_buffer_size():
            with contextlib.suppress(OSError):  # gone already
                self.transport.write_eof()


class _Deaf(asyncio.Protocol):
    """What still comes by a connection that was refused is dropped, until the other end closes or its time is over."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)
