"""What a cancellation does to a meeting: for everybody it is gone, for some it stays, and old mail does not bring it back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.meeting import LinkKind, MailRecord, Occurrence, Person, Revision, Version
from notes2conf_milter.store.cancel import TOMBSTONE_SECONDS, Cancelling, after_cancel, after_cancelled_date, revives
from notes2conf_milter.store.merge import Known, News, first, merged
from notes2conf_milter.store.purge import purge
from notes2conf_milter.store.sqlite import Claim, Refusal
from tests.store.vault import BERT, CLARA, DAY, END, FIRST, HOUR, NOW, ORGANIZER, PAGE, SECOND, UID, Vault, claim

ANNA, DORA = Person(ORGANIZER), Person("dora@example.com")
EVERYBODY = frozenset({BERT.address, CLARA.address})
LINKS = (LinkKind.JOIN, LinkKind.START)
KNOWN = Known(PAGE, MailRecord(UID, (ANNA, BERT, CLARA), "join", "start"), Version(FIRST), END)
THIRD = Revision(2, "20260503T080000Z")


def only(*people: Person) -> frozenset[str]:
    return frozenset(one.address for one in people)


def invited(known: Known | None) -> list[Person]:
    assert known is not None
    return list(known.record.attendees)


def test_everybody_at_once_or_one_after_the_other() -> None:
    """Domino writes one cancellation for each domain; the organizer need not be told."""
    assert after_cancel(KNOWN, EVERYBODY, SECOND) is None
    first = after_cancel(KNOWN, only(BERT), SECOND)
    assert invited(first) == [ANNA, CLARA]
    assert first is not None
    assert after_cancel(first, only(BERT), SECOND) is first  # once more
    assert after_cancel(first, only(CLARA), SECOND) is None


def test_whom_it_names_beyond_those_who_are_known() -> None:
    """Changes nothing for the others."""
    assert invited(after_cancel(KNOWN, only(DORA), SECOND)) == [ANNA, BERT, CLARA]
    assert after_cancel(KNOWN, EVERYBODY | only(DORA), SECOND) is None


def test_a_meeting_without_attendees_is_its_organizers() -> None:
    alone = replace(KNOWN, record=replace(KNOWN.record, attendees=()))
    assert after_cancel(alone, frozenset(), FIRST) is None


def test_a_late_cancellation_is_no_more() -> None:
    """The organizer has invited anew since."""
    anew = merged(KNOWN, News(PAGE, (BERT, CLARA), SECOND, None, END))
    assert after_cancel(anew, EVERYBODY, FIRST) is anew


def test_messages_that_name_only_the_one_they_are_for() -> None:
    """Google's, where guests do not see each other: written one after the other, and each knows of one guest alone."""
    known = first(UID, News(PAGE, (BERT,), Revision(0, "20260501T080000Z"), None, END), "join", "start")
    known = merged(known, News(PAGE, (CLARA,), Revision(0, "20260501T080001Z"), None, END))
    assert invited(after_cancel(known, only(CLARA), SECOND)) == [BERT]  # he still holds the link


def test_who_was_uninvited_does_not_come_back_with_old_mail() -> None:
    """But does with a newer invitation."""
    less = after_cancel(KNOWN, only(BERT), SECOND)
    assert less is not None
    assert merged(less, News(PAGE, (BERT, CLARA), FIRST, None, END)) is less
    assert invited(merged(less, News(PAGE, (BERT, CLARA), THIRD, None, END))) == [BERT, CLARA]


def test_an_update_that_is_older_than_the_uninvitation() -> None:
    """Tells the others of the new time, and Bert stays uninvited."""
    less = after_cancel(KNOWN, only(BERT), THIRD)
    assert less is not None
    after = merged(less, News(PAGE, (BERT, CLARA), SECOND, None, END + DAY))
    assert (invited(after), after.expires_at) == ([CLARA], END + DAY)


WEEKLY = tuple(Occurrence(NOW + week * 7 * DAY, NOW + week * 7 * DAY + HOUR) for week in range(3))
SERIES = replace(KNOWN, page=replace(PAGE, times=WEEKLY, recurring=True))
MIDDLE = (WEEKLY[1].start,)


def test_a_cancelled_date() -> None:
    """Is gone, with the series' message again, too; the life of the meeting is the same."""
    less = after_cancelled_date(SERIES, EVERYBODY, SECOND, "i", MIDDLE)
    assert (less.page.times, less.expires_at, invited(less)) == ((WEEKLY[0], WEEKLY[2]), END, [ANNA, BERT, CLARA])
    assert after_cancelled_date(less, EVERYBODY, SECOND, "i", MIDDLE) is less
    assert merged(less, News(SERIES.page, (ANNA, BERT, CLARA), FIRST, None, END)) is less
    back = merged(less, News(replace(PAGE, times=WEEKLY[1:2]), (BERT,), THIRD, "i", END, MIDDLE))
    assert back.page.times == WEEKLY


def test_a_cancelled_date_does_not_lengthen_a_life() -> None:
    """A series that was shortened before and comes later has its own end."""
    less = after_cancelled_date(SERIES, EVERYBODY, Revision(0, "20260509T080000Z"), "i", MIDDLE)
    shorter = merged(less, News(replace(PAGE, times=WEEKLY[:1]), (BERT, CLARA), SECOND, None, END - HOUR))
    assert (shorter.page.times, shorter.expires_at) == (WEEKLY[:1], END - HOUR)


def test_a_date_that_was_moved_and_then_cancelled() -> None:
    other = Occurrence(NOW + DAY, NOW + 2 * DAY)
    moved = merged(SERIES, News(replace(PAGE, times=(other,)), (BERT,), SECOND, "i", END, MIDDLE))
    assert other in moved.page.times
    assert after_cancelled_date(moved, EVERYBODY, THIRD, "i", MIDDLE).page.times == (WEEKLY[0], WEEKLY[2])
    assert after_cancelled_date(moved, EVERYBODY, FIRST, "i", MIDDLE) is moved  # late


