"""The command line as people and scripts use it: real processes, their output, their exit codes."""

import json
import os
import queue
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

import pytest

from notes2conf_milter.core.verdict import EXPLANATIONS, Reason
from notes2conf_milter.demo import invitation
from notes2conf_milter.store import new_keys
from tests.golden import cases
from tests.nameserver import NameServer
from tests.signatures import verified
from tests.tlscheck.mailhost import MailHost
from tests.tlscheck.place import Place

PROGRAM = Path(sys.executable).parent / "notes2conf-milter"
MESSAGES = Path(__file__).parent / "messages"
BASE_URL = "https://conf.example.org"
AT = datetime(2020, 2, 3, 8, 30, tzinfo=UTC)
BEFORE = ("--now", "2020-02-03T08:30:00Z")
OWN = ("--organizer-domain", "example.org", "--base-url", BASE_URL)
LINK = re.compile(rb"https://conf\.example\.org/j/[a-z2-7]{32}")
SECONDS = 60.0


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run notes2conf-milter to its end."""
    return subprocess.run([PROGRAM, *arguments], input=stdin, capture_output=True, timeout=SECONDS, check=False)


@dataclass
class Running:
    """A process under way; what it writes to the stream that is watched comes line by line."""

    process: subprocess.Popen[str]
    lines: queue.Queue[str] = field(default_factory=queue.Queue)
    seen: list[str] = field(default_factory=list)

    def read(self, stream: IO[str]) -> None:
        """Put the lines of a stream into the queue until it ends."""
        for line in stream:
            self.lines.put(line)

    def wait_for(self, text: str) -> None:
        """Read lines until one holds `text`."""
        deadline = time.monotonic() + SECONDS
        while not self.seen or text not in self.seen[-1]:
            self.seen.append(self.lines.get(timeout=deadline - time.monotonic()))

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


@contextmanager
def running(
    *arguments: str, watch: Literal["stdout", "stderr"], environment: dict[str, str] | None = None
) -> Iterator[Running]:
    """Start notes2conf-milter and watch its `stdout` or `stderr`; it is ended at the latest with the block."""
    with subprocess.Popen(
        [PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **(environment or {})},
        umask=0o007,  # as the units have it
        # A shell lets what it starts in the background ignore Ctrl-C, and so would everything below it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE if watch == "stdout" else None,
        stderr=subprocess.PIPE if watch == "stderr" else None,
    ) as process:
        one = Running(process)
        stream = process.stdout if watch == "stdout" else process.stderr
        assert stream is not None
        reader = threading.Thread(target=one.read, args=[stream], daemon=True)
        reader.start()
        try:
            yield one
        finally:
            process.kill()
            reader.join(SECONDS)


def explained(result: subprocess.CompletedProcess[bytes]) -> dict[str, object]:
    """Return the JSON object in the last line of standard error."""
    found = json.loads(result.stderr.splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.fixture
def message(tmp_path: Path) -> Path:
    """Return a file with a Notes invitation of anna.muster@example.org, two hours from AT."""
    path = tmp_path / "in.eml"
    path.write_bytes(invitation(AT))
    return path


# --- rewrite ---


def test_rewrite_adds_the_link_and_says_why(message: Path) -> None:
    """The way to see what the gateway would do, without any file and without a service."""
    result = run("rewrite", "--explain", *OWN, *BEFORE, str(message))
    assert result.returncode == 0
    assert len(set(LINK.findall(result.stdout))) == 1
    found = explained(result)
    assert {"verdict", "reason", "edits"} <= set(found)
    assert (found["verdict"], found["reason"]) == ("rewrite", "link-added")
    body = len(result.stdout) - result.stdout.index(b"\r\n\r\n") - 4
    assert found["edits"] == [{"edit": "replace-body", "octets": body}]


def test_rewrite_says_what_could_be_repaired_and_repairs_it_where_it_is_wanted(tmp_path: Path) -> None:
    """Before the setting is switched on, an administrator sees with real mail what it would do."""
    wrapped = (Path(__file__).parent / "messages" / "127-related-and-rdate" / "in.eml").read_bytes()
    arguments = ("rewrite", "--explain", *OWN, "--now", "2026-03-02T08:00:00Z")
    settings = tmp_path / "on.toml"
    settings.write_text('[repairs]\nmultipart_related = "on"\nrdate = "off"\n', "utf-8")
    state = ("--config", str(settings), "--state", str(tmp_path / "state"))
    reported, done = run(*arguments, stdin=wrapped), run(*arguments, *state, stdin=wrapped)
    found, mended = explained(reported)["repairs"], explained(done)["repairs"]
    assert isinstance(found, list)
    assert isinstance(mended, list)
    assert [(one["repair"], one["done"]) for one in found] == [("multipart-related", False), ("rdate", False)]
    assert [(one["repair"], one["done"]) for one in mended] == [("multipart-related", True)]
    assert all(one["explanation"].endswith(".") for one in (*found, *mended))
    assert (reported.stdout.count(b"multipart/related"), done.stdout.count(b"multipart/related")) == (1, 0)


def test_rewrite_reads_standard_input_as_it_reads_a_file(message: Path, tmp_path: Path) -> None:
    """In a pipe it does the same, octet for octet; `-` is standard input, too."""
    shared = (*OWN, *BEFORE, "--state", str(tmp_path / "state"))
    from_file = run("rewrite", *shared, str(message))
    assert from_file.returncode == 0
    for arguments in (shared, (*shared, "-")):
        assert run("rewrite", *arguments, stdin=message.read_bytes()).stdout == from_file.stdout


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n",
        b"no header at all",
        b"Subject: bare\nline feeds\n\nno end",
        b"Subject: \xff\x00\r\n\r\n\x00\xff\r\r\n\x1a.\r\n..\r\n",
        bytes(range(256)) * 3,
        (MESSAGES / "104-plain-mail" / "in.eml").read_bytes(),
        (MESSAGES / "073-pgp-signed" / "in.eml").read_bytes(),
        (MESSAGES / "058-reply" / "in.eml").read_bytes(),
    ],
    ids=lambda octets: repr(octets[:16]),
)
def test_rewrite_passes_the_rest_octet_for_octet(octets: bytes) -> None:
    """What is not ours to touch comes out as it went in, line ends and odd octets included."""
    result = run("rewrite", "--explain", *OWN, *BEFORE, stdin=octets)
    assert (result.returncode, result.stdout) == (0, octets)
    assert explained(result)["verdict"] == "pass"
    assert explained(result)["edits"] == []


def test_rewrite_without_explain_writes_nothing_but_the_message(message: Path) -> None:
    """Nothing has to be cut off in a script."""
    assert run("rewrite", *OWN, *BEFORE, str(message)).stderr == b""


def test_rewrite_twice_is_rewrite_once(message: Path, tmp_path: Path) -> None:
    """A message that carries its link comes out as it went in."""
    shared = ("rewrite", "--explain", *OWN, *BEFORE, "--state", str(tmp_path / "state"))
    once = run(*shared, str(message))
    twice = run(*shared, stdin=once.stdout)
    assert twice.stdout == once.stdout
    assert (explained(twice)["verdict"], explained(twice)["reason"]) == ("rewrite", "link-present")


def test_a_state_folder_keeps_the_link(message: Path, tmp_path: Path) -> None:
    """The first run makes keys there, and says so; the second knows the meeting."""
    arguments = ("rewrite", "--explain", *OWN, *BEFORE, "--state", str(tmp_path / "state"), str(message))
    first, second = run(*arguments), run(*arguments)
    assert first.stderr.startswith(f"notes2conf-milter: made new keys in {tmp_path / 'state'}\n".encode())
    assert second.stderr.count(b"\n") == 1
    assert second.stdout == first.stdout
    assert [explained(one)["reason"] for one in (first, second)] == ["link-added", "link-kept"]


def test_without_a_state_folder_nothing_is_kept(message: Path) -> None:
    """Each run draws a link of its own and leaves nothing behind."""
    links = {LINK.findall(run("rewrite", *OWN, *BEFORE, str(message)).stdout)[0] for _ in range(2)}
    assert len(links) == 2


def test_rewrite_takes_the_store_of_a_settings_file(message: Path, tmp_path: Path) -> None:
    """With --config it answers as the service with this file would."""
    state, settings = tmp_path / "state", tmp_path / "notes2conf.toml"
    state.mkdir()
    new_keys(state, int(AT.timestamp()))
    settings.write_text(
        f'base_url = "{BASE_URL}"\nstate_dir = "{state}"\n[policy]\norganizer_domains = ["example.org"]\n', "utf-8"
    )
    arguments = ("rewrite", "--explain", "--config", str(settings), *BEFORE, str(message))
    first, second = run(*arguments), run(*arguments)
    assert second.stdout == first.stdout
    assert explained(second)["reason"] == "link-kept"


def test_rewrite_says_of_each_message_of_a_series_what_it_does(tmp_path: Path) -> None:
    """One after the other on one state: the word and its sentence, and the golden octets with one and the same link."""
    links, words = set(), []
    for case in (case for case in cases() if "-notes-chain-" in case.name):
        at = ("--now", case.facts["now"].isoformat(), "--state", str(tmp_path / "state"))
        result = run("rewrite", "--explain", *OWN, *at, stdin=case.message)
        found = explained(result)
        assert (result.returncode, found["verdict"]) == (0, case.facts["verdict"])
        assert found["explanation"] == EXPLANATIONS[Reason(case.facts["reason"])]
        words.append(found["reason"])
        if case.facts["verdict"] == "rewrite":
            joined, expected = (re.sub(rb"=\r\n|\r\n[ \t]", b"", octets) for octets in (result.stdout, case.expected))
            links |= set(LINK.findall(joined))
            assert LINK.sub(b"", joined) == LINK.sub(b"", expected)
        else:
            assert result.stdout == case.message
            assert found["edits"] == []
    assert words == ["link-added", *["link-kept"] * 3, "date-cancelled", "attendees-cancelled", "meeting-cancelled"]
    assert len(links) == 1


def test_rewrite_needs_to_know_whose_invitations_are_own(message: Path) -> None:
    """Without --organizer-domain every organizer is a foreign one."""
    result = run("rewrite", "--explain", "--config", os.devnull, "--state", str(message.parent / "state"), str(message))
    assert (result.returncode, result.stdout) == (0, message.read_bytes())
    assert explained(result)["reason"] == "organizer-foreign"


def test_rewrite_takes_the_time_from_now(message: Path) -> None:
    """--now decides whether a meeting is over; a time without a zone is UTC."""
    over = run("rewrite", "--explain", *OWN, "--now", "2020-02-03T18:30:00", str(message))
    assert explained(over)["reason"] == "meeting-over"
    zone = run("rewrite", "--explain", *OWN, "--now", "2020-02-03T11:00:00+02:00", str(message))
    assert explained(zone)["reason"] == "link-added"
    assert explained(run("rewrite", "--explain", *OWN, str(message)))["reason"] == "meeting-over"


def test_rewrite_refuses_a_time_that_is_none(message: Path) -> None:
    """A mistyped time does not mean: now."""
    result = run("rewrite", "--now", "tomorrow", str(message))
    assert (result.returncode, result.stdout) == (78, b"")
    assert result.stderr == b"notes2conf-milter: --now: not a time; allowed is ISO 8601, as 2026-11-22T10:00:00Z\n"


def test_rewrite_exits_75_when_the_message_would_be_deferred(message: Path, tmp_path: Path) -> None:
    """Nothing on standard output then: the message is still with whoever sent it. Here the database is damaged."""
    state = tmp_path / "state"
    arguments = ("rewrite", "--explain", *OWN, *BEFORE, "--state", str(state), str(message))
    assert run(*arguments).returncode == 0
    database = state / "meetings.sqlite3"
    first_page = database.read_bytes()[:4096]
    database.write_bytes(first_page.ljust(database.stat().st_size, b"x"))
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (75, b"")
    assert (explained(result)["verdict"], explained(result)["reason"]) == ("defer", "store-unavailable")


def test_rewrite_passes_a_message_whose_meeting_cannot_be_opened(message: Path, tmp_path: Path) -> None:
    """Waiting would not mend it: here the epoch secret is another one, and the meeting's row is closed for good."""
    state = tmp_path / "state"
    arguments = ("rewrite", "--explain", *OWN, *BEFORE, "--state", str(state), str(message))
    assert run(*arguments).returncode == 0
    other = tmp_path / "other"
    other.mkdir()
    new_keys(other, int(AT.timestamp()))
    (other / "epoch").replace(state / "epoch")
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (0, message.read_bytes())
    assert (explained(result)["verdict"], explained(result)["reason"]) == ("pass", "meeting-unreadable")


