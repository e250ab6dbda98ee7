"""When a message goes on, with what, and what a flow is asked: through the whole door."""

import asyncio
import logging

import pytest

from notes2conf_milter.core.edits import ChangeHeader, ReplaceBody
from notes2conf_milter.core.envelope import Door
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.smtp import relay
from notes2conf_milter.smtp.incoming import Strays
from notes2conf_milter.smtp.server import Limits
from tests.smtp.door import DEFER, PASS, Flow, door, dotted
from tests.smtp.nexthop import NextHop

MAIL = b"Subject: Jour fixe\r\nTo: b@example.org\r\n\r\nbody\r\n"
EDITS = (ChangeHeader(b"Subject", 1, b" Changed"), ReplaceBody(b".new\r\nbody\r\n"))
REWRITE = Outcome(Verdict.REWRITE, Reason.LINK_ADDED, EDITS)
REWRITTEN = b"Subject: Changed\r\nTo: b@example.org\r\n\r\n.new\r\nbody\r\n"


def carry(
    octets: bytes, flow: Flow | None = None, limits: Limits | None = None, *, singly: bool = False, **options
) -> tuple[bytes, NextHop]:
    """Send one message through the door; return the reply and the next hop."""

    async def run() -> tuple[bytes, NextHop]:
        async with NextHop(**options) as hop, door(hop.address, flow, limits, singly) as client:
            await client.begin()
            await client.send(dotted(octets))
            reply = await client.reply()
            assert (await client.ask(b"QUIT")).startswith(b"221 ")
            await client.end()
            return reply, hop

    return asyncio.run(run())


OCTETS = {
    "plain": MAIL,
    "dots": b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n...\r\n\r\n.",
    "dot first": b".Subject: x\r\n\r\n",
    "bare LF": b"Subject: x\n\nbody\n.\nmore\n",
    "bare CR": b"Subject: x\r\n\r\na\rb\r.\rc\r\r\n",
    "8 bit": b"Subject: \xe4\xff\r\n\r\n\x80\xc3\xa4\r\n",
    "NUL": b"Subject: \0\r\n\r\n\0\0\r\n",
    "long lines": b"Subject: x\r\n\r\n" + b"y" * 3000 + b"\r\n." + b"z" * 3000 + b"\r\n",
    "no final CRLF": b"Subject: x\r\n\r\nbody",
    "no header": b"\r\nbody\r\n",
    "empty": b"",
    "empty lines": b"\r\n" * 50,
    "smuggled": b"Subject: x\r\n\r\na\n.\nMAIL FROM:<x>\n\r\n.\nb\n.\r\nc\r\n",
}


@pytest.mark.parametrize("singly", [False, True])
@pytest.mark.parametrize("early", [None, PASS])
@pytest.mark.parametrize("name", OCTETS)
def test_untouched_mail_keeps_its_octets(name: str, early: Outcome | None, singly: bool) -> None:
    octets = OCTETS[name]
    complete = octets if not octets or octets.endswith(b"\r\n") else octets + b"\r\n"
    flow = Flow(early=early)
    reply, hop = carry(octets, flow, singly=singly)
    assert reply == b"250 2.0.0 Ok: queued as 4711"
    assert [message.octets for message in hop.messages] == [complete]
    assert hop.messages[0].wire == dotted(complete)
    if not flow.headers or early is None:
        assert [message for _, message in flow.asked] == [complete]


def test_what_the_flow_is_told() -> None:
    flow = Flow()
    carry(MAIL, flow)
    ((envelope, message),) = flow.asked
    assert message == MAIL
    assert flow.headers == [b"Subject: Jour fixe\r\nTo: b@example.org\r\n\r\n"]
    assert (envelope.door, envelope.sender, envelope.recipients) == (Door.SMTP, b"a@example.org", (b"b@example.org",))
    assert (str(envelope.client), envelope.authenticated, envelope.queue_id) == ("127.0.0.1", False, "")


@pytest.mark.parametrize(
    ("octets", "header"),
    [
        (b"A: b\r\n c\r\n\r\nd\r\n", b"A: b\r\n c\r\n\r\n"),
        (b"A: b\n\nd\r\n\r\n", b"A: b\n\n"),
        (b"A: b\r\n\nd\r\n\r\n", b"A: b\r\n\n"),
        (b"\r\nd\r\n\r\n", b"\r\n"),
        (b"A: b\r\n", None),
    ],
)
@pytest.mark.parametrize("singly", [False, True])
def test_the_header_ends_at_the_first_empty_line(octets: bytes, header: bytes | None, singly: bool) -> None:
    flow = Flow()
    carry(octets, flow, singly=singly)
    assert flow.headers == ([] if header is None else [header])


def test_mail_that_cannot_hold_an_invitation_is_not_processed() -> None:
    flow = Flow(early=PASS)
    carry(MAIL, flow)
    assert flow.asked == []


def test_edits_are_made() -> None:
    reply, hop = carry(MAIL, Flow(REWRITE))
    assert reply == b"250 2.0.0 Ok: queued as 4711"
    assert [message.octets for message in hop.messages] == [REWRITTEN]


