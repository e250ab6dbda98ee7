"""Edits applied."""

import pytest

from notes2conf_milter.core.edits import ChangeHeader, EditError, ReplaceBody, apply

MESSAGE = b"Subject: one\r\nX: y\r\nsubject:two\r\n three\r\n\r\nbody\r\n"


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
        ((ReplaceBody(b"new"), ChangeHeader(b"X", 1, b"")), MESSAGE.replace(b" y", b"").replace(b"body\r\n", b"new")),
    ],
)
def test_apply(edits: tuple[ChangeHeader | ReplaceBody, ...], result: bytes) -> None:
    """What an edit names changes, and every other octet stays."""
    assert apply(MESSAGE, edits) == result


@pytest.mark.parametrize("index", [0, 3, -1])
def test_a_field_that_is_not_there(index: int) -> None:
    """An edit that does not fit is an error, never a guess."""
    with pytest.raises(EditError):
        apply(MESSAGE, [ChangeHeader(b"Subject", index, b"")])
