"""The gateway in Proxmox Mail Gateway: our snippets in PMG's templates by the guide's own commands, and a filter that signs.

The order of the hops is what counts: rewritten once, signed after, mail of the world not asked about. Two counter-proofs show
what the snippets avoid: the milter in main.cf.
"""

import re
import smtplib
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live import gateway
from tests.live.gateway import ANNA, BOB, CARLA, HOUSE, OUTSIDE, Meeting, Service, golden, invitation, until
from tests.live.pmg import MASTER, SHARED, Filter, rendered
from tests.live.postfix import Client, Postfix, directory, free_ports, send
from tests.live.sink import Delivery, Sink
from tests.live.tls import certificate, context, send_by_tls
from tests.signatures import FIELD, key, opendkim, records, verified

ROOT = Path(__file__).parents[2]
BASE_URL = "https://conf.example.org"
PMG = key(selector="pmg")
KNOWN = records(PMG)
PORTS = ("26", "25", "10023", "10024", "10025", "10026", "10027", "10028")
BLOCKED = b"From: anna@example.org\r\nX-Virus: yes\r\nSubject: x\r\n\r\nx\r\n"
AFTER, BEFORE = "after-queue", "before-queue"
MILTER_IN_MAIN = "smtpd_milters = unix:notes2conf/milter.sock\nmilter_default_action = tempfail\n"


def templates(place: Path, order: str) -> tuple[str, str]:
    """Run the commands of docs/proxmox.md for this order on PMG's template; return master.cf.in and what comes into main.cf."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "proxmox.md").read_text("utf-8"), re.DOTALL)
    (commands,) = (block for block in blocks if f"{order}-insert" in block)
    assert commands.endswith("pmgconfig sync --restart 1\n")
    shipped, own = place / "shipped", place / "own"
    shipped.mkdir()
    (shipped / "master.cf.in").write_text(MASTER, "utf-8")
    (shipped / "main.cf.in").write_text("", "utf-8")
    commands = commands.replace("pmgconfig sync --restart 1\n", "")
    commands = commands.replace("/var/lib/pmg/templates", str(shipped)).replace("/etc/pmg/templates", str(own))
    subprocess.run(["sh", "-euc", commands], cwd=ROOT, check=True, capture_output=True)
    main = own / "main.cf.in"
    return (own / "master.cf.in").read_text("utf-8"), main.read_text("utf-8") if main.exists() else ""


def entries(template: str, order: str, ports: Mapping[str, int]) -> list[str]:
    """master.cf of a template, on free ports of loopback; without postscreen, which has no TLS or milter of its own."""
    values = {
        "pmg.mail.before_queue_filtering": order == BEFORE,
        "pmg.mail.int_port": f"127.0.0.1:{ports['26']}",
        "pmg.mail.ext_port": "25",
        "pmg.mail.max_filters": "10",
        "pmg.mail.max_smtpd_in": "20",
        "pmg.mail.max_smtpd_out": "20",
        "pmg.mail.conn_count_limit div 5": "10",
        "postfix.int_ip": "192.0.2.5",
        "(pmg.mail.maxsize*2)": "52428800",
    }
    text = rendered(template, values)
    text = re.sub(r"(?m)^25 .*postscreen\n", "", text)
    text, found = re.subn(r"(?m)^smtpd +pass +- ", f"127.0.0.1:{ports['25']} inet n ", text)
    assert found == 1
    text = re.sub(r"127\.0\.0\.1:(100\d\d)", lambda one: f"127.0.0.1:{ports[one[1]]}", text)
    return re.split(r"\n(?=[^\s#])", "\n".join(line for line in text.splitlines() if line and not line.startswith("#")))


def parameters(text: str) -> dict[str, str]:
    """The parameters of a piece of main.cf."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split(" = ", 1) for line in lines)


def settings(place: Path, order: str, ports: Mapping[str, int]) -> Path:
    """config/proxmox/*.toml with the ports and the queue directory of this Postfix."""
    text = (ROOT / "config" / "proxmox" / f"{order}.toml").read_text("utf-8")
    text = text.replace('mail = "/etc/notes2conf/mail-key"', "").replace("/var/spool/postfix", f"{place}/spool")
    text = re.sub(r"127\.0\.0\.1:(100\d\d)", lambda one: f"127.0.0.1:{ports[one[1]]}", text)
    file = place / f"{order}.toml"
    file.write_text(text, "utf-8")
    return file


@dataclass
class Site:
    """A PMG with the gateway in it, and the mailboxes beyond."""

    postfix: Postfix
    sink: Sink
    scanner: Filter
    mail: Service
    ports: Mapping[str, int]

    def domino(self, message: bytes) -> tuple[int, bytes]:
        """Send from Domino to BOB by TLS."""
        self.sink.clear()
        self.scanner.scanned.clear()
        return send_by_tls(self.ports["26"], ANNA, [BOB], message, HOUSE, context())

    def arrived(self, count: int) -> dict[str, Delivery]:
        """What came to each mailbox, once the queue is empty: exactly `count` messages."""
        self.sink.wait_for(count)
        self.postfix.wait_until_idle()
        found = self.sink.messages
        assert len(found) == count
        return {recipient.decode(): one for one in found for recipient in one.recipients}


