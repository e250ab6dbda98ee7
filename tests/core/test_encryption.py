"""What is known of a session's encryption, and what the rules ask of it."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from notes2conf_milter.core.encryption import VERSIONS, Hop, Mode, Rule, Tls, TlsRules, prefix, read_rule, within, words
from notes2conf_milter.readers import domain

DOMINO, OUTSIDE = ip_address("192.0.2.10"), ip_address("2001:db8::7")
PRINT, OTHER = "0123456789abcdef" * 4, "f" * 64
COLONS = "01:23:45:67:89:AB:CD:EF:" * 3 + "01:23:45:67:89:AB:CD:EF"  # as openssl prints it
NEW = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)


def rules(*texts: str, temporary: bool = False) -> TlsRules:
    return TlsRules(tuple(read_rule(text, domain) for text in texts), temporary)


@pytest.mark.parametrize(
    ("version", "cipher", "secret"),
    [
        ("TLSv1.3", "TLS_AES_128_GCM_SHA256", True),
        ("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384", True),
        ("TLSv1.2", "DHE-RSA-AES128-SHA", True),
        ("TLSv1", "EDH-RSA-DES-CBC3-SHA", True),
        ("TLSv1.2", "ADH-AES256-SHA", True),
        ("TLSv1.2", "AECDH-AES256-SHA", True),
        ("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", True),
        ("TLSv1.2", "AES256-GCM-SHA384", False),
        ("TLSv1.2", "ECDH-RSA-AES256-SHA", False),
        ("TLSv1.2", "", False),
    ],
)
def test_forward_secrecy(version: str, cipher: str, secret: bool) -> None:
    assert Tls(version, cipher, 128).forward_secrecy is secret


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("192.0.2.0/24 off", Rule("192.0.2.0/24", Mode.OFF, ip_network("192.0.2.0/24"))),
        ("2001:db8::/32 log", Rule("2001:db8::/32", Mode.LOG, ip_network("2001:db8::/32"))),
        ("Example.ORG require", Rule("Example.ORG", Mode.REQUIRE, domain="example.org")),
        (".example.org require TLSv1.3", Rule(".example.org", Mode.REQUIRE, domain=".example.org", version="TLSv1.3")),
        (
            "authenticated require forward-secrecy TLSv1.2",
            Rule("authenticated", Mode.REQUIRE, authenticated=True, version="TLSv1.2", forward_secrecy=True),
        ),
        (
            "192.0.2.0/24 require client-certificate",
            Rule("192.0.2.0/24", Mode.REQUIRE, ip_network("192.0.2.0/24"), certificate=True),
        ),
        (
            f"* require client-certificate=SHA256:{COLONS} client-certificate=sha256:{OTHER}",
            Rule("*", Mode.REQUIRE, certificate=True, fingerprints=(PRINT, OTHER)),
        ),
        ("*  log", Rule("*", Mode.LOG)),
    ],
)
def test_a_rule_as_it_is_written(text: str, rule: Rule) -> None:
    assert read_rule(text, domain) == rule
    assert read_rule(rule.text, domain) == rule


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "require", "192.0.2.10/24 require", "192.0.2.10 require", "* maybe", "* require TLSv1.1"),
        *("* log TLSv1.2", "* off forward-secrecy", "* require TLSv1.2 TLSv1.3", "* require strong"),
        *("* require forward-secrecy forward-secrecy", "a b@c require", "a..b require", "anna@example.org require"),
        *(
            f"* log client-certificate=sha256:{PRINT}",
            f"* require client-certificate=sha1:{PRINT}",
            "* require client-certificate=",
        ),
        *(f"* require client-certificate=sha256:{PRINT[:-1]}", f"* require client-certificate=sha256:{PRINT}0"),
        *(f"* require client-certificate=sha256:{PRINT[:-1]}g", f"* require client-certificate=sha256:{COLONS[:-1]}"),
        *(f"* require client-certificate={PRINT}", f"* require sha256:{PRINT}", f"* require TLSv1.2=sha256:{PRINT}"),
        f"* require client-certificate client-certificate=sha256:{PRINT}",
        f"* require client-certificate=sha256:{PRINT} client-certificate=SHA256:{PRINT.upper()}",
    ],
)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(ValueError, match="WHO MODE"):
        read_rule(text, domain)


def test_the_first_rule_that_is_about_a_session_counts() -> None:
    table = rules("192.0.2.10/32 off", "192.0.2.0/24 require", "authenticated require", ".example.org log", "* require")

    def who(client: str, sender: bytes = b"a@example.net", authenticated: bool = False) -> str:
        rule = table.rule(ip_address(client), sender, authenticated=authenticated)
        assert rule is not None
        return f"{rule.who} {rule.mode.value}"

    assert who("192.0.2.10", authenticated=True) == "192.0.2.10/32 off"
    assert who("192.0.2.11") == "192.0.2.0/24 require"
    assert who("2001:db8::1", authenticated=True) == "authenticated require"
    assert who("2001:db8::1", b"Anna@A.Example.ORG") == ".example.org log"
    assert who("2001:db8::1", b"anna@example.org") == "* require"
    assert who("2001:db8::1", b"") == "* require"
    assert rules().rule(DOMINO, b"", authenticated=False) is None
    assert rules("192.0.2.0/24 log").rule(None, b"", authenticated=False) is None
    assert (rules("* log").requiring, table.requiring) == (False, True)


@pytest.mark.parametrize(
    ("asked", "tls", "met"),
    [
        ("", Tls("TLSv1", "AES128-SHA", 128), True),
        ("TLSv1.2", Tls("TLSv1.1", "ECDHE-RSA-AES128-SHA", 128), False),
        ("TLSv1.2", Tls("TLSv1.2", "AES128-SHA", 128), True),
        ("TLSv1.2", Tls("SSLv3", "AES128-SHA", 128), False),
        ("TLSv1.2", NEW, True),
        ("TLSv1.3", Tls("TLSv1.2", "ECDHE-RSA-AES128-SHA", 128), False),
        ("forward-secrecy", Tls("TLSv1.2", "AES128-SHA", 128), False),
        ("forward-secrecy", Tls("TLSv1.2", "ECDHE-RSA-AES128-SHA", 128), True),
        ("TLSv1.3 forward-secrecy", NEW, True),
        ("client-certificate", NEW, False),
        ("client-certificate", replace(NEW, trusted=True), True),
        ("client-certificate", replace(NEW, trusted=True, fingerprint=OTHER), True),
        (f"client-certificate=sha256:{COLONS}", replace(NEW, trusted=True, fingerprint=PRINT), True),
        (f"client-certificate=sha256:{PRINT}", replace(NEW, trusted=True, fingerprint=OTHER), False),
        (f"client-certificate=sha256:{PRINT}", replace(NEW, trusted=False, fingerprint=PRINT), False),
        (f"client-certificate=sha256:{PRINT}", replace(NEW, trusted=True), False),  # the milter door
        (f"client-certificate=sha256:{PRINT}", NEW, False),
        (
            f"client-certificate=sha256:{OTHER} client-certificate=sha256:{PRINT}",
            replace(NEW, trusted=True, fingerprint=PRINT),
            True,
        ),
        (f"TLSv1.3 client-certificate=sha256:{PRINT}", Tls("TLSv1.2", "ECDHE", 128, True, PRINT), False),
    ],
)
def test_how_strong_a_session_must_be(asked: str, tls: Tls, met: bool) -> None:
    assert read_rule(f"* require {asked}", domain).met_by(tls) is met


def test_versions_are_in_their_order() -> None:
    """And no version that is not known meets a demand for one."""
    asked = read_rule("* require TLSv1.2", domain)
    assert [asked.met_by(Tls(version, "ECDHE", 128)) for version in VERSIONS] == [False, False, True, True]


def test_the_replies() -> None:
    """RFC 3207 §4 has the first; the second says what is wanted."""
    asked = rules("* require TLSv1.2 forward-secrecy")
    assert asked.reply(asked.rules[0], encrypted=False) == "530 5.7.0 Must issue a STARTTLS command first"
    weak = "Encryption is too weak, TLSv1.2 with forward secrecy is required"
    assert asked.reply(asked.rules[0], encrypted=True) == f"550 5.7.0 {weak}"
    known = rules("* require client-certificate").rules[0]
    assert asked.reply(known, encrypted=True).endswith("weak, TLS, and a trusted client certificate, is required")
    pinned = rules(f"* require client-certificate=sha256:{PRINT}").rules[0]
    words = "weak, TLS, and a client certificate that is registered here, is required"
    assert asked.reply(pinned, encrypted=True).endswith(words)
    later = rules("* require TLSv1.2 forward-secrecy", temporary=True)
    assert later.reply(later.rules[0], encrypted=False) == "450 4.7.0 Must issue a STARTTLS command first"
    assert later.reply(later.rules[0], encrypted=True) == f"450 4.7.0 {weak}"


def test_words_for_the_log() -> None:
    assert words(NEW, Hop.SEEN) == "tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 fs=yes cert=-"
    trusted = Tls("TLSv1.2", "AES128-SHA", 128, trusted=True)
    assert words(trusted, Hop.SEEN) == "tls=TLSv1.2 cipher=AES128-SHA bits=128 fs=no cert=trusted"
    assert [words(None, hop) for hop in Hop] == ["tls=none", "tls=unknown", "tls=enforced"]


def test_a_prefix_is_no_address() -> None:
    assert [prefix(one) for one in (DOMINO, OUTSIDE, None)] == ["192.0.2.0/24", "2001:db8::/48", "-"]
    assert within(DOMINO, (ip_network("2001:db8::/32"), ip_network("192.0.2.0/24")))
    assert not within(None, (ip_network("0.0.0.0/0"),)) and not within(DOMINO, ())
