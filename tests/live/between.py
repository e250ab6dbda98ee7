"""A host in between: a router that takes connections out of the traffic that passes, and plays the other end to either side.

    with Between(network.router) as between:
        between.take("198.51.100.20", 25, Stripping(), of=sender_link, at=receiver_link, client="192.0.2.0/24")

Neither side can see it by addresses: the client talks with the server's, the server with the client's (as with TPROXY, but by
routing rules alone). `overheard` is all that passed by it in the clear. What it does to the dialogue is its `Deed`.
"""

import re
import select
import socket
import ssl
import threading
from contextlib import ExitStack, suppress
from typing import Self

from tests.live.hosts import Host

_TRANSPARENT = {socket.AF_INET: (socket.SOL_IP, 19), socket.AF_INET6: (socket.IPPROTO_IPV6, 75)}
_LAST = re.compile(rb"(?m)^\d{3}[ ][^\n]*\n\Z")
_ANSWER = re.compile(rb"250[ -]STARTTLS\r\n")


class Deed:
    """What is done to one connection; this one does nothing. `client`, `server`: the sockets of the two sides."""

    def from_server(self, octets: bytes) -> bytes:
        """Return what the client gets of what the server said in the clear."""
        return octets

    def from_client(self, octets: bytes) -> tuple[bytes, bytes]:
        """Return what the server gets of what the client said in the clear, and what the client gets for an answer to it."""
        return octets, b""

    def upgrade(self, client: socket.socket, server: socket.socket) -> tuple[socket.socket, socket.socket]:
        """Return both sides as they go on after the client has asked for STARTTLS and been told to begin."""
        return client, server


class Stripping(Deed):
    """STARTTLS is taken out of the answer to EHLO, or overwritten with X's."""

    def __init__(self, by: bytes = b"") -> None:
        self._by = by

    def from_server(self, octets: bytes) -> bytes:
        if self._by:
            return octets.replace(b"STARTTLS\r\n", self._by + b"\r\n")
        left = _ANSWER.sub(b"", octets)
        if left == octets or re.search(rb"(?m)^250 ", left):
            return left
        head, _, last = left.rpartition(b"250-")  # it was the last line
        return head + b"250 " + last


class Refusing(Deed):
    """STARTTLS is offered and answered by the host in between; the server never hears of it."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply

    def from_client(self, octets: bytes) -> tuple[bytes, bytes]:
        return (b"", self._reply + b"\r\n") if octets.upper() == b"STARTTLS\r\n" else (octets, b"")


class Injecting(Deed):
    """Commands behind the client's STARTTLS (CVE-2011-0411), answers behind the server's."""

    def __init__(self, commands: bytes = b"", answers: bytes = b"") -> None:
        self._commands, self._answers = commands, answers

    def from_client(self, octets: bytes) -> tuple[bytes, bytes]:
        return octets + (self._commands if octets.upper() == b"STARTTLS\r\n" else b""), b""

    def from_server(self, octets: bytes) -> bytes:
        return octets + (self._answers if octets.startswith(b"220 2.0.0 ") else b"")


class Posing(Deed):
    """An impostor: TLS with the client by a certificate of its own, and TLS of its own with the server."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def upgrade(self, client: socket.socket, server: socket.socket) -> tuple[socket.socket, socket.socket]:
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        own.check_hostname, own.verify_mode = False, ssl.CERT_NONE
        return self._context.wrap_socket(client, server_side=True), own.wrap_socket(server)


