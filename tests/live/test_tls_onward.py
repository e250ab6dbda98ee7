"""What carries a link goes on by TLS alone, with our Postfix recipe: else it waits, and nothing of it is sent in clear.

The house's Postfix has the recipe, a content_filter (another Postfix, as Proxmox's scan) and a mailbox of its own; the world
is a Postfix with three addresses: STARTTLS, none, and one that fails. Recipients are at address literals: DNS is not asked.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import pytest

from notes2conf_milter import postconf
from notes2conf_milter.onwardcheck import Seen, heeds_the_mark, look
from tests.invitations import calendar, encoded
from tests.live import gateway
from tests.live.gateway import ANNA, HOUSE, Meeting, invitation, until
from tests.live.postfix import Listener, Postfix, directory, free_ports, send
from tests.live.recipe import lines, services, settings
from tests.live.sink import Delivery, Sink
from tests.live.tls import certificate
from tests.signatures import keys, pem, records, verified

BASE_URL = "https://conf.example.org"
OURS = keys()
BY_TLS, IN_CLEAR, BROKEN = "127.0.0.2", "127.0.0.3", "127.0.0.4"  # hosts of the world
SAFE, OPEN, STUCK = f"bob@[{BY_TLS}]", f"carla@[{IN_CLEAR}]", f"emil@[{BROKEN}]"
NOBODY = f"nobody@[{BY_TLS}]"
LOCAL = "dora@int.example.org"
FILTERED = b"by scan.example.org (Postfix)"
PLAIN = b"From: anna@example.org\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"
MAILBOX = "virtual unix - n n - - virtual"


class Site:
    """The house, its filter and the world. domino: the host of the world that has the organizer's mailbox."""

    def __init__(self, place: Path, sink: Sink, domino: str, more: dict[str, str]) -> None:
        self.sink, self.state = sink, place / "state"
        self.mailboxes = place / "mailboxes"
        self.mailboxes.mkdir()
        os.chown(self.mailboxes, 65534, 65534)
        certificate(place)
        world, scan, again, *inner = free_ports(7)
        tls = {"smtpd_tls_cert_file": f"{place}/cert.pem", "smtpd_tls_key_file": f"{place}/key.pem"}
        tls |= {"smtpd_tls_received_header": "yes"}
        tls |= {"smtpd_recipient_restrictions": f"check_recipient_access inline:{{ {NOBODY}=REJECT }}, permit"}
        levels = {
            BY_TLS: "smtpd_tls_security_level=may",
            IN_CLEAR: "smtpd_tls_security_level=none",
            BROKEN: "smtpd_tls_security_level=may -o smtpd_tls_protocols=<=TLSv1.1",
        }
        hosts = [f"{host}:{world} inet n - n - - smtpd -o {level}" for host, level in levels.items()]
        self.world = Postfix(self.folder(place, "world"), [Listener()], sink.address, tls, hosts)
        name = {"myhostname": "scan.example.org"}
        self.scan = Postfix(self.folder(place, "scan"), [Listener(scan)], f"127.0.0.1:{again}", name)
        ports = dict(zip(("10030", "10031", "10032", "10033"), map(str, inner), strict=True))
        main = {
            "content_filter": f"smtp:[127.0.0.1]:{scan}",
            "smtp_tls_security_level": "may",
            "smtp_tcp_port": str(world),
            "virtual_mailbox_domains": "int.example.org",
            "virtual_mailbox_maps": f"inline:{{ {LOCAL}=dora/ }}",
            "virtual_mailbox_base": str(self.mailboxes),
            "virtual_uid_maps": "static:65534",
            "virtual_gid_maps": "static:65534",
            "virtual_mailbox_limit": "0",
        }
        main |= settings(lines("tls-onward-main.cf", ports)) | more
        listeners = [
            Listener(options={"smtpd_milters": f"unix:{place}/milter"}),
            Listener(options={"smtpd_milters": "", "receive_override_options": "no_milters"}),
            Listener(again, {"content_filter": "", "receive_override_options": "no_milters,no_address_mappings"}),
        ]
        master = [MAILBOX, *services(lines("tls-onward-master.cf", ports | {"192.0.2.10": domino}))]
        self.postfix = Postfix(self.folder(place, "house"), listeners, "127.0.0.1:9", main, master)
        own = place / "own.toml"
        names = []
        for one in OURS:
            path = place / f"{one.name.selector}.pem"
            path.write_bytes(pem(one))
            path.chmod(0o600)
            names.append(f'"{one.name}:{path}"')
        own.write_text(f"[tls]\nmark_links = true\n[dkim]\nkeys = [{', '.join(names)}]\n")
        self.mail = gateway.mail(
            self.state,
            base_url=BASE_URL,
            milter=[f"unix:{place}/milter"],
            start_mail=self.postfix.ports[1],
            more=["--config", str(own)],
        )

    @staticmethod
    def folder(place: Path, name: str) -> Path:
        made = place / name
        made.mkdir()
        made.chmod(0o755)
        return made

    def send(self, message: bytes, *recipients: str) -> None:
        """Send from Domino to all of them at once."""
        reply = send(self.postfix.ports[0], ANNA, recipients, message, HOUSE)
        assert reply.code == 250, reply

    def arrived(self, *recipients: str) -> dict[str, Delivery]:
        """Return what each mailbox of the world got, once these have theirs: one message each, scanned once."""
        self.sink.wait_for(len(recipients))
        self.world.wait_until_idle()
        found = {one.decode(): message for message in self.sink.messages for one in message.recipients}
        assert sorted(found) == sorted(recipients)
        assert len(self.sink.messages) == len(recipients)
        assert all(message.octets.count(FILTERED) == 1 for message in found.values())
        return found

    def local(self) -> list[bytes]:
        """Return what is in the local mailbox."""
        return [one.read_bytes() for one in self.mailboxes.glob("dora/new/*")]

    def deferred(self, recipient: str) -> bool:
        """Say whether a message to somebody has been kept because there was no TLS."""
        return len(self.deferrals(recipient)) > 0

    def deferrals(self, recipient: str) -> set[str]:
        """Return the queue ids of messages to somebody that wait because there was no TLS, or none that works."""
        why = r"(?:TLS is required, but was not offered by host|Cannot start TLS: handshake failure)"
        said = (
            rf"notes2conf-tls/smtp\[\d+\]: (\w+): to=<{re.escape(recipient)}>, .*dsn=4\.7\.\d, status=deferred \({why}"
        )
        return set(re.findall(said, self.postfix.log()))

    def waiting(self) -> int:
        """Return how many messages are in the queue of the house."""
        return len(self.postfix.queued())


