"""A real Postfix of its own for a test: loopback, free ports, its own queue, configuration and log, gone afterwards.

    with directory() as place, Sink() as sink:
        with Postfix(place, [Listener(options={"smtpd_milters": f"unix:{place}/milter"})], relay_to=sink.address) as postfix:
            reply = send(postfix.ports[0], "anna@example.org", ["bob@example.net"], message, xclient={"ADDR": "192.0.2.10"})

Whatever the recipient, mail goes to `relay_to`; DNS is never asked. Clients may say who they are by XCLIENT, so that a test
on loopback can come from any address. The host's own Postfix, its files and its services are not touched.
Needs root (Postfix does) and the Debian package postfix. Fails: PostfixMissing or PostfixFailed, with what Postfix said.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_POLL = 0.05
_QUEUES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt")  # in the order in which a message moves
_CLOCK_IS_SET = ("warning: file system clock is ", "warning: resetting file time stamps")  # cleanup(8), not about mail
_LOG_PREFIX = re.compile(r"^(\w{3} [ \d]\d [\d:]{8}|\d{4}-\S+) ")

# service type private unpriv chroot wakeup maxproc command: as Postfix ships them, without chroot and without a public smtpd
_SERVICES = """\
pickup     unix       n - n 1     1 pickup
cleanup    unix       n - n -     0 cleanup
qmgr       unix       n - n 1     1 qmgr
tlsmgr     unix       - - n 1000? 1 tlsmgr
rewrite    unix       - - n -     - trivial-rewrite
bounce     unix       - - n -     0 bounce
defer      unix       - - n -     0 bounce
trace      unix       - - n -     0 bounce
verify     unix       - - n -     1 verify
flush      unix       n - n 1000? 0 flush
proxymap   unix       - - n -     - proxymap
proxywrite unix       - - n -     1 proxymap
smtp       unix       - - n -     - smtp
relay      unix       - - n -     - smtp
lmtp       unix       - - n -     - lmtp
showq      unix       n - n -     - showq
error      unix       - - n -     - error
retry      unix       - - n -     - error
discard    unix       - - n -     - discard
anvil      unix       - - n -     1 anvil
scache     unix       - - n -     1 scache
postlog    unix-dgram n - n -     1 postlogd
"""

_SETTINGS = {
    "compatibility_level": "3.6",
    "myhostname": "mx.example.org",
    "mydestination": "",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "mynetworks": "0.0.0.0/0",  # it listens on loopback alone; by XCLIENT a test comes from anywhere
    "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
    "smtpd_authorized_xforward_hosts": "127.0.0.0/8",
    "smtpd_relay_restrictions": "permit_mynetworks, reject",
    "smtpd_recipient_restrictions": "permit_mynetworks, reject",
    "smtpd_peername_lookup": "no",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_client_connection_rate_limit": "0",
    "smtpd_error_sleep_time": "0",
    "disable_dns_lookups": "yes",
    "smtp_host_lookup": "native",
    "smtp_tls_security_level": "none",
    "local_transport": "error:no local mail here",
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "local_header_rewrite_clients": "",  # add no header, complete no address
    "append_dot_mydomain": "no",
    "message_drop_headers": "",  # the default drops Return-Path and Bcc; here all that was sent shall arrive
    "biff": "no",
    "notify_classes": "",
    "milter_default_action": "tempfail",
    "milter_protocol": "6",
    "milter_connect_timeout": "10s",
    "milter_command_timeout": "10s",
    "milter_content_timeout": "60s",
    "in_flow_delay": "0",
    "queue_run_delay": "1s",
    "minimal_backoff_time": "1s",
    "maximal_backoff_time": "2s",
    "message_size_limit": "52428800",
    "smtputf8_enable": "yes",
}


class PostfixMissing(RuntimeError):
    """Postfix cannot be run on this machine; the text says what is missing."""


class PostfixFailed(RuntimeError):
    """Postfix did not do what it was told; the text has its words and the end of its log."""


@dataclass(frozen=True)
class Listener:
    """One smtpd. port 0: a free one. options: main.cf parameters for this listener alone (`-o` in master.cf).

    address: IPv6 in brackets; "": every one that inet_interfaces has.
    """

    port: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    address: str = "127.0.0.1"


class Here:
    """Where a Postfix runs: this machine. `tests.live.hosts.Host` has the same methods for a network namespace."""

    def command(self, *words: str) -> list[str]:
        """Return how a command is run there."""
        return list(words)

    def inside(self, call: Callable[[], T]) -> T:
        """Call something whose new sockets are to be there."""
        return call()


@contextmanager
def directory() -> Iterator[Path]:
    """Yield a temporary directory with a short path that the user postfix may enter (pytest's tmp_path is root's alone)."""
    with tempfile.TemporaryDirectory(prefix="n2c-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Postfix:
    """An instance; a context manager. `ports` are those of the listeners, in their order."""

    def __init__(
        self,
        place: Path,
        listeners: Sequence[Listener],
        relay_to: str,
        extra: Mapping[str, str] | None = None,
        services: Sequence[str] = (),
        machine: Here | None = None,
    ) -> None:
        """place: an empty directory that the user postfix may enter. relay_to: HOST:PORT. services: more lines of master.cf."""
        self.place = place
        self._machine = machine or Here()
        self.configuration = place / "etc"
        self.queue = place / "spool"
        self.log_file = place / "mail.log"
        chosen = iter(free_ports(len(listeners)))
        self.ports = [listener.port or next(chosen) for listener in listeners]
        host, _, port = relay_to.rpartition(":")
        self._main = _SETTINGS | {
            "queue_directory": str(self.queue),
            "data_directory": str(place / "data"),
            "maillog_file": str(self.log_file),
            "maillog_file_prefixes": f"/var, /dev/stdout, {place}",
            "default_transport": f"smtp:[{host.strip('[]')}]:{port}",
            "relay_transport": f"smtp:[{host.strip('[]')}]:{port}",
            **(extra or {}),
        }
        smtpds = [_listener(port, one) for port, one in zip(self.ports, listeners, strict=True)]
        self._loopback = [
            port for port, one in zip(self.ports, listeners, strict=True) if one.address in ("", "127.0.0.1")
        ]
        self._master = [_SERVICES.rstrip("\n"), *smtpds, *services]

    def __enter__(self) -> "Postfix":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Write the configuration, start, and wait until every listener greets."""
        _check_machine()
        _check_reachable(self.place)
        self.configuration.mkdir(exist_ok=True)
        self.queue.mkdir(exist_ok=True)
        data = self.place / "data"
        data.mkdir(exist_ok=True)
        shutil.chown(data, "postfix")
        _write(self.configuration / "main.cf", [f"{name} = {value}" for name, value in self._main.items()])
        _write(self.configuration / "master.cf", self._master)
        try:
            self._command("start")
        except PostfixFailed:  # a free port may have become the other end of somebody's connection
            time.sleep(1)
            self._command("start")
        try:
            for port in self._loopback:
                self._wait_for_greeting(port)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop this instance and wait until its master is gone; nothing when it does not run."""
        if self.running():
            self._command("stop")

    def running(self) -> bool:
        """Say whether the master runs."""
        return self._run("status").returncode == 0

    def reload(self, extra: Mapping[str, str]) -> None:
        """Change main.cf and let every process read it."""
        self._main |= extra
        _write(self.configuration / "main.cf", [f"{name} = {value}" for name, value in self._main.items()])
        self._command("reload")

    def restart(self, old: str, new: str) -> None:
        """Change master.cf where `old` stands. After a mere reload a process that was idle would take one more message."""
        assert any(old in line for line in self._master), old
        self.stop()
        self._master = [line.replace(old, new) for line in self._master]
        self.start()

    def flush(self) -> None:
        """Try every deferred message now."""
        self._command("flush")

    def log(self) -> str:
        """Return the mail log so far."""
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    def warnings(self) -> list[str]:
        """Return the lines of the log that warn or worse, without their dates; not that a clock was set."""
        words = ("warning:", "error:", "fatal:", "panic:")
        found = [line for line in self.log().splitlines() if any(word in line for word in words)]
        return [_LOG_PREFIX.sub("", line) for line in found if not any(word in line for word in _CLOCK_IS_SET)]

    def empty_queue(self) -> None:
        """Throw away each message that is in the queue, and wait until none is."""
        command = self._machine.command("postsuper", "-c", str(self.configuration), "-d", "ALL")
        subprocess.run(command, env={"PATH": _PATH, "LC_ALL": "C"}, check=True, capture_output=True, timeout=60)
        self.wait_until_idle()

    def queued(self) -> list[Path]:
        """Return the files of all messages that are in the queue, in whatever state."""
        found = []
        for name in _QUEUES:
            for folder, _, files in os.walk(self.queue / name):
                found += [Path(folder, file) for file in files]
        return found

    def queue_is_empty(self) -> bool:
        """Say whether no message is in the queue, in whatever state."""
        return not self.queued()

    def wait_until_idle(self, timeout: float = 30.0) -> None:
        """Wait until the queue is empty, twice in a row: between two looks a message may move from one queue to another."""
        deadline = time.monotonic() + timeout
        empty = 0
        while empty < 2:
            empty = empty + 1 if self.queue_is_empty() else 0
            if time.monotonic() > deadline:
                raise PostfixFailed(f"the queue is not empty after {timeout:g} s: {self.queued()}\n{self._tail()}")
            time.sleep(_POLL)

    def _command(self, word: str) -> None:
        done = self._run(word)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).decode("utf-8", "replace")
            raise PostfixFailed(f"`postfix {word}` said {done.returncode}: {said}\n{self._tail()}")

    def _run(self, word: str) -> subprocess.CompletedProcess[bytes]:
        environment = {"PATH": _PATH, "LC_ALL": "C", "MAIL_CONFIG": str(self.configuration)}
        command = self._machine.command("postfix", "-c", str(self.configuration), word)
        # A file, not a pipe: master inherits it and would keep a pipe open as long as it lives.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=60
            )
            said.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, said.read(), b"")

    def _wait_for_greeting(self, port: int, timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        while True:
            try:
                with self._machine.inside(lambda: Client(port)):
                    return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise PostfixFailed(f"nobody greets on port {port}: {error}\n{self._tail()}") from error
                time.sleep(_POLL)

    def _tail(self) -> str:
        return "\n".join(self.log().splitlines()[-40:])


def _listener(port: int, listener: Listener) -> str:
    where = f"{listener.address}:{port}".removeprefix(":")
    lines = [f"{where} inet n - n - - smtpd", f"    -o syslog_name=postfix/{port}"]
    # braces: the value may hold blanks
    lines += [f"    -o {{ {name} = {value} }}" for name, value in listener.options.items()]
    return "\n".join(lines)


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _check_machine() -> None:
    if shutil.which("postfix", path=_PATH) is None:
        raise PostfixMissing("there is no Postfix here; on Debian: apt-get install --no-install-recommends postfix")
    if os.geteuid() != 0:
        raise PostfixMissing("Postfix is started by root alone: run the live tests as root")


def _check_reachable(place: Path) -> None:
    for folder in (place, *place.parents):
        if not folder.stat().st_mode & 0o001:
            raise PostfixMissing(f"the user postfix cannot enter {folder}; use directory() of this module")


@dataclass(frozen=True)
class Reply:
    """An SMTP reply (RFC 5321 §4.2): its code, and its lines without code and line end."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines, joined by blanks."""
        return " ".join(self.lines)


