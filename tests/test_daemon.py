"""The services as processes: what they need, that they say when they are ready, and how they end."""

import asyncio
import contextlib
import grp
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from notes2conf_milter import daemon
from notes2conf_milter.config import ConfigError, load
from notes2conf_milter.smtp import onward
from notes2conf_milter.smtp.reinject import Handed, hand_over
from notes2conf_milter.store import StoreError, StoreSetupError, new_keys
from tests.commands import Command, free_port
from tests.smtp.door import connected
from tests.smtp.nexthop import NextHop

MAIL = b"Subject: x\r\n\r\nbody\r\n"
BASE = ("--base-url", "https://conf.example.org")


def mail(folder: Path, *more: str) -> tuple[str, ...]:
    return ("mail", "--state", str(folder / "state"), "--organizer-domain", "example.org", *BASE, *more)


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_mail_listens_until_it_is_told_to_stop(tmp_path: Path, name: signal.Signals) -> None:
    """SIGTERM and SIGINT end it with exit code 0; the socket file goes with it."""
    path = tmp_path / "milter.sock"
    with Command(*mail(tmp_path, "--milter", f"unix:{path}")) as command:
        command.wait_for_error("listening on unix:")
        assert path.is_socket()
        assert command.end(name) == 0
        assert not path.exists()


def test_a_signal_that_comes_at_once_ends_it_in_order(tmp_path: Path) -> None:
    """At the very moment when the log says that it listens."""
    script = f"""
import logging, os, signal
from pathlib import Path
from notes2conf_milter import daemon
from notes2conf_milter.config import load
from notes2conf_milter.store import new_keys

class Impatient(logging.Handler):
    def emit(self, record):
        if "listening" in record.getMessage():
            os.kill(os.getpid(), signal.SIGTERM)

logging.basicConfig(level=logging.INFO, handlers=[Impatient()])
state = Path({str(tmp_path)!r})
new_keys(state, 1)
options = {{"base_url": "https://conf.example.org", "state_dir": str(state), "policy.organizer_domains": ["example.org"]}}
options["milter.listen"] = ["unix:" + str(state / "milter.sock")]
daemon.run(daemon.run_mail(load(Path("/dev/null"), options)))
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0


def test_a_socket_made_by_root_is_for_postfix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by hand as root, with any umask, Postfix's smtpd can connect and no other user can."""
    settings = load(Path("/dev/null"), {})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert daemon.socket_access(settings) == (0o660, grp.getgrnam("postfix").gr_gid)
    monkeypatch.setattr(grp, "getgrnam", {}.__getitem__)
    assert daemon.socket_access(settings) == (None, None)


def test_a_socket_is_as_the_setting_or_the_umask_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mode that is set counts for root, too; a service with a user of its own leaves it to UMask= and the folder."""
    assert daemon.socket_access(load(Path("/dev/null"), {"milter.socket_mode": "0600"})) == (0o600, None)
    monkeypatch.setattr(os, "geteuid", lambda: 999)
    assert daemon.socket_access(load(Path("/dev/null"), {})) == (None, None)


def test_mail_makes_keys_in_a_new_state_folder_and_says_so(tmp_path: Path) -> None:
    """--state DIR is enough to start; a second start uses the keys that are there."""
    arguments = mail(tmp_path, "--milter", "inet:127.0.0.1:0")
    with Command(*arguments) as command:
        assert "made new keys" in command.wait_for_error("listening on inet:")
        assert command.end() == 0
    before = (tmp_path / "state" / "mail-key").read_bytes()
    with Command(*arguments) as command:
        assert "made new keys" not in command.wait_for_error("listening on inet:")
        assert command.end() == 0
    assert (tmp_path / "state" / "mail-key").read_bytes() == before


def test_mail_does_not_make_new_keys_beside_a_database(tmp_path: Path) -> None:
    """A lost key is an error: a new one would make every meeting unreadable, and hide the loss."""
    state = tmp_path / "state"
    state.mkdir()
    new_keys(state, daemon.now())
    daemon.open_meetings(load(Path("/dev/null"), {"state_dir": str(state)})).close()
    (state / "mail-key").unlink()
    with Command(*mail(tmp_path, "--milter", "inet:127.0.0.1:0")) as command:
        assert command.process.wait(60) == 78
        assert str(state / "mail-key") in command.errors()


def test_readiness_is_told_to_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY=1 once it listens, STOPPING=1 when it ends (sd_notify(3))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with Command(*mail(tmp_path, "--milter", "inet:127.0.0.1:0")) as command:
            assert systemd.recv(100) == b"READY=1"
            assert command.end() == 0
            assert systemd.recv(100) == b"STOPPING=1"


def test_two_services_cannot_share_a_socket(tmp_path: Path) -> None:
    """The second one says which address is taken, and ends with 75: systemd tries again, the first may be about to end."""
    address = f"unix:{tmp_path}/milter.sock"
    with Command(*mail(tmp_path, "--milter", address)) as first:
        first.wait_for_error("listening on")
        with Command(*mail(tmp_path, "--milter", address)) as second:
            assert second.process.wait(60) == 75
            assert "milter.sock" in second.errors()
        assert first.end() == 0


def test_web_listens_and_stops(tmp_path: Path) -> None:
    """The waiting room starts from options alone, given a store with keys."""
    new_keys(tmp_path, daemon.now())
    port = free_port()
    with Command(
        *(
            "web",
            "--state",
            str(tmp_path),
            "--listen",
            f"127.0.0.1:{port}",
            "--jitsi-url",
            "https://meet.example.org",
            *BASE,
        )
    ) as command:
        command.wait_for_error(f"listening on 127.0.0.1:{port}")
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: conf.example.org\r\nConnection: close\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert command.end() == 0


def test_web_needs_keys(tmp_path: Path) -> None:
    """Without an epoch file nothing could be opened: set up wrong, not an empty waiting room."""
    with pytest.raises(StoreSetupError, match="epoch"):
        daemon.open_links(load(Path("/dev/null"), {"state_dir": str(tmp_path)}))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, "base_url"),
        ({"base_url": "https://c.example"}, "policy.organizer_domains"),
        ({"base_url": "https://c.example", "policy.organizer_domains": ["example.org"]}, "milter.listen"),
    ],
)
def test_mail_names_the_setting_it_needs(tmp_path: Path, options: dict[str, object], key: str) -> None:
    """What is missing is named before anything listens."""
    settings = load(Path("/dev/null"), {"state_dir": str(tmp_path), **options})

    async def start() -> None:
        async with daemon.mail_service(settings):
            pytest.fail("it started")

    with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
        daemon.run(start())


def test_a_state_folder_is_closed_to_others(tmp_path: Path) -> None:
    """Made with mode 0770 less the umask; one that is there stays as it is."""
    old = os.umask(0)
    try:
        daemon.make_folder(tmp_path / "a" / "b")
    finally:
        os.umask(old)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o770
    tmp_path.chmod(0o750)
    daemon.make_folder(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o750


def test_series_without_an_end_are_looked_for_again_and_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also after a store that could not be used."""
    answers: list[int | Exception] = [StoreError("locked"), 0, 2]

    class Flow:
        async def remind(self) -> int:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    async def run() -> None:
        task = asyncio.create_task(daemon._remind(Flow()))  # type: ignore[arg-type]
        while answers:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        task.cancel()

    monkeypatch.setattr(daemon, "REMIND_SECONDS", 0.001)
    with caplog.at_level("INFO"), contextlib.suppress(asyncio.CancelledError, IndexError):
        asyncio.run(run())
    assert [record.getMessage() for record in caplog.records][:2] == [
        "store: locked",
        "series without an end: 2 organizers told",
    ]


