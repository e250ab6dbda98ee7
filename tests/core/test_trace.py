"""What a header tells of the way of its message."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.trace import from_outside, passed_on

HOUSE = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/48"))
OUTSIDE = b"Received: from evil.example ([198.51.100.7]) by mx.example.org with ESMTP; x\r\n"


def outside(*fields: bytes, logins: bool = True) -> bool:
    header = b"".join(b"Received: " + one + b"\r\n" for one in fields) + b"Subject: x\r\n\r\n"
    return from_outside(header, HOUSE, logins=logins)


@pytest.mark.parametrize(
    "field",
    [
        b"from evil.example (evil.example [198.51.100.7])\r\n\tby mx.example.org (Postfix) with ESMTPS id 1\r\n\tfor <b@x>; x",
        b"from evil.example ([198.51.100.7])\r\n          by domino.example.org (HCL Domino)\r\n with ESMTP id 2",
        b"from evil.example (198.51.100.7) by ex1.example.org (192.0.2.11) with Microsoft SMTP Server (version=1) id 15; x",
        b"from evil.example (2001:db8:9::7) by ex1.example.org (2001:db8::1) with Microsoft SMTP Server id 15.1; x",
        b"from evil.example (unknown [IPv6:2001:db8:9::7]) by mx.example.org (Postfix) with ESMTP id 1; x",
        b"from [198.51.100.7] (port=4711 helo=evil.example) by mx.example.org with esmtp (Exim 4.97) id 1; x",
        b"from evil.example ([198.51.100.7]:4711 helo=x) by mx.example.org with esmtp (Exim 4.97); x",
        b"from unknown (HELO evil.example) (198.51.100.7) by 0 with SMTP; x",
        b"from evil.example (root@evil.example [198.51.100.7] (may be forged)) by mx.example.org (8.15.2/8.15.2) with ESMTP; x",
        b"FROM evil.example ([198.51.100.7]) BY mx.example.org WITH esmtp; x",
        b"from evil.example (198.51.100.7:4711) by mx.example.org with ESMTP; x",
        # What the client says that it is called counts for nothing.
        b"from [192.0.2.10] (unknown [198.51.100.7]) by mx.example.org (Postfix) with ESMTP id 1; x",
        b"from by (unknown [198.51.100.7]) by mx.example.org (Postfix) with ESMTP id 1; x",
        b"from with (unknown [198.51.100.7]) by mx.example.org (Postfix) with ESMTP id 1; x",
        b"from id (unknown [198.51.100.7]) by mx.example.org (Postfix) with ESMTP id 1; x",
        b"from ESMTPSA (unknown [198.51.100.7]) by mx.example.org (Postfix) with ESMTP id 1; x",
        b'from x (unknown [198.51.100.7]) by mx.example.org with ESMTP id 1 for <"x with ESMTPSA x"@example.org>; x',
        b"from localhost (198-51-100-7.evil.example [198.51.100.7]) by mx.example.org with ESMTP; x",
    ],
)
def test_a_stranger_is_seen(field: bytes) -> None:
    """In the forms of Postfix, Domino, Exchange, Exim, qmail and Sendmail; also behind servers of the house."""
    assert outside(field)
    inner = b"from mx.example.org (mx.example.org [192.0.2.25]) by hub.example.org (Postfix) with ESMTP id 1; x"
    assert outside(inner, b"by hub.example.org (Postfix, from userid 105) id 1; x", field)


@pytest.mark.parametrize(
    "field",
    [
        b"from domino.example.org ([192.0.2.10])\r\n          by mail1.example.org (HCL Domino)\r\n with ESMTP id 2",
        b"from laptop (unknown [10.1.2.3]) by mx.example.org (Postfix) with ESMTP id 1; x",
        b"from laptop (unknown [172.31.0.1]) by mx.example.org (Postfix) with ESMTP id 1; x",
        b"from laptop ([192.168.1.1]) by mx.example.org with ESMTP id 1; x",
        b"from ex2.example.org ([fe80::1c0d:2a3b%4]) by ex2.example.org ([fe80::1c0d:2a3b%4]) with mapi id 15.01.2507.037; x",
        b"from ex2.example.org (2001:db8:1:2::12) by ex1.example.org (2001:db8:1:2::11) with Microsoft SMTP Server id 15.1; x",
        b"from ex2.example.org (2001:db8:0:9::12) by ex1.example.org with Microsoft SMTP Server id 15.1; x",
        b"from localhost (localhost [127.0.0.1]) by mx.example.org (Postfix) with ESMTP id 1; x",
        b"from localhost (localhost [IPv6:::1]) by mx.example.org (Postfix) with ESMTP id 1; x",
        b"from x ([::ffff:192.0.2.7]) by mx.example.org with ESMTP id 1; x",
        b"by mx.example.org (Postfix, from userid 33) id 1; x",
        b"(qmail 4711 invoked by uid 89); x",
        b"from 203-0-113-7.example.org (host.203.0.113.7.example.org [192.0.2.7]) by mx.example.org with ESMTP id 1.2.3.4; x",
        b"",
        b"(((((",
        b"from",
    ],
)
def test_a_server_of_the_house_is_seen(field: bytes) -> None:
    """Private networks, those that are named, and neighbours in one IPv6 network; no address is no stranger."""
    assert not outside(field)
    assert not outside()


@pytest.mark.parametrize("protocol", [b"ESMTPA", b"ESMTPSA", b"esmtpsa", b"UTF8SMTPSA"])
def test_who_has_logged_in_is_inside(protocol: bytes) -> None:
    """RFC 3848. Where logins count for nothing, these do not count either."""
    field = b"from laptop (dsl.example.net [203.0.113.7]) by mx.example.org (Postfix) with " + protocol + b" id 1; x"
    assert not outside(field)
    assert outside(field, logins=False)


@pytest.mark.parametrize("protocol", [b"HTTP", b"HTTPS", b"mapi id 15.20"])
def test_what_came_by_other_ways_says_nothing_of_itself(protocol: bytes) -> None:
    """A web mailer's client; but Exchange Online writes so of a stranger's mail, too, above the hop by which it came."""
    field = b"from [203.0.113.7] by webmail.example.org with " + protocol + b"; x"
    assert not outside(field)
    assert outside(field, b"from evil.example ([198.51.100.7]) by mx.example.org with ESMTP; x")


def test_what_a_stranger_wrote_is_not_believed() -> None:
    """Below the line that names the stranger anything may stand; above it nothing of a stranger's stands."""
    login = b"from laptop ([198.51.100.9]) by mx.example.org with ESMTPSA; x"
    assert from_outside(OUTSIDE + b"Received: " + login + b"\r\n\r\n", HOUSE, logins=True)
    assert not from_outside(
        b"Received-SPF: fail ([198.51.100.7])\r\nX-Received: from x ([198.51.100.7])\r\n\r\n", HOUSE, logins=True
    )


