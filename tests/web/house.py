"""A house for the tests: meetings in a store, a clock to turn, and the web service on a loopback port."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

from notes2conf_milter.address import InetAddress
from notes2conf_milter.certificate import Certificate
from notes2conf_milter.core.meeting import LinkKind, Occurrence, Page, Person, Revision, Room, RoomState
from notes2conf_milter.services.jitsi import Jitsi
from notes2conf_milter.services.service import Conference, RefusedLink, Service, ServiceError, Visitor, Why
from notes2conf_milter.store.epoch import EpochFile
from notes2conf_milter.store.keys import EPOCH_NAME, MAIL_KEY_NAME, load_mail_key, new_keys
from notes2conf_milter.store.links import LinkStore, OpenedMeeting
from notes2conf_milter.store.sqlite import Claim, MeetingStore
from notes2conf_milter.web.forms import Form, blank_form
from notes2conf_milter.web.server import WebServer, WebSettings, create_app
from tests.store.vault import news

MONDAY = 1777881600  # 2026-05-04 08:00 UTC, 10:00 in Berlin
HOUR = 3600
DAY = 24 * HOUR
ORGANIZER = "anna@example.org"
LOOPBACK = InetAddress("127.0.0.1", 0)
JITSI = Jitsi("https://meet.example.org")


@dataclass
class Pasted:
    """A service whose organizers paste a link; it takes those to one host. failing: it does not answer."""

    name: str = "link"
    asks_link: bool = True
    failing: bool = False
    ended: list[Conference] = field(default_factory=list)

    def title(self, language: str) -> str:
        return {"en": "Your own link", "de": "Eigener Link"}[language]

    def offered_to(self, organizer: str) -> bool:
        return organizer == ORGANIZER

    async def open(self, room: str, organizer: str, link: str, language: str, ended_url: str = "") -> Conference:
        if self.failing:
            raise ServiceError("no answer")
        if not link.startswith("https://zoom.example.org/j/"):
            raise RefusedLink(Why.HOST_NOT_ALLOWED if link else Why.NO_LINK)
        return Conference(self.name, "", link)

    def way_in(self, conference: Conference, visitor: Visitor, now: int) -> str:
        who = "host" if visitor.host else "guest"
        return f"{conference.url}?as={who}-{visitor.language}-{visitor.name}-{now}"

    async def over(self, conference: Conference) -> bool | None:
        return None

    async def end(self, conference: Conference) -> None:
        self.ended.append(conference)


LINK = Pasted()


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


class WatchedStore:
    """Passes everything on, but fails, or lets something happen before the next write, when a test says so."""

    def __init__(self, inner: LinkStore) -> None:
        self.inner = inner
        self.fail: Exception | None = None
        self.before_read: Callable[[], object] = lambda: None
        self.before_write: Callable[[], object] | None = None

    def open(self, token: str, kinds: Collection[LinkKind], now: int) -> OpenedMeeting | None:
        self.before_read()
        if self.fail is not None:
            raise self.fail
        return self.inner.open(token, kinds, now)

    def data_version(self) -> int:
        if self.fail is not None:
            raise self.fail
        return self.inner.data_version()

    def changes(self, meetings: Collection[int], now: int) -> dict[int, int]:
        return self.inner.changes(meetings, now)

    def end(self, token: str, expected_changed: int, now: int) -> bool:
        return self.inner.end(token, expected_changed, now)

    def set_room(self, token: str, room: Room, expected_changed: int, now: int) -> bool:
        first, self.before_write = self.before_write, None
        if first is not None:
            first()
        return self.inner.set_room(token, room, expected_changed, now)


class House:
    """Meetings in a store, a clock, and the web service."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.clock = Clock(MONDAY)
        self.address = InetAddress("", 0)
        self.stop: Callable[[], None] = lambda: None  # ends the web service that was started last
        new_keys(folder, self.clock())
        epoch = EpochFile(folder / EPOCH_NAME)
        self.mail = MeetingStore(folder / "meetings.db", epoch, load_mail_key(folder / MAIL_KEY_NAME))
        self.elsewhere = LinkStore(folder / "meetings.db", epoch)  # another web process
        self.store = WatchedStore(LinkStore(folder / "meetings.db", epoch))
        self._uids: dict[Links, tuple[str, int]] = {}

    def close(self) -> None:
        for store in (self.mail, self.elsewhere, self.store.inner):
            store.close()

    def add(self, page: Page, kept: int = DAY) -> Links:
        """What mail does with an invitation: remember the meeting, draw its links. kept: seconds after the last time known."""
        uid = f"meeting-{len(self._uids)}"
        links = self._claim(uid, page, 0, kept)
        self._uids[links] = uid, 0
        return links

    def add_own(self, page: Page, *attendees: Person) -> tuple[Links, list[str]]:
        """What mail does with an invitation when each attendee gets an own link; also return their tokens."""
        uid = f"meeting-{len(self._uids)}"
        told = news(page, attendees, Revision(0, "20260401T100000Z"), page.times[-1].end + DAY)
        claim = self.mail.claim(ORGANIZER, uid, told, self.clock())
        assert isinstance(claim, Claim)
        tokens, _ = self.mail.own_links(claim, [one.address for one in attendees], self.clock())
        links = Links(claim.join_token, claim.start_token)
        self._uids[links] = uid, 0
        return links, [tokens[one.address] or "" for one in attendees]

    def update(self, links: Links, page: Page) -> None:
        """What mail does with an update."""
        uid, sequence = self._uids[links]
        self._uids[links] = uid, sequence + 1
        assert self._claim(uid, page, sequence + 1) == links

    def forget(self, links: Links) -> None:
        """What mail does with a cancellation."""
        assert self.mail.forget(ORGANIZER, self._uids[links][0])

    def open_elsewhere(self, links: Links, occurrence: int, url: str) -> None:
        """What another web process does when the organizer clicked there."""
        meeting = self.elsewhere.open(links.start, (LinkKind.START,), self.clock())
        assert meeting is not None
        room = Room(occurrence, RoomState.OPEN, "jitsi", url)
        assert self.elsewhere.set_room(links.start, room, meeting.changed, self.clock())

    def close_elsewhere(self, links: Links) -> None:
        """What another process writes when the service says that the conference has ended there."""
        meeting = self.elsewhere.open(links.start, (LinkKind.START,), self.clock())
        assert meeting is not None and meeting.room is not None
        closed = replace(meeting.room, state=RoomState.CLOSED)
        assert self.elsewhere.set_room(links.start, closed, meeting.changed, self.clock())

    def contents(self) -> list[bytes]:
        """Return each octet that is stored, to be compared."""
        return [path.read_bytes() for path in sorted(self.folder.iterdir()) if not path.name.endswith("-shm")]

    def _claim(self, uid: str, page: Page, sequence: int, kept: int = DAY) -> Links:
        revision = Revision(sequence, f"20260401T1000{sequence:02}Z")
        expires_at = page.times[-1].end + kept
        claim = self.mail.claim(ORGANIZER, uid, news(page, (), revision, expires_at), self.clock())
        assert isinstance(claim, Claim)
        return Links(claim.join_token, claim.start_token)

    @contextmanager
    def serving(
        self, settings: WebSettings | None = None, *services: Service, certificate: Certificate | None = None
    ) -> Iterator[InetAddress]:
        """Run the web service; also remember its address."""
        with ExitStack() as running:
            self.stop = running.close
            given = services or (JITSI,)
            self.address = running.enter_context(
                serving(self.store, self.clock, given, settings, certificate=certificate)
            )
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
    services: Sequence[Service] = (JITSI,),
    settings: WebSettings | None = None,
    listen: InetAddress = LOOPBACK,
    certificate: Certificate | None = None,
) -> Iterator[InetAddress]:
    """Run the web service in a thread with an event loop of its own; yield its address."""
    settings = settings or WebSettings("https://conf.example.org")
    app = create_app(settings, store, services, clock)  # type: ignore[arg-type]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = WebServer()
    try:
        asyncio.run_coroutine_threadsafe(server.start(listen, app, settings, certificate), loop).result(10)
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


