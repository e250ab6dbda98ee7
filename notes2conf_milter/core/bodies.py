"""Which text parts are the message's own body: what a person reads beside the calendar.

In:  a message with an invitation. Out: its text/plain and text/html parts that show the invitation in words.
Not among them: attachments, forwarded messages, what a mailing list added behind (the second text of a multipart/mixed),
and what PGP signed or encrypted in its own form without MIME (law 2).
Fails: never; a part that cannot be decoded or edited octet by octet, or is longer than MAX_BODY_OCTETS, is not among them.
"""

from dataclasses import dataclass

from notes2conf_milter.core.charset import Charset, charset_of
from notes2conf_milter.core.invitation import Invitation, is_calendar
from notes2conf_milter.core.message import Part
from notes2conf_milter.core.transfer import decode

MAX_BODY_OCTETS = 4 * 1024 * 1024  # decoded from the transfer encoding
_TEXT = frozenset({b"text/plain", b"text/html"})
_PGP = (b"-----BEGIN PGP SIGNED MESSAGE-----", b"-----BEGIN PGP MESSAGE-----")  # RFC 9580 §6.2, §7


@dataclass(frozen=True, slots=True)
class Body:
    """A text part of the message's own body. octets: decoded from the transfer encoding."""

    part: Part
    octets: bytes
    charset: Charset


def bodies(message: bytes, invitation: Invitation) -> list[Body]:
    """Return the bodies, in the order of the message."""
    root = invitation.root
    named = {_cid(value) for value in _altreps(invitation)} - {b""}
    chosen = shown(root) + [
        part for part in root.walk() if part.content_id and _cid(b"cid:" + part.content_id) in named
    ]
    found: dict[int, Body] = {}
    for part in chosen:
        body = _body(message, part)
        if body is not None:
            found[part.header.body_start] = body
    return [found[at] for at in sorted(found)]


def body_texts(message: bytes, invitation: Invitation) -> list[bytes]:
    """Return the decoded octets of the bodies."""
    return [body.octets for body in bodies(message, invitation)]


def shown(part: Part, *, wrapped: bool = False) -> list[Part]:
    """Return the text parts that a reader shows as the message (RFC 2046 §5.1.3, §5.1.4; RFC 2387).

    wrapped: with those beside the first in a multipart/related, which are shown once that is repaired (core.related).
    """
    if part.disposition == b"attachment" or (part.filenames and not part.children):
        return []  # a text with the name of a file is a file, also where it is to be shown
    inside = part.children
    match part.media_type:
        case b"text/plain" | b"text/html":
            return [part]
        case b"multipart/related" if not wrapped:
            inside = part.children[:1]
        case b"multipart/alternative" | b"multipart/related":
            pass
        case b"multipart/mixed":
            # The first part that has any text is the body; what follows are attachments and footers.
            return next(filter(None, (shown(child, wrapped=wrapped) for child in inside)), [])
        case _:
            return []
    return [text for child in inside for text in shown(child, wrapped=wrapped)]


def _body(message: bytes, part: Part) -> Body | None:
    if part.media_type not in _TEXT or part.disposition == b"attachment" or is_calendar(part):
        return None
    if part.header.end == part.header.body_start:
        return None  # no empty line: what is put into the body would stand in the header
    octets = decode(message[part.header.body_start : part.body_end], part.encoding)
    if octets is None or len(octets) > MAX_BODY_OCTETS or any(armour in octets for armour in _PGP):
        return None
    charset = charset_of(part.parameters.get(b"charset", b""), octets, part.encoding, "ascii")
    return None if charset is None else Body(part, octets, charset)


def _altreps(invitation: Invitation) -> list[bytes]:
    """Return the ALTREP parameters of DESCRIPTION: Notes keeps the rich body in the part that it names."""
    lines = [line for copy in invitation.copies for event in copy.events for line in event.all(b"DESCRIPTION")]
    return [line.params().get(b"ALTREP", b"") for line in lines]


def _cid(value: bytes) -> bytes:
    """Return the Content-ID that a `cid:` URL (RFC 2392) names, without angle brackets, in lower case; b"" for others."""
    scheme, _, rest = value.strip().partition(b":")
    return rest.strip().strip(b"<>").lower() if scheme.lower() == b"cid" else b""
