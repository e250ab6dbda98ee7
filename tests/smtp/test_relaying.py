"""One client's session: whose replies it gets, and that nothing is lost, doubled or carried over."""

import asyncio
import itertools
from ipaddress import ip_network
from typing import Any

import pytest

from notes2conf_milter.address import InetAddress
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.smtp.relay import Route
from notes2conf_milter.smtp.server import LOOPBACK, Limits
from tests.smtp.door import DEFER, Flow, door, dotted
from tests.smtp.nexthop import KEYWORDS, VANISH, NextHop, Wait

MAIL = b"Subject: x\r\n\r\nbody\r\n"
OK = b"250 2.0.0 Ok: queued as 4711"


def talk(script=None, *commands: bytes, **options) -> tuple[list[bytes], NextHop]:
    """Say the commands one after the other; return the replies and the next hop."""

    async def run() -> tuple[list[bytes], NextHop]:
        async with NextHop(script, **options) as hop, door(hop.address) as client:
            await client.reply()
            replies = [await client.ask(command) for command in commands]
            return replies, hop

    return asyncio.run(run())


EHLO = b"EHLO client.example"
FROM = b"MAIL FROM:<a@example.org>"
TO = b"RCPT TO:<b@example.org>"
TEXT = b"Subject: x\r\n\r\nbody\r\n."


def test_what_is_offered_is_what_the_next_hop_offers() -> None:
    ((reply,), _) = talk(None, EHLO)
    assert reply.split(b"\r\n") == [
        b"250-door.example",
        b"250-8BITMIME",
        b"250-SMTPUTF8",
        b"250-SIZE 50000000",
        b"250-DSN",
        b"250-ENHANCEDSTATUSCODES",
        b"250 PIPELINING",
    ]
    ((reply,), _) = talk(None, EHLO, keywords=[b"SIZE", b"STARTTLS", b"CHUNKING", b"XFORWARD NAME ADDR"])
    assert reply.split(b"\r\n") == [b"250-door.example", b"250-SIZE", b"250 PIPELINING"]


@pytest.mark.parametrize("code", [b"450 4.2.0 Greylisted", b"550-5.7.1 Not\r\n550 5.7.1 today", b"252 2.1.5 Perhaps"])
def test_the_next_hops_replies_are_ours(code: bytes) -> None:
    assert talk({"MAIL": code}, EHLO, FROM)[0][-1] == code
    assert talk({"RCPT": code}, EHLO, FROM, TO)[0][-1] == code
    if not code.startswith(b"2"):
        assert talk({"DATA": code}, EHLO, FROM, TO, b"DATA", TEXT)[0][-1] == code
    assert talk({"DOT": code}, EHLO, FROM, TO, b"DATA", TEXT)[0][-1] == code


class Asking(Flow):
    """Requires TLS of everybody, and remembers the envelopes at MAIL FROM."""

    judges_mail = True
    code = "530 5.7.0"

    def at_mail(self, envelope: Envelope) -> Outcome | None:
        self.headers.append(envelope.sender)
        reply = f"{self.code} Must issue a STARTTLS command first"
        refused = envelope.sender != b"ok@example.org"
        return Outcome(Verdict.REFUSE, Reason.TLS_MISSING, reply=reply) if refused else None


def test_mail_from_may_be_refused_before_the_next_hop_hears_of_it() -> None:
    """RFC 3207 §4; the session goes on, and the next sender is asked about anew."""

    async def run() -> None:
        flow = Asking()
        async with NextHop() as hop, door(hop.address, flow) as client:
            await client.reply()
            await client.ask(EHLO)
            assert await client.ask(FROM) == b"530 5.7.0 Must issue a STARTTLS command first"
            assert (await client.ask(TO)).startswith(b"503") and (await client.ask(b"DATA")).startswith(b"503")
            assert b"MAIL" not in hop.commands
            replies = [await client.ask(one) for one in (b"MAIL FROM:<ok@example.org>", TO, b"DATA", TEXT)]
            assert [reply[:3] for reply in replies] == [b"250", b"250", b"354", b"250"]
            assert flow.headers[:2] == [b"a@example.org", b"ok@example.org"]

    asyncio.run(run())


