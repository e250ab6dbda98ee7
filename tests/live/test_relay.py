"""The SMTP door as a filter of a real Postfix, with our files for it, and as a relay to a smart host (a Postfix, too)."""

import re
import smtplib
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from tests.golden import cases
from tests.live import gateway
from tests.live.dovecot import Dovecot
from tests.live.gateway import (
    ANNA,
    BOB,
    HOUSE,
    WITHOUT_MILTERS,
    Meeting,
    Service,
    assert_discreet,
    golden,
    invitation,
    start_mails,
    until,
    without_received,
)
from tests.live.postfix import Client, Listener, Postfix, directory, free_ports
from tests.live.sink import Delivery, Sink
from tests.live.tls import certificate, context
from tests.tlscheck.authority import Authority, Issued, issue
from tests.tlscheck.nameserver import Nameserver

BASE_URL = "https://conf.example.org"
RECIPES = Path(__file__).parents[2] / "config" / "postfix"
DOMINO = HOUSE["ADDR"]
FILTERS = ["content-filter-smtp", "content-filter-lmtp", "proxy-filter"]
LMTP = "content-filter-lmtp"
MOST = 100  # recipients of a message


# --- a filter of Postfix ---


def recipe(name: str, ports: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Return the services of one of our files, without chroot, and its texts of notes2conf.toml; both at other ports."""
    text = (RECIPES / f"{name}.cf").read_text("utf-8")
    for address, port in ports.items():
        host, _, old = address.partition(":")
        assert address in text
        text = text.replace(address, f"127.0.0.1:{port}").replace(f"[{host}]:{old}", f"[127.0.0.1]:{port}")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    services = re.split(r"\n(?=\S)", re.sub(r"( +- +)y( )", r"\1n\2", "\n".join(lines)))
    blocks = re.findall(r"(?:^#     .*\n|^#\n)*^#     \[.*\n(?:^#     .*\n)*", text, re.MULTILINE)
    return services, [re.sub(r"^#( {5})?", "", block, flags=re.MULTILINE) for block in blocks]


class Filtered:
    """Domino's listener, the door and the listener behind it, as one of our files has them; and one without all that."""

    def __init__(self, place: Path, sink: Sink, name: str) -> None:
        self.name, self.sink, self.state = name, sink, place / "state"
        self.domino, self.door, self.behind = free_ports(3)
        ports = {"192.0.2.5:26": self.domino, "127.0.0.1:10025": self.door, "127.0.0.1:10026": self.behind}
        certificate(place)
        tls = {"smtpd_tls_cert_file": f"{place}/cert.pem", "smtpd_tls_key_file": f"{place}/key.pem"}
        services, self._texts = recipe(name, ports)
        plain = Listener(options={**WITHOUT_MILTERS, "smtpd_tls_security_level": "may"})
        self.postfix = Postfix(place, [plain], sink.address, tls, services)
        self.place = place
        self.mail = self._service("own", self._texts[0])

    def _service(self, name: str, text: str) -> Service:
        settings = self.place / f"{name}.toml"
        settings.write_text(f"{text}[limits]\nrecipients = {MOST}\n")
        more = ["--config", str(settings)]
        return gateway.mail(self.state, base_url=BASE_URL, allow=(), exempt=(), more=more, log_name=name)

    @contextmanager
    def store_behind(self, port: int) -> Iterator[None]:
        """Have an LMTP server in place of the listener behind the door, as the file says."""
        text = with_lmtp_server(*self._texts).replace("127.0.0.1:24", f"127.0.0.1:{port}")
        self.mail.stop()
        with self._service("store", text):
            yield
        self.mail.start()

    @contextmanager
    def client(self, port: int) -> Iterator[smtplib.SMTP]:
        """A session of Domino's, encrypted."""
        with smtplib.SMTP("127.0.0.1", port, "domino.example.org", timeout=60) as client:
            client.starttls(context=context())
            client.ehlo()
            assert client.docmd("XCLIENT", f"ADDR={DOMINO}")[0] == 220
            client.ehlo()
            yield client

    def send(self, message: bytes, recipients: Sequence[str] = (BOB,)) -> int:
        """Send one message as Domino; return the code of the reply to its final dot, or of a refusal of MAIL."""
        with self.client(self.domino) as client:
            return deliver(client, ANNA, recipients, message)

    def statuses(self, recipient: str) -> list[str]:
        """What Postfix logged about each attempt to hand a recipient's mail to the door."""
        relay = rf"to=<{re.escape(recipient)}>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:{self.door}, .* (status=.*)"
        return re.findall(relay, self.postfix.log())


def with_lmtp_server(text: str, other: str) -> str:
    """Return the settings of content-filter-lmtp.cf for an LMTP server: the second text's lines in place of the first's."""
    for section, lines in re.findall(r"^(\[\w+\])\n((?:\w.*\n)+)", other, re.MULTILINE):
        for line in lines.splitlines():
            text = re.sub(rf"^{line.split()[0]} = .*\n", "", text, flags=re.MULTILINE)
        text = text.replace(f"{section}\n", section + "\n" + lines) if section in text else f"{text}{section}\n{lines}"
    return text


def deliver(client: smtplib.SMTP, sender: str, recipients: Sequence[str], message: bytes) -> int:
    """Do one transaction; return the code of the reply to the final dot, or of the first refusal."""
    for command in (f"MAIL FROM:<{sender}> BODY=8BITMIME", *(f"RCPT TO:<{one}>" for one in recipients)):
        code = client.docmd(command)[0]
        if code != 250:
            return code
    return client.data(message)[0]


@contextmanager
def filtered(name: str) -> Iterator[Filtered]:
    with directory() as place, Sink() as sink:
        made = Filtered(place, sink, name)
        with made.mail, made.postfix:
            for port in (made.domino, made.behind):
                greets(port)
            yield made
            of_proxy = re.compile(r"warning: (connect to proxy filter|proxy \S+ rejected)")  # as the tests want it
            assert [line for line in made.postfix.warnings() if of_proxy.search(line) is None] == []


@pytest.fixture(scope="module", params=FILTERS)
def site(request: pytest.FixtureRequest) -> Iterator[Filtered]:
    with filtered(request.param) as made:
        yield made


def greets(port: int) -> None:
    def tried() -> bool:
        try:
            with Client(port):
                return True
        except OSError:
            return False

    until(tried)


def test_a_filter_adds_the_link(site: Filtered) -> None:
    """And hears of Domino, and says so to the listener behind it."""
    site.sink.clear()
    meeting = Meeting.new()
    assert site.send(message := invitation(meeting)) == 250
    site.postfix.wait_until_idle()
    (start_mail,) = start_mails(site.sink.messages)
    (linked,) = (one for one in site.sink.messages if one.sender == ANNA.encode())
    assert once_more(linked) == gateway.rewrite(site.state, BASE_URL, message) != message
    assert gateway.the_token(linked.octets, BASE_URL) == gateway.the_token(start_mail.octets, BASE_URL)
    assert f"orig_client=unknown[{DOMINO}]" in named(site.postfix.log(), "postfix/notes2conf/smtpd")
    if site.name != "proxy-filter":  # where there is no queue id yet
        assert site.mail.answers()[-1].queue_id in named(site.postfix.log(), "postfix/domino/smtpd")
    assert_discreet(site.mail.log().partition(": listening on ")[2], *meeting.secrets)


def test_a_filter_leaves_all_else_as_it_was(site: Filtered) -> None:
    """Each golden message, envelope included, is what this Postfix makes of it without us, unless it has the link it should."""
    messages = {f"{number}@example.net": case for number, case in enumerate(cases())}

    def send_all(port: int) -> dict[bytes, Delivery]:
        site.sink.clear()
        with site.client(port) as client:
            for recipient, case in messages.items():
                assert deliver(client, case.facts["sender"], [recipient, BOB], case.message) == 250
        site.sink.wait_for(len(messages))
        site.postfix.wait_until_idle()
        found = {one.recipients[0]: one for one in site.sink.messages if len(one.recipients) == 2}
        assert len(found) == len(messages)
        return found

    by_door, straight = send_all(site.domino), send_all(site.postfix.ports[0])
    for recipient, without in straight.items():
        delivery, plain = by_door[recipient], without_received(without)
        assert (delivery.sender, delivery.recipients) == (without.sender, without.recipients)
        if (arrived := once_more(delivery)) != plain:  # a meeting that is not over
            assert arrived == gateway.rewrite(site.state, BASE_URL, plain)
    assert sum(answer.verdict == "pass" for answer in site.mail.answers()) > 90


def test_the_parameters_of_the_envelope_go_through(site: Filtered) -> None:
    """SMTPUTF8, 8BITMIME and DSN, to the end of the way."""
    site.sink.clear()
    with site.client(site.domino) as client:
        client.command_encoding = "utf-8"
        for command in (
            "MAIL FROM:<änna@example.org> SMTPUTF8 BODY=8BITMIME RET=HDRS ENVID=abc+3D",
            "RCPT TO:<bøb@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@example.net",
        ):
            assert client.docmd(command)[0] == 250
        assert client.data("Subject: ü\r\nFrom: änna@example.org\r\n\r\nHällo.\r\n".encode())[0] == 250
    site.sink.wait_for(1)
    (found,) = site.sink._hop.messages
    assert (found.sender.decode(), [one.decode() for one in found.recipients]) == (
        "änna@example.org",
        ["bøb@example.net"],
    )
    assert {b"BODY=8BITMIME", b"ENVID=abc+3D", b"RET=HDRS", b"SMTPUTF8"} <= set(found.mail_parameters.split())
    assert set(found.rcpt_parameters[0].split()) == {b"NOTIFY=SUCCESS,FAILURE", b"ORCPT=rfc822;bob@example.net"}


def test_while_the_gateway_is_away_mail_waits(site: Filtered) -> None:
    """In Postfix's queue, so that Domino does not notice; with a filter before the queue, at Domino."""
    site.sink.clear()
    before = site.postfix.log().count("Connection refused")
    message = invitation(Meeting.new())
    site.mail.stop()
    code = site.send(message)
    assert code // 100 == (4 if site.name == "proxy-filter" else 2)
    until(lambda: site.postfix.log().count("Connection refused") > before)
    assert site.sink.messages == []
    site.mail.start()
    if code == 250:
        site.postfix.flush()
    else:
        assert site.send(message) == 250
    site.postfix.wait_until_idle()
    assert len(site.sink.messages) == 2 and len(start_mails(site.sink.messages)) == 1


@pytest.mark.parametrize("site", ["proxy-filter"], indirect=True)
def test_before_the_queue_a_refusal_is_the_next_hops(site: Filtered) -> None:
    """Of the message, or, as here by the door itself, of a recipient. Nothing bounces: Domino has the answer."""
    site.sink.clear()
    checks = site.postfix.place / "checks"
    checks.write_text("/^Subject: no/ REJECT No such words\n")
    site.postfix.reload({"header_checks": f"regexp:{checks}"})
    message = b"From: anna@example.org\r\nSubject: %b\r\n\r\nHello.\r\n"
    with site.client(site.domino) as client:
        assert deliver(client, ANNA, [BOB], message % b"no") == 550
        assert client.mail(ANNA)[0] == 250
        codes = [client.rcpt(f"{number}@example.net")[0] for number in range(MOST + 1)]
        assert (codes, client.data(message % b"yes")[0]) == ([250] * MOST + [452], 250)
    site.postfix.wait_until_idle()
    assert sum(len(one.recipients) for one in site.sink.messages) == MOST


def once_more(delivery: Delivery) -> bytes:
    """Without the fields of both listeners."""
    return without_received(Delivery(delivery.sender, delivery.recipients, without_received(delivery)))


def named(log: str, name: str) -> str:
    return "\n".join(line for line in log.splitlines() if f" {name}[" in line)


@pytest.mark.parametrize("site", [LMTP], indirect=True)
def test_what_an_lmtp_server_refuses_for_one_is_refused_for_that_one(site: Filtered) -> None:
    """After the final dot: one has the message, one's copy bounces, one's waits; nobody's comes twice."""
    site.sink.clear()
    emil, frida, gerd = users = [f"{name}@example.net" for name in ("emil", "frida", "gerd")]
    with (
        directory() as place,
        Dovecot(place, users, full=[frida], closed=[gerd]) as store,
        site.store_behind(store.port),
    ):
        assert site.send(invitation(Meeting.new()), users) == 250
        until(lambda: len(site.statuses(gerd)) > 0)
        store.open_up()
        site.postfix.flush()
        site.postfix.wait_until_idle()
        (of_emil,), (of_frida,), (first, *_, last) = map(site.statuses, users)
        assert of_emil.startswith(f"status=sent (250 2.0.0 <{emil}> ")
        assert of_frida.startswith(f"status=bounced (host 127.0.0.1[127.0.0.1] said: 552 5.2.2 <{frida}> ")
        assert first.startswith("status=deferred (host 127.0.0.1[127.0.0.1] said: 451 4.2.0 ")
        assert last.startswith(f"status=sent (250 2.0.0 <{gerd}> ")
        delivered = {user: store.mailbox(user) for user in users}
        assert {user: len(found) for user, found in delivered.items()} == {emil: 1, frida: 0, gerd: 1}
        assert gateway.the_token(delivered[emil][0], BASE_URL) == gateway.the_token(delivered[gerd][0], BASE_URL)
        (bounce,) = (one for one in site.sink.messages if b"Undelivered Mail" in one.octets)
        assert b"552 5.2.2" in bounce.octets and gerd.encode() not in bounce.octets.partition(b"message/rfc822")[0]
        assert any(gateway.tokens(one.octets, BASE_URL, "s") for one in start_mails(site.sink.messages))


# --- a relay to a smart host ---

SMART = "smart.example.net"
AUTHORITY = Authority()
CERTIFICATES = {"known": AUTHORITY.host(SMART), "unknown": issue(SMART, names=(SMART,)), "none": None}


class FromElsewhere(smtplib.SMTP):
    """A client that a proxy on this machine speaks for."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made = super()._get_socket(host, port, timeout)
        made.sendall(f"PROXY TCP4 {DOMINO} 192.0.2.5 50000 25\r\n".encode())
        return made


class SmartHost:
    """A Postfix that takes mail by TLS alone, with each of the certificates at a port of its own, and once without TLS."""

    def __init__(self, place: Path, sink: Sink) -> None:
        self.place, self.sink = place, sink
        listeners = []
        for name, issued in CERTIFICATES.items():
            options = {"smtpd_tls_security_level": "none"}
            if issued is not None:
                certificates, key = issued.write(place / name)
                options = {"smtpd_tls_security_level": "encrypt", "smtpd_tls_received_header": "yes"}
                options |= {"smtpd_tls_cert_file": str(certificates), "smtpd_tls_key_file": str(key)}
            listeners.append(Listener(options=options))
        self.postfix = Postfix(place, listeners, sink.address, {"myhostname": SMART})
        self.ports = dict(zip(CERTIFICATES, self.postfix.ports, strict=True))
        (place / "authority.pem").write_bytes(AUTHORITY.root.pem)
        certificate(place)

    @contextmanager
    def relay(self, which: str, level: str, dns: Nameserver | None = None, name: str = SMART) -> Iterator["Relay"]:
        """The mail service with this next hop."""
        port = free_ports(1)[0]
        lines = {
            "listen": f"127.0.0.1:{port}",
            "next_hop": f"127.0.0.1:{self.ports[which]}",
            "next_hop_tls": level,
            "next_hop_name": name,
            "next_hop_ca": f"{self.place}/authority.pem",
            "tls_certificate": f"{self.place}/cert.pem",
            "tls_key": f"{self.place}/key.pem",
            "hostname": "relay.example.org",
        }
        if dns is not None:
            lines["next_hop_resolver"] = "{}:{}".format(*dns.address)
        state = self.place / f"state-{port}"
        settings = state.with_suffix(".toml")
        settings.write_text(
            f'[smtp]\npeers = ["{DOMINO}/32"]\nproxy_peers = ["127.0.0.1/32"]\n'
            + "".join(f'{key} = "{value}"\n' for key, value in lines.items())
        )
        allow = (f"{DOMINO}/32",)
        with gateway.mail(state, base_url=BASE_URL, allow=allow, exempt=(), more=["--config", str(settings)]) as mail:
            yield Relay(mail, port, state)


class Relay:
    """The door, for Domino."""

    def __init__(self, mail: Service, port: int, state: Path) -> None:
        self.mail, self.port, self.state = mail, port, state

    @contextmanager
    def client(self) -> Iterator[smtplib.SMTP]:
        """Domino's session, encrypted."""
        with FromElsewhere("127.0.0.1", self.port, "domino.example.org", timeout=60) as client:
            client.starttls(context=context())
            client.ehlo()
            yield client

    def send(self, message: bytes) -> int:
        with self.client() as client:
            return deliver(client, ANNA, [BOB], message)


@pytest.fixture(scope="module")
def smart() -> Iterator[SmartHost]:
    with directory() as place, Sink() as sink:
        made = SmartHost(place, sink)
        with made.postfix:
            yield made
            assert made.postfix.warnings() == []


def tlsa(smart: SmartHost, which: str, issued: Issued) -> dict[str, list[str]]:
    """The zone in which the smart host's port has this certificate's TLSA record."""
    return {f"_{smart.ports[which]}._tcp.{SMART} TLSA": [f"3 1 1 {sha256(issued.spki).hexdigest()}"]}


def ours(delivery: Delivery) -> tuple[str, str, bytes]:
    """The smart host's trace field, ours, and the rest."""
    rest = without_received(delivery)
    theirs = delivery.octets[: -len(rest)].decode()
    field = re.match(rb"Received: (?:.*\r\n[ \t])*.*\r\n", rest)
    assert field is not None
    return theirs, field[0].decode(), rest[field.end() :]


@pytest.mark.parametrize(
    ("level", "which", "proof"),
    [("encrypt", "unknown", "unproved"), ("verify", "known", "verified"), ("dane", "known", "dane")],
)
def test_mail_goes_to_the_smart_host_by_tls(smart: SmartHost, level: str, which: str, proof: str) -> None:
    """Start mails, too. Both Received fields say how it came, and the log says it once."""
    smart.sink.clear()
    meeting = Meeting.new()
    issued = CERTIFICATES[which]
    assert issued is not None
    with Nameserver(tlsa(smart, which, issued)) as dns, smart.relay(which, level, dns) as relay:
        message, plain = invitation(meeting), golden("104")
        with relay.client() as client:
            assert deliver(client, ANNA, [BOB], message) == deliver(client, ANNA, [BOB], plain) == 250
        assert relay.send(plain) == 250
        arrived = smart.sink.wait_for(4)
        (start_mail,) = start_mails(arrived)
        assert "(using TLSv1.3 with cipher " in start_mail.octets.partition(b"\r\nFrom: ")[0].decode()
        rests = []
        for one in arrived:
            if one is start_mail:
                continue
            theirs, field, rest = ours(one)
            assert "from relay.example.org (unknown [127.0.0.1])\r\n\t(using TLSv1.3 with cipher " in theirs
            assert "with ESMTPS id " in theirs and f"by {SMART} (Postfix)" in theirs
            assert field.startswith(f"Received: from domino.example.org ([{DOMINO}])\r\n\t(using TLSv1.3 with cipher ")
            assert "\tby relay.example.org (notes2conf) with ESMTPS id " in field
            rests.append(rest)
        assert sorted(rests) == sorted([plain, plain, gateway.rewrite(relay.state, BASE_URL, message)])
        log = relay.mail.log()
        assert [answer.reason for answer in relay.mail.answers()] == ["link-added", "no-calendar", "no-calendar"]
        said = re.findall(r"next hop (\S+): (.*)", log)
        assert len(said) == 1 and said[0][0] == f"127.0.0.1:{smart.ports[which]}"
        assert re.fullmatch(rf"TLSv1\.3 \S+ {proof}", said[0][1])
        assert_discreet(log.partition(": listening on ")[2], *meeting.secrets, DOMINO + " ", "domino.example")


@pytest.mark.parametrize(
    ("level", "which", "name"),
    [
        ("encrypt", "none", SMART),
        ("verify", "unknown", SMART),
        ("verify", "known", "other.example.net"),
        ("dane", "unknown", SMART),
        ("dane", "none", SMART),
    ],
)
def test_what_cannot_go_encrypted_as_it_has_to_stays_with_the_client(
    smart: SmartHost, level: str, which: str, name: str
) -> None:
    """For dane the record is that of the right certificate. Nothing of the message leaves, and the log says why."""
    smart.sink.clear()
    right = CERTIFICATES["known"]
    assert right is not None
    with Nameserver(tlsa(smart, which, right)) as dns, smart.relay(which, level, dns, name) as relay:
        with FromElsewhere("127.0.0.1", relay.port, "domino.example.org", timeout=60) as client:
            assert client.ehlo()[0] == 421
        with FromElsewhere("127.0.0.1", relay.port, "domino.example.org", timeout=60) as client:
            assert client.helo()[0] == 250
            code, text = client.docmd(f"MAIL FROM:<{ANNA}>")
            assert (code, text[:5]) == (451, b"4.4.1")
        reasons = re.findall(r"next hop \S+ lost at (\w+): (.*)", relay.mail.log())
        assert [verb for verb, _ in reasons] == ["EHLO", "MAIL"]
        assert all("TLS" in why or "certificate" in why for _, why in reasons)
    smart.postfix.wait_until_idle()
    assert smart.sink.messages == []


def test_a_smart_host_that_is_restarted_costs_no_mail(smart: SmartHost) -> None:
    """Between two messages of one session; while it is away the client waits; each message arrives once."""
    smart.sink.clear()
    messages = [b"From: anna@example.org\r\nSubject: %d\r\n\r\nHello.\r\n" % number for number in range(4)]
    with smart.relay("known", "verify") as relay:
        with relay.client() as client:
            assert deliver(client, ANNA, [BOB], messages[0]) == 250
            smart.postfix.stop()
            smart.postfix.start()
            assert deliver(client, ANNA, [BOB], messages[1]) == 250
            smart.postfix.stop()
            assert deliver(client, ANNA, [BOB], messages[2]) == 451
            smart.postfix.start()
            assert deliver(client, ANNA, [BOB], messages[2]) == 250
        assert relay.send(messages[3]) == 250
    smart.sink.wait_for(4)
    smart.postfix.wait_until_idle()
    assert sorted(ours(one)[2] for one in smart.sink.messages) == messages
