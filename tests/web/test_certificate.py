"""TLS in the process: what browsers get, and a renewal while they are there."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from notes2conf_milter.certificate import Certificate
from notes2conf_milter.web.server import WebSettings
from tests.web.house import House, page

NOW = datetime.now(UTC)


def write(folder: Path, number: int, days: int = 30) -> tuple[Path, Path]:
    """Write a certificate with a serial number, and its key; later numbers are later files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "conf.example.org")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(number)
        .not_valid_before(NOW - timedelta(days=60))
        .not_valid_after(NOW + timedelta(days=days))
    )
    certificate = builder.sign(key, hashes.SHA256())
    paths = folder / "fullchain.pem", folder / "privkey.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for path, octets in zip(paths, (certificate.public_bytes(serialization.Encoding.PEM), private), strict=True):
        path.write_bytes(octets)
        os.utime(path, (number, number))
    return paths


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path, 1000)


@pytest.fixture
def served(house: House, files: tuple[Path, Path]) -> Iterator[tuple[House, Certificate]]:
    certificate = Certificate(*files)
    settings = WebSettings("https://conf.example.org", strict_transport=True)
    with house.serving(settings, certificate=certificate):
        yield house, certificate


def connected(house: House) -> HTTPSConnection:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = HTTPSConnection(house.address.host, house.address.port, context=context, timeout=10)
    connection.connect()
    return connection


def serial(connection: HTTPSConnection) -> int:
    assert isinstance(connection.sock, ssl.SSLSocket)
    found = connection.sock.getpeercert(binary_form=True)
    assert found is not None
    return x509.load_der_x509_certificate(found).serial_number


def status(connection: HTTPSConnection, path: str) -> tuple[int, str]:
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers.get("strict-transport-security", "")


def test_the_pages_by_tls(served: tuple[House, Certificate]) -> None:
    """With forward secrecy; browsers are told to stay with it."""
    house, _ = served
    links = house.add(page())
    with closing(connected(house)) as connection:
        assert status(connection, f"/j/{links.join}") == (200, "max-age=63072000")
        assert isinstance(connection.sock, ssl.SSLSocket)
        assert connection.sock.version() in ("TLSv1.2", "TLSv1.3")


def test_a_renewal_under_open_connections(served: tuple[House, Certificate], tmp_path: Path) -> None:
    """They stay; new ones get the new certificate. A link that leads to other files is a change, too."""
    house, certificate = served
    with closing(connected(house)) as before:
        assert serial(before) == 1000
        assert not certificate.refresh()
        write(tmp_path, 2000)
        assert certificate.refresh()
        assert not certificate.refresh()
        with closing(connected(house)) as after:
            assert serial(after) == 2000
            assert status(after, "/healthz")[0] == 200
        assert status(before, "/healthz")[0] == 200


def test_a_renewal_that_went_wrong(
    served: tuple[House, Certificate], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The certificate from before stays, which is said once for each state of the files."""
    house, certificate = served
    key = (tmp_path / "privkey.pem").read_bytes()
    write(tmp_path, 2000)
    (tmp_path / "privkey.pem").write_bytes(key)  # another one's
    for _ in range(3):
        assert not certificate.refresh()
    (tmp_path / "fullchain.pem").write_bytes(b"half of it")
    for _ in range(3):
        assert not certificate.refresh()
    (tmp_path / "fullchain.pem").unlink()
    for _ in range(3):
        assert not certificate.refresh()
    assert len(caplog.records) == 3
    with closing(connected(house)) as connection:
        assert serial(connection) == 1000
    write(tmp_path, 3000)
    assert certificate.refresh()
    with closing(connected(house)) as connection:
        assert serial(connection) == 3000


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused(served: tuple[House, Certificate], version: ssl.TLSVersion) -> None:
    house, _ = served
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection((house.address.host, house.address.port), timeout=10) as connection,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(connection)


def test_plain_http_gets_nothing(served: tuple[House, Certificate]) -> None:
    house, _ = served
    with socket.create_connection((house.address.host, house.address.port), timeout=10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"ok" not in connection.recv(100)
