"""What messages do to a known meeting: the state is what the newest message about each thing says, whatever the order."""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from notes2conf_milter.core.meeting import Instance, Occurrence, Page, Person, Revision
from notes2conf_milter.store import merge, people
from notes2conf_milter.store.cancel import after_cancel, after_cancelled_dates
from notes2conf_milter.store.merge import Known, News, first, merged
from tests.store.vault import BERT, CLARA, DAY, END, FIRST, HOUR, NOW, PAGE, SECOND, UID, news

MOVED = replace(PAGE, subject="Budget, moved", times=(Occurrence(NOW + DAY, NOW + DAY + HOUR),))
NEWS = news()
KNOWN = first(UID, NEWS, "join", "start")

PEOPLE = st.lists(st.builds(Person, st.sampled_from("abc"), st.sampled_from(["", "A"])), max_size=3).map(tuple)
TIMES = st.lists(st.builds(Occurrence, st.integers(0, 5), st.integers(5, 9)), min_size=1, max_size=3).map(tuple)
PAGES = st.builds(Page, st.sampled_from("xy"), st.just(BERT), TIMES, st.booleans())
REVISIONS = st.builds(Revision, st.integers(0, 2), st.sampled_from(["", "1", "2"]))
MESSAGES = st.builds(news, PAGES, PEOPLE, REVISIONS, st.integers(9, 12), st.sampled_from([None, 1, 2]))


def known_after(messages: list[News]) -> Known:
    known = first(UID, messages[0], "join", "start")
    for message in messages[1:]:
        known = merged(known, message)
    return known


@given(st.lists(MESSAGES, min_size=1, max_size=6))
def test_the_same_message_again_changes_nothing(messages: list[News]) -> None:
    known = known_after(messages)
    assert merged(known, messages[-1]) is known


@given(st.lists(MESSAGES, min_size=1, max_size=6))
def test_uid_and_tokens_stay(messages: list[News]) -> None:
    record = known_after(messages).record
    assert (record.uid, record.join_token, record.start_token) == (UID, "join", "start")


def test_a_newer_message_replaces() -> None:
    """Times, people and the end, which may come forward."""
    earlier = replace(PAGE, times=(Occurrence(NOW, NOW + HOUR),))
    after = merged(KNOWN, news(earlier, (CLARA,), SECOND, NOW + HOUR))
    assert (after.page, after.record.attendees, after.expires_at) == (earlier, (CLARA,), NOW + HOUR)
    assert after.version.series == SECOND


def test_an_older_message_changes_nothing() -> None:
    newer = merged(KNOWN, news(MOVED, (CLARA,), SECOND, END + DAY))
    assert merged(newer, NEWS) is newer


def test_an_information_update_of_notes_is_newer_by_its_dtstamp() -> None:
    update = Revision(FIRST.sequence, "20260503T080000Z")
    assert merged(KNOWN, replace(NEWS, page=MOVED, revision=update)).page == MOVED


def test_the_same_message_for_another_domain_adds_its_attendees() -> None:
    after = merged(KNOWN, replace(NEWS, attendees=(CLARA, Person(BERT.address, "Somebody"))))
    assert after.record.attendees == (BERT, CLARA)


def test_the_first_message_for_another_domain_after_an_update_for_one() -> None:
    """Adds its attendees: they hold the link, and the SEQUENCE did not rise."""
    update = merged(KNOWN, news(PAGE, (BERT,), Revision(FIRST.sequence, "20260503T080000Z")))
    assert merged(update, replace(NEWS, attendees=(CLARA,))).record.attendees == (BERT, CLARA)


def test_a_name_that_was_missing_is_taken() -> None:
    nameless = first(UID, replace(NEWS, attendees=(Person(BERT.address),)), "join", "start")
    assert merged(nameless, NEWS).record.attendees == (BERT,)


def test_an_instance_adds_its_time_and_lengthens_the_life() -> None:
    after = merged(KNOWN, news(MOVED, (CLARA,), SECOND, END + DAY, NOW + 9 * DAY))
    assert after.page.times == PAGE.times + MOVED.times
    assert (after.page.subject, after.page.recurring, after.expires_at) == (PAGE.subject, True, END + DAY)
    assert after.record.attendees == (BERT, CLARA)
    assert (after.version.series, after.version.instances) == (
        FIRST,
        ((NOW + 9 * DAY, Instance(SECOND, MOVED.times, END + DAY)),),
    )


