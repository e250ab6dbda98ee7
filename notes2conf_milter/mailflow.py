"""One message: decide, remember, rewrite, sign. The only place where failure becomes 4xx.

In:  a door's envelope and octets. Out: an `Outcome`: pass with a reason, rewrite with edits, or defer; at the conference
     address take or drop, or defer.
Order (laws 1 and 5): the invitation is read and judged; the meeting is claimed and committed; the message is rewritten,
checked and signed; the organizer's start mail and the mails to internal attendees are handed over; only then does the
answer leave.
Whatever fails before that defers the message, or lets the original pass where a link would have nothing behind it.
Logs: one line for each message: queue id, door, verdict, reason, and repairs where there are any. No personal data, no token.
"""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from notes2conf_milter.announcing import Announcer
from notes2conf_milter.core.edits import InsertHeader, RemoveHeader
from notes2conf_milter.core.encryption import Hop, Mode, TlsRules
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.invitation import may_hold_calendar
from notes2conf_milter.core.message import MessageTooComplex, eol_of, header_fields
from notes2conf_milter.core.onward import mark
from notes2conf_milter.core.policy import PolicySettings, before_body, plainly_no_calendar
from notes2conf_milter.core.quota import Quota
from notes2conf_milter.core.repairs import Repairs
from notes2conf_milter.core.signing import FIELD, Signing, SigningSettings
from notes2conf_milter.core.skips import Skipped, may_be_skipped, signature_kept
from notes2conf_milter.core.tlsrecord import TlsLog, TlsRecord
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.core.wording import WORDINGS, Wording
from notes2conf_milter.core.work import Cancelled, Judged, WorkSettings
from notes2conf_milter.dkim.signer import Signer
from notes2conf_milter.ownmail import HandOver, Links, OwnMail
from notes2conf_milter.smtp.reinject import Handed
from notes2conf_milter.store import Cancelling, Claim, MeetingStore, News, Refusal, StoreError, UnreadableError
from notes2conf_milter.workers import OverBudget, Sitting, Work, WorkFailed

log = logging.getLogger("notes2conf.mail")

_REMEDY = (
    "the invitation goes on without a link. Either database, epoch file and mail key do not belong together: put back those "
    "that do. Or the row is damaged: it goes when its meeting is over"
)

_LONG_LOOK = 1_000_000  # octets

_CANCELLED = {
    Cancelling.NOTHING: Outcome(Verdict.PASS, Reason.METHOD_CANCEL),
    Cancelling.DATE: Outcome(Verdict.PASS, Reason.DATE_CANCELLED),
    Cancelling.ATTENDEES: Outcome(Verdict.PASS, Reason.ATTENDEES_CANCELLED),
    Cancelling.MEETING: Outcome(Verdict.FORGET, Reason.MEETING_CANCELLED),
}
_PASSED = {reason: Outcome(Verdict.PASS, reason) for reason in Reason}
_CAME_TO_SOMETHING = frozenset({Reason.DATE_CANCELLED, Reason.ATTENDEES_CANCELLED, Reason.MEETING_CANCELLED})
FADING_SECONDS = 30 * 86_400  # before a series without an end is deleted its organizer is told
_FADING_SPAN = 4 * 86_400  # so many days off the service may be without anybody missing it

T = TypeVar("T")
Note = Callable[[logging.Logger, str], None]


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """What the flow needs of the settings.

    series_seconds: how long a series without an end is kept. grace_seconds: how long a meeting is kept after its end.
    own_mail_from: From of start mails and the like, None for no-reply@ the organizer's domain. defer_without_store: invitations
    wait while the store cannot be used; else they go on without a link. meetings_per_hour: new ones of an organizer.
    attendee_links: each attendee's copy has an own link where there is a copy for each. reply: conference addresses accept.
    repairs: what else is looked for in invitations. tls: what is asked of sessions; tls_log: what is logged of them.
    language: where a message says none; wordings: what is put into messages, by language. signing: with which DKIM keys.
    mark_links: what carries a link gets the field by which Postfix knows it.
    """

    base_url: str
    policy: PolicySettings
    language: str = "en"
    message_octets: int = 26_214_400
    series_seconds: int = 730 * 86400
    grace_seconds: int = 0
    own_mail_from: str | None = None
    defer_without_store: bool = True
    meetings_per_hour: int = 100
    attendee_links: bool = False
    reply: bool = False
    repairs: Repairs = field(default_factory=Repairs)
    tls: TlsRules = field(default_factory=TlsRules)
    tls_log: TlsLog = TlsLog.EACH
    wordings: Mapping[str, Wording] = field(default_factory=WORDINGS.copy)
    signing: SigningSettings = field(default_factory=SigningSettings)
    mark_links: bool = False

    def work(self) -> WorkSettings:
        """Return what core.work needs of them."""
        given = (self.base_url, self.policy, self.language, self.series_seconds)
        return WorkSettings(*given, self.repairs, self.wordings, self.signing)


