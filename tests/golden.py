"""The golden messages, and a mail flow for each as its case.toml describes the house.

tests/messages/NNN-name/: in.eml, case.toml, and out.eml where the message is rewritten. `before = ["NNN", …]` in case.toml
names the messages that came before this one, at their own times, in the same store. A private folder for real mail, outside
the repository, can be named in NOTES2CONF_PRIVATE_MESSAGES.
"""

import asyncio
import json
import os
import tempfile
import tomllib
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from notes2conf_milter.address import UnixAddress
from notes2conf_milter.core.contentlines import components
from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.invitation import is_calendar
from notes2conf_milter.core.meeting import Occurrence, Page, Person, Revision
from notes2conf_milter.core.message import header_fields, parse
from notes2conf_milter.core.policy import PolicySettings, Trigger
from notes2conf_milter.core.repairs import Mode, Repairs
from notes2conf_milter.core.signing import SigningSettings
from notes2conf_milter.core.template import wording_from
from notes2conf_milter.core.transfer import decode
from notes2conf_milter.core.verdict import Outcome
from notes2conf_milter.core.wording import WORDINGS, Wording
from notes2conf_milter.dkim.keys import SigningKey
from notes2conf_milter.dkim.signer import Signer
from notes2conf_milter.mailflow import FlowSettings, MailFlow
from notes2conf_milter.milter.server import MilterServer
from notes2conf_milter.store import Claim, EpochFile, MeetingStore, News, load_mail_key, new_keys
from notes2conf_milter.store.keys import EPOCH_NAME, MAIL_KEY_NAME
from tests.inthread import InThread
from tests.milter.mta import MilterClient
from tests.smtp.door import connected, dotted, serving
from tests.smtp.nexthop import NextHop

MESSAGES = Path(__file__).parent / "messages"
JOIN = "joinjoinjoinjoinjoinjoinjoinjoin"
START = "startstartstartstartstartstartst"
BASE_URL = "https://conf.example.org"
ALLOWED = ip_network("192.0.2.0/24")
LOOPBACK = ip_network("127.0.0.0/8")
HOUSE = (ALLOWED, ip_network("2001:db8::/32"))  # servers among themselves
WHOLE_WORLD = (ip_network("0.0.0.0/0"), ip_network("::/0"))


@dataclass(frozen=True)
class Case:
    """One golden message."""

    name: str
    message: bytes
    expected: bytes  # what goes on: out.eml, or the message itself
    facts: dict[str, Any]
    before: tuple["Case", ...] = ()

    @property
    def now(self) -> int:
        return int(self.facts["now"].timestamp())

    def envelope(self, door: Door) -> Envelope:
        """The envelope that a door would gather."""
        return Envelope(
            door,
            self.facts["sender"].encode(),
            tuple(recipient.encode() for recipient in self.facts["recipients"]),
            ip_address(self.facts["client"]),
            self.facts["authenticated"],
        )

    @property
    def client_allowed(self) -> bool:
        return ip_address(self.facts["client"]) in ALLOWED or self.facts["authenticated"]


def cases() -> list[Case]:
    """Every golden message, in order."""
    return [_case(folder) for root in _roots() for folder in sorted(root.iterdir()) if (folder / "case.toml").is_file()]


def _roots() -> Iterator[Path]:
    yield MESSAGES
    private = os.environ.get("NOTES2CONF_PRIVATE_MESSAGES")
    if private:
        yield Path(private)


def _case(folder: Path) -> Case:
    message = (folder / "in.eml").read_bytes()
    out = folder / "out.eml"
    facts = tomllib.loads((folder / "case.toml").read_text("utf-8"))
    before = tuple(_case(next(folder.parent.glob(f"{name}-*"))) for name in facts.get("before", []))
    return Case(folder.name, message, out.read_bytes() if out.is_file() else message, facts, before)


