"""Who is invited, whatever came first."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.meeting import Named, Person, Revision, Version
from notes2conf_milter.store import people
from tests.store.vault import BERT, CLARA, FIRST, SECOND

THIRD = Revision(2, "20260503T080000Z")
SERIES = Version(FIRST)


def here(version: Version) -> set[str]:
    return {one.address for one in people.present(version, (BERT, CLARA))}


def test_the_newest_of_each_counts() -> None:
    """At the same revision the cancellation does."""
    version = people.invited(SERIES, (BERT, CLARA), FIRST)
    assert here(version) == {BERT.address, CLARA.address}
    less = people.withdrawn(version, {BERT.address}, SECOND)
    assert (here(less), people.gone(less)) == ({CLARA.address}, {BERT.address})
    assert here(people.invited(less, (BERT,), SECOND)) == {CLARA.address}
    assert here(people.invited(less, (BERT,), THIRD)) == {BERT.address, CLARA.address}


def test_who_is_dropped() -> None:
    """Whom the message with the higher SEQUENCE does not name; a later stamp alone drops nobody."""
    version = people.invited(SERIES, (BERT, CLARA), FIRST)
    assert here(Version(SECOND, people=version.people, risen=SECOND.dtstamp)) == set()
    assert here(Version(Revision(FIRST.sequence, "20260502T080000Z"), people=version.people)) == {
        BERT.address,
        CLARA.address,
    }
    assert people.gone(Version(SECOND, people=version.people)) == set()


def test_who_is_missing() -> None:
    """Those of a domain of which nobody has been named since the SEQUENCE rose: a copy for it may be on its way."""
    dora = Person("dora@example.net")
    version = replace(people.invited(SERIES, (BERT, CLARA, dora), FIRST), series=SECOND, risen=SECOND.dtstamp)
    version = people.invited(version, (BERT,), SECOND)
    assert (here(version), people.missing(version)) == ({BERT.address}, {CLARA.address, dora.address})
    assert people.missing(people.withdrawn(version, {CLARA.address}, THIRD)) == {dora.address}
    assert people.missing(people.trimmed(version, (BERT,))) == {CLARA.address, dora.address}
    copy = people.invited(version, (CLARA,), SECOND)
    assert (here(copy), people.missing(copy)) == ({BERT.address, CLARA.address}, set())


def test_an_invitation_to_a_date_counts_until_all_is_put_off() -> None:
    """Whatever the SEQUENCE of the date."""
    version = people.invited(SERIES, (BERT,), Revision(7, FIRST.dtstamp))
    assert here(version) == {BERT.address}
    assert here(replace(version, series=SECOND, risen=SECOND.dtstamp)) == set()
    less = people.withdrawn(version, {BERT.address}, SECOND)
    assert (here(less), people.gone(less)) == (set(), {BERT.address})


def test_a_name_that_is_there_is_kept() -> None:
    version = people.invited(SERIES, (BERT,), FIRST)
    assert people.present(version, (Person(BERT.address), BERT, Person(BERT.address, "Other"))) == (BERT,)


def test_what_need_not_be_known_goes() -> None:
    """And of too many uninvited the oldest."""
    version = people.withdrawn(people.invited(SERIES, (BERT, CLARA), FIRST), {BERT.address}, SECOND)
    assert [one.address for one in people.trimmed(version, ()).people] == [BERT.address]
    for number in range(people.MAX_ATTENDEES + 3):
        version = people.withdrawn(version, {f"p{number:05}@example.com"}, THIRD)
    trimmed = people.trimmed(version, ())
    assert len(trimmed.people) == people.MAX_ATTENDEES
    assert Named(BERT.address, FIRST, SECOND) not in trimmed.people


MESSAGES = st.tuples(st.booleans(), st.builds(Revision, st.integers(0, 2), st.sampled_from(["1", "2"])))


@given(st.lists(MESSAGES, min_size=1, max_size=5).flatmap(lambda sent: st.tuples(st.just(sent), st.permutations(sent))))
def test_in_whatever_order(orders: tuple[list[tuple[bool, Revision]], list[tuple[bool, Revision]]]) -> None:
    def after(messages: list[tuple[bool, Revision]]) -> tuple[Named, ...]:
        version = SERIES
        for invites, revision in messages:
            if invites:
                version = people.invited(version, (BERT,), revision)
            else:
                version = people.withdrawn(version, {BERT.address}, revision)
        return version.people

    assert after(orders[0]) == after(orders[1])
