"""Marks that tell a resent invitation from a changed one."""

import pytest

from notes2conf_milter.core.invitation import Invitation, read
from notes2conf_milter.core.said import marks
from tests.invitations import invitation


def of(octets: bytes) -> tuple[str, str]:
    found = read(octets)
    assert isinstance(found, Invitation)
    return marks(octets, found)


BASE = b"Message-ID: <1@example.org>\r\n" + invitation(b"SEQUENCE:1", b"DESCRIPTION:Bring it")


def test_stamps_and_counters_say_nothing() -> None:
    """The same event in another message; the same message is the same."""
    again = BASE.replace(b"<1@", b"<2@").replace(b"SEQUENCE:1", b"SEQUENCE:2").replace(b"T073000Z", b"T083000Z")
    assert of(again)[0] != of(BASE)[0]
    assert of(again)[1] == of(BASE)[1]
    assert of(BASE.replace(b"Planning", b"Plan"))[0] == of(BASE)[0]


@pytest.mark.parametrize(
    "change",
    [(b"Bring it", b"Bring all"), (b"20260312T10", b"20260312T11"), (b"bob@example.net\r\nS", b"b@example.net\r\nS")],
)
def test_a_change_is_one(change: tuple[bytes, bytes]) -> None:
    """Of the text, the time, the guests."""
    changed = BASE.replace(*change)
    assert changed != BASE
    assert of(changed)[1] != of(BASE)[1]


def test_no_way_leads_back() -> None:
    assert not any("example" in mark or len(mark) != 16 for mark in of(BASE))