@asynccontextmanager
async def flow_for(
    case: Case, *, allowed: bool | None = None, keys: tuple[SigningKey, ...] = ()
) -> AsyncIterator[MailFlow]:
    """A mail flow with a store of its own; a known meeting is claimed first, and the messages that came before are processed.

    allowed: None takes the allowed network of the case; True and False say it of loopback, for doors that see only that.
    keys: of DKIM.
    """
    settings = case.facts.get("settings", {})
    networks = (ALLOWED,) if allowed is None else (LOOPBACK,) if allowed else ()
    policy = PolicySettings(
        organizer_domains=frozenset(case.facts.get("domains", ["example.org"])),
        allowed_networks=networks,
        house_networks=WHOLE_WORLD if case.facts.get("as_received") else HOUSE,
        trigger=Trigger(settings.get("trigger", "always")),
        keyword=settings.get("keyword", "@meet"),
        conference_addresses=frozenset(settings.get("conference_addresses", [])),
        most_attendees=settings.get("most_attendees", 500),
        tell_organizer=settings.get("tell_organizer", True),
    )
    repairs = Repairs(**{name: Mode(value) for name, value in settings.get("repairs", {}).items()})
    wordings = WORDINGS | {name: _wording(values) for name, values in settings.get("templates", {}).items()}
    language = settings.get("language", "en")
    signing = SigningSettings(tuple(key.name for key in keys))
    fixed = FlowSettings(BASE_URL, policy, language, repairs=repairs, wordings=wordings, signing=signing)
    signer = Signer(keys)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        new_keys(Path(folder), case.now)
        tokens = iter((JOIN, START))
        store = MeetingStore(
            Path(folder) / "meetings.sqlite3",
            EpochFile(Path(folder) / EPOCH_NAME),
            load_mail_key(Path(folder) / MAIL_KEY_NAME),
            draw_token=lambda: next(tokens),
        )
        try:
            if case.facts["known"]:
                thread.submit(_claim, store, case).result()

            def flow(fixed: FlowSettings, now: int) -> MailFlow:
                work = InThread(thread, fixed.work())
                return MailFlow(
                    fixed, store, store_thread=thread, work=work, hand_over=None, clock=lambda: now, signer=signer
                )

            for earlier in case.before:
                house = replace(fixed, policy=replace(policy, allowed_networks=(ALLOWED,)))
                outcome = await answer(flow(house, earlier.now), earlier.envelope(Door.MILTER), earlier.message)
                assert outcome.reason.value == earlier.facts["reason"], earlier.name
            yield flow(fixed, case.now)
        finally:
            store.close()
            signer.close()


def _wording(values: dict[str, str]) -> Wording:
    """Read a template as it is read from a file; a text in JSON's quotes is one in TOML's."""
    return wording_from("\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items()))


def _claim(store: MeetingStore, case: Case) -> None:
    """Make the meeting known that the message is about, its start mail sent, whatever the message says about it."""
    part = next(part for part in parse(case.message).walk() if is_calendar(part))
    octets = decode(case.message[part.header.body_start : part.body_end], part.encoding)
    assert octets is not None
    event = components(octets)[0].within(b"VEVENT")[0]
    uid, organizer = event.first(b"UID"), event.first(b"ORGANIZER")
    assert uid is not None
    assert organizer is not None
    address = organizer.value.decode().partition(":")[2]
    page = Page("known before", Person(address), (Occurrence(case.now + 3600, case.now + 7200),))
    known = store.claim(address, uid.value.strip().decode(), News(page, (), Revision(), case.now + 7200), case.now)
    assert isinstance(known, Claim)
    assert store.mark_start_mail_sent(known.meeting, case.now)


async def answer(flow: MailFlow, envelope: Envelope, message: bytes) -> Outcome:
    """What a door does: ask at the end of the header, then with the whole message."""
    outcome = flow.before_body(envelope, message[: header_fields(message).body_start])
    return outcome or await flow.process(envelope, message)


def through_core(case: Case, message: bytes, keys: tuple[SigningKey, ...] = ()) -> tuple[Outcome, bytes]:
    """The outcome and what goes on, by the core alone."""

    async def run() -> tuple[Outcome, bytes]:
        async with flow_for(case, keys=keys) as flow:
            outcome = await answer(flow, case.envelope(Door.MILTER), message)
            return outcome, apply(message, outcome.edits)

    return asyncio.run(run())


async def through_milter_door(case: Case, folder: Path, piece: int = 0, keys: tuple[SigningKey, ...] = ()) -> bytes:
    """What an MTA has after replaying the milter's edits. The message is in CRLF.

    folder: for the socket, with a short path; piece: octets that are written at a time, 0 for as many as there are.
    """
    async with flow_for(case, keys=keys) as flow:
        door = MilterServer()
        socket = UnixAddress(str(folder / "m"))
        await door.start(socket, flow)
        macros = {b"{client_addr}": case.facts["client"].encode()}
        if case.facts["authenticated"]:
            macros[b"{auth_authen}"] = b"anna"
        recipients = [recipient.encode() for recipient in case.facts["recipients"]]
        async with MilterClient(socket, piece=piece) as mta:
            result = await mta.deliver(case.message, case.facts["sender"].encode(), recipients, macros)
        await door.close(5)
    assert result.verdict == "accept"
    return result.message


async def through_smtp_door(case: Case, *, singly: bool = False, keys: tuple[SigningKey, ...] = ()) -> bytes:
    """What the next hop gets. The message ends in CRLF; singly: octet by octet."""
    async with (
        flow_for(case, allowed=case.client_allowed, keys=keys) as flow,
        NextHop() as hop,
        serving(hop.address, flow) as server,
        connected(server.address, singly) as client,
    ):
        assert (await client.reply()).startswith(b"220 ")
        assert (await client.ask(b"EHLO client.example")).startswith(b"250")
        for command in (b"MAIL FROM:<%s>" % case.facts["sender"].encode(), b"RCPT TO:<bob@example.net>"):
            assert (await client.ask(command)).startswith(b"250")
        assert (await client.ask(b"DATA")).startswith(b"354")
        await client.send(dotted(case.message))
        assert (await client.reply()).startswith(b"250")
        return hop.messages[0].octets
