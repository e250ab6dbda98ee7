"""The life of a small house: laws 1, 3, 5, 6, 7, 8 and 9, whatever comes in whatever order.

A state machine plays messages, failures of the start mail, visitors, purges and a clock that may step back, against the
real flow, store, pages and purge. Beside it stands a model of a few lines: which meeting lives, until when, with which link.
"""

import asyncio
import email
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.joinlink import own_join_link
from notes2conf_milter.core.meeting import LinkKind
from notes2conf_milter.core.policy import PolicySettings
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.mailflow import FlowSettings, MailFlow
from notes2conf_milter.smtp.reinject import Handed, Handover
from notes2conf_milter.store import StoreError, purge
from notes2conf_milter.web.server import WebSettings, create_app
from tests.inthread import InThread
from tests.invitations import BASE_URL, CALENDAR, OTHER, calendar, message, part
from tests.store.vault import Vault
from tests.web.house import JITSI

NOW = 1_772_436_600  # 2026-03-02
HOUR, DAY = 3600, 86400
ANNA, BERTA = "anna@example.org", "berta@example.org"
RULES = PolicySettings(frozenset({"example.org"}), (ip_network("192.0.2.0/24"),))
INSIDE, OUTSIDE = ip_address("192.0.2.1"), ip_address("198.51.100.7")
OWN = own_join_link(BASE_URL)
LINKS = (LinkKind.JOIN, LinkKind.START)
REPLIES = {
    "accepted": Handover(Handed.ACCEPTED, 250),
    "deferred": Handover(Handed.DEFERRED, 451),
    "refused": Handover(Handed.REFUSED, 550),
}
LOGIN = re.compile(r'type="?password|passwor[dt]|log ?in|sign in|anmeld|benutzername|user ?name', re.IGNORECASE)
WINDOW = 12  # octets: shorter runs repeat by themselves

UIDS = st.sampled_from(["uid-1", "uid-2", "uid-3"])
ENCODINGS = st.sampled_from([b"8bit", b"base64", b"quoted-printable"])


@dataclass
class Row:
    """What the model knows of a meeting. series: the SEQUENCE seen of the whole, None when only instances were."""

    end: int
    series: int | None
    own: int = 0  # the end of the whole, without the instances
    invited: int = 0  # the highest SEQUENCE that has named the guest
    instances: dict[str, tuple[int, int]] = field(default_factory=dict)  # SEQUENCE and end of each
    join: str | None = None  # once a message has carried it
    start: str | None = None
    cancelled: int | None = None  # by which SEQUENCE; then only this and the end are known

    @property
    def by_its_dates(self) -> int:
        """The end that follows from its dates; 0 when none is left."""
        return max([self.own, *(end for _, end in self.instances.values())])


@dataclass(frozen=True)
class Message:
    """One invitation. starts: in hours from NOW. instance: its RECURRENCE-ID, "" for the whole."""

    uid: str
    sequence: int
    starts: int
    instance: str
    sent_by: bool
    encoding: bytes
    link: str  # in LOCATION: of another meeting, as in a copied entry

    @property
    def end(self) -> int:
        return NOW + (self.starts + 1) * HOUR

    def octets(self) -> bytes:
        lines = [b"SEQUENCE:%d" % self.sequence, b"LOCATION:Room 7" + (f", {self.link}" if self.link else "").encode()]
        lines += [b"RECURRENCE-ID:" + self.instance.encode()] if self.instance else []
        octets = calendar(*lines, uid=self.uid.encode())
        times = {b"DTSTART": self.starts, b"DTEND": self.starts + 1}
        for name, hours in times.items():
            text = datetime.fromtimestamp(NOW + hours * HOUR, UTC).strftime("%Y%m%dT%H%M%SZ").encode()
            octets = re.sub(name + rb":\w+", name + b":" + text, octets)
        if self.sent_by:
            octets = octets.replace(b"ORGANIZER;", b'ORGANIZER;SENT-BY="mailto:berta@example.org";')
        text = part(b"Let us meet.\r\n", b"text/plain; charset=UTF-8", self.encoding)
        return message(text, part(octets, CALENDAR, self.encoding))


