"""How much of a long piece of work goes into one transaction, and how long the lock is free after it.

In:  the work, as a function of how many rows. Out: what it returns. Touches: the clock that measures time; it sleeps.
Fails: as the work does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic as _monotonic
from time import sleep as _sleep

BATCH_SECONDS = 0.02
_FIRST_BATCH = 100
_LARGEST_BATCH = 20_000
_REST = 3.0  # a writer that finds the lock taken looks again after 1, 2, 5, 10, 15 ... ms: let it find the lock free


@dataclass(slots=True)
class Pace:
    """How much goes into one transaction, so that it takes about BATCH_SECONDS on this disk, and the rest after it."""

    size: int = field(default_factory=lambda: _FIRST_BATCH)

    def step(self, work: Callable[[int], int]) -> int:
        """Do `work` with the present size, rest, and return what it returned: how many rows it found, 0 at the end."""
        start = _monotonic()
        found = work(self.size)
        took = _monotonic() - start
        if found:
            wanted = self.size * BATCH_SECONDS / max(took, BATCH_SECONDS / 4)
            self.size = int(min(max(wanted, self.size / 4, 1), _LARGEST_BATCH))
            _sleep(took * _REST)
        return found
