"""Real invitations: every message has an answer, and what is rewritten differs in nothing but the insertion list.

The corpus lies beside the checkout and is no part of it; without it these tests are skipped, in CI they fail.
"""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import icalendar
import pytest

from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.invitation import Cancellation, Invitation, read
from notes2conf_milter.core.mending import mend
from notes2conf_milter.core.rewrite import meant, rewrite
from notes2conf_milter.core.selfcheck import check
from notes2conf_milter.core.transfer import decode
from notes2conf_milter.core.verdict import Reason
from tests.corpus import CORPUS, case, in_every_encoding, messages, table
from tests.golden import Case, through_core, through_milter_door, through_smtp_door
from tests.invitations import ALL_ON, job
from tests.otherparsers import Properties, by_ical_js, by_libical

INSERTED = {b"LOCATION", b"DESCRIPTION", b"CONFERENCE", b"X-ALT-DESC", b"STYLED-DESCRIPTION"}
needed = pytest.mark.skipif(
    not CORPUS.is_dir() and os.environ.get("CI") != "true", reason="no corpus beside the checkout"
)


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
    """Each is an invitation, a cancellation or a reason, and there are plenty of each."""
    assert CORPUS.is_dir(), "CI needs the corpus"
    answers = [read(octets) for octets in in_every_encoding().values()]
    assert all(isinstance(answer, Invitation | Cancellation | Reason) for answer in answers)
    assert sum(isinstance(answer, Invitation) for answer in answers) > 100
    assert sum(isinstance(answer, Cancellation) for answer in answers) > 10
    assert len({answer for answer in answers if isinstance(answer, Reason)}) > 5


@needed
@pytest.mark.parametrize("language", ["en", "de"])
def test_what_is_rewritten_differs_only_as_meant(language: str) -> None:
    """The self-check agrees, again is the same, other properties are equal, and icalendar parses what it parsed before."""
    wanted, wrong = job(language=language), []
    for name, octets in in_every_encoding().items():
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
def test_nothing_is_repaired_that_nobody_would_call_broken() -> None:
    """No invitation of the corpus has a fault: none of them is edited beyond its link with every repair switched on."""
    found = {name: read(octets) for name, octets in messages().items()}
    mendings = {name: mend(messages()[name], one, ALL_ON) for name, one in found.items() if isinstance(one, Invitation)}
    assert {name: list(map(str, one.repairs)) for name, one in mendings.items() if one.repairs} == {}
    assert len(mendings) > 100


@needed
def test_the_wrapping_of_this_test_loses_nothing() -> None:
    """Base64 and quoted-printable carry the calendars whole, so that what was compared above is theirs."""
    for name, octets in in_every_encoding().items():
        kind = name.rpartition(" ")[2]
        if kind in ("base64", "quoted-printable"):
            decoded = decode(octets.partition(b"\r\n\r\n")[2], kind.encode())
            plain = in_every_encoding()[name.removesuffix(kind) + "8bit"].partition(b"\r\n\r\n")[2]
            assert decoded is not None
            assert re.sub(rb"[ \t]*\r*\n", b"\n", decoded).strip() == re.sub(rb"[ \t]*\r*\n", b"\n", plain).strip()


# --- other parsers ---


@needed
@pytest.mark.parametrize("read_all", [by_ical_js, by_libical])
def test_other_parsers_find_the_same_but_for_the_link(read_all: Callable[[list[str]], list[Properties | None]]) -> None:
    """They read what they read before, and every property outside the insertion list is equal before and after."""
    names, before, after = [], [], []
    for name, octets in in_every_encoding().items():
        found = read(octets)
        if isinstance(found, Invitation):
            again = read(apply(octets, rewrite(octets, found, job())))
            assert isinstance(again, Invitation)
            for one, other in zip(found.copies, again.copies, strict=True):
                names.append(name)
                before.append(one.charset.decode(one.octets))
                after.append(other.charset.decode(other.octets))
    changed = list(zip(names, read_all(before), read_all(after), strict=True))
    assert [name for name, one, other in changed if one != other] == []
    assert sum(one is not None for _, one, _ in changed) > 250


# --- verdicts, and every door ---


@needed
def test_the_table_names_every_file() -> None:
    """What was decided about each was reviewed; a new file has to be looked at."""
    assert list(table()) == list(messages())


@needed
def test_verdict_and_reason_are_those_that_were_reviewed() -> None:
    """From its own organizer, before it is over: see tests/corpus.tsv."""
    found = {name: through_core(case(name), octets)[0] for name, octets in messages().items()}
    decided = {name: (outcome.verdict.value, outcome.reason.value) for name, outcome in found.items()}
    assert {name: (decided[name], wanted) for name, wanted in table().items() if decided[name] != wanted} == {}


@needed
def test_both_doors_give_what_the_core_gives(tmp_path: Path) -> None:
    """Octet for octet, rewritten or not; a message without a final line end gets the one that SMTP owes."""
    wrong = []
    for name in messages():
        one = case(name)
        if not one.message.endswith(b"\r\n"):
            one = Case(name, one.message + b"\r\n", b"", one.facts)
        _, expected = through_core(one, one.message)
        wrong += [f"{name}: milter door"] * (asyncio.run(through_milter_door(one, tmp_path)) != expected)
        wrong += [f"{name}: SMTP door"] * (asyncio.run(through_smtp_door(one)) != expected)
    assert wrong == []
