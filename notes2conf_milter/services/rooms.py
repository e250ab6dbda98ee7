"""Rooms that come to be when somebody enters: a URL with a random name in it (Element Call, MiroTalk, OpenTalk, Galène …).

In:  templates (settings), random letters. Out: a Conference. Asks nobody.
Fails: ValueError with a sentence that says what is allowed.

`{room}` stands for a random name, `{secret}` for a password beside it, which some services want, mostly in the fragment, which
browsers do not send. Both are made of the random letters, one way, and neither follows from the other: the service knows the
name, and must not be able to compute the password.
"""

import base64
import hashlib
import re
from dataclasses import dataclass

from notes2conf_milter.services.service import Conference, Visitor

_FORM = re.compile(r"(?P<title>[^=\n]{1,40})=(?P<url>https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/[!#-;=?-\[\]_a-z~{}]*)")
_NAMES = re.compile(r"\{(?:room|secret)\}")
_ALLOWED = 'TITLE=https://HOST/PATH with {room} in it, as "Element Call=https://call.example.org/room/#/{room}?password={secret}"'


@dataclass(frozen=True, slots=True)
class Rooms:
    """One such service. name: the word that a Room carries; text: its title; template: its URL."""

    name: str
    text: str
    template: str

    @property
    def asks_link(self) -> bool:
        """The organizer pastes no link."""
        return False

    def title(self, language: str) -> str:
        """Return what stands beside the choice."""
        return self.text

    def offered_to(self, organizer: str) -> bool:
        """Everybody can choose it."""
        return True

    async def open(self, room: str, organizer: str, link: str, language: str, ended_url: str = "") -> Conference:
        """Return the conference; nothing is asked."""
        name = base64.b32encode(_made_of(room, "name")[:20]).decode("ascii").lower()
        secret = _made_of(room, "secret").hex()[:32]
        return Conference(self.name, name, self.template.replace("{room}", name).replace("{secret}", secret))

    def way_in(self, conference: Conference, visitor: Visitor, now: int) -> str:
        """Return the room's URL."""
        return conference.url

    async def over(self, conference: Conference) -> bool | None:
        """Nobody knows."""
        return None

    async def end(self, conference: Conference) -> None:
        """It ends when the last one leaves."""

    @property
    def place(self) -> str:
        """Where all its rooms are, as a pattern of core.conferences: host/path."""
        return re.split(r"[{*+]", self.template.removeprefix("https://"), maxsplit=1)[0]


def _made_of(room: str, what: str) -> bytes:
    return hashlib.sha256(f"{what} of {room}".encode()).digest()


def rooms(text: str) -> Rooms:
    """Return the service that a setting describes: TITLE=URL; raises ValueError."""
    found = _FORM.fullmatch(text.strip())
    if found is None or "{room}" not in found["url"] or re.search(r"[{}]", _NAMES.sub("", found["url"])):
        raise ValueError(_ALLOWED)
    title = found["title"].strip()
    name = "rooms-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return Rooms(name, title, found["url"])
