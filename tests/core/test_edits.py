"""Edits applied."""

import pytest

from notes2conf_milter.core.edits import ChangeHeader, Edit, EditError, InsertHeader, RemoveHeader, ReplaceBody, apply

MESSAGE = b"Subject: one\r\nX: y\r\nsubject:two\r\n three\r\n\r\nbody\r\n"
ONE_SUBJECT = MESSAGE.replace(b"subject:two\r\n three\r\n", b"")


@pytest.mark.parametrize(
    ("edits", "result"),
    [
        ((), MESSAGE),
        ((ReplaceBody(b""),), MESSAGE.replace(b"body\r\n", b"")),
        ((ChangeHeader(b"SUBJECT", 2, b" 2"),), MESSAGE.replace(b"two\r\n three", b" 2")),
        (
            (ChangeHeader(b"Subject", 1, b" 1\r\n\tb"), ReplaceBody(b"new")),
            MESSAGE.replace(b" one", b" 1\r\n\tb").replace(b"body\r\n", b"new"),
        ),
        ((InsertHeader(b"A", b" 1\r\n 2"),), b"A: 1\r\n 2\r\n" + MESSAGE),
        ((InsertHeader(b"A", b"1"), InsertHeader(b"B", b"2")), b"B:2\r\nA:1\r\n" + MESSAGE),
        ((RemoveHeader(b"subject", 2),), ONE_SUBJECT),
        (
            (RemoveHeader(b"Subject", 2), InsertHeader(b"Subject", b" two\r\n three"), RemoveHeader(b"Subject", 1)),
            ONE_SUBJECT,
        ),
        ((ReplaceBody(b"new"), ChangeHeader(b"X", 1, b"")), MESSAGE.replace(b" y", b"").replace(b"body\r\n", b"new")),
    ],
)
def test_apply(edits: tuple[Edit, ...], result: bytes) -> None:
    """What an edit names changes, and every other octet stays."""
    assert apply(MESSAGE, edits) == result


@pytest.mark.parametrize("index", [0, 3, -1])
def test_a_field_that_is_not_there(index: int) -> None:
    """An edit that does not fit is an error, never a guess."""
    with pytest.raises(EditError):
        apply(MESSAGE, [ChangeHeader(b"Subject", index, b"")])
    with pytest.raises(EditError):
        apply(MESSAGE, [RemoveHeader(b"Subject", index)])


def test_a_new_field_ends_as_the_message_does() -> None:
    """LF where that is LF; and a message of nothing gets CRLF."""
    assert apply(b"X: y\n\nbody\n", [InsertHeader(b"A", b" 1\n 2")]) == b"A: 1\n 2\nX: y\n\nbody\n"
    assert apply(b"", [InsertHeader(b"A", b" 1")]) == b"A: 1\r\n"
