"""A connection, in the clear and under TLS."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from notes2conf_milter.tlscheck.wire import Agreed, PlainText, Wire, context
from tests.tlscheck.authority import Authority

AUTHORITY = Authority()
HOST = AUTHORITY.host("mx.example.test")


def talk(serve: Callable[[socket.socket], None], client: Callable[[Wire], object]) -> object:
    """Let a server and a client talk; return what the client does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        async def connect() -> object:
            wire = await Wire.connect("127.0.0.1", listener.getsockname()[1])
            try:
                return await client(wire)  # type: ignore[misc]
            finally:
                await wire.close()

        try:
            return asyncio.run(connect())
        finally:
            thread.join(5)


@pytest.mark.parametrize(("version", "shown"), [("TLSv1", "TLSv1"), ("TLSv1_2", "TLSv1.2"), ("TLSv1_3", "TLSv1.3")])
def test_tls_and_every_certificate(version: str, shown: str) -> None:
    """Whatever the version, the host's whole chain is seen, though nobody verifies it; then octets go both ways."""

    def serve(connection: socket.socket) -> None:
        under = HOST.context(version, version).wrap_socket(connection, server_side=True)
        under.sendall(under.recv(100).upper())
        with suppress(ssl.SSLError, OSError):
            under.unwrap()

    async def client(wire: Wire) -> tuple[Agreed, bytes, bytes]:
        agreed = await wire.start_tls(context(), "mx.example.test")
        await wire.send(b"ehlo\r\n")
        return agreed, await wire.receive(), await wire.receive()

    agreed, said, end = talk(serve, client)  # type: ignore[misc]
    assert (agreed.version, list(agreed.certificates)) == (shown, HOST.ders)
    assert (said, end) == (b"EHLO\r\n", b"")


def test_old_versions_alone() -> None:
    """For the second connection."""

    def serve(connection: socket.socket) -> None:
        with pytest.raises(ssl.SSLError):
            HOST.context().wrap_socket(connection, server_side=True)

    async def client(wire: Wire) -> None:
        await wire.start_tls(context(old=True), "mx.example.test")

    with pytest.raises(ssl.SSLError):
        talk(serve, client)


def test_plain_text_where_tls_was_to_begin() -> None:
    """Handed over, to be shown."""

    async def client(wire: Wire) -> None:
        await wire.start_tls(context(), "mx.example.test")

    with pytest.raises(PlainText) as caught:
        talk(lambda connection: connection.sendall(b"250 ok\r\n"), client)
    assert caught.value.octets == b"250 ok\r\n"


def test_the_end() -> None:
    """Hanging up is b"" in the clear, and an SSL error in a handshake."""

    async def read(wire: Wire) -> bytes:
        return await wire.receive()

    assert talk(lambda connection: connection.shutdown(socket.SHUT_WR), read) == b""

    async def handshake(wire: Wire) -> None:
        await wire.start_tls(context(), "mx.example.test")

    with pytest.raises((ssl.SSLError, ConnectionError)):
        talk(lambda connection: connection.shutdown(socket.SHUT_RDWR), handshake)


def test_our_own_address() -> None:
    """As an address literal, for EHLO."""

    async def local(wire: Wire) -> str:
        return wire.local

    assert talk(lambda connection: None, local) == "[127.0.0.1]"
