"""A house for the tests: meetings in a store, a clock to turn, and the web service on a loopback port."""

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlencode

from notes2conf_milter.address import InetAddress
from notes2conf_milter.core.joinlink import token_from
from notes2conf_milter.core.meeting import LinkKind, Occurrence, Page, Person, Room, RoomState
from notes2conf_milter.services.jitsi import Jitsi
from notes2conf_milter.store import OpenedMeeting
from notes2conf_milter.web.server import WebServer, WebSettings, create_app

MONDAY = 1777881600  # 2026-05-04 08:00 UTC, 10:00 in Berlin
HOUR = 3600
LOOPBACK = InetAddress("127.0.0.1", 0)
JITSI = Jitsi("https://meet.example.org")


class Clock:
    """Seconds since 1970, as the test wants them."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@dataclass(frozen=True, slots=True)
class Links:
    """The tokens of a meeting."""

    join: str
    start: str


class MemoryStore:
    """The web side of a store, and what mail would do to it."""

    def __init__(self) -> None:
        self.meetings: dict[int, OpenedMeeting] = {}
        self.links: dict[str, tuple[LinkKind, int]] = {}

    def open(self, token: str, kinds: Sequence[LinkKind], now: int) -> OpenedMeeting | None:
        kind, number = self.links.get(token, (None, -1))
        meeting = self.meetings.get(number)
        if meeting is None or kind not in kinds or now >= meeting.expires_at:
            return None
        return replace(meeting, kind=kind)

    def set_room(self, token: str, room: Room, expected_changed: int, now: int) -> bool:
        _, number = self.links[token]
        meeting = self.meetings[number]
        if meeting.changed != expected_changed:
            return False
        self.meetings[number] = replace(meeting, room=room, changed=meeting.changed + 1)
        return True


class WatchedStore:
    """Passes everything on, but fails, or lets something happen before the next write, when a test says so."""

    def __init__(self, inner: MemoryStore) -> None:
        self.inner = inner
        self.fail: Exception | None = None
        self.before_write: Callable[[], object] | None = None

    def open(self, token: str, kinds: Sequence[LinkKind], now: int) -> OpenedMeeting | None:
        if self.fail is not None:
            raise self.fail
        return self.inner.open(token, kinds, now)

    def set_room(self, token: str, room: Room, expected_changed: int, now: int) -> bool:
        first, self.before_write = self.before_write, None
        if first is not None:
            first()
        return self.inner.set_room(token, room, expected_changed, now)


class House:
    """Meetings in a store, a clock, and the web service."""

    def __init__(self) -> None:
        self.clock = Clock(MONDAY)
        self.inner = MemoryStore()
        self.store = WatchedStore(self.inner)
        self.address = InetAddress("", 0)

    def add(self, page: Page) -> Links:
        """What mail does with an invitation: remember the meeting, draw its links."""
        number = len(self.inner.meetings)
        expires_at = page.times[-1].end + 86400
        self.inner.meetings[number] = OpenedMeeting(number, LinkKind.JOIN, page, None, 1, expires_at)
        links = Links(token_from(secrets.token_bytes(20)), token_from(secrets.token_bytes(20)))
        self.inner.links[links.join] = (LinkKind.JOIN, number)
        self.inner.links[links.start] = (LinkKind.START, number)
        return links

    def update(self, links: Links, page: Page) -> None:
        """What mail does with an update."""
        _, number = self.inner.links[links.start]
        meeting = self.inner.meetings[number]
        self.inner.meetings[number] = replace(meeting, page=page, changed=meeting.changed + 1)

    def forget(self, links: Links) -> None:
        """What mail does with a cancellation."""
        del self.inner.links[links.start], self.inner.links[links.join]

    def open_elsewhere(self, links: Links, occurrence: int, url: str) -> None:
        """What another web process does when the organizer clicked there."""
        meeting = self.inner.open(links.start, (LinkKind.START,), self.clock())
        assert meeting is not None
        room = Room(occurrence, RoomState.OPEN, "jitsi", url)
        assert self.inner.set_room(links.start, room, meeting.changed, self.clock())

    def contents(self) -> object:
        """Return all that is stored, to be compared."""
        return dict(self.inner.meetings), dict(self.inner.links)

    @contextmanager
    def serving(self, settings: WebSettings | None = None, jitsi: Jitsi = JITSI) -> Iterator[InetAddress]:
        """Run the web service; also remember its address."""
        with serving(self.store, self.clock, jitsi, settings) as self.address:
            yield self.address


def page(
    subject: str = "Quarterly planning", *, times: tuple[Occurrence, ...] = (), organizer: Person | None = None
) -> Page:
    """Return a page; without `times` for one meeting on Monday, 10 to 11 in Berlin."""
    times = times or (Occurrence(MONDAY, MONDAY + HOUR, "Europe/Berlin", 7200),)
    return Page(subject, organizer or Person("anna@example.org", "Anna Müller"), times, recurring=len(times) > 1)


@contextmanager
def serving(
    store: object,
    clock: Clock,
    jitsi: Jitsi = JITSI,
    settings: WebSettings | None = None,
    listen: InetAddress = LOOPBACK,
) -> Iterator[InetAddress]:
    """Run the web service in a thread with an event loop of its own; yield its address."""
    settings = settings or WebSettings("https://conf.example.org")
    app = create_app(settings, store, [jitsi], clock)  # type: ignore[arg-type]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = WebServer()
    try:
        asyncio.run_coroutine_threadsafe(server.start(listen, app, settings), loop).result(10)
        yield server.address
    finally:
        asyncio.run_coroutine_threadsafe(server.close(1), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def alike(self) -> tuple[int, dict[str, str], bytes]:
        """All that a visitor could tell two answers apart by, the time of day aside."""
        return self.status, {name: value for name, value in self.headers.items() if name != "date"}, self.body


def ask(
    address: InetAddress, path: str, method: str = "GET", form: dict[str, str] | None = None, **headers: str
) -> Answer:
    """Make one request. headers: by their names with _ for -."""
    connection = HTTPConnection(address.host, address.port, timeout=10)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if form is not None:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.request(method, path, None if form is None else urlencode(form), sent)
        return _answer(connection.getresponse())
    finally:
        connection.close()


def _answer(response: HTTPResponse) -> Answer:
    names = [name.lower() for name in response.headers]
    assert len(names) == len(set(names)), "no header twice"
    return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, response.read())
