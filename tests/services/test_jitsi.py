"""Rooms of a Jitsi server: only safe servers, only random names; tokens, and what a server makes of them."""

import base64
import json
import re
from typing import Any

import jwt
import pytest

from notes2conf_milter.core.joinlink import token_from
from notes2conf_milter.services.jitsi import TOKEN_SECONDS, Jitsi, room_url
from notes2conf_milter.services.service import Conference, Visitor
from tests.services.jitsi_server import Entry, JitsiServer, Refused

ROOM = token_from(bytes(range(20)))


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("https://meet.example.org", f"https://meet.example.org/{ROOM}"),
        ("https://meet.example.org/", f"https://meet.example.org/{ROOM}"),
        ("https://example.org:8443/video/rooms", f"https://example.org:8443/video/rooms/{ROOM}"),
        ("http://127.0.0.1:8000", f"http://127.0.0.1:8000/{ROOM}"),
        ("http://[::1]:8000", f"http://[::1]:8000/{ROOM}"),
        ("http://localhost", f"http://localhost/{ROOM}"),
    ],
)
def test_a_room_of_its_own(server: str, url: str) -> None:
    assert room_url(server, ROOM) == url
    assert Jitsi(server).room_url(ROOM) == url


@pytest.mark.parametrize(
    "server",
    [
        "",
        "meet.example.org",
        "http://meet.example.org",
        "http://localhost.example.org",
        "ftp://meet.example.org",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://user@meet.example.org",
        "https://user:secret@meet.example.org",
        "https://meet.example.org?x=1",
        "https://meet.example.org/#config",
        "https://meet.example.org/#",
        "https://meet.example.org:99999",
        "https://meet.example.org:port",
        'https://meet.example.org/"onclick',
        "https://meet.example.org/a b",
        "https://meet.exa mple.org",
        "https://meet.example.org/a%0d",
        "https://meet.example.org\n",
        "https://[::1",
    ],
)
def test_other_servers_are_refused(server: str) -> None:
    with pytest.raises(ValueError, match="Jitsi"):
        Jitsi(server)


@pytest.mark.parametrize("room", ["", "standup", "a" * 25, "A" * 32, "a" * 31 + "/", "a" * 31 + "\n", "a" * 65])
def test_a_name_that_could_be_guessed_is_refused(room: str) -> None:
    with pytest.raises(ValueError, match="room name"):
        room_url("https://meet.example.org", room)


SECRET = "a-secret-of-the-operator-that-is-long-enough"
CONFERENCE = Conference("jitsi", "r" * 32, "https://meet.example.org/x/" + "r" * 32)
NOW = 1_777_881_600


def claims(visitor: Visitor, server: str = "https://meet.example.org/x") -> dict[str, Any]:
    """What prosody's mod_auth_token takes out of a token: signature, audience, issuer, times."""
    url = Jitsi(server, "app", SECRET).way_in(CONFERENCE, visitor, NOW)
    head, _, token = url.partition("?jwt=")
    assert head == CONFERENCE.url
    options = {"require": ["exp", "nbf", "iss", "aud", "sub"], "verify_exp": False, "verify_nbf": False}
    found = jwt.decode(token, SECRET, algorithms=["HS256"], audience="app", issuer="app", options=options)  # type: ignore[arg-type]
    assert isinstance(found, dict)
    return found


def test_a_token_for_this_room_alone() -> None:
    """And for some hours; clocks may differ a little."""
    found = claims(Visitor(False, "en"))
    assert found["room"] == "r" * 32
    assert (found["nbf"], found["exp"]) == (NOW - 120, NOW + TOKEN_SECONDS)
    assert TOKEN_SECONDS <= 6 * 3600


@pytest.mark.parametrize(
    ("server", "subject"),
    [
        ("https://Meet.example.org", "meet.example.org"),
        ("https://meet.example.org:8443/", "meet.example.org"),
        ("https://meet.example.org/Sales", "sales"),
        ("https://meet.example.org/video/rooms", "meet.example.org"),
    ],
)
def test_the_subject_is_the_tenant_or_the_host(server: str, subject: str) -> None:
    """lib-jitsi-meet, doc/tokens.md: EITHER the lower-case name of the tenant OR that of the domain."""
    assert claims(Visitor(False, "en"), server)["sub"] == subject


