"""STARTTLS and implicit TLS at the SMTP door: what the client gets, what is forgotten, and what the flow is told."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from notes2conf_milter.certificate import Certificate
from notes2conf_milter.core.encryption import Hop, read_rule
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.readers import domain
from notes2conf_milter.smtp.server import LOOPBACK, Limits
from tests.smtp.door import Client, Flow, connected, serving
from tests.smtp.nexthop import NextHop
from tests.tlscheck.authority import Authority, Issued, issue
from tests.web.test_certificate import write

EHLO = b"EHLO client.example"
FROM = b"MAIL FROM:<a@example.org>"
TO = b"RCPT TO:<b@example.org>"
TEXT = b"Subject: x\r\n\r\nbody\r\n."
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Seeing(Flow):
    """Remembers whom each message was said to come from."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[Envelope] = []

    def before_body(self, envelope: Envelope, header: bytes) -> Outcome | None:
        self.envelopes.append(envelope)
        return Outcome(Verdict.PASS, Reason.NO_CALENDAR)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(*write(tmp_path, 1000))


def run(loop: Callable[[], asyncio.AbstractEventLoop], what: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(what)


def client_context(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    return context


@asynccontextmanager
async def door(
    flow: Flow, certificate: Certificate | None, *, implicit: bool = False, xforward_peers: tuple = ()
) -> AsyncIterator[tuple[Client, NextHop]]:
    options = {"tls": None if certificate is None else certificate.context, "implicit": implicit}
    async with (
        NextHop() as hop,
        serving(hop.address, flow, xforward_peers=xforward_peers, **options) as server,
        connected(server.address) as client,
    ):
        yield client, hop


async def encrypt(client: Client, version: ssl.TLSVersion | None = None) -> None:
    """Say STARTTLS, and go on encrypted."""
    assert (await client.ask(b"STARTTLS")) == b"220 2.0.0 Ready to start TLS"
    await client.writer.start_tls(client_context(version))


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_message_by_tls(certificate: Certificate, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Offered once; EHLO comes anew; the flow is told version, cipher and bits; the session goes on for another message."""

    async def talk() -> None:
        flow = Seeing()
        async with door(flow, certificate) as (client, hop):
            await client.reply()
            assert b"STARTTLS" in await client.ask(EHLO)
            await encrypt(client)
            assert (await client.ask(FROM)).startswith(b"503"), "EHLO comes first again"
            offered = await client.ask(EHLO)
            assert b"STARTTLS" not in offered and b"PIPELINING" in offered
            assert (await client.ask(b"STARTTLS")).startswith(b"503")
            for _ in range(2):
                for command, code in ((FROM, b"250"), (TO, b"250"), (b"DATA", b"354"), (TEXT, b"250")):
                    assert (await client.ask(command)).startswith(code)
            assert len(hop.messages) == 2
            assert (await client.ask(b"QUIT")).startswith(b"221")
        tls = flow.envelopes[0].tls
        assert tls is not None and (tls.version, tls.bits, tls.forward_secrecy) == ("TLSv1.3", 256, True)
        assert {one.hop for one in flow.envelopes} == {Hop.SEEN}

    run(loop, talk())


def test_a_certificate_that_was_renewed_is_shown_to_who_comes_next(tmp_path: Path) -> None:
    """The listener stays, and so do sessions that are encrypted already."""

    async def shown(client: Client) -> int:
        await client.reply()
        await client.ask(EHLO)
        await encrypt(client)
        presented = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(presented).serial_number

    async def talk() -> None:
        renewed = Certificate(*write(tmp_path, 1000))
        async with (
            NextHop() as hop,
            serving(hop.address, Flow(), tls=renewed.context) as server,
            connected(server.address) as first,
            connected(server.address) as second,
        ):
            assert await shown(first) == 1000
            write(tmp_path, 1001)
            assert renewed.refresh()
            assert await shown(second) == 1001
            assert b"PIPELINING" in await first.ask(EHLO)

    asyncio.run(talk())


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_tls_from_the_first_octet_on(certificate: Certificate, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def talk() -> None:
        flow = Seeing()
        async with door(flow, certificate, implicit=True) as (client, hop):
            await client.writer.start_tls(client_context())
            assert (await client.reply()).startswith(b"220 ")
            assert b"STARTTLS" not in await client.ask(EHLO)
            for command, code in ((FROM, b"250"), (TO, b"250"), (b"DATA", b"354"), (TEXT, b"250")):
                assert (await client.ask(command)).startswith(code)
            assert len(hop.messages) == 1 and flow.envelopes[0].tls is not None

    run(loop, talk())


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_commands_sent_in_clear_behind_starttls_are_not_taken_for_encrypted_ones(
    certificate: Certificate, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """CVE-2011-0411: a man in the middle puts them there."""

    async def talk() -> None:
        flow = Seeing()
        async with door(flow, certificate) as (client, hop):
            await client.reply()
            await client.ask(EHLO)
            await client.send(
                b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.org>\r\n"
            )
            assert await client.reply() == b"220 2.0.0 Ready to start TLS"
            with contextlib.suppress(ssl.SSLError, ConnectionError):  # or the injected octets spoil the handshake
                await client.writer.start_tls(client_context())
                await client.send(EHLO + b"\r\n")
                assert b"PIPELINING" in await client.reply()
                assert (await client.ask(TO)).startswith(b"503"), "no MAIL is known"
            assert not [command for command in hop.commands if "evil" in str(command)]
        assert flow.envelopes == []

    run(loop, talk())


def test_what_was_said_before_is_forgotten(certificate: Certificate) -> None:
    """RFC 3207 §4.2: the transaction, and what XFORWARD said. How the filter came is not how its client came."""

    async def talk() -> None:
        flow = Seeing()
        async with door(flow, certificate, xforward_peers=LOOPBACK) as (client, hop):
            await client.reply()
            await client.ask(EHLO)
            assert (await client.ask(b"XFORWARD ADDR=192.0.2.10")).startswith(b"250")
            assert (await client.ask(FROM)).startswith(b"250")
            await encrypt(client)
            await client.ask(EHLO)
            assert (await client.ask(TO)).startswith(b"503")
            for command, code in ((FROM, b"250"), (TO, b"250"), (b"DATA", b"354"), (TEXT, b"250")):
                assert (await client.ask(command)).startswith(code)
            assert len(hop.messages) == 1
        (envelope,) = flow.envelopes
        assert (envelope.client, envelope.tls, envelope.hop) == (None, None, Hop.UNSEEN)

    asyncio.run(talk())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_no_tls(certificate: Certificate, version: ssl.TLSVersion) -> None:
    async def talk() -> None:
        async with door(Flow(), certificate) as (client, _):
            await client.reply()
            await client.ask(EHLO)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await encrypt(client, version)

    asyncio.run(talk())


def test_garbage_in_place_of_a_handshake(certificate: Certificate, caplog: pytest.LogCaptureFixture) -> None:
    """The connection ends, without a trace; the next client is served."""

    async def talk() -> None:
        async with door(Flow(), certificate) as (client, _):
            await client.reply()
            await client.ask(EHLO)
            await client.ask(b"STARTTLS")
            await client.send(b"no hello at all\r\n" * 20)
            with contextlib.suppress(ConnectionError):
                await client.reader.read()

    asyncio.run(talk())
    assert "Traceback" not in caplog.text and "Task exception" not in caplog.text


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_closing_does_not_wait_for_a_handshake(
    certificate: Certificate, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def talk() -> None:
        async with (
            NextHop() as hop,
            serving(hop.address, tls=certificate.context) as server,
            connected(server.address) as client,
        ):
            await client.reply()
            await client.ask(EHLO)
            await client.ask(b"STARTTLS")
            await asyncio.wait_for(server.close(0), 5)
            await client.end()

    run(loop, talk())


def test_without_a_certificate_it_is_not_offered() -> None:
    async def talk() -> None:
        async with door(Flow(), None) as (client, _):
            await client.reply()
            assert b"STARTTLS" not in await client.ask(EHLO)
            assert await client.ask(b"STARTTLS") == b"454 4.7.0 TLS is not available"
            assert await client.ask(b"STARTTLS now") == b"501 5.5.4 Syntax error in the argument"

    asyncio.run(talk())


def test_a_clients_certificate(tmp_path: Path) -> None:
    """Asked for, trusted where the authorities signed it, refused where they did not; who has none is told apart."""
    (tmp_path / "client").mkdir()
    (tmp_path / "other").mkdir()
    clients, others = write(tmp_path / "client", 7, days=30), write(tmp_path / "other", 8, days=30)
    asking = Certificate(*write(tmp_path, 1000), client_ca=clients[0])

    async def talk(files: tuple[Path, Path] | None) -> bool | None:
        flow = Seeing()
        context = client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # in 1.3 a refusal comes with the next reading
        if files is not None:
            context.load_cert_chain(*files)
        async with door(flow, asking) as (client, _):
            await client.reply()
            await client.ask(EHLO)
            await client.ask(b"STARTTLS")
            try:
                await client.writer.start_tls(context)
            except (ssl.SSLError, ConnectionError):
                return None
            for command in (EHLO, FROM, TO, b"DATA", TEXT):
                await client.ask(command)
        tls = flow.envelopes[0].tls
        assert tls is not None
        return tls.trusted

    assert asyncio.run(talk(clients)) is True
    assert asyncio.run(talk(None)) is False
    assert asyncio.run(talk(others)) is None


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_client_that_leaves_during_the_handshake(
    certificate: Certificate, loop: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture
) -> None:
    """Its session is over, without a fault of ours in the log."""

    async def talk() -> None:
        for octets in (b"", b"\x16\x03\x01\x02\x00", b"nonsense"):
            async with NextHop() as hop, serving(hop.address, Flow(), tls=certificate.context) as server:
                async with connected(server.address) as client:
                    await client.reply()
                    await client.ask(b"EHLO client.example")
                    await client.ask(b"STARTTLS")
                    await client.send(octets)
                async with asyncio.timeout(10):
                    while server._sessions():
                        await asyncio.sleep(0.01)

    run(loop, talk())
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_client_by_its_certificate_alone(tmp_path: Path) -> None:
    """The file of authorities holds the certificates themselves, self-signed or not; the flow is told which one it was.

    Nobody else gets in with a certificate of the same authority, nor with one that is for servers alone.
    """
    authority = Authority()
    server_alone = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    signed, other = authority.host("a.example"), authority.host("b.example")
    own, serving_only = issue("c.example"), issue("d.example", extensions=[(server_alone, False)])
    (tmp_path / "pinned.pem").write_bytes(
        b"".join(one.certificate.public_bytes(Encoding.PEM) for one in (signed, own, serving_only))
    )
    asking = Certificate(*write(tmp_path, 1000), client_ca=tmp_path / "pinned.pem")

    async def talk(who: Issued) -> str | None:
        flow = Seeing()
        context = client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # in 1.3 a refusal comes with the next reading
        context.load_cert_chain(*who.write(tmp_path / "client"))
        async with door(flow, asking) as (client, _):
            await client.reply()
            await client.ask(EHLO)
            await client.ask(b"STARTTLS")
            try:
                await client.writer.start_tls(context)
            except (ssl.SSLError, ConnectionError):
                return None
            for command in (EHLO, FROM, TO, b"DATA", TEXT):
                await client.ask(command)
        tls = flow.envelopes[0].tls
        assert tls is not None and tls.trusted
        return tls.fingerprint

    for who in (signed, own):
        assert asyncio.run(talk(who)) == who.certificate.fingerprint(SHA256()).hex()
    for who in (other, serving_only):
        assert asyncio.run(talk(who)) is None


def test_the_fingerprint_is_the_one_that_openssl_prints(tmp_path: Path) -> None:
    """What stands in the settings' comment, put into a rule as it comes, is met by that certificate."""
    one = issue("a.example")
    path, _ = one.write(tmp_path)
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().rpartition("=")[2]
    rule = read_rule(f"192.0.2.10/32 require client-certificate=sha256:{printed}", domain)
    assert rule.fingerprints == (one.certificate.fingerprint(SHA256()).hex(),)


@pytest.mark.parametrize("leaves", ["in vain", "with QUIT"])
@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_client_that_never_says_goodbye_does_not_keep_the_service_from_stopping(
    certificate: Certificate, loop: Callable[[], asyncio.AbstractEventLoop], leaves: str
) -> None:
    """It was told that it is too slow, or 221, and does not close its side of TLS; nobody waits, nothing is raised."""
    wrong = []

    async def talk() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
        limits = Limits(idle=0.3)
        async with (
            NextHop() as hop,
            serving(hop.address, tls=certificate.context, limits=limits) as server,
            connected(server.address) as client,
        ):
            await client.reply()
            await client.ask(EHLO)
            await encrypt(client)
            client.writer.transport.pause_reading()
            if leaves == "with QUIT":
                await client.send(b"QUIT\r\n")
            await asyncio.sleep(0.8)
            async with asyncio.timeout(5):
                await server.close(0.1)
            assert server.connections == 0

    run(loop, talk())
    assert wrong == []