def test_nothing_behind_a_mail_that_was_refused_for_now_is_refused_for_good() -> None:
    """tls.refusal = "temporary": a client that goes by the answer to RCPT keeps the message, too."""

    async def run() -> None:
        flow = Asking()
        flow.code = "450 4.7.0"
        async with NextHop() as hop, door(hop.address, flow) as client:
            await client.reply()
            await client.ask(EHLO)
            await client.send(b"\r\n".join([FROM, TO, b"DATA", b""]))
            assert [(await client.reply())[:3] for _ in range(3)] == [b"450", b"451", b"451"]

    asyncio.run(run())


def test_each_recipient_has_its_own_answer() -> None:
    script = {"RCPT": [b"250 2.1.5 One", b"550 5.1.1 Two", b"450 4.2.1 Three", b"250 2.1.5 Four"]}
    names = [b"one", b"two", b"three", b"four"]
    commands = [b"RCPT TO:<" + name + b"@example.org>" for name in names]
    replies, hop = talk(script, EHLO, FROM, *commands, b"DATA", TEXT)
    assert replies[2:6] == [b"250 2.1.5 One", b"550 5.1.1 Two", b"450 4.2.1 Three", b"250 2.1.5 Four"]
    assert hop.messages[0].recipients == [b"one@example.org", b"four@example.org"]


def test_without_a_recipient_there_is_no_message() -> None:
    replies, hop = talk({"RCPT": b"550 5.1.1 No"}, EHLO, FROM, TO, b"DATA", b"RSET")
    assert [reply[:3] for reply in replies[2:]] == [b"550", b"503", b"250"]
    assert b"DATA" not in hop.commands