def test_an_instance_that_came_before_its_series() -> None:
    """Whatever the order: the same times, guests and end."""
    early = first(UID, news(MOVED, (CLARA,), SECOND, END + DAY, PAGE.times[0].start), "join", "start")
    assert (early.page.recurring, early.expires_at) == (True, END + DAY)
    after = merged(early, NEWS)
    late = merged(KNOWN, news(MOVED, (CLARA,), SECOND, END + DAY, PAGE.times[0].start))
    assert (after.page.times, after.expires_at) == (late.page.times, late.expires_at) == (MOVED.times, END + DAY)
    assert set(after.record.attendees) == set(late.record.attendees)


def test_in_doubt_it_is_over_later() -> None:
    """A series of which not all dates are known has its own end; of two copies of a message the later one."""
    endless = first(UID, replace(NEWS, complete=False, expires_at=END + 99 * DAY), "join", "start")
    assert endless.expires_at == END + 99 * DAY
    assert merged(endless, replace(NEWS, complete=False, expires_at=END + 98 * DAY)).expires_at == END + 99 * DAY


# --- an organizer's history, and what arrives of it ---

ALL = (Person("p0@example.com"), Person("p1@example.com"), Person("p2@example.net"))
WEEK = 7 * DAY


@dataclass
class Calendar:
    """The organizer's own calendar: what it holds in the end is what is to be known here."""

    start: int = NOW
    sequence: int = 0
    stamp: int = 0
    apart: dict[int, int | None] = field(default_factory=dict)  # which week -> where it was moved to, None: off
    weeks: int = 3
    invited: set[int] = field(default_factory=lambda: {0, 1, 2})
    steady: set[int] = field(default_factory=lambda: {0, 1, 2})  # invited all the time
    ahead: dict[int, int] = field(default_factory=dict)  # which week -> its own SEQUENCE, which only rises

    def revision(self, rises: bool = False) -> Revision:
        self.sequence += rises
        self.stamp += 1
        return Revision(self.sequence, f"202605{self.stamp:02}T080000Z")

    def instance(self, week: int, rises: int) -> Revision:
        """The revision of a message about one date, which counts for itself."""
        stamped = self.revision()
        self.ahead[week] = max(self.ahead.get(week, 0), self.sequence) + rises
        return replace(stamped, sequence=self.ahead[week])

    def leaves(self, number: int) -> None:
        """Somebody is invited no more. One always stays: who is invited anew is not known before that message comes."""
        self.invited.discard(number)
        self.steady.discard(number)

    def original(self, week: int) -> int:
        return self.start + week * WEEK

    def times(self) -> tuple[Occurrence, ...]:
        at = [self.apart.get(week, self.original(week)) for week in range(self.weeks)]
        return tuple(Occurrence(one, one + HOUR) for one in sorted({one for one in at if one is not None}))

    def names(self) -> tuple[Person, ...]:
        return tuple(ALL[number] for number in sorted(self.invited))

    def request(self, revision: Revision, names: tuple[Person, ...], *, bare: bool = False) -> News:
        """A message about the whole, with the changed dates in it; bare: without them, as the rule has it."""
        apart = tuple(
            (self.original(week), _instance(replace(revision, sequence=self.ahead.get(week, self.sequence)), to))
            for week, to in sorted({} if bare else self.apart.items())
            if week < self.weeks
        )
        rule = tuple(Occurrence(self.original(week), self.original(week) + HOUR) for week in range(self.weeks))
        page = replace(PAGE, times=rule if bare else self.times(), recurring=True)
        return News(page, names, revision, page.times[-1].end if page.times else self.start, True, apart)


def _instance(revision: Revision, to: int | None) -> Instance:
    return Instance(revision) if to is None else Instance(revision, (Occurrence(to, to + HOUR),), to + HOUR)


def _apply(known: Known, message: object) -> Known:
    if isinstance(message, News):
        return merged(known, message)
    assert isinstance(message, tuple)
    addresses, revision, dates, onward = message
    if dates:
        return after_cancelled_dates(known, addresses, revision, dates, onward=onward)
    after = after_cancel(known, addresses, revision)
    assert after is not None  # somebody is always left
    return after


