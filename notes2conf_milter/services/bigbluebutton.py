"""BigBlueButton: a meeting that is created and joined with the operator's shared secret; roles instead of passwords.

In:  the server's URL, the secret; a random meeting id. Out: Conferences, signed ways in. Touches: the server, over HTTPS.
Fails: ServiceError when the server does not answer, or answers something else; its text holds no URL, for that is signed.
Logs: each such failure, and nothing that the HTTP library would log: each URL.

The API is that of the documentation, "API calls": a call's checksum is the hash of its name, its query and the secret. Nothing
of the meeting is told to the server but a random id and a general name. XML is taken only without a document type, for
entities are declared there; an answer is at most 64 KB long, and not compressed.
"""

import asyncio
import functools
import hashlib
import ipaddress
import logging
import os
import re
import socket
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit
from xml.parsers import expat

from notes2conf_milter.services.service import Conference, ServiceError, Visitor

NAME = "bigbluebutton"
SECONDS = 10.0
_LONGEST = 65_536
# A meeting waits for its first guest, and for those who come back after a break, as the waiting room does. The server's own
# 5 minutes and 1 minute would leave a page that says "open" with nothing behind it (in the API since 2.5).
_EMPTY = {"meetingExpireIfNoUserJoinedInMinutes": "180", "meetingExpireWhenLastUserLeftInMinutes": "60"}
_ENDED = ("notFound", "meetingForciblyEnded")
_MEETING = {"en": "Video conference", "de": "Videokonferenz"}
_HOST = {"en": "Organizer", "de": "Gastgeber"}
_GUEST = {"en": "Guest", "de": "Gast"}

_log = logging.getLogger("notes2conf_milter.web")
for _name in ("httpx", "httpcore"):  # the one logs each URL at INFO, the other each header
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class BigBlueButton:
    """A server. server: https://HOST/bigbluebutton, without a final slash. secret: as `bbb-conf --secret` shows it."""

    server: str
    secret: str = field(repr=False)

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
        return "BigBlueButton"

    def offered_to(self, organizer: str) -> bool:
        """Everybody can choose it."""
        return True

    async def open(self, room: str, organizer: str, link: str, language: str, ended_url: str = "") -> Conference:
        """Create the meeting, or let it be if it is there; raises ServiceError."""
        parameters = {"meetingID": room, "name": _MEETING.get(language, _MEETING["en"]), **_EMPTY}
        if ended_url:
            parameters["meta_endCallbackUrl"] = ended_url
        await self._ask("create", parameters)
        return Conference(NAME, room, "")

    def way_in(self, conference: Conference, visitor: Visitor, now: int) -> str:
        """Return a URL that joins as a moderator or as a viewer."""
        names = _HOST if visitor.host else _GUEST
        parameters = {
            "fullName": visitor.name or names.get(visitor.language, names["en"]),
            "meetingID": conference.room,
            "redirect": "true",
            "role": "MODERATOR" if visitor.host else "VIEWER",
        }
        return signed(self.server, "join", parameters, self.secret)

    async def over(self, conference: Conference) -> bool | None:
        """Say whether it has ended; one that waits for its first guest has not. Raises ServiceError."""
        meeting = {"meetingID": conference.room}
        if (await self._ask("isMeetingRunning", meeting)).get("running") == "true":
            return False  # so what is asked next has no list of people in it
        answer = await self._ask("getMeetingInfo", meeting, also=_ENDED)
        ended = answer.get("hasBeenForciblyEnded") == "true" or answer.get("endTime", "") not in ("", "0")
        return ended or answer.get("messageKey") in _ENDED

    async def end(self, conference: Conference) -> None:
        """End it for all; one that is over already is no failure. Raises ServiceError."""
        await self._ask("end", {"meetingID": conference.room}, also=_ENDED)

    async def _ask(self, call: str, parameters: dict[str, str], also: tuple[str, ...] = ()) -> dict[str, str]:
        """Return the answer to a call, when it is a success. also: failures that are as good. Raises ServiceError."""
        try:
            answer = fields(await _fetched(signed(self.server, call, parameters, self.secret)))
            refusal = answer.get("messageKey", "")
            if answer.get("returncode") != "SUCCESS" and refusal not in also:
                reason = refusal if re.fullmatch(r"[A-Za-z]{1,40}", refusal) else "no reason"
                raise ServiceError(f"the server refuses ({reason})")
        except ServiceError as error:
            _log.warning("BigBlueButton, %s: %s", call, error)
            raise ServiceError(f"{call}: {error}") from None
        return answer


