"""What may be new in a message, and whether a text differs from another in nothing else.

In:  two texts (a body decoded, a property unfolded), and what was meant to be put in. Out: whether they are the same without.
Fails: never.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from notes2conf_milter.core.wording import FENCE, HTML_CLOSE, HTML_OPEN

_SEPARATOR = re.compile(rb"\\?[,;|/-]\Z")
_EOLS = (b"\r\n", b"\n", b"\\n")
_LEADS = tuple(escape + lead for escape in (b"", b"\\") for lead in (b"", *_EOLS, *(eol + eol for eol in _EOLS)))
_TRAILS = (b"", *_EOLS)
_FENCES = tuple(
    re.compile(re.escape(opening.encode()) + b".*?" + re.escape(closing.encode()), re.DOTALL)
    for opening, closing in ((FENCE, FENCE), (HTML_OPEN, HTML_CLOSE))
)


@dataclass(frozen=True, slots=True)
class Meant:
    """What may be in the result and not in the original.

    uid: the value of UID of the events that may change. insertions: every text put in, as it stands decoded in a body or
    unfolded in a calendar. lines: the whole properties that an event may gain, unfolded. own: finds any join link of ours,
    group 1 the token. keyword: what may have been taken out, or None. unwraps: a multipart/related around a calendar may have
    become multipart/alternative. rule: the RRULE that may have come in the place of RDATE, the whole property, or None.
    """

    uid: bytes
    insertions: tuple[bytes, ...]
    lines: tuple[bytes, ...]
    own: re.Pattern[bytes]
    keyword: re.Pattern[bytes] | None = None
    unwraps: bool = False
    rule: bytes | None = None


def text_equal(before: bytes, after: bytes, meant: Meant) -> bool:
    """Say whether `after` is `before` with one insertion; or where it held a keyword or links of ours, those replaced."""
    taken = meant.keyword is not None and meant.keyword.search(before) is not None
    if not taken and meant.own.search(before) is None:
        return any(text == before for text in _without_insertion(after, len(before), meant))
    tokens = {match[1].lower() for text in (before, *meant.insertions) for match in meant.own.finditer(text)}
    if any(match[1].lower() not in tokens for match in meant.own.finditer(after)):
        return False
    if not _blocks_right(before, after, meant):
        return False
    wanted = {_without_links(text, meant) for text in (before, *(without_keyword(before, meant) if taken else ()))}
    results = [
        after,
        *(text for size in {len(text) for text in wanted} for text in _without_insertion(after, size, meant)),
    ]
    return any(_without_links(text, meant) in wanted for text in results)


def _without_insertion(after: bytes, size: int, meant: Meant) -> Iterator[bytes]:
    """Yield what `after` may have been before one insertion; of `size` octets."""
    for insertion in meant.insertions:
        at = after.find(insertion)
        if at < 0:
            continue
        end = at + len(insertion)
        for lead in _LEADS:
            for trail in _TRAILS:
                fits = len(after) - len(insertion) - len(lead) - len(trail) == size
                if fits and after.endswith(lead, 0, at) and after.startswith(trail, end):
                    yield after[: at - len(lead)] + after[end + len(trail) :]


def _blocks_right(before: bytes, after: bytes, meant: Meant) -> bool:
    """Say whether our blocks in `after` are those of `before`, their tokens aside, or ones that are meant; one more at most."""
    old, new = _blocks(before, meant), _blocks(after, meant)
    ours = [block for text in meant.insertions for block in _blocks(text, meant)]
    return set(new) <= {*old, *ours} and len(old) <= len(new) <= len(old) + 1


def _blocks(text: bytes, meant: Meant) -> list[bytes]:
    """Return what stands between our fences and holds a link of ours, with the links taken out."""
    return [
        meant.own.sub(b"", block) for fences in _FENCES for block in fences.findall(text) if meant.own.search(block)
    ]


def _without_links(text: bytes, meant: Meant) -> bytes:
    """Return `text` without our links, and without our blocks around them."""
    if meant.own.search(text) is None:
        return text
    for fences in ((FENCE, FENCE), (HTML_OPEN, HTML_CLOSE)):
        opening, closing = (re.escape(fence.encode()) for fence in fences)
        pieces = re.split(b"(" + opening + b"|" + closing + b")", text)
        kept: list[bytes] = []
        at = 0
        while at < len(pieces):
            block = pieces[at : at + 3]
            if (
                len(block) == 3
                and block[0] == fences[0].encode()
                and block[2] == fences[1].encode()
                and meant.own.search(block[1])
            ):
                at += 3
            else:
                kept.append(pieces[at])
                at += 1
        text = b"".join(kept)
    return meant.own.sub(b"", text)


def without_keyword(text: bytes, meant: Meant) -> set[bytes]:
    """Return what may be left of `text` when the keyword is taken out: at the end, a separator may go with it."""
    if meant.keyword is None:
        return {text}
    found = meant.keyword.search(text)
    start = found.start() if found is not None else 0
    front, left = text[:start], meant.keyword.sub(b"", text[start:])
    if not front or front.endswith(b":"):  # the first word of a value: the blanks behind it go, too
        left = left.lstrip(b" \t")
    bare = (front + left).rstrip(b" \t")
    return {front + left, _SEPARATOR.sub(b"", bare).rstrip(b" \t")}
