"""The way in, between real hosts: from the organizers' house to the gateway and on into the world, by DNS.

What comes without encryption, with too little of it, or past a host in between that takes it away: refused where a rule says
so, and never with a link.
"""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest

from tests.live.arrangement import BASE_URL, DOOR, INJECTION, KEYS, Arrangement, Fate, arrangement
from tests.live.gateway import ANNA, COMMAND, Meeting, invitation, the_token, tokens, until
from tests.live.tls import context
from tests.signatures import records, verified

GATE = "gate.example.org"
STRIPPERS = ("stripped", "crossed", "later", "never")  # without, XXXXXXXX for it, answered 454, answered 502
INSISTING = {  # what a Postfix says that has smtp_tls_security_level = encrypt, and what it does
    "stripped": ("TLS is required, but was not offered by host", "deferred"),
    "crossed": ("TLS is required, but was not offered by host", "deferred"),
    "later": ("refused to start TLS: 454", "deferred"),
    "never": ("refused to start TLS: 502", "bounced"),
}
NO_TLS = "530 5.7.0 Must issue a STARTTLS command first"
TOO_WEAK = "550 5.7.0 Encryption is too weak, TLSv1.2 with forward secrecy is required"
NO_CARD = "550 5.7.0 Encryption is too weak, TLS, and a trusted client certificate, is required"


@pytest.fixture(scope="module")
def place() -> Iterator[Arrangement]:
    with arrangement() as made:
        yield made
        # All that passed the host in between in the clear, in all tests
        assert b"conf.example.org" not in made.between.overheard


class Sent:
    """An invitation that was sent, and what became of it. to: the attendee; said: by the log of the mail service."""

    def __init__(self, place: Arrangement, route: str, sender: str = ANNA) -> None:
        self._place = place
        self.to = f"bob-{token_hex(4)}@good.example"
        self.message = invitation(Meeting.new())
        before = len(place.said())
        place.house.send(route, sender, [self.to], self.message)
        self.fate: Fate = place.house.fate(self.to)
        if self.fate.status == "sent" or "in reply to MAIL FROM" in self.fate.said:
            until(lambda: bool(place.said(before)))  # lines about messages are written a little later
        self.said = place.said(before)

    def arrived(self) -> bytes:
        """Return it as it arrived out in the world."""
        return self._place.arrived(self.to).octets

    def assert_refused(self, reply: str, reason: str, tls: str) -> None:
        """It bounced with this reply to MAIL FROM, nobody out there has it, and the log says why."""
        assert self.fate.status == "bounced" and reply in self.fate.said, self.fate
        assert "in reply to MAIL FROM command" in self.fate.said
        ((verdict, why, session),) = self.said
        assert (verdict, why) == ("refuse", reason) and session.startswith(tls), session
        assert self._place.delivered(self.to) == []

    def assert_linked(self, tls: str) -> str:
        """It went on with a link, by TLS; return how the session was logged."""
        assert self.fate.status == "sent", self.fate
        ((verdict, why, session),) = self.said
        assert (verdict, why) == ("rewrite", "link-added") and session.startswith(tls), session
        got = self.arrived()
        assert the_token(got, BASE_URL) and b"by mx.good.example (Postfix) with ESMTPS" in got
        return session

    def assert_bare(self) -> None:
        """It went on as it was sent, without a link."""
        assert self.fate.status == "sent", self.fate
        assert self.said == [("pass", "not-encrypted", "tls=none peer=192.0.2.0/24")]
        got = self.arrived()
        assert got.endswith(self.message) and not tokens(got, BASE_URL)

    def assert_kept(self, why: str, status: str = "deferred") -> None:
        """The house kept it, or gave it back: to the gateway it has said nothing of it."""
        assert self.fate.status == status and why in self.fate.said, self.fate
        assert self.said == [] and self._place.delivered(self.to) == []


def test_the_whole_way(place: Arrangement) -> None:
    """MX looked up at each hop, TLS 1.3 on each; the link is in it, the organizer has the start link, and the log says all."""
    before = len(place.started())
    sent = Sent(place, f"tls13-domino:{GATE}")
    assert sent.fate.relay == "gw.example.org[203.0.113.25]:25"
    session = sent.assert_linked("tls=TLSv1.3")
    assert session == "tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 fs=yes cert=- peer=192.0.2.10/32"
    got = sent.arrived()
    assert got.count(b"(using TLSv1.3 with cipher ") == 2
    assert verified(got, records(*KEYS)) == [("example.org", True)] * 2
    until(lambda: len(place.started()) == before + 1)
    assert the_token(place.started()[-1].octets, BASE_URL, "s")


def test_the_dns_has_the_keys_that_sign(place: Arrangement) -> None:
    """As the gateway's own resolver says it."""
    settings = str(place.gate.place / "notes2conf.toml")
    done = place.gate.host.run(str(COMMAND), "dkim", "check", "--config", settings)
    assert len(done.stdout.splitlines()) == len(KEYS)


