"""The client's address, as doors get it."""

from ipaddress import ip_address

import pytest

from notes2conf_milter.core.envelope import client_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("IPv6:2001:db8::1", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    """Every spelling of an address is that address; a mapped one is the IPv4 address, which networks are written for."""
    assert client_address(text) == ip_address(address)


@pytest.mark.parametrize("text", ["", "unknown", "localhost", "192.0.2.1 ", "192.0.2.1/8", "192.0.2.256", "unix:/x"])
def test_what_is_no_address_is_nobody(text: str) -> None:
    """Unknown is never an allowed client (law 9)."""
    assert client_address(text) is None
