"""Forged own organizers and SMTP smuggling, through every arrangement.

Forged: no link, no row, no signature, and each message arrives as it was sent. Smuggled: one message stays one, whatever stands
behind us. Counter-proofs: the organizer's own invitation, by the same way, gets its link; and a hop of old manners can be
fooled.
"""

import base64
import quopri
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from secrets import token_hex

import pytest

from tests.live import gateway
from tests.live.arrangements import ARRANGEMENTS, BASE_URL, LOOPBACKS, RECEIVED, Way, Wire, arrangement
from tests.live.gateway import ANNA, CARLA, HOUSE, OUTSIDE, Meeting, invitation
from tests.live.sloppy import Sloppy
from tests.signatures import FIELD

EVE = "eve@evil.example"
FROM = b"From: =?UTF-8?Q?Anna_Br=C3=BCckner?= <anna@example.org>"
# What the house's servers write on top when one of them has a stranger's mail and passes it on.
FOREIGN = (
    b"Received: from mx.example.org ([192.0.2.25]) by domino.example.org (HCL Domino Release 12.0.2FP3)\r\n"
    b"          with ESMTP id 2026030208360188-1442 ; Mon, 2 Mar 2026 08:36:01 +0100\r\n"
    b"Received: from [192.0.2.10] (unknown [203.0.113.66])\r\n\tby mx.example.org (Postfix) with ESMTP id 4Xy1z2\r\n"
    b"\tfor <carla@example.org>; Mon,  2 Mar 2026 08:36:00 +0100 (CET)\r\n"
)
LOGIN = b"Received: from laptop ([198.51.100.9]) by domino.example.org with ESMTPSA id 1; Mon, 2 Mar 2026 08:35:00 +0100\r\n"


@dataclass(frozen=True)
class Attack:
    """A message that must not get anything. client: where it comes from; HOUSE: a server of the house passes it on."""

    name: str
    message: bytes
    sender: str = ANNA
    client: Mapping[str, str] | None = None


def organizer(message: bytes, line: bytes) -> bytes:
    """A message whose calendars have this content line for their ORGANIZER, folded as it stands in `line`."""
    found, count = re.subn(rb"(?m)^ORGANIZER[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", lambda _: line, message)
    assert count
    return found


def author(message: bytes, value: bytes) -> bytes:
    found, count = re.subn(rb"(?m)^From:[^\r\n]*", b"From: " + value, message, count=1)
    assert count
    return found


def delegate(message: bytes, address: bytes) -> bytes:
    return organizer(message, b'ORGANIZER;SENT-BY="mailto:' + address + b'";CN=Anna:mailto:anna@example.org')


def simple(
    lines: bytes,
    *,
    summary: bytes = b"Plan",
    encoding: str = "8bit",
    shown: bytes = b"Anna <anna@example.org>",
    more: bytes = b"",
) -> bytes:
    """A small invitation; lines: its ORGANIZER and what else is put into its event."""
    day = gateway.soon().strftime("%Y%m%d").encode()
    calendar = (
        b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//x//EN\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:%b\r\nDTSTAMP:20260302T073000Z\r\n"
        b"DTSTART:%bT090000Z\r\nDTEND:%bT100000Z\r\nSUMMARY:%b\r\nATTENDEE:mailto:bob@example.net\r\n%bEND:VEVENT\r\nEND:VCALENDAR\r\n"
    ) % (token_hex(8).encode(), day, day, summary, lines)
    if encoding == "base64":
        calendar = base64.encodebytes(calendar).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        calendar = quopri.encodestring(calendar).replace(b"ORGANIZER", b"=4FRGANIZE=\n=52")
        calendar = re.sub(rb"\r?\n", b"\r\n", calendar)
    header = b"From: %b\r\nTo: bob@example.net\r\nSubject: Plan\r\nMIME-Version: 1.0\r\n%b" % (shown, more)
    kind = (
        b'Content-Type: text/calendar; method=REQUEST; charset="UTF-8"\r\nContent-Transfer-Encoding: %b\r\n\r\n'
        % encoding.encode()
    )
    return header + kind + calendar


