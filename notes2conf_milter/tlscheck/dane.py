"""DANE: whether TLSA records vouch for what a host presented (RFC 7672, RFC 7671).

In:  TLSA records, certificates as DER, the names that count, a time. Out: `Dane` and the record that matched.
Fails: never; a record that cannot be used is left out, and when none is left that is said.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509

from notes2conf_milter.tlscheck.certificates import dns_names, load, public_key
from notes2conf_milter.tlscheck.chains import trust
from notes2conf_milter.tlscheck.facts import Dane, Tlsa
from notes2conf_milter.tlscheck.names import any_matches

_TA, _EE = 2, 3
_DIGESTS = {1: hashlib.sha256, 2: hashlib.sha512}
_LENGTHS = {1: 32, 2: 64}


def usable(record: Tlsa) -> bool:
    """Say whether a mail server can use a record: usage 2 or 3, known selector and matching, data of the right length."""
    if record.usage not in (_TA, _EE) or record.selector not in (0, 1):  # RFC 7672 §3.1.3: no PKIX usages in SMTP
        return False
    if record.matching == 0:
        return bool(record.data)
    return len(record.data) == _LENGTHS.get(record.matching, -1)


def match(
    records: Iterable[Tlsa], ders: Sequence[bytes], names: Sequence[str], now: datetime
) -> tuple[Dane, Tlsa | None]:
    """Compare records with the certificates of a host; `names` are its own and, where the MX is secure, the domain's."""
    good = [record for record in records if usable(record)]
    if not good:
        return Dane.UNUSABLE, None
    for record in good:
        if record.usage == _EE and ders and _same(record, ders[0]):  # RFC 7672 §3.1.1: neither names nor dates count
            return Dane.MATCH, record
        if record.usage == _TA and _anchored(record, ders, names, now):
            return Dane.MATCH, record
    return Dane.MISMATCH, None


def _same(record: Tlsa, der: bytes) -> bool:
    value = der if record.selector == 0 else public_key(der)
    if value is None:
        return False
    digest = _DIGESTS.get(record.matching)
    return record.data == (value if digest is None else digest(value).digest())


def _anchored(record: Tlsa, ders: Sequence[bytes], names: Sequence[str], now: datetime) -> bool:
    """RFC 7672 §3.1.2: the authority is presented, the chain leads to it, and the host's certificate has the name."""
    own = load(ders[0]) if ders else None
    if own is None or not any_matches(dns_names(own), names):
        return False
    if not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
        return False
    anchors: list[x509.Certificate] = [one for der in ders if _same(record, der) and (one := load(der))]
    if record.selector == 0 and record.matching == 0 and (given := load(record.data)):
        anchors.append(given)  # the record itself brings the authority
    others = [one for one in map(load, ders[1:]) if one is not None]
    return bool(anchors) and trust(own, others, anchors, now)[0] is None
