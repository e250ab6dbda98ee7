"""Who is invited, after invitations and cancellations in whatever order.

In:  what is known of each person, what a message says. Out: the same anew, and who is invited. Pure.
Fails: never. Bounded: MAX_ATTENDEES invited ones, and as many of whom it is known that they were uninvited.

Of each person counts the newest message that invites, against the newest that uninvites, by DTSTAMP, for they may speak of
different dates; at the same revision the latter, for a producer may write both within a second. Whoever was invited before the
SEQUENCE rose, and is not named since, was dropped; a message that is newer by its DTSTAMP alone may name only some: those who
were just invited, or the one whom it is for.

Domino may write one message for each domain. So while nobody of a domain has been named since the SEQUENCE rose, its people are
missing: a copy may be on its way. They are not invited, but a meeting from which they have not been uninvited is not cancelled.
"""

from collections.abc import Iterable
from dataclasses import replace

from notes2conf_milter.core.meeting import Named, Person, Revision, Version

MAX_ATTENDEES = 2000


def invited(version: Version, attendees: Iterable[Person], revision: Revision) -> Version:
    """Return the version after an invitation; one from before the SEQUENCE rose names nobody new."""
    known = {one.address for one in version.people if one.invited is not None}
    named = {one.address.lower() for one in attendees}
    if revision.said_before(version.rise):
        named &= known
    return _noted(version, (Named(address, revision) for address in sorted(named)))


def withdrawn(version: Version, addresses: Iterable[str], revision: Revision) -> Version:
    """Return the version after a cancellation for some. addresses: in lower case."""
    return _noted(version, (Named(address, None, revision) for address in sorted(addresses)))


def present(version: Version, persons: Iterable[Person]) -> tuple[Person, ...]:
    """Return who is invited. persons: all who may be, in the order that is kept; a name that is there is kept."""
    here = {one.address for one in version.people if _stays(one, version.rise)}
    found: dict[str, Person] = {}
    for person in persons:
        address = person.address.lower()
        if address in here and (address not in found or not found[address].name):
            found[address] = person
    return tuple(found.values())[:MAX_ATTENDEES]


def gone(version: Version) -> set[str]:
    """Return the addresses of those who have been uninvited."""
    return {one.address for one in version.people if _uninvited(one)}


def missing(version: Version) -> set[str]:
    """Return the addresses of those invited before the SEQUENCE rose, and of whose domain nobody has been named since."""
    last: dict[str, Revision] = {}  # of each domain the newest message that invited somebody
    for one in version.people:
        newest = _newer(last.get(_domain(one)), one.invited)
        if newest is not None:
            last[_domain(one)] = newest
    return {one.address for one in version.people if _missing(one, version.rise, last.get(_domain(one)))}


def trimmed(version: Version, attendees: tuple[Person, ...]) -> Version:
    """Return the version without those of whom nothing needs to be known any more."""
    here = {one.address.lower() for one in attendees} | missing(version)
    kept = [one for one in version.people if one.address in here]
    away = [one for one in version.people if one.address not in here and one.withdrawn is not None]
    away = sorted(away, key=lambda one: (one.withdrawn or Revision(), one.address))[-MAX_ATTENDEES:]
    return replace(version, people=tuple(sorted([*kept, *away], key=lambda one: one.address)))


def _stays(one: Named, rise: Revision) -> bool:
    if one.invited is None or one.invited.said_before(rise):
        return False
    return not _uninvited(one)


def _missing(one: Named, rise: Revision, domain: Revision | None) -> bool:
    if one.invited is None or domain is None or _uninvited(one) or not one.invited.said_before(rise):
        return False
    return (
        domain.said_before(rise) and domain.sequence <= one.invited.sequence
    )  # else a copy for the domain did not name this one


def _uninvited(one: Named) -> bool:
    return one.withdrawn is not None and (one.invited is None or not one.withdrawn.said_before(one.invited))


def _domain(one: Named) -> str:
    return one.address.rpartition("@")[2]


def _noted(version: Version, said: Iterable[Named]) -> Version:
    people = {one.address: one for one in version.people}
    for one in said:
        before = people.get(one.address, Named(one.address))
        last, off = _newer(before.invited, one.invited), _newer(before.withdrawn, one.withdrawn)
        if last is not None and off is not None and off.said_before(last):
            off = None  # it will never count again
        people[one.address] = Named(one.address, last, off)
    return replace(version, people=tuple(people.values()))


def _newer(one: Revision | None, other: Revision | None) -> Revision | None:
    if one is None or other is None:
        return one or other
    return other if one.said_before(other) else one
