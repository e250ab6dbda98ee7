"""One message: decide, remember, rewrite. The only place where failure becomes 4xx.

In:  a door's envelope and octets. Out: an `Outcome`: pass with a reason, rewrite with edits, or defer.
Order (laws 1 and 5): the invitation is read and judged; the meeting is claimed and committed; the message is rewritten and
checked; the organizer's start mail is handed over; only then does the answer leave. Whatever fails before that defers the
message, or lets the original pass where a link would have nothing behind it.
Logs: one line for each message: queue id, door, verdict, reason, and repairs where there are any. No personal data, no token.
"""

import asyncio
import hashlib
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from weakref import WeakValueDictionary

from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.invitation import may_hold_calendar
from notes2conf_milter.core.joinlink import join_url, start_url
from notes2conf_milter.core.message import MessageTooComplex
from notes2conf_milter.core.policy import PolicySettings, before_body, plainly_no_calendar
from notes2conf_milter.core.repairs import Repairs
from notes2conf_milter.core.startmail import StartMail, compose
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.core.work import Cancelled, Judged, WorkSettings
from notes2conf_milter.smtp.reinject import Handed, Handover
from notes2conf_milter.store import Cancelling, Claim, MeetingStore, Refusal, StoreError, UnreadableError
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

T = TypeVar("T")
HandOver = Callable[[bytes, bytes], "asyncio.Future[Handover]"]
Note = Callable[[logging.Logger, str], None]


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """What the flow needs of the settings.

    series_seconds: how long a series without an end is kept. grace_seconds: how long a meeting is kept after its end.
    start_mail_from: From of start mails, None for no-reply@ the organizer's domain. defer_without_store: invitations wait
    while the store cannot be used; else they go on without a link. repairs: what else is looked for in invitations.
    """

    base_url: str
    policy: PolicySettings
    language: str = "en"
    message_octets: int = 26_214_400
    series_seconds: int = 730 * 86400
    grace_seconds: int = 0
    start_mail_from: str | None = None
    defer_without_store: bool = True
    repairs: Repairs = field(default_factory=Repairs)

    def work(self) -> WorkSettings:
        """Return what core.work needs of them."""
        return WorkSettings(self.base_url, self.policy, self.language, self.series_seconds, self.repairs)


