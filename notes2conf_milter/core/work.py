"""What is done with one message: read and judged, then given its link and checked. The part of the way that takes time.

In:  a message, its envelope, settings, the time; later the join token. Out: what the store needs to know of the invitation
     or the cancellation, or the `Reason` why it passes; later the changes, or the self-check's word for what would change
     too much.
Fails: never by itself. How much time and memory it may take is the business of who calls it (workers.py).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from notes2conf_milter.core.edits import Changes
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.invitation import Cancellation, Invitation, read
from notes2conf_milter.core.joinlink import own_join_link
from notes2conf_milter.core.language import language_of
from notes2conf_milter.core.meeting import Instance, Page, Person, Revision
from notes2conf_milter.core.mending import Mending, mend
from notes2conf_milter.core.message import author
from notes2conf_milter.core.occurrences import Apart, ScheduleError, schedule
from notes2conf_milter.core.policy import (
    Decision,
    PolicySettings,
    Trigger,
    decide,
    guests_apart,
    obeyed,
    senders,
    speaks_for_author,
)
from notes2conf_milter.core.repairs import Repairs
from notes2conf_milter.core.revision import revision_of
from notes2conf_milter.core.rewrite import Job, changes, meant
from notes2conf_milter.core.said import marks
from notes2conf_milter.core.selfcheck import check
from notes2conf_milter.core.signing import Parties, SigningSettings, domain_of, plan
from notes2conf_milter.core.skips import Skipped, skipped
from notes2conf_milter.core.verdict import Reason
from notes2conf_milter.core.wording import WORDINGS, Wording

# Every day of the two years that a series without an end is kept, and room for moved instances in a row.
LISTED_TIMES = 800
_MOST_CARRIED = 10


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """What the work needs of the settings. series_seconds: how long a series without an end is kept.

    language: where a message says none, or one that has no wording. wordings: by language.
    """

    base_url: str
    policy: PolicySettings
    language: str
    series_seconds: int
    repairs: Repairs = field(default_factory=Repairs)
    wordings: Mapping[str, Wording] = field(default_factory=WORDINGS.copy)
    signing: SigningSettings = field(default_factory=SigningSettings)

    def language_for(self, message: bytes, found: Invitation | Cancellation) -> str:
        """Return the language of what is put into a message, and of mails about it."""
        calendar = found.calendar if isinstance(found, Cancellation) else found.copies[0].calendar
        language = language_of(message, found.root, calendar)
        return self.language if language is None or language not in self.wordings else language


@dataclass(frozen=True, slots=True)
class Judged:
    """An invitation that may get a link, as the store needs it. over_at: seconds since 1970 UTC.

    whole: it is about the whole meeting, not about some dates alone. dates: those of which it speaks apart, by the start that
    the series has for each. lag, complete, endless: as in `Schedule`. apart: attendees whose invitations never come by.
    language: of what is put into it, and of mails about it. carried: the tokens of join links of ours in the calendar
    of what somebody else passes on. shared: as in `Schedule`. since: when it was read; what was over then is not listed. kept:
    until when a series without an end is kept after this message, seconds since 1970 UTC.
    """

    decision: Decision
    uid: str
    page: Page
    attendees: tuple[Person, ...]
    revision: Revision
    whole: bool
    over_at: int
    language: str
    dates: tuple[tuple[int, Instance], ...] = ()
    lag: int = 0
    complete: bool = True
    said: tuple[str, str] = ("", "")
    apart: tuple[Person, ...] = ()
    endless: bool = False
    carried: tuple[str, ...] = ()
    shared: tuple[int, ...] = ()
    since: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A cancellation that is obeyed, as the store needs it. addresses: of those for whom it is cancelled, in lower case.

    dates: the starts that the series has for the dates that are cancelled, seconds since 1970 UTC; none for the whole. onward:
    those that follow, too. language: of mails about it.
    """

    organizer: str
    uid: str
    addresses: frozenset[str]
    revision: Revision
    dates: tuple[int, ...]
    onward: bool
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
    own_link = own_join_link(settings.base_url)
    decision = decide(
        envelope,
        message,
        invitation,
        settings.policy,
        own_link=own_link,
        over_at=times.over_at,
        now=now,
    )
    if isinstance(decision, Reason):
        return decision
    if decision.claim is Reason.MEETING_OVER and not times.times:
        return Reason.MEETING_OVER  # it says of no date when it is
    return invitation, Judged(
        decision,
        _text(invitation.uid),
        Page(invitation.summary, invitation.organizer, times.times, times.recurring),
        invitation.attendees,
        invitation.revision,
        invitation.whole,
        times.over_at,
        settings.language_for(message, invitation),
        tuple((one.original, _instance(one)) for one in times.apart),
        times.lag,
        times.complete,
        marks(message, invitation),
        guests_apart(envelope, invitation, settings.policy),
        times.endless,
        () if decision.update else _carried(invitation, own_link),
        times.shared,
        now,
        now + settings.series_seconds,
    )


