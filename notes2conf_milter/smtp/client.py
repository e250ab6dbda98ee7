"""The client's half of SMTP, without I/O: commands, replies, and the dots of a message.

In:  addresses, ESMTP parameters, message octets; the octets that a server sends.
Out: command lines and message octets for the wire; `Reply` values.
Message octets go out as they are given: 8-bit, NUL and lines of any length. Only the dots of RFC 5321 §4.5.2 and, where it is
missing, the final CRLF are added. `LineEnds` makes stray CR and LF harmless, at the other end of the door (incoming.py).
Fails: ValueError for an address or a parameter that would break out of its command line, before anything is sent;
`NextHopGone` when what the server sends is no SMTP.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CRLF = b"\r\n"
LINE_LIMIT = 4096  # octets in a reply line; RFC 5321 §4.5.3.1.5 says 512
LINES_LIMIT = 128  # lines in one reply
PENDING_LIMIT = 65536  # octets that are not yet a whole reply

_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([^\r\n\0]*))?")
_PARAMETER = re.compile(
    rb"[A-Za-z0-9][A-Za-z0-9-]*(=[^\x00-\x20\x7f]*)?"
)  # RFC 5321 §4.1.2; "=" in a value is let through
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)

# The parameters that we may leave out, and the EHLO keyword under which the next hop must have offered each. Any other
# parameter goes on as it is: the next hop answers 555 if it does not know it (RFC 5321 §4.1.1.11).
_OFFERED_BY = {
    b"SIZE": b"SIZE",  # RFC 1870
    b"BODY": b"8BITMIME",  # RFC 6152
    b"SMTPUTF8": b"SMTPUTF8",  # RFC 6531
    b"AUTH": b"AUTH",  # RFC 4954 §5
    b"RET": b"DSN",  # RFC 3461 §4
    b"ENVID": b"DSN",
    b"NOTIFY": b"DSN",
    b"ORCPT": b"DSN",
}


class NextHopGone(Exception):
    """The next hop cannot be reached, went away, took too long or does not speak SMTP. Its text holds no personal data."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer (RFC 5321 §4.2): the code, and the text of each line without code, separator and line end."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def positive(self) -> bool:
        """The command was done (2yz)."""
        return self.code // 100 == 2

    @property
    def octets(self) -> bytes:
        """The reply as it goes over the wire, without the last CRLF (RFC 5321 §4.2.1)."""
        code = b"%d" % self.code
        return CRLF.join([code + b"-" + line for line in self.lines[:-1]] + [code + b" " + self.lines[-1]])


class ReplyParser:
    """Cuts what a server sends into replies; feed it octets in pieces of any size."""

    __slots__ = ("_code", "_lines", "_pending")

    def __init__(self) -> None:
        self._pending = bytearray()
        self._code = 0
        self._lines: list[bytes] = []

    @property
    def empty(self) -> bool:
        """Nothing is left over: every octet belonged to a reply that was taken."""
        return not self._pending and not self._lines

    def feed(self, octets: bytes) -> None:
        """Take what the server sent; raises NextHopGone when that is more than any reply needs."""
        self._pending += octets
        if len(self._pending) > PENDING_LIMIT:
            raise NextHopGone("a reply is too long")

    def take(self) -> Reply | None:
        """Return the next whole reply, None when more octets are needed; raises NextHopGone when it is no reply."""
        while (end := self._pending.find(b"\n", 0, LINE_LIMIT)) >= 0:
            line = bytes(self._pending[:end]).removesuffix(b"\r")
            del self._pending[: end + 1]
            if self._last(line):
                reply = Reply(self._code, tuple(self._lines))
                self._code, self._lines = 0, []
                return reply
        if len(self._pending) >= LINE_LIMIT:
            raise NextHopGone("a reply line is too long")
        return None

    def _last(self, line: bytes) -> bool:
        match = _REPLY_LINE.fullmatch(line)
        if match is None:
            raise NextHopGone("what came is no SMTP reply")
        code = int(match[1])
        if self._lines and code != self._code:  # RFC 5321 §4.2.1: every line has the same code
            raise NextHopGone("the lines of a reply have different codes")
        if len(self._lines) >= LINES_LIMIT:
            raise NextHopGone("a reply has too many lines")
        self._code = code
        self._lines.append(match[3] or b"")
        return match[2] != b"-"


