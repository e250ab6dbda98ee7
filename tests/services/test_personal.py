"""Personal rooms: a file that is read again when it changes."""

import asyncio
import os
from pathlib import Path

import pytest

from notes2conf_milter.services.personal import Personal, PersonalError
from notes2conf_milter.services.service import Conference, ServiceError, Visitor

ANNA = "https://meet.example.org/anna"


def write(path: Path, text: str, at: int) -> None:
    path.write_text(text, "utf-8")
    os.utime(path, (at, at))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rooms.toml"
    write(path, f'"Anna@example.org" = "{ANNA}"\n', 1000)
    return path


def test_who_has_a_room(file: Path) -> None:
    service = Personal(file)
    assert (service.offered_to("anna@EXAMPLE.org"), service.offered_to("berta@example.org")) == (True, False)
    conference = asyncio.run(service.open("r" * 32, "anna@example.org", "", "en"))
    assert conference == Conference("personal", "", ANNA)
    assert service.way_in(conference, Visitor(False, "en"), 0) == ANNA
    assert asyncio.run(service.over(conference)) is None
    asyncio.run(service.end(conference))
    assert not service.asks_link and service.title("en") != service.title("de")
    with pytest.raises(ServiceError):
        asyncio.run(service.open("r" * 32, "berta@example.org", "", "en"))


def test_a_change_is_seen(file: Path) -> None:
    service = Personal(file)
    write(file, '"berta@example.org" = "https://meet.example.org/berta"\n', 2000)
    assert (service.offered_to("anna@example.org"), service.offered_to("berta@example.org")) == (False, True)


def test_a_file_that_is_wrong_later_changes_nothing(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once for each state of the file, without an address."""
    service = Personal(file)
    for at, text in (
        (2000, "x"),
        (3000, '"anna@example.org" = "ftp://x"'),
        (3500, '"anna@example.org" = "https://[::1"'),
    ):
        write(file, text, at)
        for _ in range(3):
            assert service.offered_to("anna@example.org")
    file.unlink()
    for _ in range(3):
        assert service.offered_to("anna@example.org")
    assert len(caplog.records) == 4
    assert "anna" not in caplog.text
    write(file, "", 4000)
    assert not service.offered_to("anna@example.org")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "is not TOML"),
        ('"anna" = "https://x.example.org/"', "entry 1"),
        ('"a@example.org" = "https://x.example.org/"\n"anna@example.org" = "http://x.example.org/"', "entry 2"),
        ('"anna@example.org" = 7', "entry 1"),
        ('"anna@example.org" = "https://x y"', "entry 1"),
        ('"anna@example.org" = "https://"', "entry 1"),
        ('"anna@example.org" = "https://[::1"', "entry 1"),
        ('"anna@example.org" = "https://anna:secret@x.example.org/"', "entry 1"),
        ('"anna@example.org" = "https://x.example.org/\\\\evil.example"', "entry 1"),
        ('"anna@example.org" = "https://x.example.org/ä"', "entry 1"),
        ('"anna@example.org" = "https://x.example.org/' + "x" * 2000 + '"', "entry 1"),
        ("x = " + "[" * 5000, "is not TOML"),
    ],
)
def test_a_wrong_file_stops_the_start(file: Path, text: str, problem: str) -> None:
    """Named by its number: an address is personal data."""
    write(file, text, 2000)
    with pytest.raises(PersonalError, match=problem) as error:
        Personal(file)
    assert "anna" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PersonalError, match="cannot be read"):
        Personal(tmp_path / "none.toml")
