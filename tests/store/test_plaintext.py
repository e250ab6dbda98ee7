"""The plaintexts: every value comes back, lengths are rounded, foreign octets are refused."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.meeting import (
    Admission,
    Instance,
    MailRecord,
    Named,
    Occurrence,
    Page,
    Person,
    Revision,
    Room,
    RoomState,
    Version,
)
from notes2conf_milter.store import plaintext
from notes2conf_milter.store.sealing import Unsealable

TEXT = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates too
PERSONS = st.builds(Person, TEXT, TEXT)
SECONDS = st.integers(-(2**40), 2**40)
TIMES = st.builds(Occurrence, SECONDS, SECONDS, TEXT, SECONDS, st.booleans())
PAGES = st.builds(Page, TEXT, PERSONS, st.lists(TIMES, max_size=5).map(tuple), st.booleans())
ADMISSIONS = st.none() | st.sampled_from(Admission)
ROOMS = st.none() | st.builds(Room, SECONDS, st.sampled_from(RoomState), TEXT, TEXT, TEXT, ADMISSIONS, SECONDS)
PEOPLE = st.lists(PERSONS, max_size=5).map(tuple)
RECORDS = st.builds(
    MailRecord,
    TEXT,
    PEOPLE,
    TEXT,
    TEXT,
    st.booleans(),
    TEXT,
    SECONDS,
    st.just(()) | st.tuples(TIMES, TIMES),
    st.lists(TEXT, max_size=3).map(tuple),
    st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    st.tuples(TEXT, TEXT),
)
REVISIONS = st.builds(Revision, st.integers(0, 2**31), TEXT)
INSTANCES = st.builds(Instance, REVISIONS, st.lists(TIMES, max_size=3).map(tuple), SECONDS)
NAMED = st.builds(Named, TEXT, st.none() | REVISIONS, st.none() | REVISIONS)
VERSIONS = st.builds(
    Version,
    REVISIONS,
    st.lists(st.tuples(SECONDS, INSTANCES), max_size=5).map(tuple),
    st.lists(NAMED, max_size=5).map(tuple),
    st.lists(TIMES, max_size=5).map(tuple),
    SECONDS,
    SECONDS,
    st.booleans(),
    st.lists(st.tuples(SECONDS, REVISIONS), max_size=3).map(tuple),
    st.lists(st.tuples(SECONDS, st.booleans(), REVISIONS, st.lists(TEXT, max_size=3).map(tuple)), max_size=3).map(
        tuple
    ),
    TEXT,
)
READERS = [plaintext.to_page, plaintext.to_room, plaintext.to_mail, plaintext.to_revision]


@given(PAGES)
def test_a_page_comes_back(page: Page) -> None:
    assert plaintext.to_page(_rounded(plaintext.from_page(page))) == page


def test_the_times_of_a_series_take_little_room() -> None:
    day, winter, summer = 86400, ("Europe/Berlin", 3600), ("Europe/Berlin", 7200)
    starts = range(1_772_436_600, 1_772_436_600 + 1000 * day, day)
    times = tuple(Occurrence(at, at + 3600, *(summer if at // day % 365 > 200 else winter)) for at in starts)
    page = Page("Daily", Person("anna@example.org"), times, recurring=True)
    assert len(plaintext.from_page(page)) <= 2 * plaintext.PADDED_TO
    assert plaintext.to_page(plaintext.from_page(page)) == page


@given(ROOMS)
def test_a_room_comes_back(room: Room | None) -> None:
    assert plaintext.to_room(_rounded(plaintext.from_room(room))) == room


@given(RECORDS, VERSIONS)
def test_what_the_mail_service_knows_comes_back(record: MailRecord, version: Version) -> None:
    assert plaintext.to_mail(_rounded(plaintext.from_mail(record, version))) == (record, version)


@given(REVISIONS)
def test_a_revision_comes_back(revision: Revision) -> None:
    assert plaintext.to_revision(_rounded(plaintext.from_revision(revision))) == revision


def test_no_room_is_as_long_as_a_room() -> None:
    room = Room(1, RoomState.OPEN, "jitsi", "https://meet.example.org/room")
    assert len(plaintext.from_room(None)) == len(plaintext.from_room(room))


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "octets",
    [b"", b"[", b"7", b'"text"', b"[1,2]", b"{}", b"\xff", b"[1,2,3,4,5,6,7,8]", b'["",["",""],[[],[[1,1,0,1]]],true]'],
)
def test_other_octets_are_refused(read: Callable[[bytes], object], octets: bytes) -> None:
    with pytest.raises(Unsealable):
        read(octets)


def _rounded(plain: bytes) -> bytes:
    assert len(plain) % plaintext.PADDED_TO == 0
    return plain
