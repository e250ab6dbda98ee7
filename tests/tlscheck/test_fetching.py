"""The policy over HTTPS; tests/tlscheck/test_check.py has what a domain can do wrong."""

import asyncio
import socket
import time
from pathlib import Path

import pytest

from notes2conf_milter.tlscheck.anchors import context
from notes2conf_milter.tlscheck.facts import StsState
from notes2conf_milter.tlscheck.fetching import NotFetched, fetch
from tests.tlscheck.place import Place

NAME = "mta-sts.example.test"


def test_the_name_is_the_policy_hosts(place: Place) -> None:
    """Connected to by address, asked and verified by name; a proxy in the environment is not asked."""
    host = place.policy("version: STSv1\n")
    address = place.dns.zone[f"{NAME} A"][0]
    octets = asyncio.run(fetch(NAME, address, context(place.ca), 5))
    assert octets == b"version: STSv1\n" and host.asked == [(NAME, "/.well-known/mta-sts.txt")]


def test_a_host_that_says_nothing(tmp_path: Path) -> None:
    """There is a time for it."""
    address = Place.address()
    with Place(tmp_path) as place, socket.create_server((address, 443)), pytest.raises(NotFetched) as caught:
        began = time.monotonic()
        asyncio.run(fetch(NAME, address, context(place.ca), 0.5))
    assert caught.value.state is StsState.UNREACHABLE and time.monotonic() - began < 5
