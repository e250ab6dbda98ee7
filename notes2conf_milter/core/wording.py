"""The text we insert, per language, and the fences around it.

In:  a wording and a join link. Out: a block of plain text or of HTML. Fails: never.
The fences let a later message find the block again, so that it is replaced and never stacked. What a wording of an
administrator's own may hold is core.template's business.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from notes2conf_milter.core.charset import to_ascii

FENCE = "-~-~-~-~-~-~-~-~-~-~-~-~-~-~-~-~-"
HTML_OPEN = "<!--notes2conf-->"
HTML_CLOSE = "<!--/notes2conf-->"

_PLACEHOLDER = re.compile(r"\{(title|link)\}")
_BREAK = re.compile(r"(<br\s*/?>)\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wording:
    r"""What an invitation says about its conference, in lines that end with \n, the last one without.

    title: also the LABEL of CONFERENCE, so it holds no `:;,"`. plain and html: with {title} and one {link}.
    """

    title: str
    plain: str
    html: str


WORDINGS = {
    "en": Wording(
        title="Video conference",
        plain="{title}\nJoin: {link}\nUntil the organizer opens the conference, the link leads to a waiting room.",
        html="<div><hr><p><b>{title}</b><br>\n"
        '<a href="{link}">Join the video conference</a><br>\n'
        "Until the organizer opens the conference, the link leads to a waiting room.</p></div>",
    ),
    "de": Wording(
        title="Videokonferenz",
        plain="{title}\nTeilnehmen: {link}\nBis die Konferenz eröffnet wird, führt der Link in einen Warteraum.",
        html="<div><hr><p><b>{title}</b><br>\n"
        '<a href="{link}">An der Videokonferenz teilnehmen</a><br>\n'
        "Bis die Konferenz eröffnet wird, führt der Link in einen Warteraum.</p></div>",
    ),
}


def plain_block(wording: Wording, url: str) -> str:
    r"""Return the block for plain text; its lines end with \n, the last one has no line end."""
    return "\n".join((FENCE, _filled(wording.plain, wording.title, url), FENCE))


def html_lines(wording: Wording, url: str) -> str:
    r"""Return the block for HTML, in ASCII; its lines end with \n, the last one has no line end."""
    block = HTML_OPEN + _filled(wording.html, html.escape(wording.title), html.escape(url)) + HTML_CLOSE
    return block.encode("ascii", "xmlcharrefreplace").decode("ascii")


def html_block(wording: Wording, url: str) -> str:
    """Return the block for HTML on one line, for the value of a calendar property."""
    return _BREAK.sub(r"\1", html_lines(wording, url)).replace("\n", " ")


def forms(wording: Wording) -> Iterator[tuple[str, bytes]]:
    """Yield ("plain" or "html", octets): what may stand in a part, its link aside."""
    plain = plain_block(wording, "")
    yield "plain", plain.encode()
    yield "plain", to_ascii(plain).encode()
    yield "html", html_lines(wording, "").encode()
    yield "html", html_block(wording, "").encode()


def _filled(text: str, title: str, url: str) -> str:
    return _PLACEHOLDER.sub(lambda found: title if found[1] == "title" else url, text)
