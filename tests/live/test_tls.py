"""TLS behind a real Postfix: what a rule refuses at MAIL FROM, what gets a link, and what the log says of each session."""

import re
import smtplib
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.live import gateway
from tests.live.gateway import ANNA, BOB, HOUSE, OUTSIDE, WITHOUT_MILTERS, Meeting, Service, invitation
from tests.live.postfix import Listener, Postfix, directory, free_ports
from tests.live.sink import Sink
from tests.live.tls import certificate, context, send_by_tls

BASE_URL = "https://conf.example.org"
RULES = (
    '["192.0.2.77/32 off", "192.0.2.0/25 require TLSv1.2 forward-secrecy", "strict.example require TLSv1.3", "* log"]'
)
CARD = {"ADDR": "192.0.2.200"}  # of the house, named by no rule
SAID = re.compile(r"verdict=(\S+) reason=(\S+)(?: repairs=\S+)?(?: (tls=.*))?$", re.MULTILINE)
NO_TLS = (530, b"5.7.0 Must issue a STARTTLS command first")
TOO_WEAK = (550, b"5.7.0 Encryption is too weak, TLSv1.2 with forward secrecy is required")


@dataclass
class Site:
    """A Postfix that offers STARTTLS, whatever is wished for, and the gateway behind it."""

    postfix: Postfix
    sink: Sink
    mail: Service

    def send(
        self, message: bytes, client: Mapping[str, str] = HOUSE, sender: str = ANNA, tls: ssl.SSLContext | None = None
    ) -> tuple[int, bytes]:
        """Send one message; return the reply to MAIL FROM if that is none of success, else to the final dot."""
        return send_by_tls(self.postfix.ports[0], sender, [BOB], message, client, tls)

    def said(self, since: int = 0) -> list[tuple[str, str, str]]:
        """Verdict, reason and session of each message in the log."""
        return SAID.findall(self.mail.log())[since:]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = tmp_path_factory.mktemp("tls") / "notes2conf.toml"
    settings.write_text(f'[tls]\nrules = {RULES}\nexempt_networks = ["192.0.2.201/32", "192.0.2.77/32"]\n')
    with directory() as place, Sink() as sink:
        certificate(place)
        options = {
            "smtpd_milters": f"unix:{place}/milter",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": f"{place}/cert.pem",
            "smtpd_tls_key_file": f"{place}/key.pem",
            "smtpd_tls_protocols": ">=TLSv1",
            "smtpd_tls_ciphers": "low",
            "tls_low_cipherlist": "ALL:@SECLEVEL=0",
        }
        postfix = Postfix(place, [Listener(options=options), Listener(options=WITHOUT_MILTERS)], sink.address)
        mail = gateway.mail(
            place / "state",
            base_url=BASE_URL,
            milter=[f"unix:{place}/milter"],
            start_mail=postfix.ports[1],
            exempt=(),
            more=("--config", str(settings)),
        )
        with mail, postfix:
            yield Site(postfix, sink, mail)
            assert postfix.warnings() == []