def test_rewrite_exits_75_when_the_store_is_busy(message: Path, tmp_path: Path) -> None:
    """Another process that keeps the database locked is a reason to try again, not a fault in the message."""
    state = tmp_path / "state"
    arguments = ("rewrite", "--explain", *OWN, *BEFORE, "--state", str(state), str(message))
    assert run(*arguments).returncode == 0
    with sqlite3.connect(state / "meetings.sqlite3", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        result = run(*arguments)
        other.execute("ROLLBACK")
    assert (result.returncode, result.stdout) == (75, b"")
    assert explained(result)["reason"] == "store-unavailable"


def test_a_message_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    """Exit code 2, as for every wrong argument."""
    assert run("rewrite", str(tmp_path / "none.eml")).returncode == 2


# --- key new ---


def test_key_new_makes_both_keys_and_never_overwrites(tmp_path: Path) -> None:
    """The second run changes nothing: an overwritten key would make every meeting unreadable."""
    state = tmp_path / "state"
    first = run("key", "new", "--state", str(state))
    assert first.returncode == 0
    text = f"made {state}/mail-key and {state}/epoch; keep the second out of every backup\n"
    assert first.stdout.decode() == text
    assert [(state / name).stat().st_mode & 0o777 for name in ("mail-key", "epoch")] == [0o600, 0o640]
    before = [(state / name).read_bytes() for name in ("mail-key", "epoch")]
    second = run("key", "new", "--state", str(state))
    assert second.returncode == 78
    assert second.stderr.decode().startswith(f"notes2conf-milter: {state}/mail-key: exists already;")
    assert [(state / name).read_bytes() for name in ("mail-key", "epoch")] == before


def test_key_new_says_where_a_key_belongs(tmp_path: Path) -> None:
    """Both keys are made in the state folder; where the settings name another place, that is said and not pretended."""
    settings = tmp_path / "notes2conf.toml"
    settings.write_text('[keys]\nmail = "/etc/notes2conf/mail-key"\n', "utf-8")
    state = tmp_path / "state"
    result = run("key", "new", "--config", str(settings), "--state", str(state))
    assert result.stdout.decode().splitlines()[1:] == [
        f"keys.mail is /etc/notes2conf/mail-key: move {state}/mail-key there"
    ]
    assert (state / "mail-key").exists()


# --- purge ---


def test_purge_says_how_many_meetings_it_deleted(message: Path, tmp_path: Path) -> None:
    """What is over goes, and a second run finds nothing."""
    state = tmp_path / "state"
    assert run("rewrite", *OWN, *BEFORE, "--state", str(state), str(message)).returncode == 0
    first, second = run("purge", "--state", str(state)), run("purge", "--state", str(state))
    assert (first.returncode, first.stdout) == (0, b"deleted 1 meetings\n")
    assert (second.returncode, second.stdout) == (0, b"deleted 0 meetings\n")
    with sqlite3.connect(state / "meetings.sqlite3") as database:
        counts = [database.execute(f"select count(*) from {table}").fetchone()[0] for table in ("meeting", "link")]
    assert counts == [0, 0]


def test_purge_says_when_it_could_not_finish(message: Path, tmp_path: Path) -> None:
    """While somebody reads, octets of what was deleted may remain: exit code 75, and systemd runs it again."""
    state = tmp_path / "state"
    assert run("rewrite", *OWN, *BEFORE, "--state", str(state), str(message)).returncode == 0
    with sqlite3.connect(state / "meetings.sqlite3", isolation_level=None) as reader:
        reader.execute("BEGIN")
        reader.execute("select * from meeting").fetchall()
        result = run("purge", "--state", str(state))
        reader.execute("ROLLBACK")
    assert (result.returncode, result.stdout) == (75, b"deleted 1 meetings\n")
    assert result.stderr == b"notes2conf-milter: the write-ahead log is still being read; run purge again\n"
    assert run("purge", "--state", str(state)).returncode == 0


def test_purge_needs_the_epoch_secret(tmp_path: Path) -> None:
    """Set up wrong: exit code 78 with the file's name."""
    result = run("purge", "--state", str(tmp_path))
    assert result.returncode == 78
    assert result.stderr.startswith(f"notes2conf-milter: {tmp_path}/epoch: ".encode())


# --- config check ---


def test_config_check_is_content_with_a_complete_set_up(tmp_path: Path) -> None:
    """Every needed setting by option, keys there: ok."""
    new_keys(tmp_path, int(time.time()))
    tmp_path.chmod(0o770)
    result = run(
        *("config", "check", "--config", os.devnull, "--state", str(tmp_path), *OWN),
        *("--allow-network", "192.0.2.0/24", "--milter", f"unix:{tmp_path}/milter.sock"),
        *("--jitsi-url", "https://meet.example.org"),
    )
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == b"ok: /dev/null"
    assert b"error: " not in result.stdout


def test_config_check_says_everything_at_once(tmp_path: Path) -> None:
    """One line for each thing that is missing, exit code 78."""
    result = run("config", "check", "--config", os.devnull, "--state", str(tmp_path / "none"))
    found = [line.split(": ")[1].split(" ")[0] for line in result.stdout.decode().splitlines() if "error: " in line]
    assert result.returncode == 78
    assert found == ["base_url", "policy.organizer_domains", "no"] + [
        f"{tmp_path}/none/{name}" for name in ("mail-key", "epoch")
    ]


def test_config_check_warns_of_what_is_allowed_but_dangerous(tmp_path: Path) -> None:
    """Loopback as an own network, From as sender, a public milter socket."""
    settings = tmp_path / "notes2conf.toml"
    settings.write_text(
        '[policy]\nsender = "from"\nallowed_networks = ["127.0.0.0/8"]\n[milter]\nlisten = ["inet:192.0.2.1:8891"]\n',
        "utf-8",
    )
    result = run("config", "check", "--config", str(settings))
    warnings = [line for line in result.stdout.decode().splitlines() if line.startswith("warning: ")]
    for key in ("policy.allowed_networks", "policy.sender", "milter.listen"):
        assert any(line.startswith(f"warning: {key} ") for line in warnings), key


# --- mail and web ---


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ((), "base_url: mail needs it; set it there or give --base-url"),
        (("--base-url", BASE_URL), "policy.organizer_domains: mail needs it; set it there or give --organizer-domain"),
        (OWN, "milter.listen: mail (or smtp.listen, --smtp) needs it; set it there or give --milter"),
        ((*OWN, "--smtp", "127.0.0.1:0"), "smtp.next_hop: the SMTP door (smtp.listen) needs it"),
    ],
)
def test_mail_names_the_setting_that_is_missing(given: tuple[str, ...], missing: str) -> None:
    """Exit code 78 before anything listens."""
    result = run("mail", "--config", os.devnull, *given)
    assert result.returncode == 78
    assert result.stderr.decode().startswith(f"notes2conf-milter: /dev/null: {missing}")