OWN, CARLAS = b"ORGANIZER:mailto:anna@example.org\r\n", b"ORGANIZER:mailto:carla@example.org\r\n"


def two_calendars() -> bytes:
    """One of the sender's, one that is forged."""
    first, second = (simple(lines).partition(b"MIME-Version: 1.0\r\n") for lines in (CARLAS, OWN))
    parts = b"".join(b"--b\r\n" + one[2] for one in (first, second))
    return first[0] + first[1] + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + parts + b"--b--\r\n"


def forged(known: Meeting, token: str) -> Iterator[Attack]:
    """Whatever a stranger can write, from outside; and what a server of the house passes on of it, as Carla's or Anna's own."""
    fresh = lambda: invitation(Meeting.new())  # noqa: E731
    cancel = invitation(known, sequence=2).replace(b"REQUEST", b"CANCEL")
    cancel = cancel.replace(b"\r\nSEQUENCE:2\r\n", b"\r\nSEQUENCE:2\r\nSTATUS:CANCELLED\r\n")
    linked = fresh().replace(
        b"\r\nSEQUENCE:0\r\n", b"\r\nSEQUENCE:0\r\nLOCATION:" + f"{BASE_URL}/j/{token}".encode() + b"\r\n"
    )
    marks = (
        b"X-Notes2conf-TLS: required\r\nX-Notes2conf-Organizer: anna@example.org\r\n"
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=r; h=from; bh=AAAA; b=AAAA\r\n"
        b"ARC-Seal: i=1; a=rsa-sha256; t=1; cv=none; d=example.org; s=r; b=AAAA\r\n"
        b"ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=r; h=from; bh=AAAA; b=AAAA\r\n"
        b"ARC-Authentication-Results: i=1; example.org; dkim=pass header.d=example.org; auth=pass smtp.auth=anna\r\n"
        b"Authentication-Results: mx.example.org; spf=pass; dkim=pass header.d=example.org; dmarc=pass\r\n"
        b"Sender: anna@example.org\r\n"
    )

    outside = OUTSIDE
    yield Attack("all right but the client", fresh(), ANNA, outside)
    yield Attack("upper case in the envelope", fresh(), "ANNA@EXAMPLE.ORG", outside)
    yield Attack("a quoted local part in the envelope", fresh(), '"anna"@example.org', outside)
    yield Attack("a delegate", delegate(fresh(), CARLA.encode()), CARLA, outside)
    yield Attack("the null sender", fresh(), "", outside)
    yield Attack("an update", invitation(known, sequence=2), ANNA, outside)
    yield Attack("a cancellation", cancel, ANNA, outside)
    yield Attack("our own marks", marks + fresh(), ANNA, outside)
    yield Attack("a forged Received field", LOGIN + fresh(), ANNA, outside)
    yield Attack("a link of another meeting", linked, ANNA, outside)
    yield Attack("somebody else's login", fresh(), EVE, outside | {"LOGIN": "eve"})
    for shape in shapes():
        yield Attack(f"{shape.name}, from outside", shape.message, ANNA, outside)

    # A server of the house passes on what came from outside: the client is allowed, and the envelope what the stranger wished.
    for sender, words in ((ANNA, "forwarded as it was"), (CARLA, "forwarded by Carla")):
        message = fresh() if sender == ANNA else delegate(fresh(), CARLA.encode())
        yield Attack(words, FOREIGN + message, sender, HOUSE)
        yield Attack(f"{words}, with a login that is not the house's", FOREIGN + LOGIN + message, sender, HOUSE)
        yield Attack(f"{words}, with our own marks", FOREIGN + marks + message, sender, HOUSE)
        yield Attack(f"{words}, an update", FOREIGN + invitation(known, sequence=3), sender, HOUSE)
        yield Attack(f"{words}, a cancellation", FOREIGN + cancel, sender, HOUSE)
        yield Attack(f"{words}, shown as Eve's", author(message, b"Eve <eve@evil.example>"), sender, HOUSE)
        yield Attack(
            f"{words}, shown as Anna's and Eve's",
            author(message, b'"anna@example.org" <eve@evil.example>'),
            sender,
            HOUSE,
        )
        yield Attack(f"{words}, delivered before", b"Return-Path: <eve@evil.example>\r\n" + message, sender, HOUSE)
        yield Attack(
            f"{words}, by a mailbox rule",
            b"X-MS-Exchange-Inbox-Rules-Loop: carla@example.org\r\n" + message,
            sender,
            HOUSE,
        )
        yield Attack(
            f"{words}, a second From", author(message, b"anna@example.org\r\nFrom: eve@evil.example"), sender, HOUSE
        )
    mine = organizer(fresh(), b"ORGANIZER;CN=Carla:mailto:carla@example.org")
    yield Attack("the forwarder as ORGANIZER", author(mine, b"Eve <eve@evil.example>"), CARLA, HOUSE)
    yield Attack("the null sender, forwarded", fresh(), "", HOUSE)
    yield Attack("an own envelope, somebody else's calendar", fresh(), CARLA, HOUSE)
    yield Attack("a stranger's envelope", fresh(), EVE, HOUSE)
    for shape in shapes():
        yield Attack(f"{shape.name}, from Carla", author(shape.message, b"Carla <carla@example.org>"), CARLA, HOUSE)


