"""The SMTP door as a filter of a real Postfix, beside a filter that aiosmtpd alone makes, in interleaved rounds.

    smtp-source -> smtpd (smtpd_proxy_filter or content_filter) -> filter -> smtpd -> discard

Measured: messages a second until the last one has left the queue, in terms of the same Postfix without a filter, and the
filter's own CPU time. Behind a content_filter each message is queued twice, so half is the most that any filter can reach.
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
from tests.bench.door import POSTFIX, SESSIONS
from tests.bench.report import Report, cpu, memory, tree
from tests.live.gateway import COMMAND
from tests.live.postfix import Client, Listener, Postfix, directory, free_ports

PEER = Path(__file__).with_name("peers") / "aiosmtpd_peer.py"
NONE, OURS, POOLED, FRESH = "no filter", "ours", "aiosmtpd, pooled", "aiosmtpd, fresh"
BEFORE, AFTER = "smtpd_proxy_filter", "content_filter"
_BACK = {
    "content_filter": "",
    "smtpd_milters": "",
    "receive_override_options": "no_unknown_recipient_checks,no_header_body_checks,no_milters",
}


@dataclass(frozen=True)
class Run:
    """One round. seconds: until all messages had left. own: seconds of the filter's CPU time a message."""

    seconds: float
    own: float


@dataclass(frozen=True)
class House:
    """A Postfix with a listener for each filter in each arrangement."""

    place: Path
    postfix: Postfix
    processes: dict[str, subprocess.Popen[bytes]]
    ports: dict[tuple[str, str], int]

    def pids(self, name: str) -> list[int]:
        return tree(self.processes[name].pid) if name in self.processes else []

    def run(self, arrangement: str, name: str, message: Path, count: int) -> Run:
        pids = self.pids(name)
        before, start = cpu(pids), time.perf_counter()
        command = ["smtp-source", "-d", "-s", str(SESSIONS), "-m", str(count), "-F", str(message)]
        command += ["-f", "alice@example.net", "-t", "bob@example.net", f"127.0.0.1:{self.ports[arrangement, name]}"]
        subprocess.run(command, check=True, timeout=600)
        if arrangement == AFTER:
            self.postfix.wait_until_idle(120)
        took = time.perf_counter() - start
        self.postfix.wait_until_idle(120)
        return Run(took, (cpu(pids) - before) / count)


@contextmanager
def house() -> Iterator[House]:
    with directory() as place, ExitStack() as running:
        ours, pooled, fresh, back = free_ports(4)
        commands = {
            OURS: [str(COMMAND), "mail", "--smtp", f"127.0.0.1:{ours}", "--next-hop", f"127.0.0.1:{back}"],
            POOLED: [sys.executable, str(PEER), "pooled", str(pooled), str(back)],
            FRESH: [sys.executable, str(PEER), "fresh", str(fresh), str(back)],
        }
        settings = place / "notes2conf.toml"
        settings.write_text('[smtp]\nxforward_peers = ["127.0.0.0/8"]\n[tls]\nfilters_enforce = true\n')
        commands[OURS] += [
            "--config",
            str(settings),
            "--organizer-domain",
            "example.org",
            "--state",
            str(place / "state"),
        ]
        commands[OURS] += ["--allow-network", "127.0.0.0/8", "--base-url", "https://conf.example.org"]
        log = running.enter_context((place / "peers.log").open("ab"))
        processes = {}
        for name, command in commands.items():
            processes[name] = subprocess.Popen(command, stdout=log, stderr=log, umask=0)
            running.callback(processes[name].wait)
            running.callback(processes[name].terminate)
        at = {OURS: ours, POOLED: pooled, FRESH: fresh}
        keys = [(arrangement, name) for arrangement in (BEFORE, AFTER) for name in (NONE, *at)]
        listeners = []
        for arrangement, name in keys:
            where = {BEFORE: f"127.0.0.1:{at.get(name)}", AFTER: f"smtp:[127.0.0.1]:{at.get(name)}"}
            listeners.append(Listener(options={} if name == NONE else {arrangement: where[arrangement]}))
        listeners.append(Listener(back, options=_BACK))
        inside = place / "postfix"
        inside.mkdir()
        more = {"smtp_destination_concurrency_limit": str(SESSIONS), "smtp_send_xforward_command": "yes"}
        with Postfix(inside, listeners, "127.0.0.1:9", extra=POSTFIX | more) as postfix:
            for port in at.values():
                _wait_for(port)
            yield House(place, postfix, processes, dict(zip(keys, postfix.ports, strict=False)))


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with Client(port):
                return
        except OSError:
            if time.monotonic() > deadline:
                sys.exit(f"no filter listens at {port}")
            time.sleep(0.05)


def compare(report: Report, at: House, arrangement: str, message: bytes, count: int, rounds: int) -> None:
    """Measure every filter in every round, in an order that changes; print what each did."""
    report.section(f"{arrangement}, {len(message)} octets: {count} messages x {rounds} rounds, {SESSIONS} sessions")
    path = at.place / "message"
    path.write_bytes(message.replace(b"\r\n", b"\n"))  # smtp-source puts CRLF
    runs: dict[str, list[Run]] = {name: [] for kind, name in at.ports if kind == arrangement}
    for name in runs:
        at.run(arrangement, name, path, 200)
    for number in range(rounds):
        order = list(runs)
        random.Random(number).shuffle(order)
        for name in order:
            runs[name].append(at.run(arrangement, name, path, count))
    for name, found in runs.items():
        rate, own = median(count / run.seconds for run in found), median(run.own for run in found)
        report.note(
            f"{name:17} {rate:6.0f} messages/s   {own * 1e6:5.0f} us of its own CPU a message   {memory(at.pids(name)):4.0f} MB"
        )
    for name in (POOLED, FRESH):
        report.note(f"{name} / no filter: {median(_ratios(runs, name)):.3g}")
    report.at_least("messages a second, ours / no filter", _ratios(runs, OURS), 0.25)


def _ratios(runs: dict[str, list[Run]], name: str) -> list[float]:
    return [none.seconds / mine.seconds for mine, none in zip(runs[name], runs[NONE], strict=True)]


def bench(report: Report, *, count: int = 1000, rounds: int = 5) -> None:
    if shutil.which("smtp-source") is None:
        sys.exit("smtp-source is missing; on Debian it comes with the package postfix")
    with house() as at:
        for arrangement in (BEFORE, AFTER):
            compare(report, at, arrangement, mails.plain(4096), count, rounds)
