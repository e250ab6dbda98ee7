"""Rooms that come to be when somebody enters."""

import asyncio
import hashlib
import re

import pytest

from notes2conf_milter.services.rooms import Rooms, rooms
from notes2conf_milter.services.service import Visitor

ROOM = "abcdefghijklmnopqrstuvwxyz234567"


def test_a_template() -> None:
    service = rooms("Element Call=https://call.example.org/room/#/{room}?password={secret}")
    assert (service.name, service.title("de"), service.asks_link) == ("rooms-element-call", "Element Call", False)
    conference = asyncio.run(service.open(ROOM, "anna@example.org", "", "en"))
    assert conference.service == "rooms-element-call"
    assert re.fullmatch("[a-z2-7]{32}", conference.room)
    head, _, secret = conference.url.partition("?password=")
    assert head == f"https://call.example.org/room/#/{conference.room}"
    assert re.fullmatch("[0-9a-f]{32}", secret)
    assert conference == asyncio.run(service.open(ROOM, "anna@example.org", "", "en"))
    assert service.way_in(conference, Visitor(False, "en"), 0) == conference.url
    assert asyncio.run(service.over(conference)) is None
    asyncio.run(service.end(conference))
    assert service.offered_to("anybody")


def test_a_room_twice() -> None:
    service = rooms("MiroTalk=https://p2p.example.org/join/?room={room}&notify=0&copy={room}")
    conference = asyncio.run(service.open(ROOM, "", "", "en"))
    assert conference.url.count(conference.room) == 2


def test_who_knows_the_name_cannot_compute_the_secret() -> None:
    """The service sees the name; a password in the fragment is kept from it. So the name is not what the secret is made of."""
    conference = asyncio.run(rooms("A=https://a.example.org/{room}#{secret}").open(ROOM, "", "", "en"))
    secret = conference.url.partition("#")[2]
    assert ROOM not in conference.url
    assert hashlib.sha256(f"secret of {ROOM}".encode()).hexdigest().startswith(secret)
    assert not hashlib.sha256(f"secret of {conference.room}".encode()).hexdigest().startswith(secret)


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("A=https://call.example.org/{room}", "call.example.org/"),
        ("A=https://call.example.org:8443/room/#/{room}?password={secret}", "call.example.org:8443/room/#/"),
        ("A=https://call.example.org/join?room={room}", "call.example.org/join?room="),
        ("A=https://call.example.org/a+b/{room}", "call.example.org/a"),
    ],
)
def test_where_its_rooms_are(template: str, place: str) -> None:
    assert rooms(template).place == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://call.example.org/{room}",
        "Call=http://call.example.org/{room}",
        "Call=https://call.example.org/room",
        "Call=https://call.example.org/{rooms}",
        "Call=https://call.example.org/{room}/{x}",
        "Call=https://call.example.org/{room",
        "Call=https://{room}.example.org/",
        "Call=https://call.example.org/{room} x",
        "Call=https://a:b@call.example.org/{room}",
        "=https://call.example.org/{room}",
        "x" * 41 + "=https://call.example.org/{room}",
    ],
)
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(ValueError, match="TITLE=https"):
        rooms(text)


def test_it_is_a_value() -> None:
    assert rooms("A=https://a.example.org/{room}") == Rooms("rooms-a", "A", "https://a.example.org/{room}")