@st.composite
def histories(draw: st.DrawFn) -> tuple[Calendar, list[object]]:
    """What an organizer does, and what arrives: all of it, in another order, some twice; the first invitation first."""
    calendar = Calendar()
    sent: list[object] = [calendar.request(calendar.revision(), ALL)]
    for _ in range(draw(st.integers(0, 7))):
        kind = draw(
            st.sampled_from(
                ["move", "split", "drop", "info", "keep", *["instance"] * 3, *["off"] * 2, "cut", "uninvite", "invite"]
            )
        )
        week = draw(st.integers(0, 2))
        alive = week < calendar.weeks and calendar.apart.get(week, 0) is not None
        if kind in ("move", "split", "drop"):
            calendar.start += draw(st.sampled_from([0, HOUR]))
            calendar.apart, calendar.weeks = {}, 3
            if kind == "drop" and 0 in calendar.steady:
                calendar.leaves(1)  # a colleague of the first one's, without a word
            revision, names = calendar.revision(rises=True), calendar.names()
            domains = sorted({one.address.partition("@")[2] for one in names}) if kind == "split" else [""]
            sent += [
                calendar.request(revision, tuple(one for one in names if one.address.endswith(domain)))
                for domain in domains
            ]
        elif kind == "keep":  # what was changed stays changed, with the SEQUENCE that it has
            sent.append(calendar.request(calendar.revision(rises=True), calendar.names()))
        elif kind == "info":
            names = calendar.names()
            told = draw(st.sampled_from([names, names[:1]]))  # all, or whom it is for
            sent.append(calendar.request(calendar.revision(), told, bare=draw(st.booleans())))
        elif kind == "instance" and alive:
            calendar.apart[week] = to = calendar.original(week) + draw(st.integers(1, 40)) * DAY + week + 1
            revision = calendar.instance(week, draw(st.integers(0, 3)))
            one = ((calendar.original(week), _instance(revision, to)),)
            page = replace(PAGE, times=one[0][1].times)
            sent.append(News(page, calendar.names(), revision, to + HOUR, False, one))
        elif kind == "off" and alive and len(calendar.times()) > 1:
            calendar.apart[week] = None
            revision = calendar.instance(week, draw(st.integers(0, 3)))
            everybody = frozenset(one.address for one in calendar.names())
            named = [everybody]
            if draw(st.booleans()) and len(everybody) > 1:  # one message for each domain
                named = [frozenset({sorted(everybody)[0]}), everybody - {sorted(everybody)[0]}]
            sent += [(some, revision, (calendar.original(week),), False) for some in named]
        elif (
            kind == "cut"
            and 0 < week < calendar.weeks
            and any(calendar.apart.get(at, 0) is not None for at in range(week))
        ):
            calendar.weeks = week
            calendar.apart = {at: to for at, to in calendar.apart.items() if at < week}
            everybody = frozenset(one.address for one in calendar.names())
            sent.append((everybody, calendar.revision(), (calendar.original(week),), True))
        elif kind == "uninvite" and len(calendar.steady) > 1:
            number = draw(st.sampled_from(sorted(calendar.invited)))
            calendar.leaves(number)
            sent.append((frozenset({ALL[number].address}), calendar.revision(), (), False))
        elif kind == "invite" and len(calendar.invited) < 3:
            number = min({0, 1, 2} - calendar.invited)
            calendar.invited.add(number)
            sent.append(calendar.request(calendar.revision(), (ALL[number],)))
    later = draw(st.permutations(sent[1:] + draw(st.lists(st.sampled_from(sent), max_size=3))))
    return calendar, [sent[0], *later]


@given(histories())
@settings(max_examples=400, deadline=None)
def test_in_whatever_order_messages_come_the_state_is_the_organizers(history: tuple[Calendar, list[object]]) -> None:
    """Times, end and people are those of the calendar that sent them; in doubt about somebody a cancelled date stays."""
    calendar, arriving = history
    assert isinstance(arriving[0], News)
    known = first(UID, arriving[0], "join", "start")
    for message in arriving[1:]:
        known = _apply(known, message)
    end = max(one.end for one in calendar.times())
    if people.missing(known.version):  # the message that dropped them came after a newer one
        assert set(known.page.times) >= set(calendar.times())
        assert known.expires_at >= end
    else:
        assert (known.page.times, known.expires_at) == (calendar.times(), end)
    assert {one.address for one in known.record.attendees} == {one.address for one in calendar.names()}
    for message in arriving:
        again = _apply(known, message)
        assert (again.page, again.record, again.expires_at) == (known.page, known.record, known.expires_at)


def test_a_row_stays_bounded() -> None:
    known = KNOWN
    for step in range(3):
        times = tuple(Occurrence(n, n + 1) for n in range(step * 700, step * 700 + 700))
        people = tuple(Person(f"{step}.{n}@example.com") for n in range(900))
        known = merged(known, News(replace(PAGE, times=times), people, FIRST, END))
    for number in range(merge.MAX_INSTANCES + 5):
        known = merged(known, news(PAGE, (), FIRST, END, number))
    assert len(known.page.times) == merge.MAX_TIMES
    assert PAGE.times[0] in known.page.times  # the latest stay
    assert len(known.record.attendees) == merge.MAX_ATTENDEES
    assert len(known.version.instances) == merge.MAX_INSTANCES
