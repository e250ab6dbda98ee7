"""Mail hosts on loopback for tests, good ones and all the others."""

import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class MailHost:
    """What a host says.

    silent, closes: after how many replies it says nothing more, hangs up; inside: its answer to EHLO under TLS.
    """

    context: ssl.SSLContext | None = None
    greeting: bytes = b"220 mx.example.test ESMTP\r\n"
    keywords: tuple[bytes, ...] = (b"PIPELINING", b"STARTTLS", b"8BITMIME")
    ehlo: bytes = b""
    starttls: bytes = b"220 2.0.0 Ready to start TLS\r\n"
    mail: bytes = b"250 2.1.0 Ok\r\n"
    silent: int = 99
    closes: int = 99
    before_tls: Callable[[socket.socket], None] | None = None
    inside: bytes = b""
    commands: list[bytes] = field(default_factory=list)
    connections: int = 0

    def talk(self, connection: socket.socket) -> None:
        """Serve one connection to its end."""
        self.connections += 1
        replies = 0
        stream = connection.makefile("rb")
        under_tls = False

        def say(octets: bytes) -> None:
            nonlocal replies
            replies += 1
            if replies <= self.silent:
                connection.sendall(octets)
            if replies >= self.closes:
                connection.shutdown(socket.SHUT_RDWR)

        say(self.greeting)
        while line := stream.readline():
            command = line.rstrip(b"\r\n")
            self.commands.append(command)
            verb = command.split(b" ")[0].split(b":")[0].upper()
            if verb == b"EHLO" and under_tls and self.inside:
                say(self.inside)
            elif verb == b"EHLO":
                words = [word for word in self.keywords if not (under_tls and word == b"STARTTLS")]
                lines = [b"mx.example.test", *words]
                said = b"".join(b"250-" + word + b"\r\n" for word in lines[:-1]) + b"250 " + lines[-1] + b"\r\n"
                say(self.ehlo or said)
            elif verb == b"STARTTLS":
                say(self.starttls)
                if not self.starttls.startswith(b"220"):
                    continue
                if self.before_tls:
                    self.before_tls(connection)
                assert self.context is not None
                under = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                try:
                    under.do_handshake()
                except ssl.SSLError:
                    while socket.socket.recv(under, 4096):  # so that the alert is not lost to a reset
                        pass
                    raise
                connection = under
                stream, under_tls = connection.makefile("rb"), True
            elif verb == b"MAIL":
                say(self.mail)
            elif verb == b"QUIT":
                say(b"221 2.0.0 Bye\r\n")
                break
            else:
                say(b"502 5.5.2 Error\r\n")
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


class Listening:
    """A mail host that listens on an address; a context manager."""

    def __init__(self, host: MailHost, address: str, port: int) -> None:
        self.host = host
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        self._socket.listen()
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.host.talk(connection)


class PolicyHost:
    """An HTTPS server with one MTA-STS policy, on port 443 of a loopback address (so as root, like the tests with Postfix)."""

    def __init__(
        self, address: str, context: ssl.SSLContext, policy: bytes, status: int = 200, kind: str = "text/plain"
    ) -> None:
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.headers["Host"], self.path))
                self.send_response(status)
                if status == 301:
                    self.send_header("Location", "https://elsewhere.test/")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(policy)))
                self.end_headers()
                self.wfile.write(policy)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer((address, 443), Handler, bind_and_activate=True)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
