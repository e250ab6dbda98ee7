"""The milter door behind a real Postfix, beside its peers, in interleaved rounds: smtp-source -> smtpd (+ milter) -> discard.

Peers: no milter; a bare milter in C on epoll, which is the floor of having any; a no-op with libmilter; pymilter that asks for
no more than it needs, and pymilter with every callback. Measured: messages a second, and the milter's own CPU time.
"""

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import mails
from tests.bench.report import Report, cpu, memory, tree
from tests.live.gateway import COMMAND
from tests.live.postfix import Client, Listener, Postfix, directory, free_ports

PEERS = Path(__file__).with_name("peers")
SYSTEM_PYTHON = "/usr/bin/python3"
SESSIONS = 20
NONE, FLOOR, LIBMILTER, TUNED, NAIVE, OURS = (
    "no milter",
    "C epoll",
    "C libmilter",
    "pymilter tuned",
    "pymilter naive",
    "ours",
)
BY_TCP = "ours by TCP"
POSTFIX = {
    "default_transport": "discard:",
    "relay_transport": "discard:",
    "default_process_limit": "120",
    "qmgr_message_active_limit": "40000",
    "max_use": "100000",
    "milter_content_timeout": "60s",
}


@dataclass(frozen=True)
class Run:
    """One round. seconds: for all messages. own: seconds of the milter's CPU time a message."""

    seconds: float
    own: float


Runs = dict[str, list[Run]]


class House:
    """A Postfix with a listener for each peer, and the peers."""

    def __init__(
        self, place: Path, postfix: Postfix, processes: dict[str, subprocess.Popen[bytes]], names: list[str]
    ) -> None:
        self.place, self.postfix, self.processes = place, postfix, processes
        self.ports = dict(zip(names, postfix.ports, strict=True))

    def pids(self, name: str) -> list[int]:
        return tree(self.processes[name].pid) if name in self.processes else []

    def run(self, name: str, message: Path, count: int, *, kept: bool, sessions: int = SESSIONS) -> Run:
        pids = self.pids(name)
        before, start = cpu(pids), time.perf_counter()
        command = ["smtp-source", "-s", str(sessions), "-m", str(count), "-F", str(message), *(["-d"] if kept else [])]
        command += ["-f", "alice@example.net", "-t", "bob@example.net", f"127.0.0.1:{self.ports[name]}"]
        subprocess.run(command, check=True, timeout=600)
        took = time.perf_counter() - start
        self.postfix.wait_until_idle(120)
        return Run(took, (cpu(pids) - before) / count)


@contextmanager
def house() -> Iterator[House]:
    with directory() as place, ExitStack() as running:
        sockets = place / "m"
        sockets.mkdir()
        sockets.chmod(0o777)
        libraries = {"epoll": [], "libmilter": ["-lmilter", "-lpthread"]}
        for name, more in libraries.items():
            source, program = str(PEERS / f"{name}.c"), str(place / name)
            subprocess.run(["gcc", "-O2", "-Wall", "-o", program, source, *more], check=True)
        python = [SYSTEM_PYTHON, str(PEERS / "pymilter_peer.py")]
        (port,) = free_ports(1)
        ours = [str(COMMAND), "mail", "--milter", f"unix:{sockets}/ours", "--milter", f"inet:127.0.0.1:{port}"]
        ours += ["--organizer-domain", "example.org"]
        ours += [
            "--allow-network",
            "127.0.0.0/8",
            "--tls-exempt-network",
            "127.0.0.0/8",
            "--base-url",
            "https://conf.example.org",
            "--state",
            str(place / "state"),
        ]
        commands = {
            FLOOR: [str(place / "epoll"), f"{sockets}/floor"],
            LIBMILTER: [str(place / "libmilter"), f"unix:{sockets}/libmilter"],
            TUNED: [*python, "tuned", f"unix:{sockets}/tuned"],
            NAIVE: [*python, "naive", f"unix:{sockets}/naive"],
            OURS: ours,
        }
        places = dict(zip(commands, ("floor", "libmilter", "tuned", "naive", "ours"), strict=True))
        log = running.enter_context((place / "peers.log").open("ab"))
        processes: dict[str, subprocess.Popen[bytes]] = {}
        for name, command in commands.items():
            processes[name] = subprocess.Popen(command, stdout=log, stderr=log, umask=0)
            running.callback(processes[name].wait)
            running.callback(processes[name].terminate)
        for where in places.values():
            wait_for(sockets / where)
        listeners = [
            Listener(),
            *(Listener(options={"smtpd_milters": f"unix:{sockets}/{where}"}) for where in places.values()),
        ]
        listeners.append(Listener(options={"smtpd_milters": f"inet:127.0.0.1:{port}"}))
        inside = place / "postfix"
        inside.mkdir()
        with Postfix(inside, listeners, "127.0.0.1:9", extra=POSTFIX) as postfix:
            yield House(place, postfix, processes, [NONE, *places, BY_TCP])


