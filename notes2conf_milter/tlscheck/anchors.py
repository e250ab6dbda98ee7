"""The authorities that are trusted: the system's, or those of one file.

In:  a file with certificates as PEM, or None. Out: certificates, and a TLS context for HTTPS with the same ones.
Fails: OSError; NoAuthorities when a file holds none.
"""

import ssl
from pathlib import Path

from cryptography import x509

from notes2conf_milter.tlscheck.certificates import load


class NoAuthorities(Exception):
    """A file that was named holds no certificate."""


def context(file: Path | None) -> ssl.SSLContext:
    """Return a context that verifies certificates and names by these authorities and no others (RFC 8461 §3.3)."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if file is None:
        made.load_default_certs()
        return made
    try:
        made.load_verify_locations(cadata=file.read_text("ascii"))
    except (ssl.SSLError, ValueError):  # UnicodeDecodeError is a ValueError, and so is what an empty file raises
        raise NoAuthorities(f"{file}: no certificates in PEM") from None
    return made


def anchors(made: ssl.SSLContext) -> tuple[x509.Certificate, ...]:
    """Return the authorities of a context.

    A folder of the system's (`/etc/ssl/certs`) is not listed by OpenSSL; where there is no file beside it, it is read here.
    """
    found = made.get_ca_certs(binary_form=True)
    if not found and (folder := ssl.get_default_verify_paths().capath):
        found = [ssl.PEM_cert_to_DER_cert(one.read_text("ascii")) for one in sorted(Path(folder).glob("*.0"))]
    return tuple(one for one in map(load, found) if one is not None)
