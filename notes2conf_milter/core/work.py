"""What is done with one message: read and judged, then given its link and checked. The part of the way that takes time.

In:  a message, its envelope, settings, the time; later the join token. Out: what the store needs to know of the invitation
     or the cancellation, or the `Reason` why it passes; later the changes, or the self-check's word for what would change
     too much.
Fails: never by itself. How much time and memory it may take is the business of who calls it (workers.py).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from notes2conf_milter.core.edits import Changes
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.invitation import Cancellation, Invitation, read
from notes2conf_milter.core.joinlink import own_join_link
from notes2conf_milter.core.language import language_of
from notes2conf_milter.core.meeting import Page, Person, Revision
from notes2conf_milter.core.occurrences import ScheduleError, schedule
from notes2conf_milter.core.policy import Decision, PolicySettings, Trigger, decide, guests_apart, obeyed
from notes2conf_milter.core.rewrite import Job, changes, meant
from notes2conf_milter.core.selfcheck import check
from notes2conf_milter.core.skips import Skipped, skipped
from notes2conf_milter.core.verdict import Reason
from notes2conf_milter.core.wording import WORDINGS, Wording

# Every day of the two years that a series without an end is kept, and room for moved instances in a row.
LISTED_TIMES = 800


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """What the work needs of the settings. series_seconds: how long a series without an end is kept.

    language: where a message says none, or one that has no wording. wordings: by language.
    """

    base_url: str
    policy: PolicySettings
    language: str
    series_seconds: int
    wordings: Mapping[str, Wording] = field(default_factory=WORDINGS.copy)

    def language_for(self, message: bytes, found: Invitation | Cancellation) -> str:
        """Return the language of what is put into a message, and of mails about it."""
        calendar = found.calendar if isinstance(found, Cancellation) else found.copies[0].calendar
        language = language_of(message, found.root, calendar)
        return self.language if language is None or language not in self.wordings else language


@dataclass(frozen=True, slots=True)
class Judged:
    """An invitation that may get a link, as the store needs it. over_at: seconds since 1970 UTC.

    language: of what is put into it, and of mails about it. replaced: where it is about an instance, the start that the series
    has for it, seconds since 1970 UTC. apart: attendees whose invitations never come by.
    """

    decision: Decision
    uid: str
    page: Page
    attendees: tuple[Person, ...]
    revision: Revision
    instance: str | None
    over_at: int
    language: str
    replaced: tuple[int, ...] = ()
    apart: tuple[Person, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A cancellation that is obeyed, as the store needs it. addresses: of those for whom it is cancelled, in lower case.

    instance: RECURRENCE-ID of the date that is cancelled, None for the whole. replaced: the date's start in the series.
    language: of mails about it.
    """

    organizer: str
    uid: str
    addresses: frozenset[str]
    revision: Revision
    instance: str | None
    replaced: tuple[int, ...]
    language: str


def judge(
    message: bytes, envelope: Envelope, settings: WorkSettings, now: int
) -> tuple[Invitation, Judged] | Cancelled | Skipped | Reason:
    """Return the invitation in `message` and what is to be known of it, or a cancellation, or why the message passes.

    Skipped: the organizer is to be told, too.
    """
    invitation = read(message)
    if isinstance(invitation, Reason):
        return skipped(message, envelope, settings.policy, invitation) or invitation
    if isinstance(invitation, Cancellation):
        return _cancelled(message, envelope, invitation, settings, now)
    try:
        times = schedule(
            invitation.copies[0].calendar,
            invitation.uid,
            now,
            open_ended_seconds=settings.series_seconds,
            max_times=LISTED_TIMES,
        )
    except ScheduleError:
        reason = Reason.CALENDAR_UNPARSABLE
        return skipped(message, envelope, settings.policy, reason) or reason
    decision = decide(
        envelope,
        message,
        invitation,
        settings.policy,
        own_link=own_join_link(settings.base_url),
        over_at=times.over_at,
        now=now,
    )
    if isinstance(decision, Reason):
        return decision
    return invitation, Judged(
        decision,
        _text(invitation.uid),
        Page(invitation.summary, invitation.organizer, times.times, times.recurring),
        invitation.attendees,
        invitation.revision,
        invitation.instance,
        times.over_at,
        settings.language_for(message, invitation),
        times.replaced if times.partial else (),
        guests_apart(envelope, invitation, settings.policy),
    )


def _cancelled(
    message: bytes, envelope: Envelope, found: Cancellation, settings: WorkSettings, now: int
) -> Cancelled | Reason:
    if not obeyed(envelope, message, found, settings.policy):
        return Reason.METHOD_CANCEL
    named = frozenset(one.address.lower() for one in found.attendees) - {found.organizer.address.lower()}
    # Where nobody is named it is cancelled for those who get the message.
    addresses = named or frozenset(_text(recipient).lower() for recipient in envelope.recipients)
    try:
        replaced = () if found.instance is None else schedule(found.calendar, found.uid, now, max_times=1).replaced
    except ScheduleError:
        return Reason.METHOD_CANCEL
    own = settings.policy.conference_addresses
    reached = addresses | {_text(recipient).lower() for recipient in envelope.recipients}
    return Cancelled(
        found.organizer.address,
        _text(found.uid),
        addresses | (reached & own),
        found.revision,
        found.instance,
        replaced,
        settings.language_for(message, found),
    )


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def change(message: bytes, invitation: Invitation, settings: WorkSettings, token: str) -> Changes | str:
    """Return the changes that give `message` its link, or the self-check's complaint (law 2)."""
    policy = settings.policy
    keyword: re.Pattern[bytes] | None = policy.keyword_found if policy.trigger is Trigger.KEYWORD else None
    language = settings.language_for(message, invitation)
    others = tuple(wording for name, wording in settings.wordings.items() if name != language)
    job = Job(settings.base_url, token, settings.wordings[language], keyword, others)
    found = changes(message, invitation, job)
    if not found.splices and not found.fields:
        return found
    complaint = check(message, found.applied(message), meant(invitation, job))
    return found if complaint is None else complaint
