"""A message as spans of its octets: header fields, body, MIME parts. Nothing is decoded here and nothing is lost.

In:  a message with CRLF or LF line ends (RFC 5322 §2.1, RFC 2046 §5.1). Out: a tree of `Part`s, each with the offsets of
     its header and body in the message, so that one part can be replaced and every other octet kept.
Fails: `MessageTooComplex` past MAX_PARTS, MAX_DEPTH or MAX_FIELDS. Any octets whatever are otherwise a message.

message/rfc822 is a leaf: nothing inside it is ever looked at (law 2).
"""

import binascii
import quopri
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

MAX_DEPTH = 20
MAX_PARTS = 500
MAX_FIELDS = 5_000
_SECTIONS = 10  # of a file name in RFC 2231's sections

# RFC 5322 §2.2: printable US-ASCII but the colon. As in Postfix, a line that is neither this nor a fold ends the header.
_FIELD_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_BOUNDARY_END = re.compile(rb"(--)?[ \t]*\r?\n?\Z")
_TOKEN = rb"[^\x00-\x20()<>@,;:\\\"/\[\]?=\x7f]+"
_PARAMETER = re.compile(rb"[;\s]*(" + _TOKEN + rb')\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s"]*))', re.DOTALL)
_CONTENT_TYPE = re.compile(rb"\s*(" + _TOKEN + rb")/(" + _TOKEN + rb")")


class MessageTooComplex(ValueError):
    """More parts, levels or header fields than are examined."""


@dataclass(frozen=True, slots=True)
class Field:
    """One header field (RFC 5322 §2.2) as spans of the message.

    [start, end) is the whole field with its line end; [value_start, value_end) is the value: all between the colon and
    the final line end, folds included.
    """

    name: bytes
    start: int
    value_start: int
    value_end: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """A header section: its fields, the offset behind the last, and where the body begins (behind the empty line)."""

    fields: tuple[Field, ...]
    end: int
    body_start: int


@dataclass(frozen=True, slots=True)
class Part:
    """A message or one MIME entity in it (RFC 2045 §2.4); body is [header.body_start, body_end) of the message.

    media_type: lower-case `type/subtype`. parameters: those of Content-Type, names in lower case, RFC 2231 not decoded.
    encoding: lower-case Content-Transfer-Encoding, b"" when none is declared. children: the parts of a multipart.
    """

    header: Header
    body_end: int
    media_type: bytes
    parameters: dict[bytes, bytes]
    encoding: bytes
    disposition: bytes
    filenames: tuple[bytes, ...]
    content_id: bytes
    children: tuple["Part", ...]

    def walk(self) -> list["Part"]:
        """Return this part and all below it, in the order of the message."""
        found, todo = [], [self]
        while todo:
            part = todo.pop()
            found.append(part)
            todo.extend(reversed(part.children))
        return found


def header_fields(message: bytes, start: int = 0, end: int | None = None, most: int = MAX_FIELDS) -> Header:
    """Return the header section that begins at `start`; a line that is no field ends it, as in Postfix.

    Raises MessageTooComplex past `most` fields.
    """
    stop = len(message) if end is None else end
    fields: list[Field] = []
    at = start
    while at < stop:
        after = _line_end(message, at, stop)
        if message[at:after] in (b"\r\n", b"\n"):
            return Header(tuple(fields), at, after)
        name = _FIELD_NAME.match(message, at, after)
        if name is None:
            break
        while after < stop and message[after] in b" \t":  # RFC 5322 §2.2.3
            after = _line_end(message, after, stop)
        if len(fields) >= most:
            raise MessageTooComplex("too many header fields")
        fields.append(Field(name[1], at, name.end(), _content_end(message, name.end(), after), after))
        at = after
    return Header(tuple(fields), at, at)


def _line_end(message: bytes, start: int, stop: int) -> int:
    newline = message.find(b"\n", start, stop)
    return stop if newline < 0 else newline + 1


def _content_end(message: bytes, start: int, after: int) -> int:
    """Return the offset behind the content of lines that end at `after`: without the final CRLF or LF."""
    if after > start and message[after - 1 : after] == b"\n":
        after -= 1
        if after > start and message[after - 1 : after] == b"\r":
            after -= 1
    return after


