"""What can go wrong around the service goes wrong: a full disk, a folder that cannot be written, a locked or damaged store.

The message waits, or goes on without a link as the setting says; once the fault is mended it gets its link, and one start mail.
Each fault is one clear line in the log, without personal data.
"""

import asyncio
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from notes2conf_milter.address import UnixAddress
from tests.bench.mails import plain
from tests.live.gateway import ANNA, BOB, COMMAND, DATABASE, Meeting, assert_discreet, invitation, the_token
from tests.milter.mta import MilterClient, listening
from tests.smtp.nexthop import NextHop

OTHER = plain(4096)
BASE_URL = "https://conf.example.org"


@dataclass
class House:
    """A state folder on a small disk of its own, and the service on it."""

    state: Path
    log: Path
    relay: str = ""
    settings: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8") if self.log.exists() else ""

    @asynccontextmanager
    async def service(self) -> AsyncIterator[UnixAddress]:
        socket = self.log.parent / "milter"
        socket.unlink(missing_ok=True)
        settings = self.log.parent / "notes2conf.toml"
        settings.write_text("\n".join(["[policy]", *self.settings]))
        command = [
            str(COMMAND),
            "mail",
            "--config",
            str(settings),
            "--milter",
            f"unix:{socket}",
            "--start-mail",
            self.relay,
        ]
        command += ["--state", str(self.state), "--organizer-domain", "example.org", "--allow-network", "192.0.2.0/24"]
        command += ["--tls-exempt-network", "192.0.2.0/24"]
        with self.log.open("ab") as log:
            process = subprocess.Popen([*command, "--base-url", BASE_URL], stdout=log, stderr=log)
        try:
            yield await listening(socket)
        finally:
            process.terminate()
            process.wait(40)


@pytest.fixture
def house() -> Iterator[House]:
    with tempfile.TemporaryDirectory() as name:
        state = Path(name) / "state"
        state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0750", "tmpfs", str(state)], check=True)
        try:
            yield House(state, Path(name) / "log")
        finally:
            subprocess.run(["umount", "--lazy", str(state)], check=True)


async def deliver(socket: UnixAddress, message: bytes) -> tuple[str, bytes]:
    async with MilterClient(socket, client=b"192.0.2.10") as mta:
        result = await mta.deliver(message, ANNA.encode(), [BOB.encode()])
    return result.verdict, result.message


@contextmanager
def full(house: House) -> Iterator[None]:
    """Not one octet is free."""
    stuffing = house.state / "stuffing"
    with stuffing.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    yield
    stuffing.unlink()


@contextmanager
def read_only(house: House) -> Iterator[None]:
    """The disk takes nothing."""
    subprocess.run(["mount", "-o", "remount,ro", str(house.state)], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", str(house.state)], check=True)


@contextmanager
def locked(house: House) -> Iterator[None]:
    """Another process keeps the write lock."""
    with sqlite3.connect(house.state / DATABASE, isolation_level=None) as other:
        other.execute("begin immediate")
        yield
        other.execute("rollback")


@contextmanager
def damaged(house: House) -> Iterator[None]:
    """The pages of the database are rubbish."""
    database = house.state / DATABASE
    with sqlite3.connect(database) as sql:
        sql.execute("pragma wal_checkpoint(truncate)")
    good = database.read_bytes()
    with database.open("r+b") as file:
        file.write(good[:100] + os.urandom(len(good) - 100))
    yield
    with database.open("r+b") as file:
        file.write(good)


@contextmanager
def without_epoch(house: House) -> Iterator[None]:
    """The epoch secret is not there."""
    (house.state / "epoch").rename(house.state / "elsewhere")
    yield
    (house.state / "elsewhere").rename(house.state / "epoch")


FAULTS: list[Callable[[House], "contextmanager[None]"]] = [full, locked, damaged, without_epoch]


@pytest.mark.parametrize("setting", ["defer", "pass"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_store_that_cannot_be_used(
    house: House, fault: Callable[[House], "contextmanager[None]"], setting: str
) -> None:
    """Invitations wait or go on without a link, other mail goes on; later there is one link and one start mail."""

    async def run() -> None:
        async with NextHop() as hop:
            house.relay, house.settings = f"127.0.0.1:{hop.address.port}", (f'without_store = "{setting}"',)
            async with house.service() as socket:
                assert the_token((await deliver(socket, invitation(Meeting.new())))[1], BASE_URL)
                hop.messages.clear()
                meeting = invitation(Meeting.new())
                with fault(house):
                    verdict, message = await deliver(socket, meeting)
                    assert (verdict, message) == ({"defer": "reply", "pass": "accept"}[setting], meeting)
                    assert await deliver(socket, OTHER) == ("accept", OTHER)
                assert not hop.messages
            async with house.service() as socket:
                verdict, message = await deliver(socket, meeting)
                assert verdict == "accept"
                assert the_token(message, BASE_URL)
                assert len(hop.messages) == 1

    asyncio.run(run())
    errors = [line for line in house.said.splitlines() if line.startswith("ERROR")]
    assert len(errors) == 1, house.said
    assert_discreet(house.said, ANNA, BOB)


def test_a_state_folder_that_cannot_be_written_stops_the_start(house: House) -> None:
    """Exit code 78, and the file is named."""
    subprocess.run([str(COMMAND), "key", "new", "--state", str(house.state)], check=True, stdout=subprocess.DEVNULL)
    with read_only(house):
        command = [str(COMMAND), "mail", "--milter", f"unix:{house.log.parent}/milter", "--state", str(house.state)]
        command += ["--organizer-domain", "example.org", "--base-url", BASE_URL]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 78
    assert str(house.state / DATABASE).encode() in done.stderr
