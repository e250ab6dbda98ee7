"""Where a join link goes in a text, and what is already there.

In:  the octets of a text (a body, or the value of a calendar property in its escaped form) and a `Block` to put in.
Out: splices of those octets; none when the text already carries the link.
Law 3: our own block with the link of another meeting is replaced; a link of another meeting outside a block is corrected
in place; a block that is there is never stacked. A block that is ours in another language, octet for octet, is replaced, too;
one in which somebody wrote stays as it is.
Fails: never.
"""

import re
from dataclasses import dataclass

from notes2conf_milter.core.transfer import Splice

_REACH = 2_000  # octets around a link in which the fences of its block are looked for; more where a block is longer
# The tags we look for, and what may hold their names without being them: comments, scripts, styles, attributes.
_HTML_TOKEN = re.compile(
    rb"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1|\Z)|</(?:body|html)|<[a-z](?:=\s*(?:\"[^\"]*\"|'[^']*')|[^<>])*+",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Link:
    """The join link of a meeting. own: finds any join link of this gateway, group 1 is its token (core.joinlink)."""

    url: bytes
    token: bytes
    own: re.Pattern[bytes]


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced text with the link, as it stands in the text.

    eol: what separates lines there: `\\r\\n`, or `\\n` escaped; for HTML b"" where the block stands in the line. others: the
    same in other languages.
    """

    text: bytes
    opening: bytes
    closing: bytes
    eol: bytes
    others: tuple[bytes, ...] = ()

    @property
    def reach(self) -> int:
        """How far from its link a fence may be, in octets."""
        return max(_REACH, *map(len, (self.text, *self.others)))


def plain_changes(text: bytes, block: Block, link: Link) -> list[Splice]:
    """Return the splices that give a plain text the block, at its end behind an empty line."""
    changes, carried = _present(text, block, link)
    if carried:
        return changes
    lead = b"" if not text.strip() else block.eol * (2 - _trailing(text, block.eol))
    trail = block.eol if text.endswith(block.eol) else b""
    return [*changes, Splice(len(text), len(text), lead + block.text + trail)]


def html_changes(text: bytes, block: Block, link: Link) -> list[Splice]:
    """Return the splices that give an HTML text the block: before </body>, before </html>, or at the end.

    It gets lines of its own: it must not make one that is too long for the mail (RFC 5322 §2.1.1), or the next hop breaks it.
    """
    changes, carried = _present(text, block, link)
    if carried:
        return changes
    ends = {b"</body": -1, b"</html": -1}
    for match in _HTML_TOKEN.finditer(text):
        if (tag := match[0].lower()) in ends:
            ends[tag] = match.start()
    at = next((end for end in ends.values() if end >= 0), len(text))
    behind = at > 0 and text[at - 1 : at] != b"\n"
    lead = block.eol if behind else b""
    last = at == len(text) and (behind or not text)  # a text without a last line end goes without one
    trail = b"" if last or text.startswith((b"\n", b"\r\n"), at) else block.eol
    return [*changes, Splice(at, at, lead + block.text + trail)]


def location_changes(value: bytes, separator: bytes, link: Link) -> list[Splice]:
    """Return the splices that give a LOCATION value the link: `room; URL`, or the URL alone.

    separator: what stands between room and link, escaped as the value is.
    """
    changes, carried = corrections(value, link)
    if carried:
        return changes
    room = value.strip()
    return [*changes, Splice(len(value), len(value), (separator if room else b"") + link.url)]


def _trailing(text: bytes, eol: bytes) -> int:
    """Return how many line ends (0 to 2) the text ends with."""
    return 2 if text.endswith(eol + eol) else 1 if text.endswith(eol) else 0


def _present(text: bytes, block: Block, link: Link) -> tuple[list[Splice], bool]:
    """Return the corrections of what is there, and whether the text then carries the link."""
    changes: list[Splice] = []
    carried = False
    behind, replaced = 0, 0  # behind the link or block before, and behind the last block that is replaced
    others = frozenset(block.others) - {block.text}
    for match in link.own.finditer(text):
        carried = True
        stale = match[1].lower() != link.token
        span = _around(text, match, block, behind) if match.start() >= behind else None
        if span is not None and (stale or text[slice(*span)] in others):
            changes.append(Splice(*span, block.text))
            replaced = span[1]
        elif stale and match.start() >= replaced:
            changes.append(Splice(match.start(1), match.end(1), link.token))
        behind = max(behind, match.end() if span is None else span[1])
    return changes, carried


def _around(text: bytes, match: re.Match[bytes], block: Block, behind: int) -> tuple[int, int] | None:
    """Return the span of the block that the link stands in, not reaching back before `behind`; None when there is none."""
    reach = block.reach
    opening = text.rfind(block.opening, max(behind, match.start() - reach), match.start())
    closing = text.find(block.closing, match.end(), match.end() + reach) if opening >= 0 else -1
    if closing < 0:
        return None
    inside = opening + len(block.opening)
    if text.find(block.closing, inside, match.start()) >= 0 or text.find(block.opening, match.end(), closing) >= 0:
        return None
    return opening, closing + len(block.closing)


def corrections(text: bytes, link: Link) -> tuple[list[Splice], bool]:
    """Return the splices that turn every other link of ours into this one, and whether any link is there."""
    found = list(link.own.finditer(text))
    stale = [match for match in found if match[1].lower() != link.token]
    return [Splice(match.start(1), match.end(1), link.token) for match in stale], bool(found)
