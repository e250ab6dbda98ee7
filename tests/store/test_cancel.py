"""What a cancellation does to a meeting: for everybody it is gone, for some it stays, and old mail does not bring it back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.meeting import LinkKind, Occurrence, Person, Revision
from notes2conf_milter.store.cancel import TOMBSTONE_SECONDS, Cancelling, after_cancel, after_cancelled_dates, revives
from notes2conf_milter.store.merge import Known, first, merged
from notes2conf_milter.store.purge import purge
from notes2conf_milter.store.sqlite import Claim, Refusal
from tests.store.vault import BERT, CLARA, DAY, END, FIRST, HOUR, NOW, ORGANIZER, PAGE, SECOND, UID, Vault, claim, news

ANNA, DORA = Person(ORGANIZER), Person("dora@example.com")
EVERYBODY = frozenset({BERT.address, CLARA.address})
LINKS = (LinkKind.JOIN, LinkKind.START)
KNOWN = first(UID, news(PAGE, (ANNA, BERT, CLARA)), "join", "start")
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


def test_in_the_gap_of_an_update_that_was_split() -> None:
    """Domino writes one for each domain: nobody of another is cancelled while the copy for it is on its way."""
    gap = merged(KNOWN, news(PAGE, (ANNA, BERT), SECOND, END))
    assert invited(gap) == [ANNA, BERT]
    after = after_cancel(gap, only(BERT), THIRD)
    assert invited(after) == [ANNA]
    assert after is not None
    assert invited(merged(after, news(PAGE, (ANNA, CLARA), SECOND, END))) == [ANNA, CLARA]
    assert after_cancel(after, only(CLARA), THIRD) is None
    colleague = Person("berta@example.com")
    dropped = merged(first(UID, news(PAGE, (BERT, colleague)), "join", "start"), news(PAGE, (BERT,), SECOND, END))
    assert after_cancel(dropped, only(BERT), THIRD) is None  # the copy for that domain did not name her


def cancelled_for_one_late(vault: Vault) -> Cancelling:
    """Clara was uninvited, Bert told of another time, then all cancelled; Clara's cancellation comes last."""
    store = vault.mail()
    claim(store, attendees=(BERT, CLARA))
    store.cancel(ORGANIZER, UID, only(BERT), Revision(2, "20260504T080000Z"), NOW)
    claim(store, attendees=(BERT,), revision=Revision(1, "20260503T080000Z"))
    return store.cancel(ORGANIZER, UID, only(CLARA), SECOND, NOW).kind


def test_the_cancellation_that_names_the_last_one_may_be_an_older_one(vault: Vault) -> None:
    """What was cancelled is gone, in whatever order that was told; and no message from before brings it back."""
    assert cancelled_for_one_late(vault) is Cancelling.MEETING
    before = news(PAGE, (BERT,), Revision(1, "20260503T080000Z"))
    assert vault.mail().claim(ORGANIZER, UID, before, NOW) is Refusal.CANCELLED
    after = news(PAGE, (BERT,), Revision(3, "20260505T080000Z"))
    assert isinstance(vault.mail().claim(ORGANIZER, UID, after, NOW), Claim)


def test_nobody_is_left_by_an_update_that_came_after_the_cancellation() -> None:
    """The next cancellation deletes it, also one for a colleague who was dropped by then; without one it stays in doubt."""
    known = first(UID, news(PAGE, (BERT, CLARA)), "join", "start")
    later = Revision(2, "20260505T080000Z")
    half = after_cancel(known, only(CLARA, DORA), later)
    assert half is not None
    nobody = merged(
        half, news(PAGE, (DORA,), Revision(1, "20260504T080000Z"), END)
    )  # of Bert's domain, and so without him
    assert invited(nobody) == []
    assert after_cancel(nobody, only(BERT), SECOND) is None
    alone = first(UID, news(PAGE, (), THIRD), "join", "start")
    assert (
        after_cancel(alone, only(BERT), SECOND) is not None
    )  # late: it may be from before the organizer was left alone


