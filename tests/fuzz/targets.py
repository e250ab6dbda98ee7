"""What must hold for any octets: each target takes octets and raises AssertionError where it does not. `seeds` begins."""

from collections.abc import Callable, Iterator

from notes2conf_milter.core.contentlines import CalendarError, components, split
from notes2conf_milter.core.edits import Changes, apply
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.invitation import Invitation, is_calendar, read
from notes2conf_milter.core.message import MessageTooComplex, parse
from notes2conf_milter.core.policy import PolicySettings, before_body
from notes2conf_milter.core.repairs import Mode, Repairs
from notes2conf_milter.core.transfer import Splice, decode, encode, splice
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.core.work import WorkSettings, change, judge
from notes2conf_milter.milter.packets import Decoder, PacketError
from notes2conf_milter.milter.session import Ask, Session
from notes2conf_milter.milter.transaction import Limits
from tests.golden import cases
from tests.invitations import BASE_URL, TOKEN
from tests.milter import mta

REPAIRS = Repairs(Mode.ON, Mode.ON)
SETTINGS = WorkSettings(BASE_URL, PolicySettings(frozenset({"example.org"})), "en", 730 * 86400, REPAIRS)
ANNA = Envelope(Door.MILTER, b"anna@example.org", authenticated=True)
NOW = 1_772_500_000
TARGETS: dict[str, Callable[[bytes], None]] = {}


def target(check: Callable[[bytes], None]) -> Callable[[bytes], None]:
    TARGETS[check.__name__] = check
    return check


@target
def message(octets: bytes) -> None:
    """Spans lie within the message and in its order; transfer encodings are edited where they are edited."""
    try:
        root = parse(octets)
    except MessageTooComplex:
        return
    for part in root.walk():
        assert 0 <= part.header.end <= part.header.body_start <= part.body_end <= len(octets)
        body = octets[part.header.body_start : part.body_end]
        decoded = decode(body, part.encoding)
        if decoded is not None and not part.children:
            wanted = [Splice(len(decoded) // 2, len(decoded) // 2, b"\r\nhttps://conf.example.org/j/x\r\n")]
            edited = splice(body, encode(body, part.encoding, wanted))
            assert decode(edited, part.encoding) == splice(decoded, wanted)
    try:
        before_body(ANNA, octets[: root.header.body_start], SETTINGS.policy)
    except MessageTooComplex:
        return


@target
def content_lines(octets: bytes) -> None:
    """The lines of a calendar join to the calendar."""
    try:
        assert b"".join(octets[line.start : line.next] for line in split(octets)) == octets.removeprefix(
            b"\xef\xbb\xbf"
        )
        components(octets)
    except CalendarError:
        return


@target
def invitation(octets: bytes) -> None:
    """Any octets are an invitation or a reason; what is rewritten passes its check and is the same again."""
    found = judge(octets, ANNA, SETTINGS, NOW)
    if not isinstance(found, tuple):
        return
    changes = change(octets, found[0], SETTINGS, TOKEN)
    if isinstance(changes, str):
        return  # the original goes on
    result = apply(octets, changes.edits(octets))
    assert changes.applied(octets) == result
    again = read(result)
    assert isinstance(again, Invitation)
    once_more = change(result, again, SETTINGS, TOKEN)
    assert isinstance(once_more, Changes)
    assert once_more.edits(result) == ()


@target
def milter(octets: bytes) -> None:
    """Any conversation has an outcome; whole and in pieces it is the same packets."""
    whole, pieces = Decoder(), Decoder()
    try:
        packets = mta.one_by_one(whole.feed(octets))
    except PacketError:
        packets = []
    try:
        found = [packet for at in range(0, len(octets), 3) for packet in pieces.feed(octets[at : at + 3])]
        assert not packets or mta.one_by_one(found) == packets
    except PacketError:
        pass
    session = Session(Limits(message=4096, header=1024))
    session.receive(b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff")
    session.receive(octets)
    for _ in range(50):
        question = session.question
        if question is None:
            break
        session.answer(question, None if question.ask is Ask.HEADER else Outcome(Verdict.PASS, Reason.NO_CALENDAR))
    session.fail()
    assert session.closed


def seeds(name: str) -> Iterator[bytes]:
    """Octets to begin with: the golden messages, their calendars, or the conversations about them."""
    for case in cases():
        if name in ("message", "invitation"):
            yield case.message
        elif name == "milter":
            fields, body = mta.split(case.message)
            talk = [mta.packet("M", b"<anna@example.org>\0"), mta.packet("R", b"<bob@example.net>\0")]
            talk += [mta.packet("L", field + b"\0" + value + b"\0") for field, value in fields]
            yield b"".join([*talk, mta.packet("N"), mta.packet("B", body[:2000]), mta.packet("E"), mta.packet("A")])
        else:
            for part in parse(case.message).walk():
                if is_calendar(part):
                    yield decode(case.message[part.header.body_start : part.body_end], part.encoding) or b""
