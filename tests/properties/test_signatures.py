"""Signatures of others, whatever they look like: no signature that a receiver would find valid is taken for none."""

import re

import dkim
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notes2conf_milter.core.carried import candidates, carried, tags
from notes2conf_milter.core.signing import Parties, SigningSettings, plan
from notes2conf_milter.dkim.verify import verifies
from tests.core.test_signing import MESSAGE
from tests.signatures import FIELD, key, keys, records, sign, verified

NOW = 1_772_436_600
SERVER = key(selector="server")
RECORD = SERVER.record.encode()
FORMS = [(one, other) for one in (b"simple", b"relaxed") for other in (b"simple", b"relaxed")]
SIGNED = [sign(MESSAGE, SERVER, canonicalize=form) for form in FORMS]
HOUSE = Parties("example.org", "example.org", frozenset({"example.org"}), lambda domain: True)
MORE = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=300)
PIECES = st.sampled_from(
    [b" ", b"\t", b"\r\n ", b"\r\n", b";", b"=", b":", b"b=", b"x=1", b"v=1;", b"zz-z=1;", b"a", b"\xff", b""]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A signed message with a few octets cut out, put in or written over, most of them in the signature."""
    message = draw(st.sampled_from(SIGNED))
    end = len(FIELD.match(message)[0])  # type: ignore[index]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(15, draw(st.sampled_from([end, end, len(message)])) - 1))
        message = message[:at] + draw(PIECES) + message[at + draw(st.integers(0, 3)) :]
    return message


@MORE
@given(damaged())
def test_what_a_receiver_finds_valid_is_found(message: bytes) -> None:
    """Where dkimpy's verifier says valid, so do we."""
    found, more = candidates(message, lambda domain: True, NOW)
    ours = more or any(verifies(one, RECORD) for one in found)
    try:
        theirs = any(good for _, good in verified(message, records(SERVER)))
    except (dkim.DKIMException, ValueError, AssertionError, KeyError, IndexError):
        return  # dkimpy does not take every message
    assert ours or not theirs


@MORE
@given(st.binary(max_size=200), st.lists(st.sampled_from(SIGNED), max_size=2))
def test_any_octets_are_an_answer(octets: bytes, others: list[bytes]) -> None:
    """Law 4: as the value of the field, as a record, as the whole message."""
    message = b"DKIM-Signature:" + octets + b"\r\n" + b"".join(one.partition(MESSAGE)[0] for one in others) + MESSAGE
    for some in (SigningSettings(), SigningSettings(tuple(one.name for one in keys()))):
        for whole in (message, octets, b"DKIM-Signature:" + octets):
            found = plan(whole, whole, HOUSE, some, NOW)
            assert len(found.unsigned) == len(some.keys)
            assert all(1 <= index <= len(carried(whole)) for index in found.removed)
    assert tags(octets) is None or isinstance(tags(octets), dict)
    (one,) = candidates(SIGNED[0], lambda domain: True, NOW)[0]
    assert not verifies(one, octets)
    assert not verifies(one, b"p=" + octets)


@MORE
@given(
    st.lists(
        st.sampled_from([b"From: a@example.org", b"From:", b"To: x\r\n y", b"Subject : s", b"X", b"", b" z"]),
        max_size=8,
    )
)
def test_any_header_can_be_signed(lines: list[bytes]) -> None:
    """Whatever it holds, the fields are named as often as they are there, and once more."""
    message = b"\r\n".join(lines) + b"\r\n\r\nbody\r\n"
    (one,) = plan(message, message, HOUSE, SigningSettings((key().name,)), NOW).unsigned
    names = re.sub(rb"\s", b"", (tags(one.value) or {})[b"h"]).split(b":")
    assert names[0] == b"from"
    assert len(names) >= 5
