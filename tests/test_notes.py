"""The messages of a Notes series: that they have Notes's shape, and what other readers find in them with the link."""

import re
from collections.abc import Callable

import pytest

from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.invitation import Cancellation, Invitation, read
from notes2conf_milter.core.rewrite import meant, rewrite
from notes2conf_milter.core.selfcheck import check
from tests.insertions import CALENDAR, parsed, places
from tests.invitations import LINK, job
from tests.notes import Release, Series
from tests.otherparsers import Properties, by_ical_js, by_libical

every = pytest.mark.parametrize("release", Release)


def requests(release: Release) -> list[bytes]:
    series = Series.tomorrow(release)
    return [series.invitation(), series.reschedule(), series.update(), series.move()]


def cancels(release: Release) -> list[bytes]:
    series = Series.tomorrow(release)
    return [series.cancel_one(), *(series.cancel_all(domain) for domain in ("example.net", "example.com"))]


@every
def test_they_have_what_only_notes_writes(release: Release) -> None:
    """Legal or not: whoever smooths this generator takes the point from the tests that use it."""
    for octets in requests(release) + cancels(release):
        message = parsed(octets)
        assert [line for line in octets.splitlines() if len(line) > 998] == []
        assert octets.count(b"\n") == octets.count(b"\r\n")
        items = message.get_all("X-Notes-Item", [])
        assert len(items) > 35
        assert sum(item.startswith(";") for item in items) > 10
        assert b"X-Notes-Item:  1 Hr.  ;" in octets
        assert re.search(rb'boundary="=_mixed [0-9A-F]+_="', octets)
        inline = next(part for part in message.walk() if part.get_content_type() == "text/calendar")
        assert inline["content-transfer-encoding"] is None
        calendar = inline.get_payload(decode=True)
        assert isinstance(calendar, bytes)
        assert calendar.startswith(b"BEGIN:VCALENDAR\r\nX-LOTUS-CHARSET:UTF-8\r\nVERSION:2.0\r\n")
        assert b"DTSTART:19501029T020000\r\n" in calendar
        assert b"\r\nRRULE:FREQ=YEARLY;BYMINUTE=0;BYHOUR=2;" in calendar
        assert re.search(rb"\r\nTZID:[^\"\r]+\r\n", calendar)
        assert re.search(rb'\r\nDTSTART;TZID="[^"\r]+":\d{8}T\d{6}\r\n', calendar)
        assert max(len(line) for line in calendar.splitlines() if b"UPDATE-WISL" in line) > 200
        assert re.search(rb'\r\nDESCRIPTION;ALTREP="CID:<([^>]+)>":\r\n', calendar)
        copy = [part for part in message.walk() if re.fullmatch(r"c\d{6}\.ics", part.get_filename() or "")]
        assert [part.get_payload(decode=True) for part in copy] == [calendar]
        body = re.search(rb"ALTREP=\"CID:(<[^>]+>)", calendar)
        assert body is not None
        assert body[1].decode() in [part["content-id"] for part in message.walk()]


@every
def test_they_say_what_the_chain_is(release: Release) -> None:
    """The rule, then periods without it; the body under the same SEQUENCE; one date alone; whom each CANCEL names."""
    first, put_off, body, moved = requests(release)
    assert b"\r\nRRULE;TZID=" in first
    assert b"RDATE" not in first
    for octets in (put_off, body):
        assert b"\r\nRDATE;VALUE=PERIOD:" in octets
        assert b"\r\nRRULE;TZID=" not in octets
    assert re.search(rb"\r\nCOMMENT;ALTREP=CID:<[^>]+>:\r\n", put_off)
    assert re.search(rb"\r\nRECURRENCE-ID:\d{8}T\d{6}Z\r\n", moved)
    said = [read(octets) for octets in (first, put_off, body, moved)]
    revisions = [one.revision for one in said if isinstance(one, Invitation)]
    assert [revision.sequence for revision in revisions] == [0, 1, 1, 2]
    assert revisions == sorted(set(revisions))
    found = [read(octets) for octets in cancels(release)]
    named = [len(one.attendees) - 1 for one in found if isinstance(one, Cancellation)]  # Anna herself aside
    assert named == [3, 1, 2]
    assert all(b"\r\nSTATUS:CANCELLED\r\n" in octets for octets in cancels(release))


@every
@pytest.mark.parametrize("language", ["en", "de"])
def test_with_the_link_the_mail_is_the_same_to_another_reader(release: Release, language: str) -> None:
    """Header fields, parts and their octets, as the email package reads them; our self-check agrees."""
    wanted = job(language=language)
    for octets in requests(release):
        found = read(octets)
        assert isinstance(found, Invitation)
        result = apply(octets, rewrite(octets, found, wanted))
        assert check(octets, result, meant(found, wanted)) is None
        if language == "en":  # in which `places` knows what is inserted
            texts = [["text/plain"], ["text/html"]] if release is Release.NOTES_9 else [["text/html"]]
            assert places(octets, result, LINK.decode()) == [*texts, CALENDAR, ["text/html"], [], [], CALENDAR]


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("read_all", [by_ical_js, by_libical])
def test_with_the_link_the_calendar_is_the_same_to_other_readers(
    read_all: Callable[[list[str]], list[Properties | None]], language: str
) -> None:
    """Both read it before and after, and every property outside the insertion list is the same."""
    before, after = [], []
    for octets in (one for release in Release for one in requests(release)):
        found = read(octets)
        assert isinstance(found, Invitation)
        again = read(apply(octets, rewrite(octets, found, job(language=language))))
        assert isinstance(again, Invitation)
        before += [copy.octets.decode() for copy in found.copies]
        after += [copy.octets.decode() for copy in again.copies]
    assert len(before) == len(after) == 16
    assert before != after
    once, twice = read_all(before), read_all(after)
    assert once == twice
    assert None not in once


@pytest.mark.parametrize("read_all", [by_ical_js, by_libical])
def test_other_readers_see_an_edit_that_goes_too_far(
    read_all: Callable[[list[str]], list[Properties | None]],
) -> None:
    """What the tests above rest on: one digit of a period, a RECURRENCE-ID or the long X-LOTUS line is not overlooked."""
    _, put_off, _, moved = requests(Release.NOTES_9)
    for octets, old, new in (
        (put_off, "RDATE;VALUE=PERIOD:20", "RDATE;VALUE=PERIOD:21"),
        (moved, "RECURRENCE-ID:20", "RECURRENCE-ID:21"),
        (moved, "$B:2", "$B:3"),
        (moved, "COMMENT;ALTREP=CID:<FFFF", "COMMENT;ALTREP=CID:<FFFE"),
    ):
        found = read(octets)
        assert isinstance(found, Invitation)
        text = found.copies[0].octets.decode()
        assert old in text
        one, other = read_all([text, text.replace(old, new)])
        assert one != other
