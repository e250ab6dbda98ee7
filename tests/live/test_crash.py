"""The mail service killed (SIGKILL) at every write, send and fsync of an invitation, found with strace.

Whatever the moment: the MTA has a whole verdict or a broken connection, which Postfix takes as "again later"; a link in a
mailbox has a page; the next try gives the same link; every start mail is the same mail.
"""

import asyncio
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from pathlib import Path

import pytest

from notes2conf_milter.address import UnixAddress
from notes2conf_milter.core.meeting import LinkKind
from notes2conf_milter.store import EpochFile, LinkStore
from notes2conf_milter.store.keys import EPOCH_NAME
from tests.live.gateway import ANNA, BOB, COMMAND, DATABASE, Meeting, invitation, the_token, tokens
from tests.milter.mta import MilterClient, listening
from tests.smtp.nexthop import NextHop

BASE_URL = "https://conf.example.org"
CALLS = ("write", "writev", "pwrite64", "sendto", "sendmsg", "fsync", "fdatasync", "ftruncate", "unlink", "rename")
TRACED = f"trace={','.join(CALLS)}"


@asynccontextmanager
async def service(place: Path, start_mail: str) -> AsyncIterator[tuple[UnixAddress, subprocess.Popen[bytes]]]:
    """Run `mail` on a state folder; yields its socket when it listens."""
    socket = place / "milter"
    socket.unlink(missing_ok=True)
    command = [
        str(COMMAND),
        "mail",
        "--milter",
        f"unix:{socket}",
        "--start-mail",
        start_mail,
        "--state",
        str(place / "state"),
    ]
    command += ["--organizer-domain", "example.org", "--allow-network", "192.0.2.0/24", "--base-url", BASE_URL]
    command += ["--tls-exempt-network", "192.0.2.0/24"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield await listening(socket), process
    finally:
        process.kill()
        process.wait(20)


@asynccontextmanager
async def strace(process: subprocess.Popen[bytes], log: Path, *options: str) -> AsyncIterator[None]:
    """Trace a running process and its threads."""
    command = ["strace", "-f", "-qq", "-o", str(log), "-p", str(process.pid), "-e", TRACED, *options]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    status = Path(f"/proc/{process.pid}/task")
    while not all("TracerPid:\t0\n" not in (task / "status").read_text() for task in status.iterdir()):
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)


async def deliver(socket: UnixAddress, message: bytes) -> bytes | None:
    """The message as the MTA then has it; None when it has to try again."""
    try:
        async with MilterClient(socket, client=b"192.0.2.10") as mta:
            result = await mta.deliver(message, ANNA.encode(), [BOB.encode()])
    except (OSError, EOFError):  # Postfix: milter_default_action = tempfail
        return None
    assert result.verdict in ("accept", "reply")
    return result.message if result.verdict == "accept" else None


async def moments(place: Path) -> list[tuple[str, int]]:
    """Every call that matters while one invitation gets its link: its name, and its number among those in a thread."""
    async with NextHop() as hop, service(place, f"127.0.0.1:{hop.address.port}") as (socket, process):
        await deliver(socket, invitation(Meeting.new()))  # the worker is there, the tables are made
        log = place / "calls"
        async with strace(process, log):
            assert await deliver(socket, invitation(Meeting.new()))
    counted = Counter(re.findall(r"(?m)^(\d+) +(\w+)\(", log.read_text("utf-8", "replace")))
    most: Counter[str] = Counter()
    for (_, name), count in counted.items():
        most[name] = max(most[name], count)
    return [(name, number) for name in sorted(most) for number in range(1, most[name] + 1)]


async def killed_at(place: Path, name: str, number: int) -> str:
    """Kill the service at that moment, start it again, and look at what is left; returns what became of the first try."""
    message = invitation(Meeting.new())
    async with NextHop() as hop:
        relay = f"127.0.0.1:{hop.address.port}"
        async with service(place, relay) as (socket, process):
            assert await deliver(socket, invitation(Meeting.new()))
            hop.messages.clear()
            async with strace(process, place / "calls", "-e", f"inject={name}:signal=SIGKILL:when={number}"):
                first = await deliver(socket, message)
                if process.poll() is None:
                    await asyncio.sleep(0.05)
        if first is not None:
            opens(place, the_token(first, BASE_URL))
        async with service(place, relay) as (socket, _):
            second = await deliver(socket, message)
        assert second is not None
        join = the_token(second, BASE_URL)
        opens(place, join)
        assert first is None or first == second
        starts = [message_from_bytes(one.octets) for one in hop.messages]
        assert starts
        assert len({one["Message-ID"] for one in starts}) == 1
        for one in hop.messages:
            opens(place, tokens(one.octets, BASE_URL, "s")[0])
            assert set(tokens(one.octets, BASE_URL)) == {join}
    return "linked" if first is not None else "again"


def opens(place: Path, token: str) -> None:
    """The token leads to a meeting."""
    store = LinkStore(place / "state" / DATABASE, EpochFile(place / "state" / EPOCH_NAME))
    try:
        assert store.open(token, list(LinkKind), int(time.time())) is not None
    finally:
        store.close()


def test_killed_at_every_write_and_send() -> None:
    """Nothing is lost, nothing is half, and no link leads nowhere."""
    if shutil.which("strace") is None:
        pytest.fail("strace is missing; on Debian: apt-get install strace")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        found = asyncio.run(moments(place))
        assert {"fdatasync", "pwrite64"} <= {call for call, _ in found}
        outcomes = Counter(asyncio.run(killed_at(place, call, number)) for call, number in found)
    assert outcomes["again"] > 5
