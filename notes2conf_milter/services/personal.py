"""Personal rooms: organizers who have a room of their own somewhere, from a file of the administrator's.

In:  a TOML file, `"anna@example.org" = "https://meet.example.org/anna"`, read anew when it changes. Out: Conferences.
Fails: PersonalError from the first reading (the start), with the file and what is allowed, never with an address; later a file
that is wrong is as if it had not changed, which is logged.
"""

import logging
import re
import tomllib
from pathlib import Path

from notes2conf_milter.services.service import Conference, ServiceError, Visitor

NAME = "personal"
# https, no user name (a login is never ours to know), and only the signs of RFC 3986.
_URL = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:[/?#][!#-;=?-\[\]_a-z~]*)?")
_LONGEST = 2000  # characters of a URL
_ALLOWED = 'lines as "USER@example.org" = "https://meet.example.org/ROOM"'

_log = logging.getLogger("notes2conf_milter.web")


class PersonalError(Exception):
    """The file cannot be used; the text says which and why."""


class Personal:
    """The rooms in a file."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises PersonalError."""
        self._path = path
        self._rooms, self._seen = _read(path)

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
        return "Mein eigener Raum" if language == "de" else "My own room"

    def offered_to(self, organizer: str) -> bool:
        """Say whether somebody has a room."""
        return organizer.lower() in self._current()

    async def open(self, room: str, organizer: str, link: str, language: str, ended_url: str = "") -> Conference:
        """Return the organizer's room; raises ServiceError when there is none any more."""
        url = self._current().get(organizer.lower())
        if url is None:
            raise ServiceError("no personal room")
        return Conference(NAME, "", url)

    def way_in(self, conference: Conference, visitor: Visitor, now: int) -> str:
        """Return the room's URL."""
        return conference.url

    async def over(self, conference: Conference) -> bool | None:
        """Nobody knows."""
        return None

    async def end(self, conference: Conference) -> None:
        """The organizer ends it there."""

    def _current(self) -> dict[str, str]:
        try:
            if _mark_or_none(self._path) != self._seen:
                self._rooms, self._seen = _read(self._path)
        except PersonalError as error:
            _log.error("personal rooms: %s; the rooms known before stay", error)
            self._seen = _mark_or_none(self._path)  # said once for each state of the file
        return self._rooms


def _read(path: Path) -> tuple[dict[str, str], tuple[int, int, int] | None]:
    try:
        mark = _mark(path)
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise PersonalError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        raise PersonalError(f"{path}: is not TOML; allowed are {_ALLOWED}") from None
    found: dict[str, str] = {}
    for number, (address, url) in enumerate(table.items(), 1):
        if "@" not in address or not isinstance(url, str) or len(url) > _LONGEST or not _URL.fullmatch(url):
            raise PersonalError(f"{path}: entry {number}: not allowed as it stands; allowed are {_ALLOWED}")
        found[address.lower()] = url
    return found, mark


def _mark(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def _mark_or_none(path: Path) -> tuple[int, int, int] | None:
    try:
        return _mark(path)
    except OSError:
        return None
