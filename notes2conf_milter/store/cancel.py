"""What a cancellation does to a meeting that is known, and what an invitation does to one that was cancelled.

In:  what is stored, what the message says. Out: what to store, or that nothing is to be kept. Pure.
Fails: never.

Producers write the same message whether the meeting is off or somebody is uninvited (STATUS:CANCELLED), and Domino writes one
for each domain. So what counts is whom the cancellations name: when they have named everybody who is known to be invited, the
meeting is cancelled. In doubt it stays until its end.
"""

from dataclasses import replace
from enum import Enum

from notes2conf_milter.core.meeting import Revision
from notes2conf_milter.store.merge import MAX_ATTENDEES, Known, News, merged

TOMBSTONE_SECONDS = 6 * 86_400  # longer than a mail server tries to deliver a message (RFC 5321 §4.5.4.1: 4 to 5 days)


class Cancelling(Enum):
    """What a cancellation did."""

    NOTHING = "nothing"
    DATE = "date"
    ATTENDEES = "attendees"
    MEETING = "meeting"


def after_cancel(known: Known, addresses: frozenset[str], revision: Revision) -> Known | None:
    """Return what to store after a cancellation; `known` itself when it is late or says nothing new; None: delete it all.

    addresses: of those for whom it is cancelled, in lower case.
    """
    if revision < known.version.series:
        return known
    invited = tuple(one for one in known.record.attendees if one.address.lower() not in addresses)
    organizer = known.page.organizer.address.lower()
    if all(one.address.lower() == organizer for one in invited):
        return None
    withdrawn = dict(known.version.withdrawn)
    withdrawn |= {address: max(revision, withdrawn.get(address, revision)) for address in addresses}
    version = replace(known.version, withdrawn=tuple(sorted(withdrawn.items())[:MAX_ATTENDEES]))
    after = replace(known, record=replace(known.record, attendees=invited), version=version)
    return known if after == known else after


def after_cancelled_date(
    known: Known, addresses: frozenset[str], revision: Revision, recurrence_id: str, replaced: tuple[int, ...]
) -> Known:
    """Return what to store after a cancellation of one date; `known` itself when it is late, says nothing new, or does not name
    everybody who is known to be invited.

    replaced: the date's start in the series, seconds since 1970 UTC.
    """
    organizer = known.page.organizer.address.lower()
    others = {one.address.lower() for one in known.record.attendees} - {organizer}
    if not others <= addresses:
        return known
    return merged(
        known, News(replace(known.page, times=()), (), revision, recurrence_id, 0, replaced)
    )  # at no other time


def revives(news: Revision, cancelled: Revision) -> bool:
    """Say whether an invitation is newer than the cancellation of its meeting.

    SEQUENCE alone does not say: that of an instance may have run ahead of the series'. DTSTAMP alone does not, either.
    """
    return news > cancelled and (news.dtstamp >= cancelled.dtstamp or not news.dtstamp or not cancelled.dtstamp)