def offers(reply: Reply) -> dict[bytes, bytes]:
    """Read the answer to EHLO: each keyword in capitals, and its parameters (RFC 5321 §4.1.1.1)."""
    words = (line.partition(b" ") for line in reply.lines[1:])
    return {keyword.upper(): parameters.strip() for keyword, _, parameters in words}


def check_address(address: bytes) -> None:
    """Raise ValueError unless `<address>` is one word of a command line, whatever the address says.

    That is: no CR, LF or NUL, and no angle bracket or double quote outside of a quoted string (RFC 5321 §4.1.2).
    """
    if re.search(rb"[\r\n\0]", address):
        raise ValueError("an address holds CR, LF or NUL")
    if re.search(rb'[<>"]', _QUOTED.sub(b"", address)):
        raise ValueError("an address holds an angle bracket or half a quoted string")


def check_parameters(parameters: Iterable[bytes]) -> None:
    """Raise ValueError unless each is a `keyword` or `keyword=value` (RFC 5321 §4.1.2)."""
    if not all(_PARAMETER.fullmatch(parameter) for parameter in parameters):
        raise ValueError("not an ESMTP parameter")


def mail_command(sender: bytes, parameters: Iterable[bytes], offered: Mapping[bytes, bytes]) -> bytes:
    """Return the MAIL line (RFC 5321 §4.1.1.2) with the parameters that the next hop offers; raises ValueError."""
    return _command(b"MAIL FROM:", sender, parameters, offered)


def rcpt_command(recipient: bytes, parameters: Iterable[bytes], offered: Mapping[bytes, bytes]) -> bytes:
    """Return the RCPT line (RFC 5321 §4.1.1.3) with the parameters that the next hop offers; raises ValueError."""
    return _command(b"RCPT TO:", recipient, parameters, offered)


def _command(verb: bytes, address: bytes, parameters: Iterable[bytes], offered: Mapping[bytes, bytes]) -> bytes:
    parameters = tuple(parameters)
    check_address(address)
    check_parameters(parameters)
    kept = [parameter for parameter in parameters if _goes_on(parameter, offered)]
    return b" ".join([verb + b"<" + address + b">", *kept]) + CRLF


def _goes_on(parameter: bytes, offered: Mapping[bytes, bytes]) -> bool:
    needed = _OFFERED_BY.get(parameter.partition(b"=")[0].upper())
    return needed is None or needed in offered


class Dots:
    """A dot before each line that begins with one, and back again (RFC 5321 §4.5.2); a line begins after CRLF alone.

    One value serves one message in one direction; pieces may be cut anywhere.
    """

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before = CRLF  # the last two octets: a message begins at the beginning of a line

    def add(self, octets: bytes) -> bytes:
        """Return message octets as they go over the wire."""
        return self._replace(octets, b"\r\n..")

    def remove(self, octets: bytes) -> bytes:
        """Return octets from the wire, without the final dot, as message octets."""
        return self._replace(octets, CRLF)

    @property
    def end(self) -> bytes:
        """What ends the message on the wire; a message without a last CRLF gets it here (RFC 5321 §4.1.1.4)."""
        return b".\r\n" if self._before == CRLF else b"\r\n.\r\n"

    def _replace(self, octets: bytes, by: bytes) -> bytes:
        joined = self._before + octets
        replaced = joined.replace(b"\r\n.", by)[len(self._before) :]
        self._before = joined[-2:]
        return replaced


class LineEnds:
    """Stray CR and LF made harmless (RFC 5321 §2.3.8 knows no others than CRLF); pieces may be cut anywhere.

    A bare LF becomes CRLF, a bare CR a blank, as in Postfix since 3.9 (smtpd_forbid_bare_newline, cleanup_replace_stray_cr_lf).
    A server behind us that took LF . LF for the end of a message would else read what follows as commands of ours: smuggling.
    found: there was one.
    """

    __slots__ = ("_held", "found")

    def __init__(self) -> None:
        self.found = False
        self._held = b""  # a CR of which the next octet is not known yet

    def mend(self, octets: bytes) -> bytes:
        """Return octets of a message with CRLF alone; a last CR comes with the next ones."""
        joined = self._held + octets
        self._held = b"\r" if joined.endswith(b"\r") else b""
        if self._held:
            joined = joined[:-1]
        ends = joined.count(CRLF)
        if joined.count(b"\n") == ends == joined.count(b"\r"):
            return joined
        self.found = True
        return _BARE_LF.sub(CRLF, _BARE_CR.sub(b" ", joined))


_BARE_CR, _BARE_LF = re.compile(rb"\r(?!\n)"), re.compile(rb"(?<!\r)\n")