def test_a_last_date_that_was_cancelled_before_the_series_was_sent_anew(vault: Vault) -> None:
    """The series' own message, once more, does not bring it back."""
    store, again = vault.mail(), replace(FIRST, dtstamp="20260504T080000Z")
    for revision in (FIRST, again):
        claim(store, revision=revision)
    stamp = replace(FIRST, dtstamp=SECOND.dtstamp)  # a SEQUENCE of its own, which did not rise
    off = store.cancel(ORGANIZER, UID, only(BERT), stamp, NOW, dates=(PAGE.times[0].start,))
    assert off.kind is Cancelling.MEETING
    assert store.claim(ORGANIZER, UID, news(revision=again), NOW) is Refusal.CANCELLED


def test_a_date_in_the_gap() -> None:
    """Goes when those have been named, too, whose copy is on its way."""
    gap = merged(SERIES, news(SERIES.page, (ANNA, BERT), SECOND, LAST))
    half = without(gap, only(BERT), THIRD)
    assert half.page == SERIES.page
    assert without(half, only(CLARA), THIRD).page.times == (WEEKLY[0], WEEKLY[2])


def test_whom_it_names_beyond_those_who_are_known() -> None:
    """Changes nothing for the others."""
    assert invited(after_cancel(KNOWN, only(DORA), SECOND)) == [ANNA, BERT, CLARA]
    assert after_cancel(KNOWN, EVERYBODY | only(DORA), SECOND) is None


def test_a_meeting_without_attendees_is_its_organizers() -> None:
    alone = first(UID, news(PAGE, ()), "join", "start")
    assert after_cancel(alone, frozenset(), FIRST) is None


def test_a_late_cancellation_is_no_more() -> None:
    """The organizer has invited anew since."""
    anew = merged(KNOWN, news(PAGE, (BERT, CLARA), SECOND, END))
    late = after_cancel(anew, EVERYBODY, FIRST)
    assert late is not None
    assert (late.page, late.record) == (anew.page, anew.record)


def test_messages_that_name_only_the_one_they_are_for() -> None:
    """Google's, where guests do not see each other: written one after the other, and each knows of one guest alone."""
    known = first(UID, news(PAGE, (BERT,), Revision(0, "20260501T080000Z"), END), "join", "start")
    known = merged(known, news(PAGE, (CLARA,), Revision(0, "20260501T080001Z"), END))
    assert invited(after_cancel(known, only(CLARA), SECOND)) == [BERT]  # he still holds the link


def test_who_was_uninvited_does_not_come_back_with_old_mail() -> None:
    """But does with a newer invitation."""
    less = after_cancel(KNOWN, only(BERT), SECOND)
    assert less is not None
    assert merged(less, news(PAGE, (BERT, CLARA), FIRST, END)) is less
    assert invited(merged(less, news(PAGE, (BERT, CLARA), THIRD, END))) == [CLARA, BERT]


def test_an_update_that_is_older_than_the_uninvitation() -> None:
    """Tells the others of the new time, and Bert stays uninvited."""
    less = after_cancel(KNOWN, only(BERT), THIRD)
    assert less is not None
    after = merged(less, news(PAGE, (BERT, CLARA), SECOND, END + DAY))
    assert (invited(after), after.expires_at) == ([CLARA], END + DAY)


WEEKLY = tuple(Occurrence(NOW + week * 7 * DAY, NOW + week * 7 * DAY + HOUR) for week in range(3))
LAST = WEEKLY[2].end
SERIES = first(
    UID, news(replace(PAGE, times=WEEKLY, recurring=True), (ANNA, BERT, CLARA), FIRST, LAST), "join", "start"
)
MIDDLE = (WEEKLY[1].start,)


def without(
    known: Known, who: frozenset[str], revision: Revision, dates: tuple[int, ...] = MIDDLE, *, onward: bool = False
) -> Known:
    return after_cancelled_dates(known, who, revision, dates, onward=onward)


