"""The whole path with real parts alone: an invitation enters Postfix, leaves with a link that opens, and is forgotten."""

import base64
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex
from threading import Thread

import pytest

from notes2conf_milter.address import InetAddress
from tests.insertions import CALENDAR, places, replaced_lines
from tests.live import gateway
from tests.live.gateway import (
    ANNA,
    BOB,
    CARLA,
    HOUSE,
    WITHOUT_MILTERS,
    Meeting,
    Service,
    assert_discreet,
    invitation,
    without_received,
)
from tests.live.postfix import Listener, Postfix, directory, free_ports, send
from tests.live.sink import Delivery, Sink
from tests.web.browser import AVAILABLE, Browser
from tests.web.house import Answer, ask

ROOM = re.compile(r"/[a-z2-7]{32}")


@dataclass
class Site:
    """A house: its Postfix, the gateway's sockets and state, and the mailboxes beyond."""

    place: Path
    postfix: Postfix
    sink: Sink
    state: Path
    web_port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def mail(self, socket: str = "milter") -> Service:
        """A mail service on this state, at one of the two milter sockets."""
        return gateway.mail(
            self.state,
            base_url=self.base_url,
            milter=[f"unix:{self.place}/{socket}"],
            start_mail=self.postfix.ports[2],
            log_name=socket,
        )

    def web(self, jitsi_url: str = "http://127.0.0.1:9") -> Service:
        return gateway.web(self.state, port=self.web_port, jitsi_url=jitsi_url)

    def get(self, path: str) -> Answer:
        return ask(InetAddress("127.0.0.1", self.web_port), path)

    def send(self, message: bytes, listener: int = 0) -> None:
        """Send as the organizer's server does. Listeners: 0, 1 have the milters, 2 takes start mails, 3 has no milter."""
        reply = send(self.postfix.ports[listener], ANNA, [BOB, CARLA], message, HOUSE)
        assert reply.code == 250, reply

    def arrived(self, count: int) -> list[Delivery]:
        """Return all that arrived, once the queue is empty: exactly `count` messages."""
        self.sink.wait_for(count)
        self.postfix.wait_until_idle()
        found = self.sink.messages
        assert len(found) == count
        return found


@pytest.fixture(scope="module")
def house() -> Iterator[tuple[Path, Postfix, Sink]]:
    with directory() as place, Sink() as sink:
        milters = {"smtpd_milters": f"unix:{place}/milter"}  # in main.cf: for each listener that does not say otherwise
        second = Listener(options={"smtpd_milters": f"unix:{place}/second"})
        listeners = [Listener(), second, Listener(options=WITHOUT_MILTERS), Listener(options=WITHOUT_MILTERS)]
        with Postfix(place, listeners, sink.address, extra=milters) as postfix:
            yield place, postfix, sink
            assert [line for line in postfix.warnings() if not gateway.NOT_YET.search(line)] == []


@pytest.fixture
def site(house: tuple[Path, Postfix, Sink]) -> Iterator[Site]:
    place, postfix, sink = house
    sink.clear()
    yield Site(place, postfix, sink, place / f"state-{token_hex(4)}", free_ports(1)[0])


