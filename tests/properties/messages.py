"""Wild messages: what a generator of mail may write, and what no generator should."""

import base64
import quopri
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.invitations import LINK, STALE

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0", exclude_categories=("Cs",)), max_size=60)
EOLS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"])
BOUNDARIES = st.sampled_from([b"b", b"bb", b"b-", b"=_mixed 354E_=", b"--", b"=_Part(1)'+_,./:?", b"b b"])
CHARSETS = st.sampled_from(
    ["utf-8", "utf-8", "iso-8859-1", "windows-1252", "us-ascii", "shift_jis", "gb18030", "koi8-r", ""]
)
ENCODINGS = st.sampled_from([b"", b"7bit", b"8bit", b"8bit", b"quoted-printable", b"Base64", b"base64", b"x-odd"])
LANGUAGES = st.sampled_from(["en", "de"])
HTML = st.sampled_from(
    ["<html><body>{}</body></html>", "<p>{}", "<BODY>{}</BODY>", "<!-- </body> --><p>{}</p></html>", "{}"]
)
NAMES = st.sampled_from(
    [
        b"SUMMARY",
        b"LOCATION",
        b"DESCRIPTION",
        b'DESCRIPTION;ALTREP="CID:<x@y>"',
        b"DESCRIPTION;LANGUAGE=de",
        b"CONFERENCE",
    ]
    + [
        b"X-ALT-DESC;FMTTYPE=text/html",
        b"STYLED-DESCRIPTION;VALUE=TEXT",
        b"STYLED-DESCRIPTION;FMTTYPE=text/plain",
        b"X-LOTUS-UPDATE-WISL",
        b"COMMENT",
        b"location",
    ]
)
TAILS = st.sampled_from(["", "", "\\", "\\\\", "\\n", "\\;", " ", "\\\\n", " @meet", "\t"])
OWN = st.sampled_from([b"", b"", b"", b" " + LINK, b" " + STALE + b" "])


@dataclass(frozen=True)
class Wild:
    """A message and how its parts are encoded."""

    octets: bytes


@st.composite
def value(draw: st.DrawFn, charset: str) -> bytes:
    text = draw(st.sampled_from(["", "@meet ", ""])) + draw(TEXT) + draw(TAILS)
    return text.encode(charset or "ascii", "ignore") + draw(OWN)


@st.composite
def folded(draw: st.DrawFn, line: bytes, eol: bytes) -> bytes:
    """A content line with folds wherever a producer may put them, also inside a character."""
    cuts = sorted(draw(st.lists(st.integers(0, len(line)), max_size=3, unique=True)))
    pieces = [line[a:b] for a, b in zip([0, *cuts], [*cuts, len(line)], strict=True)]
    blank = draw(st.sampled_from([b" ", b"\t"]))
    if pieces and not pieces[0]:
        pieces = pieces[1:] or [b""]  # a line that begins with a fold belongs to the line before it
    return (eol + blank).join(pieces)


@st.composite
def calendars(draw: st.DrawFn, charset: str) -> bytes:
    """A REQUEST, mostly of an own organizer, mostly sound."""
    eol = draw(EOLS)
    method = draw(st.sampled_from([b"REQUEST"] * 6 + [b"CANCEL", b"REPLY"]))
    lines = [b"BEGIN:VCALENDAR", b"VERSION:2.0", b"METHOD:" + method]
    for number in range(draw(st.integers(1, 2))):
        lines += [b"BEGIN:VEVENT", b"UID:uid-1", b"DTSTART:20300312T090000Z"]
        lines += [b"RECURRENCE-ID:20300312T090000Z"] if number else []
        lines.append(draw(folded(b"ORGANIZER;CN=Anna:mailto:anna@example.org", eol)))
        for name in draw(st.lists(NAMES, max_size=6)):
            lines.append(draw(folded(name + b":" + draw(value(charset)), eol)))
        if draw(st.booleans()):
            lines += [b"BEGIN:VALARM", b"DESCRIPTION:Reminder", b"END:VALARM"]
        lines.append(b"END:VEVENT")
    lines.append(b"END:VCALENDAR")
    bom = draw(st.sampled_from([b""] * 5 + [b"\xef\xbb\xbf"])) if charset == "utf-8" else b""
    return bom + eol.join(lines) + draw(st.sampled_from([eol, eol, b"", eol + eol]))


def encode(octets: bytes, encoding: bytes, width: int, hexes: bool) -> bytes:
    """Encode as a generator of its own taste would."""
    if encoding.lower() == b"base64":
        digits = base64.b64encode(octets)
        return b"\r\n".join(digits[at : at + width] for at in range(0, len(digits), width))
    if encoding == b"quoted-printable":
        if hexes:  # every octet escaped, lower-case, soft line breaks anywhere
            coded = [b"=%02x" % octet for octet in octets]
            return b"=\r\n".join(b"".join(coded[at : at + 20]) for at in range(0, len(coded), 20))
        return b"\r\n".join(quopri.encodestring(line).replace(b"\n", b"\r\n") for line in octets.split(b"\r\n"))
    return octets


