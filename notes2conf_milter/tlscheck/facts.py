"""What a check found out: values, no judgement.

In:  nothing. Out: frozen values that `check` fills in, and that `judge` and `report` read.
Fails: never.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from notes2conf_milter.tlscheck.chains import Chain

T = TypeVar("T")


class Found(Enum):
    """How a question to the DNS ended."""

    YES = "yes"
    NO_DATA = "no-data"
    NO_NAME = "no-name"
    FAILED = "failed"  # no answer, or the resolver could not get one (SERVFAIL: bogus DNSSEC, for one)


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """An answer of the DNS. secure: the resolver says that it validated it (AD). name: the name behind all aliases."""

    found: Found
    values: tuple[T, ...] = ()
    secure: bool = False
    name: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Mx:
    """An MX record; host is lower case and without the last dot, "" for the null MX (RFC 7505)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A TLSA record (RFC 6698 §2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.data[:64].hex()}" + "…" * (len(self.data) > 64)


class Dane(Enum):
    """What TLSA records say about the certificates of a host."""

    MATCH = "match"
    MISMATCH = "mismatch"
    UNUSABLE = "unusable"  # no record that SMTP can use: encryption without proof (RFC 7672 §2.2)


class Outcome(Enum):
    """How far a conversation came."""

    NO_ROUTE = "no-route"  # this machine has no way to such an address
    UNREACHABLE = "unreachable"
    SILENT = "silent"  # a reply did not come in time
    LOST = "lost"  # the other end hung up
    NOT_SMTP = "not-smtp"
    TURNED_AWAY = "turned-away"  # a greeting other than 220
    EHLO_REFUSED = "ehlo-refused"
    NO_STARTTLS = "no-starttls"
    STRIPPED = "stripped"  # EHLO has a word of X's in its place
    STARTTLS_REFUSED = "starttls-refused"
    INJECTED = "injected"  # plain text between the answer to STARTTLS and TLS
    HANDSHAKE_FAILED = "handshake-failed"
    BROKEN_INSIDE = "broken-inside"  # TLS is there, and then no SMTP any more
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation with one address.

    bits: of the cipher. dane_usage: of the record that matched. mail: the code of the reply to MAIL FROM.
    old: whether TLS 1.1 or older is taken, too; None when nobody knows.
    """

    host: str
    address: str
    outcome: Outcome
    detail: str = ""
    version: str = ""
    cipher: str = ""
    bits: int = 0
    forward_secrecy: bool = False
    chain: Chain | None = None
    dane: Dane | None = None
    dane_usage: int = -1
    mail: int = 0
    old: bool | None = None

    @property
    def encrypted(self) -> bool:
        """TLS came about."""
        return bool(self.version)

    @property
    def where(self) -> str:
        """The host and its address."""
        return f"{self.host} [{self.address}]"


@dataclass(frozen=True, slots=True)
class Host:
    """An MX host. addresses: those that were asked for, v4 and v6; left_out: addresses that were not tried."""

    name: str
    preference: int
    v4: Answer[str]
    v6: Answer[str]
    tlsa: Answer[Tlsa]
    sessions: tuple[Session, ...] = ()
    left_out: int = 0

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses, the older family first."""
        return self.v4.values + self.v6.values

    @property
    def secure(self) -> bool:
        """Addresses and TLSA records are validated (RFC 7672 §2.2)."""
        families = [answer for answer in (self.v4, self.v6) if answer.values]
        return bool(families) and all(answer.secure for answer in families) and self.tlsa.secure

    @property
    def alias(self) -> bool:
        """The MX names an alias (CNAME)."""
        return any(answer.name not in ("", self.name) for answer in (self.v4, self.v6) if answer.values)


class StsState(Enum):
    """What there is of MTA-STS (RFC 8461)."""

    NONE = "none"
    UNKNOWN = "unknown"  # the DNS did not answer
    BAD_RECORD = "bad-record"
    UNREACHABLE = "unreachable"
    BAD_CERTIFICATE = "bad-certificate"
    BAD_ANSWER = "bad-answer"
    BAD_POLICY = "bad-policy"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Policy:
    """An MTA-STS policy; max_age in seconds."""

    mode: str
    max_age: int
    mx: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sts:
    """MTA-STS as found."""

    state: StsState
    id: str = ""
    policy: Policy | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All facts of one check. resolver: where the DNS was asked; near: that is this machine itself."""

    domain: str
    port: int
    resolver: str
    near: bool
    mx: Answer[Mx]
    implicit: bool = False
    hosts: tuple[Host, ...] = ()
    sts: Sts = field(default_factory=lambda: Sts(StsState.NONE))
    reports: Answer[bytes] = field(default_factory=lambda: Answer(Found.NO_DATA))
    time_up: bool = False
    hosts_left_out: int = 0

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The conversations with all hosts."""
        return tuple(session for host in self.hosts for session in host.sessions)