class MailFlow:
    """What the doors ask. No method raises (asyncio.CancelledError aside); they write the log line themselves.

    store: used in `store_thread` alone (one thread). work: where messages are read and rewritten, off the event loop.
    hand_over: sends a mail of our own (recipient, message); None sends none (`notes2conf-milter rewrite`). clock: seconds since
    1970 UTC. note: writes the log line of a message. signer: has the DKIM keys that the settings name.
    """

    def __init__(
        self,
        settings: FlowSettings,
        store: MeetingStore,
        *,
        store_thread: Executor,
        work: Work,
        hand_over: HandOver | None,
        clock: Callable[[], int],
        note: Note = logging.Logger.info,
        signer: Signer | None = None,
    ) -> None:
        self._settings = settings
        self._signer = signer or Signer()
        self._note = note
        self._store = store
        self._store_thread = store_thread
        self._work = work
        self._clock = clock
        self._own_mail = None
        if hand_over is not None:
            sender, language = settings.own_mail_from, settings.language
            grace, sign = settings.grace_seconds, self._signer.sign_mail
            self._own_mail = OwnMail(
                settings.base_url, sender, language, hand_over, clock, grace, sign, mark_links=settings.mark_links
            )
        self._announcer = Announcer(
            self._own_mail,
            store,
            self._in_store,
            clock,
            attendee_links=settings.attendee_links,
            reply=settings.reply,
            conference=settings.policy.conference_addresses,
        )
        self._record = TlsRecord(settings.tls, settings.tls_log, settings.policy.allowed_networks)
        self._quota = Quota(settings.meetings_per_hour)
        self._busy: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @staticmethod
    def plainly_no_calendar(fields: bytes) -> bool:
        """Say that `before_body` would answer NO_CALENDAR: it need not be asked. fields: as the milter protocol has them."""
        return plainly_no_calendar(fields)

    @property
    def judges_mail(self) -> bool:
        """Whether MAIL FROM can be refused: else it need not be asked about."""
        return self._settings.tls.requiring

    def at_mail(self, envelope: Envelope) -> Outcome | None:
        """Answer at MAIL FROM: an Outcome with verdict REFUSE, where a rule requires TLS of the session; else None."""
        rules = self._settings.tls
        if not rules.requiring or envelope.hop is not Hop.SEEN:
            return None
        rule = rules.rule(envelope.client, envelope.sender, authenticated=envelope.authenticated)
        if rule is None or rule.mode is not Mode.REQUIRE or (envelope.tls is not None and rule.met_by(envelope.tls)):
            return None
        reason = Reason.TLS_MISSING if envelope.tls is None else Reason.TLS_TOO_WEAK
        reply = rules.reply(rule, encrypted=envelope.tls is not None)
        return self._answer(envelope, Outcome(Verdict.REFUSE, reason, reply=reply))

    def before_body(self, envelope: Envelope, header: bytes) -> Outcome | None:
        """Answer at the end of the header where the body cannot matter: an Outcome with verdict PASS, else None.

        header: the header section with its line ends, without or with the empty line that ends it. Fast, no I/O.
        """
        outcome = self._before_body(envelope, header)
        return None if outcome is None else self._answer(envelope, outcome)

    def _before_body(self, envelope: Envelope, header: bytes, policy: PolicySettings | None = None) -> Outcome | None:
        try:
            reason = before_body(envelope, header, policy or self._settings.policy)
        except MessageTooComplex:
            reason = Reason.TOO_COMPLEX
        except Exception as error:  # noqa: BLE001 - law 1: what we do not understand goes on untouched or waits
            return _unforeseen(error)
        return None if reason is None else Outcome(Verdict.PASS, reason)

    def pass_unread(self, envelope: Envelope, reason: Reason) -> Outcome:
        """Answer PASS without having seen the whole message (Reason.TOO_LARGE, NO_CALENDAR)."""
        return self._answer(envelope, _PASSED[reason])

    async def process(self, envelope: Envelope, message: bytes) -> Outcome:
        """Answer for a whole message (header, empty line, body) for which `before_body` gave None."""
        return self._answer(envelope, await self._caught(self._process(envelope, message)))

    async def deliver(self, envelope: Envelope, message: bytes) -> Outcome:
        """Answer for a whole message to a conference address: TAKE or DROP, nothing goes on; or DEFER, it comes again."""
        outcome = await self._caught(self._deliver(envelope, message))
        if outcome.verdict is Verdict.PASS and outcome.reason is Reason.STORE_UNAVAILABLE:
            outcome = Outcome(Verdict.DEFER, outcome.reason)  # a message that goes nowhere else had better wait
        elif outcome.verdict in (Verdict.PASS, Verdict.FORGET):
            verdict = Verdict.TAKE if outcome.reason in _CAME_TO_SOMETHING else Verdict.DROP
            outcome = Outcome(verdict, outcome.reason)
        return self._answer(envelope, outcome)

    def drop_unread(self, envelope: Envelope, reason: Reason) -> Outcome:
        """Answer DROP for a message to a conference address of which the rest is not looked at (Reason.TOO_LARGE)."""
        return self._answer(envelope, Outcome(Verdict.DROP, reason))

    def tls_summary(self) -> list[str]:
        """Return the lines that sum up the sessions of messages since the last call, where these are not logged one by one."""
        return self._record.summary()

    async def finish(self) -> None:
        """Wait for mails of our own that are under way in the background."""
        if self._own_mail is not None:
            await self._own_mail.finish()

    async def remind(self) -> int:
        """Tell organizers of series without an end that these will be deleted, about a month before; return how many.

        A series that its organizer writes about meanwhile is kept anew. Who could not be told is told at the next call.
        """
        if self._own_mail is None:
            return 0
        now, told = self._clock(), 0
        due = partial(self._store.fading, now + FADING_SECONDS - _FADING_SPAN, now + FADING_SECONDS, now)
        for meeting in await self._in_store(due):
            found = await self._in_store(partial(self._fade, meeting, now))
            if found is None:
                continue
            claim, end = found
            links = Links(claim.page, claim.join_token, claim.start_token)
            if await self._own_mail.fading(links, end) is not Handed.DEFERRED:
                await self._in_store(partial(self._store.mark_reminded, meeting, end, now))
                told += 1
        return told

    def _fade(self, meeting: int, now: int) -> tuple[Claim, int] | None:
        try:
            return self._store.fade(meeting, now)
        except UnreadableError:
            return None  # its mail says so when it comes

    async def _caught(self, answer: Coroutine[Any, Any, Outcome]) -> Outcome:
        try:
            return await answer
        except UnreadableError as error:  # not "cannot now": its mail would wait until it bounces
            log.error("store: %s; %s", error, _REMEDY)
            return Outcome(Verdict.PASS, Reason.MEETING_UNREADABLE)
        except OverBudget as error:
            log.warning("work: more %s than a message is given; the original goes on", error)
            return Outcome(Verdict.PASS, Reason.TOO_MUCH_WORK)
        except WorkFailed as error:
            log.error("unforeseen %s", error)
            return Outcome(Verdict.DEFER, Reason.INTERNAL_ERROR)
        except StoreError as error:
            log.error("store: %s", error)
            verdict = Verdict.DEFER if self._settings.defer_without_store else Verdict.PASS
            return Outcome(verdict, Reason.STORE_UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - law 1: our failure is 4xx, whatever it is
            return _unforeseen(error)

    def _answer(self, envelope: Envelope, outcome: Outcome) -> Outcome:
        verdict, reason = outcome.verdict.value, outcome.reason.value
        said = f"queue_id={envelope.queue_id or '-'} door={envelope.door.value} verdict={verdict} reason={reason}"
        if outcome.repairs:
            said += f" repairs={','.join(map(str, outcome.repairs))}"
        if outcome.signed:
            said += f" dkim={','.join(map(str, outcome.signed))}"
        said += self._record.note(envelope, outcome.verdict)
        self._note(log, said)
        return outcome

    async def _process(self, envelope: Envelope, message: bytes) -> Outcome:
        if len(message) > self._settings.message_octets:
            return Outcome(Verdict.PASS, Reason.TOO_LARGE)
        long = len(message) > _LONG_LOOK  # then other messages go on meanwhile
        if not (await asyncio.to_thread(self._worth_reading, message) if long else self._worth_reading(message)):
            # Most mail with parts, without a change of processes.
            return self._sealed(envelope, message) or Outcome(Verdict.PASS, Reason.NO_CALENDAR)
        sitting = self._work.sitting(message)
        try:
            found = await sitting.judge(envelope, self._clock())
            if not isinstance(found, Judged):
                return await self._without_link(found)
            async with self._alone(found.page.organizer.address, found.uid):
                return await self._give_link(envelope, message, found, sitting)
        finally:
            sitting.end()

    async def _deliver(self, envelope: Envelope, message: bytes) -> Outcome:
        if len(message) > self._settings.message_octets:
            return Outcome(Verdict.DROP, Reason.TOO_LARGE)
        try:
            header = message[: header_fields(message).body_start]
        except MessageTooComplex:
            return Outcome(Verdict.DROP, Reason.TOO_COMPLEX)
        outcome = self._before_body(envelope, header)
        if outcome is not None:
            return outcome
        sitting = self._work.sitting(message)
        try:
            found = await sitting.judge(envelope, self._clock())
        finally:
            sitting.end()
        if not isinstance(found, Judged):
            return await self._without_link(found)
        if not found.decision.update:
            return Outcome(Verdict.DROP, Reason.SENDER_NOT_ORGANIZER)
        async with self._alone(found.page.organizer.address, found.uid):
            return await self._make_conference(envelope, found)

    def _sealed(self, envelope: Envelope, message: bytes) -> Outcome | None:
        """Answer for a message of which more was wanted than its header, in case it was an invitation."""
        if not self._settings.policy.tell_organizer:
            return None
        header = message[: header_fields(message).body_start]
        return self._before_body(envelope, header, replace(self._settings.policy, tell_organizer=False))

    def _worth_reading(self, message: bytes) -> bool:
        return may_hold_calendar(message) or (self._settings.policy.tell_organizer and may_be_skipped(message))

    async def _without_link(self, found: Cancelled | Skipped | Reason) -> Outcome:
        match found:
            case Cancelled():
                async with self._alone(found.organizer, found.uid):
                    return await self._cancel(found)
            case Skipped():
                if self._own_mail is not None:
                    self._own_mail.skipped(found)
                return Outcome(Verdict.PASS, found.reason)
            case Reason():
                return Outcome(Verdict.PASS, found)

    async def _cancel(self, found: Cancelled) -> Outcome:
        policy = self._settings.policy
        cancel = partial(
            self._store.cancel,
            found.organizer,
            found.uid,
            found.addresses,
            found.revision,
            self._clock(),
            dates=found.dates,
            onward=found.onward,
            conference=policy.conference_addresses,
            internal=policy.internal,
        )
        if policy.internal_domains:
            # Told first: when it is committed it is forgotten who was to be told.
            plan = await self._in_store(partial(cancel, only_look=True))
            if (refusal := await self._announcer.cancelled(plan, found.revision, found.language)) is not None:
                return refusal
        return _CANCELLED[(await self._in_store(cancel)).kind]

    async def _give_link(self, envelope: Envelope, message: bytes, found: Judged, sitting: Sitting) -> Outcome:
        claim = await self._in_store(lambda: self._claim(found))
        if isinstance(claim, Reason):
            return Outcome(Verdict.PASS, claim)
        token, claim = await self._announcer.token(envelope, found, claim)
        if token is None:
            return Outcome(Verdict.PASS, Reason.UNINVITED)
        try:
            changes = await sitting.change(token)
        except OverBudget:
            await self._release(claim)
            raise
        if isinstance(changes, str):
            log.error("self-check: %s would change beyond what is meant; the original goes on", changes)
            await self._release(claim)
            return Outcome(Verdict.PASS, Reason.SELF_CHECK_FAILED)
        signing = changes.signing
        if signing.more or (signing.endangered and await self._signer.any_valid(signing.endangered)):
            await self._release(claim)
            return self._signature_kept(message, found)
        signatures = await self._signed(signing, message)
        refusal = await self._announce(found, claim)
        if refusal is not None:
            return refusal
        edits = (*changes.edits(message), *signatures)
        reason = Reason.LINK_PRESENT if not edits else Reason.LINK_ADDED if claim.new else Reason.LINK_KEPT
        signed = tuple(one.key for one in signing.unsigned)
        marks = mark(message) if self._settings.mark_links else ()
        return Outcome(Verdict.REWRITE, reason, (*edits, *marks), changes.repairs, signed=signed)

    async def _signed(self, signing: Signing, message: bytes) -> tuple[RemoveHeader | InsertHeader, ...]:
        """Return the edits about signatures: those that go, from the last one up, then those that come."""
        removed = (RemoveHeader(FIELD, index) for index in reversed(signing.removed))
        eol = eol_of(message)
        signatures = await self._signer.sign(signing.unsigned, eol)
        return (*removed, *signatures, *await self._signer.seal(signing.arc, signing.seen, self._clock(), eol))

    def _signature_kept(self, message: bytes, found: Judged) -> Outcome:
        if self._own_mail is not None and self._settings.policy.tell_organizer and found.decision.update:
            page = found.page
            self._own_mail.skipped(signature_kept(message, page.organizer.address, page.subject, found.language))
        return Outcome(Verdict.PASS, Reason.DKIM_SIGNATURE_KEPT)

    async def _make_conference(self, envelope: Envelope, found: Judged) -> Outcome:
        claim = await self._in_store(lambda: self._claim(found))
        if isinstance(claim, Reason):
            return Outcome(Verdict.DROP, claim)
        refusal = await self._announce(found, claim) or await self._announcer.accept(envelope, found, claim)
        if refusal is not None:
            return refusal
        return Outcome(Verdict.TAKE, Reason.CONFERENCE_MADE if claim.new else Reason.CONFERENCE_KEPT)

    def _claim(self, found: Judged) -> Claim | Reason:
        """Return the meeting's links, committed, or the Reason why the message gets none. In the store's thread."""
        decision, organizer, now = found.decision, found.page.organizer.address, self._clock()
        news = self._news(found)
        if decision.claim is Reason.MEETING_OVER or news.expires_at <= now:  # the latter: it was not when it was read
            if decision.update:
                self._store.note_over(organizer, found.uid, news, now)
            return Reason.MEETING_OVER
        claim: Claim | Refusal | None
        full = decision.claim is None and not self._quota.allows(organizer, now)
        if not decision.update:
            known = self._store.find(organizer, found.uid, now)
            # Until the organizer has the start link, the row may yet go: nobody else gets its join link.
            claim = known if known is not None and known.start_mail_sent else None
        else:
            claim = self._store.claim(organizer, found.uid, news, now, only_known=decision.claim is not None or full)
        if claim is Refusal.CANCELLED:
            return Reason.CANCELLED_BEFORE
        if claim is not None and claim.new:
            self._quota.count(organizer, now)
        return claim or decision.claim or (Reason.TOO_MANY_MEETINGS if full else Reason.MEETING_OVER)

    def _news(self, found: Judged) -> News:
        grace = self._settings.grace_seconds
        return News(
            found.page,
            found.attendees,
            found.revision,
            found.over_at + grace,
            found.whole,
            tuple((at, replace(one, over_at=one.over_at + grace)) for at, one in found.dates),
            found.lag + grace,
            found.complete,
            found.said,
            found.endless,
            found.since,
            found.shared,
            found.kept + grace,
        )

    async def _announce(self, found: Judged, claim: Claim) -> Outcome | None:
        """Write to organizer and internal attendees what is due; return the Outcome when that fails."""
        if not found.decision.update:
            return None
        refusal = await self._announcer.start(found, claim) or await self._announcer.join(found, claim)
        if refusal is not None and refusal.reason is Reason.START_MAIL_REFUSED:
            await self._release(claim)
        return refusal

    async def _release(self, claim: Claim) -> None:
        """Drop the meeting if this very message made it and nobody has used it since: then no link of it is out."""
        await self._in_store(lambda: self._store.release(claim))

    async def _in_store(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._store_thread, call)

    @asynccontextmanager
    async def _alone(self, organizer: str, uid: str) -> AsyncIterator[None]:
        """Let messages about one meeting pass one after the other: Domino sends one for each domain, at once."""
        key = (organizer.lower(), uid)
        lock = self._busy.get(key) or self._busy.setdefault(key, asyncio.Lock())
        async with lock:
            yield


def _unforeseen(error: Exception) -> Outcome:
    """Log an error by its type and place, never by its text: that may hold what a message says."""
    frames = " < ".join(
        f"{frame.name}:{frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__)[-6:])
    )
    log.error("unforeseen %s at %s", type(error).__name__, frames)
    return Outcome(Verdict.DEFER, Reason.INTERNAL_ERROR)
