"""The web service: the application put together, and the HTTP server that carries it.

In:  settings, the store's web side, the conference services, a clock; where to listen. Out: HTTP answers on a TCP port,
     for a proxy that speaks TLS with the browsers.
Fails: OSError when the port cannot be had. A connection that sends nothing, or no end, is closed; one too many gets 503;
what is not HTTP gets 400.

Logs: no access log, because a request line holds a token; and never the server's own trace of requests.
"""

import asyncio
import math
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from notes2conf_milter.address import InetAddress
from notes2conf_milter.core.joinlink import TOKEN_OCTETS, token_from
from notes2conf_milter.core.meeting import Admission
from notes2conf_milter.services.service import Service
from notes2conf_milter.store.links import LinkStore
from notes2conf_milter.web.assets import read_static
from notes2conf_milter.web.certificate import INTERVAL, Certificate
from notes2conf_milter.web.guard import SECURITY_HEADERS, UNKEPT, Guard
from notes2conf_milter.web.limits import Misses, Network
from notes2conf_milter.web.lobby import Lobby
from notes2conf_milter.web.pages import Pages
from notes2conf_milter.web.policy import Policy
from notes2conf_milter.web.site import Site
from notes2conf_milter.web.visits import Visits
from notes2conf_milter.web.watch import Watch

REQUEST_SECONDS = 15.0  # a request must be whole after twice this time at the latest
STORE_SECONDS = 10.0  # then the visitor is asked to try again, whatever the disk does
HEADER_LIMIT = 16 * 1024  # octets of a request's line and header

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """What the administrator decides.

    base_url: what the links begin with, without a final slash; a path in it is stripped by the proxy before us.
    language: "en" or "de", for browsers that wish neither. max_connections: keep it below the limit of open files.
    keep_alive: seconds for which an idle connection stays open. grace: seconds that pages outlive their meeting. admission: of
    meetings whose organizer chose none. hands_on_names: guests' names go to the conference service. house, contact,
    imprint_url, accent, logo: of the house, "" for none; accent: a colour as #rrggbb; logo: a file. trusted_proxies: whose
    X-Forwarded-For says who the visitor is. strict_transport: answers say that the host is reached by TLS alone (RFC 6797).
    """

    base_url: str
    language: str = "en"
    max_connections: int = 800
    keep_alive: int = 15
    grace: int = 0
    admission: Admission = Admission.OPEN
    hands_on_names: bool = False
    house: str = ""
    contact: str = ""
    imprint_url: str = ""
    accent: str = ""
    logo: Path | None = None
    trusted_proxies: tuple[Network, ...] = LOOPBACK
    strict_transport: bool = False


def create_app(
    settings: WebSettings, store: LinkStore, services: Sequence[Service], clock: Callable[[], int]
) -> Starlette:
    """Return the application. services: at least one, in the order of the choice. clock: seconds since 1970 UTC.

    The store's methods are called in one thread of their own, one after the other.
    """
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="web-store")

    async def ask(question: Callable[[], T]) -> T:
        async with asyncio.timeout(STORE_SECONDS):
            return await asyncio.get_running_loop().run_in_executor(thread, question)

    def draw() -> str:
        return token_from(secrets.token_bytes(TOKEN_OCTETS))

    visits = Visits(store, services, clock, draw, settings.grace)
    lobby = Lobby(settings.admission, clock, draw)
    static, assets = read_static(settings)
    titles = tuple((one.title("en"), one.title("de")) for one in services)
    policy = Policy(
        settings.house, settings.contact, settings.imprint_url, settings.grace, titles, settings.hands_on_names
    )
    pages = Pages(assets, settings.base_url, policy)
    names, misses = settings.hands_on_names, Misses(settings.trusted_proxies)
    site = Site(visits, lobby, pages, static, ask, clock, draw, settings.base_url, settings.language, names, misses)
    watch = Watch(visits, lobby, ask, clock)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(watch.run(), name="watch")
        yield
        watching.cancel()
        thread.shutdown(wait=False, cancel_futures=True)

    app = Starlette(
        routes=site.routes(),
        middleware=[Middleware(Guard, answer=site.failure, strict=settings.strict_transport)],
        exception_handlers={HTTPException: site.http_error},
        lifespan=lifespan,
    )
    app.state.stop = site.stop
    app.router.redirect_slashes = False
    return app


class WebServer:
    """Serves an application on one TCP port, beside whatever else runs in this event loop. Signals are the caller's."""

    def __init__(self) -> None:
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._address: InetAddress | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._stop: Callable[[], None] = lambda: None

    @property
    def address(self) -> InetAddress:
        """Where it listens, with the port that the system chose."""
        if self._address is None:
            raise RuntimeError("not started")
        return self._address

    async def start(
        self, listen: InetAddress, app: Starlette, settings: WebSettings, certificate: Certificate | None = None
    ) -> None:
        """Listen (on the first address that the host's name has) and serve until close(); raises OSError.

        certificate: for TLS, None for a proxy that speaks it.
        """
        listener = await _listen(listen)
        self._address = InetAddress(*listener.getsockname()[:2])
        config = _config(app, settings)
        if certificate is not None:
            config.load()
            config.ssl = certificate.context
            self._renewing = asyncio.create_task(_renew(certificate), name="certificate")
        self._server = _Server(config)
        self._stop = app.state.stop
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="web")
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait((self._task, ready), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._task

    async def close(self, grace: float) -> None:
        """Take no new connections, let answers finish for `grace` seconds, then end them."""
        if self._server is None or self._task is None:
            return
        self._stop()
        if self._renewing is not None:
            self._renewing.cancel()
        self._server.config.timeout_graceful_shutdown = math.ceil(grace)
        self._server.should_exit = True
        await self._task


async def _renew(certificate: Certificate) -> None:
    while True:
        await asyncio.sleep(INTERVAL)
        certificate.refresh()


class _Server(uvicorn.Server):
    """uvicorn, but it leaves the signals alone and says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class _Connection(H11Protocol):
    """One connection: ours are the answers that the application never sees, and an end to requests that never end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        limit, self.limit_concurrency = self.limit_concurrency, None  # uvicorn's own 503 would lack our headers
        if limit is not None and len(self.connections) > limit:
            self.logger.warning("too many connections")
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        self._seen: object = self
        self._watch = self.loop.call_later(REQUEST_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST)

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

    def _refuse(self, status: HTTPStatus) -> None:
        body = f"{status.phrase}\n".encode()
        headers = SECURITY_HEADERS | UNKEPT | {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"}
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        self.transport.write("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("ascii") + body)
        self.transport.close()


def _config(app: Starlette, settings: WebSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",  # below "debug", uvicorn would write each request's path
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=settings.keep_alive,
        h11_max_incomplete_event_size=HEADER_LIMIT,
    )


async def _listen(address: InetAddress) -> socket.socket:
    found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    family, _, _, _, where = found[0]
    listener = socket.create_server(where[:2], family=family, backlog=1024)
    # asyncio would set it for each connection, but not on a socket made like this one (its proto is 0): and an answer whose
    # body is written after its header waited 40 ms for the visitor's acknowledgement. Connections inherit it (Linux).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
