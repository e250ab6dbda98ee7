"""DKIM behind a real Postfix, through both doors: what arrives verifies, by OpenDKIM, Mail::DKIM and dkimpy."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from notes2conf_milter.dkim.keys import SigningKey
from tests.live import gateway
from tests.live.gateway import ANNA, BOB, HOUSE, WITHOUT_MILTERS, Meeting, Service, golden, invitation
from tests.live.postfix import Listener, Postfix, directory, free_ports, send
from tests.live.sink import Delivery, Sink
from tests.nameserver import NameServer
from tests.signatures import FIELD, key, keys, mail_dkim, opendkim, pem, records, sign, verified

BASE_URL = "https://conf.example.org"
OURS = keys()
SERVER, ESP = key(selector="server"), key("esp.example")
KNOWN = records(*OURS, SERVER, ESP)
DOORS = ("milter", "smtp")


@dataclass
class Site:
    """A Postfix: listener 0 with the milter, 1 by way of the SMTP door, 2 without the gateway; and the mailboxes beyond."""

    place: Path
    postfix: Postfix
    sink: Sink
    names: NameServer
    smtp_port: int

    def mail(self, signing: Sequence[SigningKey] = (), more: str = "") -> Service:
        """The mail service with both doors and these keys."""
        folder = self.place / token_hex(4)
        folder.mkdir()
        lines = []
        for one in signing:
            path = folder / f"{one.name.selector}.pem"
            path.write_bytes(pem(one))
            path.chmod(0o600)
            lines.append(f'"{one.name}:{path}"')
        resolver = self.names.address.netloc
        settings = folder / "notes2conf.toml"
        settings.write_text(f'[dkim]\nkeys = [{", ".join(lines)}]\nresolver = "{resolver}"\n{more}', "utf-8")
        options = ["--smtp", f"127.0.0.1:{self.smtp_port}", "--next-hop", self.sink.address, "--config", str(settings)]
        return gateway.mail(
            folder / "state",
            base_url=BASE_URL,
            milter=[f"unix:{self.place}/milter"],
            start_mail=self.postfix.ports[2],
            allow=("192.0.2.0/24", "127.0.0.0/8"),
            more=options,
        )

    def through(self, door: str, message: bytes, sender: str = ANNA) -> tuple[bytes, list[Delivery]]:
        """Send a message by a door; return what arrived at BOB's without Postfix's own field, and all that arrived."""
        self.sink.clear()
        listener = DOORS.index(door) if door in DOORS else 2
        reply = send(self.postfix.ports[listener], sender, [BOB], message, HOUSE)
        assert reply.code == 250, reply
        self.sink.wait_for(1)
        self.postfix.wait_until_idle()
        found = self.sink.messages
        (arrived,) = (one for one in found if one.recipients == (BOB.encode(),))
        return arrived.octets, found


def below_received(octets: bytes) -> bytes:
    """A message without the Received field that Postfix made."""
    return re.sub(rb"\AReceived: from [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", b"", octets, count=1)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    (port,) = free_ports(1)
    with directory() as place, Sink() as sink, NameServer(KNOWN) as names:
        listeners = [
            Listener(options={"smtpd_milters": f"unix:{place}/milter"}),
            Listener(options={**WITHOUT_MILTERS, "content_filter": f"smtp:[127.0.0.1]:{port}"}),
            Listener(options=WITHOUT_MILTERS),
        ]
        with Postfix(place, listeners, sink.address) as postfix:
            yield Site(place, postfix, sink, names, port)


@pytest.mark.parametrize("door", DOORS)
def test_what_arrives_verifies(site: Site, door: str, tmp_path: Path) -> None:
    """Invitation and start mail, in place of the server's own signature; a foreign one stays where it was."""
    message = sign(sign(sign(invitation(Meeting.new()), ESP), SERVER), SERVER)
    with site.mail(OURS) as mail:
        arrived, found = site.through(door, message)
        (start_mail,) = gateway.start_mails(found)
        (answer,) = mail.answers()
        assert (answer.verdict, answer.reason) == ("rewrite", "link-added")
        assert "dkim=example.org:r,example.org:e" in mail.log()
    assert verified(arrived, KNOWN) == [("example.org", True)] * 2 + [("esp.example", False)]
    assert opendkim(arrived, KNOWN, tmp_path) == [True, True, False]
    assert mail_dkim(arrived, KNOWN)[1:] == [
        "dkim example.org rsa-sha256 pass",
        "dkim example.org ed25519-sha256 invalid",  # which Mail::DKIM does not know
        "dkim esp.example rsa-sha256 fail",
    ]
    assert verified(start_mail.octets, KNOWN) == [("example.org", True)] * 2
    assert opendkim(start_mail.octets, KNOWN, tmp_path) == [True, True]
    relayed, _ = site.through("neither", arrived)
    assert verified(relayed, KNOWN) == verified(arrived, KNOWN)


