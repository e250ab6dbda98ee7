"""Where a join link goes in a text, and what is already there.

In:  the octets of a text (a body, or the value of a calendar property in its escaped form) and a `Block` to put in.
Out: splices of those octets; none when the text already carries the link.
Law 3: our own block with the link of another meeting is replaced; a link of another meeting outside a block is corrected
in place; a block that is there is never stacked.
Fails: never.
"""

import re
from dataclasses import dataclass

from notes2conf_milter.core.transfer import Splice

_REACH = 2_000  # octets around a link in which the fences of its block are looked for


@dataclass(frozen=True, slots=True)
class Link:
    """The join link of a meeting. own: finds any join link of this gateway, group 1 is its token (core.joinlink)."""

    url: bytes
    token: bytes
    own: re.Pattern[bytes]


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced text with the link, as it stands in the text. eol: what separates lines there (`\\r\\n`, or `\\n` escaped)."""

    text: bytes
    opening: bytes
    closing: bytes
    eol: bytes


def plain_changes(text: bytes, block: Block, link: Link) -> list[Splice]:
    """Return the splices that give a plain text the block, at its end behind an empty line."""
    changes, carried = _present(text, block, link)
    if carried:
        return changes
    lead = b"" if not text.strip() else block.eol * (2 - _trailing(text, block.eol))
    trail = block.eol if text.endswith(block.eol) else b""
    return [*changes, Splice(len(text), len(text), lead + block.text + trail)]


def html_changes(text: bytes, block: Block, link: Link) -> list[Splice]:
    """Return the splices that give an HTML text the block: before </body>, before </html>, or at the end."""
    changes, carried = _present(text, block, link)
    if carried:
        return changes
    lower = text.lower()
    at = max(lower.rfind(b"</body"), -1)
    if at < 0:
        at = lower.rfind(b"</html")
    if at < 0:
        at = len(text)
    return [*changes, Splice(at, at, block.text)]


def location_changes(value: bytes, separator: bytes, link: Link) -> list[Splice]:
    """Return the splices that give a LOCATION value the link: `room; URL`, or the URL alone.

    separator: what stands between room and link, escaped as the value is.
    """
    changes, carried = _corrected(value, link, ())
    if carried:
        return changes
    room = value.strip()
    return [*changes, Splice(len(value), len(value), (separator if room else b"") + link.url)]


def _trailing(text: bytes, eol: bytes) -> int:
    """Return how many line ends (0 to 2) the text ends with."""
    return 2 if text.endswith(eol + eol) else 1 if text.endswith(eol) else 0


def _present(text: bytes, block: Block, link: Link) -> tuple[list[Splice], bool]:
    """Return the corrections of what is there, and whether the text then carries the link."""
    replaced: list[Splice] = []
    carried = False
    for match in link.own.finditer(text):
        if match[1].lower() == link.token:
            carried = True
            continue
        opening = text.rfind(block.opening, max(0, match.start() - _REACH), match.start())
        closing = text.find(block.closing, match.end(), match.end() + _REACH)
        if opening >= 0 and closing >= 0 and not any(done.start <= opening < done.end for done in replaced):
            replaced.append(Splice(opening, closing + len(block.closing), block.text))
    corrections, corrected = _corrected(text, link, replaced)
    return [*replaced, *corrections], carried or bool(replaced) or corrected


def _corrected(text: bytes, link: Link, done: list[Splice] | tuple[()]) -> tuple[list[Splice], bool]:
    """Return splices that turn every other link of ours (outside `done`) into this one, and whether any link is there."""
    changes, found = [], False
    for match in link.own.finditer(text):
        found = True
        if match[1].lower() != link.token and not any(one.start <= match.start() < one.end for one in done):
            changes.append(Splice(match.start(1), match.end(1), link.token))
    return changes, found
