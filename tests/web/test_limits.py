"""Guessing is slowed down, nobody else is locked out, and nobody chooses the own network."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.web import limits
from notes2conf_milter.web.limits import MOST_MISSES, SECONDS, Misses, Shares, network_of

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
TOKEN, OTHER = "a" * 32, "b" * 32
NOW = 1_777_881_600


def guess(misses: Misses, peer: str = "192.0.2.1", times: int = MOST_MISSES, now: int = NOW) -> None:
    for _ in range(times):
        misses.tried(peer, (), OTHER, now, valid=False)


def test_so_many_in_so_long() -> None:
    misses = Misses()
    guess(misses, times=MOST_MISSES - 1)
    assert misses.allowed("192.0.2.1", (), TOKEN, NOW)
    guess(misses, times=1)
    assert not misses.allowed("192.0.2.1", (), TOKEN, NOW + SECONDS - 1)
    assert misses.allowed("192.0.2.2", (), TOKEN, NOW)
    assert misses.allowed("192.0.2.1", (), TOKEN, NOW + SECONDS)
    guess(misses, times=1, now=NOW + SECONDS)
    assert misses.allowed("192.0.2.1", (), TOKEN, NOW + SECONDS)


def test_a_link_that_was_valid_lately_is_let_through() -> None:
    """A company behind one address goes on waiting while somebody there guesses."""
    misses = Misses()
    misses.tried("192.0.2.1", (), TOKEN, NOW, valid=True)
    guess(misses)
    assert misses.allowed("192.0.2.1", (), TOKEN, NOW)
    assert not misses.allowed("192.0.2.1", (), OTHER, NOW)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST_NETWORKS", 3)
    monkeypatch.setattr(limits, "_MOST_KNOWN", 3)
    misses = Misses()
    for number in range(9):
        misses.tried(f"192.0.2.{number}", (), f"{number}", NOW, valid=False)
        misses.tried(f"192.0.2.{number}", (), f"{number}", NOW, valid=True)
    assert len(misses._misses) == len(misses._known) == 3


@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        ("192.0.2.1", (), "192.0.2.1/32"),
        ("192.0.2.1", ("198.51.100.1",), "192.0.2.1/32"),
        ("127.0.0.1", (), ""),
        ("127.0.0.1", ("127.0.0.2",), ""),
        ("127.0.0.1", ("198.51.100.1",), "198.51.100.1/32"),
        ("127.0.0.1", ("203.0.113.9, 198.51.100.1",), "198.51.100.1/32"),
        ("127.0.0.1", ("203.0.113.9", "198.51.100.1, 127.0.0.2"), "198.51.100.1/32"),
        ("::1", ("2001:db8:1:2345::7",), "2001:db8:1:2300::/56"),
        ("::1", ("[2001:db8:1:2345::7]:443",), "2001:db8:1:2300::/56"),
        ("127.0.0.1", ("198.51.100.1:5000",), "198.51.100.1/32"),
        ("127.0.0.1", ("::ffff:198.51.100.1",), "198.51.100.1/32"),
        ("127.0.0.1", ("198.51.100.1, unknown",), ""),
        ("unix", ("198.51.100.1",), ""),
    ],
)
def test_whose_network_it_is(peer: str, forwarded: tuple[str, ...], network: str) -> None:
    assert network_of(peer, forwarded, LOOPBACK) == network


def test_where_nobody_knows_nothing_is_counted() -> None:
    """A proxy that does not say for whom it asks does not lock out everybody."""
    misses = Misses(LOOPBACK)
    guess(misses, "127.0.0.1", 2 * MOST_MISSES)
    assert misses.allowed("127.0.0.1", (), TOKEN, NOW)


def test_a_network_has_so_many_places() -> None:
    shares = Shares(2)
    assert [shares.take("a") for _ in range(3)] == [True, True, False]
    assert shares.full("a") and not shares.full("b") and shares.take("b")
    assert shares.take("a", 3) and not shares.take("a", 3)
    for _ in range(2):
        shares.give_back("a")
    assert shares.take("a") and not shares.take("a")
    assert [shares.take("") for _ in range(3)] == [True] * 3 and not shares.full("")


@given(st.lists(st.tuples(st.sampled_from(("", "a", "b")), st.booleans())))
def test_places_are_not_lost(steps: list[tuple[str, bool]]) -> None:
    """Whatever comes and goes; a network that holds nothing is forgotten."""
    shares, held = Shares(3), {"": 0, "a": 0, "b": 0}
    for network, comes in steps:
        if comes:
            took = shares.take(network)
            assert took == (held[network] < 3 or not network)
            held[network] += took
        elif held[network]:
            shares.give_back(network)
            held[network] -= 1
    assert shares._taken == {network: count for network, count in held.items() if network and count}


ADDRESSES = st.ip_addresses().map(str)


@given(ADDRESSES, st.lists(st.text(max_size=30) | ADDRESSES, max_size=4))
def test_nobody_chooses_the_own_network(visitor: str, claimed: list[str]) -> None:
    """Whatever stands before the address that the trusted proxy adds."""
    if any(ip_address(visitor) in net for net in LOOPBACK if net.version == ip_address(visitor).version):
        return
    honest = network_of("127.0.0.1", (visitor,), LOOPBACK)
    assert network_of("127.0.0.1", (*claimed, visitor), LOOPBACK) == honest
    assert network_of("127.0.0.1", (", ".join([*claimed, visitor]),), LOOPBACK) == honest
    assert network_of(visitor, claimed, LOOPBACK) == honest
