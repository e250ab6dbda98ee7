"""Invitations: what a new meeting costs, what a large message takes, what the purge holds up; with a million meetings beside.

The service is the real command; the other side of its socket is the tests' own MTA, which adds little and waits for nobody.
"""

import asyncio
import multiprocessing
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from notes2conf_milter.address import UnixAddress
from tests.bench import mails
from tests.bench.report import Peak, Report, cpu, tree
from tests.live.gateway import COMMAND, DATABASE
from tests.milter.mta import MilterClient, Result, listening
from tests.smtp.nexthop import NextHop

MILLION = 1_000_000


@asynccontextmanager
async def service(state: Path, start_mail: str) -> AsyncIterator[tuple[UnixAddress, int]]:
    """Run `mail`; yields its socket and its process id."""
    socket = state.parent / "milter.sock"
    command = [str(COMMAND), "mail", "--milter", f"unix:{socket}", "--start-mail", start_mail, "--state", str(state)]
    command += [
        "--organizer-domain",
        "example.org",
        "--allow-network",
        "192.0.2.0/24",
        "--base-url",
        "https://conf.example.org",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=(state.parent / "log").open("ab"))
    try:
        yield await listening(socket), process.pid
    finally:
        process.terminate()
        process.wait(60)


async def send(mta: MilterClient, message: bytes) -> Result:
    result = await mta.deliver(message, b"anna@example.org", [b"bob@example.net"])
    assert result.verdict == "accept", result.verdict
    return result


async def invite(mta: MilterClient, message: bytes) -> float:
    """Seconds until an invitation has its link."""
    start = time.perf_counter()
    result = await send(mta, message)
    assert result.edits
    return time.perf_counter() - start


def fill(database: Path, count: int) -> None:
    """Put `count` meetings in, whose columns have the lengths of a real one; nobody can open them."""
    with sqlite3.connect(database) as sql:
        columns = [row[1] for row in sql.execute("pragma table_info(meeting)")]
        end = int(time.time()) + 86400
        values = {
            "id": "null",
            "expires_at": f"{end} + abs(random()) % 60000000",
            **{
                name: f"(select randomblob(length({name})) from one)"
                for name in ("uid_hash", "salt", "page", "room", "mail", "version")
            },
        }
        picked = [values.get(name, f"(select {name} from one)") for name in columns]
        # A fresh random value for each row: the scalar must depend on it.
        picked = [text.replace("from one)", "from one where n.i > 0)") for text in picked]
        sql.execute("create temp table one as select * from meeting limit 1")
        sql.execute(
            f"insert into meeting with recursive n(i) as (select 1 union all select i + 1 from n where i < {count}) "
            f"select {', '.join(picked)} from n"
        )
        links = "insert into link select randomblob(length((select token_hash from link limit 1))), id, ?, "
        links += "randomblob(length((select page_key from link limit 1))), null from meeting"
        for kind in ("join", "start"):
            sql.execute(links + " where id not in (select meeting from link where kind = ?)", [kind, kind])
    with sqlite3.connect(database) as sql:
        sql.execute("pragma wal_checkpoint(truncate)")


def bench(report: Report) -> None:
    asyncio.run(_bench(report))


async def _bench(report: Report) -> None:
    with tempfile.TemporaryDirectory() as name:
        state = Path(name) / "state"
        async with NextHop() as hop, service(state, f"127.0.0.1:{hop.address.port}") as (socket, pid):
            await _large(report, socket, pid)
            few = await _new_meetings(report, socket, pid, "an empty table")
            fill(state / DATABASE, MILLION)
            many = await _new_meetings(report, socket, pid, "a million meetings")
            report.at_most(
                "CPU, with a million meetings / with an empty table",
                [m / f for f, m in zip(few, many, strict=True)],
                1.2,
            )
            await _purge(report, socket, state, "a thousand of a million", "id % 1000 = 0")
            await _purge(report, socket, state, "nine in ten of a million", "id % 10 > 0")


class Beside:
    """4 KB messages in a process of their own, one after the other, until it is asked how long each took."""

    def __init__(self, socket: UnixAddress) -> None:
        self._ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_beside, args=(socket.path, theirs), daemon=True
        )
        self._process.start()
        self._ours.recv()

    def times(self) -> list[float]:
        """Seconds of each since the last call."""
        self._ours.send("times")
        times: list[float] = self._ours.recv()
        return times

    def end(self) -> None:
        self._process.terminate()
        self._process.join()


