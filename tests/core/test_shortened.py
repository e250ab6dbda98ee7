"""Long runs that two messages share leave them, and come back."""

from email import message_from_bytes

import pytest

from notes2conf_milter.core.shortened import shortened, whole
from tests.invitations import message, part

LONG = b"".join(b"%06d=\r\n" % number for number in range(30_000))
ATTACHMENT = part(LONG, b"application/octet-stream")
HELLO = part(b"Hello\r\n", b"text/plain")


def test_a_long_attachment_is_one_line() -> None:
    """And both messages stay what they are otherwise."""
    original = message(ATTACHMENT, HELLO, ATTACHMENT)
    result = original.replace(b"Hello", b"Hello, hello")
    short, short_other, runs = shortened(original, result)
    assert len(short) < 2_000
    assert short_other == short.replace(b"Hello", b"Hello, hello")
    assert (whole(short, original, runs), whole(short_other, original, runs)) == (original, result)


PROSE = b"All work and no play makes Jack a dull boy.\r\n" * 20_000
COLONS = b"Note: all work\r\nand no: play\r\n" * 20_000
EMPTY = b"\r\n" * 200_000
NESTED = b"Content-Type: message/rfc822\r\n\r\n"


@pytest.mark.parametrize("place", [b"before", b"inside", b"behind"])
@pytest.mark.parametrize("body", [LONG, PROSE, EMPTY + COLONS, b"x y\r\n" + COLONS, b"x y\n\r\n" + EMPTY])
@pytest.mark.parametrize(
    "head", [b"Content-Type: text/plain\r\n\r\n", b"\r\n", NESTED, NESTED * 3, NESTED + b"X: y\r\n", b""]
)
def test_the_structure_is_the_same_without_the_runs(place: bytes, body: bytes, head: bytes) -> None:
    """Boundaries before, inside and behind a long part stay, whatever its header."""
    long = head + body
    inner = message(long, HELLO, kind=b"mixed", boundary=b"in")
    parts = {b"before": (inner, HELLO), b"inside": (HELLO, inner, HELLO), b"behind": (HELLO, inner)}[place]
    original = message(*parts, boundary=b"out")
    short, _, runs = shortened(original, original)
    assert runs
    shape = [(one.get_content_type(), one.items()) for one in message_from_bytes(original).walk()]
    assert [(one.get_content_type(), one.items()) for one in message_from_bytes(short).walk()] == shape


@pytest.mark.parametrize(
    "octets",
    [
        message(part(b"Hi\r\n", b"text/plain")),
        message(part(b"n2c/0/left/out\n" + LONG, b"text/plain")),
        message(part(b"Action: failed\r\n\r\n" + LONG, b"message/delivery-status")),
    ],
)
def test_what_stays_as_it_is(octets: bytes) -> None:
    """Short messages, such as speak as this module does, and those in which empty lines mean something."""
    assert shortened(octets, octets) == (octets, octets, [])