def shapes() -> Iterator[Attack]:
    """Calendars that one reader takes for Carla's, and another for Anna's."""
    yield Attack("two calendars", two_calendars())
    yield Attack("two ORGANIZER lines", simple(CARLAS + OWN))
    yield Attack("two ORGANIZER lines, the other first", simple(OWN + CARLAS))
    yield Attack("a folded name", simple(b"ORGAN\r\n IZER:mailto:anna@\r\n example.org\r\n"))
    yield Attack(
        "a delegate in a fold",
        simple(b'ORGANIZER;SENT-BY="mailto:carla@\r\n\tevil.example":mailto:anna@example.org\r\n'),
    )
    yield Attack("a quoted-printable name", simple(OWN, encoding="quoted-printable"))
    yield Attack("base64", simple(OWN, encoding="base64"))
    yield Attack("two encodings", simple(OWN, more=b"Content-Transfer-Encoding: base64\r\n"))
    yield Attack("two content types", simple(OWN, more=b"Content-Type: text/plain\r\n"))
    yield Attack("upper case", simple(b"ORGANIZER:MAILTO:ANNA@EXAMPLE.ORG\r\n"))
    yield Attack("a trailing dot", simple(b"ORGANIZER:mailto:anna@example.org.\r\n"))
    yield Attack("a quoted local part", simple(b'ORGANIZER:mailto:"anna"@example.org\r\n'))
    yield Attack("percent encoding", simple(b"ORGANIZER:mailto:%61nna%40example.org\r\n"))
    yield Attack("a header of mailto", simple(b"ORGANIZER:mailto:anna@example.org?cc=carla@example.org\r\n"))
    yield Attack("two addresses", simple(b"ORGANIZER:mailto:carla@example.org,anna@example.org\r\n"))
    yield Attack("a route", simple(b"ORGANIZER:mailto:@example.org:anna@example.org\r\n"))
    yield Attack("a group", simple(b"ORGANIZER:mailto:House:anna@example.org;\r\n"))
    yield Attack("a percent hack", simple(b"ORGANIZER:mailto:anna%25example.org@example.org\r\n"))
    yield Attack("letters of another script", simple("ORGANIZER:mailto:аnna@example.org\r\n".encode()))
    yield Attack("a domain of another script", simple("ORGANIZER:mailto:anna@exаmple.org\r\n".encode()))
    yield Attack("wide letters in the domain", simple("ORGANIZER:mailto:anna@ｅｘａｍｐｌｅ.org\r\n".encode()))
    yield Attack("no scheme", simple(b"ORGANIZER:anna@example.org\r\n"))
    yield Attack("an address as a parameter", simple(b'ORGANIZER;EMAIL="anna@example.org":invalid:nomail\r\n'))


@pytest.fixture(scope="module", params=ARRANGEMENTS)
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    with arrangement(request.param) as made:
        yield made