@pytest.mark.parametrize("host", [True, False])
def test_each_module_that_makes_moderators_finds_its_claim(host: bool) -> None:
    """mod_token_moderation reads the token's own level, mod_token_affiliation context.user; both know true from "true"."""
    found = claims(Visitor(host, "en"))
    assert found["moderator"] is host
    assert all(isinstance(value, str | int) for value in found["context"]["user"].values())


def test_the_organizer_moderates_and_guests_do_not() -> None:
    assert claims(Visitor(True, "en"))["context"]["user"] == {"moderator": True, "affiliation": "owner"}
    assert claims(Visitor(False, "en"))["context"]["user"] == {"moderator": False, "affiliation": "member"}
    assert claims(Visitor(False, "en", "Bert"))["context"]["user"]["name"] == "Bert"


def test_without_a_secret_there_is_no_token() -> None:
    assert Jitsi("https://meet.example.org").way_in(CONFERENCE, Visitor(True, "en"), NOW) == CONFERENCE.url
    assert SECRET not in repr(Jitsi("https://meet.example.org", "app", SECRET))


# --- what a server makes of it ---


def server(app: str = "app", secret: str = SECRET, domain: str = "meet.example.org", now: int = NOW) -> JitsiServer:
    return JitsiServer(lambda: now, app, secret, domain)


def path(visitor: Visitor, service: Jitsi | None = None, now: int = NOW, room: str = "r" * 32) -> str:
    """Return what a browser asks the server for."""
    service = service or Jitsi("https://meet.example.org", "app", SECRET)
    url = service.way_in(Conference("jitsi", room, service.room_url(room)), visitor, now)
    return url.removeprefix("https://meet.example.org")


@pytest.mark.parametrize("tenant", ["", "/Sales"])
def test_a_server_lets_the_organizer_moderate_and_guests_in(tenant: str) -> None:
    """By either module; at its own address, or at a tenant's."""
    found, service = server(), Jitsi(f"https://meet.example.org{tenant}", "app", SECRET)
    assert found.enter(path(Visitor(True, "en"), service)) == Entry("r" * 32, "owner", True, "")
    assert found.enter(path(Visitor(False, "de", "Bert"), service)) == Entry("r" * 32, "member", False, "Bert")


def altered(text: str, **claims: object) -> str:
    """Return a path whose token claims something else, under the old signature."""
    head, _, token = text.partition("?jwt=")
    first, second, third = token.split(".")
    body = json.loads(base64.urlsafe_b64decode(second + "==")) | claims
    return f"{head}?jwt={first}.{base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip('=')}.{third}"


GUESTS = path(Visitor(False, "en"))
UNSIGNED = jwt.encode(claims(Visitor(True, "en"), "https://meet.example.org"), None, algorithm="none")


@pytest.mark.parametrize(
    ("asked", "at", "why"),
    [
        (GUESTS.partition("?")[0], server(), "token required"),
        (f"{GUESTS.partition('?')[0]}?jwt={UNSIGNED}", server(), "Invalid or incorrect alg"),
        (altered(GUESTS, moderator=True), server(), "Invalid signature"),
        (altered(GUESTS, context={"user": {"affiliation": "owner"}}), server(), "Invalid signature"),
        (GUESTS[:-3], server(), "Invalid signature"),
        (f"{GUESTS.partition('?')[0]}?jwt=x", server(), "Invalid token"),
        (GUESTS, server(secret="another"), "Invalid signature"),
        (GUESTS, server("another"), "invalid 'iss' claim"),
        (GUESTS, server(now=NOW + TOKEN_SECONDS), "Not acceptable by exp"),
        (GUESTS, server(now=NOW - 121), "Not acceptable by nbf"),
        (GUESTS.replace("r" * 32, "s" * 32), server(), "Room and token mismatched"),
        (GUESTS, server(domain="meet.example.net"), "Room and token mismatched"),
        (f"/sales{GUESTS}", server(), "Room and token mismatched"),
    ],
    ids=[
        "none",
        "unsigned",
        "role",
        "owner",
        "cut",
        "no-token",
        "secret",
        "app",
        "late",
        "early",
        "room",
        "domain",
        "tenant",
    ],
)
def test_what_a_server_refuses(asked: str, at: JitsiServer, why: str) -> None:
    """Or the test that it lets somebody in would say nothing."""
    with pytest.raises(Refused, match=f"^{re.escape(why)}$"):
        at.enter(asked)
    assert at.entries == []
