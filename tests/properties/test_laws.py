"""The laws that the core keeps, on generated messages."""

import base64
import re
from unittest.mock import patch

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from notes2conf_milter.core import policy
from notes2conf_milter.core.bodies import bodies
from notes2conf_milter.core.contentlines import FOLD_AT, escape, fold, split, unescape
from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.invitation import Invitation, read
from notes2conf_milter.core.joinlink import own_join_link
from notes2conf_milter.core.keyword import cuts, keyword_pattern
from notes2conf_milter.core.language import content_language, language_of
from notes2conf_milter.core.message import MessageTooComplex, header_fields, parse
from notes2conf_milter.core.occurrences import ScheduleError, schedule
from notes2conf_milter.core.policy import PolicySettings, Trigger, before_body, decide, plainly_no_calendar
from notes2conf_milter.core.rewrite import Job, meant, rewrite
from notes2conf_milter.core.selfcheck import check
from notes2conf_milter.core.transfer import Splice, decode, encode, splice
from notes2conf_milter.core.verdict import Reason
from tests.invitations import BASE_URL, LINK, TOKEN, invitation, job
from tests.milter.mta import header_run
from tests.properties.messages import LANGUAGES, damaged, messages

KEYWORD = keyword_pattern("@meet")
JOBS = st.builds(lambda keyword, language: job(keyword, language), st.sampled_from([None, None, KEYWORD]), LANGUAGES)
PLAIN_JOBS = st.builds(lambda language: job(None, language), LANGUAGES)
MORE = settings(deadline=None, suppress_health_check=list(HealthCheck))
OWN = own_join_link(BASE_URL)


def edited(octets: bytes, wanted: Job) -> tuple[Invitation, bytes]:
    found = read(octets)
    assume(isinstance(found, Invitation))
    assert isinstance(found, Invitation)
    return found, apply(octets, rewrite(octets, found, wanted))


@settings(MORE, max_examples=120)
@given(messages(), JOBS)
def test_law_2_the_check_of_itself_agrees(octets: bytes, wanted: Job) -> None:
    """Whatever is rewritten passes the self-check."""
    found, result = edited(octets, wanted)
    assert check(octets, result, meant(found, wanted)) is None


@settings(MORE, max_examples=100)
@given(messages(), PLAIN_JOBS)
def test_law_2_nothing_else_changes(octets: bytes, wanted: Job) -> None:
    """Without what was put in, every part is what it was: found by looking for the old octets, in order, in the new ones."""
    found, result = edited(octets, wanted)
    start = header_fields(octets).body_start
    assert result[:start] == octets[:start]
    before, after = parse(octets), parse(result)
    own = {copy.part.header.body_start for copy in found.copies}
    own |= {body.part.header.body_start for body in bodies(octets, found)}
    for one, other in zip(before.walk(), after.walk(), strict=True):
        head, head_other = one.header, other.header
        assert (
            octets[head.fields[0].start if head.fields else head.end : head.body_start]
            == (result[head_other.fields[0].start if head_other.fields else head_other.end : head_other.body_start])
        )
        if one.children:
            continue
        old = decode(octets[head.body_start : one.body_end], one.encoding)
        new = decode(result[head_other.body_start : other.body_end], other.encoding)
        if head.body_start not in own:
            assert old == new
            continue
        assert old is not None
        assert new is not None
        if not OWN.search(re.sub(rb"\r*\n[ \t]", b"", old)):
            assert has_all(old, new)


def has_all(old: bytes, new: bytes) -> bool:
    """Say whether the octets of `old` stand in `new` in their order."""
    rest = iter(new)
    return all(octet in rest for octet in old)


@settings(MORE, max_examples=100)
@given(messages(), JOBS)
def test_law_3_again_is_the_same(octets: bytes, wanted: Job) -> None:
    """A rewritten message is not changed again, and no link of another meeting is left where links belong."""
    _, result = edited(octets, wanted)
    again = read(result)
    assert isinstance(again, Invitation)
    assert rewrite(result, again, wanted) == ()
    for copy in again.copies:
        for event in copy.events:
            for line in (*event.all(b"LOCATION"), *event.all(b"DESCRIPTION")):
                assert {match[1].decode() for match in OWN.finditer(line.value)} <= {TOKEN}
            assert any(LINK in line.value for line in event.all(b"LOCATION"))
            assert any(LINK in line.value for line in event.all(b"DESCRIPTION"))
            assert event.all(b"CONFERENCE")


