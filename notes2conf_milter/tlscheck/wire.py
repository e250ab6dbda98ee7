"""A connection to an SMTP server, first in the clear, then under TLS on the same octets.

In:  an address and a port, octets, a TLS context. Out: octets, and what the handshake agreed on.
Fails: OSError, TimeoutError; `PlainText` when what comes instead of TLS is no TLS; ssl.SSLError for a failed handshake.

TLS runs over memory BIOs, so that what came before it is in our hands, and asyncio's own reader keeps nothing back.
"""

import asyncio
import contextlib
import ssl
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

_PIECE = 65536
_RECORDS = range(20, 25)  # the content types of TLS records (RFC 8446 §5.1)

T = TypeVar("T")


class PlainText(Exception):
    """Octets that are no TLS record came where TLS was to begin."""

    def __init__(self, octets: bytes) -> None:
        super().__init__("plain text instead of TLS")
        self.octets = octets


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a handshake agreed on; certificates as DER, the host's own first, as it presented them."""

    version: str
    cipher: str
    bits: int
    certificates: tuple[bytes, ...]


class Wire:
    """One TCP connection; `close` ends it, whatever state it is in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._begun = False  # something came since TLS was to begin

    @classmethod
    async def connect(cls, address: str, port: int) -> "Wire":
        """Connect to an IP address."""
        return cls(*await asyncio.open_connection(address, port))

    async def send(self, octets: bytes) -> None:
        """Send octets, encrypted once TLS is there."""
        if self._tls is None:
            self._writer.write(octets)
            await self._writer.drain()
            return
        tls = self._tls
        await self._pump(lambda: tls.write(octets))

    async def receive(self) -> bytes:
        """Return what comes next, b"" at the end."""
        if self._tls is None:
            return await self._reader.read(_PIECE)
        tls = self._tls
        try:
            return await self._pump(lambda: tls.read(_PIECE))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def start_tls(self, context: ssl.SSLContext, name: str) -> Agreed:
        """Shake hands, with `name` as SNI (RFC 7672 §8.1), and return what was agreed on."""
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        await self._pump(self._tls.do_handshake)
        cipher, _, bits = self._tls.cipher() or ("?", "", 0)
        return Agreed(self._tls.version() or "?", cipher, bits, presented(self._tls))

    @property
    def local(self) -> str:
        """Our own address, as an address literal of RFC 5321 §4.1.3."""
        address = self._writer.get_extra_info("sockname")[0]
        return f"[IPv6:{address}]" if ":" in address else f"[{address}]"

    async def close(self) -> None:
        """End the connection without waiting for the other end."""
        self._writer.close()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()

    async def _pump(self, call: Callable[[], T]) -> T:
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    await self._flush()  # the alert
                raise
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if octets := self._out.read():
            self._writer.write(octets)
            await self._writer.drain()

    async def _fill(self) -> None:
        octets = await self._reader.read(_PIECE)
        if octets and not self._begun and octets[0] not in _RECORDS:
            raise PlainText(octets)
        self._begun = True
        if octets:
            self._in.write(octets)
        else:
            self._in.write_eof()


def presented(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the certificates that the other end presented, as DER.

    Public from Python 3.13 on; before, the same method of the C object gives certificates instead of octets. Without either,
    the first one alone.
    """
    public = getattr(tls, "get_unverified_chain", None)
    if public is not None:
        return tuple(public() or ())
    inner = getattr(getattr(tls, "_sslobj", None), "get_unverified_chain", None)
    if inner is not None:
        return tuple(ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in inner() or ())
    own = tls.getpeercert(binary_form=True)
    return (own,) if own else ()


def context(*, old: bool = False) -> ssl.SSLContext:
    """Return a context that takes whatever a server offers and verifies nothing: this is a test, no mail goes over it.

    old: offer TLS 1.1 and older alone.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_ciphers("DEFAULT:@SECLEVEL=0")  # what OpenSSL prefers comes first, what is old at the end
    made.options |= 0x4  # SSL_OP_LEGACY_SERVER_CONNECT, named from Python 3.12 on: servers without RFC 5746
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = ssl.TLSVersion.TLSv1
        if old:
            made.maximum_version = ssl.TLSVersion.TLSv1_1
    return made