@contextmanager
def stand_in() -> Iterator[tuple[str, list[str]]]:
    """Run a conference server that only writes down who came; yield its URL and the paths that were asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Room</title><p>You are in the conference")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", paths
        finally:
            server.shutdown()
            thread.join(10)


def test_an_invitation_gains_its_link_and_nothing_else_changes(site: Site) -> None:
    """Everywhere a reader looks there is the link; all other octets are those that Postfix delivers without us."""
    meeting = Meeting.new()
    message = invitation(meeting)
    with site.mail() as mail:
        site.send(message)
        linked = without_received(of_anna(site.arrived(2)))
        site.sink.clear()
        site.send(message, listener=3)
        plain = without_received(of_anna(site.arrived(1)))
        assert [one.reason for one in mail.answers()] == ["link-added"]
        token = gateway.the_token(linked, site.base_url)
        assert_discreet(mail.log(), *meeting.secrets, token)
    assert plain == message
    assert linked == gateway.rewrite(site.state, site.base_url, plain)
    assert_only_the_link_is_new(plain, linked, f"{site.base_url}/j/{token}")


def assert_only_the_link_is_new(plain: bytes, linked: bytes, url: str) -> None:
    """Compare line by line as sent, and part by part as another reader reads them."""
    location = b"LOCATION:Besprechungsraum 2.14\r\n"
    assert replaced_lines(plain, linked) == [location, location, b"kner</font></p></body></html>\r\n"]
    found = places(plain, linked, url)
    assert found == [["text/plain"], ["text/html"], CALENDAR, ["text/html"], [], [], CALENDAR]


def test_the_start_mail_goes_a_way_of_its_own(site: Site) -> None:
    """The organizer alone gets the start link, by a listener without milters: the gateway never sees its own mail."""
    with site.mail() as mail:
        site.send(invitation(Meeting.new()))
        deliveries = site.arrived(2)
        (start_mail,) = gateway.start_mails(deliveries)
        message = gateway.parsed(start_mail.octets)
        assert message["to"] == ANNA
        assert message["auto-submitted"] == "auto-generated"
        assert "calendar" not in "".join(part.get_content_type() for part in message.walk())
        join = gateway.the_token(of_anna(deliveries).octets, site.base_url)
        start = gateway.the_token(start_mail.octets, site.base_url, "s")
        assert gateway.the_token(start_mail.octets, site.base_url) == join != start
        assert gateway.tokens(of_anna(deliveries).octets, site.base_url, "s") == []
        assert [one.queue_id for one in mail.answers()] == queue_ids(site.postfix, 0)[-1:]
        assert queue_ids(site.postfix, 2)[-1] not in mail.log()
        assert_discreet(mail.log(), join, start)


def queue_ids(postfix: Postfix, listener: int) -> list[str]:
    """Return the queue ids of the messages that a listener took, in order."""
    return re.findall(rf"postfix/{postfix.ports[listener]}/smtpd\[\d+\]: (\w+): client=", postfix.log())


def test_the_pages_lead_from_waiting_to_the_conference(site: Site) -> None:
    """Guests wait, the organizer's click opens a room on the conference server, guests find the way there."""
    assert AVAILABLE, "there is no browser; on Debian: apt-get install --no-install-recommends chromium"
    meeting = Meeting.new()
    with site.mail(), stand_in() as (jitsi, paths), site.web(jitsi) as web, Browser() as browser:
        site.send(invitation(meeting))
        deliveries = site.arrived(2)
        (start_mail,) = gateway.start_mails(deliveries)
        join = gateway.the_token(of_anna(deliveries).octets, site.base_url)
        start = gateway.the_token(start_mail.octets, site.base_url, "s")
        browser.open(f"{site.base_url}/j/{join}")
        browser.see("Still some time to go")
        assert meeting.subject in browser.text("h1")
        assert jitsi not in browser.run("return document.documentElement.outerHTML")
        before = gateway.stored(site.state)
        browser.click("button[value=wait]")
        browser.see("You are waiting")
        guest_is_at = browser.url()
        browser.open(f"{site.base_url}/s/{start}")
        browser.see("Guest without a name")
        assert gateway.stored(site.state) == before  # neither reading nor waiting is acting
        assert paths == []
        browser.click("button[value=open]")
        browser.see("The conference is open")
        assert paths == []
        browser.click("button[value=enter]")
        browser.see("You are in the conference")
        host_is_at = browser.url()
        browser.open(guest_is_at)
        browser.see("You are in the conference")
        assert browser.url() == host_is_at
        assert host_is_at.startswith(f"{jitsi}/")
        rooms = [path for path in paths if path != "/favicon.ico"]
        assert len(rooms) == 2
        assert rooms[0] == rooms[1]
        assert ROOM.fullmatch(rooms[0])
        assert_discreet(web.log(), *meeting.secrets, join, start, rooms[0][1:])
    assert_sealed(site, meeting, join, start, rooms[0][1:])


def test_an_update_keeps_the_link(site: Site) -> None:
    """A rescheduled meeting has its link, also after a purge; the organizer is told of the move, with the same link."""
    meeting = Meeting.new()
    later = replace(meeting, start=meeting.start + timedelta(hours=2), end=meeting.end + timedelta(hours=2))
    with site.mail() as mail, site.web():
        site.send(invitation(meeting))
        arrived = site.arrived(2)
        join = gateway.the_token(of_anna(arrived).octets, site.base_url)
        site.send(invitation(later, sequence=1))
        arrived = site.arrived(4)
        first, second = gateway.start_mails(arrived)
        assert gateway.the_token(second.octets, site.base_url, "s") == gateway.the_token(
            first.octets, site.base_url, "s"
        )
        assert gateway.parsed(second.octets)["References"] == gateway.parsed(first.octets)["Message-ID"]
        updated = of_anna(arrived)
        assert b"SEQUENCE:1\r\n" in updated.octets
        assert len(gateway.tokens(updated.octets, site.base_url)) == 9
        assert gateway.the_token(updated.octets, site.base_url) == join
        assert [one.reason for one in mail.answers()] == ["link-added", "link-kept"]
        assert gateway.purge(site.state).splitlines()[0] == "deleted 0 meetings"
        assert gateway.rows(site.state) == (1, 2)
        assert "16:00 – 17:30" in site.get(f"/j/{join}").text


