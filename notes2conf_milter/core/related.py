"""The calendar that is wrapped in multipart/related: when the wrapping may become multipart/alternative, and the edit.

In:  a message and its invitation. Out: the edit of the word `related`, or the sentence that says why there is none; None
     when no calendar is wrapped. Domino 12.0.1 and later wrap so (ICAL_SendAsMultipartRelated).
Only the word changes. `type` and `start` (RFC 2387 §3) stay: to multipart/alternative they are parameters that nobody
recognizes, and those are ignored (RFC 2046 §1). Nothing is put in another order: a reader shows the last alternative
that it understands (RFC 2046 §5.1.4), so the calendar must stand last already; where it does, the readers that know
calendars take it, Outlook among them, and the others take the text before it.
Fails: never. Bounded: _MOST wrappings, and _MOST_HTML octets of HTML where it could show another part.
"""

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

from notes2conf_milter.core.edits import ChangeHeader
from notes2conf_milter.core.invitation import Invitation
from notes2conf_milter.core.keyword import folds_whole
from notes2conf_milter.core.message import Field, Part
from notes2conf_milter.core.transfer import Splice, decode

RELATED, ALTERNATIVE = b"multipart/related", b"multipart/alternative"
_MOST = 4
_MOST_HTML = 1_048_576
_CID = re.compile(rb"cid:([^\s\"'<>()&]*)(&?)", re.IGNORECASE)
_WORD = re.compile(rb"\s*multipart/(related)(?=[\s;]|\Z)", re.IGNORECASE)
_NESTED = "The calendar stands in an alternative inside of it, beside further text; as one more alternative that would hide it."
_NOT_LAST = "The calendar is not the last part in it, so that as an alternative it would be hidden (RFC 2046 §5.1.4)."
_OTHERS = "It holds more than texts and one calendar; as alternatives to the calendar the rest would be hidden."
_NAMED = "The HTML shows another part of it by its Content-ID, or may do so; as an alternative that would be hidden."
_MANY = "There are more of them than are edited."
_HEADER = "Its Content-Type is written in a form that is not edited."


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """The edit. root: the message as it is then read, with the offsets of the message as it is now."""

    root: Part
    splices: tuple[Splice, ...]
    fields: tuple[ChangeHeader, ...]


def unwrap(message: bytes, invitation: Invitation) -> Unwrapped | str | None:
    """Return the edit that takes every calendar out of its multipart/related, why that is not possible, or None."""
    calendars = {copy.part.header.body_start for copy in invitation.copies if _speaks(copy.part)}
    found: list[Part] = []
    for part in invitation.root.walk():
        if part.media_type != RELATED:
            continue
        if any(child.header.body_start in calendars for child in part.children):
            found.append(part)
        elif _nested(part, calendars):
            return _NESTED
    if len(found) > _MOST:
        return _MANY
    why = next(filter(None, (_hindrance(message, part) for part in found)), None)
    return why if why or not found else _edit(message, invitation.root, found)


def _speaks(part: Part) -> bool:
    return part.media_type == b"text/calendar" and part.disposition != b"attachment"


def _nested(part: Part, calendars: set[int]) -> bool:
    """Say whether the calendar is one of the alternatives in the wrapping, with HTML beside them that ALTREP names.

    With pictures alone beside them that is how Exchange itself writes an invitation ([MS-OXCMAIL] 2.1.3.3.8.3).
    """
    inside = [
        child
        for child in part.children
        if child.media_type == ALTERNATIVE and any(one.header.body_start in calendars for one in child.children)
    ]
    return bool(inside) and any(child.media_type.startswith(b"text/") for child in part.children)


def _hindrance(message: bytes, part: Part) -> str | None:
    """Return why a multipart/related with a calendar directly inside must stay, or None."""
    *texts, last = part.children
    if not _speaks(last):
        return _NOT_LAST if all(_speaks(child) or _is_text(child) for child in part.children) else _OTHERS
    if not all(map(_is_text, texts)):
        return _OTHERS
    if any(field.name.lower() == b"content-location" for child in part.children for field in child.header.fields):
        return _NAMED  # RFC 2557: HTML may show it by that
    names = {_bare(child.content_id) for child in part.children} - {b""}
    if names and _shown(message, [leaf for child in texts for leaf in child.walk()], names):
        return _NAMED
    return None if _word(message, part) else _HEADER


def _is_text(part: Part) -> bool:
    """Say whether a part is text, alternatives of it, or HTML with its pictures (RFC 2387), and no attached file."""
    if part.disposition == b"attachment" or part.filenames:
        return False
    match part.media_type:
        case b"text/plain" | b"text/html":
            return True
        case b"multipart/alternative":
            return bool(part.children) and all(map(_is_text, part.children))
        case b"multipart/related":
            pictures = part.children[1:]
            return bool(part.children) and _is_text(part.children[0]) and all(map(_is_picture, pictures))
    return False


def _is_picture(part: Part) -> bool:
    return part.media_type.startswith(b"image/") and part.disposition != b"attachment"


def _shown(message: bytes, parts: list[Part], names: set[bytes]) -> bool:
    """Say whether HTML among the parts shows one of `names` by its Content-ID (RFC 2392), or may do so."""
    left = _MOST_HTML
    for part in parts:
        if part.media_type != b"text/html":
            continue
        body = message[part.header.body_start : part.body_end]
        left -= len(body)
        octets = decode(body, part.encoding) if left >= 0 else None
        if octets is None or b"\0" in octets:  # not decoded, or UTF-16
            return True
        if any(end == b"&" or _bare(name) in names for name, end in set(_CID.findall(octets))):
            return True  # "&" begins a character reference: the name is spelt in a way that is not read here
    return False


def _bare(content_id: bytes) -> bytes:
    return unquote_to_bytes(content_id.strip(b"<> \t")).lower()


def _field(part: Part) -> Field:
    return next(field for field in part.header.fields if field.name.lower() == b"content-type")


def _word(message: bytes, part: Part) -> re.Match[bytes] | None:
    """Return where the word `related` stands in the value of the Content-Type, if that can be edited."""
    value = message[_field(part).value_start : _field(part).value_end]
    return _WORD.match(value) if folds_whole(value) else None


def _edit(message: bytes, root: Part, wrappings: list[Part]) -> Unwrapped:
    splices: list[Splice] = []
    fields: list[ChangeHeader] = []
    for part in wrappings:
        field, word = _field(part), _word(message, part)
        assert word is not None  # else there is a hindrance
        start, end = field.value_start + word.start(1), field.value_start + word.end(1)
        if part is root:
            value = message[field.value_start : start] + b"alternative" + message[end : field.value_end]
            fields.append(ChangeHeader(field.name, 1, value))
        else:
            splices.append(Splice(start, end, b"alternative"))
    starts = {part.header.body_start for part in wrappings}
    return Unwrapped(_as_alternatives(root, starts), tuple(splices), tuple(fields))


def _as_alternatives(part: Part, starts: set[int]) -> Part:
    children = tuple(_as_alternatives(child, starts) for child in part.children)
    kind = ALTERNATIVE if part.header.body_start in starts and part.media_type == RELATED else part.media_type
    return replace(part, media_type=kind, children=children)