@pytest.mark.parametrize(("size", "octets"), [(len(REWRITTEN), REWRITTEN), (len(REWRITTEN) - 1, MAIL), (1, REWRITTEN)])
def test_no_edit_makes_a_message_too_large(size: int, octets: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last resort, for an edit beyond all expectation."""
    monkeypatch.setattr(relay, "_GROWTH", 0)
    hop = carry(MAIL, Flow(REWRITE), keywords=[b"SIZE %d" % size])[1]
    assert [message.octets for message in hop.messages] == [octets]


@pytest.mark.parametrize(("size", "asked"), [(len(MAIL), False), (2**30, True), (1, True)])
def test_no_meeting_is_claimed_for_a_message_that_its_link_could_make_too_large(size: int, asked: bool) -> None:
    """Known before the flow is asked: a start mail for an invitation without a link would be a lie."""
    flow = Flow(REWRITE)
    carry(MAIL, flow, keywords=[b"SIZE %d" % size])
    assert bool(flow.asked) is asked


def test_a_deferred_message_stays_the_clients() -> None:
    reply, hop = carry(MAIL, Flow(DEFER))
    assert reply == b"451 4.3.0 Temporary failure, try again later"
    assert hop.messages == []
    assert b"DATA" not in hop.commands
    assert b"RSET" in hop.commands


@pytest.mark.parametrize(
    "flow",
    [
        Flow(ValueError("secret@example.org")),
        Flow(early=KeyError("secret@example.org")),
        Flow(Outcome(Verdict.REWRITE, Reason.LINK_ADDED, (ChangeHeader(b"X-secret", 1, b" y"),))),
    ],
    ids=["process", "before_body", "edit"],
)
def test_the_unforeseen_is_temporary_and_is_not_quoted(flow: Flow, caplog: pytest.LogCaptureFixture) -> None:
    # were the rest of the message read as commands, QUIT and its 221 would come too early
    octets = MAIL + b"QUIT\r\n" * 20_000
    with caplog.at_level(logging.DEBUG):
        reply, hop = carry(octets, flow)
    assert reply == b"451 4.3.0 Temporary failure, try again later"
    assert hop.messages == []
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage().startswith("SMTP door: ")
    assert "secret" not in caplog.text
    assert "example.org" not in caplog.text


def test_the_flow_has_a_deadline() -> None:
    reply, hop = carry(MAIL, Flow(gate=asyncio.Event()), Limits(processing=0.01))
    assert reply == b"451 4.3.0 Temporary failure, try again later"
    assert hop.messages == []


@pytest.mark.parametrize("limits", [Limits(message=1000), Limits(header=10)], ids=["message", "header"])
def test_a_large_message_goes_on_unread(limits: Limits) -> None:
    octets = b"Subject: x\r\nTo: y\r\n\r\n" + b".text\r\n" * 100_000
    flow = Flow(REWRITE)
    reply, hop = carry(octets, flow, limits)
    assert reply == b"250 2.0.0 Ok: queued as 4711"
    assert [message.octets for message in hop.messages] == [octets]
    assert [reason for _, reason in flow.unread] == [Reason.TOO_LARGE]
    assert flow.asked == []


def test_a_message_at_the_limit_is_read() -> None:
    flow = Flow()
    carry(MAIL, flow, Limits(message=len(MAIL)))
    assert len(flow.asked) == 1


def test_size_is_the_next_hops_own_answer() -> None:
    reply, hop = carry(MAIL, script={"DOT": b"552 5.3.4 Message too big"})
    assert reply == b"552 5.3.4 Message too big"
    assert hop.messages == []


def test_a_next_hop_that_goes_away_while_it_is_sent_a_large_message() -> None:
    octets = b"Subject: x\r\n\r\n" + b"text\r\n" * 200_000
    for flow, limits in ((Flow(), None), (Flow(early=PASS), None), (Flow(), Limits(message=1000))):
        reply, hop = carry(octets, flow, limits, vanish_after=20)
        assert reply.startswith(b"451 4.4.1 ")
        assert hop.messages == []


STRAY = {name: OCTETS[name] for name in ("bare LF", "bare CR", "smuggled")}


@pytest.mark.parametrize("early", [None, PASS])
@pytest.mark.parametrize("name", OCTETS)
def test_stray_line_ends_do_not_go_on(name: str, early: Outcome | None) -> None:
    """In whatever way the message goes, the next hop and the flow see lines that end in CRLF; other octets stay."""

    async def run() -> NextHop:
        async with NextHop() as hop, door(hop.address, Flow(early=early), strays=Strays.NORMALIZE) as client:
            await client.begin()
            await client.send(dotted(OCTETS[name]))
            assert (await client.reply()).startswith(b"250")
            assert (await client.ask(b"QUIT")).startswith(b"221")
            return hop

    hop = asyncio.run(run())
    complete = OCTETS[name] if not OCTETS[name] or OCTETS[name].endswith(b"\r\n") else OCTETS[name] + b"\r\n"
    (message,) = hop.messages
    left = message.octets.replace(b"\r\n", b"")
    assert b"\r" not in left and b"\n" not in left
    if name not in STRAY:
        assert message.octets == complete
    assert not any(command.upper().startswith(b"MAIL FROM:<X>") for command in hop.commands), "nothing was smuggled"


@pytest.mark.parametrize("early", [None, PASS])
@pytest.mark.parametrize("name", OCTETS)
def test_stray_line_ends_may_be_refused(name: str, early: Outcome | None) -> None:
    """Nothing of such a message is delivered, also where some of it went on before; the session goes on."""

    async def run() -> NextHop:
        async with NextHop() as hop, door(hop.address, Flow(early=early), strays=Strays.REFUSE) as client:
            await client.begin()
            await client.send(dotted(OCTETS[name]))
            assert (await client.reply())[:3] == (b"550" if name in STRAY else b"250")
            await client.envelope()
            await client.send(dotted(MAIL))
            assert (await client.reply()).startswith(b"250")
            return hop

    hop = asyncio.run(run())
    assert [one.octets for one in hop.messages][-1] == MAIL
    assert len(hop.messages) == (1 if name in STRAY else 2)
