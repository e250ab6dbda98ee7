"""Who is to be told what of a meeting, and remembering that it was done.

In:  what a message said, the meeting's claim. Out: None when all that was due is handed over, else the Outcome for the message.
A mail is handed over first and noted then, so that a crash in between may double it and nothing is lost (RFC 1047).
Fails: StoreError.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.meeting import Revision
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.core.work import Judged
from notes2conf_milter.ownmail import AT_ONCE, Links, OwnMail
from notes2conf_milter.smtp.reinject import Handed
from notes2conf_milter.store import Cancelled, Claim, MeetingStore

log = logging.getLogger("notes2conf.mail")

_AGAIN_SECONDS = 600  # a mail of the same invitation within this time is the same sending of it
_LATER = Outcome(Verdict.DEFER, Reason.OWN_MAIL_DEFERRED)


class Announcer:
    """Tells organizers and attendees. own_mail: None writes none. in_store: runs a call in the store's thread.

    attendee_links: each attendee gets an own link where there is a copy for each. reply: conference addresses accept.
    """

    def __init__(
        self,
        own_mail: OwnMail | None,
        store: MeetingStore,
        in_store: Callable[[Callable[[], Any]], Awaitable[Any]],
        clock: Callable[[], int],
        *,
        attendee_links: bool,
        reply: bool,
        conference: frozenset[str],
    ) -> None:
        self._own_mail, self._store, self._in_store, self._clock = own_mail, store, in_store, clock
        self._attendee_links, self._reply, self._conference = attendee_links, reply, conference

    async def token(self, envelope: Envelope, found: Judged, claim: Claim) -> tuple[str | None, Claim]:
        """Return the token for a message: the attendee's own where that is wanted and the message is for nobody else.

        None for whom no link is meant any more: who was uninvited, or to or by whom it is passed on who was. What is passed on
        keeps the own link that stands in it, whoever passes it on; without one it gets that of the attendee who does.
        """
        if self._attendee_links and not found.decision.update:
            addresses = [one.decode("utf-8", "replace").lower() for one in (envelope.sender, *envelope.recipients)]
            if not claim.uninvited.isdisjoint(addresses):
                return None, claim
            own = dict(claim.own_tokens)
            kept = next((one for one in found.carried if one in own.values()), None)
            return kept or own.get(addresses[0], claim.join_token), claim
        one_copy_each = envelope.door in (Door.SMTP, Door.COMMAND) and len(envelope.recipients) == 1
        if not (self._attendee_links and one_copy_each and found.decision.update):
            return claim.join_token, claim
        address = envelope.recipients[0].decode("utf-8", "replace").lower()
        if address in self._conference:
            return claim.join_token, claim
        named = address in {one.address.lower() for one in found.attendees}
        token, claim = await self._in_store(partial(self._store.own_link, claim, address, self._clock(), named=named))
        return token, claim

    async def start(self, found: Judged, claim: Claim) -> Outcome | None:
        """Send the start mail where it is due: at the first time, when the meeting has moved, when it is asked for again."""
        if self._own_mail is None:
            return None
        again = claim.unchanged and self._clock() - claim.start_mail_at >= _AGAIN_SECONDS
        if claim.start_mail_sent and not claim.moved and not again:
            return None
        before = claim.start_mail_at if claim.start_mail_sent else 0
        handed = await self._own_mail.start(_links(claim), claim.moved, before, found.language)
        if handed is Handed.ACCEPTED or (handed is Handed.REFUSED and claim.start_mail_sent):
            mark = partial(self._store.mark_start_mail_sent, claim.meeting, self._clock())
            if await self._in_store(mark):
                return None
            log.warning("start mail: the meeting went while it was handed over")
            return Outcome(Verdict.DEFER, Reason.START_MAIL_DEFERRED)
        if handed is Handed.REFUSED:
            return Outcome(Verdict.PASS, Reason.START_MAIL_REFUSED)
        return Outcome(Verdict.DEFER, Reason.START_MAIL_DEFERRED)

    async def join(self, found: Judged, claim: Claim) -> Outcome | None:
        """Send internal attendees their join link, once each."""
        if self._own_mail is None:
            return None
        due = [one for one in found.apart if one.address.lower() in claim.invited - claim.told]
        links = _links(claim) if found.whole else replace(_links(claim), page=found.page)
        for some in (due[at : at + AT_ONCE] for at in range(0, len(due), AT_ONCE)):
            tokens = dict.fromkeys(some, claim.join_token)
            if self._attendee_links:
                addresses = [one.address.lower() for one in some]
                own, _ = await self._in_store(partial(self._store.own_links, claim, addresses, self._clock()))
                tokens = {one: token for one in some if (token := own[one.address.lower()]) is not None}
            done, gone = await self._own_mail.join(links, tokens, found.language)
            await self._in_store(partial(self._store.mark_told, claim.meeting, done, self._clock()))
            if gone:
                return _LATER  # who could not be reached although the relay is there is tried with the next message
        return None

    async def accept(self, envelope: Envelope, found: Judged, claim: Claim) -> Outcome | None:
        """Send the REPLY of each conference address that was written to."""
        if self._own_mail is None or not self._reply:
            return None
        if not found.whole and len(found.dates) != 1:
            return None
        date = None if found.whole or len(found.dates) != 1 else (found.dates[0][0], found.page.times[0].all_day)
        for recipient in envelope.recipients:
            address = recipient.decode("utf-8", "replace").lower()
            gone = await self._own_mail.accept(_links(claim), address, found.uid, found.revision, date, found.language)
            if gone:
                return _LATER
        return None

    async def cancelled(self, plan: Cancelled, revision: Revision, language: str) -> Outcome | None:
        """Tell attendees that the conference is off for them. plan: what the cancellation would do; the rest is its own."""
        if self._own_mail is None or not plan.told or plan.page is None:
            return None
        told = plan.told
        for some in (told[at : at + AT_ONCE] for at in range(0, len(told), AT_ONCE)):
            if await self._own_mail.cancelled(plan.page, plan.start_token, some, revision, language):
                return _LATER
        return None


def _links(claim: Claim) -> Links:
    return Links(claim.page, claim.join_token, claim.start_token)