def test_a_cancelled_date() -> None:
    """Is gone, with the series' message again, too; the life of the meeting is the same."""
    less = without(SERIES, EVERYBODY, SECOND)
    assert (less.page.times, less.expires_at, invited(less)) == ((WEEKLY[0], WEEKLY[2]), LAST, [ANNA, BERT, CLARA])
    assert without(less, EVERYBODY, SECOND) is less
    assert merged(less, news(SERIES.page, (ANNA, BERT, CLARA), FIRST, LAST)) is less
    back = merged(less, news(replace(PAGE, times=WEEKLY[1:2]), (BERT,), THIRD, LAST, MIDDLE[0]))
    assert back.page.times == WEEKLY


def test_the_last_date_takes_the_end_along() -> None:
    """And a copy of the series does not put it back. When no date is left nothing is."""
    less = without(SERIES, EVERYBODY, SECOND, (WEEKLY[2].start,))
    assert less.expires_at == WEEKLY[1].end
    assert merged(less, news(SERIES.page, (BERT,), FIRST, LAST)).expires_at == WEEKLY[1].end
    none = without(less, EVERYBODY, THIRD, (WEEKLY[0].start, WEEKLY[1].start))
    assert (none.page.times, none.expires_at) == ((), 0)


def test_a_series_of_which_not_all_dates_are_known_keeps_its_end() -> None:
    """In doubt the later end counts."""
    endless = first(
        UID, replace(news(SERIES.page, (BERT,), FIRST, END + 900 * DAY), complete=False, lag=0), "join", "start"
    )
    assert without(endless, only(BERT), SECOND, (WEEKLY[2].start,)).expires_at == END + 900 * DAY


def test_all_dates_from_one_on() -> None:
    """RFC 5545 §3.2.13. The end comes forward, though the series had none; a later instance stands."""
    less = without(SERIES, EVERYBODY, SECOND, MIDDLE, onward=True)
    assert (less.page.times, less.expires_at) == (WEEKLY[:1], WEEKLY[0].end)
    assert merged(less, news(SERIES.page, (BERT,), FIRST, LAST)).page.times == WEEKLY[:1]
    half = without(SERIES, only(BERT), SECOND, MIDDLE, onward=True)
    assert half.page == SERIES.page  # Clara is not named
    assert without(half, only(CLARA), SECOND, MIDDLE, onward=True).page.times == WEEKLY[:1]
    endless = first(
        UID, replace(news(SERIES.page, (BERT,), FIRST, END + 900 * DAY), complete=False, lag=0), "join", "start"
    )
    assert without(endless, only(BERT), SECOND, MIDDLE, onward=True).expires_at == WEEKLY[0].end
    beyond = without(endless, only(BERT), SECOND, (LAST + 99 * DAY,), onward=True)
    assert beyond.expires_at == END + 900 * DAY  # where that date lies among those not listed, nobody knows
    again = merged(less, news(replace(PAGE, times=WEEKLY[1:2]), (BERT,), THIRD, LAST, MIDDLE[0]))
    assert (again.page.times, again.expires_at) == (WEEKLY[:2], LAST)
    anew = merged(less, news(SERIES.page, (BERT, CLARA), THIRD, LAST))
    assert anew.page.times == WEEKLY


def test_a_cancelled_date_does_not_lengthen_a_life() -> None:
    """A series that was shortened before and comes later has its own end."""
    less = without(SERIES, EVERYBODY, Revision(0, "20260509T080000Z"))
    shorter = merged(less, news(replace(PAGE, times=WEEKLY[:1]), (BERT, CLARA), SECOND, END - HOUR))
    assert (shorter.page.times, shorter.expires_at) == (WEEKLY[:1], END - HOUR)


def test_a_date_that_was_moved_and_then_cancelled() -> None:
    other = Occurrence(NOW + DAY, NOW + 2 * DAY)
    moved = merged(SERIES, news(replace(PAGE, times=(other,)), (BERT,), SECOND, END, MIDDLE[0]))
    assert other in moved.page.times
    assert without(moved, EVERYBODY, THIRD).page.times == (WEEKLY[0], WEEKLY[2])
    assert without(moved, EVERYBODY, FIRST) is moved  # late


