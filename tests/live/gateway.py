"""The product as its users run it: the real commands in processes of their own, and the invitations that go through them.

    with mail(state, milter=[f"unix:{place}/milter"], start_mail=port, base_url=url) as gateway, web(...) as pages:
        ... send(...) ...
        assert gateway.answers()[-1].reason == "link-added"

A service is ready when its log says where it listens, and is ended by SIGTERM. Its umask and its sockets' group (postfix) are
those of an installation.
Fails: GatewayFailed, with what the command wrote.
"""

import asyncio
import grp
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Self
from zoneinfo import ZoneInfo

from tests.insertions import parsed as parsed  # for the tests that read mail
from tests.live.postfix import PostfixMissing
from tests.live.sink import Delivery, Sink
from tests.smtp.nexthop import Action

COMMAND = Path(sys.executable).with_name("notes2conf-milter")
GOLDEN = Path(__file__).parent.parent / "messages"
DATABASE = "meetings.sqlite3"

ANNA = "anna@example.org"
BOB = "bob@example.net"
CARLA = "carla@example.org"
HOUSE = {"ADDR": "192.0.2.10"}  # XCLIENT: a server of the house
OUTSIDE = {"ADDR": "198.51.100.7"}
WITHOUT_MILTERS = {"smtpd_milters": "", "receive_override_options": "no_milters"}  # as config/postfix/master.cf has it

# Postfix warns so when the harness asks a listener for its greeting before the gateway runs.
NOT_YET = re.compile(r"connect to Milter service \S+: (No such file or directory|Connection refused)$")

_POLL = 0.02
_ANSWER = re.compile(
    r"^INFO notes2conf\.mail: queue_id=(\S+) door=(\S+) verdict=(\S+) reason=(\S+)(?: repairs=\S+)?(?: dkim=\S+)?(?: tls=.*)?$",
    re.MULTILINE,
)
_NOTES_UID = b"7C41D0B35E2F98A6C1258DA50042B1F3"  # of the golden message that `invitation` starts from


class GatewayFailed(RuntimeError):
    """A command did not do what it was told; the text has its words."""


@dataclass(frozen=True)
class Answer:
    """One line of the log: what was decided about one message, and why."""

    queue_id: str
    door: str
    verdict: str
    reason: str


class Service:
    """A command that runs until it is ended; a context manager. Its log is its standard error, kept over restarts."""

    def __init__(self, log_file: Path, arguments: Sequence[str], command: Sequence[str] = (str(COMMAND),)) -> None:
        self._log_file = log_file
        self._command = [*command, *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Service":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self.running():
            return
        if kind is not None:
            self.kill()
        elif (code := self.stop()) != 0:
            raise GatewayFailed(f"ended with {code}:\n{self.log()}")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        assert self._process is not None
        return self._process

    def start(self, timeout: float = 20.0) -> None:
        """Start, and wait until it listens."""
        before = self.log().count(": listening on ")
        try:
            grp.getgrnam("postfix")
        except KeyError as error:
            raise PostfixMissing(
                "there is no group postfix here; on Debian it comes with the package postfix"
            ) from error
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, group="postfix", umask=0o007
            )
        deadline = time.monotonic() + timeout
        while self.log().count(": listening on ") == before:
            if not self.running() or time.monotonic() > deadline:
                self.kill()
                raise GatewayFailed(f"{self._command} does not listen:\n{self.log()}")
            time.sleep(_POLL)

    def running(self) -> bool:
        """Say whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        """Ask it to end, as systemd does."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for its end and return the exit code."""
        return self.process.wait(timeout)

    def stop(self) -> int:
        """End it in order and return the exit code."""
        self.terminate()
        return self.wait()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        self.process.wait(10)

    def log(self) -> str:
        """Return what it has written so far; lines about messages are written a twentieth of a second later (journal.py)."""
        if self.running():
            time.sleep(0.1)
        return self._log_file.read_text("utf-8", "replace") if self._log_file.exists() else ""

    def answers(self) -> list[Answer]:
        """Return what was decided about each message so far."""
        return [Answer(*found) for found in _ANSWER.findall(self.log())]