MESSAGES = st.builds(
    Message,
    uid=UIDS,
    sequence=st.integers(0, 3),
    starts=st.integers(-2, 72),
    instance=st.sampled_from(["", "", "20260312T090000Z", "20260319T090000Z"]),
    sent_by=st.booleans(),
    encoding=ENCODINGS,
    link=st.sampled_from(["", f"{BASE_URL}/j/{OTHER}"]),
)


def _older(one: Message, row: Row) -> bool:
    return row.cancelled is not None and one.sequence <= row.cancelled


class Life(RuleBasedStateMachine):
    """The house."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.vault = Vault(Path(self.folder.name) / "state").make()
        self.thread = ThreadPoolExecutor(1)
        self.store = self.thread.submit(self.vault.mail).result()
        self.web = self.vault.web()
        self.now = NOW
        self.reply: Handover | None = REPLIES["accepted"]
        self.mails: list[str] = []
        self.rows: dict[str, Row] = {}
        self.known: set[str] = set()  # every token that ever left the house
        self.sealed: set[bytes] = set()  # every value that was ever in the database
        self.copies: list[Vault] = []
        self.number = 0
        self.cancelled = False  # a meeting, since the last purge
        flow_settings = FlowSettings(BASE_URL, RULES)
        self.flow = MailFlow(
            flow_settings,
            self.store,
            store_thread=self.thread,
            work=InThread(self.thread, flow_settings.work()),
            hand_over=self.hand_over,  # type: ignore[arg-type]
            clock=lambda: self.now,
        )
        self.app = create_app(WebSettings(BASE_URL), self.vault.web(), (JITSI,), lambda: self.now)

    async def hand_over(self, recipient: bytes, octets: bytes) -> Handover:
        assert recipient == ANNA.encode()
        self.mails.append(octets.decode("ascii"))
        if self.reply is None:
            raise RuntimeError
        return self.reply

    def teardown(self) -> None:
        self.thread.submit(self.vault.close).result()
        self.thread.shutdown()
        self.folder.cleanup()

    # --- looking at it from outside ---

    def dump(self) -> list[tuple[Any, ...]]:
        with self.vault.sql() as sql:
            tables = [sql.execute(f"select * from {name}").fetchall() for name in ("meeting", "link", "meeting_link")]
        return [row for rows in tables for row in sorted(rows, key=repr)]

    def note_values(self) -> set[bytes]:
        values = {value for row in self.dump() for value in row if isinstance(value, bytes)}
        self.sealed |= values
        return values

    @contextmanager
    def nothing_written(self) -> Iterator[None]:
        before, version = self.dump(), self.web.data_version()
        yield
        assert (self.dump(), self.web.data_version()) == (before, version)

    def visit(self, path: str, method: str = "GET", body: bytes = b"") -> tuple[int, str]:
        """Ask the pages, as the server does."""
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
        scope |= {
            "headers": [(b"host", b"conf.example.org")],
            "root_path": "",
            "scheme": "https",
            "http_version": "1.1",
        }
        asyncio.run(self.app(scope, receive, send))  # type: ignore[arg-type]
        text = b"".join(event.get("body", b"") for event in sent).decode()
        return sent[0]["status"], text

    def tokens(self, octets: bytes) -> set[str]:
        """The tokens of all join links in a message, as a reader sees it."""
        found: set[str] = set()
        for one in email.message_from_bytes(octets).walk():
            payload = one.get_payload(decode=True)
            if isinstance(payload, bytes):
                found |= {match[1].decode() for match in OWN.finditer(re.sub(rb"\r?\n[ \t]", b"", payload))}
        return found

    def living(self, uid: str) -> Row | None:
        row = self.rows.get(uid)
        return row if row is not None and row.end > self.now and row.cancelled is None else None

    def of_a_known_meeting(self, one: Message) -> Message:
        """Let a message be about a meeting whose link is out, if there is one, and not be over."""
        uids = [uid for uid, row in self.rows.items() if row.join is not None and row.end > self.now]
        return replace(one, uid=uids[0], starts=(self.now - NOW) // HOUR + 2) if uids else one

    # --- what happens ---

    @initialize()
    def begin(self) -> None:
        self.note_values()

    def process(self, one: Message, sender: str, client: Any) -> Outcome:
        envelope, octets = Envelope(Door.MILTER, sender.encode(), (), client), one.octets()
        header = octets[: octets.index(b"\r\n\r\n") + 4]
        outcome = self.flow.before_body(envelope, header) or asyncio.run(self.flow.process(envelope, octets))
        assert outcome.verdict in (
            Verdict.PASS,
            Verdict.REWRITE,
            Verdict.FORGET,
            Verdict.DEFER,
        )  # law 1: nothing else is ever said
        assert outcome.verdict is Verdict.REWRITE or not outcome.edits
        return outcome

    @rule(one=MESSAGES, reply=st.sampled_from(["accepted"] * 4 + ["deferred", "refused", "raises"]))
    def the_organizer_invites(self, one: Message, reply: str) -> None:
        self.reply = REPLIES.get(reply)
        sender = BERTA if one.sent_by else ANNA
        before = self.living(one.uid)
        outcome = self.process(one, sender, INSIDE)
        if one.end <= self.now:
            assert (outcome.verdict, outcome.reason) == (Verdict.PASS, Reason.MEETING_OVER)
            if before is not None and before.by_its_dates > self.now:
                row = self._merged(before, one)
                if row.by_its_dates > self.now:
                    self.rows[one.uid] = row
                else:
                    self._over(before, one)
            self.note_values()
            return
        tombstone = self.rows.get(one.uid)
        if tombstone is not None and tombstone.end > self.now and _older(one, tombstone):
            assert (outcome.verdict, outcome.reason) == (Verdict.PASS, Reason.CANCELLED_BEFORE)
            return
        row = self._merged(before, one)
        self.rows[one.uid] = row
        announced = row.join is not None
        if not announced and reply != "accepted":
            if reply == "refused":
                assert (outcome.verdict, outcome.reason) == (Verdict.PASS, Reason.START_MAIL_REFUSED)
                if before is None:
                    del self.rows[one.uid]
            else:
                assert outcome.verdict is Verdict.DEFER  # law 1: it comes again
            return
        if outcome.verdict is Verdict.DEFER:
            assert reply in ("deferred", "raises")  # the organizer is told of a move, too
            return
        assert outcome.verdict is Verdict.REWRITE
        edited = apply(one.octets(), outcome.edits)
        (token,) = self.tokens(edited)  # law 3: one link, and none of another meeting
        assert token == (row.join or token)  # law 3: the same as ever
        assert row.join is not None or token not in self.known
        row.join = token
        shown = self.web.open(token, (LinkKind.JOIN,), self.now)  # law 5: before anybody can have the message
        assert shown is not None
        assert shown.expires_at == row.end
        start = re.findall(re.escape(BASE_URL) + r"/s/([a-z2-7]{32})", self.mails[-1].replace("=\r\n", ""))
        row.start = row.start or start[0]
        self.known |= {token, row.start}
        self.note_values()
        again = asyncio.run(self.flow.process(Envelope(Door.SMTP, sender.encode(), (), INSIDE), edited))
        assert (again.verdict, again.edits) == (Verdict.REWRITE, ())  # law 3, by the other door

    def _merged(self, row: Row | None, one: Message) -> Row:
        row = Row(0, None) if row is None else replace(row, instances=dict(row.instances))
        row.invited = max(row.invited, one.sequence)
        if one.instance:
            seen = row.instances.get(one.instance)
            if not self._late(row, one, seen):
                row.instances[one.instance] = (one.sequence, one.end)
        elif row.series is None or one.sequence > row.series:
            row.instances = {name: seen for name, seen in row.instances.items() if seen[0] >= one.sequence}
            row.series, row.own = one.sequence, one.end
        elif one.sequence == row.series:
            row.own = max(row.own, one.end)
        row.end = row.by_its_dates or row.end  # all off, but never seen as a whole
        if row.end <= self.now:
            row.end = one.end  # its last date was moved to the past, and this message carries the link all the same
        return row

    def _late(self, row: Row, one: Message, seen: tuple[int, int] | None) -> bool:
        """Whether a message about a date is older than what is known; a cancellation (end 0) counts at the same SEQUENCE."""
        if seen is None:
            return one.sequence < (row.series or 0)
        return one.sequence < seen[0] or (one.sequence == seen[0] and not seen[1])

    @rule(one=MESSAGES, instance=st.sampled_from(["20260312T090000Z", "20260319T090000Z"]), known=st.booleans())
    def the_organizer_cancels_a_date(self, one: Message, instance: str, known: bool) -> None:
        """It goes, and the end comes forward; with the last one the meeting goes."""
        one = replace(
            self.of_a_known_meeting(one) if known else one, instance=instance, sent_by=False, encoding=b"8bit"
        )
        row = self.living(one.uid)
        octets = one.octets().replace(b"REQUEST", b"CANCEL")
        outcome = asyncio.run(self.flow.process(Envelope(Door.MILTER, ANNA.encode(), (), INSIDE), octets))
        self.note_values()
        assert outcome.edits == ()
        if row is None or self._late(row, one, row.instances.get(instance)):
            assert (outcome.verdict, outcome.reason) == (Verdict.PASS, Reason.METHOD_CANCEL)
            return
        before = replace(row)
        row.instances = row.instances | {instance: (one.sequence, 0)}
        if row.series is not None or row.by_its_dates:
            row.end = row.by_its_dates
        if row.end > self.now:
            assert outcome.verdict is Verdict.PASS
            return
        assert (outcome.verdict, outcome.reason) == (Verdict.FORGET, Reason.MEETING_CANCELLED)
        self._over(before, one)

    def _over(self, before: Row, one: Message) -> None:
        """A message deletes what is left of a meeting; that of a date counts for the whole's SEQUENCE at most."""
        ahead = one.instance and before.series is not None
        sequence = min(one.sequence, before.series or 0) if ahead else one.sequence
        self.rows[one.uid] = Row(min(before.end, self.now + 6 * DAY), None, cancelled=sequence)
        self.cancelled = True

    @rule(one=MESSAGES, sender=st.sampled_from([ANNA] * 3 + ["carla@example.org", ""]), known=st.booleans())
    def somebody_cancels(self, one: Message, sender: str, known: bool) -> None:
        """Only the organizer does, and not with an old message; then nothing is left but what keeps it cancelled."""
        one = replace(self.of_a_known_meeting(one) if known else one, instance="", sent_by=False, encoding=b"8bit")
        row = self.living(one.uid)
        envelope, octets = (
            Envelope(Door.MILTER, sender.encode(), (), INSIDE),
            one.octets().replace(b"REQUEST", b"CANCEL"),
        )
        if sender != ANNA or row is None or one.sequence < row.invited:
            with self.nothing_written():
                header = octets[: octets.index(b"\r\n\r\n") + 4]
                outcome = self.flow.before_body(envelope, header) or asyncio.run(self.flow.process(envelope, octets))
            assert (outcome.verdict, outcome.edits) == (Verdict.PASS, ())
            return
        outcome = asyncio.run(self.flow.process(envelope, octets))
        assert (outcome.verdict, outcome.reason, outcome.edits) == (Verdict.FORGET, Reason.MEETING_CANCELLED, ())
        self.rows[one.uid] = Row(min(row.end, self.now + 6 * DAY), None, cancelled=one.sequence)
        self.cancelled = True
        self.note_values()

    @rule(one=MESSAGES, sender=st.sampled_from([ANNA, BERTA, "eve@example.com", ""]))
    def somebody_from_outside_sends_it(self, one: Message, sender: str) -> None:
        """Law 9: no link, no row, not even for the organizer's own name."""
        one = self.of_a_known_meeting(one)
        with self.nothing_written():
            assert self.process(one, sender, OUTSIDE).verdict is Verdict.PASS

    @rule(one=MESSAGES, sender=st.sampled_from([BERTA, "carla@example.org", "eve@example.com", ""]))
    def somebody_inside_forwards_it(self, one: Message, sender: str) -> None:
        """Law 9: at most the link that is out already, and that only for somebody of the house."""
        one = replace(self.of_a_known_meeting(one), sent_by=False)
        with self.nothing_written():
            outcome = self.process(one, sender, INSIDE)
        if outcome.verdict is Verdict.REWRITE:
            row = self.living(one.uid)
            assert row is not None
            assert sender.endswith("@example.org")
            assert self.tokens(apply(one.octets(), outcome.edits)) == {row.join}
        else:
            assert outcome.verdict is Verdict.PASS

    @rule(uid=UIDS, kind=st.sampled_from("js"))
    def somebody_visits(self, uid: str, kind: str) -> None:
        """Law 7: reading writes nothing. Law 8: no page asks who somebody is. Law 6: what is over is as if it never was."""
        row = self.rows.get(uid)
        token = None if row is None else row.join if kind == "j" else row.start
        with self.nothing_written():
            status, text = self.visit(f"/{kind}/{token or OTHER}")
            nobody = self.visit(f"/{kind}/{OTHER[::-1]}")
        alive = token is not None and self.living(uid) is not None
        assert status == (200 if alive else 404)
        assert alive or (status, text) == nobody
        assert not LOGIN.search(text)

    @rule(uid=UIDS)
    def the_organizer_opens(self, uid: str) -> None:
        """By the form of the start page, from which nobody is asked for more than a click."""
        row = self.living(uid)
        if row is None or row.start is None:
            return
        _, text = self.visit(f"/s/{row.start}")
        names = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text)
        if names:
            body = "&".join(f"{name}={value}" for name, value in [*names, ("do", "open")]).encode()
            assert self.visit(f"/s/{row.start}", "POST", body)[0] in (303, 403)
        self.note_values()

    @rule(hours=st.sampled_from([1, 1, 5, 24, 60]))
    def time_passes(self, hours: int) -> None:
        self.now += hours * HOUR

    @rule(minutes=st.integers(1, 90))
    def the_clock_steps_back(self, minutes: int) -> None:
        self.now = max(NOW, self.now - minutes * 60)

    @rule()
    def somebody_copies_the_database(self) -> None:
        self.number += 1
        if len(self.copies) < 3:
            self.copies.append(self.vault.copy(Path(self.folder.name) / f"copy-{self.number}"))

    @rule(force=st.booleans())
    def the_purge_runs(self, force: bool) -> None:
        """Law 6: no octet of what is over is left; a copy of before a rotation opens with nothing."""
        over = [uid for uid, row in self.rows.items() if row.end <= self.now]
        result = purge(self.vault.database, self.vault.epoch, self.now, force)
        assert (result.deleted, result.damaged, result.truncated) == (len(over), 0, True)
        for uid in over:
            del self.rows[uid]
        here = self.note_values()
        if result.deleted or result.resealed or self.cancelled:
            self.cancelled = False
            left = self.vault.octets()
            for value in self.sealed - here:
                assert not [at for at in range(0, len(value) - WINDOW + 1, WINDOW) if value[at : at + WINDOW] in left]
            self.sealed = here
        if result.rotated:
            self._try_copies()

    def _try_copies(self) -> None:
        for copy in self.copies:
            self.vault.give_keys_to(copy)
            mail, web = copy.mail(), copy.web()
            for token in self.known:
                try:
                    assert web.open(token, LINKS, NOW) is None
                except StoreError as error:
                    assert "cannot be opened" in str(error)
            for uid in ("uid-1", "uid-2", "uid-3"):
                try:
                    assert mail.find(ANNA, uid, NOW) is None
                except StoreError as error:
                    assert "cannot be opened" in str(error)
            copy.close()
        self.copies = []

    # --- what always holds ---

    @invariant()
    def a_link_has_a_page_as_long_as_its_meeting_lives(self) -> None:
        """Laws 5 and 6."""
        alive = {token for uid in self.rows if (row := self.living(uid)) for token in (row.join, row.start) if token}
        for token in self.known:
            assert (self.web.open(token, LINKS, self.now) is not None) == (token in alive)

    @invariant()
    def there_is_a_row_for_each_meeting_and_no_other(self) -> None:
        with self.vault.sql() as sql:
            assert sql.execute("select count(*) from meeting where expires_at > ?", [self.now]).fetchone() == (
                sum(row.end > self.now for row in self.rows.values()),
            )

    @precondition(lambda self: self.mails)
    @invariant()
    def no_mail_asks_for_a_login(self) -> None:
        """Law 8."""
        assert not LOGIN.search(self.mails[-1])


Life.TestCase.settings = settings(
    deadline=None, suppress_health_check=list(HealthCheck), max_examples=40, stateful_step_count=40
)
test_life = Life.TestCase
