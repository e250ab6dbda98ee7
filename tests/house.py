"""A mail flow over a real store, with what it hands over, for tests of what messages do."""

import asyncio
import email
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.joinlink import own_join_link
from notes2conf_milter.core.meeting import LinkKind
from notes2conf_milter.core.policy import PolicySettings
from notes2conf_milter.core.signing import SigningSettings
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.dkim.keys import SigningKey
from notes2conf_milter.dkim.records import Records
from notes2conf_milter.dkim.signer import Signer
from notes2conf_milter.mailflow import FlowSettings, MailFlow
from notes2conf_milter.smtp.reinject import Handed, Handover
from notes2conf_milter.store import MeetingStore
from tests.inthread import InThread
from tests.invitations import BASE_URL, invitation
from tests.store.vault import Vault

NOW = 1_772_436_600  # 2026-03-02
DAY = 86400
OVER = 1_773_309_600  # the meeting's end, 2026-03-12 10:00 UTC
RULES = PolicySettings(frozenset({"example.org"}), (ip_network("192.0.2.0/24"),))
INSIDE = Envelope(Door.MILTER, b"anna@example.org", (b"bob@example.net",), ip_address("192.0.2.1"), queue_id="4Xy")
BERTA = replace(INSIDE, sender=b"berta@example.org")
MESSAGE = invitation(b"SUMMARY:Secret plan", b"LOCATION:Room 7")
ACCEPTED, DEFERRED, REFUSED = (
    Handover(Handed.ACCEPTED, 250),
    Handover(Handed.DEFERRED, 451),
    Handover(Handed.REFUSED, 550),
)
SENT = (Verdict.REWRITE, Reason.LINK_ADDED)


@dataclass
class House:
    """A flow over a real store, and what it hands over."""

    vault: Vault
    thread: ThreadPoolExecutor
    store: MeetingStore = field(init=False)
    settings: FlowSettings = field(default_factory=lambda: FlowSettings(BASE_URL, RULES))
    replies: list[Handover | Exception] = field(default_factory=list)
    mails: list[tuple[bytes, bytes]] = field(default_factory=list)
    now: int = NOW
    keys: tuple[SigningKey, ...] = ()
    records: Records | None = None
    hosted: str = ""

    def __post_init__(self) -> None:
        self.store = self.vault.mail()

    async def hand_over(self, recipient: bytes, octets: bytes) -> Handover:
        await asyncio.sleep(0)
        self.mails.append((recipient, octets))
        reply = self.replies.pop(0) if self.replies else ACCEPTED
        if isinstance(reply, Exception):
            raise reply
        return reply

    def sign_with(self, *keys: SigningKey) -> None:
        """Let the house sign with these keys."""
        self.keys = keys
        self.settings = replace(self.settings, signing=SigningSettings(tuple(key.name for key in keys)))

    def flow(self, signer: Signer | None = None) -> MailFlow:
        return MailFlow(
            self.settings,
            self.store,
            store_thread=self.thread,
            work=InThread(self.thread, self.settings.work()),
            hand_over=self.hand_over,  # type: ignore[arg-type]
            clock=lambda: self.now,
            signer=signer,
        )

    def process(self, octets: bytes = MESSAGE, envelope: Envelope = INSIDE) -> Outcome:
        async def run() -> Outcome:
            signer = Signer(self.keys, self.records, hosted=self.hosted) if self.keys or self.records else None
            flow = self.flow(signer)
            outcome = await flow.process(envelope, octets)
            await flow.finish()
            if signer is not None:
                signer.close()
            return outcome

        return asyncio.run(run())

    def deliver(self, octets: bytes, envelope: Envelope) -> Outcome:
        """What happens to a message at the conference address."""
        return asyncio.run(self.flow().deliver(envelope, octets))

    def rows(self) -> int:
        with self.vault.sql() as sql:
            return int(sql.execute("select count(*) from meeting").fetchone()[0])


def token(outcome: Outcome, octets: bytes = MESSAGE) -> str:
    """The one token in what goes on."""
    text = re.sub(rb"\r\n[ \t]", b"", apply(octets, outcome.edits))
    tokens = {match[1].decode() for match in own_join_link(BASE_URL).finditer(text)}
    assert len(tokens) == 1
    return tokens.pop()


def word(outcome: Outcome) -> tuple[Verdict, Reason]:
    return outcome.verdict, outcome.reason


def links_open(house: House, *tokens: str) -> bool:
    """Whether each of them has a page."""

    def ask() -> bool:
        web = house.vault.web()
        return all(web.open(one, tuple(LinkKind), house.now) is not None for one in tokens)

    return house.thread.submit(ask).result()


def start_token(house: House) -> str:
    """The start link's token in the mail that was handed over last."""
    text = email.message_from_bytes(house.mails[-1][1]).get_payload()[0].get_payload(decode=True)  # type: ignore[index, union-attr]
    found = re.search(rb"/s/([a-z2-7]{32})", text)  # type: ignore[arg-type]
    assert found is not None
    return found[1].decode()