@pytest.mark.parametrize(
    ("content", "given", "missing"),
    [
        ("", (), "base_url: web needs it; set it there or give --base-url"),
        (
            "[services]\nlink_hosts = []\n",
            ("--base-url", BASE_URL),
            "services.offered: nothing that all can choose is set up;",
        ),
        (
            '[services]\njitsi_app_id = "x"\n',
            ("--base-url", BASE_URL, "--jitsi-url", BASE_URL),
            "services.jitsi_app_id: ",
        ),
        (
            '[web]\nlogo = "/none-such/logo.png"\n',
            ("--base-url", BASE_URL),
            "web.logo: /none-such/logo.png cannot be read",
        ),
    ],
)
def test_web_names_the_setting_that_is_missing(
    tmp_path: Path, content: str, given: tuple[str, ...], missing: str
) -> None:
    """Exit code 78 before anything listens."""
    file = tmp_path / "notes2conf.toml"
    file.write_text(content, "utf-8")
    result = run("web", "--config", str(file), *given)
    assert result.returncode == 78
    assert result.stderr.decode().startswith(f"notes2conf-milter: {file}: {missing}")


def test_mail_needs_its_keys(tmp_path: Path) -> None:
    """A folder with a database and without keys is a lost key, not a new installation: none is made."""
    (tmp_path / "meetings.sqlite3").touch()
    result = run("mail", *OWN, "--config", os.devnull, "--milter", "inet:127.0.0.1:0", "--state", str(tmp_path))
    assert result.returncode == 78
    assert b"epoch" in result.stderr or b"mail-key" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["meetings.sqlite3"]