def _carried(invitation: Invitation, own_link: re.Pattern[bytes]) -> tuple[str, ...]:
    """Return the tokens of our join links in the events, each once, in the order in which they stand there."""
    lines = (line for copy in invitation.copies for event in copy.events for line in event.lines)
    found = (match[1].decode("ascii").lower() for line in lines for match in own_link.finditer(line.value))
    return tuple(islice(dict.fromkeys(found), _MOST_CARRIED))


def _cancelled(
    message: bytes, envelope: Envelope, found: Cancellation, settings: WorkSettings, now: int
) -> Cancelled | Reason:
    if not obeyed(envelope, message, found, settings.policy):
        return Reason.METHOD_CANCEL
    named = frozenset(one.address.lower() for one in found.attendees) - {found.organizer.address.lower()}
    # Where nobody is named it is cancelled for those who get the message.
    addresses = named or frozenset(_text(recipient).lower() for recipient in envelope.recipients)
    try:
        dates = () if found.whole else schedule(found.calendar, found.uid, now, max_times=1).replaced
    except ScheduleError:
        return Reason.METHOD_CANCEL
    own = settings.policy.conference_addresses
    reached = addresses | {_text(recipient).lower() for recipient in envelope.recipients}
    return Cancelled(
        found.organizer.address,
        _text(found.uid),
        addresses | (reached & own),
        found.revision,
        dates,
        found.onward,
        settings.language_for(message, found),
    )


def _instance(one: Apart) -> Instance:
    return Instance(revision_of(one.event), () if one.time is None else (one.time,), one.over_at, one.onward)


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def change(
    message: bytes,
    invitation: Invitation,
    settings: WorkSettings,
    token: str,
    envelope: Envelope | None = None,
    now: int = 0,
) -> Changes | str:
    """Return the changes that give `message` its link and repair it, or the self-check's complaint (law 2).

    A repair that the self-check does not agree with is left out: it never costs the link. What becomes of signatures is
    said where there is an envelope. now: seconds since 1970 UTC, when the message is signed.
    """
    policy = settings.policy
    keyword: re.Pattern[bytes] | None = policy.keyword_found if policy.trigger is Trigger.KEYWORD else None
    language = settings.language_for(message, invitation)
    others = tuple(wording for name, wording in settings.wordings.items() if name != language)
    job = Job(settings.base_url, token, settings.wordings[language], keyword, others)
    mending = mend(message, invitation, settings.repairs)
    found = _checked(message, invitation, job, mending)
    if isinstance(found, str) and (mending.unwraps or mending.rule):
        found = _checked(message, invitation, job, Mending(invitation, repairs=mending.failed()))
    if isinstance(found, str) or envelope is None or not (found.splices or found.fields):
        return found  # only what is rewritten is signed
    own = settings.policy.own_domain
    parties = Parties(
        domain_of(author(message)),
        domain_of(invitation.organizer.address),
        _sender_domains(message, envelope, invitation, policy),
        lambda domain: own(f"@{domain}"),
    )
    return replace(found, signing=plan(message, found.applied(message), parties, settings.signing, now))


def _sender_domains(
    message: bytes, envelope: Envelope, invitation: Invitation, policy: PolicySettings
) -> frozenset[str] | None:
    """Return the domains of those who have to agree before the author's domain signs (law 9); None where there is no envelope.

    A server that passes mail on by itself is a sender of the house, and From anybody's: so who is shown must be who sends,
    unless that is the organizer; and whatever counts as the sender, the envelope is one.
    """
    if envelope.door is Door.COMMAND:
        return None
    found = senders(envelope, message, policy)
    if not speaks_for_author(envelope, message, invitation, policy):
        return frozenset({""})  # nobody
    return frozenset(map(domain_of, (*found, envelope.sender.decode("utf-8", "replace"))))


def _checked(message: bytes, invitation: Invitation, job: Job, mending: Mending) -> Changes | str:
    found = changes(message, invitation, job, mending)
    if not found.splices and not found.fields:
        return found
    complaint = check(message, found.applied(message), meant(invitation, job, mending))
    return found if complaint is None else complaint
