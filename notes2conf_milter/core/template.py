"""A wording of an administrator's own: read, and held to what can stand in any message.

In:  the text of a TOML file. Out: a `Wording`.
Fails: `TemplateError` with the key and what is allowed.

What passes keeps the laws in every part that we edit. It is looked at as UTF-8 and as the ASCII that parts get whose charset
lacks a character: no fence and no line that MIME could take for a boundary, no line that the next hop would break, and the
link alone, so that it is found again. The HTML is of a strict form, tags in pairs and attributes in double quotes, so that no
two readers see different things in it.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from html import escape, unescape

from notes2conf_milter.core.charset import to_ascii
from notes2conf_milter.core.wording import FENCE, HTML_CLOSE, HTML_OPEN, Wording

KEYS = ("title", "plain", "html")
MOST = {"title": 60, "plain": 2_000, "html": 4_000}  # characters
_MOST_ON_A_LINE = 800  # octets, without the link; RFC 5322 §2.1.1 has 998
_WIDEST = ("utf-8", "gb18030")  # no other charset takes more octets for a character
# Cf: they join, hide or turn round what stands beside them, so that what is read is not what is written.
_FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SEEN = ("L", "N", "P", "S")  # the first letter of categories; marks are seen on one of these
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # of those categories, and yet blank
_PLACEHOLDER = re.compile(r"\{(?:title|link)\}")
_ALONE = re.compile(r"(?:^|(?<= ))\{link\}(?=$| )", re.MULTILINE)
_WEB_LINK = re.compile(r"://|\bwww\.|\bmailto:", re.IGNORECASE)
_HOW = re.IGNORECASE | re.ASCII | re.DOTALL
_PIECE = re.compile(
    r'<(?P<end>/?)(?P<name>[a-z][a-z0-9]*)(?P<attributes>(?:\s+[a-z-]+="[^"<>]*")*)\s*(?P<void>/?)>|[^<>]+', _HOW
)
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"<>]*)"', _HOW)
_ANCHOR = re.compile(r'<a\s[^<>]*href="\{link\}"[^<>]*>(.*?)</a\s*>', _HOW)
_TAG = re.compile(r"<[^<>]*>")
_VOID = frozenset({"br", "hr"})
_TAGS = frozenset(
    {
        "a",
        "abbr",
        "b",
        "big",
        "blockquote",
        "center",
        "code",
        "dd",
        "div",
        "dl",
        "dt",
        "em",
        "font",
        "i",
        "li",
        "ol",
        "p",
    }
    | {"h1", "h2", "h3", "h4", "h5", "h6", "small", "span", "strong", "sub", "sup", "u", "ul"}
    | {"table", "tbody", "td", "th", "tr", *_VOID}
)
_ATTRIBUTES = frozenset(
    {"align", "bgcolor", "border", "cellpadding", "cellspacing", "color", "colspan", "dir", "face", "height", "href"}
    | {"lang", "rel", "role", "rowspan", "size", "style", "target", "title", "valign", "width"}
)
_STYLE = re.compile(r"url|expression|import|binding|behavior|[\\&@]|/\*", re.IGNORECASE)


class TemplateError(ValueError):
    """A template that is not used. key: which of its keys is wrong, "" for the whole."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key, self.problem = key, problem


