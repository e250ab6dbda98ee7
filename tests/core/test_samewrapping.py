"""The self-check puts back a multipart/related only where it was rightly taken away."""

import email
import email.policy
from email.message import Message

import pytest

from notes2conf_milter.core.samewrapping import wrapped_again
from tests.core.test_related import (
    EVENT,
    FILE,
    HTML,
    ICS,
    LOCATED,
    NAMED,
    PICTURE,
    PLAIN,
    SHOWING,
    SPELT,
    inner,
    related,
)
from tests.invitations import message

OLD, NEW = b"multipart/related", b"multipart/alternative"


def read(octets: bytes) -> Message:
    return email.message_from_string(octets.decode("latin-1"), policy=email.policy.compat32)


def decoded(part: Message) -> bytes:
    body = part.get_payload(decode=True)
    assert isinstance(body, bytes)
    return body


def again(before: bytes, after: bytes) -> bytes:
    return wrapped_again(after, read(before), read(after), decoded)


WRAPPED = [
    related(PLAIN, HTML, EVENT),
    related(inner(b"related", SHOWING, PICTURE), EVENT),
    message(inner(b"related", HTML, EVENT, boundary=b"=_r"), ICS, kind=b"mixed"),
    related(HTML, EVENT).replace(b" multipart/related;", b"\r\n\tmultipart/related\r\n ;"),
]


@pytest.mark.parametrize("before", WRAPPED)
def test_the_word_is_put_back(before: bytes) -> None:
    """Whatever stands around it."""
    assert again(before, before.replace(OLD, NEW, 1)) == before


@pytest.mark.parametrize(
    "before",
    [
        related(EVENT, HTML),
        related(SHOWING, PICTURE, EVENT),
        related(HTML, ICS),
        related(SHOWING, NAMED, EVENT),
        related(HTML, FILE, EVENT),
        related(HTML, LOCATED, EVENT),
        related(SPELT, NAMED, EVENT),
        related(inner(b"alternative", PLAIN, EVENT), HTML),
        message(inner(b"related", SHOWING, PICTURE), EVENT),
        related(HTML, EVENT, PICTURE),
        related(),
    ],
)
def test_what_was_not_rightly_taken_away_stays_seen(before: bytes) -> None:
    """The ordinary check then finds the other word."""
    after = before.replace(OLD, NEW, 1)
    assert again(before, after) == after


@pytest.mark.parametrize(
    "new",
    [
        b"multipart/mixed",
        b"multipart/Alternative",
        b"multipart/alternativ",
        b"multipart/alternative; x=y",
        b"multipart/ alternative",
    ],
)
def test_another_word(new: bytes) -> None:
    """Only the one that is meant."""
    before = WRAPPED[0]
    after = before.replace(OLD, new, 1)
    assert again(before, after) == after


def test_a_value_that_stands_elsewhere_too() -> None:
    """Which of the two was changed nobody could say."""
    before = related(PLAIN.replace(b"meet.", b'multipart/alternative; boundary="=_b"'), EVENT)
    after = before.replace(OLD, NEW, 1)
    assert again(before, after) == after


def test_the_other_way_round() -> None:
    """A multipart/alternative that became another is no repair."""
    before = message(PLAIN, EVENT)
    assert again(before, before.replace(NEW, OLD)) == before.replace(NEW, OLD)