def test_a_long_line_is_cut() -> None:
    """Nobody computes for long: what counts stands at the beginning."""
    assert outside(b"from evil.example ([198.51.100.7]) " + b"(" * 1_000_000)


@pytest.mark.parametrize(
    "header",
    [
        b"Resent-From: carla@example.org\r\n",
        b"RESENT-TO: carla@example.net\r\n",
        b"X-MS-Exchange-Inbox-Rules-Loop: carla@example.org\r\n",
        b"X-Forwarded-To: carla@example.net\r\nX-Forwarded-For: carla@example.org carla@example.net\r\n",
        b"X-Sieve-Redirected-From: carla@example.org\r\n",
        b"Return-Path: <eve@evil.example>\r\n",
        b"Return-Path: <>\r\n",
        b"Return-Path: <anna@example.org> <eve@evil.example>\r\n",
        b"Return-Path: <anna@example.org>\r\nReturn-Path: <eve@evil.example>\r\n",
    ],
)
def test_what_was_passed_on_is_seen(header: bytes) -> None:
    """By a person, a rule of a mailbox, or a filter script."""
    assert passed_on(b"Subject: x\r\n" + header + b"\r\n", {"anna@example.org"})


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Return-Path: <Anna@example.org>\r\n",
        b"Return-Path:anna@example.org\r\n",
        b"List-Id: <group.lists.example.org>\r\nPrecedence: list\r\n",
        b"Auto-Submitted: auto-generated\r\n",
        b"X-Resent-From: x\r\n",
    ],
)
def test_what_is_fresh_is_not_taken_for_passed_on(header: bytes) -> None:
    """A list of the house and a calendar server that sends for its user pass on what is the organizer's own."""
    assert not passed_on(b"Subject: x\r\n" + header + b"\r\n", {"anna@example.org"})


@given(
    st.lists(
        st.sampled_from(
            [b"from", b"by", b"with", b"(", b")", b"[", b"]", b"198.51.100.7", b"::", b"%", b" ", b"\r\n\t", b"\xff"]
        )
    )
)
def test_any_octets_have_an_answer(words: list[bytes]) -> None:
    """Law 4; and an address outside of comments and HELO is seen wherever a from clause has it."""
    value = b"".join(words)
    from_outside(b"Received:" + value + b"\r\n\r\n", HOUSE, logins=True)
    passed_on(b"Return-Path:" + value + b"\r\n\r\n", set())
    assert outside(b"from " + b"x (unknown [198.51.100.7]) " + value)
