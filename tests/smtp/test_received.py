"""The trace field: what it says, and that nobody writes into it but us."""

import email
import email.policy
from email.utils import parsedate_to_datetime
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.encryption import Tls
from notes2conf_milter.smtp.received import Hop, received

NOW = 1_795_000_000.7
TLS = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)
CLIENT = ip_address("192.0.2.10")


def field(hop: Hop, recipient: bytes = b"") -> str:
    return received(hop, "gateway.example.org", "4A5B6C", recipient, NOW).decode("ascii")


def test_a_message_by_tls_for_one_recipient() -> None:
    """RFC 5321 §4.4; ESMTPS says that it came by TLS (RFC 3848)."""
    assert field(Hop("domino.example.org", CLIENT, TLS, "ESMTP"), b"bob@example.net") == (
        "Received: from domino.example.org ([192.0.2.10])\r\n"
        "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n"
        "\tby gateway.example.org (notes2conf) with ESMTPS id 4A5B6C\r\n"
        "\tfor <bob@example.net>; Wed, 18 Nov 2026 11:06:40 +0000\r\n"
    )


def test_several_recipients_do_not_learn_of_one_another() -> None:
    assert "for <" not in field(Hop("a.example", CLIENT, None, "ESMTP"))


@pytest.mark.parametrize(
    ("protocol", "tls", "utf8", "word"),
    [
        ("SMTP", None, False, "SMTP"),
        ("ESMTP", None, False, "ESMTP"),
        ("LMTP", TLS, False, "LMTPS"),
        ("ESMTP", None, True, "UTF8SMTP"),  # RFC 6531 §4.3
        ("ESMTP", TLS, True, "UTF8SMTPS"),
        ("LMTP", None, True, "UTF8LMTP"),
    ],
)
def test_the_protocol(protocol: str, tls: Tls | None, utf8: bool, word: str) -> None:
    assert f" with {word} id " in field(Hop("a.example", CLIENT, tls, protocol, utf8))


def test_addresses() -> None:
    assert "from a.example ([IPv6:2001:db8::1])" in field(Hop("a.example", ip_address("2001:db8::1"), None, "ESMTP"))
    assert "from a.example ([unknown])" in field(Hop("a.example", None, None, "ESMTP"))
    assert "from [192.0.2.10] ([192.0.2.10])" in field(Hop("[192.0.2.10]", CLIENT, None, "ESMTP"))


@given(st.text(max_size=300), st.binary(max_size=300))
def test_whatever_a_client_says_it_stays_one_field(greeting: str, recipient: bytes) -> None:
    """Printable ASCII, one field, lines that are not too long, and a date that can be read."""
    octets = received(Hop(greeting, CLIENT, TLS, "ESMTP"), "gateway.example.org", "4A5B6C", recipient, NOW)
    message = email.message_from_bytes(octets + b"\r\n", policy=email.policy.compat32)
    assert message.keys() == ["Received"]
    assert max(map(len, octets.split(b"\r\n"))) < 998
    assert octets.isascii() and octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r")
    assert parsedate_to_datetime(message["Received"].rpartition(";")[2]).timestamp() == int(NOW)
