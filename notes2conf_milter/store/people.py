"""Who is invited, after invitations and cancellations in whatever order.

In:  what is known of each person, what a message says. Out: the same anew, and who is invited. Pure.
Fails: never. Bounded: MAX_ATTENDEES invited ones, and as many of whom it is known that they were uninvited.

Of each person counts the newest message that invites, against the newest that uninvites; at the same revision the latter, for a
producer may write both within a second. Whoever was invited before the SEQUENCE rose, and is not named since, was dropped; a
message that is newer by its DTSTAMP alone may name only some: those who were just invited, or the one whom it is for.
"""

from collections.abc import Iterable
from dataclasses import replace

from notes2conf_milter.core.meeting import Named, Person, Revision, Version

MAX_ATTENDEES = 2000


def invited(version: Version, attendees: Iterable[Person], revision: Revision) -> Version:
    """Return the version after an invitation."""
    return _noted(version, (Named(one.address.lower(), revision) for one in attendees))


def withdrawn(version: Version, addresses: Iterable[str], revision: Revision) -> Version:
    """Return the version after a cancellation for some. addresses: in lower case."""
    return _noted(version, (Named(address, None, revision) for address in sorted(addresses)))


def present(version: Version, persons: Iterable[Person]) -> tuple[Person, ...]:
    """Return who is invited. persons: all who may be, in the order that is kept; a name that is there is kept."""
    here = {one.address for one in version.people if _stays(one, version.series)}
    found: dict[str, Person] = {}
    for person in persons:
        address = person.address.lower()
        if address in here and (address not in found or not found[address].name):
            found[address] = person
    return tuple(found.values())[:MAX_ATTENDEES]


def gone(version: Version) -> set[str]:
    """Return the addresses of those who have been uninvited."""
    return {one.address for one in version.people if one.withdrawn is not None and not _stays(one, version.series)}


def trimmed(version: Version, attendees: tuple[Person, ...]) -> Version:
    """Return the version without those of whom nothing needs to be known any more."""
    here = {one.address.lower() for one in attendees}
    kept = [one for one in version.people if one.address in here]
    away = [
        replace(one, invited=None) for one in version.people if one.address not in here and one.withdrawn is not None
    ]
    away = sorted(away, key=lambda one: (one.withdrawn or Revision(), one.address))[-MAX_ATTENDEES:]
    return replace(version, people=tuple(sorted([*kept, *away], key=lambda one: one.address)))


def _stays(one: Named, series: Revision) -> bool:
    if one.invited is None or (one.invited.sequence < series.sequence and one.invited.dtstamp <= series.dtstamp):
        return False
    return one.withdrawn is None or one.invited > one.withdrawn


def _noted(version: Version, said: Iterable[Named]) -> Version:
    people = {one.address: one for one in version.people}
    for one in said:
        before = people.get(one.address, Named(one.address))
        last, off = _newer(before.invited, one.invited), _newer(before.withdrawn, one.withdrawn)
        if last is not None and off is not None and last > off:
            off = None  # it will never count again
        people[one.address] = Named(one.address, last, off)
    return replace(version, people=tuple(people.values()))


def _newer(one: Revision | None, other: Revision | None) -> Revision | None:
    return max((revision for revision in (one, other) if revision is not None), default=None)
