"""Questions to a real DNS server on loopback."""

import asyncio

import pytest

from notes2conf_milter.tlscheck.facts import Found, Mx, Tlsa
from notes2conf_milter.tlscheck.resolver import Resolver
from tests.tlscheck.nameserver import Nameserver

ZONE = {
    "example.test MX": ["20 MX2.example.test.", "10 mx1.example.test."],
    "mx1.example.test A": ["192.0.2.1", "192.0.2.2"],
    "mx1.example.test AAAA": ["2001:db8::1"],
    "alias.example.test CNAME": ["mx1.example.test."],
    "_25._tcp.mx1.example.test TLSA": ["3 1 1 " + "ab" * 32],
    "example.test TXT": ['"v=spf1 " "-all"'],
    "big.example.test TXT": ['"' + "x" * 250 + '"'] * 2,
}


def test_what_it_answers() -> None:
    """Each kind of record, the MX in their order, and the AD flag."""
    with Nameserver(ZONE) as server:
        resolver = Resolver(server.address)

        async def ask() -> None:
            mx = await resolver.mx("example.test")
            assert mx.values == (Mx(10, "mx1.example.test"), Mx(20, "mx2.example.test")) and mx.secure
            assert set((await resolver.addresses("mx1.example.test", 4)).values) == {"192.0.2.1", "192.0.2.2"}
            assert (await resolver.addresses("mx1.example.test", 6)).values == ("2001:db8::1",)
            alias = await resolver.addresses("alias.example.test", 4)
            assert (alias.name, len(alias.values)) == ("mx1.example.test", 2)
            tlsa = await resolver.tlsa("_25._tcp.mx1.example.test")
            assert tlsa.values == (Tlsa(3, 1, 1, b"\xab" * 32),)
            assert (await resolver.txt("example.test")).values == (b"v=spf1 -all",)
            server.secure = False
            assert not (await resolver.mx("example.test")).secure

        asyncio.run(ask())
        assert (resolver.where, resolver.near) == ("127.0.0.1", True)


def test_what_is_not_there_and_what_fails() -> None:
    """No data, no name, SERVFAIL, silence: each is an answer."""
    with Nameserver(ZONE) as server:
        server.failing.add("fail.example.test A")
        server.silent.add("silent.example.test A")
        resolver = Resolver(server.address, seconds=0.5)

        async def ask(name: str) -> tuple[Found, str]:
            answer = await resolver.addresses(name, 4)
            return answer.found, answer.detail

        assert asyncio.run(ask("example.test")) == (Found.NO_DATA, "")
        assert asyncio.run(ask("nowhere.test")) == (Found.NO_NAME, "")
        assert asyncio.run(ask("fail.example.test")) == (Found.FAILED, "SERVFAIL")
        assert asyncio.run(ask("silent.example.test")) == (Found.FAILED, "timeout")
        assert asyncio.run(ask("a" * 70 + ".test"))[0] is Found.FAILED


@pytest.mark.parametrize(("address", "near"), [("127.0.0.53", True), ("::1", True), ("192.0.2.53", False)])
def test_whether_the_resolver_is_near(address: str, near: bool) -> None:
    """On loopback nobody in between can set AD."""
    assert Resolver((address, 53)).near is near