def test_nothing_forged_gets_through(way: Way) -> None:
    """Each attack leaves all rows as they were, and arrives octet for octet below the Received fields of the hops."""
    known = Meeting.new()
    code, mailbox = way.send(invitation(known))
    assert code == 250
    token = link_of(way, mailbox)
    before, own_mails = way.stored(), len([one for one in way.sink.messages if one.sender == b""])
    way.sink.clear()
    attacks = {}
    for attack in forged(known, token):
        code, mailbox = way.send(attack.message, attack.sender, attack.client or OUTSIDE)
        if way.forwards:
            attacks[mailbox] = attack
        assert code == 250, attack.name
    arrived = way.arrived()
    harmed = [
        attack.name for mailbox, attack in attacks.items() if not whole(way, arrived.get(mailbox), attack.message)
    ]
    assert harmed == []
    assert way.stored() == before
    ours = [one for one in way.sink.messages if one.recipients[0].decode() not in attacks]
    # Who is shown as the author, and is the sender, hears that a calendar could not be read; no more than that.
    assert {(one.sender, one.recipients) for one in ours} <= {(b"", (CARLA.encode(),))}
    assert all(not gateway.tokens(one.octets, BASE_URL, kind) for one in ours for kind in "js")
    verdicts = {answer.verdict for answer in way.mail.answers()[1:]} - {"drop"}
    assert verdicts <= {"pass"}
    assert own_mails


def whole(way: Way, delivery: gateway.Delivery | None, message: bytes) -> bool:
    """Say whether a message arrived as it was sent, but for what the hops wrote above it."""
    if delivery is None or not delivery.octets.endswith(message):
        return False
    above = delivery.octets[: -len(message)]
    # Proxmox signs what comes from the house, whatever it is: that is no signature of ours.
    return RECEIVED.fullmatch(above if way.signs else FIELD.sub(b"", above)) is not None


def link_of(way: Way, mailbox: str) -> str:
    """The token of the meeting that was made last, signed where the arrangement signs."""
    arrived = way.arrived()
    if not way.forwards:
        (start_mail,) = [one for one in way.sink.messages if gateway.tokens(one.octets, BASE_URL, "s")]
        return gateway.tokens(start_mail.octets, BASE_URL)[0]
    octets = arrived[mailbox].octets
    assert not way.signs or b"d=example.org" in b"".join(FIELD.findall(octets))
    return gateway.the_token(octets, BASE_URL)


HONEST: dict[str, Callable[[], tuple[bytes, str]]] = {
    "the organizer": lambda: (invitation(Meeting.new()), ANNA),
    "a delegate": lambda: (
        author(delegate(invitation(Meeting.new()), CARLA.encode()), b"Carla <carla@example.org>"),
        CARLA,
    ),
    "a delegate, shown as the organizer": lambda: (
        b"Sender: Carla <carla@example.org>\r\n" + delegate(invitation(Meeting.new()), CARLA.encode()),
        CARLA,
    ),
    "by two servers of the house": lambda: (
        b"Received: from hub.example.org ([10.1.2.3]) by domino.example.org (HCL Domino) with ESMTP id 1; x\r\n"
        + invitation(Meeting.new()),
        ANNA,
    ),
    "in upper case": lambda: (simple(b"ORGANIZER:MAILTO:ANNA@EXAMPLE.ORG\r\n"), "Anna@Example.Org"),
    "a folded name": lambda: (simple(b"ORGAN\r\n IZER:mailto:anna@\r\n example.org\r\n"), ANNA),
    "from home, with a login": lambda: (LOGIN + invitation(Meeting.new()), ANNA),
}


def test_who_is_honest_gets_the_link(way: Way) -> None:
    """The counter-proof: organizers and delegates, by the same way."""
    for name, made in HONEST.items():
        way.sink.clear()
        before = len(way.stored())
        message, sender = made()
        code, mailbox = way.send(message, sender)
        assert code == 250, name
        assert link_of(way, mailbox), name
        assert len(way.stored()) == before + 3, name


