"""The milter protocol on the wire: packets from octets, and octets from what we say.

In:  octets from the MTA in any pieces. Out: packets `(command, payload)`; for our side, encoded packets.
A packet is a length (32 bits, network order), one octet that names it, and a payload. There is no state here but the octets of
an unfinished packet: when a packet may come is the business of session.py.
Sources: mfdef.h of libmilter 8.18; Postfix src/milter/milter8.c; milter-protocol.txt.
Fails: `PacketError` for a length or a payload that no MTA sends. The connection must then be closed: nothing after it can be
trusted, and Postfix takes a closed connection as milter_default_action.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from struct import Struct

MAX_VERSION = 6
MAX_CHUNK = 65_535  # MILTER_CHUNK_SIZE of mfdef.h
MAX_PACKET = (
    131_072  # twice what libmilter accepts; Postfix sends at most MAX_CHUNK + 1, and header values cut at 60,000
)

Packet = tuple[int, bytes]

_LENGTH = Struct("!I")
_NEGOTIATION = Struct("!III")
_HEAD = Struct("!Ic")
_INDEXED_HEAD = Struct("!IcI")
_MACRO, _HEADER = ord("D"), ord("L")
_NEXT_FIELD = Struct("!6sIB")  # a macro packet that says nothing, and the head of a header packet
_SILENT = b"\0\0\0\2DL"


class PacketError(ValueError):
    """Octets that are not the milter protocol. The text names the kind of error and never quotes the octets."""


class Command(IntEnum):
    """What the MTA says (SMFIC_*)."""

    ABORT = ord("A")
    BODY = ord("B")
    CONNECT = ord("C")
    MACRO = _MACRO
    EOM = ord("E")
    HELO = ord("H")
    QUIT_NC = ord("K")
    HEADER = _HEADER
    MAIL = ord("M")
    EOH = ord("N")
    NEGOTIATE = ord("O")
    QUIT = ord("Q")
    RCPT = ord("R")
    DATA = ord("T")
    UNKNOWN = ord("U")


class Action(IntFlag):
    """What a milter may do to a message (SMFIF_*); only what this one uses."""

    ADD_HEADERS = 0x01
    CHANGE_BODY = 0x02
    CHANGE_HEADERS = 0x10
    SET_SYMBOLS = 0x100


class Step(IntFlag):
    """What the MTA leaves out of the conversation (SMFIP_*); only what this milter uses."""

    NO_CONNECT = 0x1
    NO_HELO = 0x2
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    NO_REPLY_HEADER = 0x80
    NO_REPLY_CONNECT = 0x1000
    NO_REPLY_HELO = 0x2000
    NO_REPLY_MAIL = 0x4000
    NO_REPLY_RCPT = 0x8000
    NO_REPLY_DATA = 0x10000
    NO_REPLY_UNKNOWN = 0x20000
    NO_REPLY_BODY = 0x80000
    LEADING_BLANK = 0x100000


class Stage(IntEnum):
    """The places that have a list of macros (SMFIM_*)."""

    CONNECT = 0
    HELO = 1
    MAIL = 2
    RCPT = 3
    DATA = 4
    EOM = 5
    EOH = 6


class Decoder:
    """Cuts octets into packets; each octet is copied at most three times, however small the pieces are.

    A macro packet without macros says nothing and is left out: Postfix sends one before each header field. Header packets
    that come together, each behind such a silent one, are one: `(Command.HEADER, run)`. The run is the packets as they came,
    and `read_fields` cuts it. Most mail passes by a look at the run as a whole.
    """

    def __init__(self, max_packet: int = MAX_PACKET) -> None:
        """max_packet: the longest packet accepted, in octets without its length."""
        self._max = max_packet
        self._pieces: list[bytes] = []
        self._have = 0
        self._need = _LENGTH.size  # octets needed before anything can be said

    def feed(self, data: bytes) -> list[Packet]:
        """Return the packets that `data` completes, in order; raises PacketError for an impossible length."""
        if self._pieces:
            self._pieces.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._pieces)
            self._pieces.clear()
        return self._cut(data)

    def _cut(self, data: bytes) -> list[Packet]:
        packets: list[Packet] = []
        start, end, self._need = 0, len(data), _LENGTH.size
        while start + 4 <= end:
            (length,) = _LENGTH.unpack_from(data, start)
            if not 1 <= length <= self._max:
                raise PacketError("packet length out of bounds")
            stop = start + 4 + length
            if stop > end:
                self._need = 4 + length
                break
            name = data[start + 4]
            if name == _HEADER:
                stop = self._end_of_run(data, stop)
                packets.append((name, data[start:stop]))
            elif name != _MACRO or length != 2:
                packets.append((name, data[start + 5 : stop]))
            start = stop
        if start < end:
            self._pieces.append(data[start:])
            self._have = end - start
        return packets

    def _end_of_run(self, data: bytes, at: int) -> int:
        """Return where header packets, each behind a silent one, end. This loop runs 20 times a message: it is kept short."""
        next_field, silence, name, longest, end = _NEXT_FIELD.unpack_from, _SILENT, _HEADER, self._max, len(data)
        last = end - _NEXT_FIELD.size
        while at <= last:
            silent, length, command = next_field(data, at)
            after = at + 10 + length
            if command != name or silent != silence or not 1 <= length <= longest or after > end:
                break
            at = after
        return at


def read_fields(run: bytes) -> list[bytes]:
    """Cut what Decoder gives as one into the payloads of its header packets: name, NUL, value, NUL."""
    fields, start = [], 0
    while start < len(run):
        (length,) = _LENGTH.unpack_from(run, start)
        stop = start + 4 + length
        fields.append(run[start + 5 : stop])
        start = stop + len(_SILENT)
    return fields


@dataclass(frozen=True, slots=True)
class Negotiation:
    """Version, actions and steps that the MTA offers."""

    version: int
    actions: int
    steps: int


def read_negotiation(payload: bytes) -> Negotiation:
    """Read the MTA's offer; raises PacketError when it is too short."""
    if len(payload) < _NEGOTIATION.size:
        raise PacketError("negotiation too short")
    return Negotiation(*_NEGOTIATION.unpack_from(payload))


