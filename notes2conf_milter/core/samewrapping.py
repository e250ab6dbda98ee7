"""For the self-check: the result with its multipart/related put back around the calendar, where it was rightly taken away.

In:  the result, and both messages as the standard library reads them. Out: the result with the word `related` in the
     Content-Type of each multipart/alternative that was one and holds texts and, last, a calendar. What is then different from
     the original is for the ordinary check to find. Shares no parser with the edit.
Fails: never; where anything is in doubt the word stays, and the ordinary check complains.
"""

import re
from collections.abc import Callable, Iterator
from email.message import Message
from urllib.parse import unquote

_KIND = re.compile(r"\A\s*multipart/(related|alternative)(?=[\s;]|\Z)", re.IGNORECASE)
_NAME = re.compile(rb"(?:\A|\n)content-type[ \t]*:[ \t]*\Z", re.IGNORECASE)
_SHOWN = re.compile(r"cid:([^\s\"'<>()&]*)(&?)", re.IGNORECASE)
_LONGEST_NAME = 100  # octets, with the blanks around the colon

Decoded = Callable[[Message], bytes]


def wrapped_again(result: bytes, before: Message, after: Message, decoded: Decoded) -> bytes:
    """Return `result` with every wrapping that may be gone. decoded: gives the whole body of a part of the original."""
    for one, other in _pairs(before, after):
        old, new = str(one.get("content-type", "")), str(other.get("content-type", ""))
        word, now = _KIND.match(old), _KIND.match(new)
        if word is None or now is None or (word[1].lower(), now[1]) != ("related", "alternative"):
            continue
        if old[: word.start(1)] + now[1] + old[word.end(1) :] == new and _may_go(one, decoded):
            result = _replaced(result, new.encode("latin-1"), old.encode("latin-1"))
    return result


def _pairs(before: Message, after: Message) -> Iterator[tuple[Message, Message]]:
    """Yield the multiparts that stand in the same place."""
    first, second = before.get_payload(), after.get_payload()
    if before.get_content_maintype() == "multipart" and isinstance(first, list) and isinstance(second, list):
        yield before, after
        for one, other in zip(first, second, strict=False):
            yield from _pairs(one, other)


def _replaced(result: bytes, new: bytes, old: bytes) -> bytes:
    """Return `result` with one value of Content-Type replaced, if it stands there once and as such."""
    at = result.find(new)
    if at < 0 or result.find(new, at + 1) >= 0 or not _NAME.search(result[max(at - _LONGEST_NAME, 0) : at]):
        return result
    return result[:at] + old + result[at + len(new) :]


def _may_go(wrapping: Message, decoded: Decoded) -> bool:
    """Say whether a multipart/related holds nothing but texts and, last, a calendar, and no text shows another part."""
    children = _children(wrapping)
    if not children:
        return False
    *texts, last = children
    if last.get_content_type() != "text/calendar" or _attached(last) or not all(map(_text, texts)):
        return False
    if any("content-location" in child for child in children):
        return False
    names = {unquote(str(child.get("content-id", "")).strip().strip("<>")).lower() for child in children} - {""}
    html = [leaf for text in texts for leaf in text.walk() if leaf.get_content_type() == "text/html" and names]
    shown = {name for leaf in html for name in _SHOWN.findall(decoded(leaf).decode("latin-1"))}
    return not any(reference or unquote(name).lower() in names for name, reference in shown)


def _text(part: Message) -> bool:
    kind, children = part.get_content_type(), _children(part)
    if _attached(part) or part.get_filename() or part.get_param("name"):
        return False
    if not children:
        return kind in ("text/plain", "text/html")
    if kind == "multipart/related":
        pictures = children[1:]
        return _text(children[0]) and all(
            one.get_content_maintype() == "image" and not _attached(one) for one in pictures
        )
    return kind == "multipart/alternative" and all(map(_text, children))


def _children(part: Message) -> list[Message]:
    found = part.get_payload()
    return [child for child in found if isinstance(child, Message)] if isinstance(found, list) else []


def _attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment"
