"""TLSA records and certificates: RFC 7672."""

from datetime import timedelta
from hashlib import sha256, sha512

import pytest

from notes2conf_milter.tlscheck.dane import match, usable
from notes2conf_milter.tlscheck.facts import Dane, Tlsa
from tests.tlscheck.authority import NOW, Authority, Issued, issue

AUTHORITY = Authority()
MX = "mx.example.test"
HOST = AUTHORITY.host(MX)
LATE = AUTHORITY.host(MX, begins=NOW - timedelta(days=9), ends=NOW - timedelta(days=2))


def record(usage: int, selector: int, matching: int, issued: Issued) -> Tlsa:
    value = issued.der if selector == 0 else issued.spki
    data = {0: value, 1: sha256(value).digest(), 2: sha512(value).digest()}[matching]
    return Tlsa(usage, selector, matching, data)


def result(one: Tlsa, issued: Issued = HOST, names: tuple[str, ...] = (MX,)) -> Dane:
    return match([one], issued.ders, names, NOW)[0]


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_all_that_match(selector: int, matching: int) -> None:
    """Certificate or key; itself, SHA-256 or SHA-512; the host's own or its authority's."""
    for usage, issued in ((3, HOST), (2, AUTHORITY.between)):
        one = record(usage, selector, matching, issued)
        assert match([one], HOST.ders, (MX,), NOW) == (Dane.MATCH, one)
        assert result(record(usage, selector, matching, issue("x"))) is Dane.MISMATCH


def test_the_own_key_vouches_for_itself() -> None:
    """Usage 3: neither the name nor dates nor a chain count (RFC 7672 §3.1.1)."""
    assert result(record(3, 1, 1, LATE), LATE, ("other.test",)) is Dane.MATCH
    assert result(record(3, 1, 1, AUTHORITY.between)) is Dane.MISMATCH  # only the host's own


def test_an_authority_vouches_for_names_and_dates() -> None:
    """Usage 2: they count, and the authority has to be presented (RFC 7672 §3.1.2)."""
    anchor = record(2, 0, 1, AUTHORITY.between)
    assert result(anchor, names=("other.test",)) is Dane.MISMATCH
    assert result(anchor, names=("other.test", MX)) is Dane.MATCH
    assert result(anchor, LATE) is Dane.MISMATCH
    assert result(anchor, Issued(HOST.certificate, HOST.key)) is Dane.MISMATCH
    assert result(record(2, 0, 1, AUTHORITY.root)) is Dane.MISMATCH  # a root that is not sent
    forged = Issued(Authority().host(MX).certificate, None, (AUTHORITY.between.certificate,))
    assert result(anchor, forged) is Dane.MISMATCH


def test_a_record_that_brings_the_authority() -> None:
    """Usage 2, the whole certificate (RFC 7671 §5.2.1)."""
    assert result(record(2, 0, 0, AUTHORITY.root)) is Dane.MATCH
    assert result(record(2, 0, 0, AUTHORITY.between), Issued(HOST.certificate, HOST.key)) is Dane.MATCH


@pytest.mark.parametrize(
    "one",
    [
        Tlsa(0, 1, 1, bytes(32)),
        Tlsa(1, 1, 1, bytes(32)),
        Tlsa(4, 1, 1, bytes(32)),
        Tlsa(3, 2, 1, bytes(32)),
        Tlsa(3, 1, 3, bytes(32)),
        Tlsa(3, 1, 1, bytes(31)),
        Tlsa(3, 1, 2, bytes(32)),
        Tlsa(3, 1, 0, b""),
    ],
)
def test_records_that_smtp_cannot_use(one: Tlsa) -> None:
    """They are left out; if none is left, nothing is verified (RFC 7672 §2.2)."""
    assert not usable(one)
    assert result(one) is Dane.UNUSABLE
    assert match([one, record(3, 1, 1, HOST)], HOST.ders, (MX,), NOW)[0] is Dane.MATCH


def test_a_host_without_certificates() -> None:
    """Matches nothing, as do octets that are none."""
    assert match([record(3, 1, 1, HOST)], [], (MX,), NOW)[0] is Dane.MISMATCH
    assert match([record(2, 1, 1, HOST)], [b"x", b"y"], (MX,), NOW)[0] is Dane.MISMATCH
