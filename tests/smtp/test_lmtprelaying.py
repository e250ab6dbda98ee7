"""LMTP at the SMTP door: each recipient has the answer that the next hop gave to it."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from tests.smtp.door import DEFER, Flow, connected, dotted, serving
from tests.smtp.nexthop import VANISH, NextHop

MAIL = b"Subject: x\r\n\r\nbody\r\n"
ONE, TWO, THREE = b"one@example.org", b"two@example.org", b"three@example.org"


def deliver(script=None, *, lmtp: bool = True, flow: Flow | None = None, recipients=(ONE, TWO, THREE), **options):
    """Send one message by LMTP; return the answers to RCPT, those to the final dot, and the next hop."""

    async def run():
        async with (
            NextHop(script, lmtp=lmtp, **options) as hop,
            serving(hop.address, flow, lmtp=True, next_hop_lmtp=lmtp) as server,
            connected(server.address) as client,
        ):
            assert b"LMTP" in await client.reply()
            assert (await client.ask(b"LHLO client.example")).startswith(b"250-door.example")
            assert (await client.ask(b"MAIL FROM:<a@example.org>")).startswith(b"250")
            taken = [await client.ask(b"RCPT TO:<" + recipient + b">") for recipient in recipients]
            assert (await client.ask(b"DATA")).startswith(b"354")
            await client.send(dotted(MAIL))
            accepted = sum(one.startswith(b"250") for one in taken)
            return taken, [await client.reply() for _ in range(accepted)], hop

    return asyncio.run(run())


def test_a_refusal_for_one_recipient_reaches_that_one_alone() -> None:
    answers = [b"250 2.0.0 One", b"550 5.2.2 Two is full", b"451 4.2.1 Three later"]
    _, replies, hop = deliver({"DOT": answers})
    assert replies == answers
    assert hop.refused[0].octets == MAIL  # the next hop had it, and took it for one


def test_a_recipient_that_was_refused_before_has_no_answer_after() -> None:
    """RFC 2033 §4.2: one for each recipient that was accepted."""
    script = {"RCPT": [b"250 ok", b"550 5.1.1 No such", b"250 ok"], "DOT": [b"250 2.0.0 One", b"452 4.2.2 Three"]}
    taken, replies, _ = deliver(script)
    assert [one[:3] for one in taken] == [b"250", b"550", b"250"]
    assert replies == [b"250 2.0.0 One", b"452 4.2.2 Three"]


@pytest.mark.parametrize("answer", [b"250 2.0.0 Ok", b"552 5.3.4 Too large", b"451 4.3.0 Later"])
def test_behind_us_smtp_has_one_answer_for_all(answer: bytes) -> None:
    assert deliver({"DOT": answer}, lmtp=False)[1] == [answer] * 3


def test_a_next_hop_that_goes_away_between_its_answers() -> None:
    """What it answered counts: those have the message. The others wait at the client."""
    _, replies, _ = deliver({"DOT": [b"250 2.0.0 One", VANISH]})
    assert replies[0] == b"250 2.0.0 One"
    assert [one[:9] for one in replies[1:]] == [b"451 4.4.1", b"451 4.4.1"]


@pytest.mark.parametrize("script", [{"DOT": VANISH}, {"DATA": VANISH}, {"DATA": b"451 4.3.0 Later"}])
def test_everybody_waits_when_there_is_no_answer(script: dict[str, bytes | None]) -> None:
    assert [one[:3] for one in deliver(script)[1]] == [b"451"] * 3


def test_everybody_waits_when_we_cannot() -> None:
    _, replies, hop = deliver(flow=Flow(DEFER))
    assert [one[:9] for one in replies] == [b"451 4.3.0"] * 3
    assert hop.messages == []


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_everybody_has_an_answer_when_the_next_hop_is_lost_meanwhile(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """A client that waits for one more waits for ever; uvloop does not take octets for a connection that was lost."""

    async def run() -> None:
        flow = Flow(gate=asyncio.Event())
        async with (
            NextHop(lmtp=True) as hop,
            serving(hop.address, flow, lmtp=True, next_hop_lmtp=True) as server,
            connected(server.address) as client,
        ):
            await client.reply()
            await client.ask(b"LHLO client.example")
            await client.envelope(ONE, TWO, THREE)
            await client.send(dotted(MAIL))
            await flow.processing.wait()
            hop.reset_connections()
            await hop.closed()
            await asyncio.sleep(0.02)
            assert flow.gate is not None
            flow.gate.set()
            async with asyncio.timeout(5):
                assert [(await client.reply())[:9] for _ in range(3)] == [b"451 4.4.1"] * 3
                assert (await client.ask(b"MAIL FROM:<a@example.org>")).startswith(b"250")

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


def test_the_next_hop_is_greeted_in_its_language() -> None:
    assert deliver()[2].commands[0] == b"LHLO door.example"
    assert deliver(lmtp=False)[2].commands[0] == b"EHLO door.example"


@pytest.mark.parametrize("command", [b"EHLO client.example", b"HELO client.example"])
def test_smtp_is_not_spoken_here(command: bytes) -> None:
    """RFC 2033 §4.1."""

    async def run() -> None:
        async with (
            NextHop(lmtp=True) as hop,
            serving(hop.address, lmtp=True, next_hop_lmtp=True) as server,
            connected(server.address) as client,
        ):
            await client.reply()
            assert (await client.ask(command)).startswith(b"500 5.5.1")
            assert (await client.ask(b"MAIL FROM:<a@example.org>")).startswith(b"503")
            assert (await client.ask(b"LHLO client.example")).startswith(b"250")

    asyncio.run(run())
