"""What a cancellation does to a meeting that is known, and what an invitation does to one that was cancelled.

In:  what is stored, what the message says. Out: what to store, or that nothing is to be kept. Pure.
Fails: never.

Producers write the same message whether the meeting is off or somebody is uninvited (STATUS:CANCELLED), and Domino writes one
for each domain. So what counts is whom the cancellations name: when they have named everybody who is known to be invited, and
nobody is missing to whom a copy of an update may be on its way, the meeting is cancelled. In doubt it stays until its end.
"""

from dataclasses import replace
from enum import Enum

from notes2conf_milter.core.meeting import Revision
from notes2conf_milter.store import dates, people
from notes2conf_milter.store.merge import Known, others

TOMBSTONE_SECONDS = 6 * 86_400  # longer than a mail server tries to deliver a message (RFC 5321 §4.5.4.1: 4 to 5 days)


class Cancelling(Enum):
    """What a cancellation did."""

    NOTHING = "nothing"
    DATE = "date"
    ATTENDEES = "attendees"
    MEETING = "meeting"


def after_cancel(known: Known, addresses: frozenset[str], revision: Revision) -> Known | None:
    """Return what to store after a cancellation of the whole; `known` itself when it says nothing new; None: delete it all.

    addresses: of those for whom it is cancelled, in lower case. One that an update to the others has overtaken counts for those
    whom the update does not name.
    """
    version = people.withdrawn(known.version, addresses, revision)
    invited = people.present(version, known.record.attendees)
    before = others(known.page, known.record.attendees) | people.missing(known.version)
    left = others(known.page, invited) | people.missing(version)
    if not left and (before or max(revision, *_withdrawals(known)) >= known.version.series):
        return None
    page, version = dates.settled(known.page, people.trimmed(version, invited), left)
    after = replace(known, page=page, record=replace(known.record, attendees=invited), version=version)
    return known if after == known else _ending(after)


def after_cancelled_dates(
    known: Known, addresses: frozenset[str], revision: Revision, starts: tuple[int, ...], *, onward: bool
) -> Known:
    """Return what to store after a cancellation of dates; `known` itself when it is late or says nothing new.

    A date goes when everybody who is invited has been named, in one message or several. starts: as the series has them, seconds
    since 1970 UTC. onward: those that follow are cancelled, too.
    expires_at of what is returned is 0 when no date is left.
    """
    page, version = known.page, known.version
    invited = others(page, known.record.attendees) | people.missing(version)
    for start in starts:
        version = dates.without(version, start, revision, addresses, onward=onward)
    page, version = dates.settled(page, version, invited)
    after = replace(known, page=page, version=version)
    return known if after == known else _ending(after)


def _ending(known: Known) -> Known:
    left = dates.end(known.version)
    if known.version.series == Revision() and not left:
        return known  # of the series nothing has been seen but what is cancelled now
    return replace(known, expires_at=left)


def buried(known: Known, revision: Revision, *, dates: bool) -> Revision:
    """Return the revision by which a meeting is gone. dates: it was one of its dates that went last.

    It is the newest that is known: what deletes the meeting may have been sent before other messages and come after them. The
    SEQUENCE of a date may have run ahead of the series'; what comes later by its DTSTAMP may make the meeting live again.
    """
    series = known.version.series
    if dates:
        if series.dtstamp and series.said_before(revision):
            revision = replace(revision, sequence=min(revision.sequence, series.sequence))
        return max(revision, series)
    return max(revision, series, *_withdrawals(known))


def _withdrawals(known: Known) -> list[Revision]:
    return [Revision(), *(one.withdrawn for one in known.version.people if one.withdrawn is not None)]


def revives(news: Revision, cancelled: Revision) -> bool:
    """Say whether an invitation is newer than the cancellation of its meeting.

    SEQUENCE alone does not say: that of an instance may have run ahead of the series'. DTSTAMP alone does not, either.
    """
    return news > cancelled and (news.dtstamp >= cancelled.dtstamp or not news.dtstamp or not cancelled.dtstamp)