def test_two_gateways_on_one_state_give_one_link(site: Site) -> None:
    """The first claim wins, whichever process makes it, also when both are asked at once."""
    with site.mail() as first, site.mail("second") as second:
        known = invitation(Meeting.new())
        site.send(known)
        join = gateway.the_token(of_anna(site.arrived(2)).octets, site.base_url)
        site.send(known, listener=1)
        again = site.arrived(3)
        assert without_received(of_anna(again)) == without_received(of_anna(again[:2]))
        assert gateway.the_token(of_anna(again).octets, site.base_url) == join
        assert (first.answers()[-1].reason, second.answers()[-1].reason) == ("link-added", "link-kept")
        for round_ in range(1, 4):
            site.sink.clear()
            message = invitation(Meeting.new())
            with ThreadPoolExecutor(8) as senders:
                list(senders.map(lambda number, message=message: site.send(message, number % 2), range(8)))
            site.sink.wait_for(9)
            site.postfix.wait_until_idle()
            deliveries = site.sink.messages
            invitations = [one for one in deliveries if one.sender == ANNA.encode()]
            assert len(invitations) == 8
            assert len({without_received(one) for one in invitations}) == 1
            start_mails = gateway.start_mails(deliveries)  # at least once: each process may send it
            assert len({gateway.parsed(one.octets)["message-id"] for one in start_mails}) == 1
            assert len(start_mails) in (1, 2)
            assert gateway.rows(site.state) == (1 + round_, 2 + 2 * round_)


def test_after_the_end_there_is_nothing(site: Site) -> None:
    """Once a meeting is over its links lead nowhere; after the purge no row and no octet of it is left."""
    with site.mail() as mail, site.web() as web:
        now = datetime.now(UTC).replace(microsecond=0)
        meeting = replace(Meeting.new(), start=now - timedelta(minutes=30), end=now + timedelta(seconds=5))
        message = invitation(meeting)
        site.send(message)
        deliveries = site.arrived(2)
        (start_mail,) = gateway.start_mails(deliveries)
        join = gateway.the_token(of_anna(deliveries).octets, site.base_url)
        start = gateway.the_token(start_mail.octets, site.base_url, "s")
        assert site.get(f"/j/{join}").status == HTTPStatus.OK
        assert gateway.rows(site.state) == (1, 2)
        assert_sealed(site, meeting, join, start)

        time.sleep(max(0.0, meeting.end.timestamp() - time.time()))
        nothing = site.get("/j/" + "a" * 32)
        assert nothing.status == HTTPStatus.NOT_FOUND
        assert site.get(f"/j/{join}").alike == site.get(f"/s/{start}").alike == nothing.alike
        assert gateway.rows(site.state) == (1, 2)  # nobody has purged yet
        assert gateway.purge(site.state).splitlines()[0] == "deleted 1 meetings"
        assert gateway.rows(site.state) == (0, 0)
        assert_sealed(site, meeting, join, start)
        assert site.get(f"/j/{join}").alike == nothing.alike

        site.send(message)
        assert without_received(of_anna(site.arrived(3))) == message
        assert mail.answers()[-1].reason == "meeting-over"
        assert gateway.rows(site.state) == (0, 0)
        assert_discreet(mail.log() + web.log(), *meeting.secrets, join, start)


def assert_sealed(site: Site, meeting: Meeting, *secrets: str) -> None:
    """No octet of a meeting can be read in the database or its write-ahead log, nor can its tokens, spelled or raw."""
    octets = gateway.stored(site.state)
    raw = [base64.b32decode(secret.upper()) for secret in secrets]
    for secret in [*meeting.secrets, *(secret.encode() for secret in secrets), *raw]:
        assert secret not in octets


def of_anna(deliveries: list[Delivery]) -> Delivery:
    """Return the newest message of the organizer's own."""
    return next(one for one in reversed(deliveries) if one.sender == ANNA.encode())