def field_value(message: bytes, header: Header, name: bytes) -> bytes:
    """Return the first value of the field `name` (lower-case), unfolded and stripped; b"" when there is none."""
    for field in header.fields:
        if field.name.lower() == name:
            return b"".join(message[field.value_start : field.value_end].splitlines()).strip()
    return b""


def parameters(value: bytes) -> dict[bytes, bytes]:
    """Return the parameters behind the first semicolon of a structured field (RFC 2045 §5.1), names in lower case.

    Empty parameters (`method=REQUEST;; charset=UTF-8`, seen from Zoom) are passed over; of two equal names
    the first counts.
    """
    found: dict[bytes, bytes] = {}
    at = value.find(b";")
    while at >= 0 and (match := _PARAMETER.match(value, at)) is not None:
        quoted, plain = match[2], match[3]
        text = plain if quoted is None else re.sub(rb"\\(.)", rb"\1", quoted, flags=re.DOTALL)
        found.setdefault(match[1].lower(), text)
        at = value.find(b";", match.end())
    return found


def eol_of(octets: bytes) -> bytes:
    """Return the line end of the first line: CRLF, or LF where a file has it so."""
    first = octets.find(b"\n")
    return b"\n" if first >= 0 and octets[max(first - 1, 0) : first] != b"\r" else b"\r\n"


_ADDRESS = re.compile(rb"<([^<>\s]+@[^<>\s]+)>|(?:^|[\s,])([^<>\s,\"()]+@[^<>\s,\"()]+)")


# What is shown of a From field is between these; of a comment in a comment the inner one goes first.
_QUOTED_OR_COMMENT = re.compile(rb'"(?:[^"\\]|\\.)*"|\((?:[^()"\\]|\\.)*\)', re.DOTALL)
_FROM_OCTETS = 2_000  # more is nobody's name and address


def authors(message: bytes) -> set[str]:
    """Return each address that stands in a From field, in lower case, also where it is written as somebody's name.

    "" is among them where there may be one that is not seen: readers differ in what they make of odd forms (RFC 5322 §4.4).
    """
    found: set[str] = set()
    for field in (field for field in header_fields(message).fields if field.name.lower() == b"from"):
        value = message[field.value_start : field.value_end]
        if len(value) > _FROM_OCTETS:
            found.add("")
            continue
        plain = value
        for _ in range(3):
            plain = _QUOTED_OR_COMMENT.sub(b" ", plain)
        shown = _addresses(plain)
        found.update(shown, _addresses(value))
        if not shown or plain.count(b"@") != len(shown) or any(sign in plain for sign in b'"()'):
            found.add("")
    return found


def _addresses(value: bytes) -> list[str]:
    found = (angle or plain for angle, plain in _ADDRESS.findall(value))
    return [one.strip(b"'").decode("utf-8", "replace").lower() for one in found]


def author(message: bytes) -> str:
    """Return the one address in From, in lower case; "" where it is not plain who is shown as the author."""
    froms = [field for field in header_fields(message).fields if field.name.lower() == b"from"]
    found = authors(message)
    # RFC 5322 §3.6: exactly one; with several, who is shown depends on the reader
    return found.pop() if len(froms) == len(found) == 1 else ""


def media_type(value: bytes, default: bytes = b"text/plain") -> bytes:
    """Return the media type of a Content-Type value in lower case; the default where it says none."""
    match = _CONTENT_TYPE.match(value)
    return default if match is None else match[1].lower() + b"/" + match[2].lower()


def content_type(value: bytes, default: bytes = b"text/plain") -> tuple[bytes, dict[bytes, bytes]]:
    """Return (media type in lower case, parameters) of a Content-Type value; the default where it says none."""
    found = media_type(value, b"")
    return (found, parameters(value)) if found else (default, {})


def parse(message: bytes) -> Part:
    """Return the tree of parts of `message`. Raises MessageTooComplex past the bounds above."""
    return _part(message, 0, len(message), b"text/plain", 0, _Budget())


