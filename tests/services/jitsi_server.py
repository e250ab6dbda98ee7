"""A Jitsi server with token authentication, as far as tokens and moderators go: it lets in, or it does not.

In:  GET /ROOM?jwt=TOKEN or /TENANT/ROOM?jwt=TOKEN, over HTTP, or HTTPS with a certificate. Out: a page that says whether the
     visitor is in, and as what.
Fails: never; whoever is refused reads why. Like the real one it serves its page to everybody: whether the visitor gets into
the room is what prosody says then.

The checks and their order are those of jitsi-meet's prosody plugins: luajwtjitsi (the token), token/util (what a session may,
the room), mod_token_affiliation and nvonahsen's mod_token_moderation (who moderates). It is set up as strictly as it can
be: the audience is checked, and the domain. No JWT library: ours has made the token.
"""

import base64
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = "<!doctype html><html lang=en><title>Jitsi</title><link rel=icon href=data:,><p>{}"


class Refused(Exception):
    """Nobody gets in so; the text is prosody's own."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody who came in. affiliation, moderator: what the one and the other module makes of the token."""

    room: str
    affiliation: str
    moderator: bool
    name: str


@dataclass
class JitsiServer:
    """app, secret: prosody's app_id and app_secret, "" for a server without tokens. domain: its XMPP domain."""

    clock: Callable[[], int]
    app: str = ""
    secret: str = ""
    domain: str = "127.0.0.1"
    url: str = ""
    entries: list[Entry] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def enter(self, path: str) -> Entry:
        """Let somebody in, by a page's path with its query; raises Refused."""
        parts = urlsplit(path)
        *tenant, room = parts.path.strip("/").lower().split("/")  # the client asks for rooms in lower case
        claims = self._session(parse_qs(parts.query).get("jwt"))
        if claims is not None:
            self._verify_room(claims, tenant[-1] if tenant else "", room)
        user = (claims or {}).get("context", {}).get("user", {})
        entry = Entry(room, _affiliation(user), (claims or {}).get("moderator") is True, user.get("name", ""))
        self.entries.append(entry)
        return entry

    def _session(self, tokens: list[str] | None) -> dict[str, Any] | None:
        """process_and_verify_token: return the claims, None on a server that asks for none."""
        if not self.app:
            return None
        if tokens is None:
            raise Refused("token required")
        claims = verified(tokens[0], self.secret, self.clock(), issuer=self.app, audience=self.app)
        if "room" not in claims:
            raise Refused("'room' claim is missing")
        return claims

    def _verify_room(self, claims: dict[str, Any], tenant: str, room: str) -> None:
        """verify_room, with enable_domain_verification: the address that the token opens is the one that is asked for."""
        subject = str(claims.get("sub", "")).lower()
        if tenant:
            given, asked = f"[{subject}]{claims['room']}@conference.{self.domain}", f"[{tenant}]{room}"
        else:
            given, asked = f"{claims['room']}@conference.{subject}", room
        if given.lower() != f"{asked}@conference.{self.domain}":
            raise Refused("Room and token mismatched")

    def answer(self, path: str) -> str:
        """Return what the page says."""
        try:
            entry = self.enter(path)
        except Refused as error:
            self.refused.append(str(error))
            return f"You are not allowed to join this call: {error}"
        return f"You are in the conference as {'moderator' if entry.affiliation == 'owner' else 'participant'}"

    @contextmanager
    def serving(self, certificate: tuple[Path, Path] | None = None) -> Iterator["JitsiServer"]:
        """Listen on loopback; by HTTPS with a certificate and its key."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
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
                outer.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                body = PAGE.format(outer.answer(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def verified(token: str, secret: str, now: int, issuer: str, audience: str) -> dict[str, Any]:
    """luajwtjitsi's verify, for HS256: return the claims; raises Refused."""
    segments = token.split(".")
    try:
        header, claims = (json.loads(_octets(segment)) for segment in segments[:2])
        signature = _octets(segments[2])
    except (ValueError, IndexError):
        raise Refused("Invalid token") from None
    if len(segments) != 3 or not isinstance(header, dict) or not isinstance(claims, dict):
        raise Refused("Invalid token")
    if header.get("typ") != "JWT":
        raise Refused("Invalid typ")
    if header.get("alg") != "HS256":
        raise Refused("Invalid or incorrect alg")
    signed = f"{segments[0]}.{segments[1]}".encode()
    if not hmac.compare_digest(signature, hmac.new(secret.encode(), signed, hashlib.sha256).digest()):
        raise Refused("Invalid signature")
    for name in ("exp", "nbf"):
        if name in claims and type(claims[name]) not in (int, float):
            raise Refused(f"{name} must be number")
    if now >= claims.get("exp", now + 1):
        raise Refused("Not acceptable by exp")
    if now < claims.get("nbf", now):
        raise Refused("Not acceptable by nbf")
    for name, accepted in (("iss", issuer), ("aud", audience)):
        if name not in claims:
            raise Refused(f"'{name}' claim is missing")
        if claims[name] != accepted:
            raise Refused(f"invalid '{name}' claim")
    return claims


def _affiliation(user: dict[str, Any]) -> str:
    """mod_token_affiliation: what the token makes of its bearer."""
    if user.get("affiliation") in ("owner", "moderator", "teacher") or user.get("moderator") in ("true", True):
        return "owner"
    return "member"


def _octets(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
