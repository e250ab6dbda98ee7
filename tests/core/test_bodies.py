"""Which text parts are the message's own body."""

import pytest

from notes2conf_milter.core.bodies import MAX_BODY_OCTETS, body_texts
from tests.invitations import CALENDAR, calendar, message, part, read_ok

CAL = part(calendar(), CALENDAR)
TEXT = part(b"text", b"text/plain")
HTML = part(b"html", b"text/html", b"base64")
FOOTER = part(b"footer", b"text/plain")


def multipart(kind: bytes, boundary: bytes, *parts: bytes) -> bytes:
    return message(*parts, kind=kind, boundary=boundary).partition(b"MIME-Version: 1.0\r\n")[2]


@pytest.mark.parametrize(
    ("octets", "bodies"),
    [
        (message(TEXT, HTML, CAL), [b"text", b"html"]),
        (message(multipart(b"alternative", b"a", TEXT, HTML, CAL), FOOTER, kind=b"mixed"), [b"text", b"html"]),
        (message(multipart(b"related", b"r", HTML, TEXT), CAL, kind=b"mixed"), [b"html"]),
        (
            message(
                part(b"file", b"text/plain", b"8bit", b"Content-Disposition: attachment"), TEXT, CAL, kind=b"mixed"
            ),
            [b"text"],
        ),
        (message(part(calendar(), b'text/plain; name="a.ics"'), CAL), []),
        (message(part(b"a;b", b'text/plain; name="data.csv"'), TEXT, CAL, kind=b"mixed"), [b"text"]),
        (
            message(TEXT, part(b"<p>", b"text/html", b"8bit", b"Content-Disposition: inline; filename=r.html"), CAL),
            [b"text"],
        ),
        (message(part(b"", b"text/plain"), CAL), [b""]),
        (message(b"Content-Type: text/plain\r\n", CAL), []),
        (message(part(b"x", b"text/plain; charset=utf-16"), part(b"?", b"text/html", b"x-odd"), CAL), []),
        (message(part(b"Subject: x\r\n\r\nforwarded", b"message/rfc822"), CAL, kind=b"mixed"), []),
    ],
)
def test_bodies(octets: bytes, bodies: list[bytes]) -> None:
    """What is shown beside the calendar, once; no attachment, no footer, no calendar, nothing without an empty line."""
    assert body_texts(octets, read_ok(octets)) == bodies


def test_the_part_that_altrep_names() -> None:
    """Notes keeps the rich body there, wherever it is."""
    rich = part(b"<p>rich</p>", b"text/html", b"8bit", b"Content-ID: <Rich@Notes>")
    cal = part(calendar(b'DESCRIPTION;ALTREP="CID:<rich@notes>":'), CALENDAR)
    octets = message(TEXT, cal, rich, kind=b"mixed")
    assert body_texts(octets, read_ok(octets)) == [b"text", b"<p>rich</p>"]


def test_a_body_past_the_bound_is_left_alone() -> None:
    """Nobody reads that much; the calendar gets its link all the same (law 4)."""
    most = b"x" * MAX_BODY_OCTETS
    for text, found in ((most, [most]), (most + b"x", [])):
        octets = message(part(text, b"text/plain"), CAL)
        assert body_texts(octets, read_ok(octets)) == found


@pytest.mark.parametrize("kind", [b"MESSAGE", b"SIGNED MESSAGE"])
def test_what_pgp_sealed_in_its_own_form_is_left_alone(kind: bytes) -> None:
    """Whatever its encoding and its type: one octet put in, and the signature is broken (law 2)."""
    armour = b"-----BEGIN PGP " + kind + b"-----\r\n\r\nx\r\n"
    pages = part(b"<pre>" + armour + b"</pre>", b"text/html")
    octets = message(part(armour, b"text/plain", b"base64"), pages, part(b"-----BEGIN", b"text/plain"), CAL)
    assert body_texts(octets, read_ok(octets)) == [b"-----BEGIN"]
