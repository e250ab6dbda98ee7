"""A series of Notes's own through a real Postfix, from its invitation to its end: the link, the pages, the database.

Domino sends one message for each destination domain. So each message goes out twice here, to the guests of one domain each;
only the last, which cancels all, names just those to whom it goes.
"""

import base64
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex

import pytest

from notes2conf_milter.address import InetAddress
from tests.insertions import CALENDAR, places, replaced_lines
from tests.live import gateway
from tests.live.gateway import ANNA, DATABASE, HOUSE, WITHOUT_MILTERS, Service, assert_discreet, without_received
from tests.live.postfix import Listener, Postfix, directory, free_ports, send
from tests.live.sink import Sink
from tests.notes import GUESTS, Release, Series
from tests.web.house import Answer, ask

DOMAINS = ("example.net", "example.com")
_LOCATION = b"LOCATION:Besprechungsraum 2.14\r\n"
_ENCODED = re.compile(rb"[A-Za-z0-9+/]+={0,2}\r\n")


@dataclass
class Site:
    """A house with the milter door (listener 0) and the SMTP door (1), the waiting room and the mailboxes beyond."""

    postfix: Postfix
    sink: Sink
    state: Path
    web_port: int
    door_port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def mail(self, door: str) -> Service:
        """Return the mail service with one of its doors."""
        start_mail = self.postfix.ports[2]
        if door == "milter":
            milter = [f"unix:{self.postfix.place}/milter"]
            return gateway.mail(self.state, base_url=self.base_url, milter=milter, start_mail=start_mail)
        more = ["--smtp", f"127.0.0.1:{self.door_port}", "--next-hop", self.sink.address]
        loopback = ["127.0.0.0/8", "192.0.2.0/24"]  # the door sees Postfix alone, and by Received whom that had it from
        return gateway.mail(self.state, base_url=self.base_url, allow=loopback, start_mail=start_mail, more=more)

    def web(self) -> Service:
        return gateway.web(self.state, port=self.web_port, jitsi_url="http://127.0.0.1:9")

    def get(self, path: str) -> Answer:
        return ask(InetAddress("127.0.0.1", self.web_port), path)


@dataclass
class Chain:
    """The way of one series through the house; what must hold after every message is asserted here."""

    site: Site
    mail: Service
    series: Series
    listener: int
    token: str = ""  # of the join link
    start: str = ""  # of the start link

    def sent(self, message: bytes, *domains: str) -> list[str]:
        """Send a message to the guests of each domain; return the reasons.

        What arrives is what was sent, to the octet; with the link where there is one, and that is always the same.
        """
        reasons = []
        for domain in domains or DOMAINS:
            guests = [guest for guest in GUESTS if guest.endswith(f"@{domain}")]
            before = len(self.mail.answers())
            delivered = self._through(message, guests)
            (answer,) = self.mail.answers()[before:]
            if answer.verdict == "rewrite":
                self._assert_linked(message, delivered)
            else:
                assert delivered == message
            reasons.append(answer.reason)
        return reasons

    def shown(self) -> tuple[datetime, datetime]:
        """Return the start and the end that the page behind the join link shows."""
        page = self.site.get(f"/j/{self.token}")
        assert page.status == HTTPStatus.OK
        assert f"{self.series.subject}</h1>" in page.text
        assert "One of a series" in page.text
        found = re.search(
            r'<time datetime="([^"]+)"[^>]*>.*?<span class="time">\d\d:\d\d – (\d\d):(\d\d)</span>', page.text, re.S
        )
        assert found is not None
        start = datetime.fromisoformat(found[1])
        return start, start.replace(hour=int(found[2]), minute=int(found[3]))

    def assert_nothing_left(self, sealed: list[bytes]) -> None:
        """No link row, the neutral page for both links; after the purge not one octet of what was sealed."""
        assert gateway.rows(self.site.state) == (1, 0)  # the row says only: it was cancelled
        nothing = self.site.get("/j/" + "a" * 32)
        assert nothing.status == HTTPStatus.NOT_FOUND
        for path in (f"/j/{self.token}", f"/s/{self.start}"):
            assert self.site.get(path).alike == nothing.alike
        gateway.purge(self.site.state)
        stored = gateway.stored(self.site.state)
        raw = [base64.b32decode(token.upper()) for token in (self.token, self.start)]
        for octets in [*self.series.secrets, self.token.encode(), self.start.encode(), *raw, *sealed]:
            assert octets not in stored
        assert_discreet(self.mail.log(), *self.series.secrets, self.token, self.start)

    def _through(self, message: bytes, guests: list[str]) -> bytes:
        sink = self.site.sink
        reply = send(self.site.postfix.ports[self.listener], ANNA, guests, message, HOUSE)
        assert reply.code == 250, reply
        recipients = tuple(guest.encode() for guest in guests)
        gateway.until(lambda: any(one.recipients == recipients for one in sink.messages))
        self.site.postfix.wait_until_idle()
        (delivery,) = (one for one in sink.messages if one.recipients == recipients)
        for mail in gateway.start_mails(sink.messages):
            token = gateway.the_token(mail.octets, self.site.base_url, "s")
            # The first, or one that tells of a move: the same link, in answer to the first.
            assert not self.start or (token == self.start and gateway.parsed(mail.octets)["In-Reply-To"])
            self.start = token
        sink.clear()
        return without_received(delivery)

    def _assert_linked(self, message: bytes, delivered: bytes) -> None:
        token = gateway.the_token(delivered, self.site.base_url)
        self.token = self.token or token
        assert token == self.token
        assert self.start
        found = places(message, delivered, f"{self.site.base_url}/j/{token}")
        texts = [["text/plain"], ["text/html"]] if self.series.release is Release.NOTES_9 else [["text/html"]]
        assert found == [*texts, CALENDAR, ["text/html"], [], [], CALENDAR]
        replaced = replaced_lines(message, delivered)
        if self.series.release is Release.NOTES_9:
            assert replaced == [_LOCATION, _LOCATION, b"kner</font></p></body></html>\r\n"]
        else:  # the attached copy and the rich body are in base64: from the edit on their lines are others
            assert all(line == _LOCATION or _ENCODED.fullmatch(line) for line in replaced)


