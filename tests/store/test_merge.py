"""What messages do to a known meeting: newer ones change it, equal ones complete it, older ones do nothing."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.meeting import Instance, Occurrence, Page, Person, Revision
from notes2conf_milter.store import merge
from notes2conf_milter.store.merge import Known, News, first, merged
from tests.store.vault import BERT, CLARA, DAY, END, FIRST, HOUR, NOW, PAGE, SECOND, UID

MOVED = replace(PAGE, subject="Budget, moved", times=(Occurrence(NOW + DAY, NOW + DAY + HOUR),))
NEWS = News(PAGE, (BERT,), FIRST, None, END)
KNOWN = first(UID, NEWS, "join", "start")

PEOPLE = st.lists(st.builds(Person, st.sampled_from("abc"), st.sampled_from(["", "A"])), max_size=3).map(tuple)
TIMES = st.lists(st.builds(Occurrence, st.integers(0, 5), st.integers(5, 9)), max_size=3).map(tuple)
PAGES = st.builds(Page, st.sampled_from("xy"), st.just(BERT), TIMES, st.booleans())
REVISIONS = st.builds(Revision, st.integers(0, 2), st.sampled_from(["", "1", "2"]))
MESSAGES = st.builds(News, PAGES, PEOPLE, REVISIONS, st.sampled_from([None, "i1", "i2"]), st.integers(1, 9))


def known_after(messages: list[News]) -> Known:
    known = first(UID, messages[0], "join", "start")
    for message in messages[1:]:
        known = merged(known, message)
    return known


@given(st.lists(MESSAGES, min_size=1, max_size=6))
def test_the_same_message_again_changes_nothing(messages: list[News]) -> None:
    known = known_after(messages)
    assert merged(known, messages[-1]) is known


@given(st.lists(MESSAGES, min_size=1, max_size=5), MESSAGES)
def test_only_a_newer_message_of_the_series_shortens_the_life(messages: list[News], last: News) -> None:
    known = known_after(messages)
    after = merged(known, last)
    if after.expires_at < known.expires_at:
        assert last.recurrence_id is None
        assert last.revision > known.version.series


@given(st.lists(MESSAGES, min_size=1, max_size=6))
def test_uid_and_tokens_stay(messages: list[News]) -> None:
    record = known_after(messages).record
    assert (record.uid, record.join_token, record.start_token) == (UID, "join", "start")


def test_a_newer_message_replaces() -> None:
    after = merged(KNOWN, News(MOVED, (CLARA,), SECOND, None, END - 1))
    assert (after.page, after.record.attendees, after.expires_at) == (MOVED, (CLARA,), END - 1)
    assert after.version.series == SECOND


def test_an_older_message_changes_nothing() -> None:
    newer = merged(KNOWN, News(MOVED, (CLARA,), SECOND, None, END))
    assert merged(newer, NEWS) is newer


def test_an_information_update_of_notes_is_newer_by_its_dtstamp() -> None:
    update = Revision(FIRST.sequence, "20260503T080000Z")
    assert merged(KNOWN, replace(NEWS, page=MOVED, revision=update)).page == MOVED


def test_the_same_message_for_another_domain_adds_its_attendees() -> None:
    after = merged(KNOWN, replace(NEWS, attendees=(CLARA, Person(BERT.address, "Somebody"))))
    assert after.record.attendees == (BERT, CLARA)


def test_a_name_that_was_missing_is_taken() -> None:
    nameless = first(UID, replace(NEWS, attendees=(Person(BERT.address),)), "join", "start")
    assert merged(nameless, NEWS).record.attendees == (BERT,)


def test_an_instance_adds_its_time_and_lengthens_the_life() -> None:
    after = merged(KNOWN, News(MOVED, (CLARA,), SECOND, "20260505T080000Z", END + DAY))
    assert after.page.times == PAGE.times + MOVED.times
    assert (after.page.subject, after.page.recurring, after.expires_at) == (PAGE.subject, True, END + DAY)
    assert after.record.attendees == (BERT, CLARA)
    assert (after.version.series, after.version.instances) == (
        FIRST,
        (("20260505T080000Z", Instance(SECOND, (), MOVED.times, END + DAY)),),
    )


WEEKLY = replace(
    PAGE,
    recurring=True,
    times=tuple(Occurrence(NOW + week * 7 * DAY, NOW + week * 7 * DAY + HOUR) for week in range(3)),
)
SERIES = first(UID, replace(NEWS, page=WEEKLY), "join", "start")
MIDDLE = WEEKLY.times[1]


def moved(to: int, revision: Revision = SECOND) -> News:
    """The second of three weeks, moved to another time."""
    page = replace(PAGE, times=(Occurrence(to, to + HOUR),))
    return News(page, (BERT,), revision, "i", to + HOUR, replaced=(MIDDLE.start,))


def starts(known: Known) -> list[int]:
    return [one.start for one in known.page.times]


def test_an_instance_takes_the_place_of_its_date() -> None:
    """Once, twice, and when a copy of the series comes late."""
    once = merged(SERIES, moved(NOW + 8 * DAY))
    assert starts(once) == [NOW, NOW + 8 * DAY, NOW + 14 * DAY]
    twice = merged(once, moved(NOW + 9 * DAY, Revision(2, "20260503T080000Z")))
    assert starts(twice) == [NOW, NOW + 9 * DAY, NOW + 14 * DAY]
    assert merged(twice, moved(NOW + 8 * DAY)) is twice
    assert merged(twice, replace(NEWS, page=WEEKLY)) is twice


def test_an_instance_that_came_before_its_series() -> None:
    """Whatever the order: the same times and the same end."""
    early = first(UID, moved(NOW + 30 * DAY), "join", "start")
    after = merged(early, replace(NEWS, page=WEEKLY))
    assert starts(after) == [NOW, NOW + 14 * DAY, NOW + 30 * DAY]
    assert after.expires_at == NOW + 30 * DAY + HOUR


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[News], list[News]]:
    """What an organizer sends, and what arrives of it: all of it, in another order, some twice."""
    sent: list[News] = []
    sequence, start = 0, NOW
    for number, kind in enumerate(
        ["series", *draw(st.lists(st.sampled_from(["series", "i0", "i1", "i2"]), max_size=6))]
    ):
        sequence, stamp = sequence + (kind == "series"), f"202605{number + 1:02}T080000Z"
        if kind == "series":
            start = NOW + number * HOUR
            times = tuple(Occurrence(start + week * 7 * DAY, start + week * 7 * DAY + HOUR) for week in range(3))
            sent.append(News(replace(WEEKLY, times=times), (BERT,), Revision(sequence, stamp), None, times[-1].end))
            continue
        original = start + int(kind[1:]) * 7 * DAY
        off, to = draw(st.booleans()), original + draw(st.integers(1, 40)) * DAY + number
        times = () if off else (Occurrence(to, to + HOUR),)
        page = replace(WEEKLY, times=times)
        end = original if off else to + HOUR
        sent.append(News(page, (BERT,), Revision(sequence, stamp), kind, end, (original,)))
    arriving = draw(st.permutations(sent + draw(st.lists(st.sampled_from(sent), max_size=3))))
    return sent, arriving


@given(histories())
def test_in_whatever_order_a_series_and_its_instances_come(history: tuple[list[News], list[News]]) -> None:
    """The times are those that the organizer's calendar has in the end."""
    sent, arriving = history
    wanted = known_after(sent)
    series = [at for at, one in enumerate(sent) if one.recurrence_id is None][-1]
    latest = {one.recurrence_id: one for one in sent[series:]}
    gone = {start for name, one in latest.items() if name for start in one.replaced}
    stays = [one for one in sent[series].page.times if one.start not in gone]
    assert set(wanted.page.times) == {
        *stays,
        *(time for name, one in latest.items() if name for time in one.page.times),
    }
    known = known_after(arriving)
    assert known.page == wanted.page
    assert known.version.series == wanted.version.series
    assert known.expires_at >= max([one.end for one in known.page.times], default=0)