@contextmanager
def site(
    order: str, master: str | None = None, main: str = "", more: tuple[str, ...] = (), ours: str = ""
) -> Iterator[Site]:
    """master, main: templates instead of those that the guide makes. ours: the settings of another order."""
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    with directory() as place, Sink() as sink, ExitStack() as running:
        certificate(place)
        if master is None:
            master, main = templates(place, order)
        filtered = {"content_filter": f"scan:127.0.0.1:{ports['10024']}"} if order == AFTER else {}
        extra = {**SHARED, **filtered, **parameters(main), "mynetworks": "127.0.0.0/8 192.0.2.0/24"}
        extra |= {"smtpd_tls_cert_file": f"{place}/cert.pem", "smtpd_tls_key_file": f"{place}/key.pem"}
        postfix = Postfix(place, [], sink.address, extra, entries(master, order, ports))
        scanner = running.enter_context(Filter(PMG, ports["10025"], (ports["10023"], ports["10024"])))
        running.enter_context(postfix)
        (place / "spool" / "notes2conf").mkdir()
        options = ["--config", str(settings(place, ours or order, ports)), "--state", str(place / "state"), *more]
        mail = running.enter_context(Service(place / "mail.log", ["mail", *options]))
        for name in ("26", "25", "10025"):
            until(lambda port=ports[name]: greets(port))
        yield Site(postfix, sink, scanner, mail, ports)
        assert postfix.warnings() == []


def greets(port: int) -> bool:
    """Say whether somebody greets on a port."""
    try:
        with Client(port) as client:
            return client.greeting.code == 220
    except OSError:
        return False


@pytest.fixture(scope="module", params=[AFTER, BEFORE])
def pmg(request: pytest.FixtureRequest) -> Iterator[Site]:
    with site(request.param) as made:
        yield made


def below_received(octets: bytes) -> bytes:
    """A message without the Received fields on top."""
    return re.sub(rb"\A(?:Received: from [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)+", b"", octets)


@pytest.mark.parametrize("order", [AFTER, BEFORE])
def test_the_guide_changes_nothing_else_in_the_template(order: str) -> None:
    """What PMG delivers stays as it is, but for our lines and, of one listener, what is a line end, or its address."""
    with directory() as place:
        master, main = templates(place, order)
    snippets = [f"{order}-insert.cf.in", f"{order}-append.cf.in"]
    for name in snippets:
        text = (ROOT / "config" / "proxmox" / name).read_text("utf-8")
        assert master.count(text) == 1, name
        master = master.replace(text, "")
    if order == AFTER:
        assert master.count("smtpd_forbid_bare_newline=normalize") == 1
        master = master.replace("smtpd_forbid_bare_newline=normalize", "smtpd_forbid_bare_newline=no")
    assert master.replace("127.0.0.1:10028 ", "[% pmg.mail.int_port %] ") == MASTER
    assert "smtpd_milters" not in parameters(main)


def test_rewritten_once_and_signed_after(pmg: Site, tmp_path: Path) -> None:
    """The filter gets the invitation with its link; what it signs arrives whole. The start mail is signed, too."""
    before = len(pmg.mail.answers())
    pmg.scanner.by_envelope = False
    assert pmg.domino(invitation(Meeting.new()))[0] == 250
    arrived = pmg.arrived(2)
    (answer,) = pmg.mail.answers()[before:]
    assert (answer.verdict, answer.reason) == ("rewrite", "link-added")
    (scanned,) = (one for one in pmg.scanner.scanned if one.sender == ANNA)
    assert FIELD.findall(scanned.octets) == []
    token = gateway.the_token(scanned.octets, BASE_URL)
    assert token == gateway.the_token(arrived[BOB].octets, BASE_URL)
    assert gateway.tokens(arrived[ANNA].octets, BASE_URL, "s")
    for recipient in (BOB, ANNA):
        assert verified(arrived[recipient].octets, KNOWN) == [("example.org", True)], recipient
        assert opendkim(arrived[recipient].octets, KNOWN, tmp_path) == [True], recipient


def test_the_filter_knows_where_a_message_is_from(pmg: Site) -> None:
    """Its rules and its log see Domino, whatever hops lie between."""
    assert pmg.domino(invitation(Meeting.new()))[0] == 250
    pmg.arrived(2)
    (scanned,) = (one for one in pmg.scanner.scanned if one.sender == ANNA)
    assert scanned.inside and scanned.xforward["addr"] == HOUSE["ADDR"]


def test_all_other_mail_from_inside(pmg: Site) -> None:
    """It comes to the filter octet for octet."""
    message = golden("058")
    assert pmg.domino(message)[0] == 250
    pmg.arrived(1)
    (scanned,) = pmg.scanner.scanned
    assert below_received(scanned.octets) == message
    assert pmg.mail.answers()[-1].verdict == "pass"


