"""Links of their own for each attendee, with our Postfix recipe: each recipient's copy apart, through the SMTP door."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import gateway
from tests.live.gateway import ANNA, BOB, CARLA, HOUSE, OUTSIDE, Meeting, Service, invitation
from tests.live.postfix import Listener, Postfix, directory, free_ports, send
from tests.live.sink import Delivery, Sink
from tests.live.tls import certificate, context, send_by_tls

BASE_URL = "https://conf.example.org"
RECIPE = Path(__file__).parents[2] / "config" / "postfix" / "attendee-links.cf"


def services(ports: dict[str, int]) -> list[str]:
    """The services of the recipe at other ports, without chroot."""
    text = "\n".join(line for line in RECIPE.read_text("utf-8").splitlines() if line and not line.startswith("#"))
    text = re.sub(r"( +- +)y( )", r"\1n\2", text)
    for address, port in ports.items():
        text = text.replace(address, f"127.0.0.1:{port}").replace(
            f"[127.0.0.1]:{address.partition(':')[2]}", f"[127.0.0.1]:{port}"
        )
    return re.split(r"\n(?=\S)", text)


class Site:
    """Postfix before and behind the door, and the mailboxes."""

    def __init__(self, place: Path, sink: Sink) -> None:
        self.sink = sink
        self.state = place / "state"
        self.domino, self.door, behind = free_ports(3)
        ports = {"192.0.2.5:26": self.domino, "127.0.0.1:10025": self.door, "127.0.0.1:10026": behind}
        settings = {"notes2conf-door_destination_recipient_limit": "1"}
        certificate(place)
        settings |= {"smtpd_tls_cert_file": f"{place}/cert.pem", "smtpd_tls_key_file": f"{place}/key.pem"}
        self.postfix = Postfix(place, [Listener()], sink.address, settings, services(ports))
        file = place / "own.toml"
        file.write_text(
            'links = "attendee"\n[smtp]\nxforward_peers = ["127.0.0.1/32"]\n[tls]\nfilters_enforce = true\n'
        )
        more = ["--config", str(file), "--smtp", f"127.0.0.1:{self.door}", "--next-hop", f"127.0.0.1:{behind}"]
        self.mail: Service = gateway.mail(self.state, base_url=BASE_URL, start_mail=behind, exempt=(), more=more)

    def send(self, message: bytes, *recipients: str, client: dict[str, str] = HOUSE) -> dict[str, Delivery]:
        """Send from Domino to all of them at once; return what each mailbox got."""
        self.sink.clear()
        assert send(self.domino, ANNA, list(recipients), message, client).code == 530, "the recipe enforces TLS"
        assert send_by_tls(self.domino, ANNA, recipients, message, client, context())[0] == 250
        self.postfix.wait_until_idle()
        return {recipient.decode(): one for one in self.sink.messages for recipient in one.recipients}


@pytest.fixture
def site() -> Iterator[Site]:
    with directory() as place, Sink() as sink:
        made = Site(place, sink)
        with made.mail, made.postfix:
            yield made
            assert made.postfix.warnings() == []


def test_each_has_an_own_link_until_uninvited(site: Site) -> None:
    """One message for two: two links, the same in an update; Bob is uninvited: his is dead, Carla's is not."""
    meeting = Meeting.new()
    arrived = site.send(invitation(meeting), BOB, CARLA)
    tokens = {who: gateway.the_token(arrived[who].octets, BASE_URL) for who in (BOB, CARLA)}
    assert len(set(tokens.values())) == 2
    assert gateway.tokens(arrived[ANNA].octets, BASE_URL, "s")
    later = site.send(invitation(meeting, sequence=1), CARLA, BOB)
    assert {who: gateway.the_token(later[who].octets, BASE_URL) for who in (BOB, CARLA)} == tokens
    assert gateway.rows(site.state) == (1, 4)
    off = invitation(meeting, sequence=2).replace(b"REQUEST", b"CANCEL")
    off = re.sub(rb"ATTENDEE[^\r\n]*(?:\r\n[ \t][^\r\n]*)*carla@example\.org\r\n", b"", off)
    site.send(off, BOB)
    assert site.mail.answers()[-1].reason == "attendees-cancelled"
    assert gateway.rows(site.state) == (1, 3)


def test_the_client_is_the_one_that_postfix_had_it_from(site: Site) -> None:
    """Law 9 through a filter: Domino's address counts; queue ids of the first Postfix stand in our log."""
    assert site.send(invitation(Meeting.new()), BOB).keys() == {BOB, ANNA}
    answer = site.mail.answers()[-1]
    assert (answer.door, answer.verdict, answer.reason) == ("smtp", "rewrite", "link-added")
    assert answer.queue_id in site.postfix.log()
    assert send(site.domino, ANNA, [BOB], invitation(Meeting.new()), OUTSIDE).code // 100 == 5


def test_without_xforward_nobody_is_known(site: Site) -> None:
    """A message that reaches the door by another way passes as it is, though it comes from loopback."""
    message = invitation(Meeting.new())
    assert send(site.door, ANNA, [BOB], message).code == 250
    site.postfix.wait_until_idle()
    assert site.mail.answers()[-1].reason == "client-not-allowed"