class Between:
    """The host; a context manager. overheard: what passed in the clear, both ways. sessions: how many connections it took."""

    def __init__(self, router: Host) -> None:
        self._router = router
        self._deeds: dict[tuple[str, int], Deed] = {}
        self._rules: dict[tuple[str, int], list[list[str]]] = {}
        self._listeners: dict[tuple[socket.AddressFamily, int], socket.socket] = {}
        self._open = ExitStack()
        self._overheard = bytearray()
        self.sessions = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners.values():
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._open.close()

    @property
    def overheard(self) -> bytes:
        """What passed in the clear."""
        return bytes(self._overheard)

    def take(self, address: str, port: int, deed: Deed, *, of: str, at: str, client: str) -> None:
        """Take connections to an address out of the traffic.

        of: the link from which they come. at: the link behind which the server is. client: the network of those whose
        connections these are; all others reach the server.
        """
        self._deeds[address, port] = deed
        family, version = (socket.AF_INET6, "-6") if ":" in address else (socket.AF_INET, "-4")
        # Both directions of both connections are for a socket here, whatever their addresses; iproute2 calls that `local`.
        there = ["iif", of, "from", client, "to", address, "ipproto", "tcp", "dport", str(port)]
        back = ["iif", at, "from", address, "to", client, "ipproto", "tcp", "sport", str(port)]
        self._rules[address, port] = [["ip", version, "rule", "add", *one, "lookup", "100"] for one in (there, back)]
        for rule in self._rules[address, port]:
            self._router.run(*rule)
        self._router.run("ip", version, "route", "replace", "local", "default", "dev", "lo", "table", "100")
        if (family, port) not in self._listeners:
            listener = self._router.inside(lambda: _transparent(family, ("::" if ":" in address else "0.0.0.0", port)))
            listener.listen()
            self._listeners[family, port] = listener
            threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def let_go(self, address: str, port: int) -> None:
        """Let new connections to an address pass again."""
        for rule in self._rules.pop((address, port)):
            self._router.run(*("delete" if word == "add" else word for word in rule))

    def _serve(self, listener: socket.socket) -> None:
        self._router.enter()
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._open.callback(client.close)
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        self._router.enter()
        self.sessions += 1
        where = client.getsockname()[:2]  # it is the server's address
        with suppress(OSError):
            server = _transparent(client.family, (client.getpeername()[0], 0))
            self._open.callback(server.close)
            with client, server:
                server.connect(where)
                self._talk(client, server, self._deeds[where])

    def _talk(self, client: socket.socket, server: socket.socket, deed: Deed) -> None:
        """SMTP in the clear, until STARTTLS is under way; then octets as they come."""
        asked, answered, begun = threading.Event(), threading.Event(), threading.Event()

        def replies() -> None:
            with suppress(OSError):
                while said := _reply(server):
                    self._overheard += said
                    answers = asked.is_set()  # asked before the client has it, and says more
                    starts = answers and said.startswith(b"220")
                    client.sendall(deed.from_server(said))
                    if answers:
                        if starts:
                            begun.set()
                        asked.clear()
                        answered.set()
                    if starts:
                        return
            answered.set()
            _end(client)

        thread = threading.Thread(target=replies, daemon=True)
        thread.start()
        with suppress(OSError):
            while command := client.recv(65536):
                self._overheard += command
                onward, answer = deed.from_client(command)
                self._overheard += onward[len(command) :] + answer
                if onward and command.upper() == b"STARTTLS\r\n":
                    answered.clear()
                    asked.set()
                server.sendall(onward)
                client.sendall(answer)
                if asked.is_set():
                    answered.wait()
                if begun.is_set():
                    break
        if not begun.is_set():
            _end(server)
            thread.join()
            return
        thread.join()
        client, server = deed.upgrade(client, server)
        with client, server:
            _exchange(client, server)


def _reply(server: socket.socket) -> bytes:
    """Return what a server says up to the end of a reply's last line, b"" at its end."""
    octets = b""
    while not _LAST.search(octets) and (piece := server.recv(65536)):
        octets += piece
    return octets


def _exchange(one: socket.socket, other: socket.socket) -> None:
    """Pass on what comes from either side until one has no more; in one thread, since a TLS socket is for one alone."""
    partner = {one: other, other: one}
    while True:
        waiting = [side for side in partner if isinstance(side, ssl.SSLSocket) and side.pending()]
        for side in waiting or select.select([one, other], [], [])[0]:
            side.settimeout(0)
            try:
                octets = side.recv(65536)
            except (ssl.SSLWantReadError, BlockingIOError):
                continue  # a record of TLS's own
            finally:
                side.settimeout(None)
            if not octets:
                return
            partner[side].sendall(octets)


def _end(side: socket.socket) -> None:
    with suppress(OSError):
        side.shutdown(socket.SHUT_WR)


def _transparent(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(*_TRANSPARENT[family], 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(address)
    return made