def everything(octets: bytes) -> None:
    """All that the core does with a message."""
    envelope = Envelope(Door.COMMAND, b"anna@example.org")
    rules = PolicySettings(frozenset({"example.org"}), trigger=Trigger.KEYWORD)
    try:
        before_body(envelope, octets[: header_fields(octets).body_start], rules)
    except MessageTooComplex:
        return
    found = read(octets)
    if not isinstance(found, Invitation):
        return
    try:
        times = schedule(found.copies[0].calendar, found.uid, 1_772_436_600)
    except ScheduleError:
        pass
    else:
        decide(envelope, octets, found, rules, own_link=OWN, over_at=times.over_at, now=1_772_436_600)
    language_of(octets, found.root, found.copies[0].calendar)
    for keyword in (None, KEYWORD):
        wanted = job(keyword)
        result = apply(octets, rewrite(octets, found, wanted))
        check(octets, result, meant(found, wanted))


@settings(MORE, max_examples=300)
@given(messages() | damaged(), st.booleans())
def test_what_is_plainly_no_calendar_is_none(octets: bytes, louder: bool) -> None:
    """The quick look at header fields, as a milter gets them, never passes what the long one would look at."""
    octets = octets.upper() if louder else octets
    section = header_fields(octets)
    fields = [
        (field.name, octets[field.value_start : field.value_end].replace(b"\r\n", b"\n")) for field in section.fields
    ]
    if not plainly_no_calendar(header_run(fields)):
        return
    header = octets[: section.body_start]
    with patch.object(policy, "_SIGNS", (b"",)):  # the long look
        rules = PolicySettings(frozenset({"example.org"}))
        assert before_body(Envelope(Door.MILTER, b"anna@example.org"), header, rules) is Reason.NO_CALENDAR
    assert not isinstance(read(header), Invitation)


@settings(MORE, max_examples=120)
@given(damaged())
def test_law_4_damaged_messages_have_an_answer(octets: bytes) -> None:
    """Octets changed anywhere never make the core raise."""
    everything(octets)


@settings(MORE, max_examples=200)
@given(st.binary(max_size=300))
def test_law_4_any_octets_have_an_answer(octets: bytes) -> None:
    """Neither as a message nor as a calendar do octets make the core raise."""
    everything(octets)
    content_language(octets)
    everything(
        b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\n"
        b"ORGANIZER:mailto:a@example.org\r\n" + octets + b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


SPLICES = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.integers(0, 20),
        st.binary(max_size=100) | st.sampled_from([b"\r\n", b" ", b"a \r\nb"]),
    ),
    max_size=4,
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            [
                b"=41",
                b"=e4",
                b"=\r\n",
                b"= \t\r\n",
                b"\r\n",
                b"\n",
                b" ",
                b"\t",
                b"abc",
                b"=",
                b"=3D",
                b"=0D=0A",
                b"x" * 70,
            ]
        ),
        max_size=40,
    ).map(b"".join),
)


def fitting(length: int, raw: list[tuple[int, int, bytes]]) -> list[Splice]:
    """Splices that fit a text and do not overlap."""
    found, at = [], 0
    for start, size, text in sorted(raw):
        first = min(max(start, at), length)
        at = min(first + size, length)
        found.append(Splice(first, at, text))
    return found


@settings(MORE, max_examples=400)
@given(BODIES, st.sampled_from([b"8bit", b"quoted-printable"]), SPLICES)
def test_splices_of_encoded_octets_equal_splices_of_decoded_ones(
    body: bytes, encoding: bytes, raw: list[tuple[int, int, bytes]]
) -> None:
    """Editing the encoded body and decoding it gives what editing the decoded octets gives."""
    decoded = decode(body, encoding)
    assert decoded is not None
    wanted = fitting(len(decoded), raw)
    assert decode(splice(body, encode(body, encoding, wanted)), encoding) == splice(decoded, wanted)


