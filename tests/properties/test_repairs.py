"""The laws for the repairs: the self-check knows these edits and nothing more, and a rule says the very dates."""

from datetime import date, datetime, timedelta

from dateutil import rrule
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from notes2conf_milter.core.edits import Changes
from notes2conf_milter.core.invitation import Invitation, read
from notes2conf_milter.core.mending import Mending, mend
from notes2conf_milter.core.repairs import Mode, Repairs
from notes2conf_milter.core.rewrite import changes, meant
from notes2conf_milter.core.selfcheck import check
from notes2conf_milter.core.shortrule import short_rule
from notes2conf_milter.core.work import change
from tests.core.test_rdates import IN_UTC, LOCAL, invited, planned, series
from tests.core.test_related import HTML, PICTURE, SHOWING, inner, related
from tests.fuzz.targets import SETTINGS
from tests.invitations import ALL_ON, CALENDAR, TOKEN, job, message, part, read_ok, repaired
from tests.properties.messages import damaged, messages
from tests.properties.test_laws import holds

MORE = settings(deadline=None, suppress_health_check=list(HealthCheck))
MODES = st.builds(Repairs, st.sampled_from(Mode), st.sampled_from(Mode))


# --- the rule ---

FIRST = st.dates(date(2020, 1, 1), date(2030, 12, 31))
WEEKDAYS = st.sets(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1)


@st.composite
def regular(draw: st.DrawFn) -> list[date]:
    """The days of a rule as python-dateutil gives them, sometimes with one that is lost, moved or put in."""
    first, step = draw(FIRST), draw(st.integers(1, 5))
    weekdays = ",".join(sorted(draw(WEEKDAYS)))
    ordinal = draw(st.sampled_from(["1", "2", "3", "4", "5", "-1"])) + weekdays[:2]
    kinds = ["DAILY", f"WEEKLY;BYDAY={weekdays}", "MONTHLY", f"MONTHLY;BYDAY={ordinal}", "YEARLY"]
    rule = f"FREQ={draw(st.sampled_from(kinds))};INTERVAL={step};COUNT={draw(st.integers(2, 12))}"
    days = [one.date() for one in rrule.rrulestr(rule, dtstart=datetime(first.year, first.month, first.day))]
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(days) - 1))
        days[at : at + 1] = draw(
            st.sampled_from([[], [days[at] + timedelta(days=1)], [days[at], days[at] + timedelta(1)]])
        )
    return sorted(set(days))


@settings(MORE, max_examples=500)
@given(regular() | st.lists(FIRST, max_size=6, unique=True).map(sorted))
def test_a_rule_gives_the_very_days(days: list[date]) -> None:
    """By another library; a list that no rule gives has none."""
    rule = short_rule(days)
    if rule is None:
        return
    start = datetime(days[0].year, days[0].month, days[0].day)
    assert [one.date() for one in rrule.rrulestr(rule, dtstart=start)] == days


@settings(MORE, max_examples=200)
@given(FIRST, st.integers(0, 23), st.integers(1, 6), st.integers(2, 20), st.booleans())
def test_a_weekly_series_in_utc_over_the_changes_of_the_clocks(
    first: date, hour: int, weeks: int, count: int, periods: bool
) -> None:
    """What the store is told is the same before and after, and the self-check agrees; it stays in the nights in doubt."""
    local = [datetime(first.year, first.month, first.day, hour) + timedelta(weeks=weeks * one) for one in range(count)]
    utc = [one - timedelta(hours=2 if summer(one) else 1) for one in local]
    stamps = [f"{one:%Y%m%dT%H%M%S}Z" for one in utc]
    values = [f"{stamp}/PT45M" if periods else stamp for stamp in stamps]
    start, end = local[0], local[0] + timedelta(minutes=45)
    event = f"DTSTART;TZID=Romance:{start:%Y%m%dT%H%M%S}\r\nDTEND;TZID=Romance:{end:%Y%m%dT%H%M%S}"
    listed = f"RDATE{';VALUE=PERIOD' if periods else ''}:" + "\r\n ,".join(values)
    octets = invited(series(event.encode(), listed.encode()))
    result, said = repaired(octets)
    doubtful = any(one.weekday() == 6 and one.month in (3, 10) and one.hour <= 3 for one in local)
    assert said == ["rdate:done"] or doubtful
    assert planned(result) == planned(octets)


