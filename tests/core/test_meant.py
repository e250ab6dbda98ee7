"""A text with an insertion and one without are the same; anything else is not."""

import pytest

from notes2conf_milter.core.keyword import keyword_pattern
from notes2conf_milter.core.meant import Meant, text_equal, without_keyword
from tests.invitations import LINK, invitation, job, meaning

MEANT = meaning(invitation())
WITH_KEYWORD = meaning(invitation(), job(keyword_pattern("@meet")))
OTHER = LINK[:-32] + b"o" * 32


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"LOCATION:Room", b"LOCATION:Room\\; " + LINK),
        (b"LOCATION:", b"LOCATION:" + LINK),
        (b"see " + OTHER, b"see " + LINK),
        (b"see " + LINK, b"see " + LINK),
    ],
)
def test_one_insertion_or_a_link_replaced(before: bytes, after: bytes) -> None:
    """A link of ours that belongs to another meeting may go."""
    meant = Meant(MEANT.uid, (b"\\; " + LINK, LINK), MEANT.lines, MEANT.own)
    assert text_equal(before, after, meant)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"LOCATION:Room", b"LOCATION:Room"[:-1] + b"\\; " + LINK),
        (b"LOCATION:Room", b"LOCATION:Room 1\\; " + LINK),
        (b"see", b"see " + LINK + LINK),
        (b"see " + LINK, b"see " + OTHER),
        (b"see " + LINK, b"saw " + LINK),
        (b"Plan @meet", b"Plan"),
    ],
)
def test_anything_else(before: bytes, after: bytes) -> None:
    """An octet lost or gained, a link of nobody, a keyword where none was meant."""
    meant = Meant(MEANT.uid, (b"\\; " + LINK, b" " + LINK), MEANT.lines, MEANT.own)
    assert not text_equal(before, after, meant)


def test_a_keyword_and_its_separator_may_go() -> None:
    """At the end of a value the separator goes with it; blanks inside stay."""
    assert without_keyword(b"Big  plan, @meet", WITH_KEYWORD) == {b"Big  plan,", b"Big  plan"}
    assert without_keyword(b"Big  plan", MEANT) == {b"Big  plan"}