class MailFlow:
    """What both doors ask. No method raises (asyncio.CancelledError aside); they write the log line themselves.

    store: used in `store_thread` alone (one thread). work: where messages are read and rewritten, off the event loop.
    hand_over: sends a start mail (recipient, message); None sends none (`notes2conf-milter rewrite`). clock: seconds since
    1970 UTC. note: writes the log line of a message.
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
    ) -> None:
        self._settings = settings
        self._note = note
        self._store = store
        self._store_thread = store_thread
        self._work = work
        self._hand_over = hand_over
        self._clock = clock
        self._busy: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @staticmethod
    def plainly_no_calendar(header: bytes) -> bool:
        """Say that `before_body` would answer NO_CALENDAR: it need not be asked. header: as it comes, in any form."""
        return plainly_no_calendar(header)

    def before_body(self, envelope: Envelope, header: bytes) -> Outcome | None:
        """Answer at the end of the header where the body cannot matter: an Outcome with verdict PASS, else None.

        header: the header section with its line ends, without or with the empty line that ends it. Fast, no I/O.
        """
        try:
            reason = before_body(envelope, header, self._settings.policy)
        except MessageTooComplex:
            reason = Reason.TOO_COMPLEX
        except Exception as error:  # noqa: BLE001 - law 1: what we do not understand goes on untouched or waits
            return self._answer(envelope, _unforeseen(error))
        return None if reason is None else self._answer(envelope, Outcome(Verdict.PASS, reason))

    def pass_unread(self, envelope: Envelope, reason: Reason) -> Outcome:
        """Answer PASS without having seen the whole message (Reason.TOO_LARGE, NO_CALENDAR)."""
        return self._answer(envelope, Outcome(Verdict.PASS, reason))

    async def process(self, envelope: Envelope, message: bytes) -> Outcome:
        """Answer for a whole message (header, empty line, body) for which `before_body` gave None."""
        try:
            outcome = await self._process(envelope, message)
        except UnreadableError as error:  # not "cannot now": its mail would wait until it bounces
            log.error("store: %s; %s", error, _REMEDY)
            outcome = Outcome(Verdict.PASS, Reason.MEETING_UNREADABLE)
        except OverBudget as error:
            log.warning("work: more %s than a message is given; the original goes on", error)
            outcome = Outcome(Verdict.PASS, Reason.TOO_MUCH_WORK)
        except WorkFailed as error:
            log.error("unforeseen %s", error)
            outcome = Outcome(Verdict.DEFER, Reason.INTERNAL_ERROR)
        except StoreError as error:
            log.error("store: %s", error)
            verdict = Verdict.DEFER if self._settings.defer_without_store else Verdict.PASS
            outcome = Outcome(verdict, Reason.STORE_UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - law 1: our failure is 4xx, whatever it is
            outcome = _unforeseen(error)
        return self._answer(envelope, outcome)

    def _answer(self, envelope: Envelope, outcome: Outcome) -> Outcome:
        verdict, reason = outcome.verdict.value, outcome.reason.value
        said = f"queue_id={envelope.queue_id or '-'} door={envelope.door.value} verdict={verdict} reason={reason}"
        if outcome.repairs:
            said += f" repairs={','.join(map(str, outcome.repairs))}"
        self._note(log, said)
        return outcome

    async def _process(self, envelope: Envelope, message: bytes) -> Outcome:
        if len(message) > self._settings.message_octets:
            return Outcome(Verdict.PASS, Reason.TOO_LARGE)
        long = len(message) > _LONG_LOOK  # then other messages go on meanwhile
        if not (await asyncio.to_thread(may_hold_calendar, message) if long else may_hold_calendar(message)):
            return Outcome(Verdict.PASS, Reason.NO_CALENDAR)  # most mail with parts, without a change of processes
        sitting = self._work.sitting(message)
        try:
            found = await sitting.judge(envelope, self._clock())
            if isinstance(found, Reason):
                return Outcome(Verdict.PASS, found)
            if isinstance(found, Cancelled):
                async with self._alone(found.organizer, found.uid):
                    return await self._cancel(found)
            async with self._alone(found.page.organizer.address, found.uid):
                return await self._give_link(message, found, sitting)
        finally:
            sitting.end()

    async def _cancel(self, found: Cancelled) -> Outcome:
        about = partial(self._store.cancel, recurrence_id=found.instance, replaced=found.replaced)
        cancel = partial(about, found.organizer, found.uid, found.addresses, found.revision, self._clock())
        return _CANCELLED[await self._in_store(cancel)]

    async def _give_link(self, message: bytes, found: Judged, sitting: Sitting) -> Outcome:
        claim = await self._in_store(lambda: self._claim(found))
        if isinstance(claim, Reason):
            return Outcome(Verdict.PASS, claim)
        try:
            changes = await sitting.change(claim.join_token)
        except OverBudget:
            await self._release(claim)
            raise
        if isinstance(changes, str):
            log.error("self-check: %s would change beyond what is meant; the original goes on", changes)
            await self._release(claim)
            return Outcome(Verdict.PASS, Reason.SELF_CHECK_FAILED)
        refusal = await self._announce(found, claim)
        if refusal is not None:
            return refusal
        edits = changes.edits(message)
        reason = Reason.LINK_PRESENT if not edits else Reason.LINK_ADDED if claim.new else Reason.LINK_KEPT
        return Outcome(Verdict.REWRITE, reason, edits, changes.repairs)

    def _claim(self, found: Judged) -> Claim | Reason:
        """Return the meeting's links, committed, or the Reason why the message gets none. In the store's thread."""
        decision, organizer, now = found.decision, found.page.organizer.address, self._clock()
        expires_at = found.over_at + self._settings.grace_seconds
        if expires_at <= now:  # it was not when it was read
            return Reason.MEETING_OVER
        claim: Claim | Refusal | None
        if not decision.update:
            known = self._store.find(organizer, found.uid, now)
            # Until the organizer has the start link, the row may yet go: nobody else gets its join link.
            claim = known if known is not None and known.start_mail_sent else None
        else:
            claim = self._store.claim(
                organizer,
                found.uid,
                found.page,
                found.attendees,
                found.revision,
                found.instance,
                expires_at,
                now,
                replaced=found.replaced,
                only_known=decision.claim is not None,
            )
        if claim is Refusal.CANCELLED:
            return Reason.CANCELLED_BEFORE
        return claim or decision.claim or Reason.MEETING_OVER

    async def _announce(self, found: Judged, claim: Claim) -> Outcome | None:
        """Hand the start mail over unless it was before; return the Outcome when that fails."""
        if claim.start_mail_sent or self._hand_over is None or not found.decision.update:
            return None
        handover = await self._hand_over(found.page.organizer.address.encode(), self._start_mail(found, claim))
        if handover.result is Handed.ACCEPTED:
            now = self._clock()
            mark = partial(self._store.mark_start_mail_sent, claim.meeting, now)
            if await self._in_store(mark):
                return None
            log.warning("start mail: the meeting went while it was handed over")
            return Outcome(Verdict.DEFER, Reason.START_MAIL_DEFERRED)
        log.warning("start mail: %s, reply code %s", handover.result.value, handover.code or "none")
        if handover.result is Handed.REFUSED:
            await self._release(claim)
            return Outcome(Verdict.PASS, Reason.START_MAIL_REFUSED)
        return Outcome(Verdict.DEFER, Reason.START_MAIL_DEFERRED)

    def _start_mail(self, found: Judged, claim: Claim) -> bytes:
        page = found.page
        domain = page.organizer.address.rpartition("@")[2]
        return compose(
            StartMail(
                page,
                start_url(self._settings.base_url, claim.start_token),
                join_url(self._settings.base_url, claim.join_token),
                self._settings.start_mail_from or f"no-reply@{domain}",
                f"<start.{_mark(claim.start_token)}@{domain}>",
                self._clock(),
                self._settings.language,
            )
        )

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


def _mark(token: str) -> str:
    """Return what makes the Message-ID of a start mail: the same whenever it is sent, and no way back to the token."""
    return hashlib.sha256(b"start mail " + token.encode()).hexdigest()[:32]


def _unforeseen(error: Exception) -> Outcome:
    """Log an error by its type and place, never by its text: that may hold what a message says."""
    frames = " < ".join(
        f"{frame.name}:{frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__)[-6:])
    )
    log.error("unforeseen %s at %s", type(error).__name__, frames)
    return Outcome(Verdict.DEFER, Reason.INTERNAL_ERROR)
