"""A message as spans: what is found, and that nothing is lost."""

import time

import pytest

from notes2conf_milter.core.message import (
    MAX_DEPTH,
    MAX_FIELDS,
    MAX_PARTS,
    MessageTooComplex,
    author,
    authors,
    content_type,
    field_value,
    header_fields,
    parameters,
    parse,
)


def bodies(message: bytes) -> list[bytes]:
    return [message[part.header.body_start : part.body_end] for part in parse(message).walk() if not part.children]


def multipart(boundary: bytes, body: bytes) -> bytes:
    return b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n' + body


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (b"A: b\r\n\r\nbody", b"body"),
        (b"A: b\n\nbody", b"body"),
        (b"A: b\n\r\nbody", b"body"),
        (b"A : b\r\n\tfold\r\n\r\n\r\nbody", b"\r\nbody"),
        (b"\r\nno header", b"no header"),
        (b"A: b\r\nno field here\r\n\r\nx", b"no field here\r\n\r\nx"),
        (b"A: b", b""),
        (b"", b""),
    ],
)
def test_the_body_begins_behind_the_empty_line(message: bytes, body: bytes) -> None:
    """The first empty line, or the first line that is no field, ends the header, whatever the line ends."""
    assert bodies(message) == [body]


def test_a_field_is_known_by_its_spans() -> None:
    """Folds and blanks are part of the value, the line end is not."""
    message = b"X: 1\r\nSubject:  a\r\n\tb \r\nY: 2\r\n\r\n"
    field = header_fields(message).fields[1]
    assert message[field.start : field.end] == b"Subject:  a\r\n\tb \r\n"
    assert message[field.value_start : field.value_end] == b"  a\r\n\tb "
    assert field_value(message, header_fields(message), b"subject") == b"a\tb"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\nend", [b"one", b"two"]),
        (b"--b \t\r\n\r\none\r\n--b-- \r\n", [b"one"]),
        (b"preamble\r\n--b\r\n\r\none\r\n--bb\r\n--b--", [b"one\r\n--bb"]),
        (b"--b\r\n\r\none\r\n", [b"one\r\n"]),
        (b"--b\n\none\n--b--\n", [b"one"]),
        (b"--b\r\n\r\nx--b\r\n--b--", [b"x--b"]),
    ],
)
def test_parts_lie_between_delimiter_lines(body: bytes, found: list[bytes]) -> None:
    """The line end before a delimiter belongs to it; a longer boundary is none; a missing close reaches to the end."""
    assert bodies(multipart(b"b", body)) == found


def test_an_inner_boundary_that_begins_like_the_outer_one() -> None:
    """Neither ends the other."""
    inner = multipart(b"bb", b"--bb\r\n\r\ninside\r\n--bb--\r\n")
    message = multipart(b"b", b"--b\r\n" + inner + b"\r\n--b\r\n\r\nlast\r\n--b--\r\n")
    assert bodies(message) == [b"inside", b"last"]


def test_a_forwarded_message_is_a_leaf() -> None:
    """Nothing inside message/rfc822 is looked at."""
    inner = multipart(b"c", b"--c\r\n\r\nx\r\n--c--")
    message = multipart(b"b", b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n")
    assert bodies(message) == [inner]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/calendar; method=REQUEST;; charset=UTF-8", {b"method": b"REQUEST", b"charset": b"UTF-8"}),
        (b'a/b; x="a;b\\"c"; X=second', {b"x": b'a;b"c'}),
        (b"a/b;\tx = 1 ;y=", {b"x": b"1", b"y": b""}),
        (b'a/b; x="unclosed', {b"x": b""}),
        (b"a/b", {}),
    ],
)
def test_parameters(value: bytes, expected: dict[bytes, bytes]) -> None:
    """Names in lower case, quotes undone, empty ones passed over, the first of two counts."""
    assert parameters(value) == expected


def test_what_is_no_content_type_is_the_default() -> None:
    """RFC 2045 §5.2: what cannot be read is text/plain."""
    assert content_type(b"nonsense") == (b"text/plain", {})
    assert content_type(b" TEXT/Calendar ; A=b") == (b"text/calendar", {b"a": b"b"})


@pytest.mark.parametrize(
    "message",
    [
        b"A: b\r\n" * (MAX_FIELDS + 1),
        multipart(b"b", b"--b\r\n\r\n" * (MAX_PARTS + 1)),
        multipart(b"b", (b"--b\r\n" + b"A: b\r\n" * (MAX_FIELDS // 10) + b"\r\n") * 11),
        b"".join(multipart(b"%d" % n, b"--%d\r\n" % n) for n in range(MAX_DEPTH + 2)),
    ],
    ids=["fields", "parts", "fields of many parts", "depth"],
)
def test_bounds_fire(message: bytes) -> None:
    """More fields, parts or levels than are examined are refused, counted over the whole message."""
    with pytest.raises(MessageTooComplex):
        parse(message)


@pytest.mark.parametrize(
    "name", [b"=?utf-8?B?A?=", b"=?utf-8?B?A===?=", b"%", b"%zz.ics", b"=?x?Q?=zz?=", b"=?utf-8?B?\xff?="]
)
def test_file_names_that_cannot_be_decoded(name: bytes) -> None:
    """Any octets are a name (law 4)."""
    for form in (b"filename=" + name, b"filename*=" + name, b'filename*0="' + name + b'"'):
        octets = b"Content-Type: text/plain\r\nContent-Disposition: attachment; " + form + b"\r\n\r\nx"
        assert isinstance(parse(octets).filenames, tuple)


@pytest.mark.parametrize(
    ("value", "found", "one"),
    [
        (b"Anna <Anna@example.org>", {"anna@example.org"}, "anna@example.org"),
        (b"anna@example.org <anna@example.org>", {"anna@example.org"}, "anna@example.org"),
        (b"anna@example.org <eve@evil.example>", {"anna@example.org", "eve@evil.example"}, ""),
        (b'"<anna@example.org>" <eve @evil.example>', {"", "anna@example.org"}, ""),
        (b"x" * 3_000 + b" <anna@example.org>", {""}, ""),
        (b"", {""}, ""),
    ],
)
def test_who_is_shown_as_the_author(value: bytes, found: set[str], one: str) -> None:
    """Each address that a reader may show; and the one, where there is but one in but one field."""
    message = b"From: " + value + b"\r\n\r\n"
    assert (authors(message), author(message)) == (found, one)
    assert author(b"From: anna@example.org\r\n" + message) == ""


def test_a_from_field_made_to_take_long_takes_no_time() -> None:
    """Law 4: nothing grows with the square of what a stranger writes."""
    started = time.monotonic()
    authors(b"From: <" + b"a@" * 2_000_000 + b"\r\n\r\n")
    authors(b"From: " + b"(" * 1_990 + b"\r\n\r\n")
    assert time.monotonic() - started < 1
