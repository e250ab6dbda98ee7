"""A BigBlueButton server, as far as meetings, checksums and roles go.

In:  API calls by HTTP. Out: XML; for `join` with a right checksum the way to a page that says who is in, and as what.
Fails: never; a refusal is XML with returncode FAILED and the messageKey of the documentation, "API".
"""

import contextlib
import hashlib
import hmac
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

SECRET = "639259d4-9dd8-4b25-bf01-95f9567eaf4b"  # the documentation's
SUCCESS = b"<response><returncode>SUCCESS</returncode>%s</response>"
_ALGORITHMS = {40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}  # by the length of a checksum


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody who came in."""

    meeting: str
    role: str
    name: str


@dataclass
class BigBlueButtonServer:
    """A server with meetings.

    meetings: how many are in each; callbacks: what is to be called when each has ended. calls: those with a right checksum;
    asked: every path. answer: sent instead of its own; headers: with it; pause: seconds before it. visits: the headers of each
    request that a browser was led to.
    """

    secret: str = SECRET
    meetings: dict[str, int] = field(default_factory=dict)
    callbacks: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    visits: list[dict[str, str]] = field(default_factory=list)
    answer: tuple[int, bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0
    url: str = ""

    def respond(self, path: str) -> tuple[int, bytes]:
        """Return status and body; a redirect's body is where it leads."""
        parts = urlsplit(path)
        if parts.path == "/html5client/":
            return self._client(parts.query)
        call = parts.path.removeprefix("/bigbluebutton/api/")
        query, _, mark = parts.query.rpartition("&checksum=")
        if not self._is_signed(call, query, mark):
            return 200, _failed("checksumError")
        given = dict(parse_qsl(query, strict_parsing=True))
        self.calls.append((call, given))
        if self.answer is not None:
            return self.answer
        meeting = given["meetingID"]
        match call:
            case "create":
                self.meetings.setdefault(meeting, 0)
                self.callbacks[meeting] = given.get("meta_endCallbackUrl", "")
                return 200, SUCCESS % b"<meetingID>x</meetingID>"
            case "join":
                return self._join(meeting, given)
            case "isMeetingRunning":
                return 200, SUCCESS % (b"<running>%s</running>" % (b"true" if self.meetings.get(meeting) else b"false"))
            case "getMeetingInfo":
                if meeting not in self.meetings:
                    return 200, _failed("notFound")
                return 200, SUCCESS % b"<endTime>0</endTime><hasBeenForciblyEnded>false</hasBeenForciblyEnded>"
            case "end":
                if self.meetings.pop(meeting, None) is None:
                    return 200, _failed("notFound")
                return 200, SUCCESS % b""
        return 404, b""

    def _is_signed(self, call: str, query: str, mark: str) -> bool:
        """The hash of the call's name, its query and the secret, by any algorithm that the server knows."""
        algorithm = _ALGORITHMS.get(len(mark))
        if algorithm is None:
            return False
        right = hashlib.new(algorithm, f"{call}{query}{self.secret}".encode()).hexdigest()
        return hmac.compare_digest(right.encode(), mark.encode())

    def _join(self, meeting: str, given: dict[str, str]) -> tuple[int, bytes]:
        if meeting not in self.meetings:
            return 200, _failed("notFound")
        if given.get("role") not in ("MODERATOR", "VIEWER") or not given.get("fullName"):
            return 200, b"<response><returncode>FAILED</returncode></response>"
        self.meetings[meeting] += 1
        self.entries.append(Entry(meeting, given["role"], given["fullName"]))
        return 302, f"/html5client/?sessionToken={len(self.entries)}".encode()

    def _client(self, query: str) -> tuple[int, bytes]:
        number = int(dict(parse_qsl(query))["sessionToken"])
        one = self.entries[number - 1]
        text = f"You are in the conference as {one.role.lower()}, named {escape(one.name)}"
        return 200, f"<!doctype html><html lang=en><title>BBB</title><link rel=icon href=data:,><p>{text}".encode()

    @contextmanager
    def serving(self) -> Iterator["BigBlueButtonServer"]:
        """Listen on loopback."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{server.server_address[1]}/bigbluebutton"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                time.sleep(outer.pause)
                outer.asked.append(self.path)
                if "text/html" in self.headers.get("Accept", ""):
                    outer.visits.append({name.lower(): value for name, value in self.headers.items()})
                status, body = outer.respond(self.path)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", body.decode() or "/elsewhere")
                html = self.path.startswith("/html5client/")
                self.send_header("Content-Type", "text/html; charset=utf-8" if html else "text/xml; charset=utf-8")
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # the service has given up
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def _failed(key: str) -> bytes:
    return f"<response><returncode>FAILED</returncode><messageKey>{key}</messageKey></response>".encode()