@contextmanager
def site_with(domino: str = BY_TLS, more: dict[str, str] | None = None) -> Iterator[Site]:
    with directory() as place, Sink() as sink:
        made = Site(place, sink, domino, more or {})
        with made.mail, made.world, made.scan, made.postfix:
            yield made
            for one in (made.postfix, made.scan, made.world):
                assert [line for line in one.warnings() if "TLS library problem" not in line] == []


@pytest.fixture(scope="module")
def house() -> Iterator[Site]:
    with site_with() as made:
        yield made


@pytest.fixture
def site(house: Site) -> Iterator[Site]:
    house.sink.clear()
    yield house
    house.postfix.empty_queue()  # what waits for a TLS that never comes


def by_tls(delivery: Delivery) -> bool:
    """Say whether the world's host had the message by TLS: it writes so into its Received field."""
    return b"(using TLSv1.3" in delivery.octets


def test_config_check_sees_no_way_past_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests here show of mail, `config check` sees in the configuration."""
    monkeypatch.setenv("MAIL_CONFIG", str(site.postfix.configuration))
    found = postconf.read()
    assert found is not None
    assert (look(found), heeds_the_mark(found)) == (Seen(), True)


def test_with_starttls_it_goes(site: Site) -> None:
    """Invitation and start mail, by TLS, their signatures whole; the filter has seen each once."""
    site.send(invitation(Meeting.new()), SAFE)
    found = site.arrived(SAFE, ANNA)
    assert gateway.tokens(found[SAFE].octets, BASE_URL)
    assert gateway.tokens(found[ANNA].octets, BASE_URL, "s")
    for one in found.values():
        assert by_tls(one)
        assert verified(one.octets, records(*OURS)) == [("example.org", True)] * 2
    site.postfix.wait_until_idle()


def test_without_starttls_it_waits(site: Site) -> None:
    """One recipient gets it by TLS, one at home; for the third it waits, and not even MAIL FROM is said to that host."""
    before = len(site.local())
    site.send(PLAIN, OPEN)  # so that there is a session in clear that could be used again
    site.arrived(OPEN)
    site.sink.clear()
    at = len(site.world.log())
    site.send(invitation(Meeting.new()), SAFE, OPEN, LOCAL)
    site.arrived(SAFE, ANNA)
    until(lambda: site.deferred(OPEN))
    until(lambda: len(site.local()) == before + 1)
    newest = next(one for one in site.local() if gateway.tokens(one, BASE_URL))
    assert newest.count(FILTERED) == 1
    site.postfix.flush()
    site.arrived(SAFE, ANNA)
    assert site.waiting() == 1
    said = re.findall(r"disconnect from \S*\[127\.0\.0\.1\] (.*)", site.world.log()[at:])
    assert any("starttls=1" in one for one in said)
    assert all("starttls=1" in one for one in said if "mail=" in one)
    assert any("mail=" not in one for one in said), "the host without STARTTLS was asked"


def test_a_tls_that_fails_is_none(site: Site) -> None:
    """Where STARTTLS is offered and the handshake fails, other mail goes in clear (may); a link waits."""
    site.send(invitation(Meeting.new()), STUCK)
    site.arrived(ANNA)
    until(lambda: site.deferred(STUCK))
    site.sink.clear()
    site.send(PLAIN, STUCK)
    assert not by_tls(site.arrived(STUCK)[STUCK])
    assert site.waiting() == 1


def test_the_mark_is_seen_where_the_link_is_not(site: Site) -> None:
    """A calendar in base64: no table of Postfix finds a link in it."""
    day = gateway.soon().strftime("%Y%m%dT").encode()
    octets = calendar(b"SUMMARY:Lunch", uid=token_hex(8).encode()).replace(b"20260312T", day)
    header = (
        b"From: anna@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\r\n"
    )
    message = header + b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(octets, b"base64") + b"\r\n"
    site.send(message, OPEN)
    until(lambda: site.deferred(OPEN))
    assert list(site.arrived(ANNA)) == [ANNA]
    site.send(message, SAFE)
    linked = site.arrived(ANNA, SAFE)[SAFE].octets
    assert b"conf.example.org" not in linked
    assert linked.count(b"\r\nX-Notes2conf-TLS: required\r\n") == 1


def test_mail_without_a_link_goes_as_ever(site: Site) -> None:
    """In clear where there is no TLS; scanned once; nothing of it is changed."""
    site.send(PLAIN, SAFE, OPEN, LOCAL)
    found = site.arrived(SAFE, OPEN)
    assert (by_tls(found[SAFE]), by_tls(found[OPEN])) == (True, False)
    assert all(one.octets.endswith(PLAIN) for one in found.values())
    until(lambda: any(one.endswith(PLAIN.replace(b"\r\n", b"\n")) for one in site.local()))
    site.postfix.wait_until_idle()


@pytest.mark.parametrize("quoting", ["attached", "quoted"])
def test_a_link_that_is_passed_on(site: Site, quoting: str) -> None:
    """An invitation as an attachment, and a link that somebody quotes in a text, wait as well."""
    link = f"> {BASE_URL}/j/{'a' * 32}\r\n".encode()
    inner = b"X-Notes2conf-TLS: required\r\nSubject: y\r\n\r\nhidden\r\n"
    message = (
        PLAIN + link if quoting == "quoted" else b"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n" + inner
    )
    site.postfix.log_file.write_text("")
    site.send(message, OPEN)
    until(lambda: site.deferred(OPEN))
    assert site.sink.messages == []


def test_a_weaker_policy_of_the_house_does_not_count() -> None:
    """Tables of main.cf that allow a host less are not asked for what carries a link; nor is a relayhost there."""
    weak = {"smtp_tls_policy_maps": f"inline:{{ {{ [{IN_CLEAR}] = none }} {{ [{BY_TLS}] = none }} }}"}
    with site_with(more=weak | {"relayhost": "[127.0.0.9]"}) as site:
        site.send(invitation(Meeting.new()), SAFE, OPEN)
        assert all(by_tls(one) for one in site.arrived(SAFE, ANNA).values())
        until(lambda: site.deferred(OPEN))
        site.postfix.empty_queue()


def test_a_start_mail_waits_for_tls_too() -> None:
    """To a Domino without STARTTLS it is not sent; other mail to it is."""
    with site_with(IN_CLEAR) as site:
        site.send(invitation(Meeting.new()), SAFE)
        site.arrived(SAFE)
        until(lambda: site.deferred(ANNA))
        site.sink.clear()
        site.send(PLAIN, ANNA)
        assert not by_tls(site.arrived(ANNA)[ANNA])
        assert site.waiting() == 1
        site.postfix.empty_queue()


def test_a_bounce_gives_the_link_back_by_tls_alone() -> None:
    """The invitation is in it, and so is the link: to a Domino without STARTTLS it waits as the start mail does."""
    with site_with(IN_CLEAR) as site:
        site.send(invitation(Meeting.new()), NOBODY)
        until(lambda: len(site.deferrals(ANNA)) == 2)
        assert site.sink.messages == []
        site.postfix.empty_queue()
    with site_with() as site:
        site.send(invitation(Meeting.new()), NOBODY)
        site.postfix.wait_until_idle()
        (bounce,) = (one for one in site.sink.messages if b"Undelivered Mail" in one.octets)
        assert gateway.tokens(bounce.octets, BASE_URL)
        assert by_tls(bounce)
