"""The DKIM signatures that a message carries (RFC 6376): whose they are, and which may be valid.

In:  a message. Out: `Carried`, `Candidate`. No DNS in here and no key: dkim.verify has the last word.
A candidate is a signature of which all is right that can be seen without its key: syntax, algorithm, expiry, hash of the body.
dkimpy makes the canonical forms.
Fails: never by itself; how long it may take is the business of who calls it (worker.py): dkimpy's relaxed body takes the square
of a long run of blanks.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any

from notes2conf_milter.core.message import Field, header_fields

MOST_CANDIDATES = 3
_LOOKED_AT = 10
_ALGORITHMS = (b"rsa-sha256", b"ed25519-sha256")  # RFC 8301 §3.1: rsa-sha1 is never valid
_NEEDED = (b"v", b"a", b"b", b"bh", b"d", b"h", b"s")  # RFC 6376 §3.5
_BLANKS = re.compile(rb"[ \t\r\n]+")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_NAME = re.compile(rb"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z")
SIGNATURE = b"dkim-signature"


@dataclass(frozen=True, slots=True)
class Carried:
    """A DKIM-Signature field: its 1-based index among those, its tags, its d= in lower case ("" where it has none)."""

    index: int
    tags: dict[bytes, bytes]
    domain: str
    field: tuple[bytes, bytes]  # name and value, with the final CRLF that dkimpy wants


@dataclass(frozen=True, slots=True)
class Candidate:
    """A signature that its key would make valid. digest: SHA-256 of what it signs. algorithm: its a=.

    identity: the domain of its i=.
    """

    domain: str
    selector: str
    algorithm: bytes
    digest: bytes
    signature: bytes
    identity: str

    @property
    def record(self) -> str:
        """The name of its key record (RFC 6376 §3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"


def library() -> ModuleType:
    """Return dkimpy. It brings dnspython with it, 6 MB and a tenth of a second: not for processes that never need it."""
    import dkim

    module: ModuleType = dkim
    return module


def tags(value: bytes) -> dict[bytes, bytes] | None:
    """Return a tag list (RFC 6376 §3.2), None when it is not one. Blanks around names and values are gone.

    Names that no tag can have are taken, as some verifiers take them.
    """
    found: dict[bytes, bytes] = {}
    specs = value.strip().removesuffix(b";").split(b";")
    for spec in specs:
        name, equals, text = spec.partition(b"=")
        name = name.strip()
        if not equals or not name or name in found:
            return None
        found[name] = text.strip()
    return found


def carried(message: bytes) -> tuple[Carried, ...]:
    """Return the DKIM-Signature fields of a message, from the top. Raises MessageTooComplex as core.message does."""
    fields = [field for field in header_fields(message).fields if field.name.lower() == SIGNATURE]
    return tuple(_carried(message, field, index) for index, field in enumerate(fields, 1))


def _carried(message: bytes, field: Field, index: int) -> Carried:
    value = message[field.value_start : field.value_end]
    found = tags(value) or {}
    domain = found.get(b"d", b"").decode("ascii", "replace").lower()
    return Carried(index, found, domain, (field.name, crlf(value) + b"\r\n"))


def crlf(octets: bytes) -> bytes:
    """Return octets as they go over the wire: with CRLF for bare LF."""
    return octets if octets.count(b"\n") == octets.count(b"\r\n") else _BARE_LF.sub(b"\r\n", octets)


def related(domain: str, other: str) -> bool:
    """Say whether two domains are the same, or one is below the other: as near to DMARC's alignment as one gets without a list
    of public suffixes (RFC 7489 §3.1.1)."""
    return domain == other or domain.endswith("." + other) or other.endswith("." + domain)


def candidates(
    message: bytes, wanted: Callable[[str], bool], now: int, most: int = MOST_CANDIDATES
) -> tuple[tuple[Candidate, ...], bool]:
    """Return the candidates among the signatures whose d= is wanted, and whether there are more than `most`.

    now: seconds since 1970 UTC.
    """
    seen, others = looked_at(message, wanted, now)
    found = tuple(one for one in seen if isinstance(one, Candidate))
    return found[:most], others or len(found) > most


class Flaw(Enum):
    """Why a signature is no candidate, as RFC 8601 §2.7.1 says it."""

    NEUTRAL = "neutral"  # no sound signature
    FAIL = "fail"  # of another body


def looked_at(message: bytes, wanted: Callable[[str], bool], now: int) -> tuple[tuple[Candidate | Flaw, ...], bool]:
    """Return what is to be said of the signatures whose d= is wanted, from the top, and whether there are others besides."""
    some = [one for one in carried(message) if wanted(one.domain)]
    return tuple(_looked_at(message, some[:_LOOKED_AT], now)) if some else (), len(some) > _LOOKED_AT


def _looked_at(message: bytes, some: list[Carried], now: int) -> Iterator[Candidate | Flaw]:
    header = header_fields(message)
    fields = [(one.name, crlf(message[one.value_start : one.value_end]) + b"\r\n") for one in header.fields]
    body = crlf(message[header.body_start :])
    hashed: dict[tuple[bytes, bytes], bytes] = {}
    for one in some:
        if not _sound(one, now):
            yield Flaw.NEUTRAL
            continue
        policy = library().CanonicalizationPolicy.from_c_value(one.tags.get(b"c"))
        length = one.tags.get(b"l", b"")
        key = (policy.body_algorithm.name, length)
        if key not in hashed:
            canonical = policy.canonicalize_body(body)
            hashed[key] = hashlib.sha256(canonical[: int(length)] if length else canonical).digest()
        yield _candidate(one, fields, policy) if hashed[key] == unbase64(one.tags[b"bh"]) else Flaw.FAIL


def _candidate(one: Carried, fields: list[tuple[bytes, bytes]], policy: Any) -> Candidate:
    names = _names(one.tags[b"h"])
    wanted = [field for field in fields if field[0].lower() in names]
    digest = header_digest(policy, wanted, names, one.field)
    return Candidate(
        one.domain,
        one.tags[b"s"].decode("ascii").lower(),
        one.tags[b"a"],
        digest,
        unbase64(one.tags[b"b"]) or b"",
        one.tags.get(b"i", b"@" + one.tags[b"d"]).rpartition(b"@")[2].decode("ascii", "replace").lower(),
    )


def header_digest(
    policy: Any, fields: list[tuple[bytes, bytes]], names: list[bytes], signature: tuple[bytes, bytes]
) -> bytes:
    """Return SHA-256 of header fields and of the signature's own field without its b= (RFC 6376 §3.7).

    policy: dkimpy's. fields: name and value with CRLF, at least those of the names, from the top. names: h=, in lower case.
    """
    hasher = hashlib.sha256()
    library().hash_headers(hasher, policy, policy.canonicalize_headers(fields), names, signature, {})
    return hasher.digest()


def _names(value: bytes) -> list[bytes]:
    return [name.strip().lower() for name in value.split(b":")]


def _sound(one: Carried, now: int) -> bool:
    """Say whether a signature is what RFC 6376 §3.5 asks for, as far as its tags tell."""
    found = one.tags
    if not all(found.get(tag) for tag in _NEEDED) or found[b"v"] != b"1" or found[b"a"] not in _ALGORITHMS:
        return False
    if not _NAME.match(found[b"d"]) or not _NAME.match(found[b"s"]) or found.get(b"q", b"dns/txt") != b"dns/txt":
        return False
    if found.get(b"c", b"simple") not in _FORMS or b"from" not in _names(found[b"h"]):
        return False
    numbers = [found[tag] for tag in (b"l", b"t", b"x") if tag in found]
    if not all(re.fullmatch(rb"[0-9]{1,12}", number) for number in numbers):
        return False
    identity = found.get(b"i", b"@" + found[b"d"]).rpartition(b"@")[2].lower()
    within = identity == found[b"d"].lower() or identity.endswith(b"." + found[b"d"].lower())
    return within and (b"x" not in found or int(found[b"x"]) >= now) and unbase64(found[b"b"]) is not None


_FORMS = {one + two for one in (b"simple", b"relaxed") for two in (b"", b"/simple", b"/relaxed")}


def unbase64(text: bytes) -> bytes | None:
    """Return the octets of base64 with blanks in it (RFC 6376 §2.10); None where it is none."""
    try:
        return base64.b64decode(_BLANKS.sub(b"", text), validate=True)
    except binascii.Error:
        return None
