"""session.py: the whole table, and what a message leaves behind (nothing)."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.edits import ReplaceBody
from notes2conf_milter.core.encryption import Tls
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.milter import packets
from notes2conf_milter.milter.packets import Command
from notes2conf_milter.milter.session import TABLE, Ask, Session, State
from notes2conf_milter.milter.terms import TRY_LATER
from notes2conf_milter.milter.transaction import Limits
from tests.milter.mta import header_run

PASS = Outcome(Verdict.PASS, Reason.NO_CALENDAR)
POSTFIX, OLD = (6, 0x1FF, 0x1FFFFF), (2, 0x3F, 0x7F)


def say(name: str, payload: bytes = b"") -> bytes:
    return packets.packet(name.encode(), payload)


ENVELOPE = say("M", b"<a@x>\0") + say("R", b"<b@x>\0")
FIELD = say("L", b"Subject\0 hi\0")
GOOD = {
    Command.NEGOTIATE: struct.pack("!III", *POSTFIX),
    Command.CONNECT: b"host\x004\0\x19192.0.2.1\0",
    Command.HELO: b"host\0",
    Command.MAIL: b"<a@x>\0",
    Command.RCPT: b"<b@x>\0",
    Command.HEADER: b"Subject\0 hi\0",
    Command.MACRO: b"Mi\0Q1\0",
    Command.BODY: b"body\r\n",
    Command.UNKNOWN: b"VRFY\0",
}


def new(offer: tuple[int, int, int] = POSTFIX, limits: Limits | None = None) -> Session:
    session = Session(limits or Limits())
    session.receive(say("O", struct.pack("!III", *offer)))
    assert session.state is State.READY
    return session


def to(state: State, offer: tuple[int, int, int] = POSTFIX) -> Session:
    """A session in that state."""
    if state is State.NEW:
        return Session(Limits())
    session = new(offer)
    path = {State.ENVELOPE: ENVELOPE, State.HEADER: ENVELOPE + FIELD, State.CLOSED: say("Q")}
    session.receive(path.get(state, b"" if state is State.READY else ENVELOPE + FIELD + say("N")))
    if state in (State.BODY, State.DONE):
        assert session.question is not None
        session.answer(session.question, None if state is State.BODY else PASS)
    assert session.state is state
    return session


@pytest.mark.parametrize("offer", [POSTFIX, OLD])
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", [*Command, 0, ord("z"), 255])
def test_each_command_in_each_state(state: State, command: int, offer: tuple[int, int, int]) -> None:
    session = to(state, offer)
    said = session.receive(packets.packet(bytes([command]), GOOD.get(command, b"")))  # type: ignore[call-overload]
    handler = TABLE[state].get(command)  # type: ignore[call-overload]
    if handler is None:
        assert session.closed
        assert session.fault
        assert said == b""
        assert session.receive(ENVELOPE) == b""
    elif handler is Session._hold:
        assert session.waiting
        assert session.question is not None
        assert said == b""
    elif command == Command.QUIT:
        assert session.closed
        assert not session.fault
    elif command in (Command.ABORT, Command.QUIT_NC) and state is not State.CLOSED:
        assert (session.state, session.question, said) == (State.READY, None, b"")
    elif state is not State.CLOSED:
        assert not session.closed


@pytest.mark.parametrize("offer", [POSTFIX, OLD])
@pytest.mark.parametrize("end", [say("Q"), say("Z")])
def test_nothing_counts_behind_the_end(offer: tuple[int, int, int], end: bytes) -> None:
    """Nor does it raise, whatever it is: some of it may have come in the same octets."""
    session = to(State.ENVELOPE, offer)
    session.receive(FIELD + end + FIELD + FIELD + say("N") + say("E"))
    assert (session.closed, session.question) == (True, None)
    assert session.receive(FIELD + FIELD) == b""


@pytest.mark.parametrize("offer", [POSTFIX, OLD])
def test_a_plain_header_needs_no_more(offer: tuple[int, int, int]) -> None:
    """Its fields are shown as they came, all of them, and the question carries no octets that would have to be made."""
    shown: list[bytes] = []

    def plain(fields: bytes) -> bool:
        shown.append(fields)
        return b"plain" in fields

    session = Session(Limits(), plain)
    session.receive(say("O", struct.pack("!III", *offer)))
    for subject, ask in ((b"Subject\0 plain\0", Ask.NO_CALENDAR), (b"Subject\0 hi\0", Ask.HEADER)):
        session.receive(ENVELOPE + say("L", b"A\0 b\0") + say("L", subject) + say("N"))
        assert session.question is not None
        assert (session.question.ask, session.question.octets == b"") == (ask, ask is Ask.NO_CALENDAR)
        assert session.question.envelope.sender == b"a@x"
        assert session.answer(session.question, PASS).endswith(packets.ACCEPT)
        session.receive(say("A"))
    first = say("L", b"A\0 b\0")
    assert shown == [first + say("L", b"Subject\0 plain\0"), first + say("L", b"Subject\0 hi\0")]


@pytest.mark.parametrize(("offer", "replies"), [(POSTFIX, b""), (OLD, packets.CONTINUE * 5)])
def test_fields_that_come_together(offer: tuple[int, int, int], replies: bytes) -> None:
    """Each has its reply where the MTA waits for one, and all are in the header."""
    session = new(offer)
    assert session.receive(ENVELOPE + header_run([(b"A", b" b"), (b"C", b" d\n e"), (b"F", b"")])) == replies
    session.receive(say("N"))
    assert session.question is not None
    colon = b":" if offer is POSTFIX else b": "
    assert session.question.octets == b"A: b\r\nC: d\r\n e\r\nF:\r\n\r\n".replace(b":", colon)


def test_macros_of_one_message_are_not_those_of_the_next() -> None:
    """The same ones again are known, but a message without any has none."""
    session = new()
    for macros, expected in ((b"{auth_authen}\0anna\0", True), (b"{auth_authen}\0anna\0", True), (b"", False)):
        said = say("D", b"M" + macros) if macros else b""
        session.receive(say("A") + said + ENVELOPE + say("D", b"Ti\0Q1\0") + FIELD + say("N"))
        assert session.question is not None
        assert (session.question.envelope.authenticated, session.question.envelope.queue_id) == (expected, "Q1")
        session.answer(session.question, PASS)


def test_what_is_unexpected_is_known() -> None:
    """The table, spelled out once more: what each state does not take."""
    refused = {state: "".join(chr(c) for c in Command if c not in TABLE[state]) for state in State}
    assert refused == {
        State.NEW: "ABCDEHKLMNRTU",
        State.READY: "BELNRT",
        State.ENVELOPE: "BCEO",
        State.HEADER: "BCEORT",
        State.BODY: "CLNORT",
        State.ASKED: "",
        State.DONE: "BELNRT",
        State.CLOSED: "",
    }


@pytest.mark.parametrize("offer", [POSTFIX, OLD])
@pytest.mark.parametrize(
    ("command", "payload"),
    [("L", b""), ("L", b"Subject"), ("L", b"Subject\0 hi"), ("L", b"Subject\0"), ("L", b"a\0b\0c\0"), ("L", b"abc\0d"),
     ("D", b""), ("D", b"Mi"), ("Z", b"")],
)  # fmt: skip
def test_what_is_malformed_closes_the_connection(command: str, payload: bytes, offer: tuple[int, int, int]) -> None:
    session = to(State.ENVELOPE, offer)
    session.receive(FIELD + packets.packet(command.encode(), payload) + say("N"))
    assert session.closed
    assert session.fault
    assert session.question is None


@given(st.lists(st.tuples(st.sampled_from([*Command, 1]), st.binary(max_size=20) | st.none()), max_size=30))
def test_any_conversation_has_an_outcome(talk: list[tuple[int, bytes | None]]) -> None:
    session = new()
    for name, payload in talk:
        session.receive(packets.packet(bytes([name]), GOOD.get(name, b"") if payload is None else payload))  # type: ignore[call-overload]
        if session.question is not None and session.question.ask is Ask.HEADER:
            session.answer(session.question, None)
    if session.question is not None:
        session.answer(session.question, PASS)
    assert session.question is None or session.waiting or session.state is State.ASKED


def message(offer: tuple[int, int, int] = POSTFIX) -> bytes:
    return ENVELOPE + FIELD + say("L", b"To\0 b@x,\n c@x\0") + say("N")


def test_a_message_comes_together() -> None:
    session = new()
    session.receive(say("D", b"M{client_addr}\x00192.0.2.7\0{auth_authen}\0alice\0") + message())
    header = session.question
    assert header is not None
    assert header.ask is Ask.HEADER
    assert header.octets == b"Subject: hi\r\nTo: b@x,\r\n c@x\r\n\r\n"
    assert (header.envelope.sender, header.envelope.recipients) == (b"a@x", (b"b@x",))
    assert str(header.envelope.client) == "192.0.2.7"
    assert header.envelope.authenticated
    assert header.envelope.queue_id == ""
    assert session.answer(header, None) == packets.CONTINUE
    assert (
        session.receive(say("B", b"one\r\n") + say("B", b"two\r\n") + say("D", b"Ei\0Q\xff\0") + say("E", b"three"))
        == b""
    )
    whole = session.question
    assert whole is not None
    assert whole.ask is Ask.MESSAGE
    assert whole.octets == header.octets + b"one\r\ntwo\r\nthree"
    assert whole.envelope.queue_id == "Q\\xff"
    edited = session.answer(whole, Outcome(Verdict.REWRITE, Reason.LINK_ADDED, (ReplaceBody(b"new"),)))
    assert edited == say("b", b"new") + packets.ACCEPT


def test_no_header_fields_at_all() -> None:
    session = new()
    session.receive(ENVELOPE + say("N"))
    assert session.question is not None
    assert session.question.octets == b"\r\n"


def test_an_old_mta_gets_each_reply_and_its_blank_back() -> None:
    session = new(OLD)
    assert session.receive(say("C", GOOD[Command.CONNECT])) == packets.CONTINUE
    assert session.receive(say("H", b"host\0")) == packets.CONTINUE
    assert session.receive(ENVELOPE) == packets.CONTINUE * 2
    assert session.receive(say("L", b"Subject\0hi\0")) == packets.CONTINUE
    assert session.receive(say("N")) == b""
    assert session.question is not None
    assert session.question.octets == b"Subject: hi\r\n\r\n"
    assert str(session.question.envelope.client) == "192.0.2.1"
    assert session.answer(session.question, None) == packets.CONTINUE
    assert session.receive(say("B", b"x")) == packets.CONTINUE


def test_the_macro_wins_over_the_connect_packet() -> None:
    for macro, client in ((b"2001:db8::7", "2001:db8::7"), (b"unknown", "None")):
        session = new(OLD)
        session.receive(say("C", GOOD[Command.CONNECT]) + say("D", b"M{client_addr}\0" + macro + b"\0") + message())
        assert session.question is not None
        assert str(session.question.envelope.client) == client


@pytest.mark.parametrize("reset", [say("A"), say("K"), b""])
@pytest.mark.parametrize("end", [State.ENVELOPE, State.HEADER, State.ASKED, State.BODY, State.DONE])
def test_nothing_leaks_into_the_next_message(end: State, reset: bytes) -> None:
    session = new(OLD)
    session.receive(say("C", GOOD[Command.CONNECT]) + say("D", b"M{auth_authen}\0alice\0i\0Q1\0"))
    session.receive(ENVELOPE + (FIELD if end is not State.ENVELOPE else b""))
    if end not in (State.ENVELOPE, State.HEADER):
        session.receive(say("N"))
    if end in (State.BODY, State.DONE):
        assert session.question is not None
        session.answer(session.question, None if end is State.BODY else PASS)
    if end is State.ASKED and not reset:
        return  # an MTA waits for the verdict
    session.receive(reset + say("M", b"<>\0") + say("L", b"X\0y\0") + say("N"))
    question = session.question
    assert question is not None
    assert question.octets == b"X: y\r\n\r\n"
    envelope = question.envelope
    assert (envelope.sender, envelope.recipients, envelope.authenticated, envelope.queue_id) == (b"", (), False, "")
    assert (envelope.client is None) == (reset == say("K"))


def test_an_abort_withdraws_the_question() -> None:
    session = to(State.ASKED)
    stale = session.question
    assert stale is not None
    session.receive(say("A") + message())
    assert session.question is not stale
    assert session.answer(stale, PASS) == b""
    assert session.question is not None
    assert session.answer(session.question, PASS) == packets.ACCEPT


def test_what_comes_too_early_waits_in_order() -> None:
    session = to(State.ASKED)
    assert session.receive(say("B", b"1") + say("B", b"2") + say("E") + message()) == b""
    assert session.waiting
    first = session.question
    assert first is not None
    assert session.answer(first, None) == packets.CONTINUE
    second = session.question
    assert second is not None
    assert second.octets.endswith(b"\r\n\r\n12")
    assert session.answer(second, PASS) == packets.ACCEPT
    third = session.question
    assert third is not None
    assert third.ask is Ask.HEADER
    assert not session.waiting


@pytest.mark.parametrize("offer", [POSTFIX, OLD])
def test_too_long_a_body(offer: tuple[int, int, int]) -> None:
    session = new(offer, Limits(message=100))
    session.receive(message())
    assert session.question is not None
    session.answer(session.question, None)
    session.receive(say("B", b"x" * 101))
    if offer is POSTFIX:
        session.receive(say("B", b"x" * 60) + say("E"))
    question = session.question
    assert question is not None
    assert (question.ask, question.octets) == (Ask.TOO_LARGE, b"")
    assert session.answer(question, PASS) == packets.ACCEPT
    session.receive(say("A") + message())
    assert session.question is not None
    assert session.question.ask is Ask.HEADER


def test_too_long_a_header_and_too_many_recipients() -> None:
    session = new(limits=Limits(header=30, recipients=2))
    session.receive(say("M", b"<a@x>\0") + say("R", b"<b@x>\0") * 5 + FIELD * 5 + say("N"))
    assert session.question is not None
    assert session.question.ask is Ask.TOO_LARGE
    assert session.question.envelope.recipients == (b"b@x", b"b@x")


def test_giving_up_defers_what_waits_for_a_verdict() -> None:
    assert to(State.ASKED).fail() == packets.TEMPFAIL
    assert to(State.BODY).fail() == b""
    session = to(State.BODY)
    session.receive(say("E"))
    assert session.question is not None
    assert session.answer(session.question, None) == TRY_LATER  # only the header can be answered with: go on


REFUSED = Outcome(Verdict.REFUSE, Reason.TLS_MISSING, reply="530 5.7.0 Must issue a STARTTLS command first")
SECURE = say(
    "D", b"M{tls_version}\0TLSv1.2\0{cipher}\0ECDHE-RSA-AES128-SHA\0{cipher_bits}\x00128\0{cert_subject}\0mail1\0"
)


def judging(offer: tuple[int, int, int] = POSTFIX) -> Session:
    """A session in which MAIL FROM may be refused."""
    session = Session(Limits(), judges_mail=True)
    session.receive(say("O", struct.pack("!III", *offer)))
    return session


@pytest.mark.parametrize("offer", [POSTFIX, OLD])
def test_mail_from_may_be_refused(offer: tuple[int, int, int]) -> None:
    """The reply goes out, and the next MAIL is asked about anew; nothing of the refused one is left."""
    session = judging(offer)
    session.receive(SECURE + say("M", b"<a@x>\0"))
    question = session.question
    assert question is not None and (question.ask, question.octets, question.envelope.sender) == (Ask.MAIL, b"", b"a@x")
    assert question.envelope.tls == Tls("TLSv1.2", "ECDHE-RSA-AES128-SHA", 128, trusted=True)
    assert session.answer(question, REFUSED) == packets.reply_code(REFUSED.reply)
    session.receive(say("A") + say("M", b"<b@x>\0"))
    question = session.question
    assert question is not None and (question.envelope.sender, question.envelope.tls) == (b"b@x", None)
    assert session.answer(question, None) == packets.CONTINUE
    assert session.state is State.ENVELOPE
    session.receive(say("R", b"<c@x>\0") + FIELD + say("N"))
    assert session.question is not None and session.question.ask is Ask.HEADER


def test_what_comes_behind_mail_from_waits_for_its_answer() -> None:
    """Postfix waits for the reply; a peer that does not gets its answers in order."""
    session = judging()
    session.receive(ENVELOPE + FIELD + say("N"))
    assert session.question is not None and session.question.ask is Ask.MAIL and session.waiting
    assert session.answer(session.question, None) == packets.CONTINUE
    assert session.question is not None and session.question.ask is Ask.HEADER
    assert session.question.envelope.recipients == (b"b@x",)


def test_an_abort_withdraws_the_question_about_mail_from() -> None:
    session = judging()
    session.receive(say("M", b"<a@x>\0"))
    question = session.question
    assert question is not None
    session.receive(say("A"))
    assert session.answer(question, REFUSED) == b"" and session.state is State.READY


@pytest.mark.parametrize(
    ("macros", "tls"),
    [
        (b"", None),
        (b"{tls_version}\0\0", None),
        (b"{tls_version}\0TLSv1.3\0", Tls("TLSv1.3", "?", 0)),
        (
            b"{tls_version}\0TLSv1.3\0{cipher}\0A B=C\n\0{cipher_bits}\0-1\0{cert_subject}\0\0",
            Tls("TLSv1.3", "A?B?C?", 0),
        ),
        (
            b"{tls_version}\0TLSv1.3\0{cipher}\0" + b"x" * 99 + b"\0{cipher_bits}\x00256\0",
            Tls("TLSv1.3", "x" * 60, 256),
        ),
    ],
)
def test_what_the_macros_say_of_tls(macros: bytes, tls: Tls | None) -> None:
    """Whatever they hold, it can stand in a log line."""
    session = new()
    session.receive(say("D", b"M" + macros) + ENVELOPE + FIELD + say("N"))
    assert session.question is not None and session.question.envelope.tls == tls


def test_tls_of_an_mta_that_says_it_at_helo() -> None:
    """The default lists of macros have it there; the next client begins without it."""
    session = new()
    session.receive(say("D", SECURE[5:].replace(b"M{", b"H{", 1)) + ENVELOPE + FIELD + say("N"))
    assert session.question is not None and session.question.envelope.tls is not None
    session.answer(session.question, PASS)
    session.receive(say("K") + ENVELOPE + FIELD + say("N"))
    assert session.question is not None and session.question.envelope.tls is None
