"""`tls check` against a real Postfix: what the audit's receiver test shows, and each thing that can be wrong with it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.live.postfix import Listener, Postfix, directory
from tests.live.sink import Sink
from tests.tlscheck.authority import NOW, Issued, issue
from tests.tlscheck.place import DOMAIN, MX, Place

GOOD, WARNING, CRITICAL = 0, 1, 2


@contextmanager
def receiving(place: Place, issued: Issued | None, **options: str) -> Iterator[Postfix]:
    """Let a Postfix with this certificate be the domain's MX."""
    with directory() as folder, Sink() as sink:
        if issued is not None:
            certificate, key = issued.write(folder / "tls")
            key.chmod(0o600)
            files = {"smtpd_tls_cert_file": str(certificate), "smtpd_tls_key_file": str(key)}
            options = {"smtpd_tls_security_level": "may", **files, **options}
        with Postfix(folder, [Listener(options=options)], sink.address) as postfix:
            place.port = postfix.ports[0]
            place.dns.zone[f"{DOMAIN} MX"] = [f"10 {MX}."]
            place.dns.zone[f"{MX} A"] = ["127.0.0.1"]
            yield postfix


def test_a_healthy_postfix(place: Place) -> None:
    """Every stage; nothing in its queue, and in its log no warning but that of the second connection, which offers old TLS."""
    issued = place.authority.host(MX)
    with receiving(place, issued, smtpd_tls_protocols=">=TLSv1.2") as postfix:
        place.tlsa(3, 1, 1, issued)
        done = place.check()
        log, warnings = postfix.log(), postfix.warnings()
        assert postfix.queue_is_empty()
    assert done.exit_code == GOOD, done.output
    for stage in (
        "<-- 220 mx.example.org ESMTP Postfix",
        "<-- 250-STARTTLS",
        "--> STARTTLS",
        "<-- 220 2.0.0 Ready to start TLS",
        "TLS: TLSv1.3, TLS_AES_256_GCM_SHA384, 256 bits",
        "certificate 2 of 2: CN=Test Intermediate",
        "chain: valid",
        "host name: mx.example.test is one of",
        "DANE: 3 1 1 ",
        "--> MAIL FROM:<>",
        "<-- 250 2.1.0 Ok",
        "<-- 221 2.0.0 Bye",
        "TLS 1.1 or older is taken: no",
    ):
        assert stage in done.output, stage
    assert log.count(": connect from ") == 2 + 1  # the harness asked for the greeting, too
    assert len(warnings) == 1 and "unsupported protocol" in warnings[0]


@pytest.mark.parametrize(
    ("options", "code", "status"),
    [
        ({"smtpd_tls_mandatory_protocols": "TLSv1", "smtpd_tls_protocols": "TLSv1"}, "old-tls", CRITICAL),
        ({}, "old-tls-too", WARNING),  # what Postfix 3.7 does when nothing is set
        ({"smtpd_tls_protocols": "TLSv1.2"}, "good-tls", WARNING),
        ({"smtpd_tls_protocols": "TLSv1.3"}, "good-tls", WARNING),
        ({"smtpd_discard_ehlo_keywords": "starttls"}, "no-starttls", CRITICAL),
        ({"smtpd_tls_security_level": "none"}, "no-starttls", CRITICAL),
        ({"smtpd_tls_key_file": "/dev/null"}, "starttls-refused", CRITICAL),  # 454 TLS not available
    ],
    ids=["1.0", "defaults", "1.2", "1.3", "stripped", "off", "key-lost"],
)
def test_versions_of_tls(place: Place, options: dict[str, str], code: str, status: int) -> None:
    """A warning is for DANE, where nothing else is wrong."""
    if options.get("smtpd_tls_protocols") == "TLSv1":
        options = {**options, "tls_high_cipherlist": "ALL:@SECLEVEL=0", "tls_medium_cipherlist": "ALL:@SECLEVEL=0"}
    with receiving(place, place.authority.host(MX), **options):
        found, levels = place.findings()
    assert code in levels and found == status, levels


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("self-signed", "no proof of identity: the certificate is self-signed"),
        ("wrong-name", "no proof of identity: the certificate is for another name"),
        ("incomplete", "it lacks the certificate of CN=Test Intermediate"),
        ("expired", "no proof of identity: the certificate has expired"),
        ("wildcard", "identity proved. The chain is valid"),
    ],
)
def test_certificates(place: Place, kind: str, sentence: str) -> None:
    """The audit's one finding, and its neighbours."""
    issued = {
        "self-signed": issue(MX, names=(MX,)),
        "wrong-name": place.authority.host("mx.example.org"),
        "incomplete": place.authority.host(MX, send=False),
        "expired": place.authority.host(MX, begins=NOW - timedelta(days=9), ends=NOW - timedelta(days=1)),
        "wildcard": place.authority.host(MX, names=("*.example.test",)),
    }[kind]
    with receiving(place, issued):
        done = place.check()
    assert done.exit_code == (WARNING if kind == "wildcard" else CRITICAL) and sentence in done.output


class Stripping:
    """A host in between that takes STARTTLS out of what the server says; a context manager."""

    def __init__(self, address: str, port: int) -> None:
        self._port = port
        self._listener = socket.create_server((address, port))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Stripping":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        with source, target:
            while octets := source.recv(4096):
                target.sendall(octets.replace(b"250-STARTTLS\r\n", b""))


def test_stripped_on_the_way(place: Place) -> None:
    """Postfix offers it, somebody takes it out: with DANE in the DNS that is seen."""
    issued = place.authority.host(MX)
    with receiving(place, issued):
        place.tlsa(3, 1, 1, issued)
        address = place.address()
        place.dns.zone[f"{MX} A"] = [address]
        with Stripping(address, place.port):
            status, levels = place.findings()
    assert (status, levels["no-starttls"], levels["dane-in-the-clear"]) == (CRITICAL, "critical", "critical")


def test_a_postfix_with_postscreen_like_delay(place: Place, tmp_path: Path) -> None:
    """Who greets late is waited for, and nothing is said before the greeting."""
    issued = place.authority.host(MX)
    options = {"smtpd_client_restrictions": "sleep 2, reject_unauth_pipelining, permit", "smtpd_delay_reject": "no"}
    with receiving(place, issued, **options) as postfix:
        status, levels = place.findings()
        log = postfix.log()
    assert (status, levels["good-certificate"]) == (WARNING, "good")
    assert "reject" not in log
