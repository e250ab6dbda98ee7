"""The way in, between real hosts: from the organizers' house to the gateway and on into the world, by DNS.

What comes without encryption, with too little of it, or past a host in between that takes it away: refused where a rule says
so, and never with a link.
"""

from collections.abc import Iterator

import pytest

from tests.live.arrangement import BASE_URL, Arrangement, arrangement
from tests.live.gateway import ANNA, Meeting, invitation, the_token, until


@pytest.fixture(scope="module")
def place() -> Iterator[Arrangement]:
    with arrangement() as made:
        yield made


def test_the_whole_way(place: Arrangement) -> None:
    """MX looked up at each hop, TLS 1.3 on each; the link is in it, the organizer has the start link, and the log says all."""
    place.house.send("tls13-domino:gate.example.org", ANNA, ["bob@good.example"], invitation(Meeting.new()))
    fate = place.house.fate("bob@good.example")
    assert (fate.status, fate.relay) == ("sent", "gw.example.org[203.0.113.25]:25")
    got = place.arrived("bob@good.example").octets
    assert the_token(got, BASE_URL)
    assert got.count(b"(using TLSv1.3 with cipher ") == 2
    assert b"by mx.good.example (Postfix) with ESMTPS" in got
    until(lambda: len(place.started()) == 1)
    assert the_token(place.started()[0].octets, BASE_URL, "s")
    words = "tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 fs=yes cert=- peer=192.0.2.10/32"
    assert place.said() == [("rewrite", "link-added", words)]