def read_macros(payload: bytes) -> tuple[int, dict[bytes, bytes]]:
    """Read a macro packet: the command it goes with, and names (as sent: `i`, `{client_addr}`) with values.

    Raises PacketError when it is empty or a name has no value.
    """
    if not payload:
        raise PacketError("macro packet without a command")
    words = payload[1:].split(b"\0")
    if words.pop() or len(words) % 2:
        raise PacketError("macro without a value")
    return payload[0], dict(zip(words[::2], words[1::2], strict=True))


def read_connect(payload: bytes) -> bytes:
    """Read the client's address from a connect packet; b"" where the family has none (unix, unknown)."""
    _, _, rest = payload.partition(b"\0")
    return rest[3:].removesuffix(b"\0") if rest[:1] in (b"4", b"6") else b""  # family, port (16 bits), address


def read_path(payload: bytes) -> bytes:
    """Read the address of a MAIL or RCPT packet, without angle brackets and ESMTP parameters (RFC 5321 §4.1.2)."""
    return payload.partition(b"\0")[0].removeprefix(b"<").removesuffix(b">")


def packet(name: bytes, payload: bytes = b"") -> bytes:
    """Encode one packet; name: its one-octet name."""
    return _HEAD.pack(1 + len(payload), name) + payload


CONTINUE = packet(b"c")
ACCEPT = packet(b"a")
TEMPFAIL = packet(b"t")
PROGRESS = packet(b"p")


def negotiate(offer: Negotiation, symbols: Mapping[Stage, bytes]) -> bytes:
    """Encode our answer to the negotiation; symbols: the macros wanted at each stage, separated by blanks."""
    lists = b"".join(_LENGTH.pack(stage) + names + b"\0" for stage, names in symbols.items())
    return packet(b"O", _NEGOTIATION.pack(offer.version, offer.actions, offer.steps) + lists)


def reply_code(text: str) -> bytes:
    """Encode an SMTP reply such as `451 4.3.0 Try again later` (ASCII); it is a format string for the MTA, so % is doubled."""
    return packet(b"y", text.encode("ascii").replace(b"%", b"%%") + b"\0")


def change_header(name: bytes, index: int, value: bytes) -> bytes:
    """Encode the replacement of the index-th (1-based) field of that name; value has LF line ends, and no NUL."""
    length = 1 + 4 + len(name) + 1 + len(value) + 1
    return b"".join((_INDEXED_HEAD.pack(length, b"m", index), name, b"\0", value, b"\0"))


def remove_header(name: bytes, index: int) -> bytes:
    """Encode the removal of the index-th (1-based) field of that name: a change to nothing."""
    return change_header(name, index, b"")


def insert_header(name: bytes, value: bytes) -> bytes:
    """Encode a new field above all that the MTA has shown; value has LF line ends, and no NUL."""
    length = 1 + 4 + len(name) + 1 + len(value) + 1
    return b"".join((_INDEXED_HEAD.pack(length, b"i", 0), name, b"\0", value, b"\0"))


def replace_body(body: bytes) -> list[bytes | memoryview]:
    """Encode the replacement of the body (CRLF line ends) as one run of chunks; an empty body is one empty chunk.

    Returns heads and chunks, to be joined: the body is not copied here.
    """
    view = memoryview(body)
    chunks = [view[at : at + MAX_CHUNK] for at in range(0, len(body) or 1, MAX_CHUNK)]
    return [piece for chunk in chunks for piece in (_HEAD.pack(1 + len(chunk), b"b"), chunk)]