def test_mail_runs_from_options_alone(tmp_path: Path) -> None:
    """Without a settings file: keys are made in a new folder, and that is said; SIGTERM ends it with exit code 0."""
    state, door = tmp_path / "state", tmp_path / "milter.sock"
    options = (*OWN, "--config", os.devnull, "--milter", f"unix:{door}", "--smtp", "127.0.0.1:0")
    with running("mail", *options, "--next-hop", "127.0.0.1:9", "--state", str(state), watch="stderr") as service:
        service.wait_for("mail: listening on ")
        assert service.seen[0] == f"notes2conf-milter: made new keys in {state}\n"
        assert f"unix:{door}, inet:127.0.0.1:" in service.seen[-1]
        assert door.stat().st_mode & 0o007 == 0  # nobody beside owner and group
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(door))
        assert service.end(signal.SIGTERM) == 0
    assert not door.exists()


def test_a_service_tells_systemd_when_it_is_ready_and_when_it_stops(tmp_path: Path) -> None:
    """READY=1 comes when it listens, STOPPING=1 at the signal (sd_notify(3))."""
    new_keys(tmp_path, int(time.time()))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(SECONDS)
        options = ("--config", os.devnull, "--listen", "127.0.0.1:0", "--state", str(tmp_path))
        with running(
            *("web", *options, "--base-url", BASE_URL, "--jitsi-url", "https://meet.example.org"),
            watch="stderr",
            environment={"NOTIFY_SOCKET": str(tmp_path / "notify")},
        ) as service:
            assert notified.recv(100) == b"READY=1"
            service.wait_for("web: listening on 127.0.0.1:")
            assert service.end(signal.SIGTERM) == 0
            assert notified.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize(
    ("command", "option", "form", "key"),
    [
        ("mail", "--milter", "inet:{}", "milter.listen"),
        ("mail", "--smtp", "{}", "smtp.listen"),
        ("web", "--listen", "{}", "web.listen"),
    ],
)
def test_a_port_that_is_taken_stops_the_start(tmp_path: Path, command: str, option: str, form: str, key: str) -> None:
    """One line that names the setting, and exit code 75 (it may be free at the next try), no traceback."""
    new_keys(tmp_path, int(time.time()))
    more = {"--smtp": ("--next-hop", "127.0.0.1:9")}.get(option, ())
    own = OWN if command == "mail" else ("--base-url", "https://conf.example.org")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = form.format(f"127.0.0.1:{taken.getsockname()[1]}")
        arguments = (*own, "--config", os.devnull, option, address, *more, "--state", str(tmp_path))
        result = run(command, *arguments)
    assert result.returncode == 75
    assert result.stderr.decode() == f"notes2conf-milter: {key} {address}: Address already in use\n"


