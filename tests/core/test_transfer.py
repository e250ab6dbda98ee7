"""Transfer encodings read and edited in place."""

import tracemalloc

import pytest

from notes2conf_milter.core.transfer import Splice, decode, encode, splice


def edited(body: bytes, encoding: bytes, *changes: Splice) -> bytes:
    return splice(body, encode(body, encoding, changes))


@pytest.mark.parametrize(
    ("body", "encoding", "decoded"),
    [
        (b"a=3d=3D=e4", b"quoted-printable", b"a==\xe4"),
        (b"a \t\r\nb ", b"quoted-printable", b"a\r\nb"),
        (b"a =\r\nb=  \r\nc=", b"quoted-printable", b"a bc"),
        (b"a=0D=0Ab\nc", b"quoted-printable", b"a\r\nb\nc"),
        (b"a=zz=", b"quoted-printable", b"a=zz"),
        (b"===41= x=4", b"quoted-printable", b"==A= x=4"),
        (b"a=\rb=\r\nc=\r\t\n", b"quoted-printable", b"a=\rbc=\r\n"),
        (b"a \r\r\nb \t\n\n= \t", b"quoted-printable", b"a \r\r\nb\n\n"),
        (b"a=" + b" " * 100_000 + b"\nb" + b" " * 100_000 + b"=20", b"quoted-printable", b"ab" + b" " * 100_001),
        (b" QU\r\nJ D\t\r\n", b"base64", b"ABC"),
        (b"QUI", b"base64", None),
        (b"QQ==QQ==", b"base64", None),
        (b"Q*==", b"base64", None),
        (b"x", b"8bit", b"x"),
        (b"x", b"uuencode", None),
    ],
)
def test_decoding(body: bytes, encoding: bytes, decoded: bytes | None) -> None:
    """What can be read without loss is; the rest is left alone."""
    assert decode(body, encoding) == decoded


def test_splices_that_overlap_are_refused() -> None:
    """They may touch, and they may come in any order."""
    assert splice(b"abc", [Splice(2, 3, b"Z"), Splice(0, 2, b"Y")]) == b"YZ"
    with pytest.raises(ValueError, match="overlap"):
        splice(b"abc", [Splice(0, 2, b""), Splice(1, 3, b"")])


@pytest.mark.parametrize(
    ("body", "changes", "result"),
    [
        (b"=e4 b\r\n", [Splice(1, 1, "ö".encode())], b"=e4=C3=B6 b\r\n"),
        (b"ab \r\nc", [Splice(2, 2, b" ")], b"ab=20 \r\nc"),
        (b"a=\r\nb", [Splice(1, 1, b"X")], b"aX=\r\nb"),
        (b"a \nb", [Splice(1, 2, b"")], b"ab"),
        (b"ab", [Splice(1, 1, b" "), Splice(1, 2, b"")], b"a=20"),
        (b"a\nb", [Splice(1, 1, b"\nX ")], b"a\nX=20\nb"),
    ],
)
def test_quoted_printable_is_edited_where_it_changes(body: bytes, changes: list[Splice], result: bytes) -> None:
    """Octets beside the edit keep their spelling."""
    got = edited(body, b"quoted-printable", *changes)
    assert decode(got, b"quoted-printable") == decode(result, b"quoted-printable")
    assert got.startswith(body[:1])


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (b"a=x", [Splice(2, 2, b"41")]),
        (b"a=4", [Splice(3, 3, b"1")]),
        (b"a=4x", [Splice(3, 4, b"1")]),
        (b"a=x\r\n", [Splice(2, 3, b"")]),
        (b"a \rb", [Splice(3, 3, b"\n")]),
        (b"a \rb\nc", [Splice(3, 4, b"")]),
        (b"a= \rb\nc", [Splice(4, 5, b"")]),
        (b"a \t\r\nb", [Splice(2, 2, b"x")]),
        (b"a\rb", [Splice(1, 1, b" "), Splice(2, 2, b"\nx")]),
        (b"a==\nb", [Splice(1, 1, b" "), Splice(2, 2, b"\nx")]),
    ],
)
def test_what_an_edit_stands_beside_reads_as_before(body: bytes, changes: list[Splice]) -> None:
    """An `=` that begins no escape does not begin one with what comes behind it, nor does a bare CR end a line."""
    decoded = decode(body, b"quoted-printable")
    assert decoded is not None
    assert decode(edited(body, b"quoted-printable", *changes), b"quoted-printable") == splice(decoded, changes)


def test_no_line_of_quoted_printable_grows_past_76() -> None:
    """RFC 2045 §6.7 (5), for what is put in and for the line it stands in."""
    body = b"x" * 70 + b"\r\nnext"
    got = edited(body, b"quoted-printable", Splice(35, 35, b"y" * 200))
    assert max(map(len, got.split(b"\r\n"))) <= 76
    assert decode(got, b"quoted-printable") == b"x" * 35 + b"y" * 200 + b"x" * 35 + b"\r\nnext"


@pytest.mark.parametrize("width", [60, 74, 75, 76])
def test_base64_keeps_every_digit_before_the_edit(width: int) -> None:
    """At any width, also one that is no multiple of four: digits, line ends and all."""
    digits = b"QUJD" * 60
    body = b"\r\n".join(digits[at : at + width] for at in range(0, 240, width))
    got = edited(body, b"base64", Splice(100, 100, b"new"))
    line_end = body.index(b"\r\n", 132)
    assert got[: 132 + 2] == body[: 132 + 2]
    assert line_end > 132
    assert max(map(len, got.split(b"\r\n"))) == width
    assert decode(got, b"base64") == (b"ABC" * 60)[:100] + b"new" + (b"ABC" * 60)[100:]


def test_what_follows_base64_stays() -> None:
    """Blank lines behind the last digit are not digits."""
    assert edited(b"QUJD\r\n\r\n", b"base64", Splice(3, 3, b"D")) == b"QUJD\r\nRA==\r\n\r\n"


@pytest.mark.parametrize("line", [b"a " * 5_000, b"=41=\r\n" * 1_500, b"=41" * 3_000, b"a b c \t\r\n" * 1_000])
def test_quoted_printable_takes_no_more_memory_than_the_message(line: bytes) -> None:
    """Not for words and blanks, not for escapes and soft line breaks: neither to read nor to edit (law 4)."""
    body = line * (1_000_000 // len(line))
    tracemalloc.start()
    try:
        decoded = decode(body, b"quoted-printable")
        assert decoded is not None
        encode(body, b"quoted-printable", [Splice(at, at, b"X") for at in range(0, len(decoded), len(decoded) // 9)])
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()


def test_an_edit_finds_its_place_in_a_long_body() -> None:
    """Whatever the spans it is decoded in: escapes, soft line breaks and blanks that transport added before it and behind."""
    for line in (b"=41=\r\nb \t\n", b"=c3=A4x y", b"=", b" ", b" \n", b"==\r", b"x" * 900 + b"\r\n"):
        body = line * (200_000 // len(line)) + b"end"
        decoded = decode(body, b"quoted-printable")
        assert decoded is not None
        wanted = [Splice(at, at + size, b"<new>") for at, size in ((0, 0), (len(decoded) // 2, 3), (len(decoded), 0))]
        got = edited(body, b"quoted-printable", *wanted)
        assert decode(got, b"quoted-printable") == splice(decoded, wanted)
        assert len(got) < len(body) + 60
