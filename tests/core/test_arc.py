"""The ARC set, verified by dkimpy and by Mail::DKIM."""

import re

import dkim
import pytest

from notes2conf_milter.core.arc import Result, arc_set
from notes2conf_milter.core.edits import InsertHeader, apply
from notes2conf_milter.core.signing import ARC_SIGNATURE, unsigned
from tests.core.test_signing import MESSAGE, NOW
from tests.signatures import key, mail_dkim, records

KEY = key("gateway.example")
SEEN = (Result("pass", "customer.example", "s1"), Result("fail"))


def sealed(message: bytes, results: tuple[Result, ...] = SEEN) -> bytes:
    (signature,) = unsigned(message, (KEY.name,), NOW, ARC_SIGNATURE, "i=1")
    return apply(message, [InsertHeader(*one) for one in arc_set(results, signature, NOW, KEY.sign)])


def chain(message: bytes) -> bytes | None:
    """What dkimpy says of the chain: pass, fail or none."""
    known = records(KEY)
    return dkim.ARC(message).verify(dnsfunc=lambda name, timeout=5: known.get(name.decode().rstrip(".")))[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("results", [SEEN, SEEN[:1], ()])
def test_the_chain_is_valid(results: tuple[Result, ...]) -> None:
    """The seal is on top, then the signature, then the results."""
    message = sealed(MESSAGE, results)
    assert chain(message) == b"pass"
    assert mail_dkim(message, records(KEY)) == ["arc pass"]
    names = re.findall(rb"^(ARC-[A-Za-z-]+): ", message, re.MULTILINE)
    assert names == [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"]
    assert chain(MESSAGE) == b"none"


@pytest.mark.parametrize(
    "change",
    [
        (b"dkim=pass", b"dkim=fail"),
        (b"header.d=customer", b"header.d=customer2"),
        (b"cv=none", b"cv=pass"),
        (b"Subject:", b"Subject: x"),
        (b"Some  text", b"Some text"),
    ],
)
def test_nobody_changes_what_was_seen(change: tuple[bytes, bytes]) -> None:
    message = sealed(MESSAGE)
    assert change[0] in message
    assert chain(message.replace(*change)) == b"fail"
    assert mail_dkim(message.replace(*change), records(KEY)) == ["arc fail"]


def test_what_is_said() -> None:
    """RFC 8617 §4.1.1, RFC 8601: who says it, each signature, and that there was no chain."""
    field = re.search(rb"ARC-Authentication-Results: (.*?)\r\n(?=From)", sealed(MESSAGE), re.DOTALL)
    assert field is not None
    assert re.sub(rb"\s+", b" ", field[1]) == (
        b"i=1; gateway.example; dkim=pass header.d=customer.example header.s=s1; dkim=fail; arc=none"
    )
    assert b";\r\n dkim=none;\r\n arc=none\r\n" in sealed(MESSAGE, ())