class Client:
    """A raw SMTP client; a context manager. It changes no octet of what it sends, dots aside."""

    def __init__(self, port: int, timeout: float = 60.0, address: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((address, port), timeout)
        self._input = self._socket.makefile("rb")
        self.greeting = self._reply_or_close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self.command("QUIT")
        self.close()

    def close(self) -> None:
        """Cut the connection without a word."""
        self._input.close()
        self._socket.close()

    def command(self, line: str) -> Reply:
        """Send one command line and return the reply."""
        self._socket.sendall(line.encode("utf-8") + b"\r\n")
        return self._reply()

    def xclient(self, attributes: Mapping[str, str]) -> Reply:
        """Say who we are (ADDR, NAME, LOGIN, HELO …); Postfix greets anew, so EHLO has to follow."""
        return self.command("XCLIENT " + " ".join(f"{name}={_xtext(value)}" for name, value in attributes.items()))

    def message(self, octets: bytes) -> Reply:
        """Send what follows 354: dots at the start of lines doubled, a final CRLF added where there is none, and the dot."""
        end = b"" if octets.endswith(b"\r\n") or not octets else b"\r\n"
        lines = octets.split(b"\r\n")
        stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)
        self._socket.sendall(stuffed + end + b".\r\n")
        return self._reply()

    def _reply(self) -> Reply:
        lines = []
        while True:
            line = self._input.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError("the server closed the connection")
            lines.append(line[4:].decode("utf-8", "replace").rstrip("\r\n"))
            if line[3:4] != b"-":
                return Reply(int(line[:3]), tuple(lines))

    def _reply_or_close(self) -> Reply:
        try:
            return self._reply()
        except BaseException:
            self.close()
            raise


def _xtext(value: str) -> str:
    """Encode as RFC 3461 §4 has it; XCLIENT_README asks for it."""
    return "".join(c if "!" <= c <= "~" and c not in "+=" else f"+{ord(c):02X}" for c in value)


def send(
    port: int, sender: str, recipients: Sequence[str], message: bytes, xclient: Mapping[str, str] | None = None
) -> Reply:
    """Send one message and return the reply to its final dot, or the first reply before it that was no success."""
    with Client(port) as client:
        if client.greeting.code != 220:
            return client.greeting
        steps = ["EHLO client.example"]
        if xclient:
            reply = client.command(steps[0])
            if reply.code != 250 or (reply := client.xclient(xclient)).code != 220:
                return reply
        body = " BODY=8BITMIME" if any(octet > 127 for octet in message) else ""
        steps += [f"MAIL FROM:<{sender}>{body}", *(f"RCPT TO:<{recipient}>" for recipient in recipients), "DATA"]
        for step in steps:
            reply = client.command(step)
            if reply.code // 100 not in (2, 3):
                return reply
        return client.message(message)
