"""Every golden message through the core, the milter door and the SMTP door, with equal octets.

`UPDATE_GOLDEN=1 pytest tests/test_golden.py` writes out.eml anew, to be read and reviewed like code. On failure what came out
lies beside as out.eml.got.
"""

import asyncio
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.envelope import Door
from notes2conf_milter.core.joinlink import own_join_link
from notes2conf_milter.core.verdict import Outcome, Verdict
from tests.golden import (
    BASE_URL,
    JOIN,
    MESSAGES,
    Case,
    answer,
    cases,
    flow_for,
    through_core,
    through_milter_door,
    through_smtp_door,
)
from tests.signatures import FIELD, keys, opendkim, records, verified

CASES = cases()
KEYS = keys()
REWRITTEN = [case for case in CASES if case.facts["verdict"] == "rewrite"]
every = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
rewritten = pytest.mark.parametrize("case", REWRITTEN, ids=lambda case: case.name)


def compare(case: Case, got: bytes) -> None:
    """Fail with what came out beside the golden message."""
    beside = MESSAGES / case.name / "out.eml.got"
    if got == case.expected:
        beside.unlink(missing_ok=True)
        return
    beside.write_bytes(got)
    pytest.fail(f"{case.name}: not the octets of out.eml; see {beside.name} beside it")


@every
def test_core_gives_the_verdict_and_the_octets(case: Case) -> None:
    """Verdict, reason, what is said of repairs, and octets are those that were reviewed."""
    outcome, got = through_core(case, case.message)
    assert (outcome.verdict.value, outcome.reason.value) == (case.facts["verdict"], case.facts["reason"])
    assert list(map(str, outcome.repairs)) == case.facts.get("repairs", [])
    if os.environ.get("UPDATE_GOLDEN") and outcome.edits:
        (MESSAGES / case.name / "out.eml").write_bytes(got)
        return
    compare(case, got)


@every
def test_milter_door_gives_the_same_octets(case: Case, tmp_path: Path) -> None:
    """What an MTA has after replaying the milter's edits is the golden message."""

    # Postfix takes a bare LF for a line end and hands milters CRLF.
    sent = case.message if b"\r\n" in case.message else case.message.replace(b"\n", b"\r\n")
    got = asyncio.run(through_milter_door(replace(case, message=sent), tmp_path))
    if sent == case.message:
        compare(case, got)
    else:
        assert got == through_core(case, sent)[1]


@every
def test_smtp_door_gives_the_same_octets(case: Case) -> None:
    """What the next hop gets is the golden message, with the final line end that SMTP owes (RFC 5321 §4.1.1.4)."""
    sent = case.message if case.message.endswith(b"\r\n") else case.message + b"\r\n"
    _, expected = through_core(case, sent)
    got = asyncio.run(through_smtp_door(replace(case, message=sent)))
    assert got == expected
    if sent == case.message:
        compare(case, got)


@rewritten
def test_a_signed_golden_message_is_the_same_through_every_door(case: Case, tmp_path: Path) -> None:
    """The golden message, below signatures that others find valid; sent again it passes as it is (law 3)."""
    sent = case.message if b"\r\n" in case.message else case.message.replace(b"\n", b"\r\n")
    sent = sent if sent.endswith(b"\r\n") else sent + b"\r\n"
    outcome, got = through_core(case, sent, KEYS)
    if not outcome.edits:
        assert outcome.signed == ()
        return
    assert [key.domain for key in outcome.signed] == ["example.org"] * 2
    assert FIELD.sub(b"", got) == FIELD.sub(b"", through_core(case, sent)[1])
    assert verified(got, records(*KEYS))[:2] == [("example.org", True)] * 2
    assert opendkim(got, records(*KEYS), tmp_path)[:2] == [True, True]
    whole = replace(case, message=sent)
    assert asyncio.run(through_milter_door(whole, tmp_path, keys=KEYS)) == got
    assert asyncio.run(through_smtp_door(whole, keys=KEYS)) == got

    async def again() -> Outcome:
        async with flow_for(case, keys=KEYS) as flow:
            first = await answer(flow, case.envelope(Door.MILTER), sent)
            return await answer(flow, case.envelope(Door.MILTER), apply(sent, first.edits))

    assert asyncio.run(again()).edits == ()


@rewritten
def test_rewriting_again_changes_nothing(case: Case) -> None:
    """Law 3: the rewritten message, sent again, passes as it is."""

    async def run() -> Outcome:
        async with flow_for(case) as flow:
            first = await answer(flow, case.envelope(Door.MILTER), case.message)
            return await answer(flow, case.envelope(Door.MILTER), apply(case.message, first.edits))

    outcome = asyncio.run(run())
    assert outcome.verdict is Verdict.REWRITE
    assert outcome.edits == ()


@rewritten
def test_every_link_in_a_golden_message_is_its_own(case: Case) -> None:
    """No link of another meeting is left in what goes on, once soft line breaks and folds are joined."""
    joined = re.sub(rb"=\r?\n|\r?\n[ \t]", b"", case.expected)
    tokens = {match[1].lower() for match in own_join_link(BASE_URL).finditer(joined)}
    assert tokens <= {JOIN.encode()}
