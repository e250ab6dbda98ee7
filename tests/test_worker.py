"""One worker by itself: it ends with the other side, and says nothing of a message that it fails at."""

import socket
import subprocess
import sys
import time

import pytest

from notes2conf_milter import worker
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.policy import PolicySettings
from notes2conf_milter.core.verdict import Reason
from notes2conf_milter.core.work import Judged, WorkSettings
from notes2conf_milter.worker import Budget
from tests.invitations import BASE_URL, invitation

SETTINGS = WorkSettings(BASE_URL, PolicySettings(frozenset({"example.org"})), "en", 730 * 86400)
ANNA = Envelope(Door.MILTER, b"anna@example.org")


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> worker._Desk:
    """A desk in this process, whose memory is not bounded."""
    monkeypatch.setattr(worker, "_bound_memory", lambda more: None)
    return worker._Desk(SETTINGS, Budget())


def test_it_ends_when_its_service_is_gone() -> None:
    """However that ended: the socket is closed, and the worker's exit code is 0."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "notes2conf_milter.worker", str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
    ours.close()
    assert (process.wait(30), process.stderr and process.stderr.read()) == (0, b"")


def test_it_answers(desk: worker._Desk) -> None:
    """What core.work says."""
    status, answer = desk.answer(("judge", ANNA, 1_772_500_000), invitation())
    assert (status, type(answer)) == ("ok", Judged)
    assert desk.answer(("judge", ANNA, 1_772_500_000), b"Subject: x\r\n\r\n") == ("ok", Reason.NO_CALENDAR)


def test_an_unforeseen_error_is_told_without_its_text(desk: worker._Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its type and its places; the text may quote the message."""

    def failing(*_: object) -> None:
        raise RuntimeError("Secret plan of anna@example.org")

    monkeypatch.setattr(worker, "judge", failing)
    status, answer = desk.answer(("judge", ANNA, 0), invitation())
    assert status == "failed"
    assert answer.startswith("RuntimeError at failing:")
    assert "Secret" not in answer
    assert "anna" not in answer


def test_the_budget_is_for_both_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reading took is not there for rewriting any more; and the memory is bounded once, before the message is read."""
    bounded = []
    monkeypatch.setattr(worker, "_bound_memory", bounded.append)
    desk = worker._Desk(SETTINGS, Budget(cpu=1.4))
    judge = worker.judge

    def burning(seconds: float) -> None:
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass

    def slow_judge(*given: object) -> object:
        burning(1)  # far from both bounds: a busy machine's kernel counts a process's time only roughly
        return judge(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "judge", slow_judge)
    monkeypatch.setattr(worker, "change", lambda *_: burning(1))
    assert desk.answer(("judge", ANNA, 1_772_500_000), invitation())[0] == "ok"
    assert desk.answer(("change", "a" * 32), b"") == ("over", "CPU time")
    assert len(bounded) == 1
    assert desk.answer(("judge", ANNA, 1_772_500_000), invitation())[0] == "ok"  # the next message has its own


def test_want_of_memory_is_over_the_budget(desk: worker._Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an error in the message."""

    def failing(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(worker, "judge", failing)
    assert desk.answer(("judge", ANNA, 0), invitation()) == ("over", "memory")
