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
STEP = 2**63 // (MILLION + 1)  # from one id to the next


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
        "--tls-exempt-network",
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
    end = int(time.time()) + 86400
    with sqlite3.connect(database) as sql:
        (generation,) = sql.execute("select name from generation").fetchone()
        lengths = sql.execute(
            "select length(uid_hash), length(salt), length(page_key_mail), length(page), length(room), length(mail), "
            "length(version) from meeting limit 1"
        ).fetchone()
        sealed = ", ".join(f"randomblob({length})" for length in lengths[1:])
        sql.execute(
            f"insert or ignore into meeting_{generation} with recursive n(i) as (select 1 union all select i + 1 from n "
            f"where i < {count}) select i * {STEP}, randomblob({lengths[0]}), {end} + abs(random()) % 60000000, 1, "
            f"{sealed} from n"
        )
        sql.execute(
            f"insert or ignore into meeting_uid_{generation} (uid_hash, meeting, expires_at) "
            "select uid_hash, id, expires_at from meeting order by 1"
        )
        for kind in ("join", "start"):
            sql.execute(
                f"insert into link_{generation} (token_hash, meeting, expires_at, kind, page_key) select randomblob(32), "
                "id, expires_at, ?, randomblob(61) from meeting where id not in (select meeting from meeting_link) "
                "order by 1",
                [kind],
            )
        sql.execute(
            f"insert or ignore into meeting_link_{generation} (meeting, token_hash, expires_at) "
            "select meeting, token_hash, expires_at from link order by 1, 2"
        )
    with sqlite3.connect(database) as sql:
        sql.execute("pragma wal_checkpoint(truncate)")


def expire(database: Path, over: str) -> None:
    """Let the meetings be over that `over` picks by their number {n}."""
    with sqlite3.connect(database) as sql:
        for generation in "ab":
            for table in ("meeting", "meeting_uid", "meeting_link", "link"):
                number = f"({'id' if table == 'meeting' else 'meeting'} / {STEP})"
                sql.execute(f"update {table}_{generation} set expires_at = 1 where {over.format(n=number)}")
    with sqlite3.connect(database) as sql:
        sql.execute("pragma wal_checkpoint(truncate)")  # what we have written is not the purge's to copy


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
            await _purge(report, socket, state, "a thousand of a million", "{n} % 1000 = 0")
            await _purge(report, socket, state, "nine in ten of a million", "{n} % 10 > 0")


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
    expire(state / DATABASE, over)
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
