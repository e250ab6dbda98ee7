"""A TZID becomes an offset: by the message's own definition, else by the names of IANA, Windows and Notes."""

from datetime import datetime

import pytest

from notes2conf_milter.core.contentlines import components
from notes2conf_milter.core.zones import FLOATING, MAX_NAMES, UTC, Zones, named

SUMMER, WINTER = datetime(2026, 7, 1, 10), datetime(2026, 1, 1, 10)


def zones(*definitions: str, producer: str = "x") -> Zones:
    lines = ["BEGIN:VCALENDAR", f"PRODID:{producer}", *definitions, "END:VCALENDAR", ""]
    return Zones(components("\n".join(lines).encode())[0])


def fixed(tzid: str, offset: str, more: str = "X-A:b") -> str:
    part = f"BEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:{offset}\nTZOFFSETTO:{offset}\nEND:STANDARD"
    return f"BEGIN:VTIMEZONE\nTZID:{tzid}\n{more}\n{part}\nEND:VTIMEZONE"


@pytest.mark.parametrize(
    ("name", "zone", "summer"),
    [
        ("Europe/Berlin", "Europe/Berlin", 7200),
        ("US/Pacific", "US/Pacific", -7 * 3600),
        ("Etc/GMT+5", "Etc/GMT+5", -5 * 3600),
        ("W. Europe Standard Time", "Europe/Berlin", 7200),
        ("india standard time", "Asia/Calcutta", 19_800),
        ("Romance", "Europe/Paris", 7200),
        ("W. Europe", "Europe/Berlin", 7200),
        ("Central European", "Europe/Warsaw", 7200),
        ("FLE", "Europe/Kiev", 10_800),
        ("Eastern", "America/New_York", -4 * 3600),
        ("Pacific", "America/Los_Angeles", -7 * 3600),
        ("E. Africa", "Africa/Nairobi", 10_800),
        ("Beijing", "Asia/Shanghai", 28_800),
        ("/freeassociation.sourceforge.net/Europe/Berlin", "Europe/Berlin", 7200),
        ("/mozilla.org/20050126_1/America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires", -3 * 3600),
        ("UTC", "UTC", 0),
        ("GMT", "GMT", 0),
        ("GMT+01:00", "", 3600),
        ("utc-530", "", -19_800),
    ],
)
def test_names(name: str, zone: str, summer: int) -> None:
    found = named(name)
    assert found is not None
    assert (found.name, found.offset_at(SUMMER)) == (zone, summer)


# Each zone as IANA, Windows and Notes name it: hours ahead of UTC in January and in July.
@pytest.mark.parametrize(
    ("names", "january", "july"),
    [
        ("Europe/London|GMT Standard Time", 0, 1),
        ("Europe/Berlin|W. Europe Standard Time|W. Europe", 1, 2),
        ("Europe/Paris|Romance Standard Time|Romance", 1, 2),
        ("Europe/Budapest|Central Europe Standard Time|Central Europe", 1, 2),
        ("Europe/Kiev|FLE Standard Time|FLE", 2, 3),
        ("Africa/Cairo|Egypt Standard Time|Egypt", 2, 3),
        ("Africa/Johannesburg|South Africa Standard Time|South Africa", 2, 2),
        ("Asia/Jerusalem|Israel Standard Time|Jerusalem", 2, 3),
        ("Europe/Moscow|Russian Standard Time|Russian", 3, 3),
        ("Asia/Kolkata|India Standard Time|India", 5.5, 5.5),
        ("Asia/Kathmandu|Nepal Standard Time|Nepal", 5.75, 5.75),
        ("Asia/Shanghai|China Standard Time|Beijing", 8, 8),
        ("Asia/Tokyo|Tokyo Standard Time|Tokyo", 9, 9),
        ("Australia/Adelaide|Cen. Australia Standard Time|Cen. Australia", 10.5, 9.5),
        ("Australia/Sydney|AUS Eastern Standard Time|Sydney", 11, 10),
        ("Pacific/Auckland|New Zealand Standard Time|New Zealand", 13, 12),
        ("America/St_Johns|Newfoundland Standard Time|Newfoundland", -3.5, -2.5),
        ("America/Halifax|Atlantic Standard Time|Atlantic", -4, -3),
        ("America/New_York|Eastern Standard Time|Eastern", -5, -4),
        ("America/Chicago|Central Standard Time|Central", -6, -5),
        ("America/Phoenix|US Mountain Standard Time|US Mountain", -7, -7),
        ("America/Denver|Mountain Standard Time|Mountain", -7, -6),
        ("America/Los_Angeles|Pacific Standard Time|Pacific", -8, -7),
        ("America/Anchorage|Alaskan Standard Time|Alaskan", -9, -8),
        ("Pacific/Honolulu|Hawaiian Standard Time|Hawaiian", -10, -10),
    ],
)
def test_three_names_of_a_zone_tell_the_same_time_in_summer_and_winter(names: str, january: float, july: float) -> None:
    for name in names.split("|"):
        found = named(name)
        assert found is not None, name
        assert (found.offset_at(WINTER) / 3600, found.offset_at(SUMMER) / 3600) == (january, july), name


