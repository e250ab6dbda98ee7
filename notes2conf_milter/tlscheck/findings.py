"""The kinds of findings: what each is called, how much it weighs, which guideline it breaks.

In:  nothing. Out: `Code`, `Finding`, and the exit status that findings make.
Fails: never.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum


class Status(IntEnum):
    """What a monitor makes of it; the values are exit codes."""

    GOOD = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Level(Enum):
    """How much a finding weighs."""

    GOOD = "good"
    HINT = "hint"
    WARNING = "warning"
    UNKNOWN = "unknown"
    CRITICAL = "critical"


class Guideline(Enum):
    """Against what is judged."""

    TR_03108 = "BSI TR-03108"
    TR_02102 = "BSI TR-02102-2"


_G, _H, _W, _U, _C = Level.GOOD, Level.HINT, Level.WARNING, Level.UNKNOWN, Level.CRITICAL
_MAIL, _TLS = Guideline.TR_03108, Guideline.TR_02102


class Code(Enum):
    """The kinds of findings: a name, a level, the guideline that it breaks."""

    # the domain
    NO_DOMAIN = ("no-domain", _C)
    NO_HOST = ("no-host", _C)
    NULL_MX = ("null-mx", _U)
    NULL_MX_AND_OTHERS = ("null-mx-and-others", _W)
    IMPLICIT_MX = ("implicit-mx", _H)
    MX_UNKNOWN = ("mx-unknown", _U)
    MX_IS_ADDRESS = ("mx-is-address", _C)
    MX_WITHOUT_ADDRESS = ("mx-without-address", _C)
    MX_ALIAS = ("mx-alias", _W)
    HOST_UNKNOWN = ("host-unknown", _U)
    LEFT_OUT = ("left-out", _U)
    TIME_UP = ("time-up", _U)
    NOTHING_CHECKED = ("nothing-checked", _U)
    RESOLVER_FAR = ("resolver-far", _H)
    # the conversation
    NO_ROUTE = ("no-route", _H)
    UNREACHABLE = ("unreachable", _U)
    SILENT = ("silent", _U)
    LOST = ("lost", _U)
    TURNED_AWAY = ("turned-away", _U)
    NOT_SMTP = ("not-smtp", _C)
    EHLO_REFUSED = ("ehlo-refused", _C, _MAIL)
    NO_STARTTLS = ("no-starttls", _C, _MAIL)
    STRIPPED = ("stripped", _C, _MAIL)
    STARTTLS_REFUSED = ("starttls-refused", _C, _MAIL)
    INJECTED = ("injected", _C, _MAIL)
    HANDSHAKE_FAILED = ("handshake-failed", _C, _MAIL)
    BROKEN_INSIDE = ("broken-inside", _C, _MAIL)
    MAIL_REFUSED = ("mail-refused", _H)
    # TLS
    GOOD_TLS = ("good-tls", _G)
    OLD_TLS = ("old-tls", _C, _MAIL, _TLS)
    OLD_TLS_TOO = ("old-tls-too", _W, _TLS)
    WEAK_CIPHER = ("weak-cipher", _C, _MAIL, _TLS)
    NO_FORWARD_SECRECY = ("no-forward-secrecy", _W, _MAIL, _TLS)
    CIPHER_NOT_LISTED = ("cipher-not-listed", _W, _TLS)
    CIPHER_UNUSUAL = ("cipher-unusual", _H)
    # certificates
    GOOD_CERTIFICATE = ("good-certificate", _G)
    BAD_CERTIFICATE = ("bad-certificate", _C, _MAIL)
    PROVED_BY_DANE = ("proved-by-dane", _H)
    EXPIRES_SOON = ("expires-soon", _W)
    KEY_WEAK = ("key-weak", _C, _TLS)
    KEY_SHORT = ("key-short", _W, _TLS)
    SIGNATURE_WEAK = ("signature-weak", _C, _TLS)
    SIGNATURE_LEAVING = ("signature-leaving", _H)
    # DANE
    DANE_GOOD = ("dane-good", _G)
    DANE_MISMATCH = ("dane-mismatch", _C, _MAIL)
    DANE_IN_THE_CLEAR = ("dane-in-the-clear", _C, _MAIL)
    DANE_UNUSABLE = ("dane-unusable", _W, _MAIL)
    DANE_INSECURE = ("dane-insecure", _W, _MAIL)
    DANE_INSECURE_MISMATCH = ("dane-insecure-mismatch", _W, _MAIL)
    DANE_MISSING = ("dane-missing", _W, _MAIL)
    DANE_UNKNOWN = ("dane-unknown", _C, _MAIL)
    # MTA-STS
    STS_GOOD = ("sts-good", _G)
    STS_MISSING = ("sts-missing", _H)
    STS_UNKNOWN = ("sts-unknown", _U)
    STS_BAD_RECORD = ("sts-bad-record", _W)
    STS_UNREACHABLE = ("sts-unreachable", _W)
    STS_BAD_CERTIFICATE = ("sts-bad-certificate", _W)
    STS_BAD_ANSWER = ("sts-bad-answer", _W)
    STS_BAD_POLICY = ("sts-bad-policy", _W)
    STS_TESTING = ("sts-testing", _H)
    STS_OFF = ("sts-off", _H)
    STS_OTHER_HOST = ("sts-other-host", _C)
    STS_OTHER_HOST_TESTING = ("sts-other-host-testing", _W)
    STS_NO_PROOF = ("sts-no-proof", _C)
    STS_NO_PROOF_TESTING = ("sts-no-proof-testing", _W)
    # TLSRPT
    REPORTS_GOOD = ("reports-good", _G)
    REPORTS_MISSING = ("reports-missing", _H)
    REPORTS_BAD = ("reports-bad", _W)
    REPORTS_UNKNOWN = ("reports-unknown", _U)

    def __init__(self, label: str, level: Level, *breaks: Guideline) -> None:
        self.label, self.level, self.breaks = label, level, breaks


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. places: hosts with addresses, or empty for the domain itself; values: what its sentence names."""

    code: Code
    places: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)


def status(findings: Iterable[Finding]) -> Status:
    """Return the exit status: the worst of all; what is not known outweighs a warning."""
    levels = {finding.code.level for finding in findings}
    for level, outcome in ((_C, Status.CRITICAL), (_U, Status.UNKNOWN), (_W, Status.WARNING)):
        if level in levels:
            return outcome
    return Status.GOOD