def test_the_waiting_room_takes_as_many_connections_as_there_may_be_files() -> None:
    """Each guest who waits holds one."""
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({}, {}));"
        "from notes2conf_milter.daemon import most_connections;"
        "print(most_connections(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    for soft, hard, expected in ((200, 4096, b"3968 4096"), (100, 200, b"100 200")):
        done = subprocess.run(
            [sys.executable, "-c", script.format(soft, hard)], capture_output=True, check=True, timeout=60
        )
        assert done.stdout.strip() == expected


def test_the_last_summary_is_written_at_the_end(tmp_path: Path) -> None:
    """What was counted since the last hour is not lost with a restart."""
    noted: list[str] = []

    async def run() -> None:
        async with NextHop() as hop:
            options = {"base_url": BASE[1], "state_dir": str(tmp_path), "policy.organizer_domains": ["example.org"]}
            options |= {"smtp.listen": "127.0.0.1:0", "smtp.next_hop": hop.address.netloc, "tls.log": "summary"}
            settings = load(Path("/dev/null"), options)
            new_keys(settings.state_dir, daemon.now())
            async with daemon.mail_service(settings, lambda _logger, text: noted.append(text)) as (door,):
                done = await hand_over(
                    onward.NextHop(door, "x.example"), b"a@example.net", b"b@example.org", MAIL, timeout=30
                )
                assert done.result is Handed.ACCEPTED
                assert noted == ["queue_id=- door=smtp verdict=pass reason=no-calendar"]

    asyncio.run(run())
    assert noted[1:] == ["tls-summary door=smtp tls=none peer=127.0.0.0/24 messages=1 refused=0"]


def test_the_limits_of_the_smtp_door_are_those_of_the_settings(tmp_path: Path) -> None:
    """What is set counts at every socket of the door."""

    async def run() -> None:
        async with NextHop() as hop:
            options = {"base_url": BASE[1], "state_dir": str(tmp_path), "policy.organizer_domains": ["example.org"]}
            options |= {"smtp.listen": "127.0.0.1:0", "smtp.next_hop": hop.address.netloc, "limits.connections": 1}
            settings = load(Path("/dev/null"), options)
            new_keys(settings.state_dir, daemon.now())
            async with daemon.mail_service(settings) as (door,), connected(door) as one, connected(door) as two:
                assert (await one.reply()).startswith(b"220 ")
                assert (await two.reply()).startswith(b"421 4.7.0 ")

    asyncio.run(run())


def test_the_mail_service_does_without_the_web_service() -> None:
    """Its code takes memory, and nothing of it is needed where mail flows."""
    unneeded = ("uvicorn", "starlette", "jinja2", "httpx")
    script = f"import sys, notes2conf_milter.cli; print([one for one in {unneeded} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
