"""Where a link goes, and what is there already."""

import pytest

from notes2conf_milter.core.insertion import Block, Link, corrections, html_changes, location_changes, plain_changes
from notes2conf_milter.core.joinlink import own_join_link
from notes2conf_milter.core.transfer import Splice, splice
from tests.invitations import BASE_URL, FENCE, LINK, STALE, TOKEN

OURS = Link(LINK, TOKEN.encode(), own_join_link(BASE_URL))
NEW = FENCE + b"\n" + LINK + b"\n" + FENCE
OLD = FENCE + b"\n" + STALE + b"\n" + FENCE
BLOCK = Block(NEW, FENCE, FENCE, b"\n")
RICH = Block(b"<!--notes2conf-->" + LINK + b"<!--/notes2conf-->", b"<!--notes2conf-->", b"<!--/notes2conf-->", b"\n")
IN_LINE = Block(RICH.text, RICH.opening, RICH.closing, b"")  # as in a calendar
OLD_RICH = RICH.text.replace(LINK, STALE)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (b"", NEW),
        (b"Hi", b"Hi\n\n" + NEW),
        (b"Hi\n", b"Hi\n\n" + NEW + b"\n"),
        (b"Hi\n\n", b"Hi\n\n" + NEW + b"\n"),
        (b"see " + LINK, b"see " + LINK),
        (b"see " + STALE, b"see " + LINK),
        (b"a\n" + OLD + b"\nb", b"a\n" + NEW + b"\nb"),
        (OLD + b"\nmine " + STALE + b"\n" + OLD, NEW + b"\nmine " + LINK + b"\n" + NEW),
        (NEW + b"\nmine " + STALE + b"\n" + OLD, NEW + b"\nmine " + LINK + b"\n" + NEW),
        (FENCE + b"\n" + STALE, FENCE + b"\n" + LINK),
        (STALE.upper(), STALE[:-32].upper() + TOKEN.encode()),
    ],
)
def test_plain_text(text: bytes, result: bytes) -> None:
    """A block at the end, once; a block of another meeting is replaced, and text between two blocks is nobody's block."""
    got = splice(text, plain_changes(text, BLOCK, OURS))
    assert got == result
    assert plain_changes(got, BLOCK, OURS) == []


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (b"<body>x</body></html>", 7),
        (b"<BODY>x</BODY></HTML>", 7),
        (b"x</html>", 1),
        (b"x", 1),
        (b"x</body><!-- </body> -->", 1),
        (b"<!-- </body> -->x", 17),
        (b"<script>'</body>'</script>x</body>", 27),
        (b"<style></body></style>x", 23),
        (b'<a title="</body>">x</body>', 20),
        (b"<p>it's</p></body>'", 11),
        (b"a</body>b</body>", 9),
    ],
)
def test_html(text: bytes, at: int) -> None:
    """Before the last </body> that is a tag, else before </html>, else at the end."""
    assert splice(text, html_changes(text, IN_LINE, OURS)) == text[:at] + RICH.text + text[at:]


@pytest.mark.parametrize(
    ("text", "front", "behind"),
    [
        (b"", b"", b""),
        (b"x", b"x\n", b""),
        (b"x\n", b"x\n", b"\n"),
        (b"x</body>", b"x\n", b"\n</body>"),
        (b"x\r\n</body>", b"x\r\n", b"\n</body>"),
        (b"</body>", b"", b"\n</body>"),
        (b"x\n</body>\n", b"x\n", b"\n</body>\n"),
    ],
)
def test_html_in_lines_of_its_own(text: bytes, front: bytes, behind: bytes) -> None:
    """In a body the block begins a line and ends one, and is found again there."""
    got = splice(text, html_changes(text, RICH, OURS))
    assert got == front + RICH.text + behind
    assert html_changes(got, RICH, OURS) == []
    stale = got.replace(LINK, STALE)
    assert splice(stale, html_changes(stale, RICH, OURS)) == got


def test_html_of_another_meeting() -> None:
    """Its block is replaced, and what stands between two blocks stays."""
    text = OLD_RICH + b"mine" + OLD_RICH + b"</body>"
    assert splice(text, html_changes(text, RICH, OURS)) == RICH.text + b"mine" + RICH.text + b"</body>"


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (b"", LINK),
        (b"Room", b"Room\\; " + LINK),
        (b"Room\\; " + LINK, b"Room\\; " + LINK),
        (b"Room\\; " + STALE, b"Room\\; " + LINK),
    ],
)
def test_location(value: bytes, result: bytes) -> None:
    """The room stays in front."""
    assert splice(value, location_changes(value, b"\\; ", OURS)) == result


def test_corrections_leave_the_rest() -> None:
    """Links of other meetings lead to this one; nothing is added where there is none."""
    assert corrections(b"no link", OURS) == ([], False)
    changes, found = corrections(b"a " + STALE + b" b", OURS)
    assert found
    assert splice(b"a " + STALE + b" b", changes) == b"a " + LINK + b" b"


def test_many_blocks_are_each_replaced_once() -> None:
    """A text full of blocks of other meetings is gone through once (quadratic, this test would take an hour)."""
    text = OLD * 50_000
    assert splice(text, plain_changes(text, BLOCK, OURS)) == NEW * 50_000


def test_a_block_in_another_language_is_replaced_where_nobody_wrote_in_it() -> None:
    """Octet for octet, or it stays as it is; never a second one."""
    other = FENCE + b"\nTeilnehmen: " + LINK + b"\n" + FENCE
    block = Block(NEW, FENCE, FENCE, b"\n", (other, NEW))
    got = splice(b"a\n" + other + b"\nb", plain_changes(b"a\n" + other + b"\nb", block, OURS))
    assert got == b"a\n" + NEW + b"\nb"
    assert plain_changes(got, block, OURS) == []
    noted = b"a\n" + other.replace(b"Teil", b"Bitte teil") + b"\nb"
    assert plain_changes(noted, block, OURS) == []
    assert plain_changes(other.replace(LINK, STALE), block, OURS) == [Splice(0, len(other), NEW)]


def test_a_long_block_is_found() -> None:
    """Its fences are looked for as far away as the longest one has them."""
    long = FENCE + b"\n" + b"x" * 5_000 + b"\n" + STALE + b"\n" + FENCE
    assert plain_changes(long, Block(NEW, FENCE, FENCE, b"\n", (long,)), OURS) == [Splice(0, len(long), NEW)]
    assert [one.text for one in plain_changes(long, BLOCK, OURS)] == [TOKEN.encode()]  # nobody's: the link alone