def mail(
    state: Path,
    *,
    base_url: str,
    milter: Sequence[str] = (),
    start_mail: int | None = None,
    allow: Sequence[str] = ("192.0.2.0/24",),
    exempt: Sequence[str] | None = None,
    more: Sequence[str] = (),
    log_name: str = "mail",
    command: Sequence[str] = (str(COMMAND),),
) -> Service:
    """Return the mail service, not started yet.

    start_mail: the port on loopback that takes start mails. exempt: from which invitations get a link without TLS, as most
    tests send them; None: from where `allow` lets them come.
    """
    arguments = ["mail", "--organizer-domain", "example.org", "--base-url", base_url, "--state", str(state)]
    arguments += [word for address in milter for word in ("--milter", address)]
    arguments += [word for network in allow for word in ("--allow-network", network)]
    exempt = allow if exempt is None else exempt
    arguments += [word for network in exempt for word in ("--tls-exempt-network", network)]
    arguments += [] if start_mail is None else ["--start-mail", f"127.0.0.1:{start_mail}"]
    return Service(state.with_name(f"{state.name}.{log_name}.log"), [*arguments, *more], command)


def web(state: Path, *, port: int, jitsi_url: str) -> Service:
    """Return the waiting room on a port of loopback, not started yet; the mail service has made its state."""
    where = ["--listen", f"127.0.0.1:{port}", "--base-url", f"http://127.0.0.1:{port}"]
    arguments = ["web", *where, "--jitsi-url", jitsi_url, "--state", str(state)]
    return Service(state.with_name(f"{state.name}.web.log"), arguments)


def purge(state: Path) -> str:
    """Purge once and return what the command said; raises GatewayFailed."""
    return _run(["purge", "--state", str(state)]).decode()


def rewrite(state: Path, base_url: str, message: bytes, more: Sequence[str] = ()) -> bytes:
    """Return what `notes2conf-milter rewrite` makes of a message; raises GatewayFailed."""
    options = ["--organizer-domain", "example.org", "--base-url", base_url, "--state", str(state)]
    return _run(["rewrite", *options, *more], message)


def _run(arguments: Sequence[str], octets: bytes = b"") -> bytes:
    done = subprocess.run([str(COMMAND), *arguments], input=octets, capture_output=True, timeout=60)
    if done.returncode != 0:
        raise GatewayFailed(f"{arguments} ended with {done.returncode}: {done.stderr.decode('utf-8', 'replace')}")
    return done.stdout


def rows(state: Path) -> tuple[int, int]:
    """Return how many meetings and how many links are in the database, as a stranger to the product counts them."""
    with closing(sqlite3.connect(f"file:{state / DATABASE}?mode=ro", uri=True)) as db:
        meetings, links = (db.execute(f"select count(*) from {table}").fetchone()[0] for table in ("meeting", "link"))
        return meetings, links


def stored(state: Path) -> bytes:
    """Return each octet of the database, its write-ahead log included."""
    files = [state / f"{DATABASE}{suffix}" for suffix in ("", "-wal")]
    return b"".join(path.read_bytes() for path in files if path.exists())


class Hop(Sink):
    """A next hop that does what a script says; one that holds its answer lets go when it is told to."""

    def __init__(self, script: Mapping[str, Action | Sequence[Action]]) -> None:
        super().__init__(script)

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    @property
    def refused(self) -> list[bytes]:
        """The octets of the messages that were not accepted at their final dot."""
        return [one.octets for one in list(self._hop.refused)]

    def wait_for_dot(self, timeout: float = 20.0) -> None:
        """Wait until a message has come whole."""
        until(lambda: b"DOT" in self._hop.commands, timeout)

    def let_go(self, event: asyncio.Event) -> None:
        """Let the answer be given that waits for `event`."""
        self._loop.call_soon_threadsafe(event.set)


def until(true: Callable[[], bool], timeout: float = 20.0) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.02)


# --- messages ---


