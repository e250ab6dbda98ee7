"""An invitation and its link in, edits out."""

import pytest

from notes2conf_milter.core.invitation import read
from notes2conf_milter.core.keyword import keyword_pattern
from notes2conf_milter.core.rewrite import Job
from notes2conf_milter.core.wording import Wording
from tests.invitations import (
    BASE_URL,
    CALENDAR,
    FENCE,
    LINK,
    STALE,
    TOKEN,
    calendar,
    invitation,
    job,
    message,
    part,
    read_ok,
    rewritten,
    unfolded,
)

MEET = keyword_pattern("@meet")
PLAIN = part(b"Hi\r\n", b"text/plain")


def values(octets: bytes, name: bytes, copy: int = 0) -> list[bytes]:
    return [line.value for event in read_ok(octets).copies[copy].events for line in event.all(name)]


@pytest.mark.parametrize(
    ("value", "location"),
    [
        (b"", LINK),
        (b"Room 1", b"Room 1\\; " + LINK),
        (b"Room\\, a\\; b", b"Room\\, a\\; b\\; " + LINK),
        (b"Room\\", b"Room\\\\\\; " + LINK),
        (b"Room\\\\", b"Room\\\\\\; " + LINK),
        (STALE, LINK),
    ],
)
def test_location(value: bytes, location: bytes) -> None:
    """The room stays; a lone backslash at the end does not take away what escapes the separator."""
    assert values(rewritten(invitation(b"LOCATION:" + value)), b"LOCATION") == [location]


@pytest.mark.parametrize(
    ("value", "front"),
    [
        (b"", b""),
        (b"Talk", b"Talk\\n\\n"),
        (b"Talk\\n\\n", b"Talk\\n\\n"),
        (b"C:\\", b"C:\\\\\\n\\n"),
        (b"C:\\\\", b"C:\\\\\\n\\n"),
    ],
)
def test_description(value: bytes, front: bytes) -> None:
    """The block stands behind an empty line, and its first line end is one."""
    (got,) = values(rewritten(invitation(b"DESCRIPTION:" + value)), b"DESCRIPTION")
    assert got.startswith(front + FENCE)


def test_a_half_character_is_no_backslash() -> None:
    """In Shift_JIS the second octet of a character may be a backslash: nothing is escaped by it."""
    cal = calendar(b"LOCATION:" + "ソ".encode("shift_jis"))
    got = rewritten(message(PLAIN, part(cal, b"text/calendar; charset=Shift_JIS")))
    assert values(got, b"LOCATION") == ["ソ".encode("shift_jis") + b"\\; " + LINK]


def test_altrep_is_kept_and_parameters_too() -> None:
    """Only the value changes."""
    got = unfolded(rewritten(invitation(b'DESCRIPTION;ALTREP="CID:<a@b>":', b'LOCATION;LANGUAGE=de;X="a:b":Raum')))
    assert b'DESCRIPTION;ALTREP="CID:<a@b>":' + FENCE in got
    assert b'LOCATION;LANGUAGE=de;X="a:b":Raum\\; ' + LINK in got


@pytest.mark.parametrize("name", [b"X-ALT-DESC;FMTTYPE=text/html", b"STYLED-DESCRIPTION;VALUE=TEXT"])
def test_rich_descriptions(name: bytes) -> None:
    """Before </BODY>, also where a fold cuts the tag in two."""
    got = unfolded(rewritten(invitation(name + b":<BODY>Talk</BO\r\n DY></HTML>")))
    before, _, after = got.partition(b"<!--/notes2conf--></BODY></HTML>")
    assert name + b":<BODY>Talk<!--notes2conf-->" in before
    assert after


def test_a_rich_description_that_is_a_uri_stays() -> None:
    """There is no place for text in it."""
    line = b"STYLED-DESCRIPTION;VALUE=URI:https://example.org/x"
    assert line in rewritten(invitation(line))


def test_properties_are_added_before_alarms() -> None:
    """And an alarm's DESCRIPTION stays."""
    got = unfolded(rewritten(invitation(b"BEGIN:VALARM", b"DESCRIPTION:Reminder", b"END:VALARM")))
    assert got.index(b"\r\nCONFERENCE;") < got.index(b"BEGIN:VALARM")
    assert b"BEGIN:VALARM\r\nDESCRIPTION:Reminder\r\nEND:VALARM" in got


def test_every_link_of_another_meeting_is_corrected() -> None:
    """In second properties and CONFERENCE, too."""
    got = unfolded(
        rewritten(
            invitation(
                b"LOCATION:a",
                b"LOCATION:" + STALE,
                b"DESCRIPTION:b",
                b"DESCRIPTION:c " + STALE,
                b"CONFERENCE;VALUE=URI:" + STALE,
                text=b"see " + STALE + b"\r\n",
            )
        )
    )
    assert STALE not in got
    assert got.count(b"CONFERENCE") == 1


