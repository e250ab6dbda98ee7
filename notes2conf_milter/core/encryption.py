"""How an SMTP session was encrypted, and what is asked of it: `off`, `log` or `require`, by network, sender domain and login.

In:  the facts of a session as a door has them, the rules that the administrator set. Out: whether MAIL FROM is refused, and the
     words that a log line says of the session.
Fails: never; `read_rule` raises ValueError with what is allowed.

RFC 3207 §4: a server that everybody sends to must not ask everybody for STARTTLS. So nothing is required unless a rule says so.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")  # as Postfix and OpenSSL write them
_SECRECY, _CERTIFICATE = "forward-secrecy", "client-certificate"
_HASH = "sha256"
_PINNED = re.compile(f"{_CERTIFICATE}={_HASH}:[0-9a-f]{{64}}")
_OCTETS = re.compile(r"[0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31}")
_EPHEMERAL = ("ECDHE", "DHE", "EDH", "ADH", "AECDH")  # "ECDH-" alone is static


class Hop(Enum):
    """What a door can know of the encryption on the way to it."""

    SEEN = "seen"  # it is in `tls`, or there was none
    UNSEEN = "unknown"  # a filter is our client: it says nothing of TLS (XFORWARD has no word for it)
    ENFORCED = "enforced"  # the same, and the administrator says that the filter's own listener enforces TLS


class Mode(Enum):
    """What a rule asks of a session."""

    OFF = "off"  # nothing, and nothing is logged of it
    LOG = "log"
    REQUIRE = "require"


@dataclass(frozen=True, slots=True)
class Tls:
    """An encrypted session. version, cipher: as OpenSSL names them; bits: of the cipher; trusted: the client's certificate.

    fingerprint: the SHA-256 of that certificate (DER), 64 hexadecimal digits in lower case; "" where there is none, or where a
    door does not see it (Postfix tells a milter names alone).
    """

    version: str
    cipher: str
    bits: int
    trusted: bool = False
    fingerprint: str = ""

    @property
    def forward_secrecy(self) -> bool:
        """Say whether the key exchange was ephemeral: always in TLS 1.3 (RFC 8446 §1.2), else by the cipher's name."""
        return self.version == "TLSv1.3" or any(word in self.cipher for word in _EPHEMERAL)


@dataclass(frozen=True, slots=True)
class Rule:
    """What is asked of some sessions.

    who: as it was written, for the log; network, domain, authenticated: what it is about; all None and False: everybody.
    domain: of the envelope sender, in lower case; with a leading dot, every subdomain. version: the least, "" for any.
    certificate: the client has to have one that is trusted; fingerprints: it has to be one of these, where there are any.
    """

    who: str
    mode: Mode
    network: Network | None = None
    domain: str | None = None
    authenticated: bool = False
    version: str = ""
    forward_secrecy: bool = False
    certificate: bool = False
    fingerprints: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """It as it is written, in one form."""
        named = [f"{_CERTIFICATE}={_HASH}:{one}" for one in self.fingerprints]
        asked = named or ([_CERTIFICATE] if self.certificate else [])
        more = (_SECRECY if self.forward_secrecy else "", *asked)
        return " ".join(filter(None, (self.who, self.mode.value, self.version, *more)))

    def about(self, client: Address | None, domain: str, *, authenticated: bool) -> bool:
        """Say whether it is about a session."""
        if self.network is not None:
            return client is not None and client.version == self.network.version and client in self.network
        if self.domain is not None:
            return domain == self.domain or (self.domain.startswith(".") and domain.endswith(self.domain))
        return authenticated or not self.authenticated

    def met_by(self, tls: Tls) -> bool:
        """Say whether an encrypted session is as strong as is asked."""
        strong = not self.version or _rank(tls.version) >= _rank(self.version)
        known = tls.trusted and (not self.fingerprints or tls.fingerprint in self.fingerprints)
        return strong and (tls.forward_secrecy or not self.forward_secrecy) and (known or not self.certificate)