@st.composite
def leaf(draw: st.DrawFn, octets: bytes, content_type: bytes, *fields: bytes) -> bytes:
    encoding = draw(ENCODINGS)
    body = encode(octets, encoding, draw(st.sampled_from([60, 64, 74, 76, 900])), draw(st.booleans()))
    lines = [b"Content-Type: " + content_type, *fields]
    lines += [b"Content-Transfer-Encoding: " + encoding] if encoding else []
    lines += draw(
        st.lists(st.sampled_from([b"X-Odd:  \xe4\t ", b"Content-ID: <x@y>", b"Content-Description:\r\n\tb "]))
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    charset = draw(CHARSETS)
    plain = draw(st.booleans())
    inside = draw(TEXT) + draw(EOLS).decode() + draw(TEXT)
    octets = (inside if plain else draw(HTML).replace("{}", inside)).encode(charset or "ascii", "ignore") + draw(OWN)
    octets += draw(st.sampled_from([b"", b"\r\n", b"\n", b" ", b"\r"]))
    kind = b"text/plain" if plain else b"text/html"
    return draw(leaf(octets, kind + (b"; charset=" + charset.encode() if charset else b"")))


@st.composite
def calendar_parts(draw: st.DrawFn) -> bytes:
    charset = draw(CHARSETS)
    octets = draw(calendars(charset))
    parameter = b'; charset="' + charset.encode() + b'"' if charset else b""
    kind = draw(
        st.sampled_from(
            [b"text/calendar; method=REQUEST" + parameter, b"text/calendar" + parameter] * 2 + [b"application/ics"]
        )
    )
    named = [b'Content-Disposition: attachment; filename="invite.ics"'] if kind == b"application/ics" else []
    return draw(leaf(octets, kind, *named))


OTHERS = st.sampled_from(
    [
        b"Content-Type: message/rfc822\r\n\r\nSubject: old\r\n\r\nLOCATION: x\r\n",
        b"Content-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=",
        b"\r\nno header here",
        b"Content-Type: text/plain\r\n",
        b"",
        b"not: a header\xff\r\nat all",
    ]
)


@st.composite
def multiparts(draw: st.DrawFn, depth: int = 2) -> bytes:
    boundary = draw(BOUNDARIES) + (b"%d" % depth if draw(st.integers(0, 3)) else b"")
    inner = st.one_of(texts(), calendar_parts(), calendar_parts(), OTHERS)
    parts = draw(st.lists(inner if depth == 0 else st.one_of(inner, multiparts(depth - 1)), min_size=1, max_size=3))
    kind = draw(st.sampled_from([b"mixed", b"alternative", b"related", b"digest"]))
    body = b"".join(
        b"--" + boundary + draw(st.sampled_from([b"", b"", b" \t"])) + b"\r\n" + one + b"\r\n" for one in parts
    )
    close = draw(
        st.sampled_from(
            [b"--" + boundary + b"--\r\n", b"--" + boundary + b"--", b"--" + boundary + b"--\r\nend\r\n", b""]
        )
    )
    preamble = draw(st.sampled_from([b"", b"", b"This is MIME.\r\n"]))
    return b"Content-Type: multipart/" + kind + b';\r\n\tboundary="' + boundary + b'"\r\n\r\n' + preamble + body + close


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A whole message."""
    subject = draw(
        st.sampled_from(
            [
                b"Plan @meet",
                b"=?UTF-8?Q?Plan_=C3=A4?=\r\n =?UTF-8?Q?_@meet?=",
                b"\xe4 8-bit",
                b"",
                b"=?utf-8?b?QG1lZXQ=?=",
            ]
        )
    )
    header = b"From: anna@example.org\r\nSubject: " + subject + b"\r\nX-Notes-Item:  \r\nMIME-Version: 1.0\r\n"
    octets = header + draw(st.one_of(multiparts(), multiparts(), calendar_parts()))
    return octets.replace(b"\r\n", b"\n") if draw(st.integers(0, 9)) == 0 else octets


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message with octets changed, dropped, doubled or put in."""
    octets = bytearray(draw(messages()))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(octets)))
        end = min(len(octets), at + draw(st.integers(0, 40)))
        octets[at:end] = draw(
            st.sampled_from([b"", b"\r", b"\n", b"\0", b"\xff", b"=", b"\\", b"\r\n ", b"--", octets[at:end] * 2])
        )
    return bytes(octets)