def test_a_date_that_is_cancelled_for_one_after_the_other() -> None:
    """Domino writes one message for each domain: it goes with the last; nobody else's is cancelled by that."""
    half = without(SERIES, only(BERT), SECOND)
    assert half.page == SERIES.page
    assert without(half, only(BERT), SECOND) is half
    assert without(half, only(CLARA), SECOND).page.times == (WEEKLY[0], WEEKLY[2])
    uninvited = after_cancel(half, only(CLARA), THIRD)
    assert uninvited is not None
    assert uninvited.page.times == (WEEKLY[0], WEEKLY[2])  # for all who are left it was cancelled


def test_a_cancellation_that_an_update_has_overtaken() -> None:
    """Counts for those whom the update does not name."""
    update = merged(KNOWN, news(PAGE, (CLARA,), Revision(0, "20260503T080000Z"), END))
    assert invited(update) == [ANNA, BERT, CLARA]
    overtaken = Revision(0, "20260502T080000Z")
    assert invited(after_cancel(update, only(BERT), overtaken)) == [ANNA, CLARA]
    assert after_cancel(update, only(CLARA), overtaken) == replace(
        update,
        version=after_cancel(update, only(CLARA), overtaken).version,  # type: ignore[union-attr]
    )
    assert invited(after_cancel(update, EVERYBODY, overtaken)) == [ANNA, CLARA]


@pytest.mark.parametrize(
    ("revision", "comes_back"),
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
def test_what_brings_a_cancelled_meeting_back(revision: Revision, comes_back: bool) -> None:
    assert revives(revision, SECOND) is comes_back


PEOPLE = tuple(Person(f"p{number}@example.com") for number in range(4))
CUTS = st.permutations(PEOPLE).flatmap(
    lambda people: st.integers(1, 3).map(lambda at: (people[:at], people[at:], people[at - 1 :]))
)


@given(CUTS.flatmap(lambda cuts: st.permutations([*cuts, None, None])))
def test_in_whatever_order_and_how_often(messages: list[list[Person] | None]) -> None:
    """Cancellations that name everybody end the meeting, with the old invitation (None) between them or not."""
    known: Known | None = first(UID, news(PAGE, PEOPLE), "join", "start")
    for people in messages:
        if known is None:
            return
        if people is None:
            known = merged(known, news(PAGE, PEOPLE, FIRST, END))
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
        old = store.claim(ORGANIZER, UID, news(PAGE, (BERT,), revision, END), NOW)
        assert old is Refusal.CANCELLED
    assert store.claim(ORGANIZER, UID, news(PAGE, (BERT,), THIRD, END), NOW, only_known=True) is None
    new = claim(store, revision=THIRD)
    assert new.new
    assert {new.join_token, new.start_token}.isdisjoint({got.join_token, got.start_token})


def test_the_last_date_is_cancelled_and_all_is_put_off_after_that(vault: Vault) -> None:
    """The SEQUENCE of the date had run ahead: what was sent later is newer all the same, what was sent before is not."""
    store = vault.mail()
    claim(store)
    ahead = Revision(5, SECOND.dtstamp)
    assert store.cancel(ORGANIZER, UID, only(BERT), ahead, NOW, dates=(NOW + HOUR,)).kind is Cancelling.MEETING
    before = news(PAGE, (BERT,), Revision(3, "20260501T090000Z"), END)
    assert store.claim(ORGANIZER, UID, before, NOW) is Refusal.CANCELLED
    assert claim(store, revision=Revision(1, THIRD.dtstamp)).new


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
    old = store.claim(ORGANIZER, UID, news(PAGE, (BERT,), FIRST, end), NOW)
    assert old is Refusal.CANCELLED  # after the salts were sealed anew, too
    assert purge(vault.database, vault.epoch, left).deleted == 1
    if left < end:
        assert isinstance(store.claim(ORGANIZER, UID, news(PAGE, (BERT,), FIRST, end), left), Claim)
