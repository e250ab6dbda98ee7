"""Jitsi Meet: any server, a room of its own for each conference; with a secret, tokens that say who moderates.

In:  the server's base URL, with it an application's id and secret (settings), a random room name. Out: the room's URL. No
     login, nothing is asked over the network: a Jitsi room comes to be when the first one enters.
Fails: ValueError with a sentence that says what is allowed.

The name is all that keeps strangers out where there is no secret, so it must be random; and the URL carries nothing else: no
subject, no names. A token (RFC 7519, claims as prosody's mod_auth_token reads them) lets its bearer into this one room: the
organizer as a moderator, guests as members. It is made anew for each visitor and lives for some hours. prosody itself knows
no moderators by tokens; the modules that do read different claims, and the token has them all.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import jwt

from notes2conf_milter.services.service import Conference, Visitor

NAME = "jitsi"
TOKEN_SECONDS = 6 * 3600  # a client that lost its connection shows the token again
_SKEW = 120  # seconds by which clocks may differ
_ROOM = re.compile(r"[a-z2-7]{26,64}")  # base32, at least 130 bits; lower case, because Jitsi does not tell cases apart
_SERVER = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?(/[A-Za-z0-9._~-]+)*/?"
)


@dataclass(frozen=True, slots=True)
class Jitsi:
    """A Jitsi server. server: https://HOST[:PORT][/PATH]; http only for this machine itself (tests, a demonstration).

    app, secret: of the server's token authentication, "" for none.
    """

    server: str
    app: str = ""
    secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        _check_server(self.server)

    @property
    def name(self) -> str:
        """The word that a Room carries in `service`."""
        return NAME

    @property
    def asks_link(self) -> bool:
        """The organizer pastes no link."""
        return False

    def title(self, language: str) -> str:
        """Return what stands beside the choice."""
        return "Jitsi Meet"

    def offered_to(self, organizer: str) -> bool:
        """Everybody can choose it."""
        return True

    async def open(self, room: str, organizer: str, link: str, language: str, ended_url: str = "") -> Conference:
        """Return the conference; nothing is asked."""
        return Conference(NAME, room, self.room_url(room))

    def way_in(self, conference: Conference, visitor: Visitor, now: int) -> str:
        """Return the room's URL, with a token where the server asks for one."""
        if not self.secret:
            return conference.url
        token = jwt.encode(self._claims(conference, visitor, now), self.secret, algorithm="HS256")
        return f"{conference.url}?jwt={token}"

    def _claims(self, conference: Conference, visitor: Visitor, now: int) -> dict[str, Any]:
        # mod_token_affiliation; mod_presence_identity takes nothing but strings, numbers and true or false here
        user: dict[str, Any] = {"moderator": visitor.host, "affiliation": "owner" if visitor.host else "member"}
        if visitor.name:
            user["name"] = visitor.name
        return {
            "aud": self.app,
            "iss": self.app,
            "sub": self._subject(),
            "room": conference.room,
            "moderator": visitor.host,  # mod_token_moderation
            "nbf": now - _SKEW,
            "exp": now + TOKEN_SECONDS,
            "context": {"user": user},
        }

    def _subject(self) -> str:
        """Return what a server that verifies domains expects: the tenant of https://HOST/TENANT, else the host."""
        parts = urlsplit(self.server)
        tenant = parts.path.strip("/")
        return (tenant if tenant and "/" not in tenant else parts.hostname or "").lower()

    async def over(self, conference: Conference) -> bool | None:
        """Nobody knows."""
        return None

    async def end(self, conference: Conference) -> None:
        """Nothing is asked."""

    def room_url(self, room: str) -> str:
        """Return the URL of a room; raises ValueError for a name that could be guessed or needs escaping."""
        return room_url(self.server, room)


def room_url(server: str, room: str) -> str:
    """Return the URL of `room` on `server`; raises ValueError when either is not what it must be."""
    _check_server(server)
    if _ROOM.fullmatch(room) is None:
        raise ValueError("a room name is 26 to 64 random characters of lower-case base32")
    return f"{server.rstrip('/')}/{room}"


def _check_server(server: str) -> None:
    match = _SERVER.fullmatch(server)
    if match is None or int(match["port"] or 443) not in range(1, 65536):
        raise ValueError(
            "a Jitsi server is https://HOST[:PORT][/PATH]: no user name, no query, nothing that needs escaping"
        )
    if match["scheme"] == "http" and not _is_loopback(match["host"].strip("[]")):
        raise ValueError("a Jitsi server is reached by https (http only on this machine)")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
