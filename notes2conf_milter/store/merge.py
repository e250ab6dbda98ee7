"""What a message does to a meeting that is known: newer ones change it, equal ones complete it, older ones do nothing.

In:  what is stored, what the message says. Out: what to store; the same value when nothing changes. Pure.
Fails: never. Bounded: whatever the messages say, a row keeps at most MAX_TIMES occurrences, MAX_ATTENDEES,
MAX_INSTANCES.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import itemgetter

from notes2conf_milter.core.meeting import Instance, MailRecord, Occurrence, Page, Person, Revision, Version

MAX_TIMES = 1000
MAX_ATTENDEES = 2000
MAX_INSTANCES = 1000


@dataclass(frozen=True, slots=True)
class Known:
    """What the mail service knows of a meeting. expires_at: seconds since 1970 UTC."""

    page: Page
    record: MailRecord
    version: Version
    expires_at: int


@dataclass(frozen=True, slots=True)
class News:
    """What a message says of a meeting. recurrence_id: of the one instance it speaks of, None for the whole.

    replaced: where it is about an instance, the start that the series has for it, seconds since 1970 UTC.
    """

    page: Page
    attendees: tuple[Person, ...]
    revision: Revision
    recurrence_id: str | None
    expires_at: int
    replaced: tuple[int, ...] = ()


def first(uid: str, news: News, join_token: str, start_token: str) -> Known:
    """Return what to store of a meeting that is new; tokens: its links."""
    whole = news.recurrence_id is None
    version = Version(news.revision) if whole else _with_instance(Version(Revision()), news)
    record = MailRecord(uid, _together((), news.attendees), join_token, start_token)
    page = replace(news.page, recurring=news.page.recurring or not whole)
    return Known(_bounded(page), record, version, news.expires_at)


def merged(known: Known, news: News) -> Known:
    """Return what to store after a message; `known` itself when the message is an older one or says nothing new."""
    if gone := {address for address, revision in known.version.withdrawn if news.revision < revision}:
        # An older message than the one that uninvited them, or the same again.
        staying = tuple(one for one in news.attendees if one.address.lower() not in gone)
        news = replace(news, attendees=staying)
    if news.recurrence_id is None:
        after = _after_series(known, news)
    else:
        after = _after_instance(known, news)
    return known if after == known else after


def _after_series(known: Known, news: News) -> Known:
    seen = known.version.series
    if news.revision < seen:
        return known
    version = replace(known.version, series=news.revision)
    if news.revision == seen:
        # The same message for other recipients (Notes: one for each destination domain): what it does not name stays.
        times = _with_instances((*known.page.times, *news.page.times), version.instances)
        page = replace(news.page, times=times)
        return Known(page, _joined(known.record, news), version, max(known.expires_at, news.expires_at))
    # A newer series speaks for its instances, too, but for those of which a message was written after it.
    standing = tuple((name, one) for name, one in version.instances if not _spoken_for(one.revision, news.revision))
    page = replace(news.page, times=_with_instances(news.page.times, standing))
    expires_at = max(news.expires_at, *(one.expires_at for _, one in standing), 0)
    record = _joined(known.record, news)
    if news.revision.sequence > seen.sequence and seen != Revision():
        # Else it may name only some: those who were just invited, or the one whom it is for (Google, hidden guests); and an
        # instance may have guests of its own.
        record = replace(known.record, attendees=_together((), news.attendees))
    return Known(page, record, replace(version, instances=standing), expires_at)


def _after_instance(known: Known, news: News) -> Known:
    before = dict(known.version.instances).get(news.recurrence_id or "")
    if _spoken_for(news.revision, known.version.series) if before is None else news.revision < before.revision:
        return known
    version = _with_instance(known.version, news)
    left = set(known.page.times) - set(before.times if before else ())
    page = replace(known.page, times=_with_instances(left, version.instances), recurring=True)
    return Known(page, _joined(known.record, news), version, max(known.expires_at, news.expires_at))


def _spoken_for(instance: Revision, series: Revision) -> bool:
    """Say whether the series has told of an instance since; one with a later DTSTAMP has a SEQUENCE of its own."""
    return instance < series and instance.dtstamp <= series.dtstamp


def _with_instance(version: Version, news: News) -> Version:
    one = Instance(news.revision, news.replaced, news.page.times[-MAX_TIMES:], news.expires_at)
    instances = dict(version.instances) | {news.recurrence_id or "": one}
    return replace(version, instances=tuple(sorted(instances.items(), key=itemgetter(0))[-MAX_INSTANCES:]))


def _with_instances(times: Iterable[Occurrence], instances: tuple[tuple[str, Instance], ...]) -> tuple[Occurrence, ...]:
    """Return when a series takes place, its instances where they were moved to, without those that were cancelled."""
    gone = {start for _, one in instances for start in one.replaced}
    moved = [time for _, one in instances for time in one.times]
    return _all_times((*(time for time in times if time.start not in gone), *moved), ())


def _joined(record: MailRecord, news: News) -> MailRecord:
    return replace(record, attendees=_together(record.attendees, news.attendees))


def _together(one: tuple[Person, ...], other: tuple[Person, ...]) -> tuple[Person, ...]:
    everybody: dict[str, Person] = {}
    for person in one + other:
        if person.address not in everybody or not everybody[person.address].name:
            everybody[person.address] = person
    return tuple(everybody.values())[:MAX_ATTENDEES]


def _bounded(page: Page) -> Page:
    return replace(page, times=_all_times(page.times, ()))


def _all_times(one: tuple[Occurrence, ...], other: tuple[Occurrence, ...]) -> tuple[Occurrence, ...]:
    together = {*one, *other}
    return tuple(sorted(together, key=_order)[-MAX_TIMES:])  # too many: the earliest are over first


def _order(one: Occurrence) -> tuple[int, int, str, int, bool]:
    return (one.start, one.end, one.zone, one.offset, one.all_day)