@pytest.mark.parametrize("gone", [VANISH, b"nonsense", b"354 what", b"650 what"])
@pytest.mark.parametrize("verb", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
def test_a_next_hop_that_is_gone_is_4yz(verb: str, gone: bytes | None) -> None:
    if (verb, gone) == ("DATA", b"354 what"):
        return

    async def run() -> None:
        async with NextHop({verb: [gone, gone]}) as hop, door(hop.address) as client:
            await client.reply()
            for command in (EHLO, FROM, TO, b"DATA", TEXT):
                reply = await client.ask(command)
                if not reply.startswith((b"250", b"354")):
                    break
            assert reply.startswith(b"421 4.4.1 " if verb in ("GREETING", "EHLO") else b"451 4.4.1 ")
            assert hop.messages == []
            if not reply.startswith(b"421"):  # the same session goes on, with a new connection
                hop.script.clear()
                replies = [await client.ask(command) for command in (FROM, TO, b"DATA", TEXT)]
                assert replies[-1] == OK
                assert [message.octets for message in hop.messages] == [MAIL]

    asyncio.run(run())


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
def test_a_pipeline_sees_no_5yz_when_the_next_hop_is_gone(verb: str) -> None:
    async def run() -> list[bytes]:
        async with NextHop({verb: VANISH}) as hop, door(hop.address) as client:
            await client.reply()
            await client.ask(EHLO)
            await client.send(b"\r\n".join([FROM, TO, TO, b"DATA", b""]))
            replies = [await client.reply() for _ in range(4)]
            if replies[-1].startswith(b"354"):
                await client.send(TEXT + b"\r\n")
                replies.append(await client.reply())
            assert hop.messages == []
            return replies

    replies = asyncio.run(run())
    assert replies[-1].startswith(b"451 4.4.1 ")
    assert not any(reply.startswith(b"5") for reply in replies)


def test_a_next_hop_that_says_421_ends_both_sessions() -> None:
    async def run(verb: str) -> None:
        async with NextHop({verb: b"421 4.3.2 Closing"}) as hop, door(hop.address) as client:
            await client.reply()
            replies = itertools.chain((EHLO, FROM, TO, b"DATA", TEXT))
            while not (reply := await client.ask(next(replies))).startswith(b"421"):
                pass
            assert reply == b"421 4.3.2 Closing"
            await client.end()
            await hop.closed()
            assert hop.messages == []

    for verb in ("MAIL", "RCPT", "DATA", "DOT"):
        asyncio.run(run(verb))


@pytest.mark.parametrize("words", [b"", b"421 4.4.2 Timeout\r\n"])
def test_an_idle_connection_to_the_next_hop_is_renewed(words: bytes) -> None:
    async def run() -> None:
        async with NextHop() as hop, door(hop.address) as client:
            await client.begin()
            await client.send(dotted(MAIL))
            assert await client.reply() == OK
            hop.drop_connections(words)
            await hop.closed()
            await client.envelope()
            await client.send(dotted(MAIL))
            assert await client.reply() == OK
            assert (len(hop.messages), hop.connections) == (2, 2)

    asyncio.run(run())


def test_messages_of_a_session_share_the_connection_and_nothing_else() -> None:
    async def run() -> None:
        flow = Flow()
        async with NextHop() as hop, door(hop.address, flow) as client:
            await client.begin(b"one@example.org")
            await client.send(dotted(b"A: 1\r\n\r\n1\r\n"))
            assert await client.reply() == OK
            assert await client.ask(b"MAIL FROM:<secret@example.org> RET=HDRS") == b"250 2.1.0 Ok"
            assert await client.ask(b"RCPT TO:<secret@example.org>") == b"250 2.1.5 Ok"
            assert (await client.ask(b"RSET")).startswith(b"250")
            await client.envelope(b"two@example.org")
            await client.send(dotted(b"A: 2\r\n\r\n2\r\n"))
            assert await client.reply() == OK
            assert (await client.ask(b"MAIL FROM:<secret@example.org>")).startswith(b"250")
            assert (await client.ask(EHLO)).startswith(b"250")
            await client.envelope(b"three@example.org")
            await client.send(dotted(b"A: 3\r\n\r\n3\r\n"))
            assert await client.reply() == OK
            assert hop.connections == 1
            assert [(m.recipients, m.octets, m.mail_parameters) for m in hop.messages] == [
                ([b"one@example.org"], b"A: 1\r\n\r\n1\r\n", b""),
                ([b"two@example.org"], b"A: 2\r\n\r\n2\r\n", b""),
                ([b"three@example.org"], b"A: 3\r\n\r\n3\r\n", b""),
            ]
            assert [envelope.recipients for envelope, _ in flow.asked] == [
                (b"one@example.org",),
                (b"two@example.org",),
                (b"three@example.org",),
            ]

    asyncio.run(run())


def test_after_a_deferred_message_the_next_one_is_clean() -> None:
    async def run() -> None:
        flow = Flow(DEFER)
        async with NextHop() as hop, door(hop.address, flow) as client:
            await client.begin(b"secret@example.org")
            await client.send(dotted(MAIL))
            assert (await client.reply()).startswith(b"451 4.3.0 ")
            flow.outcome = Flow().outcome
            await client.envelope(b"b@example.org")
            await client.send(dotted(MAIL))
            assert await client.reply() == OK
            assert [message.recipients for message in hop.messages] == [[b"b@example.org"]]

    asyncio.run(run())


def test_a_second_mail_is_out_of_order_and_changes_nothing() -> None:
    replies, hop = talk(None, EHLO, FROM, TO, b"MAIL FROM:<x@example.org>", b"DATA", TEXT)
    assert replies[3].startswith(b"503 5.5.1 ")
    assert [(message.sender, message.recipients) for message in hop.messages] == [
        (b"a@example.org", [b"b@example.org"])
    ]


@pytest.mark.parametrize("singly", [False, True])
def test_pipelined_commands_and_messages(singly: bool) -> None:
    async def run() -> None:
        async with NextHop() as hop, door(hop.address, singly=singly) as client:
            await client.reply()
            await client.ask(EHLO)
            envelope, late = b"\r\n".join([FROM, TO, b"DATA", b""]), b"MAIL FROM:<never@example.org>\r\n"
            await client.send((envelope + dotted(MAIL)) * 2 + b"NOOP\r\nQUIT\r\n" + (b"" if singly else late))
            replies = [await client.reply() for _ in range(10)]
            assert [reply[:3] for reply in replies] == [b"250", b"250", b"354", b"250"] * 2 + [b"250", b"221"]
            await client.end()
            assert [message.octets for message in hop.messages] == [MAIL, MAIL]
            assert not any(b"never" in command for command in hop.commands)

    asyncio.run(run())


def test_parameters_of_real_mail_are_taken_and_passed_on() -> None:
    mail = b"MAIL FROM:<a@example.org> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=Q+2B7 AUTH=a@example.org"
    rcpt = b"RCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;B@Example.org"
    replies, hop = talk(None, EHLO, mail, rcpt, b"DATA", TEXT)
    assert replies[-1] == OK
    assert hop.messages[0].mail_parameters == b"SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=Q+2B7"
    assert hop.messages[0].rcpt_parameters == [b"NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;B@Example.org"]
    replies, hop = talk(None, EHLO, mail, rcpt, b"DATA", TEXT, keywords=[b"AUTH PLAIN"])
    assert replies[-1] == OK
    assert (hop.messages[0].mail_parameters, hop.messages[0].rcpt_parameters) == (b"AUTH=a@example.org", [b""])


def test_a_parameter_that_we_do_not_know_is_the_next_hops_to_answer() -> None:
    replies, hop = talk({"MAIL": b"555 5.5.4 Unsupported"}, EHLO, FROM + b" REQUIRETLS")
    assert replies[-1] == b"555 5.5.4 Unsupported"
    assert FROM + b" REQUIRETLS" in hop.commands


def test_addresses_of_any_octets_and_long_commands() -> None:
    sender, recipient = "ä@exämple.org".encode(), b"\xff@example.org"
    orcpt = b"ORCPT=rfc822;" + b"x" * 1500
    replies, hop = talk(
        None, EHLO, b"MAIL FROM:<" + sender + b">", b"RCPT TO:<" + recipient + b"> " + orcpt, b"DATA", TEXT
    )
    assert replies[-1] == OK
    message = hop.messages[0]
    assert (message.sender, message.recipients, message.rcpt_parameters) == (sender, [recipient], [orcpt])


def test_the_null_sender() -> None:
    replies, hop = talk(None, EHLO, b"MAIL FROM:<>", TO, b"DATA", TEXT)
    assert replies[-1] == OK
    assert hop.messages[0].sender == b""


@pytest.mark.parametrize(
    "command",
    [
        b"MAIL FROM:<a>b> SIZE=1",
        b"MAIL FROM:<a\rRCPT TO:<x>>",
        b"MAIL FROM:<a\0>",
        b"MAIL FROM:<a",
        b"MAIL TO:<a>",
        b"MAIL",
    ],
)
def test_a_command_that_would_break_out_is_not_passed_on(command: bytes) -> None:
    replies, hop = talk(None, EHLO, command, FROM)
    assert replies[1].startswith(b"501 5.5.4 ")
    assert replies[2].startswith(b"250")
    assert hop.commands == [b"EHLO door.example", FROM]


def test_helo_and_order() -> None:
    commands = (FROM, TO, b"DATA", b"HELO client.example", TO, b"DATA", FROM, TO, b"DATA now", b"DATA", TEXT)
    replies, hop = talk(None, *commands)
    codes = [b"503", b"503", b"503", b"250", b"503", b"503", b"250", b"250", b"501", b"354", b"250"]
    assert [reply[:3] for reply in replies] == codes
    assert len(hop.messages) == 1


@pytest.mark.parametrize(
    "command", [b"STARTTLS", b"AUTH PLAIN AGEAYg==", b"VRFY <a@b>", b"EXPN x", b"BDAT 5 LAST", b"FOO", b"\xff"]
)
def test_other_commands_do_no_harm(command: bytes) -> None:
    replies, hop = talk(None, EHLO, FROM, command, TO, b"DATA", TEXT)
    assert replies[2][:3] in (b"252", b"454", b"500", b"502", b"538")
    assert replies[-1] == OK
    assert len(hop.messages) == 1


@pytest.mark.parametrize("sent", [b"", b"Subject: x\r\n", MAIL, MAIL + b".", MAIL + b".\r", MAIL + b"x" * 300_000])
@pytest.mark.parametrize("limits", [None, Limits(message=5)], ids=["held", "streamed"])
@pytest.mark.parametrize("abort", [True, False])
def test_a_client_that_goes_away_before_its_final_dot_has_sent_nothing(
    sent: bytes, limits: Limits | None, abort: bool
) -> None:
    async def run() -> None:
        flow = Flow()
        async with NextHop() as hop, door(hop.address, flow, limits) as client:
            await client.begin()
            await client.send(sent)
            if abort:
                client.writer.transport.abort()
            else:
                client.writer.write_eof()
            await hop.closed()
            assert hop.messages == hop.refused == flow.asked == []

    asyncio.run(run())


@pytest.mark.parametrize("abort", [True, False])
def test_a_client_that_goes_away_while_its_message_is_processed(abort: bool) -> None:
    async def run() -> None:
        flow = Flow(gate=asyncio.Event())
        async with NextHop() as hop, door(hop.address, flow) as client:
            await client.begin()
            await client.send(dotted(MAIL))
            await flow.processing.wait()
            if abort:
                client.writer.transport.abort()
            else:
                client.writer.write_eof()
            await hop.closed()
            assert hop.messages == hop.unfinished == []

    asyncio.run(run())


def test_the_time_of_the_next_hop_is_not_the_clients() -> None:
    async def run() -> None:
        event = asyncio.Event()
        async with NextHop({"DOT": Wait(event, OK)}) as hop, door(hop.address, limits=Limits(idle=0.5)) as client:
            await client.begin()
            await client.send(dotted(MAIL))
            await hop.reached(b"DOT")
            await asyncio.sleep(0.6)  # longer than the client may be idle
            event.set()
            assert await client.reply() == OK

    asyncio.run(run())


def test_a_next_hop_that_does_not_answer() -> None:
    async def run() -> None:
        event = asyncio.Event()
        async with NextHop({"RCPT": Wait(event, OK)}) as hop, door(hop.address, limits=Limits(reply=1.0)) as client:
            await client.reply()
            await client.ask(EHLO)
            await client.ask(FROM)
            assert (await client.ask(TO)).startswith(b"451 4.4.1 ")
            event.set()
            assert hop.messages == []

    asyncio.run(run())


def test_behind_the_final_dot_the_next_hop_has_twice_the_time() -> None:
    """RFC 5321 §4.5.3.2.6: it may be delivering. Whoever gives up before it answers has the message delivered twice."""

    async def run() -> None:
        event = asyncio.Event()
        async with NextHop({"DOT": Wait(event, OK)}) as hop, door(hop.address, limits=Limits(reply=1.0)) as client:
            await client.begin()
            await client.send(dotted(MAIL))
            await hop.reached(b"DOT")
            await asyncio.sleep(1.2)
            event.set()
            assert await client.reply() == OK

    asyncio.run(run())


ANYBODY = (ip_network("127.0.0.0/8"),)
FACTS = b"XFORWARD NAME=domino.example ADDR=192.0.2.10 IDENT=4Xy9"


def forwarding(keywords: tuple[bytes, ...], trusted: bool, *said: bytes) -> tuple[list[bytes], NextHop, Flow]:
    """Say these to a door that trusts loopback with XFORWARD, or does not."""

    async def run() -> tuple[list[bytes], NextHop, Flow]:
        flow = Flow()
        trust = ANYBODY if trusted else ()
        async with NextHop(keywords=keywords) as hop:
            async with door(hop.address, flow, xforward_peers=trust) as client:
                await client.reply()
                replies = [await client.ask(command) for command in said]
            return replies, hop, flow

    return asyncio.run(run())


ONE = (FROM, TO, b"DATA", TEXT.replace(b"Subject", b"Content-Type: multipart/mixed; boundary=b\r\nSubject"))


def test_a_trusted_peer_says_who_the_client_is() -> None:
    """Of one message; what the next hop wants of it is passed on (law 9)."""
    keywords = (*KEYWORDS, b"XFORWARD NAME ADDR")
    replies, hop, flow = forwarding(keywords, True, EHLO, FACTS, *ONE, *ONE)
    assert b"250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE" in replies[0]
    assert [str(envelope.client) for envelope, _ in flow.asked] == ["192.0.2.10", "None"]
    assert [envelope.queue_id for envelope, _ in flow.asked] == ["4Xy9", ""]
    assert [one for one in hop.commands if one.startswith(b"XFORWARD")] == [
        b"XFORWARD NAME=domino.example ADDR=192.0.2.10"
    ]


def test_nobody_else_does() -> None:
    """Then the client is whoever is connected; and a next hop that wants none gets none."""
    replies, hop, flow = forwarding(KEYWORDS, False, EHLO, FACTS, *ONE)
    assert b"XFORWARD" not in replies[0]
    assert replies[1].startswith(b"550 5.7.0 ")
    assert [str(envelope.client) for envelope, _ in flow.asked] == ["127.0.0.1"]
    replies, hop, _ = forwarding(KEYWORDS, True, EHLO, b"XFORWARD nothing", FACTS, FROM, FACTS)
    assert [reply[:3] for reply in replies[1:]] == [b"501", b"250", b"250", b"503"]
    assert not any(command.startswith(b"XFORWARD") for command in hop.commands)


@pytest.mark.parametrize("arrangement", ["relay", "filter", "filter that says nothing"])
def test_a_relay_says_that_the_message_came_by_and_a_filter_does_not(arrangement: str) -> None:
    """RFC 5321 §4.4. What follows is the message, octet for octet; the log has the name that the field has."""
    elsewhere = (ip_network("192.0.2.0/24"),)
    options: dict[str, Any] = {
        "relay": {"proxy_peers": LOOPBACK, "peers": elsewhere},
        "filter": {"xforward_peers": LOOPBACK},
        "filter that says nothing": {},
    }[arrangement]

    async def run() -> None:
        flow = Flow()
        async with NextHop() as hop, door(hop.address, flow, **options) as client:
            if arrangement == "relay":
                await client.send(b"PROXY TCP4 192.0.2.10 192.0.2.25 4711 25\r\n")
            await client.begin()
            await client.send(dotted(MAIL))
            assert await client.reply() == OK
            octets = hop.messages[0].octets
            assert octets.endswith(MAIL)
            trace = octets.removesuffix(MAIL)
            ((envelope, message),) = flow.asked
            assert message == MAIL
            if arrangement != "relay":
                assert (trace, envelope.queue_id) == (b"", "")
                return
            by = b"Received: from client.example ([192.0.2.10])\r\n\tby door.example (notes2conf) with ESMTP id "
            assert trace.startswith(by + envelope.queue_id.encode() + b"\r\n\tfor <b@example.org>; ")
            assert trace.count(b"\r\n") == trace.count(b"\r\n\t") + 1

    asyncio.run(run())


def pipeline(script, *lines: bytes, replies: int, **options) -> tuple[list[bytes], NextHop]:
    """Send the lines in one write after EHLO; return the replies and the next hop."""

    async def run() -> tuple[list[bytes], NextHop]:
        async with NextHop(script, **options) as hop, door(hop.address) as client:
            await client.reply()
            await client.ask(EHLO)
            await client.send(b"\r\n".join([*lines, b""]))
            return [await client.reply() for _ in range(replies)], hop

    return asyncio.run(run())


@pytest.mark.parametrize("keywords", [KEYWORDS, ()], ids=["pipelining", "one by one"])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({}, [b"250 2.1.0 Ok", b"250 2.1.5 Ok", b"250 2.1.5 Ok", b"354 End"]),
        (
            {"RCPT": [b"550 5.1.1 One", b"250 2.1.5 Two"]},
            [b"250 2.1.0 Ok", b"550 5.1.1 One", b"250 2.1.5 Two", b"354 End"],
        ),
        ({"MAIL": b"550 5.7.1 No"}, [b"550 5.7.1 No", b"503 5.5.1 MAIL", b"503 5.5.1 MAIL", b"503 5.5.1 MAIL"]),
        ({"MAIL": b"450 4.7.1 Later"}, [b"450 4.7.1 Later", b"451 4.3.0", b"451 4.3.0", b"451 4.3.0"]),
        (
            {"RCPT": b"450 4.2.0 Grey"},
            [b"250 2.1.0 Ok", b"450 4.2.0 Grey", b"450 4.2.0 Grey", b"503 5.5.1 No recipient"],
        ),
    ],
)
def test_a_pipeline_has_its_answers_in_order(script, expected: list[bytes], keywords: tuple[bytes, ...]) -> None:
    """RFC 2920: each command its own, whether MAIL and RCPT went on together or one by one."""
    replies, hop = pipeline(script, FROM, TO, b"RCPT TO:<c@example.org>", b"DATA", replies=4, keywords=keywords)
    assert [reply[: len(start)] for reply, start in zip(replies, expected, strict=True)] == expected
    assert hop.messages == []