def test_a_date_that_is_cancelled_for_some() -> None:
    """Stays."""
    assert after_cancelled_date(SERIES, only(BERT), SECOND, "i", MIDDLE) is SERIES


@pytest.mark.parametrize(
    ("news", "comes_back"),
    [
        (FIRST, False),
        (SECOND, False),
        (THIRD, True),
        (Revision(5, "20260501T080000Z"), False),  # an instance's number, sent before
        (Revision(0, "20260509T080000Z"), False),  # resent, with a new stamp
        (Revision(2, SECOND.dtstamp), True),
        (Revision(2, ""), True),
    ],
)
def test_what_brings_a_cancelled_meeting_back(news: Revision, comes_back: bool) -> None:
    assert revives(news, SECOND) is comes_back


PEOPLE = tuple(Person(f"p{number}@example.com") for number in range(4))
CUTS = st.permutations(PEOPLE).flatmap(
    lambda people: st.integers(1, 3).map(lambda at: (people[:at], people[at:], people[at - 1 :]))
)


@given(CUTS.flatmap(lambda cuts: st.permutations([*cuts, None, None])))
def test_in_whatever_order_and_how_often(messages: list[list[Person] | None]) -> None:
    """Cancellations that name everybody end the meeting, with the old invitation (None) between them or not."""
    known: Known | None = replace(KNOWN, record=replace(KNOWN.record, attendees=PEOPLE))
    for people in messages:
        if known is None:
            return
        if people is None:
            known = merged(known, News(PAGE, PEOPLE, FIRST, None, END))
        else:
            known = after_cancel(known, only(*people), SECOND)
    assert known is None


def test_a_cancelled_meeting_is_gone_at_once(vault: Vault) -> None:
    """Its links lead nowhere; the old invitation does not bring it back, a newer one makes another meeting."""
    store = vault.mail()
    got = claim(store, attendees=(BERT, CLARA))
    assert store.cancel(ORGANIZER, UID, only(BERT), SECOND, NOW).kind is Cancelling.ATTENDEES
    assert vault.web().open(got.join_token, LINKS, NOW) is not None
    assert store.cancel(ORGANIZER, UID, only(CLARA), SECOND, NOW).kind is Cancelling.MEETING
    assert store.cancel(ORGANIZER, UID, EVERYBODY, SECOND, NOW).kind is Cancelling.NOTHING
    web = vault.web()
    assert [web.open(token, LINKS, NOW) for token in (got.join_token, got.start_token)] == [None, None]
    assert store.find(ORGANIZER, UID, NOW) is None
    assert not store.mark_start_mail_sent(got.meeting, NOW)
    for revision in (FIRST, SECOND):
        old = store.claim(ORGANIZER, UID, PAGE, (BERT,), revision, None, END, NOW)
        assert old is Refusal.CANCELLED
    assert store.claim(ORGANIZER, UID, PAGE, (BERT,), THIRD, None, END, NOW, only_known=True) is None
    new = claim(store, revision=THIRD)
    assert new.new
    assert {new.join_token, new.start_token}.isdisjoint({got.join_token, got.start_token})


def test_a_meeting_that_is_not_known_is_not_cancelled(vault: Vault) -> None:
    """Nor is one that is over, or another organizer's."""
    store = vault.mail()
    got = claim(store)
    assert store.cancel("mallory@example.org", UID, EVERYBODY, SECOND, NOW).kind is Cancelling.NOTHING
    assert store.cancel(ORGANIZER, "another", EVERYBODY, SECOND, NOW).kind is Cancelling.NOTHING
    assert store.cancel(ORGANIZER, UID, EVERYBODY, SECOND, END).kind is Cancelling.NOTHING
    assert vault.web().open(got.join_token, LINKS, NOW) is not None


@pytest.mark.parametrize(("end", "left"), [(END, END), (NOW + 90 * DAY, NOW + TOMBSTONE_SECONDS)])
def test_what_is_left_of_it(vault: Vault, end: int, left: int) -> None:
    """A hash, a version and an end, for six days at most; of the rest the purge leaves no octet in the files."""
    store = vault.mail()
    claim(store, expires_at=end)
    with vault.sql() as sql:
        sealed = sql.execute("select page, mail, room, page_key_mail from meeting").fetchone()
    assert store.cancel(ORGANIZER, UID, only(BERT), SECOND, NOW).kind is Cancelling.MEETING
    with vault.sql() as sql:
        assert sql.execute("select page, mail, room, page_key_mail, expires_at from meeting").fetchall() == [
            (b"", b"", b"", b"", left)
        ]
        assert sql.execute("select expires_at from meeting_uid").fetchall() == [(left,)]
        assert sql.execute("select (select count(*) from link), (select count(*) from meeting_link)").fetchone() == (
            0,
            0,
        )
    found = purge(vault.database, vault.epoch, NOW, force_rotate=True)
    assert (found.deleted, found.damaged, found.truncated) == (0, 0, True)
    assert not any(value[at : at + 12] in vault.octets() for value in sealed for at in range(0, len(value) - 12, 12))
    old = store.claim(ORGANIZER, UID, PAGE, (BERT,), FIRST, None, end, NOW)
    assert old is Refusal.CANCELLED  # after the salts were sealed anew, too
    assert purge(vault.database, vault.epoch, left).deleted == 1
    if left < end:
        assert isinstance(store.claim(ORGANIZER, UID, PAGE, (BERT,), FIRST, None, end, left), Claim)
