"""What the header of a message tells of its way: whether it came into the house from outside, or somebody passed it on.

In:  a header section, the networks of the house. Out: yes or no.
Fails: `MessageTooComplex` as core.message does.

An own server that forwards a stranger's mail by itself is an allowed client, and it may put an address of the house into the
envelope; From, Sender and the calendar are the stranger's to write. What is not is what servers put on top of that, on
the way through the house (RFC 5321 §4.4): a stranger can add lines below, never above. So Received fields are believed
from the top down to the first that had the message from outside. docs/decisions/0013-own-organizers.md says why so.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network

from notes2conf_milter.core.encryption import Address, Network, within
from notes2conf_milter.core.envelope import client_address
from notes2conf_milter.core.message import header_fields

# Who is there is in the house: loopback, RFC 1918, RFC 3927, RFC 4193, and link-local IPv6 (RFC 4291 §2.5.6).
_PRIVATE: tuple[Network, ...] = tuple(
    ip_network(one)
    for one in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
# With a login (RFC 3848, RFC 6531 §4.3), or not by SMTP at all: a mail program's own protocol, a web mailer. Where the
# client was says nothing then.
_WITH_LOGIN = frozenset({b"ESMTPA", b"ESMTPSA", b"UTF8SMTPA", b"UTF8SMTPSA"})
_NOT_SMTP = frozenset({b"HTTP", b"HTTPS", b"MAPI"})
_CLAUSES = frozenset({b"from", b"by", b"via", b"with", b"id", b"for"})  # RFC 5321 §4.4
_WORD = re.compile(rb"[()]|[^\s()]+")
_PIECES = re.compile(rb"[\[\]<>,;=@]+")
_ZONE = re.compile(r"%.*|\A(?i:IPv6:)")  # RFC 4007 §11, RFC 5321 §4.1.3
_LONGEST = 2_000  # octets of a field that are looked at
_LAN = 64  # bits of an IPv6 network whose hosts are neighbours

# What a mail program, a mailbox rule or a filter script adds when it passes a message on (RFC 5322 §3.6.6, Exchange, Gmail,
# Dovecot).
_PASSED_ON = frozenset(
    {
        b"resent-from",
        b"resent-sender",
        b"resent-to",
        b"resent-date",
        b"resent-message-id",
        b"x-ms-exchange-inbox-rules-loop",
        b"x-ms-exchange-forwardingloop",
        b"x-ms-exchange-generated-message-source",
        b"x-forwarded-for",
        b"x-forwarded-to",
        b"x-sieve-redirected-from",
    }
)
_RECEIVED = re.compile(rb"^received[ \t]*:((?:[^\n]|\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
_RETURN_PATH = re.compile(rb"\s*<?([^<>\s]*)>?\s*")


def from_outside(header: bytes, networks: Sequence[Network], *, logins: bool) -> bool:
    """Say whether a server of the house had the message from outside, by the Received fields that it can be believed in.

    networks: those of the house, besides private ones. logins: who has logged in at a server of the house is inside.
    """
    for field in _RECEIVED.finditer(header):  # five times as fast as all fields one by one
        clauses = _clauses(field[1][:_LONGEST])
        protocol = (clauses[b"with"] or [b""])[0].rstrip(b";").upper()
        if protocol in _NOT_SMTP or (logins and protocol in _WITH_LOGIN):
            continue
        servers = list(_addresses(clauses[b"by"]))
        if any(not _inside(one, networks, servers) for one in _addresses(clauses[b"from"])):
            return True
    return False


def passed_on(header: bytes, senders: Collection[str]) -> bool:
    """Say whether somebody, or a rule of a mailbox, has passed on what was another message before.

    senders: who sends this one, in lower case. A Return-Path that names another was in the envelope of an earlier delivery
    (RFC 5321 §4.4).
    """
    if any(one.name.lower() in _PASSED_ON for one in header_fields(header).fields):
        return True
    found = (_RETURN_PATH.fullmatch(value) for value in _values(header, b"return-path"))
    return any(one is None or one[1].decode("utf-8", "replace").lower() not in senders for one in found)


def _values(header: bytes, name: bytes) -> Iterator[bytes]:
    return (header[one.value_start : one.value_end] for one in header_fields(header).fields if one.name.lower() == name)


def _clauses(value: bytes) -> dict[bytes, list[bytes]]:
    """Return the words of each clause of a Received field, those in comments too; of a clause that comes again, the first."""
    found: dict[bytes, list[bytes]] = {name: [] for name in _CLAUSES}
    words: list[bytes] = []
    depth, named = 0, False
    for match in _WORD.finditer(value):
        word = match[0]
        if word in b"()":
            depth = depth + 1 if word == b"(" else max(depth - 1, 0)
        elif depth == 0 and not named and word.lower() in _CLAUSES:
            # The word behind is whatever the client said that it is called, "by" perhaps: never the next clause.
            words = [] if found[word.lower()] else found[word.lower()]
            named = True
        else:
            words.append(word)
            named = False
    return found


def _addresses(words: Sequence[bytes]) -> Iterator[Address]:
    """Return the IP addresses among words, in servers' forms: [192.0.2.1], IPv6:2001:db8::1, fe80::1%4, 192.0.2.1:25."""
    for word in words:
        if b"." not in word and b":" not in word:
            continue
        for piece in _PIECES.split(word):
            text = _ZONE.sub("", piece.decode("ascii", "replace"))
            host, _, port = text.partition(":")
            found = client_address(host if "." in host and port.isdigit() else text)
            if found is not None:
                yield found


def _inside(address: Address, networks: Sequence[Network], servers: Sequence[Address]) -> bool:
    if within(address, (*_PRIVATE, *networks)):
        return True
    return isinstance(address, IPv6Address) and any(_neighbours(address, one) for one in servers)


def _neighbours(one: IPv6Address, other: IPv4Address | IPv6Address) -> bool:
    """Say whether two hosts are in one local network: servers of a house speak to each other by global addresses, too."""
    return isinstance(other, IPv6Address) and int(one) >> (128 - _LAN) == int(other) >> (128 - _LAN)
