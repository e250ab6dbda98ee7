"""What strangers wrote, on a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.tlscheck.printable import printable


def test_what_is_harmless_stays() -> None:
    """Also beyond ASCII."""
    assert printable(b"250 mx.example.org ready, gr\xc3\xbc\xc3\x9fe") == "250 mx.example.org ready, grüße"


def test_what_steers_is_shown() -> None:
    """Escapes, line ends, turned writing, and octets that are no UTF-8."""
    assert printable(b"a\x1b[2J\r\n\x00\xff") == "a\\x1b[2J\\r\\n\\x00\\xff"
    assert printable("\u202egro\u2066") == "\\u202egro\\u2066"


@given(st.binary(max_size=600) | st.text(max_size=600), st.integers(1, 300))
def test_one_printable_line_of_bounded_length(value: bytes | str, limit: int) -> None:
    """Whatever comes."""
    shown = printable(value, limit)
    assert shown.isprintable() and len(shown) <= limit
