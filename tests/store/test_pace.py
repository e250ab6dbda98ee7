"""The pace: batches as large as the disk allows, and a rest after each that is longer than the batch."""

import pytest

from notes2conf_milter.store import pace
from notes2conf_milter.store.pace import BATCH_SECONDS, Pace


class Disk:
    """A clock, and work that takes its time for each row."""

    def __init__(self, seconds: float) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.sizes: list[int] = []
        self.rests: list[float] = []

    def work(self, size: int) -> int:
        self.sizes.append(size)
        self.now += size * self.seconds
        return size


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(0.0)
    monkeypatch.setattr(pace, "_monotonic", lambda: disk.now)
    monkeypatch.setattr(pace, "_sleep", disk.rests.append)
    return disk


@pytest.mark.parametrize("seconds", [0.00001, 0.0002, 0.01])
def test_a_batch_comes_to_take_what_it_should(clock: Disk, seconds: float) -> None:
    clock.seconds = seconds
    steps = Pace()
    for _ in range(20):
        assert steps.step(clock.work) == clock.sizes[-1]
    assert clock.sizes[-1] * seconds <= BATCH_SECONDS * 1.01
    assert clock.sizes[-1] * seconds >= BATCH_SECONDS / 2
    assert all(rest >= 2 * size * seconds for rest, size in zip(clock.rests, clock.sizes, strict=True))


def test_one_row_is_the_least(clock: Disk) -> None:
    clock.seconds = 60
    steps = Pace()
    for _ in range(9):
        steps.step(clock.work)
    assert clock.sizes[-1] == 1


def test_a_batch_does_not_grow_beyond_bounds(clock: Disk) -> None:
    steps = Pace()
    for _ in range(20):
        steps.step(clock.work)
    assert clock.sizes[-1] == clock.sizes[-2] == 20_000


def test_at_the_end_there_is_no_rest(clock: Disk) -> None:
    assert Pace().step(lambda _: 0) == 0
    assert not clock.rests
