"""The self-check complains about whatever was not meant."""

import re

import pytest

from notes2conf_milter.core.keyword import keyword_pattern
from notes2conf_milter.core.meant import Meant
from notes2conf_milter.core.mending import mend
from notes2conf_milter.core.rewrite import changes, meant
from notes2conf_milter.core.selfcheck import check
from tests.invitations import (
    ALL_ON,
    CALENDAR,
    LINK,
    calendar,
    encoded,
    invitation,
    job,
    meaning,
    message,
    part,
    read_ok,
    rewritten,
    unfolded,
)

FOREIGN = b"Content-Type: message/rfc822\r\n\r\nSubject: old\r\n\r\nLOCATION:x\r\n"
SAMPLE = message(
    part(b"Let us  meet.\r\n", b"text/plain; charset=us-ascii"),
    part(b"<p>\xe4</p></body>", b"text/html; charset=us-ascii", b"8bit", b"X-Odd:  \xe4 \t"),
    part(
        calendar(b"LOCATION:Room\r\n  1", b"DESCRIPTION:Talk", b"BEGIN:VALARM", b"DESCRIPTION:x", b"END:VALARM"),
        CALENDAR,
    ),
    FOREIGN,
    kind=b"mixed",
)


def test_no_damage_goes_unseen() -> None:
    """Each octet that was in the original, changed: the check complains, wherever it is."""
    result = rewritten(SAMPLE)
    meant = meaning(SAMPLE)
    assert check(SAMPLE, SAMPLE, meant) is None
    unseen = []
    for at in range(len(result)):
        for new in (bytes((result[at] ^ 1,)), b"", result[at : at + 1] * 2):
            hurt = result[:at] + new + result[at + 1 :]
            if check(SAMPLE, hurt, meant) is None:
                unseen.append(hurt)
    for hurt in unseen:
        rest = iter(hurt)
        assert all(octet in rest for octet in SAMPLE)  # only the form of the inserted text was touched
        assert LINK in unfolded(hurt)


def mended(octets: bytes) -> tuple[bytes, Meant]:
    """A message with its repairs and its link, and what was meant."""
    found = read_ok(octets)
    mending = mend(octets, found, ALL_ON)
    assert list(map(str, mending.repairs)) == ["multipart-related:done", "rdate:done"]
    return changes(octets, found, job(), mending).applied(octets), meant(found, job(), mending)


LISTED = calendar(b"RDATE:20260319T090000Z", b"DESCRIPTION:Talk", b"RDATE:20260326T090000Z")
WRAPPED = message(part(b"<p>Hi", b"text/html; charset=us-ascii"), part(LISTED, CALENDAR), kind=b"related")
RULED = (b"RDATE:20260319T090000Z\r\n", b"RRULE:FREQ=WEEKLY;COUNT=3;BYDAY=TH\r\n")