@pytest.mark.parametrize("encoding", [b"", b"7bit", b"8bit", b"base64", b"quoted-printable"])
@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(
    "charset",
    [b"utf-8", b"us-ascii", b"mac-roman", b"cp850", b"gb18030", b"shift_jis", b"windows-1252", b"koi8-r", b"x-none"],
)
def test_charsets_and_encodings(charset: bytes, language: str, encoding: bytes) -> None:
    """What is put in fits the part, the self-check agrees, and 7bit stays 7bit."""
    octets = message(
        part(b"Hi\r\n", b"text/plain; charset=" + charset, encoding),
        part(calendar(), b"text/calendar; charset=" + charset, encoding),
    )
    got = rewritten(octets, job(language=language))
    assert got.isascii() or encoding == b"8bit"


@pytest.mark.parametrize(
    "octets",
    [
        message(PLAIN, part(b"\xef\xbb\xbf" + calendar(), CALENDAR)),
        message(PLAIN, part(calendar().strip(), CALENDAR)),
        message(PLAIN, part(calendar(eol=b"\n"), CALENDAR)),
        message(PLAIN, part(calendar(eol=b"\r\r\n"), CALENDAR)),
        message(PLAIN, part(calendar(), CALENDAR), part(calendar(), b'text/plain; name="x.ics"'), kind=b"mixed"),
        message(PLAIN, part(calendar(), CALENDAR)).replace(
            b"Content-Transfer-Encoding: 8bit", b"Content-Transfer-Encoding:\r\n 8Bit "
        ),
        message(part(b"", b"text/plain"), part(calendar(), CALENDAR)),
        message(part(b"a\r\nb", b"text/plain"), part(calendar(eol=b"\n"), CALENDAR)).replace(b"\r\n", b"\n"),
        message(PLAIN, part(calendar(b'X;P="a^nb":\x01\x0b\x85'), CALENDAR)),
    ],
    ids=[
        "bom",
        "no final line end",
        "lf",
        "crcrlf",
        "text/plain ics",
        "folded CTE",
        "empty body",
        "lf message",
        "controls",
    ],
)
def test_odd_but_real(octets: bytes) -> None:
    """Each gets its link, and the self-check agrees."""
    assert LINK in unfolded(rewritten(octets))


@pytest.mark.parametrize(
    ("properties", "location", "summary"),
    [
        ((b"SUMMARY:Plan @meet", b"LOCATION:Room"), b"Room\\; " + LINK, b"Plan"),
        ((b"SUMMARY:@meet Plan", b"LOCATION:@meet"), LINK, b"Plan"),
        ((b"SUMMARY:@meet @meet", b"LOCATION:Room\\, @meet"), b"Room\\; " + LINK, b""),
        ((b"SUMMARY:Pl\r\n an @me\r\n et x", b"LOCATION:"), LINK, b"Plan x"),
    ],
)
def test_the_keyword_goes(properties: tuple[bytes, ...], location: bytes, summary: bytes) -> None:
    """From LOCATION, SUMMARY, Subject and body, however often it stands there."""
    octets = invitation(*properties, text=b"@meet Hi @meet").replace(
        b"Subject: Planning", b"Subject: =?utf-8?q?x_@meet?="
    )
    got = rewritten(octets, job(MEET))
    assert values(got, b"LOCATION") == [location]
    assert values(got, b"SUMMARY") == [summary]
    assert b"@meet" not in unfolded(got)


def test_many_links_in_one_line() -> None:
    """Each place in a long line is found at once (quadratic, this test would take an hour)."""
    octets = invitation(b"DESCRIPTION:" + (STALE + b"\r\n  ") * 20_000)
    found = read(octets)
    assert not isinstance(found, str)
    got = rewritten(octets)
    assert STALE not in unfolded(got)


def test_a_link_that_is_there_already_in_odd_quoted_printable() -> None:
    """Escapes that nobody needs, and a SUMMARY that ends like what is put in: no reason for the self-check to complain."""
    octets = calendar(b"SUMMARY:" + LINK, b"DESCRIPTION:" + FENCE + b"\\n" + STALE + b"\\n" + FENCE)
    coded = [b"=%02x" % octet for octet in octets]
    body = b"=\r\n".join(b"".join(coded[at : at + 20]) for at in range(0, len(coded), 20))
    raw = b"Content-Type: " + CALENDAR + b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + body
    assert STALE not in rewritten(message(PLAIN, raw))


def test_a_telephone_conference_does_not_take_the_place_of_ours() -> None:
    """RFC 7986 §5.11 allows several CONFERENCE properties: ours stands beside one of another kind."""
    octets = unfolded(rewritten(invitation(b"CONFERENCE;VALUE=URI;FEATURE=PHONE:tel:+49123456")))
    assert b"CONFERENCE;VALUE=URI;FEATURE=PHONE:tel:+49123456\r\n" in octets
    assert b"CONFERENCE;VALUE=URI;FEATURE=AUDIO,VIDEO;LABEL=Video conference:" + LINK in octets


