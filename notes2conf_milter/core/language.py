"""In which language a message is written, as far as it says so itself.

In:  a message, its parts and its event. Out: the primary subtag of a language tag (RFC 5646 §2.2.1) in lower case; None
     where the message says nothing, or is of two minds.
Asked are, in this order, and the first that says anything counts: Content-Language of the message (RFC 3282), the sender's
language as Notes writes it (`X-Notes-Item: de; name=$FromPreferredLanguage`), Content-Language of the text parts that are
shown beside the calendar, LANGUAGE of SUMMARY, then of DESCRIPTION (RFC 5545 §3.2.10), of the event that is read.
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
_NO_LANGUAGE = (b"und", b"mul", b"zxx")  # RFC 5646 §4.1: undetermined, multiple, no linguistic content
_SHORT = {"deu": "de", "ger": "de", "eng": "en"}  # RFC 5646 §2.2.1 wants the short one; not all write it
_NAME = b"content-language"
_SENDERS = b"$frompreferredlanguage"


def primary_subtag(tag: bytes) -> str | None:
    """Return the primary subtag of a language tag in lower case, None for what is none (RFC 5646 §2.2.1)."""
    found = _TAG.fullmatch(tag.strip(b' \t\r\n"'))
    if found is None or found[1].lower() in _NO_LANGUAGE:
        return None
    code = found[1].lower().decode("ascii")
    return _SHORT.get(code, code)


def content_language(value: bytes) -> str | None:
    """Return the first language that a Content-Language value names; None when it names none (RFC 3282 §2)."""
    value = value[:_MOST]
    for _ in range(_DEPTH):
        value = _COMMENT.sub(b" ", value)
    return next((tag for tag in map(primary_subtag, value.split(b",")) if tag is not None), None)


def senders_language(value: bytes) -> bytes | None:
    r"""Return the octets that an X-Notes-Item gives for the sender's language, None when it is about something else.

    Notes: value and attributes are split by semicolons, and folded between them: `de-DE;\r\n flags=44; name=…`.
    """
    said, *attributes = value[:_MOST].split(b";")
    for attribute in attributes:
        name, _, item = attribute.partition(b"=")
        if name.strip().lower() == b"name":
            return said if item.strip(b' \t\r\n"').lower() == _SENDERS else None
    return None


def language_of(message: bytes, root: Part, calendar: Component | None = None) -> str | None:
    """Return the language that a message says it is in, None when it says none or several that differ.

    root: the whole message. calendar: with at least one event, where one could be read.
    """
    items = map(senders_language, _fields(message, root, b"x-notes-item"))
    for said in (_fields(message, root, _NAME), [value for value in items if value is not None]):
        named = {language for language in map(content_language, said) if language is not None}
        if len(named) > 1:
            return None  # RFC 5322 §3.6: what stands there twice may mean either
        if named:
            return named.pop()
    # Whether a wrapping is repaired or not, the same texts are asked (law 3).
    texts = [value for part in shown(root, wrapped=True) if part is not root for value in _fields(message, part, _NAME)]
    languages = {language for language in map(content_language, texts) if language is not None}
    if not languages:
        return None if calendar is None else _of_event(main_event(calendar))
    return languages.pop() if len(languages) == 1 else None


def _fields(message: bytes, part: Part, name: bytes) -> list[bytes]:
    return [message[one.value_start : one.value_end] for one in part.header.fields if one.name.lower() == name]


def _of_event(event: Component) -> str | None:
    lines = (line for name in (b"SUMMARY", b"DESCRIPTION") for line in event.all(name)[:1])
    tags = (primary_subtag(line.params().get(b"LANGUAGE", b"")) for line in lines)
    return next((tag for tag in tags if tag is not None), None)
