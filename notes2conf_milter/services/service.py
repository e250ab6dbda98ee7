"""What every conference service can do; one small module each.

In:  a random room name, who opens, a pasted link. Out: a Conference, ways in. Fails: ServiceError (cannot now), RefusedLink.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Conference:
    """What is sealed in the row while it is open; no person in it.

    service: the service's name. room: a random name, "" where there is none. url: a personal room or a pasted link, else the
    room's plain URL; "" where nothing leads in but what the service signs for each visitor.
    """

    service: str
    room: str
    url: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who goes in. name: "" unless the administrator switched on that names are handed on."""

    host: bool
    language: str
    name: str = ""


class ServiceError(Exception):
    """The service cannot open a conference now; its text holds no personal data and no secret."""


class Why(Enum):
    """Why a pasted link is not taken."""

    NO_LINK = "no-link"
    NOT_HTTPS = "not-https"
    HOST_NOT_ALLOWED = "host-not-allowed"
    HOSTS_OWN_LINK = "hosts-own-link"


class RefusedLink(ValueError):
    """A pasted link that is not taken."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


class Service(Protocol):
    """A conference service."""

    @property
    def name(self) -> str:
        """The word that a Room carries in `service`."""

    @property
    def asks_link(self) -> bool:
        """Whether the organizer pastes a link."""

    def title(self, language: str) -> str:
        """Return what stands beside the choice."""

    def offered_to(self, organizer: str) -> bool:
        """Say whether an organizer (an address) can choose it."""

    async def open(self, room: str, organizer: str, link: str, language: str, ended_url: str = "") -> Conference:
        """Open a conference; raises ServiceError, RefusedLink.

        room: a random name; the same one again: the same conference. ended_url: of ours; a service that can calls it when the
        conference has ended there.
        """

    def way_in(self, conference: Conference, visitor: Visitor, now: int) -> str:
        """Return the URL for one visitor."""

    async def over(self, conference: Conference) -> bool | None:
        """Say whether it has ended there; None: nobody knows. Raises ServiceError."""

    async def end(self, conference: Conference) -> None:
        """End it for all, where that can be done."""
