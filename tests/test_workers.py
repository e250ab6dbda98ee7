"""Worker processes: they answer as core.work does, stop at their budgets, and may die."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from notes2conf_milter import workers as workers_module
from notes2conf_milter.core.edits import Changes, apply
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.policy import PolicySettings
from notes2conf_milter.core.verdict import Reason
from notes2conf_milter.core.wording import Wording
from notes2conf_milter.core.work import Judged, WorkSettings, change, judge
from notes2conf_milter.workers import Budget, OverBudget, Workers, WorkFailed
from tests.hostile import HOSTILE
from tests.invitations import BASE_URL, TOKEN, invitation

SETTINGS = WorkSettings(BASE_URL, PolicySettings(frozenset({"example.org"})), "en", 730 * 86400)
ANNA = Envelope(Door.MILTER, b"anna@example.org")
NOW = 1_772_500_000
MESSAGE = invitation(b"SUMMARY:Plan")

T = TypeVar("T")


def run(scene: Callable[[Workers], Awaitable[T]], budget: Budget | None = None, count: int = 2) -> T:
    async def play() -> T:
        workers = Workers(SETTINGS, budget, count)
        try:
            return await scene(workers)
        finally:
            await workers.close()

    return asyncio.run(play())


async def both(workers: Workers, octets: bytes) -> Reason | tuple[Judged, Changes | str]:
    """What a sitting says of a message: a reason, or both answers."""
    sitting = workers.sitting(octets)
    found = await sitting.judge(ANNA, NOW)
    try:
        return found if isinstance(found, Reason) else (found, await sitting.change(TOKEN))
    finally:
        sitting.end()


def pids(workers: Workers) -> list[int]:
    return [worker._process.pid for worker in workers._free]


def test_the_answers_are_those_of_the_core() -> None:
    """For an invitation, and for other mail; one process answers both questions."""

    async def scene(workers: Workers) -> tuple[object, object, int]:
        return await both(workers, MESSAGE), await both(workers, b"Subject: x\r\n\r\n"), len(pids(workers))

    found = judge(MESSAGE, ANNA, SETTINGS, NOW)
    assert not isinstance(found, Reason)
    answer, other, processes = run(scene)
    assert answer == (found[1], change(MESSAGE, found[0], SETTINGS, TOKEN))
    assert (other, processes) == (Reason.NO_CALENDAR, 1)


def test_texts_of_the_houses_own_travel_to_the_workers() -> None:
    """They are told once, with the settings."""
    french = Wording("Visioconférence", "{link}", '<a href="{link}">Rejoindre</a>')
    settings = replace(SETTINGS, wordings={**SETTINGS.wordings, "fr": french})

    async def scene() -> object:
        workers = Workers(settings, count=1)
        try:
            return await both(workers, b"Content-Language: fr\r\n" + MESSAGE)
        finally:
            await workers.close()

    answer = asyncio.run(scene())
    assert isinstance(answer, tuple)
    assert answer[0].language == "fr"
    assert any("LABEL=Visioconférence:".encode() in splice.text for splice in answer[1].splices)


def test_messages_at_once_do_not_mix() -> None:
    """More messages than workers; between its questions a worker may have had another message."""

    async def scene(workers: Workers) -> list[object]:
        messages = [MESSAGE.replace(b"uid-1", b"uid-%d" % number) for number in range(20)]
        sittings = [workers.sitting(octets) for octets in messages]
        found = await asyncio.gather(*(sitting.judge(ANNA, NOW) for sitting in sittings))
        changes = await asyncio.gather(*(sitting.change(TOKEN) for sitting in reversed(sittings)))
        for octets, one in zip(messages, reversed(changes), strict=True):
            assert isinstance(one, Changes)
            assert TOKEN.encode() in apply(octets, one.edits(octets)).replace(b"\r\n ", b"")
        return [one.uid for one in found if isinstance(one, Judged)]

    assert run(scene) == [f"uid-{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("budget", "name", "which"),
    [
        (Budget(cpu=0.2), "boundaries-that-almost-are", "CPU time"),
        (Budget(cpu=60, memory=50_000_000), "dashes", "memory"),
        (Budget(cpu=60, memory=4_000_000_000, wall=0.5), "dashes", "time"),
    ],
)
def test_a_budget_that_is_used_up_ends_the_work(budget: Budget, name: str, which: str) -> None:
    """And the next message gets its answer."""

    async def scene(workers: Workers) -> tuple[str, object]:
        with pytest.raises(OverBudget) as raised:
            await both(workers, HOSTILE[name]())
        return str(raised.value), await both(workers, b"Subject: x\r\n\r\n")

    said, after = run(scene, budget)
    assert (said, after) == (which, Reason.NO_CALENDAR)


def test_a_worker_that_dies_is_replaced() -> None:
    """Between messages, and in the middle of one: the question is put again."""

    async def scene(workers: Workers) -> None:
        assert isinstance(await both(workers, MESSAGE), tuple)
        os.kill(pids(workers)[0], signal.SIGKILL)
        sitting = workers.sitting(MESSAGE)
        assert isinstance(await sitting.judge(ANNA, NOW), Judged)
        os.kill(pids(workers)[0], signal.SIGKILL)
        assert isinstance(await sitting.change(TOKEN), Changes)

    run(scene)


def test_a_message_that_kills_every_worker_is_given_up() -> None:
    """After the second one that dies in the middle of it."""

    async def scene(workers: Workers) -> None:
        await asyncio.gather(both(workers, MESSAGE), both(workers, MESSAGE))
        first, second = pids(workers)
        for pid in (first, second):
            os.kill(pid, signal.SIGSTOP)
        asking = asyncio.create_task(both(workers, MESSAGE))
        for pid, left in ((second, [first]), (first, [])):
            while pids(workers) != left:
                await asyncio.sleep(0.01)
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(OverBudget, match="died"):
            await asking
        assert isinstance(await both(workers, MESSAGE), tuple)

    run(scene)


def test_workers_that_died_in_their_rest_are_not_asked() -> None:
    """Both at once, as when the system is short of memory: that says nothing of the next message."""

    async def scene(workers: Workers) -> None:
        await asyncio.gather(both(workers, MESSAGE), both(workers, MESSAGE))
        for worker in list(workers._free):
            os.kill(worker._process.pid, signal.SIGKILL)
            os.waitid(os.P_PID, worker._process.pid, os.WEXITED | os.WNOWAIT)
        assert isinstance(await both(workers, MESSAGE), tuple)

    run(scene)


def test_who_stops_waiting_leaves_the_worker_whole() -> None:
    """A message that was withdrawn is worked on to its end; the next answer is not its answer."""

    async def scene(workers: Workers) -> None:
        first = workers.sitting(HOSTILE["three-hundred-thousand-properties"]())
        asking = asyncio.create_task(first.judge(ANNA, NOW))
        await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert isinstance(await both(workers, MESSAGE), tuple)

    run(scene, count=1)


def test_a_terminal_stops_the_service_and_not_its_workers() -> None:
    """SIGINT and SIGTERM go to the whole group, and a message may be in the middle of its work."""

    async def scene(workers: Workers) -> None:
        await both(workers, MESSAGE)
        (pid,) = pids(workers)
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        assert isinstance(await both(workers, MESSAGE), tuple)
        assert pids(workers) == [pid]

    run(scene)


def test_other_mail_goes_on_meanwhile() -> None:
    """While one worker is busy without end, the next message gets its answer from another."""

    async def scene(workers: Workers) -> None:
        busy = workers.sitting(MESSAGE)
        await busy.judge(ANNA, NOW)
        (pid,) = pids(workers)
        os.kill(pid, signal.SIGSTOP)
        asking = asyncio.create_task(busy.change(TOKEN))
        await asyncio.sleep(0)
        for _ in range(3):
            assert isinstance(await both(workers, MESSAGE), tuple)
        assert not asking.done()
        os.kill(pid, signal.SIGCONT)
        assert isinstance(await asking, Changes)

    run(scene)


def test_where_no_worker_starts_that_is_not_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that is just being replaced: WorkFailed, and the message waits."""
    monkeypatch.setattr(workers_module.sys, "executable", "/bin/false")

    async def scene(workers: Workers) -> None:
        with pytest.raises(WorkFailed):
            await both(workers, MESSAGE)

    run(scene)


def test_a_worker_is_not_told_what_is_for_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the mail key lies, and the socket of systemd."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")

    async def scene(workers: Workers) -> bytes:
        await both(workers, MESSAGE)
        return Path(f"/proc/{pids(workers)[0]}/environ").read_bytes()

    told = run(scene)
    assert b"CREDENTIALS_DIRECTORY" not in told
    assert b"NOTIFY_SOCKET" not in told
    assert b"PATH=" in told
