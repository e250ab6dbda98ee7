"""Content lines: spans, values, parameters, folds."""

import pytest

from notes2conf_milter.core.contentlines import (
    MAX_CALENDAR_OCTETS,
    MAX_DEPTH,
    MAX_LINES,
    CalendarError,
    Physical,
    components,
    escape,
    fold,
    line_end,
    split,
    unescape,
)


@pytest.mark.parametrize(
    ("octets", "name", "value"),
    [
        (b"summary:a:b\r\n", b"SUMMARY", b"a:b"),
        (b"SUM\r\n MARY:a\r\n\t b\r\n", b"SUMMARY", b"a b"),
        (b'X;A="x:y;z":v\n', b"X", b"v"),
        (b"COMMENT;ALTREP=CID:<a:b>:\r\n", b"COMMENT", b""),
        (b'X;A=1,"b:c",d:v\r\r\n', b"X", b"v"),
        (b"X:a\r\r\n b", b"X", b"ab"),
        (b"no colon\r\n", b"", b""),
        (b";X=1:v\r\n", b"", b""),
        (b"\xef\xbb\xbfX:v", b"X", b"v"),
    ],
)
def test_name_and_value(octets: bytes, name: bytes, value: bytes) -> None:
    """As RFC 5545 §3.1 has them, and as producers write them."""
    (line,) = split(octets)
    assert line.name == name
    assert not name or line.value == value


def test_parameters_of_a_line() -> None:
    """Upper-case names, values without quotes, of a list the first."""
    (line,) = split(b'ATTENDEE;cn="A, B";MEMBER="x","y";ROLE=CHAIR:mailto:a@b\r\n')
    assert line.params() == {b"CN": b"A, B", b"MEMBER": b"x", b"ROLE": b"CHAIR"}


def test_components_are_a_tree() -> None:
    """Properties belong to the innermost component; names are compared without case."""
    (calendar,) = components(
        b"begin:vcalendar\r\nA:1\r\nBEGIN:VEVENT\r\nB:2\r\nBEGIN:VALARM\r\nB:3\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR"
    )
    (event,) = calendar.within(b"VEVENT")
    assert [line.value for line in event.all(b"B")] == [b"2"]
    assert event.first(b"A") is None
    assert event.components[0].lines[0].value == b"3"


@pytest.mark.parametrize(
    ("octets", "bound"),
    [
        (b"BEGIN:A\nEND:B\n", False),
        (b"BEGIN:A\n", False),
        (b"END:A\n", False),
        (b"BEGIN:A\n" * (MAX_DEPTH + 1), True),
        (b"X:1\n" * (MAX_LINES + 1), True),
        (b"X:" + b"1" * MAX_CALENDAR_OCTETS, True),
    ],
)
def test_what_cannot_be_edited_safely_is_refused(octets: bytes, bound: bool) -> None:
    """Components that do not match, and calendars past the bounds."""
    with pytest.raises(CalendarError) as error:
        components(octets)
    assert error.value.bound is bound


def test_a_place_in_a_folded_line() -> None:
    """An octet of the text is found at its offset, with its column and what follows; at a fold it is the place before it."""
    calendar = b"X:1\r\nLOC\r\n ATION:ab\r\n\tcd\r\n"
    line = list(split(calendar))[1]
    physical = Physical(calendar, line)
    assert line.text == b"LOCATION:abcd"
    for index, octet in enumerate(line.text):
        offset, column, rest = physical.place(index)
        if rest:
            assert calendar[offset] == octet
        assert offset - column in (5, 10, 21)
    assert calendar[: physical.place(11)[0]].endswith(b"ab")
    assert physical.place(len(line.text)) == (line.end, 3, 0)


def test_escaping() -> None:
    """RFC 5545 §3.3.11, and back."""
    assert escape("a,b;c\\d\r\ne\nf") == "a\\,b\\;c\\\\d\\ne\\nf"
    assert unescape("a\\,b\\Nc\\nd\\xe\\") == "a,b\nc\ndxe\\"


def test_folding_keeps_characters_whole() -> None:
    """At 75 octets, and never inside a character of the charset."""
    assert fold("ä".encode() * 3, at=73, eol=b"\n") == "ä\n ää".encode()
    assert fold("ソ".encode("shift_jis") * 2, at=73, eol=b"\r\n", charset="shift_jis") == b"\x83\x5c\r\n \x83\x5c"


def test_the_line_end_beside_a_line() -> None:
    """LF stays LF; whatever else, CRLF."""
    lines = list(split(b"A:1\nB:2\r\r\nC:3"))
    assert [line_end(b"A:1\nB:2\r\r\nC:3", line) for line in lines] == [b"\n", b"\r\n", b"\r\n"]