@pytest.mark.parametrize("end", [b"</body></html>", b"</html>", b"", b"\r\n", b"</p>\r\n</body>\r\n"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_no_line_grows_past_what_mail_carries(language: str, end: bytes) -> None:
    """RFC 5322 §2.1.1: 998 octets. An MTA breaks a longer line where it likes, be it inside our link."""
    for kind, text in ((b"text/html", b"<p>" + b"x" * 980 + end), (b"text/plain", b"x" * 998)):
        octets = message(part(text, kind, b"7bit"), part(calendar(), CALENDAR))
        got = rewritten(octets, job(language=language))
        lines = set(got.split(b"\r\n")) - set(octets.split(b"\r\n"))
        assert max(map(len, lines)) <= 998
        assert max(len(line) for line in lines if b"x" * 900 not in line) < 200


@pytest.mark.parametrize(
    "line",
    [
        b"ENCODING=BASE64;VALUE=BINARY:VGFsaw==",
        b"ENCODING=QUOTED-PRINTABLE:Talk =E4",
        b"QUOTED-PRINTABLE:Talk =E4",
        b"VALUE=URI:https://example.org/talk",
    ],
)
@pytest.mark.parametrize("name", [b"LOCATION", b"DESCRIPTION", b"SUMMARY"])
def test_a_value_that_is_no_text_as_it_stands_is_left_alone(name: bytes, line: bytes) -> None:
    """And there is no second property beside it (vCalendar 1.0; RFC 5545 §3.2.7, §3.2.20)."""
    got = rewritten(invitation(name + b";" + line, b"BEGIN:VALARM", b"DESCRIPTION:x", b"END:VALARM"), job(MEET))
    event = got[got.index(b"BEGIN:VEVENT") : got.index(b"END:VEVENT")].replace(b"\r\nDESCRIPTION:x", b"")
    assert b"\r\n" + name + b";" + line + b"\r\n" in event
    assert event.count(b"\r\n" + name) == 1
    assert b"\r\nCONFERENCE;" in event


def test_an_encoding_that_is_none_is_text() -> None:
    """8BIT is what RFC 5545 §3.2.7 takes for granted."""
    assert b"DESCRIPTION;ENCODING=8bit:Talk\\n\\n" + FENCE in unfolded(
        rewritten(invitation(b"DESCRIPTION;ENCODING=8bit:Talk"))
    )


@pytest.mark.parametrize("encoding", [b"8bit", b"quoted-printable", b"base64"])
@pytest.mark.parametrize("kind", [b"text/plain", b"text/html"])
def test_no_bare_lf_is_of_our_making(kind: bytes, encoding: bytes) -> None:
    """In a message with CRLF, also where the lines of a part end in LF alone: they stay, and what is put in has CRLF."""
    text = (b"Hi there, \xc3\xa4 " * 9 + b"\n") * 3
    cal = calendar(b"DESCRIPTION:" + b"Talk " * 9, b"LOCATION:" + b"Room " * 9, eol=b"\n")
    parts = [
        part(text, kind + b"; charset=utf-8", encoding).replace(b"\r\n", b"\n"),
        part(cal, CALENDAR, encoding).replace(b"\r\n", b"\n"),
    ]
    octets = message(*(one.replace(b"\n\n", b"\r\n\r\n", 1) for one in parts))
    got = rewritten(octets)
    assert bare(octets) >= bare(got)
    assert b"\n" in got.replace(b"\r\n", b"")


def bare(octets: bytes) -> int:
    """How many bare line feeds there are."""
    return octets.count(b"\n") - octets.count(b"\r\n")


def test_a_styled_description_may_be_plain() -> None:
    """RFC 9073 §6.5: FMTTYPE says what it is."""
    result = unfolded(rewritten(invitation(b"STYLED-DESCRIPTION;FMTTYPE=text/plain:Plan")))
    assert b"STYLED-DESCRIPTION;FMTTYPE=text/plain:Plan\\n\\n" + FENCE in result


def test_a_sign_that_becomes_a_separator_is_escaped() -> None:
    """A wide comma has no place in a calendar of seven bits; the one that is written for it is TEXT (RFC 5545 §3.3.11)."""
    wording = Wording("Treffen", "{link}\na，b；c＼d", '<a href="{link}">x</a>')
    octets = message(part(calendar(), b"text/calendar; method=REQUEST", b"7bit"))
    result = unfolded(rewritten(octets, Job(BASE_URL, TOKEN, wording)))
    assert b"\\na\\,b\\;c\\\\d\\n" in result