@dataclass(slots=True)
class _Budget:
    """What is left of the bounds, for the whole message."""

    parts: int = MAX_PARTS
    fields: int = MAX_FIELDS


def _part(message: bytes, start: int, end: int, default: bytes, depth: int, budget: _Budget) -> Part:
    budget.parts -= 1
    if budget.parts < 0 or depth > MAX_DEPTH:
        raise MessageTooComplex("too many parts or levels")
    header = header_fields(message, start, end, budget.fields)
    budget.fields -= len(header.fields)
    media_type, params = content_type(field_value(message, header, b"content-type"), default)
    disposition_value = field_value(message, header, b"content-disposition")
    disposition = disposition_value.partition(b";")[0].strip().lower()
    children: tuple[Part, ...] = ()
    if media_type.startswith(b"multipart/") and params.get(b"boundary"):
        inner = b"message/rfc822" if media_type == b"multipart/digest" else b"text/plain"  # RFC 2046 §5.1.5
        spans = _body_parts(message, header.body_start, end, params[b"boundary"], budget.parts)
        children = tuple(_part(message, a, b, inner, depth + 1, budget) for a, b in spans)
    return Part(
        header,
        end,
        media_type,
        params,
        field_value(message, header, b"content-transfer-encoding").partition(b";")[0].strip().lower(),
        disposition,
        _filenames(parameters(disposition_value), params),
        field_value(message, header, b"content-id"),
        children,
    )


_ENCODED_WORD = re.compile(
    rb"=\?[^?\s]+\?([BbQq])\?([^?\s]*)\?=(?:\s+(?==\?))?"
)  # RFC 2047 §2; producers put them here


def _filenames(*fields: dict[bytes, bytes]) -> tuple[bytes, ...]:
    """Return every file name that parameters of Content-Disposition and Content-Type give, decoded as readers do.

    Plain, in the forms of RFC 2231 (percent-encoded, in sections), and with the encoded words that RFC 2047 §5 forbids there.
    """
    found = []
    for field, base in ((field, base) for field in fields for base in (b"filename", b"name")):
        names = [field.get(base), field.get(base + b"*")]
        sections = [field.get(base + b"*%d" % index, field.get(base + b"*%d*" % index)) for index in range(_SECTIONS)]
        if sections[0] is not None:
            names.append(b"".join(section for section in sections if section is not None))
        found += [_ENCODED_WORD.sub(_word, unquote_to_bytes(name)) for name in names if name]
    return tuple(found)


def _word(match: re.Match[bytes]) -> bytes:
    if match[1] in b"Qq":
        return quopri.decodestring(match[2], header=True)
    try:
        return binascii.a2b_base64(match[2] + b"==")
    except binascii.Error:
        return match[0]


def _body_parts(message: bytes, start: int, end: int, boundary: bytes, most: int) -> list[tuple[int, int]]:
    """Return the spans between the delimiter lines; the line end before a delimiter belongs to it (RFC 2046 §5.1.1)."""
    delimiter = b"--" + boundary.rstrip(b" \t")
    spans: list[tuple[int, int]] = []
    opened = -1
    at = _next_delimiter(message, start, end, delimiter)
    while at >= 0:
        if opened >= 0:
            spans.append((opened, _content_end(message, opened, at)))
            if len(spans) > most:
                raise MessageTooComplex("too many parts")
        after = _line_end(message, at, end)
        rest = _BOUNDARY_END.match(message[at + len(delimiter) : after])
        opened = after
        if rest is not None and rest[1]:
            return spans
        at = _next_delimiter(message, after, end, delimiter)
    if opened >= 0:  # no close delimiter: the last part reaches to the end
        spans.append((opened, end))
    return spans


def _next_delimiter(message: bytes, start: int, end: int, delimiter: bytes) -> int:
    """Return the offset of the next delimiter line at or behind `start`, -1 when there is none."""
    at = start
    while (at := message.find(delimiter, at, end)) >= 0:
        first = at == start or message[at - 1 : at] == b"\n"
        if first and _BOUNDARY_END.match(message[at + len(delimiter) : _line_end(message, at, end)]):
            return at
        at += 1
    return -1