def wait_for(socket: Path) -> None:
    """Wait until a milter listens there."""
    deadline = time.monotonic() + 20
    while not socket.exists():
        if time.monotonic() > deadline:
            sys.exit(f"no peer listens at {socket}")
        time.sleep(0.05)


def compare(report: Report, at: House, title: str, message: bytes, count: int, rounds: int, *, kept: bool) -> Runs:
    """Measure every peer in every round, in an order that changes; print what each did."""
    report.section(f"{title}: {count} messages x {rounds} rounds, {SESSIONS} sessions")
    path = at.place / "message"
    path.write_bytes(message.replace(b"\r\n", b"\n"))  # smtp-source puts CRLF
    runs: Runs = {name: [] for name in at.ports if name != BY_TCP}
    for name in runs:
        at.run(name, path, 200, kept=kept)
    for number in range(rounds):
        order = list(runs)
        random.Random(number).shuffle(order)
        for name in order:
            runs[name].append(at.run(name, path, count, kept=kept))
    for name, found in runs.items():
        rate, own = median(count / run.seconds for run in found), median(run.own for run in found)
        report.note(
            f"{name:15} {rate:6.0f} messages/s   {own * 1e6:5.0f} us of its own CPU a message   {memory(at.pids(name)):4.0f} MB"
        )
    return runs


def ratios(runs: Runs, other: str) -> list[float]:
    """How many times as many messages a second, round by round."""
    return [theirs.seconds / mine.seconds for mine, theirs in zip(runs[OURS], runs[other], strict=True)]


def own_cpu(runs: Runs) -> list[float]:
    """Our CPU time in terms of libmilter's, round by round."""
    return [mine.own / max(theirs.own, 1e-6) for mine, theirs in zip(runs[OURS], runs[LIBMILTER], strict=True)]


def bench(report: Report, *, count: int = 500, rounds: int = 15, more: int = 100_000) -> None:
    if shutil.which("smtp-source") is None:
        sys.exit("smtp-source is missing; on Debian it comes with the package postfix")
    with house() as at:
        runs = compare(report, at, "4 KB of text, kept sessions", mails.plain(4096), count, rounds, kept=True)
        for other, target in ((FLOOR, 0.90), (LIBMILTER, 1.05), (TUNED, 1.15), (NAIVE, 1.6)):
            report.at_least(f"messages a second, ours / {other}", ratios(runs, other), target)
        report.at_most("CPU a message, ours / C libmilter", own_cpu(runs), 0.45)
        runs = compare(report, at, "4 KB of text, a new session each", mails.plain(4096), count, rounds, kept=False)
        report.at_most("CPU a message, ours / C libmilter", own_cpu(runs), 0.7)
        runs = compare(
            report, at, "100 KB in parts, kept sessions", mails.multipart(102_400), count // 3, rounds, kept=True
        )
        report.at_most("CPU a message, ours / C libmilter", own_cpu(runs), 0.8)
        _latency(report, at)
        _endurance(report, at, more)


def _latency(report: Report, at: House, count: int = 300, rounds: int = 5) -> None:
    report.section(f"one session, one message after the other: {count} messages x {rounds} rounds")
    message = mails.plain(4096)
    found: dict[str, list[list[float]]] = {NONE: [], OURS: [], BY_TCP: []}
    for _ in range(rounds):
        for name, times in found.items():
            times.append(_times(at.ports[name], message, count))
    added = [(median(mine) - median(none)) * 1e3 for mine, none in zip(found[OURS], found[NONE], strict=True)]
    report.at_most("added by us to a message", added, 0.7, " ms")
    slow = [100 * sum(one > 0.04 for one in times) / count for times in found[BY_TCP]]
    report.at_most("by TCP: messages that took 40 ms or more", slow, 1, " %")
    added = [(median(mine) - median(none)) * 1e3 for mine, none in zip(found[BY_TCP], found[NONE], strict=True)]
    report.at_most("by TCP: added by us to a message", added, 0.7, " ms")


def _times(port: int, message: bytes, count: int) -> list[float]:
    times = []
    with Client(port) as client:
        client.command("EHLO client.example")
        for _ in range(count):
            start = time.perf_counter()
            for line in ("MAIL FROM:<alice@example.net>", "RCPT TO:<bob@example.net>", "DATA"):
                client.command(line)
            client.message(message)
            times.append(time.perf_counter() - start)
    return times


def _endurance(report: Report, at: House, count: int) -> None:
    report.section(f"{count} messages of 4 KB")
    path = at.place / "message"
    path.write_bytes(mails.plain(4096).replace(b"\r\n", b"\n"))
    sizes = []
    for _ in range(4):
        at.run(OURS, path, count // 4, kept=True)
        sizes.append(memory(at.pids(OURS)))
    report.at_most("resident", sizes[-1:], 60, " MB")
    report.at_most("growth from a quarter of them to all", [sizes[-1] - sizes[0]], 1, " MB")