def _beside(path: str, pipe: Connection) -> None:
    async def play() -> None:
        times: list[float] = []
        small = mails.plain(4096)
        async with MilterClient(UnixAddress(path), client=b"192.0.2.10") as mta:
            await send(mta, small)
            pipe.send("ready")
            while True:
                times.append(await _took(mta, small))
                if pipe.poll():
                    pipe.recv()
                    pipe.send(times)
                    times = []
                await asyncio.sleep(0.001)

    asyncio.run(play())


async def _large(report: Report, socket: UnixAddress, pid: int) -> None:
    report.section("invitations with attachments, 4 KB messages beside them")
    beside = Beside(socket)
    async with MilterClient(socket, client=b"192.0.2.10") as mta:
        await invite(mta, mails.meeting())
        await asyncio.sleep(1)
        alone = beside.times()
        seconds, worst = {}, 0.0
        for size in (3_125_000, 6_250_000, 12_500_000, 25_000_000):
            message = mails.meeting(size)
            beside.times()
            with Peak(tree(pid)) as peak:
                seconds[size] = min(
                    [await invite(mta, message.replace(b"\r\nUID:", b"\r\nUID:%d" % n)) for n in range(3)]
                )
            worst = max(worst, max(beside.times()) - median(alone))
            more = peak.most - peak.idle
            times = more * 1e6 / size
            report.note(
                f"{size / 1e6:6.3f} MB: {seconds[size]:.2f} s, {more:.0f} MB above idle, {times:.1f} times the message"
            )
        report.at_most("memory above idle / message of 25 MB", [times], 4)
        linear = seconds[25_000_000] / (8 * seconds[3_125_000])
        report.at_most("time for 25 MB / eight times that for 3 MB", [linear], 1.3)
        report.at_most("a 4 KB message beside waits, at worst", [worst * 1e3], 50, " ms")
    beside.end()


async def _took(mta: MilterClient, message: bytes) -> float:
    start = time.perf_counter()
    await send(mta, message)
    return time.perf_counter() - start


async def _new_meetings(
    report: Report, socket: UnixAddress, pid: int, title: str, count: int = 200, rounds: int = 3
) -> list[float]:
    messages = [mails.meeting() for _ in range(count * rounds + 5)]
    report.section(f"new meetings, {len(messages[0]) / 1e3:.1f} KB each, {count} x {rounds}: {title}")
    used = []
    async with MilterClient(socket, client=b"192.0.2.10") as mta:
        for message in messages[:5]:
            await invite(mta, message)
        for number in range(rounds):
            before = cpu(tree(pid))
            for message in messages[5 + number * count : 5 + (number + 1) * count]:
                await invite(mta, message)
            used.append((cpu(tree(pid)) - before) / count)
    report.at_most("CPU for one", [one * 1e3 for one in used], 5, " ms")
    return used


async def _purge(report: Report, socket: UnixAddress, state: Path, title: str, over: str) -> None:
    report.section(f"the purge of {title} meetings, while invitations come")
    with sqlite3.connect(state / DATABASE) as sql:
        sql.execute(f"update meeting set expires_at = 1 where {over}")
    start = time.perf_counter()
    purge = await asyncio.create_subprocess_exec(
        str(COMMAND), "purge", "--state", str(state), stdout=asyncio.subprocess.PIPE
    )
    waits, deferred = [], 0
    async with MilterClient(socket, client=b"192.0.2.10") as mta:
        while purge.returncode is None:
            began = time.perf_counter()
            result = await mta.deliver(mails.meeting(), b"anna@example.org", [b"bob@example.net"])
            waits.append(time.perf_counter() - began)
            if result.verdict != "accept":
                deferred += 1
            await asyncio.sleep(0.01)
    said = (await purge.communicate())[0].decode().strip()
    took, usual = time.perf_counter() - start, median(waits) * 1e3
    report.note(f"{said} in {took:.0f} s; {len(waits)} invitations meanwhile, median {usual:.0f} ms")
    report.at_most("invitations that were deferred", [deferred], 0)
    report.at_most("an invitation waits, at worst", [max(waits) * 1e3], 200, " ms")