def test_an_address_that_is_not_this_machines_stops_the_start(tmp_path: Path) -> None:
    """It may come up later: exit code 75; the setting that may have to be changed is named."""
    new_keys(tmp_path, int(time.time()))
    address = "192.0.2.200:8080"  # TEST-NET-1 (RFC 5737)
    own = ("--base-url", "https://conf.example.org", "--config", os.devnull, "--state", str(tmp_path))
    result = run("web", *own, "--listen", address)
    assert result.stderr.decode() == f"notes2conf-milter: web.listen {address}: Cannot assign requested address\n"
    assert result.returncode == 75


def test_help_cuts_no_sentence_off() -> None:
    """On a terminal of 80 columns the list of commands says of each what it does, to the end."""
    for group in ((), ("key",), ("config",)):
        _, commands, listed = run(*group, "--help").stdout.decode().partition("Commands:\n")
        assert commands and "..." not in listed


# --- demo ---


def status(url: str) -> int:
    """Return the status code of a GET."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_demo_shows_both_links_and_stays_until_ctrl_c() -> None:
    """The first thing that anybody tries: the difference, two links that open, and an orderly end."""
    with running("demo", watch="stdout") as demo:
        demo.wait_for("Ctrl-C")
        text = "".join(demo.seen)
        join = re.search(r"^Join link \(in the invitation\): +(http://\S+/j/[a-z2-7]{32})$", text, re.MULTILINE)
        start = re.search(r"^Start link \(organizer's mail\): +(http://\S+/s/[a-z2-7]{32})$", text, re.MULTILINE)
        assert join is not None and start is not None
        assert re.search(r"^ +\+LOCATION:.*" + re.escape(join[1]), text, re.MULTILINE)
        assert (status(join[1]), status(start[1])) == (200, 200)
        assert status(join[1][:-4] + "aaaa") == 404
        assert demo.end(signal.SIGINT) == 0


def test_tls_check_shows_its_progress(place: Place) -> None:
    """Each line comes when it happens, not at the end; Ctrl-C is no verdict."""
    place.mx(MailHost(silent=1))
    server, port = place.dns.address
    options = ("--resolver", f"{server}:{port}", "--port", str(place.port), "--ca", str(place.ca))
    with running("tls", "check", *options, "example.test", watch="stdout") as check:
        check.wait_for("--> EHLO")
        assert check.process.poll() is None
        assert check.end(signal.SIGINT) == 130
    with running("tls", "check", "--json", *options, "example.test", watch="stderr") as check:
        check.wait_for("--> EHLO")


def test_no_service_loads_the_dns_client_of_tls_check() -> None:
    """It is for one command; the services ask no DNS."""
    program = "import sys, notes2conf_milter.cli; sys.exit('dns.asyncresolver' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=SECONDS, check=False).returncode == 0


def test_version_and_help() -> None:
    """Every command is listed."""
    assert run("--version").stdout.startswith(b"notes2conf-milter, version ")
    text = run("--help").stdout.decode()
    for command in ("config", "demo", "key", "mail", "purge", "rewrite", "tls", "web"):
        assert re.search(rf"^  {command} ", text, re.MULTILINE)


# --- tls report ---

RECORD = "1795816800.000000 mx x: INFO notes2conf.mail: queue_id=4X door=milter verdict=pass reason=no-calendar tls=none peer=-"


def test_tls_report(tmp_path: Path) -> None:
    """From a log file as text, JSON and a page; the rules are those of the settings file."""
    log, settings, page = tmp_path / "log", tmp_path / "c.toml", tmp_path / "page.html"
    log.write_text(f"{RECORD}\n" * 3)
    settings.write_text('[tls]\nrules = ["example.org require"]\n')
    options = ("tls", "report", "--file", str(log), "--since", "2026-11-01", "--config", str(settings))
    shown = run(*options)
    assert (
        shown.returncode == 0
        and "Messages: 3" in shown.stdout.decode()
        and "example.org require" in shown.stdout.decode()
    )
    assert json.loads(run(*options, "--json").stdout)["messages"]["plain"] == 3
    written = run(*options, "--html", str(page), "--language", "de")
    assert written.returncode == 0 and written.stdout.decode() == f"wrote {page}: 3 messages\n"
    assert '<html lang="de">' in page.read_text()
    assert (
        "no record of this period"
        in run(*options[:4], "--since", "2027-01-01", "--config", str(settings)).stdout.decode()
    )


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--since", "soon", "--file", "x"), 78, "--since: not a time; allowed is a span"),
        (("--file", "/none/such"), 75, "/none/such: cannot be read"),
    ],
)
def test_what_tls_report_cannot_do(options: tuple[str, ...], code: int, words: str) -> None:
    result = run("tls", "report", "--config", "/dev/null", *options)
    assert result.returncode == code and words in result.stderr.decode()


# --- dkim ---


def made_keys(folder: Path, *options: str) -> tuple[Path, str]:
    """Keys of example.org made by the command; a settings file that names them as it says; what it said."""
    done = run("dkim", "new", "example.org", "--folder", str(folder / "dkim"), *options)
    assert (done.returncode, done.stderr) == (0, b"")
    said = done.stdout.decode()
    settings = folder / "notes2conf.toml"
    policy = '[policy]\norganizer_domains = ["example.org"]\n'
    settings.write_text(policy + "[dkim]\n" + said[said.index("keys = [") :], "utf-8")
    return settings, said


def zone(said: str) -> dict[str, bytes]:
    """The records that the command printed, as a name server has them."""
    lines = re.findall(r"^(\S+)\. IN TXT (.*?)(?=^\S|^$)", said, re.MULTILINE | re.DOTALL)
    return {name: "".join(re.findall(r'"([^"]*)"', text)).encode() for name, text in lines}


def test_new_dkim_keys_can_be_published_and_used_as_they_are_printed(tmp_path: Path) -> None:
    """Records, settings and files fit together; what is rewritten with them verifies, and --explain says who signed."""
    settings, said = made_keys(tmp_path, "--selector", "n2c")
    published = zone(said)
    assert list(published) == ["n2c-rsa._domainkey.example.org", "n2c-ed25519._domainkey.example.org"]
    with NameServer(published) as server:
        done = run("dkim", "check", "--config", str(settings), "--resolver", server.address.netloc)
    assert (done.returncode, done.stdout.count(b"ok: n2c-")) == (0, 2), done
    message = (MESSAGES / "002-notes-85-simple" / "in.eml").read_bytes()
    done = run(
        "rewrite", "--explain", "--config", str(settings), "--state", str(tmp_path / "state"), *BEFORE, stdin=message
    )
    assert verified(done.stdout, published) == [("example.org", True)] * 2
    explained = json.loads(done.stderr.splitlines()[-1])
    assert [one["edit"] for one in explained["edits"]] == ["replace-body", "insert-header", "insert-header"]
    assert explained["signatures"] == [
        {"domain": "example.org", "selector": "n2c-rsa", "algorithm": "rsa-sha256"},
        {"domain": "example.org", "selector": "n2c-ed25519", "algorithm": "ed25519-sha256"},
    ]


def test_dkim_keys_are_never_overwritten(tmp_path: Path) -> None:
    """The second call says so, with exit code 78; the selector has the month in it, so that the next keys are others."""
    _, said = made_keys(tmp_path)
    assert re.search(r"n2c20[0-9]{4}-rsa\._domainkey", said)
    before = {path: path.read_bytes() for path in (tmp_path / "dkim").iterdir()}
    done = run("dkim", "new", "example.org", "--folder", str(tmp_path / "dkim"))
    assert (done.returncode, b"exists already" in done.stderr, done.stdout) == (78, True, b"")
    assert {path: path.read_bytes() for path in (tmp_path / "dkim").iterdir()} == before
    for wrong in (("exa mple.org",), ("example.org", "--selector", "a b")):
        assert run("dkim", "new", *wrong, "--folder", str(tmp_path / "dkim")).returncode == 2


def test_dkim_check_tells_what_is_wrong_from_what_cannot_be_known(tmp_path: Path) -> None:
    """Exit codes for monitoring: 78 where a record is wrong, 75 where DNS does not say; plain sentences."""
    settings, said = made_keys(tmp_path, "--selector", "n2c")
    rsa, ed25519 = published = zone(said)

    def check(records: dict[str, bytes | None]) -> subprocess.CompletedProcess[bytes]:
        with NameServer(records) as server:
            return run("dkim", "check", "--config", str(settings), "--resolver", server.address.netloc)

    done = check({rsa: published[rsa]})
    assert done.returncode == 78
    assert f"error: {ed25519}: there is no TXT record; publish: v=DKIM1; k=ed25519; p=" in done.stdout.decode()
    done = check({**published, rsa: None})
    assert done.returncode == 75
    assert f"unknown: {rsa}: DNS does not say what is there" in done.stdout.decode()
    assert check({rsa: None}).returncode == 78
    empty = tmp_path / "empty.toml"
    empty.write_text("", "utf-8")
    done = run("dkim", "check", "--config", str(empty))
    assert (done.returncode, b"dkim.keys: is empty" in done.stderr) == (78, True)
    assert run("dkim", "check", "--config", str(settings), "--resolver", "ns.example.org:53").returncode == 2


def test_a_dkim_key_that_others_can_read_stops_the_service(tmp_path: Path) -> None:
    """Exit code 78, with file, key and what is allowed."""
    settings, _ = made_keys(tmp_path, "--selector", "n2c")
    path = tmp_path / "dkim" / "example.org.n2c-rsa.pem"
    path.chmod(0o644)
    new_keys(tmp_path, 1_700_000_000)
    done = run("mail", "--config", str(settings), *OWN, "--state", str(tmp_path), "--milter", f"unix:{tmp_path}/m.sock")
    assert done.returncode == 78
    assert done.stderr.decode().strip() == (
        f"notes2conf-milter: {settings}: dkim.keys: {path}: mode 0644 is too open for a key; allowed is 0600 (its owner alone)"
    )
