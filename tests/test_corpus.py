"""Real invitations: every message has an answer, and what is rewritten differs in nothing but the insertion list.

The corpus lies beside the checkout and is no part of it; without it these tests are skipped, in CI they fail.
"""

import base64
import os
import quopri
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

import icalendar
import pytest

from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.invitation import Invitation, read
from notes2conf_milter.core.rewrite import meant, rewrite
from notes2conf_milter.core.selfcheck import check
from notes2conf_milter.core.transfer import decode
from notes2conf_milter.core.verdict import Reason
from tests.invitations import job

CORPUS = Path(__file__).parents[1].parent / "shared" / "corpus"
INSERTED = {b"LOCATION", b"DESCRIPTION", b"CONFERENCE", b"X-ALT-DESC", b"STYLED-DESCRIPTION"}
needed = pytest.mark.skipif(
    not CORPUS.is_dir() and os.environ.get("CI") != "true", reason="no corpus beside the checkout"
)


def wrapped(calendar: bytes, encoding: str) -> bytes:
    """A minimal message around a calendar."""
    method = re.search(rb"(?im)^METHOD:\s*(\w+)", calendar)
    body = calendar
    if encoding == "base64":
        body = base64.encodebytes(calendar).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        body = quopri.encodestring(calendar.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return (
        b"From: anna@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/calendar; charset=UTF-8; method="
        + (method[1] if method else b"REQUEST")
        + b"\r\nContent-Transfer-Encoding: "
        + encoding.encode()
        + b"\r\n\r\n"
        + body
    )


@lru_cache(1)
def corpus() -> dict[str, bytes]:
    """Every message by a name."""
    found = {}
    for path in sorted((CORPUS / "messages").glob("*.eml")):
        octets = path.read_bytes()
        if octets.startswith(b"From "):  # mbox
            octets = octets.partition(b"\n")[2]
        found[path.name] = re.sub(rb"\r?\n", b"\r\n", octets)
    for path in sorted((CORPUS / "calendars").glob("*.ics")):
        for encoding in ("8bit", "base64", "quoted-printable"):
            found[f"{path.name} {encoding}"] = wrapped(path.read_bytes(), encoding)
    return found


def properties(calendar: bytes) -> Counter[tuple[bytes, ...]]:
    """The lines of a calendar, unfolded, by a reader of its own; of VEVENTs without the insertion list."""
    lines: Counter[tuple[bytes, ...]] = Counter()
    inside: list[bytes] = []
    for line in re.sub(rb"\r*\n[ \t]", b"", calendar).replace(b"\r", b"").split(b"\n"):
        name = re.split(rb"[;:]", line, maxsplit=1)[0].upper()
        if name == b"END" and inside:
            inside.pop()
        if not (inside[-1:] == [b"VEVENT"] and name in INSERTED):
            lines[(*inside, line)] += 1
        if name == b"BEGIN":
            inside.append(line.partition(b":")[2].strip().upper())
    return lines


def parses(calendar: bytes) -> bool:
    """Say whether icalendar reads it; it raises much more than ValueError."""
    try:
        icalendar.Calendar.from_ical(calendar)
    except Exception:  # noqa: BLE001 - whatever it raises, it does not parse
        return False
    return True


@needed
def test_every_message_of_the_corpus_has_an_answer() -> None:
    """Each is an invitation or a reason, and there are plenty of both."""
    assert CORPUS.is_dir(), "CI needs the corpus"
    answers = [read(octets) for octets in corpus().values()]
    assert all(isinstance(answer, Invitation | Reason) for answer in answers)
    assert sum(isinstance(answer, Invitation) for answer in answers) > 100
    assert len({answer for answer in answers if isinstance(answer, Reason)}) > 5


@needed
@pytest.mark.parametrize("language", ["en", "de"])
def test_what_is_rewritten_differs_only_as_meant(language: str) -> None:
    """The self-check agrees, again is the same, other properties are equal, and icalendar parses what it parsed before."""
    wanted, wrong = job(language=language), []
    for name, octets in corpus().items():
        found = read(octets)
        if not isinstance(found, Invitation):
            continue
        result = apply(octets, rewrite(octets, found, wanted))
        complaint = check(octets, result, meant(found, wanted))
        again = read(result)
        if complaint is not None or not isinstance(again, Invitation):
            wrong.append(f"{name}: {complaint}")
            continue
        if rewrite(result, again, wanted):
            wrong.append(f"{name}: not the same again")
        for one, other in zip(found.copies, again.copies, strict=True):
            if properties(one.octets) != properties(other.octets):
                wrong.append(f"{name}: another property")
            if language == "en" and parses(one.octets) and not parses(other.octets):
                wrong.append(f"{name}: no longer parsed")
    assert wrong == []


@needed
def test_the_wrapping_of_this_test_loses_nothing() -> None:
    """Base64 and quoted-printable carry the calendars whole, so that what was compared above is theirs."""
    for name, octets in corpus().items():
        kind = name.rpartition(" ")[2]
        if kind in ("base64", "quoted-printable"):
            decoded = decode(octets.partition(b"\r\n\r\n")[2], kind.encode())
            plain = corpus()[name.removesuffix(kind) + "8bit"].partition(b"\r\n\r\n")[2]
            assert decoded is not None
            assert re.sub(rb"[ \t]*\r*\n", b"\n", decoded).strip() == re.sub(rb"[ \t]*\r*\n", b"\n", plain).strip()
