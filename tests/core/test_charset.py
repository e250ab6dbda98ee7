"""Which octets may be put into a part."""

import encodings

import pytest

from notes2conf_milter.core.charset import Charset, charset_of, to_ascii


@pytest.mark.parametrize(
    ("declared", "octets", "encoding", "expected"),
    [
        (b"", b"a", b"8bit", Charset("utf-8", False)),
        (b"UTF-8", b"a", b"", Charset("utf-8", True)),
        (b"utf8", "ä".encode(), b"", Charset("utf-8", False)),
        (b"utf-8", b"\xe4", b"8bit", Charset("latin_1", True)),
        (b"us-ascii", b"a", b"base64", Charset("ascii", True)),
        (b"us-ascii", b"\xe4", b"8bit", Charset("latin_1", True)),
        (b"'Windows-1252'", b"\x81", b"8bit", Charset("latin_1", True)),
        (b"ISO-8859-1", b"\xe4", b"8bit", Charset("iso8859-1", False)),
        (b"Shift_JIS", b"a", b"base64", Charset("shift_jis", False)),
        (b"GB18030", b"a", b"base64", Charset("gb18030", False)),
        (b"x-unknown", b"a", b"8bit", Charset("ascii", True)),
        (b"x-unknown", b"\xe4", b"8bit", None),
        (b"x-unknown", b"\x1b$B", b"8bit", None),
        (b"iso-2022-jp", b"a", b"7bit", Charset("iso2022_jp", True)),
        (b"utf-7", b"a", b"7bit", None),
        (b"utf-16le", b"a", b"base64", None),
        (b"utf-8", b"\xff\xfea\0", b"base64", None),
        (b"utf-8", b"a\0b", b"base64", None),
        (b"rot13", b"a", b"8bit", None),
        (b"\xff", b"a", b"8bit", Charset("ascii", True)),
    ],
)
def test_the_charset_of_a_part(declared: bytes, octets: bytes, encoding: bytes, expected: Charset | None) -> None:
    """Only charsets in which ASCII means itself are edited; 7bit parts stay 7bit."""
    assert charset_of(declared, octets, encoding, "utf-8") == expected


def test_every_charset_that_is_edited_spells_ascii_as_ascii() -> None:
    """Fences, links and escapes are looked for as octets."""
    ascii_octets = bytes(range(128))
    for name in ("koi8-r", "shift_jis", "cp932", "gb18030", "big5", "euc_jp", "euc_kr", "cp1252", "cp437", "mac-roman"):
        charset = charset_of(name.encode(), b"", b"8bit", "utf-8")
        assert charset is not None
        assert ascii_octets.decode(charset.codec).encode(charset.codec) == ascii_octets
        assert charset.encode("\\~-") == b"\\~-"


def test_what_does_not_fit_is_spelled_out() -> None:
    """Umlauts as two letters, accents dropped, the rest a question mark."""
    assert Charset("koi8-r", False).encode("eröffnet") == b"eroeffnet"
    assert Charset("utf-8", True).encode("führt – dé") == b"fuehrt - de"
    assert to_ascii("漢") == "?"


def test_names_that_nobody_knows_are_not_kept() -> None:
    """Python keeps every charset name it is asked for; mail may invent any number of them."""
    known = encodings._cache  # type: ignore[attr-defined]
    before = len(known)
    for number in range(100):
        charset_of(b"x-invented-%d" % number, b"a", b"8bit", "utf-8")
    assert len(known) == before


def test_iso_2022_jp_is_edited_where_its_lines_end_in_ascii() -> None:
    """As RFC 1468 asks, and Notes in Japan writes; what is put in is ASCII."""
    proper = "件名: 会議\r\n場所: 東京\r\n".encode("iso2022_jp")
    found = charset_of(b"ISO-2022-JP", proper, b"7bit", "utf-8")
    assert found == Charset("iso2022_jp", True)
    assert found.decode(proper).startswith("件名")
    assert found.encode("Bis die Konferenz eröffnet wird") == b"Bis die Konferenz eroeffnet wird"
    assert charset_of(b"iso-2022-jp", proper[:8] + b"\r\n", b"7bit", "utf-8") is None