async def _fetched(url: str) -> bytes:
    """Return what a GET brings; raises ServiceError."""
    import httpx  # 3 MB, and the mail service reads these settings, too, but asks nobody

    body = b""
    try:
        async with (
            asyncio.timeout(SECONDS),
            httpx.AsyncClient(timeout=SECONDS, follow_redirects=False, trust_env=False, verify=_trusted()) as client,
            client.stream("GET", url, headers={"Accept": "application/xml", "Accept-Encoding": "identity"}) as response,
        ):
            async for piece in response.aiter_raw():  # raw: a few octets could unfold to any number
                body += piece
                if len(body) > _LONGEST:
                    raise ServiceError("too long an answer")
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise ServiceError(_why(error)) from None
    if response.status_code != 200:
        raise ServiceError(f"HTTP status {response.status_code}")
    return body


def _why(error: Exception) -> str:
    """Return the kind of a failure and, where there is one, the system's reason.

    The HTTP library's own texts are left out: they may hold a URL.
    """
    kind = type(error).__name__
    cause: BaseException | None = error
    for _ in range(10):  # the library's errors stand around the system's
        match cause:
            case ssl.SSLCertVerificationError():
                return f"{kind}: {cause.verify_message.partition(',')[0]}"  # behind the comma: for which name
            case ssl.SSLError():
                return f"{kind}: {cause.reason}"
            case socket.gaierror():
                return f"{kind}: {cause.strerror}"
            case OSError(errno=int(number)):
                return f"{kind}: {os.strerror(number)}"
            case BaseExceptionGroup():
                cause = cause.exceptions[0]
            case BaseException():
                cause = cause.__cause__ or cause.__context__
    return kind


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The system's certificate authorities, with those that the administrator added; read once."""
    return ssl.create_default_context()


def fields(body: bytes) -> dict[str, str]:
    """Return the texts of an answer, by the names of the elements right below <response>; raises ServiceError."""
    found: dict[str, list[str]] = {}
    path: list[str] = []

    def start(name: str, _attributes: dict[str, str]) -> None:
        path.append(name)
        if len(path) == 2:
            found.setdefault(name, [])

    def text(piece: str) -> None:
        if len(path) == 2:
            found[path[1]].append(piece)

    def doctype(*_: object) -> None:
        raise ServiceError("XML with a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, lambda _name: path.pop()
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError):  # the last two: an encoding that is none, or unknown here
        raise ServiceError("no XML") from None
    return {name: "".join(pieces).strip() for name, pieces in found.items()}


def signed(server: str, call: str, parameters: dict[str, str], secret: str) -> str:
    """Return the URL of a call with its checksum."""
    query = urlencode(parameters)
    mark = checksum(call, query, secret)
    return f"{server}/api/{call}?{query}&checksum={mark}"


def checksum(call: str, query: str, secret: str, algorithm: str = "sha256") -> str:
    """Return the checksum of a call. query: encoded as it is sent; algorithm: one that the server supports."""
    return hashlib.new(algorithm, f"{call}{query}{secret}".encode()).hexdigest()


def server_url(text: str) -> str:
    """Return a server's URL as it is kept; raises ValueError with what is allowed."""
    problem = 'the server\'s URL, as "https://bbb.example.org/bigbluebutton"; http:// on loopback alone'
    try:
        parts = urlsplit(text.strip().rstrip("/").removesuffix("/api"))
        local = parts.hostname == "localhost" or (
            parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
        )
        wrong = parts.query or parts.fragment or parts.username is not None or not parts.hostname or (parts.port == 0)
    except ValueError:
        raise ValueError(problem) from None
    odd = not text.isprintable() or " " in text.strip()
    if wrong or odd or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise ValueError(problem)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
