"""When a calendar comes out of its multipart/related, and what is edited for it."""

import pytest

from notes2conf_milter.core.edits import ChangeHeader
from notes2conf_milter.core.related import Unwrapped, unwrap
from tests.invitations import CALENDAR, calendar, message, part, read_ok, repaired

PLAIN = part(b"Let us meet.\r\n", b"text/plain; charset=us-ascii")
HTML = part(b"<p>Let us meet.</p>\r\n", b"text/html; charset=us-ascii")
EVENT = part(calendar(), CALENDAR)
ICS = part(calendar(), CALENDAR, b"8bit", b"Content-Disposition: attachment; filename=c1.ics")
PICTURE = part(b"GIF89a", b"image/gif", b"base64", b"Content-ID: <1@x>")
SHOWING = part(b'<p><img src="CID:1%40x"></p>', b"text/html; charset=us-ascii")
NAMED = part(b"<p>more</p>", b"text/html; charset=us-ascii", b"8bit", b"Content-ID: <1@x>")
FILE = part(
    b"1. Budget\r\n", b'text/plain; name="agenda.txt"', b"8bit", b'Content-Disposition: inline; filename="agenda.txt"'
)
LOCATED = part(b"<p>terms</p>", b"text/html; charset=us-ascii", b"8bit", b"Content-Location: terms.html")
SPELT = part(b'<iframe src="cid:&#49;@x"></iframe>', b"text/html; charset=us-ascii")


def inner(kind: bytes, *parts: bytes, boundary: bytes = b"=_i") -> bytes:
    """A multipart inside of another."""
    head, _, body = message(*parts, kind=kind, boundary=boundary).partition(b"\r\n\r\n")
    return head[head.index(b"Content-Type:") :] + b"\r\n\r\n" + body


def related(*parts: bytes) -> bytes:
    return message(*parts, kind=b"related")


def found(octets: bytes) -> Unwrapped | str | None:
    return unwrap(octets, read_ok(octets))


@pytest.mark.parametrize(
    "parts",
    [
        [HTML, EVENT],
        [PLAIN, HTML, EVENT],
        [EVENT],
        [inner(b"alternative", PLAIN, HTML), EVENT],
        [inner(b"related", SHOWING, PICTURE), EVENT],
        [inner(b"alternative", PLAIN, inner(b"related", SHOWING, PICTURE, boundary=b"=_j")), EVENT],
        [HTML, NAMED, EVENT],
    ],
    ids=["html", "plain-html", "alone", "alternative", "pictures", "pictures-in-alternative", "named-by-nobody"],
)
def test_what_becomes_alternatives(parts: list[bytes]) -> None:
    """In the header of the message, and as a part of it; nothing but the word is another."""
    top = related(*parts)
    unwrapped = found(top)
    assert isinstance(unwrapped, Unwrapped)
    assert unwrapped.root.media_type == b"multipart/alternative"
    assert unwrapped.splices == ()
    assert unwrapped.fields == (ChangeHeader(b"Content-Type", 1, b' multipart/alternative; boundary="=_b"'),)
    deep = message(inner(b"related", *parts, boundary=b"=_r"), ICS, kind=b"mixed")
    result, said = repaired(deep)
    assert said == ["multipart-related:done"]
    assert b'multipart/alternative; boundary="=_r"' in result
    assert result.count(b"multipart/related") == deep.count(b"multipart/related") - 1


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ([EVENT, HTML], "not the last"),
        ([HTML, EVENT, EVENT], "more than texts and one calendar"),
        ([SHOWING, PICTURE, EVENT], "more than texts and one calendar"),
        ([HTML, EVENT, PICTURE], "more than texts and one calendar"),
        ([HTML, ICS, EVENT], "more than texts and one calendar"),
        ([HTML, EVENT, ICS], "more than texts and one calendar"),
        ([SHOWING, NAMED, EVENT], "by its Content-ID"),
        ([HTML, FILE, EVENT], "more than texts and one calendar"),
        ([HTML, part(b"a", b"text/plain; name*=UTF-8''a.txt"), EVENT], "more than texts and one calendar"),
        ([HTML, LOCATED, EVENT], "by its Content-ID"),
        ([SPELT, NAMED, EVENT], "by its Content-ID"),
        ([inner(b"alternative", PLAIN, EVENT), HTML], "alternative inside"),
        ([inner(b"mixed", PLAIN, HTML), EVENT], "more than texts and one calendar"),
        ([part(b"<p>!", b"text/html").replace(b"8bit", b"base64"), NAMED, EVENT], "by its Content-ID"),
        ([part(b"<\0p\0", b"text/html", b"8bit"), NAMED, EVENT], "by its Content-ID"),
    ],
)
def test_what_stays_and_why(parts: list[bytes], word: str) -> None:
    """As alternatives something would be hidden: the calendar, a picture, a text."""
    why = found(related(*parts))
    assert isinstance(why, str)
    assert word in why


@pytest.mark.parametrize(
    "octets",
    [
        message(PLAIN, EVENT),
        message(inner(b"related", SHOWING, PICTURE), EVENT),
        related(inner(b"alternative", PLAIN, HTML, EVENT), PICTURE),
        message(inner(b"related", HTML, ICS), EVENT, kind=b"mixed"),
    ],
    ids=["none", "around-html", "as-exchange-writes", "around-an-attachment"],
)
def test_what_is_no_fault(octets: bytes) -> None:
    """No calendar that speaks for the message stands in a multipart/related of its own."""
    assert found(octets) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"multipart/related", b"Multipart/RELATED"),
        (b" multipart/related;", b"\r\n multipart/related\r\n\t;"),
        (b"multipart/related;", b'multipart/related; type="text/html"; start="<1@x>";'),
        (b"multipart/related;", b"multipart/related ;"),
    ],
)
def test_however_the_field_is_written(old: bytes, new: bytes) -> None:
    """Every octet around the word stays, type and start among them."""
    octets = related(HTML, EVENT).replace(old, new)
    result, said = repaired(octets)
    assert said == ["multipart-related:done"]
    word = b"RELATED" if b"RELATED" in new else b"related"
    assert new.replace(word, b"alternative") in result


def test_a_header_that_is_not_edited() -> None:
    """A fold that a mail server would not keep: the wrapping stays."""
    why = found(related(HTML, EVENT).replace(b"related;", b"related;\r\n \r\n "))
    assert isinstance(why, str)
    assert "form" in why
