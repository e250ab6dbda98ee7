"""Which signatures of a message may be valid, and whether a key says so: the same answers as dkimpy's own verifier."""

import re

import pytest

from notes2conf_milter.core.carried import Candidate, candidates, carried, related, tags
from notes2conf_milter.dkim.verify import verifies
from tests.core.test_signing import MESSAGE, signed
from tests.signatures import key, keys, records, sign, verified

NOW = 1_772_436_600
SERVER = key(selector="server")
RECORD = SERVER.record.encode()
SIGNED = sign(MESSAGE)


def found(message: bytes, now: int = NOW) -> tuple[Candidate, ...]:
    return candidates(message, lambda domain: True, now)[0]


@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
@pytest.mark.parametrize("length", [False, True])
def test_every_form_of_signature_is_known(header: bytes, body: bytes, length: bool) -> None:
    """All canonical forms, with and without l=; CRLF or LF."""
    message = sign(MESSAGE, canonicalize=(header, body), length=length)
    for octets in (message, message.replace(b"\r\n", b"\n")):
        (one,) = found(octets)
        assert verifies(one, RECORD)
        assert verified(octets, records(SERVER)) == [("example.org", True)]
    more = message + b"added\r\n"
    assert len(found(more)) == length  # what l= does not cover
    spoilt = message.replace(b"Subject:", b"Subject: Re:")
    (one,) = found(spoilt)
    assert not verifies(one, RECORD)


def test_our_own_signatures_are_among_them() -> None:
    """Ed25519, too."""
    one, other = found(signed(MESSAGE))
    rsa, ed25519 = keys()
    assert verifies(one, ed25519.record.encode())
    assert verifies(other, rsa.record.encode())
    assert not verifies(one, rsa.record.encode())
    assert not verifies(other, ed25519.record.encode())
    assert (one.record, other.record) == ("e._domainkey.example.org", "r._domainkey.example.org")


@pytest.mark.parametrize(
    ("tag", "value", "sound"),
    [
        (b"v", b"2", False),
        (b"a", b"rsa-sha1", False),  # RFC 8301
        (b"a", b"dsa", False),
        (b"c", b"relaxed/odd", False),
        (b"b", b"!!!", False),
        (b"bh", b"", False),
        (b"d", b"", False),
        (b"d", b"exa mple.org", False),
        (b"d", "b\u00fccher.example".encode(), False),
        (b"s", b"", False),
        (b"h", b"to:subject", False),
        (b"i", b"eve@example.com", False),
        (b"i", b"@mail.example.org", True),
        (b"q", b"dns/txt", True),
        (b"q", b"http", False),
        (b"t", b"yesterday", False),
        (b"x", b"%d" % (NOW - 1), False),
        (b"x", b"%d" % NOW, True),
        (b"l", b"-1", False),
        (b"l", b"9" * 13, False),
        (b"zz", b"what nobody knows", True),
    ],
)
def test_what_is_no_sound_signature(tag: bytes, value: bytes, sound: bool) -> None:
    """RFC 6376 §6.1.1: whoever sees that takes it for none, without a key."""
    field = re.search(rb"DKIM-Signature:(.*?)\r\n(?=From)", SIGNED, re.DOTALL)
    assert field is not None
    said = tags(field[1])
    assert said is not None
    text = b"; ".join(name + b"=" + octets for name, octets in ({**said, tag: value}).items())
    assert len(found(b"DKIM-Signature: " + text + b"\r\n" + MESSAGE)) == sound


@pytest.mark.parametrize(
    "value", [b"", b"v=1", b"v=1; v=1; d=example.org", b"; = ;", b"v=1; d", b"\xff\xfe=1", b"d=example.org;;"]
)
def test_a_field_that_is_no_list_of_tags(value: bytes) -> None:
    """Is carried, and no candidate."""
    message = b"DKIM-Signature: " + value + b"\r\n" + MESSAGE
    assert found(message) == ()
    (one,) = carried(message)
    assert one.index == 1


def test_an_empty_message_has_none() -> None:
    assert found(b"") == carried(b"") == ()
    assert found(b"DKIM-Signature: v=1") == ()


def test_whose_domains_belong_together() -> None:
    assert related("example.org", "example.org")
    assert related("mail.example.org", "example.org")
    assert related("example.org", "mail.example.org")
    assert not related("badexample.org", "example.org")
    assert not related("example.com", "example.org")
