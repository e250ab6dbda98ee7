"""In which language a message is written, as far as it says so itself.

In:  a message, its parts and its event. Out: the primary subtag of a language tag (RFC 5646 §2.2.1) in lower case; None
     where the message says nothing, or is of two minds.
Asked are, in this order, and the first that says anything counts: Content-Language of the message, that of the text parts
that are shown beside the calendar (RFC 3282), LANGUAGE of SUMMARY, then of DESCRIPTION (RFC 5545 §3.2.10), of the event
that is read.
Fails: never; any octets have an answer (law 4).
"""

import re

from notes2conf_milter.core.bodies import shown
from notes2conf_milter.core.contentlines import Component
from notes2conf_milter.core.invitation import main_event
from notes2conf_milter.core.message import Part

_MOST = 500  # octets of a field that are looked at
_COMMENT = re.compile(rb"\([^()\\]*(?:\\.[^()\\]*)*\)", re.DOTALL)  # RFC 5322 §3.2.2; nested ones go from the inside
_DEPTH = 5  # of nested comments
# `DE_de` is no tag of RFC 5646, but producers write locales.
_TAG = re.compile(rb"([a-z]{2,3})(?:[-_][a-z0-9]{1,8})*", re.IGNORECASE)


def primary_subtag(tag: bytes) -> str | None:
    """Return the primary subtag of a language tag in lower case, None for what is none (RFC 5646 §2.2.1)."""
    found = _TAG.fullmatch(tag.strip(b' \t\r\n"'))
    return None if found is None or found[1].lower() == b"und" else found[1].lower().decode("ascii")


def content_language(value: bytes) -> str | None:
    """Return the first language that a Content-Language value names; None when it names none (RFC 3282 §2)."""
    value = value[:_MOST]
    for _ in range(_DEPTH):
        value = _COMMENT.sub(b" ", value)
    return next((tag for tag in map(primary_subtag, value.split(b",")) if tag is not None), None)


def language_of(message: bytes, root: Part, calendar: Component | None = None) -> str | None:
    """Return the language that a message says it is in, None when it says none or several that differ.

    root: the whole message. calendar: with at least one event, where one could be read.
    """
    said = _fields(message, root)
    if len(said) > 1:
        return None  # RFC 5322 §3.6: what stands there twice may mean either
    if not said or content_language(said[0]) is None:
        said = [value for part in shown(root) if part is not root for value in _fields(message, part)]
    languages = {tag for tag in map(content_language, said) if tag is not None}
    if not languages:
        return None if calendar is None else _of_event(main_event(calendar))
    return languages.pop() if len(languages) == 1 else None


def _fields(message: bytes, part: Part) -> list[bytes]:
    fields = part.header.fields
    return [message[one.value_start : one.value_end] for one in fields if one.name.lower() == b"content-language"]


def _of_event(event: Component) -> str | None:
    lines = (line for name in (b"SUMMARY", b"DESCRIPTION") for line in event.all(name)[:1])
    tags = (primary_subtag(line.params().get(b"LANGUAGE", b"")) for line in lines)
    return next((tag for tag in tags if tag is not None), None)
