"""What MTA and milter agree on at the start of a connection, and what follows from it for everything said later.

In:  the MTA's offer; outcomes of the mail flow. Out: `Terms`, the answer to the offer, and verdicts in the form agreed on.
Granted is what we want and the MTA offers. With Postfix 3.7 (version 6) that leaves two replies a message, at the end of the
header and at the end of the message; an MTA that offers less (version 2) gets a reply to every event.
Fails: `PacketError` for an offer that is not one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from notes2conf_milter.core.edits import ChangeHeader, Edit, InsertHeader, RemoveHeader, ReplaceBody
from notes2conf_milter.core.verdict import Outcome, Verdict
from notes2conf_milter.milter import packets
from notes2conf_milter.milter.packets import Action, Command, Negotiation, PacketError, Stage, Step

TRY_LATER = packets.reply_code("451 4.3.0 Temporary failure, please try again later")

WANTED_ACTIONS = Action.ADD_HEADERS | Action.CHANGE_BODY | Action.CHANGE_HEADERS | Action.SET_SYMBOLS
WANTED_STEPS = (
    Step.NO_HELO | Step.NO_DATA | Step.NO_UNKNOWN | Step.LEADING_BLANK
    | Step.NO_REPLY_CONNECT | Step.NO_REPLY_HELO | Step.NO_REPLY_MAIL | Step.NO_REPLY_RCPT
    | Step.NO_REPLY_DATA | Step.NO_REPLY_UNKNOWN | Step.NO_REPLY_HEADER | Step.NO_REPLY_BODY
)  # fmt: skip

_NOTHING = b"{notes2conf_none}"  # a macro that nobody sets: an empty list would mean the MTA's default list
SYMBOLS = {
    Stage.CONNECT: _NOTHING,
    Stage.HELO: _NOTHING,
    # `i` at MAIL from Sendmail, from DATA on from Postfix
    Stage.MAIL: b"i {client_addr} {auth_authen} {tls_version} {cipher} {cipher_bits} {cert_subject}",
    Stage.RCPT: _NOTHING,
    Stage.DATA: b"i",  # sent although DATA itself is negotiated away
    Stage.EOH: _NOTHING,  # Postfix repeats this list before each header field
    Stage.EOM: b"i",
}

_NO_REPLY = {
    Command.CONNECT: Step.NO_REPLY_CONNECT,
    Command.HELO: Step.NO_REPLY_HELO,
    Command.MAIL: Step.NO_REPLY_MAIL,
    Command.RCPT: Step.NO_REPLY_RCPT,
    Command.DATA: Step.NO_REPLY_DATA,
    Command.UNKNOWN: Step.NO_REPLY_UNKNOWN,
    Command.HEADER: Step.NO_REPLY_HEADER,
    Command.BODY: Step.NO_REPLY_BODY,
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What was granted.

    replies: what to say to each command that decides nothing: CONTINUE, or nothing where the MTA expects no reply.
    colon: what stands between name and value of a header field as the MTA sends them.
    """

    actions: int = 0
    steps: int = 0
    replies: Mapping[int, bytes] = field(default_factory=dict)
    colon: bytes = b": "

    @property
    def can_edit(self) -> bool:
        """True when the MTA lets us change body and header fields, and add some."""
        wanted = Action.ADD_HEADERS | Action.CHANGE_BODY | Action.CHANGE_HEADERS
        return self.actions & wanted == wanted

    def can_send(self, edit: Edit) -> bool:
        """True when the MTA lets us make this edit, and the protocol can carry it (a NUL ends a string)."""
        match edit:
            case ReplaceBody():
                return bool(self.actions & Action.CHANGE_BODY)
            case ChangeHeader(name, _, value):
                return bool(self.actions & Action.CHANGE_HEADERS) and b"\0" not in name + value
            case RemoveHeader(name):
                return bool(self.actions & Action.CHANGE_HEADERS) and b"\0" not in name
            case InsertHeader(name, value):
                return bool(self.actions & Action.ADD_HEADERS) and b"\0" not in name + value

    def verdict(self, outcome: Outcome) -> bytes:
        """Encode edits and verdict, to be sent in one write; an outcome whose edits cannot be sent becomes ACCEPT.

        ACCEPT ends the message for this milter alone, in Postfix (milter.c asks each in turn) and in Sendmail; at the end
        of a message CONTINUE would do the same.
        """
        if outcome.verdict is Verdict.DEFER:
            return TRY_LATER
        if outcome.verdict is Verdict.REFUSE:
            return packets.reply_code(outcome.reply)
        if outcome.verdict is not Verdict.REWRITE or not all(map(self.can_send, outcome.edits)):
            return packets.ACCEPT  # half the edits would be worse than none
        # The body first, in one run: Postfix refuses one that other edits interrupt (milter8.c, body_edit_lockout).
        bodies = [packets.replace_body(edit.body) for edit in outcome.edits if isinstance(edit, ReplaceBody)]
        # Then what names fields by their number, then what moves them. cleanup_milter.c counts what is still there.
        fields = [self._change_header(edit) for edit in outcome.edits if isinstance(edit, ChangeHeader)]
        removals = sorted(
            (edit for edit in outcome.edits if isinstance(edit, RemoveHeader)), key=lambda edit: -edit.index
        )
        fields += [packets.remove_header(edit.name, edit.index) for edit in removals]
        fields += [self._insert_header(edit) for edit in outcome.edits if isinstance(edit, InsertHeader)]
        return b"".join([*(piece for body in bodies[-1:] for piece in body), *fields, packets.ACCEPT])

    def _change_header(self, edit: ChangeHeader) -> bytes:
        value = self._value(edit.value)
        return packets.change_header(edit.name, edit.index, value or b" ")  # an empty value would delete the field

    def _insert_header(self, edit: InsertHeader) -> bytes:
        return packets.insert_header(edit.name, self._value(edit.value))

    def _value(self, value: bytes) -> bytes:
        value = value.replace(b"\r\n", b"\n")
        return (
            value if self.steps & Step.LEADING_BLANK else value.removeprefix(b" ")
        )  # the MTA puts one blank before it


@lru_cache(16)  # an MTA makes the same offer in each of its connections
def agree(payload: bytes, *, judges_mail: bool = False) -> tuple[Terms, bytes]:
    """Read the MTA's offer; return what is agreed and the answer to send. Raises PacketError.

    judges_mail: MAIL gets a reply, for it may be refused.
    """
    offer = packets.read_negotiation(payload)
    if offer.version < 2:
        raise PacketError("protocol version below 2")
    actions = int(WANTED_ACTIONS) & offer.actions
    symbols = bool(actions & Action.SET_SYMBOLS)
    # Without {client_addr} at MAIL the connect packet is the only one that names the client.
    wanted = WANTED_STEPS & ~Step.NO_REPLY_MAIL if judges_mail else WANTED_STEPS
    steps = int(wanted | Step.NO_CONNECT if symbols else wanted) & offer.steps
    replies: dict[int, bytes] = {
        command: b"" if steps & step else packets.CONTINUE for command, step in _NO_REPLY.items()
    }
    terms = Terms(actions, steps, replies, b":" if steps & Step.LEADING_BLANK else b": ")
    granted = Negotiation(min(offer.version, packets.MAX_VERSION), actions, steps)
    lists = SYMBOLS if granted.version >= 4 else SYMBOLS | {Stage.EOH: b"i"}  # before version 4 there is no DATA
    return terms, packets.negotiate(granted, lists if symbols else {})
