"""The keyword found and taken out."""

import pytest

from notes2conf_milter.core.keyword import cuts, folds_whole, keyword_pattern, without_keyword
from notes2conf_milter.core.transfer import splice

MEET = keyword_pattern("@meet")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (b"Plan @meet", b"Plan"),
        (b"@meet Plan", b"Plan"),
        (b"@MEET", b""),
        (b"a  @meet b", b"a b"),
        (b"@meet @meet", b""),
        (b"@meet @meet @meet x @meet", b"x"),
        (b"Room 12, @meet", b"Room 12"),
        (b"Room 12\\, @meet", b"Room 12"),
        (b"Room 12\\\\, @meet", b"Room 12\\\\"),
        ("Café\\, @meet".encode(), "Café".encode()),
        ("ポ @meet".encode("shift_jis"), "ポ".encode("shift_jis")),
        ("ソ, @meet".encode("shift_jis"), "ソ,".encode("shift_jis")),
        (b"a - @meet, @meet", b"a - "[:1] + b" -"),
        (b"see anna@meet.example", None),
        (b"x@meet", None),
        (b"@meeting @meet-up @meet.org", None),
        (b"(@meet)", b"()"),
        (b"@meet.", b"."),
    ],
)
def test_what_is_left(text: bytes, left: bytes | None) -> None:
    """A word of its own goes with the blanks before it, at the end with its separator; no half of a character does."""
    found = cuts(text, MEET)
    assert (splice(text, found) if found else None) == left


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b" Plan @meet", b" Plan"),
        (b" @meet", b" "),
        (b" =?UTF-8?Q?Pl=C3=A4n_@meet?=", b" =?UTF-8?Q?Pl=C3=A4n?="),
        (b" =?utf-8?b?QG1lZXQ=?=\r\n Plan", b"\r\n Plan"),
        (b" Long\r\n @meet\r\n subject", b" Long\r\n subject"),
        (b" =?utf-8?Q?a_@me?= =?utf-8?Q?et?=", b" =?utf-8?Q?a?="),
        (b" Plan =?UTF-8?Q?_@meet?=", b" Plan"),
        (b" Plan\r\n =?UTF-8?Q?_@meet?=", b" Plan"),
        (b" =?bogus?x?y?= @meet", b" =?bogus?x?y?="),
        (b" Plan", None),
        (b" " + b"x" * 10_000 + b" @meet", None),
    ],
)
def test_a_subject_without_it(value: bytes, left: bytes | None) -> None:
    """In plain words and in encoded ones; other words stay as they are, and what is absurdly long does."""
    got = without_keyword(value, MEET)
    assert (got is None and left is None) or (got or b"").split() == (left or b"").split()


def test_a_fold_that_holds_nothing_is_seen() -> None:
    """A line of blanks would end the header for some readers."""
    assert folds_whole(b" a\r\n b")
    assert not folds_whole(b" a\r\n \r\n b")
    assert not folds_whole(b" a\r\nb: c")


def test_the_work_grows_with_the_text() -> None:
    """Long runs of blanks before the separator are passed over once (quadratic, this test would take hours)."""
    text = b"a" + b" " * 1_000_000 + b"b, @meet"
    assert cuts(text, MEET)[0].start == len(text) - 7


@pytest.mark.parametrize("run", [b"\r\n ", b"\n\t", b" ", b"\r", b" \r\n", b"\r\n", b"\n"])
def test_a_long_run_of_blanks_is_walked_once(run: bytes) -> None:
    """Half a megabyte of blank lines is no work (law 4): quadratic, this would take hours."""
    text = run * (500_000 // len(run))
    assert cuts(text, keyword_pattern("@meet")) == []
    assert len(cuts(b"x" + text + b" @meet", keyword_pattern("@meet"))) == 1


@pytest.mark.parametrize("before", [b"Where:\n", b"Where:\r\n\r\n", b"Where:\r\n\r\n  ", b"\n"])
def test_a_keyword_that_begins_a_line_is_found(before: bytes) -> None:
    """In a body the word may stand alone on its line; the line end before it stays."""
    text = before + b"@meet\r\nnext"
    assert splice(text, cuts(text, keyword_pattern("@meet"))) == before.rstrip(b" ") + b"\r\nnext"