def test_mail_from_outside_is_nobody_s_to_touch(pmg: Site) -> None:
    """Port 25: a forged own organizer gets no link and no signature, and the gateway is not even asked."""
    before = len(pmg.mail.answers())
    pmg.sink.clear()
    message = invitation(Meeting.new())
    assert send(pmg.ports["25"], ANNA, [CARLA], message, OUTSIDE).code == 250
    assert below_received(pmg.arrived(1)[CARLA].octets) == message
    assert pmg.mail.answers()[before:] == []


def test_strangers_and_what_is_not_encrypted_are_refused_at_port_26(pmg: Site) -> None:
    """No open relay, whatever hop is asked; and Domino has to use STARTTLS."""
    message = invitation(Meeting.new())
    assert send(pmg.ports["26"], ANNA, [BOB], message, HOUSE).code == 530
    stranger = ANNA, [BOB], message, OUTSIDE
    assert send_by_tls(pmg.ports["26"], *stranger, context())[0] in (454, 554)
    assert send(pmg.ports["10026"], *stranger).code == 554


def test_signed_by_the_domain_of_the_envelope(pmg: Site) -> None:
    """PMG's default signs invitations, but no mail from the null sender: why the guide asks for Header."""
    pmg.scanner.by_envelope = True
    assert pmg.domino(invitation(Meeting.new()))[0] == 250
    arrived = pmg.arrived(2)
    assert verified(arrived[BOB].octets, KNOWN) == [("example.org", True)]
    assert FIELD.findall(arrived[ANNA].octets) == []


@pytest.mark.parametrize("pmg", [BEFORE], indirect=True)
def test_before_the_queue_the_filter_s_answer_is_domino_s(pmg: Site) -> None:
    """What it blocks gets 554 while Domino is still there; nothing is left in a queue, and no bounce is written."""
    code, text = pmg.domino(BLOCKED)
    assert (code, text) == (554, b"5.7.1 Rejected for policy reasons")
    assert pmg.postfix.queue_is_empty()
    assert pmg.sink.messages == []


def test_one_message_stays_one(pmg: Site) -> None:
    """A bare LF is no line end at the listener for Domino, as it is at PMG's own by default: nothing is smuggled behind one."""
    smuggled = (
        b"MAIL FROM:<carla@example.org>\r\nRCPT TO:<bob@guest.example>\r\nDATA\r\nSubject: forged\r\n\r\nforged\r\n"
    )
    pmg.sink.clear()
    with smtplib.SMTP("127.0.0.1", pmg.ports["26"], "domino.example.org", timeout=60) as client:
        client.starttls(context=context())
        client.ehlo()
        assert client.docmd("XCLIENT", f"ADDR={HOUSE['ADDR']}")[0] == 220
        client.ehlo()
        for command in (f"MAIL FROM:<{ANNA}>", f"RCPT TO:<{BOB}>"):
            assert client.docmd(command)[0] == 250
        assert client.docmd("DATA")[0] == 354
        client.send(b"From: anna@example.org\r\nSubject: first\r\n\r\nfirst\n.\r\n" + smuggled + b"\r\n.\r\n")
        assert client.getreply()[0] == 250
    arrived = pmg.arrived(1)
    assert arrived[BOB].sender == ANNA.encode() and b"forged" in arrived[BOB].octets


# --- what the snippets avoid ---


def mistaken(order: str) -> str:
    """PMG's template with the listener for start mails alone."""
    text = (ROOT / "config" / "proxmox" / f"{order}-append.cf.in").read_text("utf-8")
    return MASTER + text[text.index("# notes2conf-milter: the listener that takes start mails") :]


def test_the_milter_in_main_cf_runs_twice() -> None:
    """It is asked at the internal port and again, after the signature, at 10025; and twice about mail of the world."""
    with site(AFTER, mistaken(AFTER), MILTER_IN_MAIN) as mistake:
        assert mistake.domino(invitation(Meeting.new()))[0] == 250
        mistake.arrived(2)
        asked = [(one.verdict, one.reason) for one in mistake.mail.answers()]
        assert asked[0] == ("rewrite", "link-added")
        assert asked[1:] == [("pass", "client-not-allowed")] * 2  # the invitation again, and the start mail
        mistake.sink.clear()
        assert send(mistake.ports["25"], ANNA, [CARLA], invitation(Meeting.new()), OUTSIDE).code == 250
        mistake.arrived(1)
        assert len(mistake.mail.answers()) == 5


def test_the_milter_in_main_cf_breaks_the_signature_before_the_queue() -> None:
    """At the internal port it sees no body, at 10025 the signed message: where loopback is allowed, the link breaks that."""
    more = ("--allow-network", "127.0.0.0/8", "--allow-network", "192.0.2.10/32", "--tls-exempt-network", "127.0.0.0/8")
    with site(BEFORE, mistaken(BEFORE), MILTER_IN_MAIN, more, AFTER) as mistake:
        assert mistake.domino(invitation(Meeting.new()))[0] == 250
        arrived = mistake.arrived(2)
    assert gateway.tokens(arrived[BOB].octets, BASE_URL)
    assert verified(arrived[BOB].octets, KNOWN) == [("example.org", False)]