def wording_from(text: str) -> Wording:
    """Return the wording in a TOML document with the keys title, plain and html; raises TemplateError."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TemplateError("", f"is not TOML: {error}") from None
    for key in found:
        if key not in KEYS:
            raise TemplateError(key, f"no such key; allowed are {', '.join(KEYS)}")
    for key in KEYS:
        if not isinstance(found.get(key), str) or not found[key].strip():
            raise TemplateError(key, "is missing; allowed is a text in quotes")
    wording = Wording(found["title"], found["plain"].strip("\n"), found["html"].strip("\n"))
    for key in KEYS:
        if len(text := getattr(wording, key)) > MOST[key]:
            raise TemplateError(key, f"too long; allowed are {MOST[key]} characters")
    _title(wording.title)
    for key, text, title in (("plain", wording.plain, wording.title), ("html", wording.html, escape(wording.title))):
        _placeholders(key, text)
        _text(key, text.replace("{title}", title))
    if not _ALONE.search(wording.plain):
        raise TemplateError("plain", "allowed before and behind {link} is a blank or the end of the line")
    _html(wording.html)
    return wording


def _title(title: str) -> None:
    if title != title.strip() or set(title + to_ascii(title)) & set(':;,"{}^\\<>') or not _printable(title):
        raise TemplateError(
            "title", 'allowed is one line without : ; , " { } ^ \\ < >, control and invisible characters'
        )
    if not _seen(title):
        raise TemplateError("title", "allowed is a text that can be seen")
    _text("title", title)


def _printable(text: str) -> bool:
    return not any(unicodedata.category(character) in _FORBIDDEN for character in text)


def _seen(text: str) -> bool:
    return any(unicodedata.category(character)[0] in _SEEN and character not in _BLANKS for character in text)


def _text(key: str, text: str) -> None:
    """Hold what all texts have in common, as it is written and as it is spelled in ASCII."""
    shown = unescape(text) if key == "html" else text
    if not _printable(text.replace("\n", "")) or any(unicodedata.category(one) == "Cf" for one in shown):
        raise TemplateError(
            key, "allowed are no control characters (a tab is one) and no invisible ones besides line ends"
        )
    if _WEB_LINK.search(to_ascii(text)) or _WEB_LINK.search(text):
        raise TemplateError(key, "allowed is no link but {link}")
    for form in _forms(key, text):
        if any(fence in form for fence in (FENCE, HTML_OPEN, HTML_CLOSE)):
            raise TemplateError(key, f"allowed is no fence in it ({FENCE} and the like): they are put around it")
        for line in form.split("\n"):
            if line.startswith("--") or line != line.rstrip():
                raise TemplateError(key, "allowed is no line that begins with -- or ends with a blank")
            if max(len(line.encode(codec)) for codec in _WIDEST) > _MOST_ON_A_LINE:
                raise TemplateError(key, f"a line is too long; allowed are {_MOST_ON_A_LINE} octets")


def _forms(key: str, text: str) -> Iterator[str]:
    """Yield the text as it may stand in a part."""
    if key == "html":
        yield text.encode("ascii", "xmlcharrefreplace").decode("ascii")
    else:
        yield text
        yield "\n".join(map(to_ascii, text.split("\n")))


def _placeholders(key: str, text: str) -> None:
    links = text.count("{link}")
    if links != 1:
        raise TemplateError(key, f"{{link}} stands in it {links} times; allowed is exactly one")
    left = _PLACEHOLDER.sub("", text)
    if "{" in left or "}" in left:
        raise TemplateError(key, "allowed in braces are {title} and {link}, and no other braces")


# --- HTML ---


def _html(text: str) -> None:
    """Hold the HTML to tags that show text, in pairs, with one link."""
    opened: list[str] = []
    at = links = 0
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            raise TemplateError("html", 'allowed is no < or > but around tags, attributes as name="value", no comments')
        at = piece.end()
        if piece["name"] is not None:
            links += _tag(piece, opened)
    if opened:
        raise TemplateError("html", f"<{opened[-1]}> is not closed; allowed are tags in pairs")
    shown = _ANCHOR.search(text)
    if links != 1 or shown is None or not _seen(unescape(_TAG.sub("", shown[1]))):
        raise TemplateError("html", 'allowed is {link} in <a href="{link}"> around a text')


def _tag(piece: re.Match[str], opened: list[str]) -> int:
    """Hold one tag; return how many links it has. opened: the names of those that are open, kept here."""
    name = piece["name"].lower()
    if name not in _TAGS:
        raise TemplateError("html", f"allowed is no <{name}>; allowed are {', '.join(sorted(_TAGS))}")
    attributes = _ATTRIBUTE.findall(piece["attributes"])
    links = sum(_attribute(name, attribute.lower(), value) for attribute, value in attributes)
    if piece["end"]:
        if attributes or piece["void"] or not opened or opened.pop() != name:
            raise TemplateError("html", f"</{name}> does not close what was opened last; allowed are tags in pairs")
    elif name not in _VOID:
        if piece["void"] or (name == "a" and "a" in opened):
            raise TemplateError("html", f"<{name}> is not closed; allowed are tags in pairs, and no anchor in another")
        opened.append(name)
    return links


def _attribute(tag: str, name: str, value: str) -> bool:
    """Hold one attribute; say whether it is the link."""
    if name not in _ATTRIBUTES:
        raise TemplateError("html", f"allowed is no attribute {name}; allowed are {', '.join(sorted(_ATTRIBUTES))}")
    if name == "href":
        if tag != "a" or value != "{link}":
            raise TemplateError("html", 'allowed is no link but <a href="{link}">')
        return True
    if "{" in value or (name == "style" and _STYLE.search(value)):
        raise TemplateError(
            "html", f'allowed in {name}="" are no {{title}}, no {{link}}, no url(), no comments and escapes'
        )
    return False
