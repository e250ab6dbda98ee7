"""The certificate for TLS in the process itself, where no proxy speaks it for us.

In:  two PEM files. Out: an SSL context whose certificate is that of the files, also when they change (a renewal).
Fails: CertificateError from the first loading; later files that do not fit together leave the certificate as it was, which is
said once for each state of the files.
"""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

INTERVAL = 30.0  # seconds between two looks

_log = logging.getLogger("notes2conf")
_Mark = tuple[tuple[int, int, int], ...]


class CertificateError(Exception):
    """The files cannot be used; the text says which and why."""


class Certificate:
    """A certificate (with its chain) and its key. context: for a server; TLS 1.2 and newer, with forward secrecy."""

    def __init__(
        self, certificate: Path, key: Path, protocols: Sequence[str] = (), client_ca: Path | None = None
    ) -> None:
        """Load both; raises CertificateError.

        protocols: what ALPN agrees on (RFC 7301). client_ca: clients are asked for a certificate; one that is not in this file
        and that no authority in it signed ends the handshake, none is no failure.
        """
        self._certificate, self._key = certificate, key
        self.context = _context()
        if protocols:
            self.context.set_alpn_protocols(list(protocols))
        if client_ca is not None:
            self._ask_for_certificates(client_ca)
        self._seen = self._mark()
        self._load(self.context)

    def _ask_for_certificates(self, authorities: Path) -> None:
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # what is in the file needs nobody to vouch for it
        try:
            self.context.load_verify_locations(authorities)
        except ssl.SSLError:
            raise CertificateError(f"{authorities}: holds no certificate in PEM") from None
        except OSError as error:
            raise CertificateError(f"{authorities}: cannot be read ({error.strerror})") from None

    def refresh(self) -> bool:
        """Load the files again when they have changed; say whether a new certificate is in use. Open connections stay."""
        mark = self._mark()
        if mark == self._seen:
            return False
        self._seen = mark
        try:
            self._load(_context())  # first elsewhere: what does not fit together must not spoil the one in use
            self._load(self.context)
        except CertificateError as error:
            _log.error("%s; the certificate from before stays", error)
            return False
        _log.info("a new certificate is in use")
        return True

    async def keep(self) -> None:
        """Look once in a while, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            self.refresh()

    def over(self, now: int) -> bool:
        """Say whether the certificate is over. now: seconds since 1970 UTC. Raises CertificateError."""
        try:
            found = x509.load_pem_x509_certificates(self._certificate.read_bytes())
        except (OSError, ValueError):
            raise CertificateError(f"{self._certificate}: holds no certificate in PEM") from None
        return found[0].not_valid_after_utc <= datetime.fromtimestamp(now, UTC)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._certificate, self._key, password="")
        except FileNotFoundError:
            raise CertificateError(f"{self._certificate} or {self._key}: not there") from None
        except ssl.SSLError as error:
            why = error.reason or "no certificate and key in PEM"
            allowed = "a certificate with its chain and the key that belongs to it, without a password"
            raise CertificateError(f"{self._certificate}, {self._key}: {why}; allowed are {allowed}") from None
        except OSError as error:
            raise CertificateError(f"{self._certificate} or {self._key}: cannot be read ({error.strerror})") from None

    def _mark(self) -> _Mark | None:
        """Return what changes with the files, also when a link leads to another one."""
        try:
            found = [path.stat() for path in (self._certificate, self._key)]
        except OSError:
            return None
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # forward secrecy; BSI TR-02102-2
    return context