@pytest.mark.parametrize(
    ("client", "reply", "reason", "tls"),
    [
        ("none", NO_TLS, "tls-missing", "tls=none peer="),
        ("tls10", TOO_WEAK, "tls-too-weak", "tls=TLSv1 cipher="),
        ("tls11", TOO_WEAK, "tls-too-weak", "tls=TLSv1.1 cipher="),
        ("static", TOO_WEAK, "tls-too-weak", "tls=TLSv1.2 cipher=AES256-GCM-SHA384 bits=256 fs=no"),
    ],
)
def test_too_little_is_refused(place: Arrangement, client: str, reply: str, reason: str, tls: str) -> None:
    """By Postfix, at MAIL FROM, as the rule for this client says; over IPv4 and IPv6."""
    Sent(place, f"{client}-domino:{GATE}").assert_refused(reply, reason, tls)
    if client == "none":
        six = Sent(place, f"{client}-six:{GATE}")
        six.assert_refused(reply, reason, tls)
        assert six.said[0][2].endswith(" peer=2001:db8:1::10/128")


@pytest.mark.parametrize(
    ("route", "tls"),
    [
        ("tls12-domino", "tls=TLSv1.2 cipher=ECDHE-RSA-AES256-GCM-SHA384 bits=256 fs=yes"),
        ("tls13-domino", "tls=TLSv1.3"),
        ("tls13-six", "tls=TLSv1.3"),
        ("may-domino", "tls=TLSv1.3"),
    ],
)
def test_enough_gets_a_link(place: Arrangement, route: str, tls: str) -> None:
    Sent(place, f"{route}:{GATE}").assert_linked(tls)


@pytest.mark.parametrize("how", STRIPPERS)
def test_stripped_on_the_way(place: Arrangement, how: str) -> None:
    """A sender that takes what it gets is told what to do, or has no link; one that insists on TLS says nothing at all."""
    Sent(place, f"may-domino:{how}.{GATE}").assert_refused(NO_TLS, "tls-missing", "tls=none peer=192.0.2.10/32")
    Sent(place, f"may-open:{how}.{GATE}").assert_bare()
    assert b"\r\nDTSTART;" in place.between.overheard
    Sent(place, f"encrypt-open:{how}.{GATE}").assert_kept(*INSISTING[how])


def test_an_exempt_network_gets_its_link_all_the_same(place: Arrangement) -> None:
    """Set so by the administrator; it is logged as what it is, and goes on by TLS."""
    assert Sent(place, f"may-exempt:stripped.{GATE}").assert_linked("tls=none").endswith("peer=192.0.2.0/24")


def test_the_certificate_of_a_client(place: Arrangement) -> None:
    """Where a rule asks for one: of an authority that the gateway's Postfix trusts, and of the client itself, not of whoever
    stands in between."""
    Sent(place, f"encrypt-card:{GATE}").assert_refused(NO_CARD, "tls-too-weak", "tls=TLSv1.3")
    Sent(place, f"strange-card:{GATE}").assert_refused(NO_CARD, "tls-too-weak", "tls=TLSv1.3")
    Sent(place, f"trusted-card:posed.{GATE}").assert_refused(NO_CARD, "tls-too-weak", "tls=TLSv1.3")
    assert " cert=trusted " in Sent(place, f"trusted-card:{GATE}").assert_linked("tls=TLSv1.3")
    # Where none asks for it, any will do
    assert " cert=- " in Sent(place, f"strange-open:{GATE}").assert_linked("tls=TLSv1.3")


def test_an_impostor_on_the_way(place: Arrangement) -> None:
    """Seen by a client that verifies; by one that only encrypts, and by the gateway, it cannot be."""
    Sent(place, f"verify-open:posed.{GATE}").assert_kept("Server certificate not verified")
    Sent(place, f"encrypt-open:posed.{GATE}").assert_linked("tls=TLSv1.3")


def test_strangers_may_come_in_the_clear(place: Arrangement) -> None:
    """RFC 3207 §4: a public MX takes what comes; an invitation of a stranger is nothing to us."""
    before = len(place.said())
    place.world.send("none-stranger:example.org", "carl@else.example", [ANNA], b"Subject: x\r\n\r\nstranger\r\n")
    assert place.world.fate(ANNA).status == "sent"
    until(lambda: any(one.octets.endswith(b"\r\nstranger\r\n") for one in place.mailbox.messages))
    until(lambda: place.said(before) == [("pass", "no-calendar", "tls=none peer=198.51.100.0/24")])


def test_the_report_shows_it(place: Arrangement) -> None:
    """What an auditor is handed counts just what was sent, refused messages, too, and names no address."""
    before = report(place)
    for route in (f"none-domino:{GATE}", f"tls12-domino:{GATE}", f"may-open:stripped.{GATE}", f"tls13-six:{GATE}"):
        Sent(place, route)
    after = report(place)
    counted = {name: after["messages"][name] - before["messages"][name] for name in after["messages"]}
    assert counted == {"messages": 4, "encrypted": 2, "forward_secrecy": 2, "plain": 2, "unseen": 0, "refused": 1}
    versions = {name: count - before["versions"].get(name, 0) for name, count in after["versions"].items()}
    assert {name: count for name, count in versions.items() if count} == {"TLSv1.2": 1, "TLSv1.3": 1, "none": 2}
    peers = {one["peer"] for one in after["peers"]}
    assert {"192.0.2.10/32", "192.0.2.0/24", "2001:db8:1::10/128"} <= peers
    log = place.mail.log()
    assert not [word for word in ("192.0.2.11", "198.51.100.7", "@good.example", "domino.example") if word in log]


