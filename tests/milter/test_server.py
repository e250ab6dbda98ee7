"""server.py: the door on real sockets, with an MTA of our own on the other side."""

import asyncio
import logging
import socket
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from notes2conf_milter.address import InetAddress, UnixAddress
from notes2conf_milter.core.edits import ChangeHeader, Edit, ReplaceBody
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.mailflow import MailFlow
from notes2conf_milter.milter.server import Limits, MilterServer
from tests.milter.mta import MilterClient, packet

PASS = Outcome(Verdict.PASS, Reason.NO_CALENDAR)
DEFER = Outcome(Verdict.DEFER, Reason.STORE_UNAVAILABLE)
PLAIN = b"Subject: plain\r\nTo: b@x,\r\n\tc@x\r\nX:tight\r\n\r\nHello\r\n"
INVITATION = b"Subject: invitation\r\nX-Empty:\r\nsubject:  second\r\n\r\n" + b"line\r\n" * 30_000
SECRET = "geheim"


def rewrite(*edits: Edit) -> Outcome:
    return Outcome(Verdict.REWRITE, Reason.LINK_ADDED, edits)


class Flow(MailFlow):
    """Passes what has `plain` in its header; answers the rest as the test says."""

    judges_mail = False

    def __init__(self, process: Callable[[Envelope, bytes], Awaitable[Outcome]] | Outcome = PASS) -> None:
        self.answer = process
        self.envelopes: list[Envelope] = []
        self.messages: list[bytes] = []
        self.unread: list[Reason] = []
        self.started = asyncio.Event()
        self.cancelled = 0

    @staticmethod
    def plainly_no_calendar(header: bytes) -> bool:
        return False  # every message is looked at

    def before_body(self, envelope: Envelope, header: bytes) -> Outcome | None:
        self.envelopes.append(envelope)
        if b"raise" in header:
            raise RuntimeError(SECRET)
        return PASS if b"plain" in header else None

    async def process(self, envelope: Envelope, message: bytes) -> Outcome:
        self.envelopes.append(envelope)
        self.messages.append(message)
        self.started.set()
        try:
            return self.answer if isinstance(self.answer, Outcome) else await self.answer(envelope, message)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def pass_unread(self, envelope: Envelope, reason: Reason) -> Outcome:
        self.unread.append(reason)
        return Outcome(Verdict.PASS, reason)


@asynccontextmanager
async def serving(
    flow: MailFlow, address: UnixAddress | InetAddress, limits: Limits | None = None
) -> AsyncIterator[UnixAddress | InetAddress]:
    server = MilterServer()
    await server.start(address, flow, limits=limits)
    try:
        yield server.addresses[0]
    finally:
        await server.close(0)


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


