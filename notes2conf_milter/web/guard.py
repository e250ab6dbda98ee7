"""Around the whole site: the security headers on every answer, and a plain answer when something fails.

In:  the application, and a function that answers for an exception. Out: an ASGI application that never raises.
Fails: never. What failed is logged by its types and places alone: the text of an exception, a local value or the URL
could hold a token or a subject, and those never reach a log.
"""

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the token in our URL is nobody's business
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=63072000")  # two years, as nginx's example says
UNKEPT = {"Cache-Control": "no-store"}
_FRAMES = 8

_log = logging.getLogger("notes2conf_milter.web")


class Guard:
    """ASGI middleware, the outermost of ours. strict: the host is reached by TLS alone (RFC 6797)."""

    def __init__(self, app: ASGIApp, answer: Callable[[Request, Exception], Response], *, strict: bool = False) -> None:
        self._app = app
        self._answer = answer
        self._added = [*_ADDED, STRICT_TRANSPORT] if strict else _ADDED

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(message, self._added)
            await send(message)

        try:
            await self._app(scope, receive, send_guarded)
        except Exception as error:  # noqa: BLE001 - the last line of defence: not even the server may log this one
            _log.error("a page failed: %s", describe(error))
            if not started:  # else the server sees an answer without an end and closes the connection
                await self._answer(Request(scope), error)(scope, receive, send_guarded)


def describe(error: BaseException) -> str:
    """Say what failed and where, without any value: types, files and lines, the cause first."""
    return " > ".join(_one(link) for link in reversed(list(_chain(error))))


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(4):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def _one(error: BaseException) -> str:
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)[-_FRAMES:]
    places = ", ".join(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__} ({places})"


_ADDED = [(name.lower().encode(), value.encode()) for name, value in (SECURITY_HEADERS | UNKEPT).items()]


def _add_headers(message: Message, added: Sequence[tuple[bytes, bytes]]) -> None:
    given = list(message.get("headers", ()))
    present = {name.lower() for name, _ in given}
    message["headers"] = given + [header for header in added if header[0] not in present]
