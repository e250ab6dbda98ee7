"""STARTTLS for the live tests: a certificate, clients that speak one version alone, and how they send."""

import smtplib
import ssl
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path


def send_by_tls(
    port: int,
    sender: str,
    recipients: Sequence[str],
    message: bytes,
    xclient: Mapping[str, str],
    tls: ssl.SSLContext | None,
) -> tuple[int, bytes]:
    """Send one message; return the reply to MAIL FROM or RCPT TO that is none of success, else to the final dot."""
    with smtplib.SMTP("127.0.0.1", port, "client.example", timeout=30) as connection:
        connection.ehlo()
        if tls is not None:
            connection.starttls(context=tls)
            connection.ehlo()
        attributes = " ".join(f"{name}={value}" for name, value in xclient.items())
        assert connection.docmd("XCLIENT", attributes)[0] == 220
        connection.ehlo()
        reply = connection.mail(sender)
        if reply[0] != 250:
            return reply
        for recipient in recipients:
            reply = connection.rcpt(recipient)
            if reply[0] != 250:
                return reply
        return connection.data(message)


def context(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, ciphers: str = "ALL:@SECLEVEL=0") -> ssl.SSLContext:
    """A client that speaks one version alone, and asks for nobody's certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.set_ciphers(ciphers)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # 1.0 and 1.1 are what is to be refused
        made.minimum_version = made.maximum_version = version
    return made


def certificate(place: Path) -> None:
    """An RSA key, with which a session can be without forward secrecy."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mx.example.org"]
    files = ["-keyout", str(place / "key.pem"), "-out", str(place / "cert.pem")]
    subprocess.run([*command, *files], check=True, capture_output=True)
