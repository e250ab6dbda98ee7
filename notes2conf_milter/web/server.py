"""The web service: the application put together, and the HTTP server that carries it.

In:  settings, the store's web side, the conference services, a clock; where to listen. Out: HTTP answers on a TCP port,
     for a proxy that speaks TLS with the browsers.
Fails: OSError when the port cannot be had. What becomes of connections that are too many or too slow stands in listener.py and
connection.py.

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
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from notes2conf_milter.address import InetAddress
from notes2conf_milter.certificate import Certificate
from notes2conf_milter.core.joinlink import TOKEN_OCTETS, token_from
from notes2conf_milter.core.meeting import Admission
from notes2conf_milter.services.service import Service
from notes2conf_milter.store.links import LinkStore
from notes2conf_milter.web import connection
from notes2conf_milter.web.assets import read_static
from notes2conf_milter.web.connection import HEADER_LIMIT, Config, Connection
from notes2conf_milter.web.guard import Guard
from notes2conf_milter.web.limits import Misses, Network, Shares
from notes2conf_milter.web.listener import Listener
from notes2conf_milter.web.listener import listen as listen_on
from notes2conf_milter.web.lobby import Lobby
from notes2conf_milter.web.pages import Pages
from notes2conf_milter.web.policy import Policy
from notes2conf_milter.web.site import Site
from notes2conf_milter.web.visits import Visits
from notes2conf_milter.web.watch import Watch

STORE_SECONDS = 10.0  # then the visitor is asked to try again, whatever the disk does

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """What the administrator decides.

    base_url: what the links begin with, without a final slash; a path in it is stripped by the proxy before us.
    language: "en" or "de", for browsers that wish neither. max_connections: keep it below the limit of open files, by some 100.
    guests_per_network: how many may wait at a time from one address (IPv6: /56).
    keep_alive: seconds for which an idle connection stays open. grace: seconds that pages outlive their meeting. admission: of
    meetings whose organizer chose none. hands_on_names: guests' names go to the conference service. house, contact,
    imprint_url, accent, logo: of the house, "" for none; accent: a colour as #rrggbb; logo: a file. trusted_proxies: whose
    X-Forwarded-For says who the visitor is. strict_transport: answers say that the host is reached by TLS alone (RFC 6797).
    """

    base_url: str
    language: str = "en"
    max_connections: int = 800
    guests_per_network: int = 2000
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

    @property
    def streams_per_network(self) -> int:
        """Return how many pages of one network are told of news as they come: never more than half of all connections."""
        return min(self.guests_per_network, self.max_connections // 2)

    @property
    def connections_per_network(self) -> int:
        """Return how many connections one network may have: browsers use several, and who has no stream comes to ask."""
        return min(2 * self.guests_per_network, self.max_connections * 3 // 4)


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
    lobby = Lobby(settings.admission, clock, draw, settings.guests_per_network)
    static, assets = read_static(settings)
    titles = tuple((one.title("en"), one.title("de")) for one in services)
    policy = Policy(
        settings.house, settings.contact, settings.imprint_url, settings.grace, titles, settings.hands_on_names
    )
    pages = Pages(assets, settings.base_url, policy)
    names, misses = settings.hands_on_names, Misses(settings.trusted_proxies)
    streams, address = Shares(settings.streams_per_network), settings.base_url
    site = Site(visits, lobby, pages, static, ask, clock, draw, address, settings.language, names, misses, streams)
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
        most, of_one = settings.max_connections, settings.connections_per_network
        listener = await listen_on(listen, most, of_one, settings.trusted_proxies, connection.SEND_SECONDS)
        self._address = InetAddress(*listener.getsockname()[:2])
        config = _config(app, settings, listener)
        if certificate is not None:
            config.load()
            config.ssl = certificate.context
            self._renewing = asyncio.create_task(certificate.keep(), name="certificate")
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
        # Who does not read is cut off first: uvicorn would cancel the answers, and write a trace of each.
        cutting = asyncio.get_running_loop().call_later(grace, self._server.cut)
        self._server.config.timeout_graceful_shutdown = math.ceil(grace) + 1
        self._server.should_exit = True
        await self._task
        cutting.cancel()


class _Server(uvicorn.Server):
    """uvicorn, but it leaves the signals alone and says when it is ready."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    def cut(self) -> None:
        """End all connections now."""
        for one in list(self.server_state.connections):
            one.transport.abort()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        seconds = None if self.config.ssl is None else connection.REQUEST_SECONDS
        loop, state = asyncio.get_running_loop(), self.lifespan.state
        for one in sockets or []:
            server = await loop.create_server(
                lambda: Connection(self.config, self.server_state, state),
                sock=one,
                ssl=self.config.ssl,
                backlog=self.config.backlog,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=seconds,
            )
            self.servers.append(server)
        self.ready.set()


def _config(app: Starlette, settings: WebSettings, listener: Listener) -> Config:
    config = Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",  # below "debug", uvicorn would write each request's path
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive,
        h11_max_incomplete_event_size=HEADER_LIMIT,
    )
    config.refuses = listener.refuses
    return config
