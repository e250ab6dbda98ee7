"""What an invitation does to a meeting that is known: newer ones change it, equal ones complete it, older ones hardly count.

In:  what is stored, what the message says. Out: what to store; the same value when nothing changes. Pure.
Fails: never. Bounded: whatever the messages say, a row keeps at most MAX_TIMES occurrences, MAX_ATTENDEES,
MAX_INSTANCES.

The state is what the newest message about each thing says: about the series (dates.py), about each of its instances, about
each person (people.py). So the order in which messages arrive does not matter.
"""

from dataclasses import dataclass, replace

from notes2conf_milter.core.meeting import Instance, MailRecord, Page, Person, Revision, Version
from notes2conf_milter.store import dates, people
from notes2conf_milter.store.dates import MAX_INSTANCES, MAX_TIMES
from notes2conf_milter.store.people import MAX_ATTENDEES

__all__ = ["MAX_ATTENDEES", "MAX_INSTANCES", "MAX_TIMES", "Known", "News", "first", "merged"]


@dataclass(frozen=True, slots=True)
class Known:
    """What the mail service knows of a meeting. expires_at: seconds since 1970 UTC."""

    page: Page
    record: MailRecord
    version: Version
    expires_at: int


@dataclass(frozen=True, slots=True)
class News:
    """What an invitation says of a meeting.

    page: its times are those of the instances, too. expires_at: when all that it speaks of is over, seconds since 1970 UTC.
    whole: it speaks of the whole, not of some dates alone. instances: dates of which it speaks apart, as in `Version`. lag,
    complete, endless, since: as in `Version`. said: marks of the message, and of what its event says. shared: starts that the
    series has itself, and an instance was moved to besides. kept: until when a series without an end is kept after this
    message.
    """

    page: Page
    attendees: tuple[Person, ...]
    revision: Revision
    expires_at: int
    whole: bool = True
    instances: tuple[tuple[int, Instance], ...] = ()
    lag: int = 0
    complete: bool = True
    said: tuple[str, str] = ("", "")
    endless: bool = False
    since: int = 0
    shared: tuple[int, ...] = ()
    kept: int = 0


def others(page: Page, attendees: tuple[Person, ...]) -> set[str]:
    """Return the addresses of those who are invited, in lower case, but for the organizer's."""
    return {one.address.lower() for one in attendees} - {page.organizer.address.lower()}


def first(uid: str, news: News, join_token: str, start_token: str) -> Known:
    """Return what to store of a meeting that is new; tokens: its links."""
    nothing = Known(
        replace(news.page, times=(), recurring=news.page.recurring or not news.whole),
        MailRecord(uid, (), join_token, start_token),
        Version(Revision()),
        news.expires_at,
    )
    return merged(nothing, news)


def merged(known: Known, news: News) -> Known:
    """Return what to store after a message; `known` itself when the message is an older one or says nothing new."""
    version, seen = known.version, known.version.series
    if news.whole:
        page, version = dates.after_series(
            known.page,
            version,
            news.page,
            news.revision,
            news.instances,
            complete=news.complete,
            since=news.since,
            shared=news.shared,
        )
        complete = dates.known_to_the_last(version, news.page.times, complete=news.complete)
        if news.revision > seen:
            version = replace(version, over_at=news.expires_at, lag=news.lag, complete=complete, endless=news.endless)
        elif news.revision == seen:  # for other recipients; or the first of all, without SEQUENCE and DTSTAMP
            version = replace(
                version,
                over_at=max(version.over_at, news.expires_at),
                lag=max(version.lag, news.lag),
                complete=known.version.complete and complete,
                endless=version.endless or news.endless,
            )
    else:
        page, version = dates.after_instances(known.page, version, news.instances)
        if version.endless:
            version = replace(version, over_at=max(version.over_at, news.kept))
    version = people.invited(version, news.attendees, news.revision)
    attendees = people.present(version, (*known.record.attendees, *news.attendees))
    version = people.trimmed(version, attendees)
    page, version = dates.settled(page, version, others(page, attendees) | people.missing(version))
    end = dates.end(version) or known.expires_at
    after = Known(page, replace(known.record, attendees=attendees), version, end)
    return known if after == known else after