def summer(local: datetime) -> bool:
    """Central European summer time, for times that are not in the nights of its changes."""
    begins, ends = (datetime(local.year, month, last_sunday(local.year, month), 2) for month in (3, 10))
    return begins <= local < ends


def last_sunday(year: int, month: int) -> int:
    return max(day for day in range(25, 32) if date(year, month, day).weekday() == 6)


# --- the self-check ---

SERIES = series(LOCAL, IN_UTC)
SAMPLES = {
    "in the header": related(HTML, part(SERIES, CALENDAR)),
    "quoted-printable": message(
        inner(b"related", HTML, part(SERIES, CALENDAR, b"quoted-printable"), boundary=b"=_r"), kind=b"mixed"
    ),
    "base64": message(
        inner(b"related", inner(b"related", SHOWING, PICTURE), part(SERIES, CALENDAR, b"base64"), boundary=b"=_r"),
        part(SERIES, CALENDAR),
        kind=b"mixed",
    ),
}


def mended(octets: bytes) -> tuple[bytes, bytes, Mending]:
    """A message with its repairs and its link, with its repairs alone, and the repairs."""
    found = read_ok(octets)
    mending = mend(octets, found, ALL_ON)
    assert list(map(str, mending.repairs)) == ["multipart-related:done", "rdate:done"]
    alone = octets.replace(b"multipart/related", b"multipart/alternative", 1)
    return changes(octets, found, job(), mending).applied(octets), alone, mending


@settings(MORE, max_examples=600)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_damage_beside_the_repairs_is_seen(name: str, data: st.DataObject) -> None:
    """One octet changed, lost or added: the check complains, or all that was there is there, the lists of dates aside."""
    original = SAMPLES[name]
    result, alone, mending = mended(original)
    at = data.draw(st.integers(0, len(result) - 1))
    new = data.draw(st.sampled_from([b"", b"X", b" ", b"\n", b"\r", b"3", b"=", b"-", result[at : at + 1] * 2]))
    hurt = result[:at] + new + result[at + 1 :]
    assume(hurt != result)
    if check(original, hurt, meant(read_ok(original), job(), mending)) is None:
        without = series(LOCAL, mending.rule or b"")
        assert holds(rebuilt(alone, without), hurt)


def rebuilt(octets: bytes, calendar: bytes) -> bytes:
    """The same message with another calendar in the place of each, in its encoding."""
    for encoding in (b"8bit", b"quoted-printable", b"base64"):
        octets = octets.replace(part(SERIES, CALENDAR, encoding), part(calendar, CALENDAR, encoding))
    return octets


@given(st.sampled_from(sorted(SAMPLES)))
def test_a_repair_that_was_not_meant_is_seen(name: str) -> None:
    """Each of the two alone, and the link without them is meant all the same."""
    original = SAMPLES[name]
    result, _, _ = mended(original)
    found = read_ok(original)
    for wanted in (Repairs(Mode.ON, Mode.OFF), Repairs(Mode.OFF, Mode.ON), Repairs()):
        mending = mend(original, found, wanted)
        assert check(original, result, meant(found, job(), mending)) is not None
        assert (
            check(original, changes(original, found, job(), mending).applied(original), meant(found, job(), mending))
            is None
        )


# --- any message ---


@settings(MORE, max_examples=150)
@given(messages(), MODES)
def test_with_repairs_again_is_the_same(octets: bytes, wanted: Repairs) -> None:
    """Laws 2 and 3, with every combination of the settings."""
    if isinstance(read(octets), Invitation):
        repaired(octets, wanted)


@settings(MORE, max_examples=100)
@given(damaged())
def test_with_repairs_damaged_messages_have_an_answer(octets: bytes) -> None:
    """Law 4: a repair never raises, and never costs the link that there would be without."""
    found = read(octets)
    if not isinstance(found, Invitation):
        return
    plain = check(octets, changes(octets, found, job()).applied(octets), meant(found, job()))
    assert isinstance(change(octets, found, SETTINGS, TOKEN), Changes) or plain is not None
