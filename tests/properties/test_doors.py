"""The same answer through the core and both doors, however a message comes: whole, in pieces, octet by octet."""

import asyncio
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.golden import Case, through_core, through_milter_door, through_smtp_door
from tests.properties.messages import damaged, messages
from tests.signatures import FIELD, keys, records, verified

MORE = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=30)
FACTS = {
    "now": datetime(2026, 3, 2, tzinfo=UTC),
    "sender": "anna@example.org",
    "recipients": ["bob@example.net"],
    "client": "192.0.2.10",
    "authenticated": False,
    "known": False,
}


def as_sent(octets: bytes) -> bytes:
    """A message as an MTA has it: a header that is one, CRLF, no bare CR, a line end at the end."""
    lines = re.sub(rb"\r+\n|\r|\n", b"\n", octets).split(b"\n")
    header = []
    for line in lines:
        if not (re.match(rb"[!-9;-~]+:", line) or (header and line[:1] in (b" ", b"\t"))):
            break
        header.append(line.replace(b"\0", b""))
    rest = lines[len(header) :]
    body = rest[1:] if rest[:1] == [b""] else rest
    return b"\r\n".join([*(header or [b"X-Nothing: at all"]), b"", *body]).rstrip(b"\r\n") + b"\r\n"


@MORE
@given(messages() | damaged(), st.sampled_from([0, 1, 7]))
def test_every_way_gives_the_same_octets(octets: bytes, piece: int) -> None:
    """Rewritten or not; edits encoded to packets and replayed by an MTA are what `apply` makes of them."""
    case = Case("wild", as_sent(octets), b"", FACTS)
    _, expected = through_core(case, case.message)
    with tempfile.TemporaryDirectory() as folder:
        assert asyncio.run(through_milter_door(case, Path(folder), piece)) == expected
    assert asyncio.run(through_smtp_door(case, singly=piece == 1)) == expected


@MORE
@given(messages() | damaged(), st.sampled_from([0, 7]))
def test_signed_it_is_the_same_and_verifies(octets: bytes, piece: int) -> None:
    """The signatures of every way are equal, valid, and all that there is besides."""
    case = Case("wild", as_sent(octets), b"", FACTS)
    _, plain = through_core(case, case.message)
    outcome, expected = through_core(case, case.message, keys())
    with tempfile.TemporaryDirectory() as folder:
        assert asyncio.run(through_milter_door(case, Path(folder), piece, keys())) == expected
    assert asyncio.run(through_smtp_door(case, keys=keys())) == expected
    if outcome.signed:
        count = len(outcome.signed)
        assert verified(expected, records(*keys()))[:count] == [("example.org", True)] * count
        assert FIELD.sub(b"", expected) == FIELD.sub(b"", plain)
    else:
        assert expected == plain