@settings(MORE, max_examples=300)
@given(st.binary(max_size=300), st.integers(1, 90), st.sampled_from([b"\r\n", b"\n", b" \r\n"]), SPLICES)
def test_splices_of_base64_equal_splices_of_decoded_octets(
    octets: bytes, width: int, eol: bytes, raw: list[tuple[int, int, bytes]]
) -> None:
    """The same for base64 at any width; the digits before the first splice stay."""
    digits = base64.b64encode(octets)
    body = eol.join(digits[at : at + width] for at in range(0, len(digits), width))
    wanted = fitting(len(octets), raw)
    result = splice(body, encode(body, b"base64", wanted))
    assert decode(result, b"base64") == splice(octets, wanted)
    if wanted:
        kept = body[: len(body) * (wanted[0].start // 3 * 3) // max(len(octets) + 3, 1)]
        assert result.startswith(kept[: max(0, len(kept) - 4)])


@settings(MORE, max_examples=300)
@given(
    st.lists(
        st.sampled_from([b"A:b", b"\r\n", b"\n", b" ", b"\t", b"\r", b":", b';X="', b"\xef\xbb\xbf", b"\xc3"])
    ).map(b"".join)
)
def test_content_lines_join_to_the_calendar(octets: bytes) -> None:
    """Every octet belongs to exactly one line."""
    lines = list(split(octets))
    bom = octets[:3] if octets.startswith(b"\xef\xbb\xbf") else b""
    assert bom + b"".join(octets[line.start : line.next] for line in lines) == octets


@settings(MORE, max_examples=300)
@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n")),
    st.integers(0, 80),
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_folds_are_undone_by_unfolding(text: str, at: int, eol: bytes) -> None:
    """Folded text unfolds to itself, no line is too long, and no character is cut."""
    folded = fold(text.encode(), at=at, eol=eol)
    lines = folded.split(eol)
    assert folded.replace(eol + b" ", b"") == text.encode()
    assert all(len(line) <= FOLD_AT for line in lines[1:])
    for line in lines:
        line.decode("utf-8")


@given(st.text())
def test_escaped_text_is_read_as_it_was(text: str) -> None:
    """Escaping and unescaping are inverse, line ends written as one."""
    assert unescape(escape(text)) == text.replace("\r\n", "\n")


@given(st.lists(st.sampled_from([b"@meet", b" ", b"a", b", ", b"\\, ", b"\xe3\x83", b"-", b"@nomeet"])).map(b"".join))
def test_a_keyword_that_is_cut_is_gone(text: bytes) -> None:
    """What is cut never overlaps, and takes no letter with it."""
    left = splice(text, cuts(text, KEYWORD))
    assert re.sub(rb"[^a\xe3]", b"", left) == re.sub(
        rb"[^a\xe3]", b"", text.replace(b"@meet", b"").replace(b"@nomeet", b"")
    )


@given(messages())
def test_no_edits_change_nothing(octets: bytes) -> None:
    """apply without edits gives back the very same octets."""
    assert apply(octets, ()) is octets


SAMPLES = {
    encoding: invitation(b"LOCATION:Room 1", b"DESCRIPTION:Talk\\, and more", encoding=encoding)
    for encoding in (b"8bit", b"base64", b"quoted-printable")
}


@settings(MORE, max_examples=500)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_the_self_check_sees_damage_anywhere(encoding: bytes, data: st.DataObject) -> None:
    """One octet changed, lost or added, and the check complains; or the original is in there all the same, octet for octet.

    Encoded parts are compared decoded, where damage that says the same is none (`=3D` and `=3d`).
    """
    original = SAMPLES[encoding]
    found, result = edited(original, job())
    at = data.draw(st.integers(0, len(result) - 1))
    new = data.draw(st.sampled_from([b"", b"X", b" ", b"\n", b"\r", b"\xe4", b"=", b"-", result[at : at + 1] * 2]))
    hurt = result[:at] + new + result[at + 1 :]
    assume(hurt != result)
    if check(original, hurt, meant(found, job())) is None:
        assert holds(original, hurt)


def holds(original: bytes, hurt: bytes) -> bool:
    """Say whether all that was in the original is in the other message, and nothing but what is put in besides."""
    before, after = parse(original), parse(hurt)
    for one, other in zip(before.walk(), after.walk(), strict=True):
        if one.children:
            continue
        old = decode(original[one.header.body_start : one.body_end], one.encoding)
        new = decode(hurt[other.header.body_start : other.body_end], other.encoding)
        if old is None or new is None or not has_all(old, new):
            return False
    size = original.index(b"--=_b") + 3
    return original[:size] == hurt[:size]
