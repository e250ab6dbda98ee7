"""What a DKIM signature of ours says (RFC 6376), all but the signature itself: that takes a key, which is not in here.

In:  a message as it came and as it goes on, the domains that matter, names of keys, the time. Out: `Signing`: which signatures
     go, fields that wait for their b=, and signatures of the message that the change breaks and nothing replaces.
dkimpy makes the canonical form. docs/decisions/0010-dkim.md says why it is done so.
Fails: `MessageTooComplex` as core.message does.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from notes2conf_milter.core.carried import (
    Candidate,
    Flaw,
    candidates,
    carried,
    crlf,
    header_digest,
    library,
    looked_at,
    related,
)
from notes2conf_milter.core.message import header_fields

FIELD = b"DKIM-Signature"
ARC_SIGNATURE = b"ARC-Message-Signature"
# RFC 6376 §5.4.1. The first are signed once more than they are there, the others too where they are there: none can be added.
_ALWAYS = (b"from", b"subject", b"to", b"cc", b"reply-to")
_WHERE_THERE = (
    b"date",
    b"message-id",
    b"sender",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"content-class",
    b"in-reply-to",
    b"references",
    b"auto-submitted",
)
_LONGEST = 59_000  # octets; Postfix cuts what it shows to a milter at 60,000
_WIDTH = 76  # columns


class Algorithm(Enum):
    """What a key signs with: the a= of its signatures."""

    RSA = "rsa-sha256"
    ED25519 = "ed25519-sha256"  # RFC 8463


@dataclass(frozen=True, slots=True)
class KeyName:
    """A key that signs, without the key. domain: in lower case, A-labels."""

    domain: str
    selector: str
    algorithm: Algorithm

    def __str__(self) -> str:
        return f"{self.domain}:{self.selector}"


@dataclass(frozen=True, slots=True)
class SigningSettings:
    """The keys; whether somebody behind us signs, so that we do not; whether the signatures that break then go.

    hosted: the domain that signs, with an ARC set, for organizer domains that have no key; "" for none.
    """

    keys: tuple[KeyName, ...] = ()
    later_signer: bool = False
    remove_broken: bool = False
    hosted: str = ""

    def keys_for(self, domain: str) -> tuple[KeyName, ...]:
        """Return the keys of a domain, or of the nearest one above it that has any; none where somebody else signs."""
        while domain and not self.later_signer:
            if found := tuple(key for key in self.keys if key.domain == domain):
                return found
            domain = domain.partition(".")[2]
        return ()


@dataclass(frozen=True, slots=True)
class Parties:
    """Domains that matter, in lower case and A-labels. author: From's, "" where that is not one address.

    organizer: ORGANIZER's. senders: of those who count as the sender; None where there is no envelope. own: which are ours.
    """

    author: str
    organizer: str
    senders: frozenset[str] | None
    own: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A DKIM-Signature field that lacks its signature. value: up to and with `b=`, folds in CRLF.

    digest: what is to be signed. field: its name.
    """

    key: KeyName
    value: bytes
    digest: bytes
    field: bytes = FIELD

    def signed(self, signature: bytes, eol: bytes = b"\r\n") -> bytes:
        """Return the whole value, folded. eol: the line end of the message."""
        text = base64.b64encode(signature)
        lines = [text[at : at + _WIDTH - 4] for at in range(0, len(text), _WIDTH - 4)]
        return (self.value + b"\r\n  ".join(lines)).replace(b"\r\n", eol)


@dataclass(frozen=True, slots=True)
class Signing:
    """What becomes of signatures. removed: indices among the DKIM-Signature fields, 1-based, rising.

    endangered: those that the change breaks and nothing replaces, if their keys say that they are valid. more: there are more,
    which nobody looks at and which count as valid. arc: the ARC-Message-Signature, where there is to be an ARC set;
    seen: what is to be said of the signatures in it.
    """

    removed: tuple[int, ...] = ()
    unsigned: tuple[Unsigned, ...] = ()
    endangered: tuple[Candidate, ...] = ()
    more: bool = False
    arc: Unsigned | None = None
    seen: tuple[Candidate | Flaw, ...] = ()


