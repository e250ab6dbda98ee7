"""transaction.py: the octets of a message, within their bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.milter.packets import PacketError
from notes2conf_milter.milter.transaction import Limits, Transaction
from tests.milter.mta import header_run, packet

TEXT = st.binary(max_size=40).map(lambda value: value.replace(b"\0", b"").replace(b"\r", b""))


@given(st.lists(st.tuples(TEXT, TEXT), max_size=8), st.lists(st.binary(max_size=50), max_size=5))
def test_field_by_field_it_is_what_was_sent(fields: list[tuple[bytes, bytes]], chunks: list[bytes]) -> None:
    message = Transaction(Limits(), b"", {})
    for name, value in fields:
        message.add_fields(header_run([(name, value)]))
    header = message.end_header(b":")
    lines = [name + b":" + value + b"\n" for name, value in fields]
    assert header == (b"".join(lines) + b"\n").replace(b"\n", b"\r\n")
    for chunk in chunks:
        message.add_body(chunk)
    assert message.end() == header + b"".join(chunks)


@given(st.lists(st.binary(max_size=12).map(lambda octets: octets.replace(b"x", b"\0")), max_size=5))
def test_a_field_is_two_strings(fields: list[bytes]) -> None:
    message = Transaction(Limits(), b"", {})
    for payload in fields:
        message.add_fields(packet("L", payload))
    if all(payload.count(b"\0") == 2 and payload.endswith(b"\0") for payload in fields):
        message.end_header(b":")
    else:
        with pytest.raises(PacketError):
            message.end_header(b":")


def test_beyond_its_bounds_nothing_is_kept() -> None:
    message = Transaction(Limits(message=100, header=50, recipients=1), b"", {})
    message.add_fields(header_run([(b"a", b"b")]))
    assert message.end_header(b":") == b"a:b\r\n\r\n"
    message.add_body(b"x" * 93)
    assert not message.too_large
    message.add_body(b"x")
    message.add_body(b"")
    assert message.too_large
    assert message.end() == b""
    message.add_recipient(b"one")
    message.add_recipient(b"two")
    assert message.recipients == [b"one"]


def test_authentication_is_a_name_and_no_less() -> None:
    for macros, expected in (({}, False), ({b"{auth_authen}": b""}, False), ({b"{auth_authen}": b"alice"}, True)):
        assert Transaction(Limits(), b"", macros).envelope(None, "").authenticated is expected
