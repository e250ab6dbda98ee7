"""A text with an insertion and one without are the same; anything else is not."""

import pytest

from notes2conf_milter.core.keyword import keyword_pattern
from notes2conf_milter.core.meant import Meant, text_equal, without_keyword
from notes2conf_milter.core.wording import FENCE
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


def block(text: bytes, link: bytes = LINK) -> bytes:
    return FENCE.encode() + b"\r\n" + text + b" " + link + b"\r\n" + FENCE.encode()


@pytest.mark.parametrize(
    ("after", "right"),
    [
        (block(b"Join:"), True),
        (block(b"Join:", OTHER), False),
        (block(b"Pay to:"), False),
        (b"", False),
        (block(b"Join:") + block(b"Join:"), True),
        (block(b"Join:") * 3, False),
        (block(b"Teilnehmen:"), True),
    ],
)
def test_a_block_of_ours_is_ours(after: bytes, right: bool) -> None:
    """It keeps its words, or has those that are put in now; what somebody wrote into it is not replaced by anything else."""
    meant = Meant(MEANT.uid, (block(b"Teilnehmen:"),), MEANT.lines, MEANT.own)
    before = b"Hello\r\n" + block(b"Join:")
    assert text_equal(before, b"Hello\r\n" + after, meant) == right


def test_a_keyword_and_its_separator_may_go() -> None:
    """At the end of a value the separator goes with it; blanks inside stay."""
    assert without_keyword(b"Big  plan, @meet", WITH_KEYWORD) == {b"Big  plan,", b"Big  plan"}
    assert without_keyword(b"Big  plan", MEANT) == {b"Big  plan"}
