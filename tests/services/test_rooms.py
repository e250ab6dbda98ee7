"""Rooms that come to be when somebody enters."""

import asyncio

import pytest

from notes2conf_milter.services.rooms import Rooms, rooms
from notes2conf_milter.services.service import Visitor

ROOM = "abcdefghijklmnopqrstuvwxyz234567"


def test_a_template() -> None:
    service = rooms("Element Call=https://call.example.org/room/#/{room}?password={secret}")
    assert (service.name, service.title("de"), service.asks_link) == ("rooms-element-call", "Element Call", False)
    conference = asyncio.run(service.open(ROOM, "anna@example.org", "", "en"))
    assert (conference.service, conference.room) == ("rooms-element-call", ROOM)
    head, _, secret = conference.url.partition("?password=")
    assert head == f"https://call.example.org/room/#/{ROOM}"
    assert len(secret) == 32 and secret != ROOM
    assert conference == asyncio.run(service.open(ROOM, "anna@example.org", "", "en"))
    assert service.way_in(conference, Visitor(False, "en"), 0) == conference.url
    assert asyncio.run(service.running(conference)) is None
    asyncio.run(service.end(conference))
    assert service.offered_to("anybody")


def test_a_room_twice() -> None:
    service = rooms("MiroTalk=https://p2p.example.org/join/?room={room}&notify=0&copy={room}")
    assert asyncio.run(service.open(ROOM, "", "", "en")).url.count(ROOM) == 2


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
