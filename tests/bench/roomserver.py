"""The waiting room, or one of its peers, as a process of its own: `python -m tests.bench.roomserver room|stream|string FOLDER`.

room: the web service with one meeting, due now, in a store in FOLDER. stream: a bare Starlette handler that holds streams of
events open, says one word at first, and another when it is asked to. string: a bare Starlette handler that answers a string.
All on the same server, with the same settings. Prints "PORT JOIN START OCCURRENCE"; ends when its input does.
"""

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from notes2conf_milter.core.meeting import LinkKind, Occurrence, Page, Person
from notes2conf_milter.services.jitsi import Jitsi
from notes2conf_milter.web.server import WebServer, WebSettings, create_app
from tests.web.house import HOUR, LOOPBACK, House, Links

SETTINGS = WebSettings("https://conf.example.org", max_connections=15_000, keep_alive=60)
MEET = Jitsi("https://meet.example.org")


def peer(text: bytes) -> Starlette:
    """Return both bare handlers."""
    opened = asyncio.Event()

    async def events(_request: Request) -> Response:
        async def said() -> AsyncIterator[bytes]:
            yield b"data: wait\n\n"
            await opened.wait()
            yield b'data: data-go="\n\n'

        return StreamingResponse(said(), media_type="text/event-stream")

    async def opens(_request: Request) -> Response:
        opened.set()
        return PlainTextResponse("")

    async def string(_request: Request) -> Response:
        return Response(text, media_type="text/html; charset=utf-8")

    app = Starlette(
        routes=[Route("/events", events), Route("/open", opens, methods=["POST"]), Route("/string", string)]
    )
    app.state.stop = lambda: None
    return app


def room(folder: Path) -> tuple[Starlette, Links, int]:
    """Return the web service, and the links of its meeting."""
    now = int(time.time())
    house = House(folder / "store")
    house.clock.now = now
    times = (Occurrence(now, now + HOUR, "Europe/Berlin", 7200),)
    links = house.add(Page("Quarterly planning", Person("anna@example.org", "Anna Müller"), times))
    store = house.store.inner
    assert store.open(links.join, (LinkKind.JOIN,), now) is not None
    return create_app(SETTINGS, store, (MEET,), lambda: int(time.time())), links, now


async def main(what: str, folder: Path) -> None:
    """Serve until the input ends."""
    links, start = Links("-", "-"), 0
    if what == "room":
        app, links, start = room(folder)
    else:
        app = peer(b"x" * 4000)
    server = WebServer()
    await server.start(LOOPBACK, app, SETTINGS)
    gc.collect()
    gc.freeze()
    print(server.address.port, links.join, links.start, start, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.close(1)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