def raw(address: InetAddress, text: str) -> bytes:
    """Send a text and no more; return all that comes back."""
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def styles(house: House) -> str:
    """Return the name of the style sheet."""
    return "style." + ask(house.address, "/privacy").text.partition("/static/style.")[2].partition('"')[0]


class Deaf:
    """A visitor who asks so many times, and reads nothing of what is answered but that it is an answer."""

    def __init__(self, address: InetAddress, path: str, times: int = 1) -> None:
        self._address, self._request = (
            address,
            f"GET {path} HTTP/1.1\r\nHost: conf.example.org\r\n\r\n".encode() * times,
        )
        eventually(self._answered)  # the place of an earlier connection may not be free yet

    def _answered(self) -> bool:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self._socket.settimeout(10)
        self._socket.connect((self._address.host, self._address.port))
        self._socket.sendall(self._request)
        if self._socket.recv(12) == b"HTTP/1.1 200":
            return True
        self._socket.close()
        return False

    def close(self) -> None:
        """Go away."""
        self._socket.close()


def eventually(true: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until, "it never came to be so"
        time.sleep(0.05)


def press(
    house: House,
    token: str,
    do: str = "open",
    form: Form | None = None,
    headers: Mapping[str, str] | None = None,
    **fields: str,
) -> Answer:
    """Press a button of the start page. form: the hidden fields, else those of Monday; fields: what was chosen or typed."""
    form = form or blank_form(token, MONDAY)
    chosen = {"service": "jitsi"} if do in ("open", "change") else {}
    sent = {"occurrence": form.occurrence, "proof": form.proof, "do": do} | chosen | fields
    return ask(house.address, f"/s/{token}", "POST", sent, **(headers or {}))


def wait(house: House, token: str, name: str = "", start: int = MONDAY) -> str:
    """Press the button of the join page; return the path of the guest's own page."""
    form = blank_form(token, start)
    sent = {"occurrence": form.occurrence, "proof": form.proof, "do": "wait", "name": name}
    answer = ask(house.address, f"/j/{token}", "POST", sent)
    assert answer.status == 303
    return "/j/" + answer.headers["location"]


def guests_way(house: House, token: str, start: int = MONDAY) -> str:
    """Wait behind a join link, and return where the guest is led, "" for nowhere yet."""
    return way_in(ask(house.address, wait(house, token, start=start)))


def enter(house: House, token: str) -> str:
    """Press the button by which the organizer goes in; return where it leads, "" for nowhere."""
    answer = press(house, token, "enter")
    assert answer.status == 303
    return way_in(ask(house.address, "/s/" + answer.headers["location"]))


def way_in(answer: Answer) -> str:
    """Return where the page leads."""
    return answer.text.partition('<a class="button" href="')[2].partition('"')[0]
