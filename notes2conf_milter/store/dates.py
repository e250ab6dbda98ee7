"""When a meeting takes place, and when it is over, after messages about the whole and about single dates of it.

In:  what the pages show, what is known of the versions, what a message says. Out: both anew. Pure.
Fails: never. Bounded: MAX_TIMES, MAX_INSTANCES.

The pages show the series' own dates without those of which a message was written apart (moved or cancelled), and those where
they are now. Which of a message about the whole and one about a date is newer, DTSTAMP says: each has a SEQUENCE of its own.
A newer message about the whole speaks for the dates of which it tells, for those which it does not have any more, and, when its
SEQUENCE rose, for all; one that only tells something else about the whole leaves those alone of which it does not tell. What it
speaks for is kept and does not count: when a message that was sent before the newest one comes late, it may count again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import itemgetter

from notes2conf_milter.core.instants import LATEST
from notes2conf_milter.core.meeting import Instance, Occurrence, Page, Revision, Version

MAX_TIMES = 1000
MAX_INSTANCES = 1000
MAX_CUTS = 20
Apart = tuple[tuple[int, Instance], ...]


def after_series(
    page: Page,
    version: Version,
    news: Page,
    revision: Revision,
    apart: Apart,
    *,
    complete: bool = True,
    since: int = 0,
    shared: tuple[int, ...] = (),
) -> tuple[Page, Version]:
    """Return page and version after a message about the whole.

    apart: the instances that it has besides. complete: the dates that it lists are all that come after `since`. shared: starts
    that the series has itself, and an instance was moved to besides.
    """
    version = replace(version, risen=_risen(version, revision))
    # What the message says of an instance is as new as the message.
    apart = tuple((start, _as_new(one, revision)) for start, one in apart)
    if revision < version.series:
        page, version = after_instances(page, version, apart)
        return replace(page, times=_shown(version)), version
    own = set(news.times) - {time for _, one in apart for time in one.times if time.start not in shared}
    if revision == version.series:
        # The same message for other recipients (Notes: one for each destination domain): what it does not name stays.
        own |= set(version.own)
        since = min(since, version.since) if version.own else since
    version = replace(version, series=revision, own=_bounded(own), complete=complete, since=since)
    told = {start for start, _ in apart}
    standing = tuple(one for one in version.instances if one[0] not in told or not one[1].beside.said_before(revision))
    cuts = tuple(one for one in version.cuts if not one[1].said_before(revision))
    partly = tuple(one for one in version.partly if not ((one[1] or one[0] in told) and one[2].said_before(revision)))
    apart = tuple((start, replace(one, onward=False)) for start, one in apart)  # the message says the end of all itself
    version = _with(replace(version, instances=standing, cuts=cuts, partly=partly), apart)
    return replace(news, times=_shown(version)), version


def after_instances(page: Page, version: Version, apart: Apart) -> tuple[Page, Version]:
    """Return page and version after a message about single dates."""
    after = _with(version, apart)
    if after == version:
        return page, version
    return replace(page, times=_shown(after), recurring=True), after


def without(version: Version, start: int, revision: Revision, addresses: frozenset[str], *, onward: bool) -> Version:
    """Return the version after a date was cancelled for some; `settled` does the rest.

    onward: all dates from it on (RFC 5545 §3.2.13). addresses: in lower case.
    """
    known = dict(version.instances).get(start)
    if onward:
        late = revision.said_before(version.series)
    else:
        late = known is not None and not _replaces(version, start, Instance(revision), known)
    if late or _cut(version, start, Instance(revision)):
        return version
    partly = {(at, on): (newest, named) for at, on, newest, named in version.partly}
    newest, named = partly.get((start, onward), (revision, ()))
    partly[start, onward] = max(newest, revision), tuple(sorted(addresses | set(named)))
    return replace(version, partly=tuple((*one, *said) for one, said in sorted(partly.items()))[-MAX_INSTANCES:])


def settled(page: Page, version: Version, invited: set[str]) -> tuple[Page, Version]:
    """Return page and version without the dates that have been cancelled for everybody. invited: addresses, in lower case."""
    off = [
        one for one in version.partly if invited <= set(one[3]) and (one[1] or not _spoken_for(version, one[0], one[2]))
    ]
    if not off:
        return page, version
    for start, onward, revision, _ in off:
        version = _without_from(version, start, revision) if onward else _with(version, ((start, Instance(revision)),))
    version = replace(version, partly=tuple(one for one in version.partly if one not in off))
    return replace(page, times=_shown(version), recurring=True), version


def _without_from(version: Version, start: int, revision: Revision) -> Version:
    complete = version.complete or any(time.start >= start for time in version.own)
    cuts = [*version.cuts, (start, revision)]
    cuts = [
        one for one in cuts if not any(one != it and it[0] <= one[0] and not it[1].said_before(one[1]) for it in cuts)
    ]
    return replace(version, cuts=tuple(sorted(set(cuts))[:MAX_CUTS]), complete=complete)


def end(version: Version) -> int:
    """Return when all is over, seconds since 1970 UTC; 0 when nothing is left of it. In doubt the later end counts."""
    counting = _counting(version)
    own = max(_staying(version), key=lambda time: time.end, default=None)
    ends = [one.over_at for one in counting.values() if one.times]
    if not version.complete:
        ends.append(version.over_at + max(_put_off(version, counting, LATEST)))
    elif own is not None:
        ends.append(own.end + version.lag + max(_put_off(version, counting, own.start)))
    return max(ends, default=0)


def _put_off(version: Version, counting: dict[int, Instance], last: int) -> Iterator[int]:
    """Yield by how many seconds dates up to one that starts at `last` are later than the series has them, 0 among them."""
    yield 0
    ends = {time.start: time.end for time in version.own}
    for start, one in counting.items():
        if one.onward and one.times and start < last:
            there = ends.get(start)
            yield one.times[0].start - start if there is None else one.times[0].end - there


def known_to_the_last(version: Version, listed: Iterable[Occurrence], *, complete: bool) -> bool:
    """Say whether the dates that are listed are all there are: because they are, or because those behind were cancelled."""
    cut = min((start for start, _ in version.cuts), default=None)
    return complete or (cut is not None and any(time.start >= cut for time in listed))


def _risen(version: Version, revision: Revision) -> str:
    """Return the earliest DTSTAMP of the series' SEQUENCE, with that of a message about the whole.

    "" when dates of it were told before the whole was: nobody knows whether it rose since, so their SEQUENCE decides.
    """
    if version.series == Revision():
        return "" if version.instances else revision.dtstamp
    if revision.sequence > version.series.sequence:
        return revision.dtstamp
    return min(version.risen, revision.dtstamp) if revision.sequence == version.series.sequence else version.risen


def _as_new(one: Instance, whole: Revision) -> Instance:
    revision = replace(one.revision, dtstamp=max(one.revision.dtstamp, whole.dtstamp))
    return replace(one, revision=revision, within=whole.sequence)


def _spoken_for(version: Version, start: int, instance: Revision) -> bool:
    """Say whether the series has spoken since for a date that it does not tell apart: all was put off, or it is no more."""
    return instance.said_before(version.rise) or (instance.said_before(version.series) and not _lists(version, start))


def _lists(version: Version, start: int) -> bool:
    """Say whether the series has a date, or may have it: what was over is not listed, nor all that comes of a long one."""
    between = bool(version.own) and version.own[0].start <= start <= version.own[-1].start
    known = between or (version.complete and start >= version.since)
    return not known or any(time.start == start for time in version.own)


def _counting(version: Version) -> dict[int, Instance]:
    """Return the instances that are not as the series has them."""
    return {start: one for start, one in version.instances if _counts(version, start, one)}


def _counts(version: Version, start: int, one: Instance) -> bool:
    return not _spoken_for(version, start, one.beside) and not _cut(version, start, one)


def _replaces(version: Version, start: int, one: Instance, known: Instance) -> bool:
    """Say whether what a message says of an instance is newer than what is known."""
    counts = _counts(version, start, one)
    if counts != _counts(version, start, known):
        return counts
    # Of two of the same revision the cancellation counts.
    return one.revision > known.revision or (one.revision == known.revision and bool(known.times))


def _cut(version: Version, start: int, one: Instance) -> bool:
    """Say whether an instance was cancelled since, with all that follow some date."""
    return any(start >= at and not revision.said_before(one.beside) for at, revision in version.cuts)


def _with(version: Version, apart: Apart) -> Version:
    """Return the version with what is newer of some instances."""
    known = dict(version.instances)
    partly = {one[0]: one for one in version.partly if not one[1]}
    for start, one in apart:
        before = known.get(start)
        if before is not None and not _replaces(version, start, one, before):
            continue
        known[start] = one
        if start in partly and partly[start][2] <= one.revision and _counts(version, start, one):
            del partly[start]
    instances = tuple(
        sorted(known.items(), key=itemgetter(0))[-MAX_INSTANCES:]
    )  # too many: the earliest are over first
    left = tuple(one for one in version.partly if one[1] or one[0] in partly)
    return replace(version, instances=instances, partly=left)


def _shown(version: Version) -> tuple[Occurrence, ...]:
    """Return when it takes place: the instances where they are now, the other dates where the series has them."""
    return _bounded({*_staying(version), *(time for one in _counting(version).values() for time in one.times)})


def _staying(version: Version) -> list[Occurrence]:
    """Return the dates of the series that are as it has them."""
    apart = _counting(version)
    cut = min((start for start, _ in version.cuts), default=None)
    return [time for time in version.own if time.start not in apart and (cut is None or time.start < cut)]


def _bounded(times: Iterable[Occurrence]) -> tuple[Occurrence, ...]:
    return tuple(sorted(times, key=_order)[-MAX_TIMES:])  # too many: the earliest are over first


def _order(one: Occurrence) -> tuple[int, int, str, int, bool]:
    return (one.start, one.end, one.zone, one.offset, one.all_day)