@pytest.mark.parametrize(
    ("tls", "reply"),
    [
        (None, NO_TLS),
        (context(ssl.TLSVersion.TLSv1), TOO_WEAK),
        (context(ssl.TLSVersion.TLSv1_1), TOO_WEAK),
        (context(ssl.TLSVersion.TLSv1_2, "AES128-SHA:@SECLEVEL=0"), TOO_WEAK),
        (context(ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256"), None),
        (context(ssl.TLSVersion.TLSv1_3), None),
    ],
    ids=["none", "1.0", "1.1", "1.2-static", "1.2", "1.3"],
)
def test_what_a_rule_requires(site: Site, tls: ssl.SSLContext | None, reply: tuple[int, bytes] | None) -> None:
    """Refused at MAIL FROM, and nothing of the message comes; else the invitation gets its link."""
    site.sink.clear()
    before = len(site.said())
    answer = site.send(invitation(Meeting.new()), tls=tls)
    ((verdict, reason, session),) = site.said(before)
    assert session.endswith(" peer=192.0.2.0/25")
    if reply is None:
        assert answer[0] == 250 and (verdict, reason) == ("rewrite", "link-added") and " fs=yes " in session
        site.sink.wait_for(2)
        return
    assert answer == reply and verdict == "refuse"
    assert reason == ("tls-missing" if tls is None else "tls-too-weak")
    assert site.sink.messages == []
    assert session.startswith("tls=none" if tls is None else "tls=TLSv1")


def test_a_sender_domain(site: Site) -> None:
    tls12, tls13 = (context(version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3))
    plain = b"Subject: x\r\n\r\nbody\r\n"
    assert site.send(plain, OUTSIDE, "bert@strict.example") == NO_TLS
    assert site.send(plain, OUTSIDE, "bert@strict.example", tls12)[0] == 550
    assert site.send(plain, OUTSIDE, "bert@strict.example", tls13)[0] == 250
    assert site.send(plain, OUTSIDE, "bert@else.example")[0] == 250, "a public MX takes what comes"
    verdicts = [
        (verdict, session.partition(" ")[0], session.rpartition(" ")[2]) for verdict, _, session in site.said()[-4:]
    ]
    assert verdicts == [
        ("refuse", "tls=none", "peer=strict.example"),
        ("refuse", "tls=TLSv1.2", "peer=strict.example"),
        ("pass", "tls=TLSv1.3", "peer=strict.example"),
        ("pass", "tls=none", "peer=198.51.100.0/24"),
    ]


@pytest.mark.parametrize(
    ("address", "tls", "answer"),
    [
        ("192.0.2.200", None, ("pass", "not-encrypted", "tls=none peer=192.0.2.0/24")),
        ("192.0.2.201", None, ("rewrite", "link-added", "tls=none peer=192.0.2.0/24")),
        ("192.0.2.77", None, ("rewrite", "link-added", "")),
        ("198.51.100.7", context(ssl.TLSVersion.TLSv1_3), ("pass", "client-not-allowed", None)),
    ],
    ids=["plain", "exempt", "exempt-and-not-logged", "outside"],
)
def test_a_link_needs_an_encrypted_way(
    site: Site, address: str, tls: ssl.SSLContext | None, answer: tuple[str, str, str | None]
) -> None:
    """Without one the invitation goes on as it came. TLS makes nobody an own organizer."""
    before = len(site.said())
    assert site.send(invitation(Meeting.new()), {"ADDR": address}, tls=tls)[0] == 250
    ((verdict, reason, session),) = site.said(before)
    assert (verdict, reason) == answer[:2] and (answer[2] is None or session == answer[2])


def test_one_session_after_the_other(site: Site) -> None:
    """What was known of a session does not outlive it: of the same client, or the same smtpd."""
    tls = context(ssl.TLSVersion.TLSv1_3)
    for _ in range(3):
        assert site.send(invitation(Meeting.new()), CARD, tls=tls)[0] == 250
        assert site.said()[-1][:2] == ("rewrite", "link-added")
        assert site.send(invitation(Meeting.new()), CARD)[0] == 250
        assert site.said()[-1][:2] == ("pass", "not-encrypted")


def test_the_log_names_no_address(site: Site) -> None:
    log = site.mail.log()
    assert not [word for word in ("192.0.2.200", "198.51.100.7", "@example", "client.example") if word in log]


def test_our_own_door_speaks_tls() -> None:
    """STARTTLS, and TLS from the first octet on: with either there is a link; a rule refuses what comes with neither."""
    with directory() as place, Sink() as sink:
        certificate(place)
        postfix = Postfix(place, [Listener(options=WITHOUT_MILTERS)], sink.address)
        door, implicit = free_ports(2)
        settings = place / "door.toml"
        settings.write_text(
            f'[smtp]\ntls_certificate = "{place}/cert.pem"\ntls_key = "{place}/key.pem"\nlisten_tls = "127.0.0.1:{implicit}"\n'
            '[tls]\nrules = ["strict.example require"]\n'
        )
        more = ("--smtp", f"127.0.0.1:{door}", "--next-hop", f"127.0.0.1:{postfix.ports[0]}", "--config", str(settings))
        allow = ("127.0.0.0/8",)
        start_mail = postfix.ports[0]
        mail = gateway.mail(
            place / "state", base_url=BASE_URL, start_mail=start_mail, allow=allow, exempt=(), more=more
        )
        with mail, postfix:
            for port, tls, first in ((door, None, False), (door, context(), False), (implicit, context(), True)):
                kind = smtplib.SMTP_SSL if first else smtplib.SMTP
                given = {"context": tls} if first else {}
                with kind("127.0.0.1", port, "client.example", timeout=30, **given) as client:
                    client.ehlo()
                    assert client.has_extn("starttls") is not first
                    if tls is not None and not first:
                        client.starttls(context=tls)
                    client.sendmail(ANNA, [BOB], invitation(Meeting.new()))
            with smtplib.SMTP("127.0.0.1", door, "client.example", timeout=30) as client:
                client.ehlo()
                assert client.mail("bert@strict.example") == NO_TLS
                client.starttls(context=context())
                client.ehlo()
                assert client.mail("bert@strict.example")[0] == 250
            said = SAID.findall(mail.log())
            assert [one[:2] for one in said] == [
                ("pass", "not-encrypted"),
                ("rewrite", "link-added"),
                ("rewrite", "link-added"),
                ("refuse", "tls-missing"),
            ]
            assert [session.split()[0] for _, _, session in said] == [
                "tls=none",
                "tls=TLSv1.3",
                "tls=TLSv1.3",
                "tls=none",
            ]