def report(place: Arrangement) -> Any:
    """Return what `tls report` counts in the log of the mail service."""
    log = place.gate.place / "report.log"
    log.write_text(place.mail.log(), "utf-8")
    done = subprocess.run(
        [str(COMMAND), "tls", "report", "--json", "--file", str(log)], capture_output=True, check=True
    )
    return json.loads(done.stdout)


# --- our own listener ---


def door(how: str = "") -> str:
    """Return the next hop for it; how: with whom on the way."""
    return f"[mx.{how}.{GATE}]:{DOOR}" if how else f"[gw.example.org]:{DOOR}"


def test_our_own_door(place: Arrangement) -> None:
    """TLS 1.2 and 1.3 with forward secrecy, and nothing else; without TLS what the rule says."""
    Sent(place, f"none-domino:{door()}").assert_refused(NO_TLS, "tls-missing", "tls=none peer=192.0.2.10/32")
    for client in ("tls10", "tls11", "static"):
        Sent(place, f"{client}-domino:{door()}").assert_kept("Cannot start TLS: handshake failure")
    for client, tls in (("tls12", "tls=TLSv1.2 cipher=ECDHE-"), ("tls13", "tls=TLSv1.3")):
        assert " fs=yes cert=- " in Sent(place, f"{client}-domino:{door()}").assert_linked(tls)


@pytest.mark.parametrize("how", STRIPPERS)
def test_stripped_on_the_way_to_our_door(place: Arrangement, how: str) -> None:
    Sent(place, f"may-domino:{door(how)}").assert_refused(NO_TLS, "tls-missing", "tls=none peer=192.0.2.10/32")
    Sent(place, f"may-open:{door(how)}").assert_bare()
    Sent(place, f"encrypt-open:{door(how)}").assert_kept(*INSISTING[how])


def test_the_certificate_of_a_client_at_our_door(place: Arrangement) -> None:
    """One of a strange authority ends the session. Where a rule asks for one, whoever has none is refused."""
    Sent(place, f"encrypt-card:{door()}").assert_refused(NO_CARD, "tls-too-weak", "tls=TLSv1.3")
    Sent(place, f"strange-open:{door()}").assert_kept("lost connection")
    Sent(place, f"trusted-card:{door('posed')}").assert_refused(NO_CARD, "tls-too-weak", "tls=TLSv1.3")
    assert " cert=trusted " in Sent(place, f"trusted-card:{door()}").assert_linked("tls=TLSv1.3")


# --- commands before TLS (CVE-2011-0411) ---


@pytest.mark.parametrize("port", [25, DOOR], ids=["postfix", "door"])
def test_commands_injected_by_a_host_in_between(place: Arrangement, port: int) -> None:
    """They are not obeyed: the real sender's message goes its way, and nothing else does."""
    before = len(place.said())
    sent = Sent(place, f"encrypt-open:{f'injected.{GATE}' if port == 25 else door('injected')}")
    assert INJECTION in place.between.overheard
    sent.assert_linked("tls=TLSv1.3")
    assert len(place.said(before)) == 1
    assert not any(b"mallory" in one for message in place.received.messages for one in message.recipients)
    assert "mallory@" not in place.gate.postfix.log()
    if port == DOOR:  # Postfix says nothing of it
        assert (
            f"WARNING notes2conf_milter.smtp.session: SMTP door: {len(INJECTION)} octets came in clear"
            in place.mail.log()
        )


@pytest.mark.parametrize("port", [25, DOOR], ids=["postfix", "door"])
def test_what_a_client_says_too_early(place: Arrangement, port: int) -> None:
    """In one segment with STARTTLS: under TLS it is as if it had never been said."""
    with place.house.host.inside(lambda: connect("203.0.113.25", port)) as plain:
        plain.settimeout(20)
        read_reply(plain)
        plain.sendall(b"EHLO client.example\r\n")
        read_reply(plain)
        plain.sendall(b"STARTTLS\r\n" + INJECTION)
        assert read_reply(plain).startswith(b"220 ")
        with context().wrap_socket(plain) as tls:
            tls.sendall(b"RCPT TO:<bob@good.example>\r\n")
            assert read_reply(tls).startswith(b"503 ")  # no transaction is open
            tls.sendall(b"NOOP\r\n")
            assert read_reply(tls).startswith(b"250 ")
            tls.settimeout(0.5)
            with pytest.raises(TimeoutError):
                tls.recv(1)  # no reply is left over


def connect(address: str, port: int) -> socket.socket:
    return socket.create_connection((address, port), 20)


def read_reply(source: socket.socket) -> bytes:
    """Read one reply to its last line."""
    octets = b""
    while not re.search(rb"(?m)^\d{3}[ ].*\r\n\Z", octets):
        piece = source.recv(4096)
        assert piece, octets
        octets += piece
    return octets
