"""Room URLs of a Jitsi server: only safe servers, only random names."""

import pytest

from notes2conf_milter.core.joinlink import token_from
from notes2conf_milter.services.jitsi import Jitsi, room_url

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
