"""A TLS handshake on a connection that is open already, as either side of STARTTLS.

In:  a stream's writer, a context. Out: nothing; the stream is encrypted from then on.
Fails: OSError (ssl.SSLError is one) and TimeoutError, with a writer that can still be closed.
"""

import asyncio
import ssl


async def start_tls(
    writer: asyncio.StreamWriter, context: ssl.SSLContext, seconds: float, server_hostname: str | None = None
) -> None:
    """Shake hands within `seconds`. server_hostname: of the server that we are a client of; sent as SNI."""
    before = writer.transport
    await writer.start_tls(context, server_hostname=server_hostname, ssl_handshake_timeout=seconds)
    if writer.transport is None:  # asyncio: the other end left during the handshake, and nothing was raised
        writer._transport = before
        raise ConnectionResetError("the connection was closed during the handshake")