def test_nobody_says_who_the_client_was_but_the_filter(way: Way) -> None:
    """XFORWARD, XCLIENT and PROXY of whoever is not listed are refused, at the first hop and at the door behind it."""
    before = way.stored()
    says = [b"XFORWARD NAME=domino.example.org ADDR=192.0.2.10", b"PROXY TCP4 192.0.2.10 192.0.2.5 4711 25"]
    says_xclient = [
        b"XCLIENT NAME=domino.example.org ADDR=192.0.2.10"
    ]  # which is what the tests themselves say to Postfix
    wires = [(lambda: way.open(OUTSIDE), says)]
    if way.door:
        wires.append((lambda: Wire(way.door, LOOPBACKS[OUTSIDE["ADDR"]]).greet(), says + says_xclient))
    for wire, claims in wires:
        way.sink.clear()
        message = invitation(Meeting.new())
        with wire() as client:
            for claim in claims:
                assert client.ask(claim)[:1] == b"5"
            mailbox = way.recipient % "mallory" if way.forwards else way.recipient
            assert [one[:3] for one in client.deliver(ANNA, mailbox, message + b".\r\n")] == [b"250", b"221"]
        assert not way.forwards or whole(way, way.arrived()[mailbox], message)
        assert way.stored() == before


def test_without_xforward_nobody_is_known(way: Way) -> None:
    """What reaches a filter's door by another way than its Postfix passes, though it comes from an address that is believed."""
    if not way.door:
        return
    before = way.stored()
    way.sink.clear()
    message = invitation(Meeting.new())
    with Wire(way.door).greet() as client:
        assert [one[:3] for one in client.deliver(ANNA, "mallory@example.net", message + b".\r\n")] == [b"250", b"221"]
    assert whole(way, way.arrived()["mallory@example.net"], message)
    assert way.stored() == before


# What one server or another has taken for the end of a message (CVE-2023-51764, -51765, -51766 and what was tried since).
ENDS = (
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r.\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\n\n.\r\n",
)
SECOND = b"MAIL FROM:<forged@example.org>\r\nRCPT TO:<mallory@example.net>\r\nDATA\r\nSubject: forged\r\n\r\nforged\r\n"


def carrying(end: bytes, *, calendar: bool) -> bytes:
    """A message with something like an end in it, and behind that a second one; as it stands on the wire, with its own end."""
    text = b"first" + end + SECOND
    if not calendar:
        return b"From: anna@example.org\r\nSubject: first\r\n\r\n" + text + b"\r\n.\r\n"
    head, _, invited = simple(OWN).partition(b"MIME-Version: 1.0\r\n")
    parts = b"--b\r\nContent-Type: text/plain\r\n\r\n" + text + b"\r\n--b\r\n" + invited + b"--b--\r\n.\r\n"
    return head + b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n' + parts


@pytest.mark.parametrize("calendar", [False, True], ids=["plain", "invitation"])
def test_one_message_stays_one(way: Way, *, calendar: bool) -> None:
    """One goes in and one comes out, as text, also where it is rewritten and where a hop of old manners stands behind."""
    way.arrived()
    way.sink.clear()
    before = len(way.mail.answers())
    mailboxes = {}
    for end in ENDS:
        mailbox = way.recipient % token_hex(4) if "%" in way.recipient else way.recipient
        with way.open(HOUSE) as wire:
            replies = wire.deliver(ANNA, mailbox, carrying(end, calendar=calendar))
        assert [reply[:3] for reply in replies] == [b"250", b"221"], (end, replies)
        mailboxes[mailbox] = end
    way.arrived()
    assert {one.sender for one in way.sink.messages} <= {ANNA.encode(), b""}
    found = [one for one in way.sink.messages if one.sender == ANNA.encode()]
    if not way.forwards:
        assert (found, len(way.mail.answers()) - before) == ([], len(ENDS))
        return
    assert sorted(one.recipients[0].decode() for one in found) == sorted(mailboxes)
    for one in found:
        assert b"forged" in one.octets, mailboxes[one.recipients[0].decode()]
        assert bool(gateway.tokens(one.octets, BASE_URL)) is calendar


def test_the_hop_behind_can_be_fooled() -> None:
    """Without us in front: what is above is about something."""
    for end in ENDS[:8]:
        with Sloppy() as hop, Wire(hop.port).greet() as wire:
            wire.deliver(ANNA, "bob@example.net", carrying(end, calendar=False))
            assert {one.sender for one in hop.messages} == {ANNA.encode(), b"forged@example.org"}, end
