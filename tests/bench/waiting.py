"""The waiting room: ten thousand guests on one process, how fast the opening reaches them, what one takes, pages a second.

The other side is this process, by raw connections over loopback; peers beside it are bare handlers of the same framework on the
same server (tests/bench/roomserver.py).
"""

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlencode

from notes2conf_milter.web.forms import blank_form
from tests.bench.report import Report, cpu, memory

GUESTS = 10_000
ROUNDS = 3
AT_ONCE = 100  # connections that are being made at a time
SECONDS = 1.5  # that pages are asked for, a round
PRESSING = 16  # connections that press the button
KEPT = (16, 64)  # connections that ask for pages at a time


@dataclass(frozen=True)
class Server:
    """A process that serves; its meeting, if it has one."""

    pid: int
    port: int
    join: str
    start: str
    occurrence: int


@contextmanager
def serving(what: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.roomserver", what, folder]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None and process.stdout is not None
        try:
            port, join, start, occurrence = process.stdout.readline().split()
            yield Server(process.pid, int(port), join, start, int(occurrence))
        finally:
            process.stdin.close()
            process.wait(60)


class Waiting(asyncio.Protocol):
    """One open stream of events. here: set when it said the first thing; told: when it was told of the opening, else 0."""

    def __init__(self, path: str) -> None:
        self._path, self._head = path, b""
        self.here: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.told = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(f"GET {self._path} HTTP/1.1\r\nHost: conf.example.org\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        if not self.here.done():
            self._head += data
            if b"\n\n" in self._head.partition(b"\r\n\r\n")[2]:
                self.here.set_result(None)
        elif not self.told and b"data-go=" in data:
            self.told = time.perf_counter()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.here.done():
            self.here.set_exception(ConnectionError("closed before it said anything"))


class Asking:
    """One connection that is kept, for one request after the other."""

    async def connect(self, port: int) -> "Asking":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def ask(self, path: str, form: dict[str, str] | None = None) -> bytes:
        """Return the header of the answer."""
        body = b"" if form is None else urlencode(form).encode()
        kind = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n" if body else ""
        method = "GET" if form is None else "POST"
        self._writer.write(f"{method} {path} HTTP/1.1\r\nHost: conf.example.org\r\n{kind}\r\n".encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        await self._reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0] or b"0"))
        return head

    def close(self) -> None:
        self._writer.close()


def bench(report: Report) -> None:
    """Measure all."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < GUESTS + 500:
        report.note(f"waiting room: not measured; it takes {GUESTS + 500} open files, and {hard} are allowed")
        return
    asyncio.run(_measure(report))


async def _measure(report: Report) -> None:
    report.section(f"waiting room: {GUESTS} guests on one process, in {ROUNDS} rounds")
    reached, each, bare = [], [], []
    for _ in range(ROUNDS):
        with serving("stream") as peer:
            taken, delay = await _crowd(peer, [f"/events?{number}" for number in range(GUESTS)])
            bare.append(taken)
            report.note(f"bare handler: {taken:.1f} KB each, 99 % told after {delay:.2f} s")
        with serving("room") as ours:
            before = memory([ours.pid])
            came = time.perf_counter()
            paths = await _come(ours)
            waited = (memory([ours.pid]) - before) * 1e3 / GUESTS
            took = time.perf_counter() - came
            taken, delay = await _crowd(ours, paths)
            report.note(
                f"ours: {GUESTS} pressed the button in {took:.1f} s, {waited:.1f} KB each, the stream {taken:.1f} KB"
            )
            each.append(waited + taken)
            reached.append(delay)
    report.at_most("99 % of the guests are told of the opening after", reached, 1.0, " s")
    report.at_most("memory of a guest who waits", each, 35, " KB")
    report.note(f"beside a bare handler's stream: {median(bare):.1f} KB")
    report.section("waiting room: join pages a second, beside the same framework that serves a fixed string")
    with serving("room") as ours, serving("string") as peer:
        for kept in KEPT:
            shares, spent = [], []
            for _ in range(3 * ROUNDS):
                pages, page_cpu = await _rate(ours, f"/j/{ours.join}", kept)
                strings, string_cpu = await _rate(peer, "/string", kept)
                shares.append(pages / strings)
                spent.append(string_cpu / page_cpu)
            report.note(f"{kept} connections: {pages:.0f} pages a second, {strings:.0f} strings in the last round")
            report.note(f"CPU time of a string / of a page: {median(spent):.2f}")
            report.at_least(f"pages / strings, {kept} connections", shares, 0.6)


async def _come(server: Server) -> list[str]:
    """Let all guests press the button; return the paths of their events."""
    form = blank_form(server.join, server.occurrence)
    sent = {"occurrence": form.occurrence, "proof": form.proof, "do": "wait", "name": "Bert Brandt"}
    paths: list[str] = []

    async def some(count: int) -> None:
        asking = await Asking().connect(server.port)
        for _ in range(count):
            head = await asking.ask(f"/j/{server.join}", sent)
            where = head.partition(b"location: ")[2].partition(b"\r")[0].decode()
            assert where, head[:40]
            paths.append(f"/j/{where}/events")
        asking.close()

    await asyncio.gather(*(some(GUESTS // PRESSING) for _ in range(PRESSING)))
    return paths


async def _crowd(server: Server, paths: list[str]) -> tuple[float, float]:
    """Open a stream for each, then the conference; return kilobytes for each, and seconds until 99 % were told."""
    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)
    before = memory([server.pid])

    async def one(path: str) -> Waiting:
        async with gate:
            _, waiting = await loop.create_connection(lambda: Waiting(path), "127.0.0.1", server.port)
            await waiting.here
            return waiting

    guests = await asyncio.gather(*(one(path) for path in paths))
    await asyncio.sleep(1)
    taken = (memory([server.pid]) - before) * 1e3 / len(guests)
    host = await Asking().connect(server.port)
    form = {"service": "jitsi", "do": "open"}
    path = "/open"
    if server.occurrence:
        path, blank = f"/s/{server.start}", blank_form(server.start, server.occurrence)
        form |= {"occurrence": blank.occurrence, "proof": blank.proof}
    began = time.perf_counter()
    head = await host.ask(path, form)
    assert head.split()[1] in (b"200", b"303"), head[:40]
    until = began + 30
    while time.perf_counter() < until and not all(guest.told for guest in guests):
        await asyncio.sleep(0.05)
    delays = sorted((guest.told or until) - began for guest in guests)
    for guest in guests:
        guest.transport.abort()
    host.close()
    return taken, delays[len(delays) * 99 // 100]


async def _rate(server: Server, path: str, kept: int) -> tuple[float, float]:
    """Return answers a second, and the CPU seconds that the server spends on one."""
    count, before, began = 0, cpu([server.pid]), time.perf_counter()
    until = began + SECONDS

    async def some() -> None:
        nonlocal count
        asking = await Asking().connect(server.port)
        while time.perf_counter() < until:
            assert (await asking.ask(path)).startswith(b"HTTP/1.1 200")
            count += 1
        asking.close()

    await asyncio.gather(*(some() for _ in range(kept)))
    return count / (time.perf_counter() - began), (cpu([server.pid]) - before) / count
