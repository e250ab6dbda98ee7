"""The server's half of SMTP: what a client sends us, read without changing an octet but stray CR and LF, by setting.

In:  the argument of MAIL and RCPT; the stream of a client that has been told 354.
Out: address and parameters, with the case and octets the client gave them; the message's octets, piece by piece.
Fails: ValueError for an argument that is no path and parameters; asyncio.IncompleteReadError when the client goes away
before its final dot, so that a message without an end never looks like one that has ended.
"""

import asyncio
import re
from dataclasses import dataclass
from enum import Enum

from notes2conf_milter.smtp.client import CRLF, Dots, LineEnds, check_address, check_parameters

_END = b"\r\n.\r\n"  # RFC 5321 §4.1.1.4, and nothing like it: "\n.\n" is text
_PATH = re.compile(
    rb'<((?:[^<>"]|"(?:[^"\\]|\\.)*")*)>|([^<>" ]+)', re.DOTALL
)  # brackets, or an old client without them


@dataclass(frozen=True, slots=True)
class Path:
    """The argument of MAIL or RCPT: the address without angle brackets, and the ESMTP parameters as they came."""

    address: bytes
    parameters: tuple[bytes, ...] = ()


def read_path(keyword: bytes, argument: bytes) -> Path:
    """Read `FROM:<address> PARAMETER...` (RFC 5321 §4.1.1.2, §4.1.1.3); keyword is `FROM:` or `TO:`.

    A blank after the colon and an address without brackets are taken too, as Postfix does.
    Raises ValueError when it is something else, or could not be written again on one command line.
    """
    if argument[: len(keyword)].upper() != keyword:
        raise ValueError("the argument lacks its keyword")
    rest = argument[len(keyword) :].lstrip(b" ")
    match = _PATH.match(rest)
    if match is None or rest[match.end() : match.end() + 1] not in (b"", b" "):
        raise ValueError("the argument is no path")
    address = match[1] if match[1] is not None else match[2]
    parameters = tuple(rest[match.end() :].split())
    check_address(address)
    check_parameters(parameters)
    return Path(address, parameters)


class Strays(Enum):
    """What becomes of CR and LF that are no line end."""

    KEEP = "keep"
    NORMALIZE = "normalize"
    REFUSE = "refuse"


class StrayLineEnd(Exception):
    """A message has a CR or LF that is no line end."""


class IncomingMessage:
    """The message that a client sends after 354; what it sends after the final dot stays in the reader.

    strays: what becomes of CR and LF that are no line end.
    """

    __slots__ = ("_dots", "_ends", "_reader", "_started", "_strays", "ended")

    def __init__(self, reader: asyncio.StreamReader, strays: Strays = Strays.KEEP) -> None:
        self._reader = reader
        self._strays, self._ends = strays, LineEnds()
        self._dots = Dots()
        self._started = False
        self.ended = False  # the final dot has been read

    async def read(self) -> bytes | None:
        """Return the next octets of the message, perhaps none; None after the final dot.

        Raises asyncio.IncompleteReadError when the client goes away before the final dot; StrayLineEnd, once, where strays are
        refused.
        """
        if self.ended:
            return None
        octets = await (self._read_on() if self._started else self._read_start())
        self._started = True
        octets = self._dots.remove(octets)
        if self._strays is Strays.KEEP:
            return octets
        known = self._ends.found
        octets = self._ends.mend(octets)
        if self._strays is Strays.REFUSE and self._ends.found and not known:
            raise StrayLineEnd
        return octets

    async def _read_start(self) -> bytes:
        # The CRLF of the DATA line counts as the one before a final dot. So read as many octets as an end still lacks, until
        # the next ones cannot be the rest of an end that began before them; that is at once, unless lines are short.
        start = bytearray(CRLF)
        while 0 < (begun := _end_begun(start)) < len(_END):
            start += await self._reader.readexactly(len(_END) - begun)
            if len(start) % 4096 < len(_END):
                await asyncio.sleep(0)  # a megabyte of empty lines is no reason to keep everybody waiting
        self.ended = begun == len(_END)
        return bytes(start[2:-3] if self.ended else start[2:])

    async def _read_on(self) -> bytes:
        try:
            octets = await self._reader.readuntil(_END)
        except asyncio.LimitOverrunError as overrun:
            return await self._reader.readexactly(overrun.consumed)  # never cuts an end in two
        self.ended = True
        return octets[:-3]


def _end_begun(octets: bytearray) -> int:
    """Return how much of an end the last octets are: 0, or up to the whole length."""
    return next(length for length in range(len(_END), -1, -1) if octets.endswith(_END[:length]))
