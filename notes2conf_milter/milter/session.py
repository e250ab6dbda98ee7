"""One milter connection without its socket: what the MTA says becomes questions, and answers become replies.

In:  octets of the MTA (`receive`), and an outcome for each question (`answer`).
Out: octets to send back, in one piece and in order; `question`, when somebody has to decide; `closed`, when the connection has
to be closed. Nothing here does I/O, waits or logs.

    NEW -> READY -> ENVELOPE -> HEADER -> ASKED -> BODY -> ASKED -> DONE -> READY
           (MAIL)   (RCPT …)   (fields)  (EOH)    (chunks)  (EOM)  (verdict) (ABORT)

`TABLE` says what each command does in each state. A command that is not there is a fault: the connection is closed, which
Postfix answers with milter_default_action. ABORT follows every message, accepted ones too: it is the reset between messages.
While a question is open, ABORT and QUIT withdraw it; anything else waits its turn.
Fails: never with an exception; `fault` says why the session closed itself, without a word of the message.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from notes2conf_milter.core.encryption import Tls
from notes2conf_milter.core.envelope import Envelope, client_address
from notes2conf_milter.core.verdict import Outcome
from notes2conf_milter.milter import packets
from notes2conf_milter.milter.packets import Command
from notes2conf_milter.milter.terms import TRY_LATER, Terms, agree
from notes2conf_milter.milter.transaction import Limits, Transaction

Address = IPv4Address | IPv6Address


class State(IntEnum):
    """Where the conversation stands."""

    NEW = 0  # nothing negotiated yet
    READY = 1  # between messages
    ENVELOPE = 2  # MAIL seen
    HEADER = 3  # a header field seen
    BODY = 4  # the end of the header answered
    ASKED = 5  # a question is open
    DONE = 6  # the verdict is given
    CLOSED = 7  # nothing counts any more


class Ask(Enum):
    """What a question is about."""

    MAIL = "mail"  # octets is empty; the answer may be None: go on. Asked only where `judges_mail` says so
    HEADER = "header"  # octets is the header section with the empty line; the answer may be None: send the body
    MESSAGE = "message"  # octets is the whole message
    NO_CALENDAR = "no calendar"  # octets is empty: the header shows that the message is no invitation
    TOO_LARGE = "too large"  # octets is empty: the message is beyond the limits


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Something to decide. A question is itself its number: an answer to any but the open one is dropped."""

    ask: Ask
    envelope: Envelope
    octets: bytes


