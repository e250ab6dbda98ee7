"""The records that the log holds of messages' sessions: lines in, numbers out.

In:  lines of a log, with or without a time before them. Out: `Record`s; a `Count` of them.
Fails: never; a line that is no record is none.

The lines are those of core.tlsrecord: one for each message, or one for each kind of session in an hour.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from notes2conf_milter.core.encryption import VERSIONS

NOT_SEEN = ("unknown", "enforced")
_SESSION = (
    r"tls=(?P<tls>\S+)(?: cipher=(?P<cipher>\S+) bits=\d+ fs=(?P<fs>yes|no) cert=(?P<cert>\S+))? peer=(?P<peer>\S+)"
)
_MESSAGE = re.compile(rf"queue_id=\S+ door=(?P<door>\S+) verdict=(?P<verdict>\S+) reason=(?P<reason>\S+).* {_SESSION}$")
_SUMMARY = re.compile(
    rf"tls-summary door=(?P<door>\S+) {_SESSION} messages=(?P<messages>\d+) refused=(?P<refused>\d+)$"
)
_UNIX = re.compile(r"(\d{9,11})\.\d+ ")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?) ")
_SYSLOG = re.compile(r"([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) ")


@dataclass(frozen=True, slots=True)
class Record:
    """How one message came, or some of a kind. at: seconds since 1970 UTC, None where the line has no time.

    version: as OpenSSL names it, or `none`, `unknown`, `enforced`; refused: how many of the messages were.
    """

    at: float | None
    door: str
    version: str
    cipher: str
    forward_secrecy: bool
    certificate: str
    peer: str
    messages: int
    refused: int

    @property
    def encrypted(self) -> bool:
        """Say whether a TLS session was seen."""
        return self.version != "none" and self.version not in NOT_SEEN


@dataclass(slots=True)
class Share:
    """Messages of one kind: how many, how many of them by TLS, with forward secrecy, unseen, refused."""

    messages: int = 0
    encrypted: int = 0
    forward_secrecy: int = 0
    unseen: int = 0
    refused: int = 0

    def add(self, record: Record) -> None:
        """Count a record."""
        self.messages += record.messages
        self.encrypted += record.messages * record.encrypted
        self.forward_secrecy += record.messages * (record.encrypted and record.forward_secrecy)
        self.unseen += record.messages * (record.version in NOT_SEEN)
        self.refused += record.refused

    @property
    def plain(self) -> int:
        """How many came without TLS."""
        return self.messages - self.encrypted - self.unseen


@dataclass(slots=True)
class Count:
    """All records. first, last: of those with a time; timeless: messages without one. days: in UTC, as 2026-11-27."""

    whole: Share = field(default_factory=Share)
    versions: Counter[str] = field(default_factory=Counter)
    ciphers: dict[tuple[str, str], Share] = field(default_factory=dict)
    peers: dict[str, Share] = field(default_factory=dict)
    days: dict[str, Share] = field(default_factory=dict)
    first: float | None = None
    last: float | None = None
    timeless: int = 0

    def add(self, record: Record) -> None:
        """Count a record."""
        self.whole.add(record)
        self.versions[record.version] += record.messages
        self.peers.setdefault(record.peer, Share()).add(record)
        if record.encrypted:
            self.ciphers.setdefault((record.version, record.cipher), Share()).add(record)
        if record.at is None:
            self.timeless += record.messages
            return
        self.first = record.at if self.first is None else min(self.first, record.at)
        self.last = record.at if self.last is None else max(self.last, record.at)
        day = datetime.fromtimestamp(record.at, UTC).date().isoformat()
        self.days.setdefault(day, Share()).add(record)

    def by_version(self) -> list[tuple[str, int]]:
        """Return versions and messages, the newest version first, then those that were not encrypted or not seen."""
        order = [*reversed(VERSIONS)]
        known = [(name, self.versions[name]) for name in order if self.versions[name]]
        last = ("none", *NOT_SEEN)
        others = sorted(set(self.versions) - {*order, *last})
        return known + [(name, self.versions[name]) for name in (*others, *last) if self.versions[name]]


def count(records: Iterable[Record]) -> Count:
    """Return the numbers."""
    counted = Count()
    for record in records:
        counted.add(record)
    return counted


def read(lines: Iterable[str], since: float | None, now: float) -> Iterator[Record]:
    """Return the records in lines. since, now: seconds since 1970 UTC; older ones are left out, those without a time stay."""
    for line in lines:
        if "tls=" not in line:
            continue
        line = line.rstrip()
        found = _MESSAGE.search(line)
        summed = None if found else _SUMMARY.search(line)
        match = found or summed
        if match is None:
            continue
        at = time_of(line, now)
        if since is not None and at is not None and at < since:
            continue
        refused = int(match["verdict"] == "refuse") if found else int(match["refused"])
        yield Record(
            at,
            match["door"],
            match["tls"],
            match["cipher"] or "",
            match["fs"] == "yes",
            match["cert"] or "-",
            match["peer"],
            1 if found else int(match["messages"]),
            refused,
        )


def time_of(line: str, now: float) -> float | None:
    """Return the time that stands before a line, seconds since 1970 UTC; None for none.

    As journalctl (short-unix), rsyslog (RFC 3339) and the older syslog write it. The last names neither year nor zone: it is
    this machine's time, and not one that is to come.
    """
    if match := _UNIX.match(line):
        return float(match[1])
    try:
        if match := _ISO.match(line):
            return datetime.fromisoformat(match[1]).timestamp()
        if match := _SYSLOG.match(line):
            year = datetime.fromtimestamp(now).year
            text = match[1].replace("  ", " ")
            at = datetime.strptime(f"{year} {text}", "%Y %b %d %H:%M:%S")
            return at.timestamp() if at.timestamp() <= now + 86_400 else at.replace(year=year - 1).timestamp()
    except ValueError:
        return None
    return None
