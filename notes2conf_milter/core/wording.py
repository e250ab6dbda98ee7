"""The sentences we insert, per language, and the fences around them.

In:  a language and a join link. Out: a block of plain text or of HTML. Fails: never.
The fences let a later message find the block again, so that it is replaced and never stacked.
"""

import html
from dataclasses import dataclass

FENCE = "-~-~-~-~-~-~-~-~-~-~-~-~-~-~-~-~-"
HTML_OPEN = "<!--notes2conf-->"
HTML_CLOSE = "<!--/notes2conf-->"


@dataclass(frozen=True, slots=True)
class Wording:
    """What an invitation says about its conference. title: also the LABEL of CONFERENCE, so it holds no `:;,"`."""

    title: str
    join: str
    anchor: str
    note: str


WORDINGS = {
    "en": Wording(
        title="Video conference",
        join="Join:",
        anchor="Join the video conference",
        note="Until the organizer opens the conference, the link leads to a waiting room.",
    ),
    "de": Wording(
        title="Videokonferenz",
        join="Teilnehmen:",
        anchor="An der Videokonferenz teilnehmen",
        note="Bis die Konferenz eröffnet wird, führt der Link in einen Warteraum.",
    ),
}


def plain_block(wording: Wording, url: str) -> str:
    r"""Return the block for plain text; its lines end with \n, the last one has no line end."""
    return "\n".join((FENCE, wording.title, f"{wording.join} {url}", wording.note, FENCE))


def html_block(wording: Wording, url: str) -> str:
    """Return the block for HTML, on one line and in ASCII: a link needs human text to become a button (Zoom Rooms)."""
    block = (
        f"{HTML_OPEN}<div><hr><p><b>{html.escape(wording.title)}</b><br>"
        f'<a href="{html.escape(url)}">{html.escape(wording.anchor)}</a><br>'
        f"{html.escape(wording.note)}</p></div>{HTML_CLOSE}"
    )
    return block.encode("ascii", "xmlcharrefreplace").decode("ascii")