def plan(message: bytes, result: bytes, parties: Parties, settings: SigningSettings, now: int) -> Signing:
    """Return what becomes of the signatures of `message` when it goes on as `result`. now: seconds since 1970 UTC."""
    theirs = carried(message)
    if settings.later_signer:
        gone = (one.index for one in theirs if settings.remove_broken and one.domain and parties.own(one.domain))
        return Signing(tuple(gone))
    keys = _keys(parties, settings)
    if not keys and settings.hosted and _guest(parties):
        return _hosted(message, result, settings, now)
    ours = keys[0].domain if keys else ""

    def harmed(domain: str) -> bool:
        mine = any(related(domain, one) for one in (parties.author, parties.organizer) if one)
        return mine and not (keys and ours in (domain, parties.author))

    endangered, more = candidates(message, harmed, now) if theirs else ((), False)
    removed = tuple(one.index for one in theirs if keys and one.domain == ours)
    return Signing(removed, unsigned(result, keys, now), endangered, more)


def _keys(parties: Parties, settings: SigningSettings) -> tuple[KeyName, ...]:
    keys = settings.keys_for(parties.author)
    if parties.senders is None:
        return keys
    return keys if {settings.keys_for(one) for one in parties.senders} == {keys} else ()


def _guest(parties: Parties) -> bool:
    """Say whether the author is of an organizer domain, and the sender of that domain, too."""
    senders = parties.senders or ()
    return bool(parties.author) and parties.own(parties.author) and all(related(parties.author, one) for one in senders)


def _hosted(message: bytes, result: bytes, settings: SigningSettings, now: int) -> Signing:
    """Return what is signed for a domain whose DNS is not ours: signatures break, and an ARC set says what they were."""
    keys, theirs = settings.keys_for(settings.hosted), carried(message)
    removed = tuple(one.index for one in theirs if one.domain == settings.hosted)
    fields = unsigned(result, keys, now)
    if any(one.name.lower().startswith(b"arc-") for one in header_fields(message).fields):
        return Signing(removed, fields)  # RFC 8617 §5.1: who adds to a chain has to have validated it
    sealing = tuple(key for key in keys if key.algorithm is Algorithm.RSA)[:1]
    (arc,) = unsigned(result, sealing, now, ARC_SIGNATURE, "i=1")
    return Signing(removed, fields, arc=arc, seen=looked_at(message, lambda domain: True, now)[0])


def unsigned(
    message: bytes, keys: tuple[KeyName, ...], now: int, name: bytes = FIELD, begin: str = "v=1"
) -> tuple[Unsigned, ...]:
    """Return the field for each key, lacking its signature. now: seconds since 1970 UTC. name, begin: of the field."""
    if not keys:
        return ()
    header = header_fields(message)
    policy = library().CanonicalizationPolicy.from_c_value(b"relaxed/simple")
    body = base64.b64encode(hashlib.sha256(policy.canonicalize_body(crlf(message[header.body_start :]))).digest())
    fields = [(one.name, message[one.value_start : one.value_end] + b"\r\n") for one in header.fields]
    names = _names(fields)
    wanted = [one for one in fields if one[0].lower() in names]
    found = []
    for key in keys:
        value = _value(key, names, body, now, begin)
        digest = header_digest(policy, wanted, names, (name, value + b"\r\n"))
        found.append(Unsigned(key, value, digest, name))
    return tuple(found)


def _names(fields: list[tuple[bytes, bytes]]) -> list[bytes]:
    """Return h= for these fields."""
    there = [name.lower() for name, _ in fields]
    long = {name.lower() for name, value in fields if len(value) >= _LONGEST}
    names = [name for name in _ALWAYS for _ in range(there.count(name) + 1)]
    names += [name for name in _WHERE_THERE if name in there for _ in range(there.count(name) + 1)]
    return [name for name in names if name not in long or name == b"from"]


def _value(key: KeyName, names: list[bytes], body_hash: bytes, now: int, begin: str) -> bytes:
    lines = [b" h="]
    for at, name in enumerate(names):
        piece = name + (b":" if at < len(names) - 1 else b";")
        if len(lines[-1]) + len(piece) > _WIDTH:
            lines.append(b"  ")
        lines[-1] += piece
    first = f" {begin}; a={key.algorithm.value}; c=relaxed/simple; d={key.domain};\r\n s={key.selector}; t={now};\r\n"
    return first.encode("ascii") + b"\r\n".join(lines) + b"\r\n bh=" + body_hash + b";\r\n b="


def domain_of(address: str) -> str:
    """Return the domain of an address in lower case and A-labels (RFC 5890); "" where it has none that can be one."""
    domain = address.rpartition("@")[2].lower().rstrip(".") if "@" in address else ""
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