class Session:
    """The state of one connection. Read `question`, `closed`, `fault`, `waiting` and `refused` after each call.

    plain: says of header fields, as they come, that no question about them or the body is needed. judges_mail: MAIL is a
    question, too.
    """

    def __init__(
        self, limits: Limits, plain: Callable[[bytes], bool] = lambda _: False, *, judges_mail: bool = False
    ) -> None:
        self.question: Question | None = None
        self.fault = ""
        self.refused = False  # an edit was left out, because the MTA grants no such edit or it cannot be sent
        self.state = State.NEW
        self._limits = limits
        self._plain = plain
        self._judges_mail = judges_mail
        self._decoder = packets.Decoder()
        self._packets: list[packets.Packet] = []  # those that wait for the answer to a question
        self._out: list[bytes] = []
        self._terms = Terms()
        self._read: tuple[bytes, Address | None]
        self._message: Transaction | None = None
        self._forget_client()

    @property
    def closed(self) -> bool:
        """The connection has to be closed, as soon as what was returned is sent."""
        return self.state is State.CLOSED

    @property
    def can_edit(self) -> bool:
        """The MTA lets us change header and body; else no invitation may be claimed, for its link could not be put in."""
        return self._terms.can_edit

    @property
    def waiting(self) -> bool:
        """Packets wait for the answer to a question: read no more."""
        return bool(self._packets)

    @property
    def between_messages(self) -> bool:
        """No message is under way: closing now costs no one anything."""
        return self.state in (State.NEW, State.READY, State.DONE)

    def receive(self, data: bytes) -> bytes:
        """Take octets of the MTA; return what to send (often nothing)."""
        try:
            received = self._decoder.feed(data)
            return self._run(self._packets + received if self._packets else received)
        except packets.PacketError as error:
            return self._close(str(error))

    def answer(self, question: Question, outcome: Outcome | None) -> bytes:
        """Answer a question; return what to send, edits and verdict in one piece. None means: let the rest come.

        Answers to questions that an ABORT has withdrawn are dropped.
        """
        if question is not self.question:
            return b""
        self.question = None
        if outcome is None and question.ask is Ask.HEADER:
            self.state = State.BODY
            self._out.append(packets.CONTINUE)
        elif outcome is None and question.ask is Ask.MAIL:
            self.state = State.ENVELOPE
            self._out.append(self._terms.replies[Command.MAIL])
        else:
            self._message = None
            self.state = State.DONE
            self._out.append(self._verdict(outcome))
        if not self._packets:
            return self._take()
        try:
            return self._run(self._packets)
        except packets.PacketError as error:
            return self._close(str(error))

    def fail(self) -> bytes:
        """Give up this connection after an unforeseen error; return TEMPFAIL if the MTA waits for a verdict."""
        if self.question is not None:
            self._out.append(packets.TEMPFAIL)
        return self._close("")

    def _close(self, fault: str) -> bytes:
        self.fault = self.fault or fault
        self.state, self.question, self._message, self._packets = State.CLOSED, None, None, []
        return self._take()

    def _take(self) -> bytes:
        sent = b"".join(self._out)
        self._out.clear()
        return sent

    def _run(self, received: list[packets.Packet]) -> bytes:
        """Do what each packet says, until a question is open that the next one has to wait for."""
        self._packets = []
        for at, (command, payload) in enumerate(received):
            handler = _ROWS[self.state].get(command)
            if handler is None:
                return self._close(f"{_name(command)} in state {self.state.name}")
            if handler is _HOLD:
                self._packets = received[at:]
                break
            handler(self, command, payload)
        return self._take() if self._out else b""

    def _forget_client(self) -> None:
        self._client = b""
        self._read = (b"", None)
        self._mail_read: tuple[bytes, dict[bytes, bytes]] = (b"M", {})
        self._client_macros: dict[bytes, bytes] = {}
        self._forget_message()

    def _forget_message(self) -> None:
        self._mail_macros: dict[bytes, bytes] = {}
        self._message = None
        self.question = None

    # What each command does. The names of the commands are those of packets.Command.

    def _hold(self, command: int, payload: bytes) -> None:
        """Wait for the answer; `_run` stops at this one, it is never called."""

    def _negotiate(self, command: int, payload: bytes) -> None:
        self._terms, reply = agree(payload, judges_mail=self._judges_mail)
        self._out.append(reply)
        self.state = State.READY

    def _macro(self, command: int, payload: bytes) -> None:
        if payload == self._mail_read[0]:  # a connection's messages have mostly the same ones
            self._mail_macros = self._mail_read[1]
            return
        stage, macros = packets.read_macros(payload)
        if stage in (Command.CONNECT, Command.HELO):
            self._client_macros |= macros
        elif stage == Command.MAIL:
            self._mail_macros = macros
            self._mail_read = (payload, macros)
        elif self._message is not None:
            self._message.macros = self._message.macros | macros

    def _connect(self, command: int, payload: bytes) -> None:
        self._forget_client()
        self._client = packets.read_connect(payload)
        self._continue(command, payload)

    def _continue(self, command: int, payload: bytes) -> None:
        if reply := self._terms.replies[command]:
            self._out.append(reply)

    def _mail(self, command: int, payload: bytes) -> None:
        macros = self._mail_macros
        self._forget_message()  # Sendmail sends no ABORT after a message that it delivered
        self._message = Transaction(self._limits, packets.read_path(payload), macros)
        if self._judges_mail and self._terms.replies[command]:
            self._ask(Ask.MAIL, b"")
        else:
            self.state = State.ENVELOPE
            self._continue(command, payload)

    def _rcpt(self, command: int, payload: bytes) -> None:
        self._current.add_recipient(packets.read_path(payload))
        self._continue(command, payload)

    def _fields(self, command: int, payload: bytes) -> None:
        self.state = State.HEADER
        self._current.add_fields(payload)
        if reply := self._terms.replies[command]:
            self._out += [reply] * len(packets.read_fields(payload))

    def _end_of_header(self, command: int, payload: bytes) -> None:
        message = self._current
        if message.too_large:
            self._ask(Ask.TOO_LARGE, b"")
        elif self._plain(message.fields):
            self._ask(Ask.NO_CALENDAR, b"")
        else:
            self._ask(Ask.HEADER, message.end_header(self._terms.colon))

    def _body(self, command: int, payload: bytes) -> None:
        message = self._current
        message.add_body(payload)
        if message.too_large and self._terms.replies[command]:
            self._ask(Ask.TOO_LARGE, b"")  # where each chunk is answered, the rest need not come at all
        else:
            self._continue(command, payload)

    def _end_of_message(self, command: int, payload: bytes) -> None:
        message = self._current
        if payload:
            message.add_body(payload)  # Sendmail may send the last chunk with the end
        if message.too_large:
            self._ask(Ask.TOO_LARGE, b"")
        else:
            self._ask(Ask.MESSAGE, message.end())

    def _abort(self, command: int, payload: bytes) -> None:
        self._forget_message()
        self.state = State.READY

    def _next_client(self, command: int, payload: bytes) -> None:
        self._forget_client()
        self.state = State.READY

    def _quit(self, command: int, payload: bytes) -> None:
        self._close("")

    def _ignore(self, command: int, payload: bytes) -> None:
        """Nothing counts after the end."""

    @property
    def _current(self) -> Transaction:
        assert self._message is not None  # TABLE lets nothing that needs a message come before MAIL
        return self._message

    def _ask(self, ask: Ask, octets: bytes) -> None:
        message = self._current
        macros = self._client_macros | message.macros if self._client_macros else message.macros
        client = self._address(macros.get(b"{client_addr}", self._client))
        queue_id = _text(macros.get(b"i", b""))
        self.question = Question(ask, message.envelope(client, queue_id, _tls(macros)), octets)
        self.state = State.ASKED

    def _address(self, text: bytes) -> Address | None:
        if text != self._read[0]:  # reading an address is slow, and it stays the same for a connection
            self._read = (text, client_address(_text(text)))
        return self._read[1]

    def _verdict(self, outcome: Outcome | None) -> bytes:
        if outcome is None:
            return TRY_LATER
        self.refused = bool(outcome.edits) and not all(map(self._terms.can_send, outcome.edits))
        return self._terms.verdict(outcome)