@pytest.mark.parametrize("door", DOORS)
def test_a_valid_signature_that_nothing_replaces_arrives_valid(site: Site, door: str, tmp_path: Path) -> None:
    """The invitation goes on octet for octet, without a link, and its organizer is told; DNS was asked."""
    message = sign(invitation(Meeting.new()), SERVER)
    with site.mail() as mail:
        arrived, _ = site.through(door, message)
        (answer,) = mail.answers()
        told = site.sink.wait_for(2)
    assert (answer.verdict, answer.reason) == ("pass", "dkim-signature-kept")
    assert below_received(arrived) == message
    assert verified(arrived, KNOWN) == [("example.org", True)]
    assert opendkim(arrived, KNOWN, tmp_path) == [True]
    (letter,) = gateway.start_mails(told)
    assert "Message-ID: <skipped." in letter.octets.decode("ascii")
    assert SERVER.record_name in site.names.asked


@pytest.mark.parametrize("door", DOORS)
def test_the_signatures_of_all_other_mail_stay_valid(site: Site, door: str) -> None:
    """A reply, mail of others, plain mail: signed before, valid behind, whatever keys the gateway has."""
    with site.mail(OURS) as mail:
        for name in ("058", "060", "002"):
            message = golden(name)
            if name == "002":
                message = message.replace(b"REQUEST", b"PUBLISH")
            signed = sign(sign(message, ESP), SERVER)
            arrived, _ = site.through(door, signed)
            assert verified(arrived, KNOWN) == [("example.org", True), ("esp.example", True)], name
        assert {answer.verdict for answer in mail.answers()} == {"pass"}


@pytest.mark.parametrize("door", DOORS)
def test_a_forged_organizer_gets_no_signature(site: Site, door: str) -> None:
    """Another sender of the house, for a meeting that nobody knows: no link, no signature."""
    with site.mail(OURS) as mail:
        arrived, _ = site.through(door, invitation(Meeting.new()), "eve@example.org")
        assert mail.answers()[0].reason == "sender-not-organizer"
    assert FIELD.findall(arrived) == []


def test_a_milter_behind_ours_signs(site: Site, tmp_path: Path) -> None:
    """`dkim.later_signer`: nothing is signed here, and what the link broke goes, so that the next signature is the only one."""
    message = sign(sign(invitation(Meeting.new()), ESP), SERVER)
    with site.mail(more="later_signer = true\nremove_broken = true\n"):
        arrived, _ = site.through("milter", message)
    later = sign(below_received(arrived), key(selector="later"))
    known = {**KNOWN, **records(key(selector="later"))}
    assert verified(later, known) == [("example.org", True), ("esp.example", False)]


@pytest.mark.parametrize("door", DOORS)
def test_a_customer_whose_dns_is_not_ours(site: Site, door: str) -> None:
    """`dkim.hosted`: the ARC set arrives valid, and says that the customer's signature was."""
    message = sign(invitation(Meeting.new()), SERVER)
    with site.mail([ESP], 'hosted = "esp.example"\n') as mail:
        arrived, _ = site.through(door, message)
        assert mail.answers()[0].reason == "link-added"
    assert mail_dkim(arrived, KNOWN) == [
        "arc pass",
        "dkim esp.example rsa-sha256 pass",
        "dkim example.org rsa-sha256 fail",
    ]
    assert b"dkim=pass header.d=example.org header.s=server;" in arrived