@pytest.fixture(params=["unix", "inet", "inet6"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> UnixAddress | InetAddress:
    match request.param:
        case "unix":
            return UnixAddress(str(tmp_path / "m"))
        case "inet6":
            try:
                with socket.socket(socket.AF_INET6) as sock:
                    sock.bind(("::1", 0))
            except OSError:
                return InetAddress("127.0.0.1", 0)  # a machine without IPv6 tries IPv4 twice
            return InetAddress("::1", 0)
    return InetAddress("127.0.0.1", 0)


@pytest.fixture
def path(tmp_path: Path) -> UnixAddress:
    return UnixAddress(str(tmp_path / "m"))


@pytest.mark.parametrize("piece", [0, 1, 7])
@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_every_version_gives_the_same_message(address: UnixAddress | InetAddress, version: int, piece: int) -> None:
    edits = (
        ChangeHeader(b"SUBJECT", 2, b" new,\r\n folded"),
        ReplaceBody(b"new body\r\n" * 9000),
        ChangeHeader(b"x-empty", 1, b" "),
    )
    small = INVITATION[:500]

    async def test() -> None:
        flow = Flow(rewrite(*edits))
        async with serving(flow, address) as where, MilterClient(where, version=version, piece=piece) as client:
            plain = await client.deliver(PLAIN)
            assert (plain.verdict, plain.at, plain.message) == ("accept", "N", PLAIN)
            sent = small if piece else INVITATION
            result = await client.deliver(sent, b"", [b"x@y", b"z@y"], {b"{auth_authen}": b"alice"})
            assert (result.verdict, result.at) == ("accept", "E")
            # An MTA that does not leave blanks to us puts one before each value; an empty value would delete the field.
            empty = b"x-empty: \r\n" if version == 6 else b"x-empty:  \r\n"
            head = b"Subject: invitation\r\n" + empty + b"SUBJECT: new,\r\n folded\r\n\r\n"
            assert result.message == head + b"new body\r\n" * 9000
            assert (await client.deliver(PLAIN)).message == PLAIN
        first, second, third, last = flow.envelopes
        assert {envelope.queue_id for envelope in flow.envelopes} == {"4QxK2Z1"}
        assert second.recipients == third.recipients == (b"x@y", b"z@y")
        assert (second.sender, second.authenticated, second.queue_id) == (b"", True, "4QxK2Z1")
        assert first == last
        assert (first.sender, first.authenticated, str(first.client)) == (b"alice@example.org", False, "192.0.2.1")
        assert flow.messages == [sent if version == 6 else sent.replace(b"X-Empty:", b"X-Empty: ")]

    run(test())


def test_postfix_is_answered_twice_a_message_and_hears_no_more_than_it_must(path: UnixAddress) -> None:
    async def test() -> None:
        async with serving(Flow(), path) as where, MilterClient(where) as client:
            await client.deliver(INVITATION)
            assert "".join(client.log) == "MRLLLN?BBBE?A"
            client.log.clear()
            await client.deliver(PLAIN)
            assert "".join(client.log) == "MRLLLN?A"

    run(test())


@pytest.mark.parametrize("actions", [0x1FF, 0xFF, 0x2D, 0x3D, 0x2F, 0x3E, 0])
def test_edits_that_the_mta_does_not_grant_are_left_out(
    path: UnixAddress, actions: int, caplog: pytest.LogCaptureFixture
) -> None:
    flow_edits = (ReplaceBody(b"new\r\n"), ChangeHeader(b"Subject", 1, b" new"))

    async def test() -> None:
        async with serving(Flow(rewrite(*flow_edits)), path) as where, MilterClient(where, actions=actions) as client:
            for _ in range(2):
                result = await client.deliver(INVITATION)
                assert (result.verdict, bool(result.edits)) == ("accept", actions & 0x13 == 0x13)

    run(test())
    assert sum("does not let us" in line for line in caplog.messages) == (actions & 0x13 != 0x13)


def test_deferred_is_451(path: UnixAddress) -> None:
    async def test() -> None:
        async with serving(Flow(DEFER), path) as where, MilterClient(where) as client:
            result = await client.deliver(INVITATION)
            assert result.verdict == "reply"
            assert result.reply.startswith(b"451 4.3.0 ")
            assert (await client.deliver(PLAIN)).verdict == "accept"

    run(test())


def test_too_large_passes_unread(path: UnixAddress) -> None:
    async def test() -> None:
        flow = Flow(DEFER)
        async with serving(flow, path, Limits(message=1000, header=200)) as where, MilterClient(where) as client:
            assert (await client.deliver(INVITATION)).verdict == "accept"
            assert (await client.deliver(b"Subject: plain " + b"x" * 200 + b"\r\n\r\n")).verdict == "accept"
        assert flow.unread == [Reason.TOO_LARGE] * 2
        assert flow.messages == []

    run(test())


def test_a_slow_flow_sends_progress_and_then_its_verdict(path: UnixAddress) -> None:
    async def test() -> None:
        go = asyncio.Event()

        async def slow(envelope: Envelope, message: bytes) -> Outcome:
            await go.wait()
            return PASS

        async with serving(Flow(slow), path, Limits(progress=0.001)) as where, MilterClient(where) as client:
            read = client.read

            async def counting() -> tuple[bytes, bytes]:
                name, data = await read()
                if name == b"p":
                    go.set()
                return name, data

            client.read = counting  # type: ignore[method-assign]
            result = await client.deliver(INVITATION)
            assert result.verdict == "accept"
            assert result.progress >= 1
            assert (await client.deliver(PLAIN)).progress == 0

    run(test())


def test_the_deadline_defers(path: UnixAddress, caplog: pytest.LogCaptureFixture) -> None:
    async def never(envelope: Envelope, message: bytes) -> Outcome:
        await asyncio.Event().wait()
        return PASS

    async def test() -> None:
        flow = Flow(never)
        async with serving(flow, path, Limits(processing=0.01)) as where, MilterClient(where) as client:
            assert (await client.deliver(INVITATION)).verdict == "reply"
        assert flow.cancelled == 1

    run(test())
    assert caplog.messages == ["milter: no verdict within 0.01 s: deferred"]


@pytest.mark.parametrize("end", ["abort", "quit", "lost"])
def test_a_verdict_that_nobody_waits_for_is_dropped(path: UnixAddress, end: str) -> None:
    async def test() -> None:
        go = asyncio.Event()

        async def stubborn(envelope: Envelope, message: bytes) -> Outcome:
            if not go.is_set():
                try:
                    await go.wait()
                except asyncio.CancelledError:
                    return DEFER  # does not even heed its cancellation
            return PASS

        flow = Flow(stubborn)
        async with serving(flow, path) as where:
            client = MilterClient(where)
            async with client:
                waiting = asyncio.create_task(client.deliver(INVITATION))
                await flow.started.wait()
                waiting.cancel()
                await asyncio.wait([waiting])
                if end == "abort":
                    client.writer.write(packet("A"))
                    assert (await client.deliver(PLAIN)).message == PLAIN
                    go.set()
                    result = await client.deliver(INVITATION)
                    assert (result.verdict, result.message) == ("accept", INVITATION)
                elif end == "quit":
                    client.writer.write(packet("Q"))
                    assert await client.closed()
                else:
                    client.writer.transport.abort()
            async with MilterClient(where) as other:
                assert (await other.deliver(PLAIN)).verdict == "accept"

    run(test())


def test_an_abort_at_every_point(path: UnixAddress) -> None:
    class Cut(Exception):
        pass

    async def test() -> None:
        flow = Flow()
        async with serving(flow, path) as where, MilterClient(where) as client:
            event, left = client.event, 0

            async def cutting(name: str, payload: bytes = b"") -> Any:
                nonlocal left
                left -= 1
                if left < 0 and name != "A":
                    raise Cut
                return await event(name, payload)

            client.event = cutting  # type: ignore[method-assign]
            for cut in range(12):
                left = cut
                try:
                    await client.deliver(INVITATION, b"cut@x", [b"cut@x"], {b"{auth_authen}": b"cut", b"i": b"cut"})
                except Cut:
                    await client.event("A")
                client.macros = {b"{client_addr}": b"192.0.2.1"}
                left = 100
                flow.envelopes.clear()
                assert (await client.deliver(PLAIN)).message == PLAIN
                assert [(e.sender, e.recipients, e.authenticated, e.queue_id) for e in flow.envelopes] == [
                    (b"alice@example.org", (b"bob@example.org",), False, "4QxK2Z1")
                ]

    run(test())


@pytest.mark.parametrize(
    "octets",
    [
        struct.pack("!I", 2**31 - 1),
        struct.pack("!I", 0),
        packet("Z"),
        packet("B", b"x"),
        packet("L", b"x"),
        packet("O", b""),
    ],
)
def test_what_is_not_the_protocol_closes_only_its_connection(path: UnixAddress, octets: bytes) -> None:
    async def test() -> None:
        async with serving(Flow(), path) as where, MilterClient(where) as other:
            async with MilterClient(where) as client:
                client.writer.write(octets)
                assert await client.closed()
            assert (await other.deliver(PLAIN)).verdict == "accept"

    run(test())


@pytest.mark.parametrize("where_from", ["before_body", "process"])
def test_the_unforeseen_defers_and_says_nothing_of_the_message(
    path: UnixAddress, caplog: pytest.LogCaptureFixture, where_from: str
) -> None:
    async def broken(envelope: Envelope, message: bytes) -> Outcome:
        raise RuntimeError(SECRET)

    async def test() -> None:
        message = INVITATION if where_from == "process" else b"Subject: raise\r\n\r\n"
        async with serving(Flow(broken), path) as where, MilterClient(where) as other:
            async with MilterClient(where) as client:
                assert (await client.deliver(message, abort=False)).verdict == "tempfail"
                assert await client.closed()
            assert (await other.deliver(PLAIN)).verdict == "accept"

    run(test())
    (line,) = caplog.messages
    assert "RuntimeError" in line
    assert f" {where_from}" in line
    assert SECRET not in caplog.text


def test_what_is_sent_ahead_of_the_verdict_keeps_its_order(path: UnixAddress) -> None:
    async def test() -> None:
        go = asyncio.Event()

        async def slow(envelope: Envelope, message: bytes) -> Outcome:
            await go.wait()
            return PASS

        flow = Flow(slow)
        async with serving(flow, path) as where, MilterClient(where) as client:
            one = [packet("M", b"<a@x>\0"), packet("L", b"Subject\0 x\0"), packet("N"), packet("B", b"1"), packet("E")]
            client.writer.write(b"".join(one * 3))
            await flow.started.wait()
            assert len(flow.messages) == 1
            go.set()
            verdicts = [(await client.read())[0] for _ in range(6)]
            assert verdicts == [b"c", b"a"] * 3
            assert flow.messages == [b"Subject: x\r\n\r\n1"] * 3

    run(test())


def test_many_connections_at_once(address: UnixAddress | InetAddress) -> None:
    async def test() -> None:
        async def body_of(envelope: Envelope, message: bytes) -> Outcome:
            await asyncio.sleep(0)
            return rewrite(ReplaceBody(envelope.sender))

        async with serving(Flow(body_of), address) as where:

            async def session(number: int) -> None:
                async with MilterClient(where) as client:
                    for message in range(5):
                        sender = b"%d-%d@x" % (number, message)
                        result = await client.deliver(INVITATION[:200], sender)
                        assert result.message.endswith(b"\r\n\r\n" + sender)

            await asyncio.gather(*map(session, range(40)))

    run(test())


def test_silence_closes_a_connection(path: UnixAddress) -> None:
    async def test() -> None:
        async with serving(Flow(), path, Limits(idle=0.01)) as where, MilterClient(where) as client:
            assert await client.closed()

    run(test())


@pytest.mark.parametrize("grace", [0.0, 30.0])
def test_close_lets_messages_finish_within_the_grace(path: UnixAddress, grace: float) -> None:
    async def test() -> None:
        go = asyncio.Event()

        async def slow(envelope: Envelope, message: bytes) -> Outcome:
            await go.wait()
            return PASS

        flow, server = Flow(slow), MilterServer()
        await server.start(path, flow)
        async with MilterClient(path) as idle, MilterClient(path) as busy:
            verdict = asyncio.create_task(busy.deliver(INVITATION, abort=False))
            await flow.started.wait()
            closing = asyncio.create_task(server.close(grace))
            assert await idle.closed()
            with pytest.raises(OSError):
                await asyncio.open_unix_connection(path.path)
            if grace:
                assert not verdict.done()
                go.set()
            assert (await verdict).verdict == ("accept" if grace else "tempfail")
            assert await busy.closed()
            await closing
        assert not Path(path.path).exists()

    run(test())


def test_the_socket_has_its_mode_and_replaces_a_stale_one(path: UnixAddress) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path.path)

    async def test() -> None:
        server = MilterServer()
        await server.start(path, Flow(), socket_mode=0o620)
        assert stat.S_IMODE(Path(path.path).stat().st_mode) == 0o620
        second = MilterServer()
        with pytest.raises(OSError, match="in use"):
            await second.start(path, Flow())
        await second.close(0)
        async with MilterClient(path) as client:
            assert (await client.deliver(PLAIN)).verdict == "accept"
        await server.close(0)

    run(test())


def test_a_file_that_is_no_socket_is_left_alone(path: UnixAddress) -> None:
    Path(path.path).write_text("kept")

    async def test() -> None:
        with pytest.raises(FileExistsError):
            await MilterServer().start(path, Flow())

    run(test())
    assert Path(path.path).read_text() == "kept"


def test_the_socket_of_a_successor_is_left_alone(path: UnixAddress) -> None:
    async def test() -> None:
        server = MilterServer()
        await server.start(path, Flow())
        Path(path.path).rename(path.path + ".old")
        Path(path.path).touch()
        await server.close(0)
        assert Path(path.path).exists()

    run(test())


def test_several_addresses(path: UnixAddress) -> None:
    async def test() -> None:
        server = MilterServer()
        await server.start(path, Flow())
        await server.start(InetAddress("127.0.0.1", 0), Flow())
        for where in server.addresses:
            async with MilterClient(where) as client:
                assert (await client.deliver(PLAIN)).verdict == "accept"
        await server.close(0)

    run(test())


def test_log_lines_hold_no_personal_data(path: UnixAddress, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def test() -> None:
        async with serving(Flow(), path) as where, MilterClient(where) as client:
            await client.deliver(PLAIN, b"geheim@example.org")
            client.writer.write(packet("R", b"<geheim@example.org>\0"))
            assert await client.closed()

    run(test())
    assert "RCPT in state READY" in caplog.text
    assert SECRET not in caplog.text