@pytest.fixture(scope="module")
def house() -> Iterator[tuple[Postfix, Sink, int]]:
    port = free_ports(1)[0]
    with directory() as place, Sink() as sink:
        door = Listener(options={"content_filter": f"smtp:[127.0.0.1]:{port}"})
        listeners = [
            Listener(options={"smtpd_milters": f"unix:{place}/milter"}),
            door,
            Listener(options=WITHOUT_MILTERS),
        ]
        with Postfix(place, listeners, sink.address) as postfix:
            yield postfix, sink, port
            assert [line for line in postfix.warnings() if not gateway.NOT_YET.search(line)] == []


@pytest.fixture
def site(house: tuple[Postfix, Sink, int]) -> Iterator[Site]:
    postfix, sink, port = house
    sink.clear()
    yield Site(postfix, sink, postfix.place / f"state-{token_hex(4)}", free_ports(1)[0], port)
    postfix.wait_until_idle()


def sealed(state: Path) -> list[bytes]:
    """Return what the database holds of its one meeting and the links, value by value, but for what finds the meeting again."""
    with closing(sqlite3.connect(f"file:{state / DATABASE}?mode=ro", uri=True)) as db:
        found = []
        for table in ("meeting", "link"):
            cursor = db.execute(f"select * from {table}")
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
            found += [value for row in rows for name, value in row.items() if name != "uid_hash"]
    found = [value for value in found if isinstance(value, bytes) and value]
    assert len(found) >= 8  # page, mail, version, salt, and of two links the hash and the key
    return found


@pytest.mark.parametrize(
    ("door", "release"), [("milter", Release.NOTES_9), ("milter", Release.DOMINO_12), ("smtp", Release.NOTES_9)]
)
def test_a_series_from_its_invitation_to_its_end(site: Site, door: str, release: Release) -> None:
    """In the order in which it was sent: one link, one start mail, on the page the next date, and at the end nothing."""
    series = Series.tomorrow(release)
    with site.mail(door) as mail, site.web() as web:
        chain = Chain(site, mail, series, 0 if door == "milter" else 1)
        assert chain.sent(series.invitation()) == ["link-added", "link-kept"]
        assert chain.shown() == hour_from(series.dates[0])
        assert chain.sent(series.reschedule()) == ["link-kept", "link-kept"]
        assert chain.shown() == hour_from(series.later[0])
        assert chain.sent(series.update()) == ["link-kept", "link-kept"]
        assert chain.shown() == hour_from(series.later[0])
        assert chain.sent(series.move()) == ["link-kept", "link-kept"]
        assert chain.shown() == hour_from(series.later[0])
        assert chain.sent(series.cancel_one()) == ["date-cancelled", "method-cancel"]  # twice: it is gone already
        assert chain.shown() == hour_from(series.moved)
        assert chain.sent(series.cancel_all("example.net"), "example.net") == ["attendees-cancelled"]
        assert chain.shown() == hour_from(series.moved)
        assert site.get(f"/s/{chain.start}").status == HTTPStatus.OK
        assert gateway.rows(site.state) == (1, 2)
        before = sealed(site.state)
        assert chain.sent(series.cancel_all("example.com"), "example.com") == ["meeting-cancelled"]
        chain.assert_nothing_left(before)
        assert_discreet(web.log(), *series.secrets, chain.token, chain.start)


def hour_from(start: datetime) -> tuple[datetime, datetime]:
    return start, start.replace(hour=start.hour + 1)


Step = Callable[[Series], bytes]


@pytest.mark.parametrize(
    "steps",
    [
        (Series.move, Series.reschedule, Series.update, Series.cancel_one),
        (Series.move, Series.cancel_one, Series.update, Series.reschedule),
        (Series.cancel_one, Series.move, Series.reschedule, Series.update),
        (Series.update, Series.cancel_one, Series.reschedule, Series.move),
    ],
    ids=lambda steps: "-".join(step.__name__ for step in steps),
)
def test_messages_that_overtake_each_other(site: Site, steps: tuple[Step, ...]) -> None:
    """In whatever order they come, the page shows what the newest imply; what comes after the end brings nothing back."""
    series = Series.tomorrow()
    with site.mail("milter") as mail, site.web():
        chain = Chain(site, mail, series, 0)
        assert chain.sent(series.invitation()) == ["link-added", "link-kept"]
        for step in steps:
            reasons = chain.sent(step(series))
            assert (
                reasons == ["link-kept"] * 2 if step is not Series.cancel_one else ["date-cancelled", "method-cancel"]
            )
        assert chain.shown() == hour_from(series.moved)
        assert chain.sent(series.cancel_all("example.net"), "example.net") == ["attendees-cancelled"]
        assert chain.sent(series.update(), "example.net") == ["link-kept"]  # late: nobody is invited again
        before = sealed(site.state)
        assert chain.sent(series.cancel_all("example.com"), "example.com") == ["meeting-cancelled"]
        for late in (series.invitation(), series.reschedule(), series.update(), series.move()):
            assert chain.sent(late) == ["cancelled-before"] * 2
        assert chain.sent(series.cancel_one()) == ["method-cancel"] * 2
        assert chain.sent(series.cancel_all("example.com"), "example.com") == ["method-cancel"]
        chain.assert_nothing_left(before)
