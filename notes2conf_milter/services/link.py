"""Bring your link: the organizer starts the meeting in the own account of Zoom, Teams, Webex … and pastes the link for guests.

In:  the hosts that the administrator allows; a text that was pasted. Out: a Conference. Asks nobody; sees no login.
Fails: RefusedLink, with the reason, never with the link.

A link is taken when it is https, without user name, on the usual port, at an allowed host, and not the host's own: with that,
guests would act in the organizer's name (Zoom's `zak=` and `/s/`; Webex's `AT=HM`, and `AT=LI`, which holds a password;
start links of others). That is for organizers who take the wrong one; nobody can tell all such links.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from notes2conf_milter.services.service import Conference, RefusedLink, Visitor, Why

NAME = "link"
HOSTS = (
    *("*.zoom.us", "*.zoom.com", "*.zoomgov.com", "*.zoom-x.de"),
    *("teams.microsoft.com", "teams.live.com", "teams.cloud.microsoft", "*.webex.com", "meet.google.com"),
    *("meet.goto.com", "app.goto.com", "*.gotomeeting.com"),
)
LONGEST = 2000  # characters
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_SIGNS = re.compile(r"[!#-;=?-\[\]_a-z~%]+")  # RFC 3986; no blanks, quotes, angle brackets, backslashes
_HOSTS_QUERY = frozenset(
    {"zak", "hostkey", "host_key", "hostpin", "token_host", "startmeeting", "integrationjointoken"}
)
_HOSTS_PATH = frozenset({"s", "start", "startmeeting", "host", "hostmeeting"})
_HOSTS_WORD = frozenset({"at=hm", "at=im", "at=li", "at=sm"})  # Webex URL API: host, meet now, log in, schedule


@dataclass(frozen=True, slots=True)
class Link:
    """Links that organizers paste. hosts: allowed ones in lower case; `*.` stands for any subdomain, and for none."""

    hosts: tuple[str, ...] = HOSTS

    @property
    def name(self) -> str:
        """The word that a Room carries in `service`."""
        return NAME

    @property
    def asks_link(self) -> bool:
        """The organizer pastes a link."""
        return True

    def title(self, language: str) -> str:
        """Return what stands beside the choice."""
        return "Eigener Link (Zoom, Teams, Webex …)" if language == "de" else "Your own link (Zoom, Teams, Webex …)"

    def offered_to(self, organizer: str) -> bool:
        """Everybody can choose it."""
        return True

    async def open(self, room: str, organizer: str, link: str, language: str, ended_url: str = "") -> Conference:
        """Return the conference that a link leads to; raises RefusedLink."""
        return Conference(NAME, "", checked(link, self.hosts))

    def way_in(self, conference: Conference, visitor: Visitor, now: int) -> str:
        """Return the link, for everybody the same."""
        return conference.url

    async def over(self, conference: Conference) -> bool | None:
        """Nobody knows."""
        return None

    async def end(self, conference: Conference) -> None:
        """The organizer ends it there."""


def checked(text: str, hosts: tuple[str, ...]) -> str:
    """Return a pasted link as it is kept; raises RefusedLink."""
    link = text.strip()
    if not link:
        raise RefusedLink(Why.NO_LINK)
    if not link.lower().startswith("https://") or len(link) > LONGEST or not _SIGNS.fullmatch(link):
        raise RefusedLink(Why.NOT_HTTPS)
    try:
        parts = urlsplit(link)
        port = parts.port
    except ValueError:
        raise RefusedLink(Why.NOT_HTTPS) from None
    host = (parts.hostname or "").rstrip(".")
    if parts.username is not None or parts.password is not None or port not in (None, 443):
        raise RefusedLink(Why.HOST_NOT_ALLOWED)
    if not _HOST.fullmatch(host) or not any(_fits(host, pattern) for pattern in hosts):
        raise RefusedLink(Why.HOST_NOT_ALLOWED)
    if parts.path in ("", "/") and not parts.query and not parts.fragment:
        raise RefusedLink(Why.NO_LINK)  # a homepage
    if _is_hosts_own(parts.path, f"{parts.query}&{parts.fragment}"):
        raise RefusedLink(Why.HOSTS_OWN_LINK)
    rest = link[len("https://") + len(parts.netloc) :]
    return f"https://{host}{rest}"


def _fits(host: str, pattern: str) -> bool:
    bare = pattern.removeprefix("*.")
    return host == bare or (pattern.startswith("*.") and host.endswith(f".{bare}"))


def _is_hosts_own(path: str, query: str) -> bool:
    steps = [step for step in re.split(r"[/;]", unquote(path).lower()) if step not in ("", ".")]
    words = re.split(r"[?&;#/]", unquote(query).lower())
    names = {word.partition("=")[0] for word in words}
    if names & _HOSTS_QUERY or _HOSTS_WORD.intersection(words):
        return True
    return ".." in steps or bool(steps and (steps[0] in _HOSTS_PATH or steps[-1] in _HOSTS_PATH))
