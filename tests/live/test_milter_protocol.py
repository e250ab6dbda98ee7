"""The milter door as Postfix sees it: every protocol version, both kinds of socket, and many sessions at once."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

from tests.live import gateway
from tests.live.gateway import (
    ANNA,
    BOB,
    HOUSE,
    WITHOUT_MILTERS,
    Meeting,
    Service,
    golden,
    golden_soon,
    invitation,
    without_received,
)
from tests.live.postfix import Client, Listener, Postfix, PostfixMissing, directory, free_ports, send
from tests.live.sink import Sink

BASE_URL = "https://conf.example.org"
VERSIONS = ("2", "3", "4", "6")
KINDS = ("unix", "inet")
WAYS = list(product(VERSIONS, KINDS))  # of the listeners, in their order; one without milters comes last
SESSIONS, MESSAGES = 5, 50  # for each of four senders
_SBIN = "/usr/sbin:/usr/bin:/sbin:/bin"


class Site:
    """A Postfix with a listener for each way to ask the gateway, and one without it."""

    def __init__(self, place: Path, sink: Sink) -> None:
        self.place, self.sink = place, sink
        self.milters = {"unix": f"unix:{place}/milter", "inet": f"inet:127.0.0.1:{free_ports(1)[0]}"}
        ways = [{"smtpd_milters": self.milters[kind], "milter_protocol": version} for version, kind in WAYS]
        self.postfix = Postfix(place, [Listener(options=one) for one in [*ways, WITHOUT_MILTERS]], sink.address)

    @contextmanager
    def mail(self, name: str, settings: str = "") -> Iterator[Service]:
        """Run the mail service with a state, and settings, of its own."""
        self.sink.clear()
        self.settings_file(name).write_text(settings, "utf-8")
        with gateway.mail(
            self.place / name,
            base_url=BASE_URL,
            milter=list(self.milters.values()),
            start_mail=self.postfix.ports[-1],
            allow=("192.0.2.0/24", "127.0.0.0/8"),
            more=["--config", str(self.settings_file(name))],
        ) as service:
            yield service

    def settings_file(self, name: str) -> Path:
        return self.place / f"{name}.toml"

    def by_each_way(self, message: bytes) -> list[bytes]:
        """Send a message by each listener, one after the other; return what arrived, in the order of WAYS."""
        self.sink.clear()
        for number, port in enumerate(self.postfix.ports[: len(WAYS)]):
            reply = send(port, ANNA, [f"{number}@example.net"], message, HOUSE)
            assert reply.code == 250, (WAYS[number], reply)
        self.postfix.wait_until_idle()
        arrived = {one.recipients[0]: without_received(one) for one in self.sink.messages}
        return [arrived[f"{number}@example.net".encode()] for number in range(len(WAYS))]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with directory() as place, Sink() as sink:
        site = Site(place, sink)
        with site.postfix:
            yield site


@pytest.fixture(autouse=True)
def quiet(site: Site) -> Iterator[None]:
    """Postfix has nothing to complain about."""
    before = len(site.postfix.warnings())
    yield
    assert [line for line in site.postfix.warnings()[before:] if not gateway.NOT_YET.search(line)] == []


def test_every_version_and_socket_gives_the_same_octets(site: Site) -> None:
    """The body is replaced alike, whatever Postfix was told to speak and wherever it connects."""
    message = invitation(Meeting.new())
    with site.mail("body") as mail:
        arrived = site.by_each_way(message)
        assert [one.reason for one in mail.answers()] == ["link-added"] + ["link-kept"] * (len(WAYS) - 1)
        assert len(gateway.start_mails(site.sink.messages)) == 1
    expected = gateway.rewrite(site.place / "body", BASE_URL, message)
    assert dict(zip(WAYS, arrived, strict=True)) == dict.fromkeys(WAYS, expected)
    assert len(gateway.tokens(expected, BASE_URL)) == 9


def test_every_version_and_socket_changes_the_subject_alike(site: Site) -> None:
    """The keyword goes out of the Subject by a header edit; versions before 6 say the blank after the colon otherwise."""
    messages = [golden_soon(name) for name in ("047", "048", "050")]
    with site.mail("subject", '[policy]\ntrigger = "keyword"\n'):
        arrived = [site.by_each_way(message) for message in messages]
    for message, changed in zip(messages, arrived, strict=True):
        more = ["--config", str(site.settings_file("subject"))]
        expected = gateway.rewrite(site.place / "subject", BASE_URL, message, more)
        assert gateway.parsed(expected)["subject"] != gateway.parsed(message)["subject"]
        assert dict(zip(WAYS, changed, strict=True)) == dict.fromkeys(WAYS, expected)


def test_mail_without_an_invitation_is_the_same_by_every_way(site: Site) -> None:
    """Accepted at the end of its header or of its body, it arrives as it was sent."""
    with site.mail("plain"):
        for name in ("104", "005", "058"):
            message = golden(name)
            assert site.by_each_way(message) == [message] * len(WAYS)


def test_the_messages_of_one_session_are_apart(site: Site) -> None:
    """What was decided about one message touches no other, also after one that was given up halfway."""
    meetings = [Meeting.new(), Meeting.new()]
    messages = [golden("104"), invitation(meetings[0]), golden("058"), invitation(meetings[1]), golden("104")]
    with site.mail("session") as mail:
        for port in site.postfix.ports[: len(WAYS)]:
            site.sink.clear()
            with Client(port) as client:
                client.command("EHLO client.example")
                client.xclient(HOUSE)
                client.command("EHLO client.example")
                for number, message in enumerate(messages):
                    begin = [f"MAIL FROM:<{ANNA}>", f"RCPT TO:<{number}@example.net>"]
                    for step in [*begin, "RSET", *begin, "DATA"]:
                        assert client.command(step).code // 100 in (2, 3)
                    assert client.message(message).code == 250
            site.postfix.wait_until_idle()
            arrived = {one.recipients[0]: without_received(one) for one in site.sink.messages}
            got = [arrived[f"{number}@example.net".encode()] for number in range(len(messages))]
            assert [got[0], got[2], got[4]] == [messages[0], messages[2], messages[4]]
            links = [gateway.the_token(octets, BASE_URL) for octets in (got[1], got[3])]
            assert links[0] != links[1]
        assert Counter(answer.reason for answer in mail.answers()) == {
            "link-added": 2,
            "link-kept": 2 * len(WAYS) - 2,
            "no-calendar": 2 * len(WAYS),
            "method-reply": len(WAYS),
        }


def test_a_large_invitation_gains_its_link(site: Site) -> None:
    """The body crosses in many pieces both ways, and is whole again."""
    message = with_attachment(invitation(Meeting.new()), 1_000_000)
    with site.mail("large"):
        arrived = site.by_each_way(message)
    expected = gateway.rewrite(site.place / "large", BASE_URL, message)
    assert [octets == expected for octets in arrived] == [True] * len(WAYS)
    assert len(gateway.tokens(expected, BASE_URL)) == 9


def test_a_message_beyond_the_limit_passes_unread(site: Site) -> None:
    """limits.message_octets bounds our memory, not the mail."""
    message = with_attachment(invitation(Meeting.new()), 400_000)
    with site.mail("beyond", "[limits]\nmessage_octets = 300000\n") as mail:
        arrived = site.by_each_way(message)
        assert {answer.reason for answer in mail.answers()} == {"too-large"}
    assert [octets == message for octets in arrived] == [True] * len(WAYS)


def with_attachment(message: bytes, octets: int) -> bytes:
    """Return the invitation with an attachment of about so many octets at its end."""
    end = b"\r\n--=_mixed "
    before, _, boundary = message.rpartition(end)
    line = b"QUJD" * 19 + b"\r\n"
    header = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    part = end + boundary.removesuffix(b"--\r\n") + b"\r\n" + header + line * (octets // len(line))
    return before + part + end + boundary


def test_addresses_beyond_ascii_are_no_obstacle(site: Site) -> None:
    """SMTPUTF8: an invitation to such an address gains its link, and a forward from such an address carries it."""
    message = invitation(Meeting.new())
    with site.mail("utf8") as mail:
        for port in site.postfix.ports[: len(WAYS)]:
            for sender, recipient in ((ANNA, "jürgen@example.net"), ("jürgen@example.org", BOB)):
                with Client(port) as client:
                    for step in ("EHLO client.example", "XCLIENT ADDR=" + HOUSE["ADDR"], "EHLO client.example"):
                        assert client.command(step).code // 100 == 2
                    for step in (f"MAIL FROM:<{sender}> BODY=8BITMIME SMTPUTF8", f"RCPT TO:<{recipient}>", "DATA"):
                        assert client.command(step).code // 100 in (2, 3)
                    assert client.message(message).code == 250
        site.postfix.wait_until_idle()
        reasons = [answer.reason for answer in mail.answers()]
    assert Counter(reasons) == {"link-added": 1, "link-kept": 2 * len(WAYS) - 1}
    arrived = {without_received(one) for one in site.sink.messages if one.recipients != (ANNA.encode(),)}
    assert arrived == {gateway.rewrite(site.place / "utf8", BASE_URL, message)}


def test_twenty_sessions_at_once_lose_nothing(site: Site) -> None:
    """200 messages in 20 parallel sessions: each arrives once, each invitation with the link of its meeting."""
    first, second = (invitation(Meeting.new()) for _ in range(2))
    sent = [first, second, golden("104"), golden("058")]
    with site.mail("parallel") as mail:
        ports = [site.postfix.ports[WAYS.index(("6", kind))] for kind in ("unix", "inet", "unix", "inet")]
        smtp_source([site.place / f"sent-{number}" for number in range(4)], sent, ports)
        site.sink.wait_for(4 * MESSAGES + 2)
        site.postfix.wait_until_idle()
        assert len(mail.answers()) == 4 * MESSAGES
        reasons = Counter(answer.reason for answer in mail.answers())
    assert reasons == {
        "link-added": 2,
        "link-kept": 2 * MESSAGES - 2,
        "no-calendar": MESSAGES,
        "method-reply": MESSAGES,
    }
    assert len(gateway.start_mails(site.sink.messages)) == 2
    arrived = Counter(without_received(one) for one in site.sink.messages if one.recipients == (BOB.encode(),))
    first, second = (gateway.rewrite(site.place / "parallel", BASE_URL, message) for message in (first, second))
    # smtp-source puts an empty line before the final dot
    assert arrived == {message + b"\r\n": MESSAGES for message in (first, second, *sent[2:])}


def smtp_source(files: list[Path], messages: list[bytes], ports: list[int]) -> None:
    """Send each message so many times, by so many sessions at once, all at the same time."""
    program = shutil.which("smtp-source", path=_SBIN)
    if program is None:
        raise PostfixMissing("there is no smtp-source here; on Debian: apt-get install --no-install-recommends postfix")
    running = []
    for file, message, port in zip(files, messages, ports, strict=True):
        file.write_bytes(message.replace(b"\r\n", b"\n"))  # it ends each line with CRLF itself
        options = ["-s", str(SESSIONS), "-m", str(MESSAGES), "-f", ANNA, "-t", BOB, "-F", str(file)]
        running.append(subprocess.Popen([program, *options, f"127.0.0.1:{port}"], stderr=subprocess.PIPE))
    for one in running:
        _, said = one.communicate(timeout=60)
        assert (one.returncode, said) == (0, b"")