def test_no_damage_goes_unseen_beside_the_repairs() -> None:
    """Each octet that was in the original or came by a repair, changed, lost or doubled."""
    result, what = mended(WRAPPED)
    alone = WRAPPED.replace(b"multipart/related", b"multipart/alternative").replace(*RULED)
    alone = alone.replace(b"RDATE:20260326T090000Z\r\n", b"")
    for at in range(len(result)):
        for new in (bytes((result[at] ^ 1,)), b"", result[at : at + 1] * 2):
            hurt = result[:at] + new + result[at + 1 :]
            if check(WRAPPED, hurt, what) is None:
                rest = iter(hurt)
                assert all(octet in rest for octet in alone), hurt  # only the form of the inserted text was touched
                assert LINK in unfolded(hurt)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (b"multipart/alternative", b"multipart/mixed", "header"),
        (b"multipart/alternative", b"multipart/Alternative", "header"),
        (b"multipart/alternative", b"multipart/alternative; type=x", "header"),
        (b"text/html;", b"text/plain;", "part-header"),
        (b"multipart/related", b"multipart/alternative", "part-header"),
        (b"COUNT=3", b"COUNT=4", "calendar-line"),
        (b"BYDAY=TH", b"BYDAY=TH;WKST=SU", "calendar-line"),
        (RULED[1], b"", "calendar-new-line"),
        (RULED[1], RULED[0], "calendar-line"),
        (RULED[1], RULED[1] * 2, "calendar-line"),
        (RULED[1], RULED[1] + b"RDATE:20260326T090000Z\r\n", "calendar-line"),
        (RULED[1], RULED[1].replace(b"\r", b""), "calendar-line"),
        (b"END:VEVENT\r\n", RULED[1] + b"END:VEVENT\r\n", "calendar-line"),
        (b"DTSTART:20260312", b"DTSTART:20260305", "calendar-line"),
    ],
)
def test_what_no_repair_is(old: bytes, new: bytes, word: str) -> None:
    """Another word, another rule, another place, another multipart/related."""
    picture = part(b"GIF89a", b"image/gif", b"base64", b"Content-ID: <1@x>")
    shown = message(
        part(b"<img src=cid:1@x>", b"text/html; charset=us-ascii"), picture, kind=b"related", boundary=b"=_i"
    )
    inner = shown[shown.index(b"Content-Type: multipart") :]
    octets = message(inner, part(LISTED, CALENDAR), kind=b"related")
    result, what = mended(octets)
    assert check(octets, result, what) is None
    assert result.count(old) == 1
    assert check(octets, result.replace(old, new), what) == word


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (b"Subject: Planning", b"Subject: Planninh", "header"),
        (b"X-Odd:  \xe4 \t", b"X-Odd: \xe4 \t", "outside"),
        (b"X-Odd:  \xe4", b"X-Odd:  \xe5", "part-header"),
        (b"LOCATION:x", b"LOCATION:y", "outside"),
        (b"UID:uid-1", b"UID:uid-2", "calendar-line"),
        (b"DTSTART:20260312T090000Z\r\n", b"", "calendar-line"),
        (b"LOCATION:Room\r\n  1", b"LOCATION:Room 1", "calendar-value"),
        (b"DESCRIPTION:Talk", b"DESCRIPTION:Tall", "calendar-value"),
        (b"BEGIN:VALARM\r\nDESCRIPTION:x", b"BEGIN:VALARM\r\nDESCRIPTION:y", "calendar-line"),
        (b"END:VEVENT", b"LOCATION:evil\r\nEND:VEVENT", "calendar-new-line"),
        (b"<p>\xe4", b"<p>\xe5", "body"),
        (b"Let us  meet", b"Let us meet", "body"),
        (b"--=_b--\r\n", b"--=_b--\n", "outside"),
    ],
)
def test_the_word_for_the_place(old: bytes, new: bytes, word: str) -> None:
    """The log says where; never what."""
    result = rewritten(SAMPLE)
    assert result.count(old) == 1
    assert check(SAMPLE, result.replace(old, new), meaning(SAMPLE)) == word


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable"])
def test_encoded_lines_before_the_edit(encoding: bytes) -> None:
    """Are compared as they stand, though they decode to the same."""
    text = b"===\r\n" + b"Hi\r\n" * 60
    octets = invitation(b"LOCATION:" + b"=" * 20, encoding=encoding, text=text)
    result = rewritten(octets)
    line = encoded(text, encoding)[:9]
    hurt = result.replace(
        line, line.replace(b"=3D", b"=3d") if encoding == b"quoted-printable" else line[:4] + b"\r\n" + line[4:], 1
    )
    assert hurt != result
    assert check(octets, hurt, meaning(octets)) in ("encoded-lines", "outside")


