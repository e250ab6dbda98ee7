"""Messages that were made to hurt: each has an answer within the budget of a message, and the next one has its own.

What the answer is, depends on how far a second of this machine goes; that there is one, and what it may cost, does not.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from notes2conf_milter.core.edits import Changes, apply
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.policy import PolicySettings, Trigger
from notes2conf_milter.core.repairs import Mode, Repairs
from notes2conf_milter.core.verdict import Reason
from notes2conf_milter.core.work import WorkSettings
from notes2conf_milter.workers import Budget, OverBudget, Workers
from tests.hostile import HOSTILE
from tests.invitations import BASE_URL, TOKEN, invitation

REPAIRS = Repairs(Mode.ON, Mode.ON)  # they take the most
POLICY = PolicySettings(frozenset({"example.org"}))
BY_KEYWORD = PolicySettings(frozenset({"example.org"}), trigger=Trigger.KEYWORD)
ANNA = Envelope(Door.MILTER, b"anna@example.org")
NOW = 1_772_500_000
MARGIN = 30_000_000  # octets: the message itself, which is there before it is measured
Answer = Reason | Changes | str | None  # None: over the budget

CASES = [("always", name) for name in sorted(HOSTILE)]
CASES += [("keyword", name) for name in sorted(HOSTILE) if "keyword" in name or "subject" in name]


class Bench:
    """One worker, in an event loop that lasts for all messages."""

    def __init__(self, policy: PolicySettings) -> None:
        self.runner = asyncio.Runner()
        self.workers = Workers(WorkSettings(BASE_URL, policy, "en", 730 * 86400, REPAIRS), count=1)

    def answer(self, octets: bytes) -> Answer:
        return self.runner.run(self._answer(octets))

    async def _answer(self, octets: bytes) -> Answer:
        sitting = self.workers.sitting(octets)
        try:
            found = await sitting.judge(ANNA, NOW)
            return found if isinstance(found, Reason) else await sitting.change(TOKEN)
        except OverBudget:
            return None
        finally:
            sitting.end()

    def process(self) -> Path:
        """The worker's folder in /proc; a worker is started when there is none."""
        if not self.workers._free:
            self.answer(invitation())
        return Path("/proc") / str(self.workers._free[0]._process.pid)


@pytest.fixture(scope="module")
def benches() -> Iterator[dict[str, Bench]]:
    made = {"always": Bench(POLICY), "keyword": Bench(BY_KEYWORD)}
    yield made
    for one in made.values():
        one.runner.run(one.workers.close())
        one.runner.close()


def cpu(process: Path) -> float:
    """Seconds of CPU time so far."""
    fields = (process / "stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak(process: Path) -> int:
    """Octets of private memory at most since it was last reset."""
    line = (process / "status").read_text("utf-8").partition("VmHWM:")[2]
    return int(line.split()[0]) * 1024


@pytest.mark.parametrize(("trigger", "name"), CASES)
def test_each_has_an_answer_within_its_budget(benches: dict[str, Bench], trigger: str, name: str) -> None:
    """A second of CPU time and 200 MB; who is over goes on as it came, and the worker is a new one."""
    bench, octets = benches[trigger], HOSTILE[name]()
    process = bench.process()
    (process / "clear_refs").write_text("5")
    before, memory = cpu(process), peak(process)
    answer = bench.answer(octets)
    if answer is None:
        assert not process.exists()  # nothing that it took is left
    else:
        assert (
            cpu(process) - before <= Budget().cpu + 0.5
        )  # a call into C is not interrupted; taking the message in counts here
        assert peak(process) - memory <= Budget().memory + MARGIN
    if isinstance(answer, Changes):
        assert apply(octets, answer.edits(octets)) != octets
    else:
        assert answer is None or isinstance(answer, Reason)  # never the self-check's complaint
    assert isinstance(bench.answer(invitation(b"SUMMARY:@meet")), Changes)