def test_a_newer_series_speaks_for_its_instances_but_the_newest() -> None:
    last, later = Revision(1, "20260504T080000Z"), Revision(2, "20260503T080000Z")
    changed = merged(SERIES, moved(NOW + 30 * DAY))
    assert starts(merged(changed, replace(NEWS, page=WEEKLY, revision=later))) == starts(SERIES)
    changed = merged(SERIES, moved(NOW + 30 * DAY, last))
    after = merged(changed, replace(NEWS, page=WEEKLY, revision=later))
    assert (starts(after), after.expires_at) == ([NOW, NOW + 14 * DAY, NOW + 30 * DAY], NOW + 30 * DAY + HOUR)


def test_an_instance_never_shortens_the_life() -> None:
    assert merged(KNOWN, News(MOVED, (), SECOND, "20260505T080000Z", END - HOUR)).expires_at == END


def test_an_older_message_about_an_instance_changes_nothing() -> None:
    newer = merged(KNOWN, News(PAGE, (), SECOND, "i", END))
    assert merged(newer, News(MOVED, (CLARA,), FIRST, "i", END + DAY)) is newer


def test_an_instance_older_than_the_series_changes_nothing() -> None:
    newer = merged(KNOWN, replace(NEWS, revision=Revision(5, "20260503T080000Z")))
    assert merged(newer, News(MOVED, (CLARA,), FIRST, "i", END + DAY)) is newer


def test_an_instance_may_count_for_itself() -> None:
    newer = merged(KNOWN, replace(NEWS, revision=Revision(5, "20260503T080000Z")))
    later = merged(newer, News(MOVED, (), Revision(0, "20260504T080000Z"), "i", END + DAY))
    assert later.expires_at == END + DAY


def test_a_late_copy_of_the_series_keeps_what_an_instance_brought() -> None:
    grown = merged(KNOWN, News(MOVED, (), SECOND, "i", END + DAY))
    after = merged(grown, NEWS)
    assert (after.page.times, after.expires_at) == (grown.page.times, END + DAY)


def test_the_series_after_its_instance_keeps_the_instance() -> None:
    instance = first(UID, News(MOVED, (CLARA,), FIRST, "i", END + DAY), "join", "start")
    after = merged(instance, NEWS)
    assert (after.page.subject, after.expires_at) == (PAGE.subject, END + DAY)
    assert after.page.times == PAGE.times + MOVED.times


def test_a_row_stays_bounded() -> None:
    known = KNOWN
    for step in range(3):
        times = tuple(Occurrence(n, n + 1) for n in range(step * 700, step * 700 + 700))
        people = tuple(Person(f"{step}.{n}@example.com") for n in range(900))
        known = merged(known, News(replace(PAGE, times=times), people, FIRST, None, END))
    for number in range(merge.MAX_INSTANCES + 5):
        known = merged(known, News(PAGE, (), FIRST, f"{number:05}", END))
    assert len(known.page.times) == merge.MAX_TIMES
    assert PAGE.times[0] in known.page.times  # the latest stay
    assert len(known.record.attendees) == merge.MAX_ATTENDEES
    assert len(known.version.instances) == merge.MAX_INSTANCES