def test_a_bad_recipient_behind_mail_takes_nothing_with_it() -> None:
    """Nor does one that is too long to be looked at beforehand."""
    long = b"RCPT TO:<" + b"x" * 600 + b"@example.org>"
    for line, answer in ((b"RCPT TO:<a@b> <c", b"501 5.5.4"), (b"RCPT nobody", b"501 5.5.4"), (long, b"250 2.1.5")):
        replies, _ = pipeline({}, FROM, line, TO, b"DATA", replies=4)
        assert [reply[: len(answer) if at == 1 else 3] for at, reply in enumerate(replies)] == [
            b"250",
            answer,
            b"250",
            b"354",
        ]


def test_a_pipeline_takes_one_write_on_either_side() -> None:
    """MAIL and RCPT to the next hop; all answers to the client, with that to DATA."""
    read: list[bytes] = []
    answers = [
        b"250-next.example\r\n250 PIPELINING\r\n",
        b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n",
        b"354 Go\r\n",
        b"250 2.0.0 Ok\r\n",
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 next.example\r\n")
        for answer in answers:
            read.append(await reader.read(65536))
            writer.write(answer)
        await reader.read()
        writer.close()

    async def run() -> bytes:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            address = InetAddress("127.0.0.1", server.sockets[0].getsockname()[1])
            async with door(address) as client:
                await client.reply()
                await client.ask(EHLO)
                await client.send(b"\r\n".join([FROM, TO, b"DATA", b""]))
                together = await client.reader.read(65536)
                await client.send(TEXT + b"\r\n")
                assert (await client.reply()).startswith(b"250 ")
            return together

    together = asyncio.run(run())
    assert [line[:3] for line in together.split(b"\r\n")[:-1]] == [b"250", b"250", b"354"]
    assert read[1] == FROM + b"\r\n" + TO + b"\r\n"
    assert read[3].endswith(b"body\r\n.\r\n")


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
def test_what_was_said_of_a_client_does_not_outlive_a_next_hop_that_was_lost(verb: str) -> None:
    """The message that comes next without a word may be anybody's (law 9)."""

    async def run() -> None:
        flow = Flow()
        async with NextHop({verb: VANISH}) as hop, door(hop.address, flow, xforward_peers=ANYBODY) as client:
            await client.reply()
            for command in (EHLO, FACTS, *ONE):
                if (reply := await client.ask(command)).startswith(b"451"):
                    break
            assert reply.startswith(b"451 4.4.1")
            hop.script.clear()
            assert [await client.ask(command) for command in ONE][-1] == OK
            assert flow.asked[-1][0].client is None and flow.asked[-1][0].queue_id == ""

    asyncio.run(run())


def test_what_is_unforeseen_does_not_shift_the_answers_of_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAIL and RCPT go on together; the client takes each answer for that to its own command."""

    async def mail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Route, "mail", mail)
    replies, hop = pipeline({}, FROM, TO, b"VRFY x", replies=3)
    assert [reply[:9] for reply in replies] == [b"451 4.3.0", b"451 4.3.0", replies[2][:9]]
    assert replies[2].startswith(b"252") and FROM not in hop.commands
