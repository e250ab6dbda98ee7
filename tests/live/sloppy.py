"""A next hop of old manners, the worst that can stand behind us: whatever looks like the end of a message ends it.

    with Sloppy() as hop:
        ... mail to hop.address ...
        hop.messages

A CR, an LF or both is a line end to it, in commands and messages, and a dot between two of them is the end: what a message
smuggles behind such an end is taken for commands. `Sink` and this have one face.
Who says LHLO gets an answer for each recipient (RFC 2033 §4.2).
"""

import re
import threading
import time
from contextlib import suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer

from tests.live.sink import Delivery

_END = re.compile(rb"(?:\r\n|\r|\n)\.(?:\r\n|\n|\r)")
_PATH = re.compile(rb"<(.*)>")
_KEYWORDS = (
    b"sloppy.example",
    b"PIPELINING",
    b"SIZE 50000000",
    b"8BITMIME",
    b"SMTPUTF8",
    b"DSN",
    b"ENHANCEDSTATUSCODES",
)
_POLL = 0.02


class Sloppy:
    """The server; a context manager."""

    def __init__(self) -> None:
        self.messages: list[Delivery] = []

    def __enter__(self) -> "Sloppy":
        self._server = _Server(("127.0.0.1", 0), _Session)
        self._server.hop = self
        self.port = self._server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(
            target=self._server.serve_forever, name="sloppy", kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def clear(self) -> None:
        """Forget what was accepted so far."""
        self.messages = []

    def wait_for(self, count: int, timeout: float = 30.0) -> list[Delivery]:
        """Return the messages once there are at least `count` of them."""
        deadline = time.monotonic() + timeout
        while len(self.messages) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"there are {len(self.messages)} of {count} messages after {timeout:g} s")
            time.sleep(_POLL)
        return self.messages


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    hop: Sloppy


class _Session(StreamRequestHandler):
    server: _Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self._buffer = b""
        with suppress(ConnectionError):
            self._say(b"220 sloppy.example ESMTP")
            self._serve()

    def _serve(self) -> None:
        sender, recipients, lmtp = b"", [], False
        while line := self._line():
            match line[:4].upper():
                case b"EHLO" | b"LHLO":
                    lmtp = line[:4].upper() == b"LHLO"
                    self._say(*[b"250-" + one for one in _KEYWORDS[:-1]], b"250 " + _KEYWORDS[-1])
                case b"MAIL":
                    sender, recipients = _path(line), []
                    self._say(b"250 2.1.0 Ok")
                case b"RCPT":
                    recipients.append(_path(line))
                    self._say(b"250 2.1.5 Ok")
                case b"DATA":
                    self._say(b"354 Go on")
                    octets = re.sub(rb"(?m)^\.", b"", self._data())
                    self.server.hop.messages.append(Delivery(sender, tuple(recipients), octets))
                    self._say(*[b"250 2.0.0 Ok"] * (len(recipients) if lmtp else 1))
                case b"QUIT":
                    self._say(b"221 2.0.0 Bye")
                    return
                case b"RSET" | b"NOOP" | b"HELO":
                    self._say(b"250 2.0.0 Ok")
                case _:
                    self._say(b"502 5.5.2 What?")

    def _line(self) -> bytes:
        while (end := re.search(rb"\r\n|\n|\r(?!\Z)", self._buffer)) is None:
            if not self._more():
                return b""
        line, self._buffer = self._buffer[: end.start()], self._buffer[end.end() :]
        return line or b" "

    def _data(self) -> bytes:
        self._buffer = b"\r\n" + self._buffer
        while (end := _END.search(self._buffer)) is None or self._buffer[end.start() :] in (
            b"\r\n.\r",
            b"\n.\r",
            b"\r.\r",
        ):
            if not self._more():
                raise ConnectionError
        octets, self._buffer = self._buffer[2 : end.start() + 2], self._buffer[end.end() :]
        return octets

    def _more(self) -> bool:
        octets = self.connection.recv(65536)
        self._buffer += octets
        return bool(octets)

    def _say(self, *lines: bytes) -> None:
        self.wfile.write(b"\r\n".join(lines) + b"\r\n")


def _path(line: bytes) -> bytes:
    found = _PATH.search(line)
    return b"" if found is None else found[1]
