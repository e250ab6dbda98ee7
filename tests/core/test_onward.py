"""The mark on what carries a link."""

import pytest

from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.onward import MARK, mark, marked

MESSAGE = b"Subject: x\r\n\r\nX-Notes2conf-TLS: in the body\r\n"


def test_a_message_is_marked_once() -> None:
    """In the header; a second time changes nothing."""
    once = apply(MESSAGE, mark(MESSAGE))
    assert once == marked(MESSAGE) == b"X-Notes2conf-TLS: required\r\n" + MESSAGE
    assert mark(once) == ()
    assert marked(once) == once


@pytest.mark.parametrize("field", [b"x-notes2conf-tls:no", b"X-NOTES2CONF-TLS: \r\n folded"])
def test_the_name_alone_is_the_mark(field: bytes) -> None:
    """Postfix looks at the name, so no value takes it away, and no second one is needed."""
    assert mark(field + b"\r\n" + MESSAGE) == ()


def test_the_line_end_is_the_messages() -> None:
    """A message with bare LF keeps them alone."""
    assert marked(b"Subject: x\n\nbody\n") == MARK.name + b":" + MARK.value + b"\nSubject: x\n\nbody\n"