def soon() -> datetime:
    """Return tomorrow at 14:00 in Berlin: an hour that no change of the clocks makes doubtful."""
    tomorrow = datetime.now(ZoneInfo("Europe/Berlin")) + timedelta(days=1)
    return tomorrow.replace(hour=14, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Meeting:
    """A meeting as Notes knows it. uid: 32 hexadecimal digits."""

    uid: str
    start: datetime
    end: datetime
    subject: str = "Lieferantengespräch Frühjahr"

    @classmethod
    def new(cls) -> "Meeting":
        """Return a meeting that nobody has heard of, tomorrow."""
        return cls(token_hex(16).upper(), soon(), soon() + timedelta(minutes=90))

    @property
    def secrets(self) -> list[bytes]:
        """What no log and no database may show of it."""
        words = [self.subject, *self.subject.split(), self.uid, ANNA, BOB, CARLA, "Brückner"]
        return [word.encode() for word in words]


def invitation(meeting: Meeting, sequence: int = 0) -> bytes:
    """Return the Notes 9 REQUEST of the golden messages (bodies, an attached copy, CID parts) for this meeting."""
    message = (GOLDEN / "001-notes-9-rich-body" / "in.eml").read_bytes()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ").encode()
    changes = {
        _NOTES_UID: meeting.uid.encode(),
        b'DTSTART;TZID="W. Europe":20260312T140000': b"DTSTART" + _local(meeting.start),
        b'DTEND;TZID="W. Europe":20260312T153000': b"DTEND" + _local(meeting.end),
        b"DTSTAMP:20260302T074512Z": b"DTSTAMP:" + stamp,
        b"\r\nSEQUENCE:0\r\n": b"\r\nSEQUENCE:%d\r\n" % sequence,
        "SUMMARY:Lieferantengespräch Frühjahr".encode(): f"SUMMARY:{meeting.subject}".encode(),
    }
    for old, new in changes.items():
        assert message.count(old) >= 2, old
        message = message.replace(old, new)
    return message


def _local(moment: datetime) -> bytes:
    if moment.tzinfo is UTC:
        return moment.strftime(":%Y%m%dT%H%M%SZ").encode()
    return moment.astimezone(ZoneInfo("Europe/Berlin")).strftime(';TZID="W. Europe":%Y%m%dT%H%M%S').encode()


def golden(name: str) -> bytes:
    """Return a golden message as it is sent."""
    return next(GOLDEN.glob(f"{name}*")).joinpath("in.eml").read_bytes()


def golden_soon(name: str) -> bytes:
    """Return a golden message whose meeting on 12 March 2026 takes place tomorrow instead."""
    message = golden(name)
    assert b"20260312T" in message
    return message.replace(b"20260312T", soon().strftime("%Y%m%dT").encode())


def without_received(delivery: Delivery) -> bytes:
    """Return what was delivered, without the Received field that Postfix put before it."""
    head = re.match(rb"Received: from [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", delivery.octets)
    assert head is not None, delivery.octets[:200]
    return delivery.octets[head.end() :]


def tokens(octets: bytes, base_url: str, kind: str = "j") -> list[str]:
    """Return the token of each link in a message, soft line breaks and folds joined."""
    joined = re.sub(rb"=\r\n|\r\n[ \t]", b"", octets)
    return [found.decode() for found in re.findall(f"{base_url}/{kind}/([a-z2-7]{{32}})".encode(), joined)]


def the_token(octets: bytes, base_url: str, kind: str = "j") -> str:
    """Return the one token that all links of a message have."""
    found = set(tokens(octets, base_url, kind))
    assert len(found) == 1, found
    return found.pop()


def start_mails(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return the mails of our own among what arrived: the null sender, to the organizer."""
    return [one for one in deliveries if one.sender == b"" and one.recipients == (ANNA.encode(),)]


def assert_discreet(log: str, *secrets: str | bytes) -> None:
    """Fail when a log shows one of these, in whatever case."""
    text = os.fsencode(log).lower()
    for secret in secrets:
        octets = secret.encode() if isinstance(secret, str) else secret
        assert octets.lower() not in text, octets
