"""What the TLS record costs mail that passes: three services behind one Postfix that log each message, sums, or nothing.

Kept sessions and a small message, for whatever else a message costs hides the record. Each session is encrypted, as far as the
services know (milter_macro_defaults says so; smtp-source has no TLS). None of the four rules is about them, so that all are
looked at, and none requires anything, so that MAIL FROM costs no reply. Measured: the services' own CPU time a message, in
short rounds in which all three take turns. Wanted is at most a tenth more than without.
"""

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

from notes2conf_milter.core.tlsrecord import TlsLog
from tests.bench import mails
from tests.bench.door import POSTFIX, House, wait_for
from tests.bench.report import Report, memory
from tests.live.gateway import COMMAND
from tests.live.postfix import Listener, Postfix, directory

_SETTINGS = """\
base_url = "https://conf.example.org"

[policy]
organizer_domains = ["example.org"]
allowed_networks = ["192.0.2.0/24"]

[tls]
rules = ["192.0.2.10/32 log", "example.com log", "authenticated log", "2001:db8::/32 off"]
log = "{log}"
"""
_TLS = "{tls_version}=TLSv1.3, {cipher}=TLS_AES_256_GCM_SHA384, {cipher_bits}=256"
_SESSIONS = 20


@contextmanager
def house() -> Iterator[House]:
    with directory() as place, ExitStack() as running:
        sockets = place / "m"
        sockets.mkdir()
        sockets.chmod(0o777)
        processes: dict[str, subprocess.Popen[bytes]] = {}
        listeners = []
        for log in TlsLog:
            settings, socket = place / f"{log.value}.toml", sockets / log.value
            settings.write_text(_SETTINGS.format(log=log.value))
            command = [str(COMMAND), "mail", "--config", str(settings), "--milter", f"unix:{socket}"]
            command += ["--state", str(place / f"state-{log.value}")]
            journal = running.enter_context((place / f"{log.value}.log").open("ab"))
            processes[log.value] = subprocess.Popen(command, stdout=journal, stderr=journal, umask=0)
            running.callback(processes[log.value].wait)
            running.callback(processes[log.value].terminate)
            wait_for(socket)
            listeners.append(Listener(options={"smtpd_milters": f"unix:{socket}", "milter_macro_defaults": _TLS}))
        inside = place / "postfix"
        inside.mkdir()
        with Postfix(inside, listeners, "127.0.0.1:9", extra=POSTFIX) as postfix:
            yield House(place, postfix, processes, list(processes))


def bench(report: Report, *, count: int = 500, rounds: int = 25) -> None:
    """Print what the record costs."""
    if shutil.which("smtp-source") is None:
        sys.exit("smtp-source is missing; on Debian it comes with the package postfix")
    report.section(f"The TLS record, four rules, 4 KB, kept sessions: {count} messages x {rounds} rounds")
    with house() as at:
        path = at.place / "message"
        path.write_bytes(mails.plain(4096).replace(b"\r\n", b"\n"))  # smtp-source puts CRLF
        own: dict[str, list[float]] = {name: [] for name in at.ports}
        for number in range(-1, rounds):
            order = list(own)
            random.Random(number).shuffle(order)
            for name in order:
                found = at.run(name, path, count, kept=True, sessions=_SESSIONS).own
                if number >= 0:  # the first round is for the caches
                    own[name].append(found)
        _check(at, count * (rounds + 1))
        for name, times in own.items():
            text = f'tls.log = "{name}"'
            report.note(
                f"{text:20} {median(times) * 1e6:5.1f} us of its own CPU a message   {memory(at.pids(name)):4.0f} MB"
            )
    for log in (TlsLog.EACH, TlsLog.SUMMARY):
        ratios = [one / without for one, without in zip(own[log.value], own[TlsLog.OFF.value], strict=True)]
        report.at_most(f'CPU a message, "{log.value}" / "off"', ratios, 1.1)


def _check(at: House, count: int) -> None:
    """Make sure that what was measured is a record of encrypted sessions, one for each message."""
    for log in TlsLog:
        lines = (at.place / f"{log.value}.log").read_text("utf-8").splitlines()
        said = sum("tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256" in line for line in lines)
        if said != (count if log is TlsLog.EACH else 0):
            sys.exit(f"{said} records of {count} messages with {log.value}")
