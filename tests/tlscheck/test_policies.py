"""MTA-STS and TLSRPT as they are published."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.tlscheck.facts import Policy
from notes2conf_milter.tlscheck.policies import allows, read_policy, report_addresses, sts_id

POLICY = b"version: STSv1\nmode: enforce\nmx: mx.example.org\nmx: *.example.net\nmax_age: 604800\n"


def test_records() -> None:
    """One record among others (RFC 8461 §3.1, RFC 8460 §3)."""
    assert sts_id([b"v=spf1 -all", b"v=STSv1; id=20261127T000000Z;"]) == "20261127T000000Z"
    assert sts_id([b"v=spf1 -all", b"v=STSv10; id=1"]) is None
    assert report_addresses([b"v=TLSRPTv1; rua=mailto:a@example.org, https://example.org/r"]) == (
        "mailto:a@example.org",
        "https://example.org/r",
    )
    assert report_addresses([]) is None


@pytest.mark.parametrize(
    "records", [[b"v=STSv1;"], [b"v=STSv1; id=a-b"], [b"v=STSv1; id=" + b"1" * 33], [b"v=STSv1; id=1"] * 2]
)
def test_sts_records_that_are_not_valid(records: list[bytes]) -> None:
    """A ValueError that says why."""
    with pytest.raises(ValueError, match=r"id is missing|records where one"):
        sts_id(records)


@pytest.mark.parametrize("rua", [b"", b"tel:1", b"mailto:", b"http://example.org/", b"mailto:a@b.test,"])
def test_report_records_that_are_not_valid(rua: bytes) -> None:
    """Where to is missing, or no way that the standard knows."""
    with pytest.raises(ValueError, match="rua"):
        report_addresses([b"v=TLSRPTv1; rua=" + rua])


def test_a_policy() -> None:
    """LF or CRLF, keys in any order, unknown ones left alone; of two the first counts."""
    expected = Policy("enforce", 604800, ("mx.example.org", "*.example.net"))
    assert read_policy(POLICY) == expected
    assert read_policy(POLICY.replace(b"\n", b"\r\n") + b"mode: none\r\nfuture: x:y\r\n\r\n") == expected
    assert read_policy(b"version: STSv1\nmode: none\nmax_age: 0") == Policy("none", 0, ())


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"STSv1", b"STSv2", "version"),
        (b"enforce", b"Enforce", "mode"),
        (b"604800", b"31557601", "max_age"),
        (b"604800", b"-1", "max_age"),
        (b"604800", "²".encode(), "max_age"),
        (b"mx: mx.example.org\nmx: *.example.net\n", b"", "no mx line"),
        (b"mx: mx.example.org\n", b"mx: a.test\n" * 101, "more than"),
        (b"mode: enforce", b"<html>", "key: value"),
    ],
)
def test_policies_that_are_not_valid(old: bytes, new: bytes, why: str) -> None:
    """A ValueError that says why."""
    with pytest.raises(ValueError, match=why):
        read_policy(POLICY.replace(old, new))


def test_which_hosts_it_allows() -> None:
    """A wildcard is one label (RFC 8461 §4.1)."""
    policy = read_policy(POLICY)
    assert allows(policy, "mx.example.org") and allows(policy, "a.example.net")
    assert not any(allows(policy, one) for one in ("example.net", "a.b.example.net", "x.example.org"))


@given(st.binary(max_size=300))
def test_any_octets_are_an_answer(octets: bytes) -> None:
    """A policy, or a ValueError in printable words."""
    for text in (octets, POLICY + octets):
        try:
            read_policy(text)
        except ValueError as error:
            assert str(error).isprintable()