def _name(command: int) -> str:
    return Command(command).name if command in set(Command) else "an unknown command"


def _tls(macros: dict[bytes, bytes]) -> Tls | None:
    version = macros.get(b"{tls_version}", b"")
    if not version:
        return None
    return _session_of(
        version, macros.get(b"{cipher}", b""), macros.get(b"{cipher_bits}", b""), macros.get(b"{cert_subject}", b"")
    )


@lru_cache(256)
def _session_of(version: bytes, cipher: bytes, bits: bytes, subject: bytes) -> Tls:
    """Return what Postfix's macros say (MILTER_README). It gives the certificate's subject of a trusted one alone."""
    length = int(bits) if bits.isdigit() and len(bits) < 6 else 0
    return Tls(_word(version), _word(cipher), length, bool(subject))


def _word(value: bytes) -> str:
    return _ODD.sub("?", _text(value))[:60] or "?"


_ODD = re.compile(r"[^A-Za-z0-9._-]")


def _text(value: bytes) -> str:
    return value.decode("ascii", "backslashreplace")


Handler = Callable[[Session, int, bytes], None]
_HOLD: Handler = Session._hold

_ALWAYS: dict[Command, Handler] = {
    Command.ABORT: Session._abort,
    Command.QUIT: Session._quit,
    Command.QUIT_NC: Session._next_client,
}
_ANY_TIME: dict[Command, Handler] = _ALWAYS | {
    Command.MACRO: Session._macro,
    Command.MAIL: Session._mail,
    Command.HELO: Session._continue,
    Command.UNKNOWN: Session._continue,
}
_BETWEEN: dict[Command, Handler] = _ANY_TIME | {
    Command.NEGOTIATE: Session._negotiate,  # again after QUIT_NC
    Command.CONNECT: Session._connect,
}

TABLE: dict[State, dict[Command, Handler]] = {
    State.NEW: {Command.NEGOTIATE: Session._negotiate, Command.QUIT: Session._quit},
    State.READY: _BETWEEN,
    State.ENVELOPE: _ANY_TIME
    | {
        Command.RCPT: Session._rcpt,
        Command.DATA: Session._continue,
        Command.HEADER: Session._fields,
        Command.EOH: Session._end_of_header,
    },
    State.HEADER: _ANY_TIME | {Command.HEADER: Session._fields, Command.EOH: Session._end_of_header},
    State.BODY: _ANY_TIME | {Command.BODY: Session._body, Command.EOM: Session._end_of_message},
    State.ASKED: dict.fromkeys(Command, _HOLD) | _ALWAYS,
    State.DONE: _BETWEEN,
    State.CLOSED: dict.fromkeys(Command, Session._ignore),
}
_ROWS: list[dict[int, Handler]] = [{int(command): handler for command, handler in TABLE[s].items()} for s in State]