@dataclass(frozen=True, slots=True)
class TlsRules:
    """The rules; the first that is about a session counts. temporary: refusals are 4xx, the client tries again."""

    rules: tuple[Rule, ...] = ()
    temporary: bool = False

    @property
    def requiring(self) -> bool:
        """Say whether anything can be refused."""
        return any(rule.mode is Mode.REQUIRE for rule in self.rules)

    def rule(self, client: Address | None, sender: bytes, *, authenticated: bool) -> Rule | None:
        """Return the rule for a session and its envelope sender, None where there is none."""
        return self.about(client, sender_domain(sender), authenticated=authenticated) if self.rules else None

    def about(self, client: Address | None, domain: str, *, authenticated: bool) -> Rule | None:
        """Return the rule for a session and the domain of its envelope sender, as `sender_domain` gives it."""
        return next((rule for rule in self.rules if rule.about(client, domain, authenticated=authenticated)), None)

    def reply(self, rule: Rule, *, encrypted: bool) -> str:
        """Return the SMTP reply to MAIL FROM of a session that is not as it must be (RFC 3207 §4, RFC 3463 §3.8)."""
        if not encrypted:
            code = "450 4.7.0" if self.temporary else "530 5.7.0"
            return f"{code} Must issue a STARTTLS command first"
        wanted = (rule.version or "TLS") + (" with forward secrecy" if rule.forward_secrecy else "")
        certificate = (
            "client certificate that is registered here" if rule.fingerprints else "trusted client certificate"
        )
        wanted += f", and a {certificate}," if rule.certificate else ""
        code = "450 4.7.0" if self.temporary else "550 5.7.0"
        return f"{code} Encryption is too weak, {wanted} is required"


def sender_domain(sender: bytes) -> str:
    """Return the domain of an envelope sender in lower case, "" where it has none."""
    return sender.rpartition(b"@")[2].decode("utf-8", "replace").lower() if b"@" in sender else ""


def read_rule(text: str, domain_of: Callable[[str], str]) -> Rule:
    """Read `WHO MODE [MIN_VERSION] [forward-secrecy] [client-certificate[=sha256:FINGERPRINT] ...]`; raises ValueError.

    WHO: a network, a domain of envelope senders, `authenticated`, or `*`. domain_of: reads a domain, or raises ValueError.
    A fingerprint has 64 hexadecimal digits, in any case, with colons between the octets or without, as openssl prints it.
    """
    who, mode, *more = [*text.split(), "", ""] if len(text.split()) < 2 else map(_without_colons, text.split())
    versions = [word for word in more if word in VERSIONS[2:]]
    pinned = [word for word in more if _PINNED.fullmatch(word)]
    known = not set(more) - {*versions, *pinned, _SECRECY, _CERTIFICATE} and len(set(more)) == len(more)
    known = known and len(versions) < 2 and not (pinned and _CERTIFICATE in more)
    network, domain = None, None
    try:
        if mode not in {one.value for one in Mode} or not known or (more and mode != "require"):
            raise ValueError
        if "/" in who:
            network = ip_network(who)
        elif who not in ("*", "authenticated"):
            domain = domain_of(who)
            if not any(letter.isalpha() for letter in domain):  # an address without its /32
                raise ValueError
    except ValueError:
        raise ValueError(_ALLOWED) from None
    version = versions[0] if versions else ""
    fingerprints = tuple(word.rpartition(":")[2] for word in pinned)
    asked = (version, _SECRECY in more, bool(pinned) or _CERTIFICATE in more, fingerprints)
    return Rule(who, Mode(mode), network, domain, who == "authenticated", *asked)


def _without_colons(word: str) -> str:
    """Return a fingerprint in its one form, any other word as it is."""
    name, equals, value = word.partition("=")
    kind, _, digits = value.partition(":")
    if not equals or not _OCTETS.fullmatch(digits):
        return word
    return f"{name}={kind.lower()}:{digits.replace(':', '').lower()}"


_ALLOWED = (
    'WHO MODE, as "192.0.2.0/24 require TLSv1.2 forward-secrecy"; WHO is a network without host bits, a domain of envelope '
    'senders, "authenticated" or "*"; MODE is off, log or require; behind require may stand TLSv1.2 or TLSv1.3, '
    "forward-secrecy, and client-certificate or client-certificate=sha256:FINGERPRINT (64 hexadecimal digits)"
)


def within(client: Address | None, networks: Sequence[Network]) -> bool:
    """Say whether an address is in one of some networks."""
    return client is not None and any(client.version == one.version and client in one for one in networks)


def words(tls: Tls | None, hop: Hop) -> str:
    """Return what a log line says of a session: one word where nothing is known of it, or it was not encrypted."""
    if tls is None:
        return f"tls={'none' if hop is Hop.SEEN else hop.value}"
    secrecy, certificate = "yes" if tls.forward_secrecy else "no", "trusted" if tls.trusted else "-"
    return f"tls={tls.version} cipher={tls.cipher} bits={tls.bits} fs={secrecy} cert={certificate}"


def prefix(client: Address | None) -> str:
    """Return the network of a client that no rule names: too wide to be a person's address (an IPv4 /24, an IPv6 /48)."""
    if client is None:
        return "-"
    return str(ip_network((client, 24 if client.version == 4 else 48), strict=False))


def _rank(version: str) -> int:
    return VERSIONS.index(version) if version in VERSIONS else -1