def test_where_a_keyword_went_nothing_else_may_go() -> None:
    """Neither a word of the Subject nor a blank of the summary."""
    wanted = job(keyword_pattern("@meet"))
    octets = invitation(b"SUMMARY:Big  plan @meet").replace(b"Subject: Planning", b"Subject: Big plan @meet")
    result, meant = rewritten(octets, wanted), meaning(octets, wanted)
    assert check(octets, result.replace(b"Subject: Big plan", b"Subject: Big"), meant) == "header"
    assert check(octets, result.replace(b"SUMMARY:Big  plan", b"SUMMARY:Big plan"), meant) == "calendar-value"
    assert check(octets, result.replace(b"To: bob", b"To: rob"), meant) == "header"


def test_a_link_of_nobody_is_seen() -> None:
    """Where a link of ours is put in with another token than was meant."""
    octets = invitation(text=b"see https://conf.example.org/j/" + b"o" * 32)
    result = rewritten(octets)
    assert check(octets, result.replace(LINK[-32:], b"z" * 32), meaning(octets)) is not None


@pytest.mark.parametrize("junk", [b"", b"\0", b"\xff" * 100, b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b"])
def test_whatever_comes_out_the_check_has_an_answer(junk: bytes) -> None:
    """It never raises."""
    assert isinstance(check(SAMPLE, junk, meaning(SAMPLE)), str)


def test_a_long_folded_line_is_read_at_once() -> None:
    """300,000 folds (quadratic, this test would take an hour)."""
    octets = invitation(b"DESCRIPTION:" + b"a\r\n " * 300_000 + b"x")
    assert LINK in unfolded(rewritten(octets))


def test_no_damage_goes_unseen_beside_what_is_too_long_to_read() -> None:
    """Long attachments before and behind the edits, and what stands around and in them."""
    attachment = part(bytes(range(256)) * 600, b"application/octet-stream", b"base64")
    texts = (part(b"Let us meet.\r\n", b"text/plain; charset=us-ascii"), part(calendar(), CALENDAR, b"base64"))
    octets = message(attachment, *texts, attachment, FOREIGN, kind=b"mixed")
    result, meant = rewritten(octets), meaning(octets)
    seams = [found.end() for found in re.finditer(rb"--=_b|\r\n\r\n|Content-", result)]
    places = {at for seam in seams for at in range(seam - 12, seam + 3)} | set(range(0, len(result), 9_973))
    for at in sorted(places & set(range(len(result)))):
        hurt = result[:at] + bytes((result[at] ^ 1,)) + result[at + 1 :]
        assert check(octets, hurt, meant) is not None, at
    moved = result.replace(b"--=_b\r\nContent-Type: application", b"--=_b\r\nContent-Type: Application", 1)
    assert check(octets, moved, meant) is not None


def test_a_message_may_speak_as_the_check_does() -> None:
    """A line like the one that stands for what is too long to read."""
    long = b"".join(b"line %d\r\n" % number for number in range(20_000))
    octets = invitation(text=b"n2c/0/left/out\nSo\r\n" + long)
    assert LINK in unfolded(rewritten(octets))


@pytest.mark.parametrize("text", [b"one\r", b"one\ntwo\r\n", b"one\r\ntwo\n", b"one\r\ntwo\r"])
@pytest.mark.parametrize("close", [b"", b"--=_b--", b"--=_b--\r\n"])
def test_a_text_of_several_line_ends_at_the_end_of_a_multipart(text: bytes, close: bytes) -> None:
    """Closed or not: it gets its link, and damage behind it is seen."""
    whole = message(part(calendar(), CALENDAR), part(text, b"text/plain; charset=us-ascii"))
    octets = whole[: whole.rindex(text) + len(text)] + (b"\r\n" + close if close else b"")
    result = rewritten(octets)
    assert LINK in result[result.index(b"text/plain") :]
    assert check(octets, result, meaning(octets)) is None
    for hurt in (result + b"x", result + b"\r\nx", result[: result.rindex(text)] + result[result.rindex(text) + 1 :]):
        assert check(octets, hurt, meaning(octets)) is not None