@pytest.mark.parametrize(
    "name",
    """
    ../../etc/passwd|/etc/passwd|Europe|America/Argentina|Etc|Europe/../Europe/Berlin|/../../../etc/passwd|localtime
    posixrules|posix/Europe/Berlin|right/Europe/Berlin|Factory|zone.tab|tzdata.zi|leapseconds|Europe/Berlin\x00|UTC+99
    europe|.|..|/|//||Nowhere/Land|Europe/Berlin/x
    """.replace("\n", "|").split("|"),
)
def test_what_is_no_zone(name: str) -> None:
    assert named(name.strip(" ")) is None


def test_long_names_are_not_looked_up() -> None:
    assert named("A/" * 5000) is None
    assert zones().find(b"x" * 100_000) is FLOATING


def test_the_message_comes_first() -> None:
    found = zones(fixed("Europe/Berlin", "+0500")).find(b"Europe/Berlin")
    assert found.offset_at(SUMMER) == 5 * 3600
    assert found.name_at(SUMMER) == ""  # the name would tell another time


def test_a_name_is_told_only_where_it_tells_the_same_time() -> None:
    found = zones(fixed("W. Europe Standard Time", "+0100")).find(b"W. Europe Standard Time")
    assert (found.name_at(WINTER), found.name_at(SUMMER)) == ("Europe/Berlin", "")


@pytest.mark.parametrize(
    ("defined", "used"),
    [
        ("Our Zone", b"Our Zone"),
        ('"Our Zone"', b"Our Zone"),
        ("Our Zone:", b"Our Zone"),
        ("our zone", b"Our Zone"),
        ("A / B", b"A/B"),
        (r"Chennai\, Kolkata", b"Chennai, Kolkata"),
        ("大阪、札幌、東京", "大阪、札幌、東京".encode()),
    ],
)
def test_definitions_and_references_differ_in_noise(defined: str, used: bytes) -> None:
    found = zones(fixed(defined, "+0500"), fixed("another", "+0300")).find(used)
    assert found.offset_at(SUMMER) == 5 * 3600


def test_the_only_definition_is_meant_by_an_unknown_name() -> None:
    assert zones(fixed("a", "+0500")).find(b"b").offset_at(SUMMER) == 5 * 3600
    assert zones(fixed("a", "+0500"), fixed("c", "+0300")).find(b"b") is FLOATING
    assert zones(fixed("a", "+0500")).find(b"Europe/Berlin").offset_at(SUMMER) == 7200


def test_a_definition_without_use_leaves_the_name() -> None:
    empty = "BEGIN:VTIMEZONE\nTZID:{}\nBEGIN:STANDARD\nTZOFFSETTO:0100\nEND:STANDARD\nEND:VTIMEZONE"
    assert zones(empty.format("Europe/Berlin")).find(b"Europe/Berlin").offset_at(SUMMER) == 7200
    assert zones(empty.format("Ours")).find(b"Ours") is FLOATING


def test_gmt_is_london_for_notes() -> None:
    notes = zones(producer="-//Lotus Development Corporation//NONSGML Notes 9.0//EN_C").find(b"GMT")
    assert (notes.name, notes.offset_at(SUMMER)) == ("Europe/London", 3600)
    assert zones().find(b"GMT").offset_at(SUMMER) == 0


def test_location_names_the_zone() -> None:
    found = zones(fixed("Ours", "+0100", "X-LIC-LOCATION:Europe/Rome")).find(b"Ours")
    assert (found.name_at(WINTER), found.name_at(SUMMER)) == ("Europe/Rome", "")


def test_utc_is_no_local_time() -> None:
    assert (named("Etc/UTC"), UTC.offset_at(SUMMER), UTC.floating, FLOATING.floating) == (UTC, 0, False, True)


def test_only_so_many_names_are_looked_up() -> None:
    known = zones()
    for number in range(MAX_NAMES):
        known.find(b"name %d" % number)
    assert known.find(b"Europe/Berlin") is FLOATING


def test_an_hour_that_is_skipped_or_doubled() -> None:
    berlin = zones().find(b"Europe/Berlin")
    assert berlin.offset_at(datetime(2026, 3, 29, 2, 30)) == 3600  # RFC 5545 §3.3.5
    assert berlin.offset_at(datetime(2026, 10, 25, 2, 30)) == 7200
