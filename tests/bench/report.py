"""What the benchmarks print: a figure, what it is measured against, and whether it is reached. Also what processes use.

Ratios are medians of rounds measured side by side in one run, with their range; absolute figures are of this machine alone.
"""

import statistics
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


class Report:
    """Prints lines; remembers what was missed."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def section(self, title: str) -> None:
        print(f"\n== {title}", flush=True)

    def note(self, text: str) -> None:
        print(f"   {text}", flush=True)

    def at_least(self, what: str, values: Sequence[float], target: float, unit: str = "") -> None:
        self._line(what, values, f"at least {target:g}{unit}", statistics.median(values) >= target, unit)

    def at_most(self, what: str, values: Sequence[float], target: float, unit: str = "") -> None:
        self._line(what, values, f"at most {target:g}{unit}", statistics.median(values) <= target, unit)

    def _line(self, what: str, values: Sequence[float], target: str, reached: bool, unit: str) -> None:
        spread = f" [{min(values):.3g}-{max(values):.3g}]" if len(values) > 1 else ""
        line = f"{what}: {statistics.median(values):.3g}{unit}{spread}, wanted {target}"
        print(f"{'  ' if reached else '! '} {line}{'' if reached else '  NOT REACHED'}", flush=True)
        if not reached:
            self.missed.append(line)


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [pid, *(below for child in found for below in tree(int(child)))]


def cpu(pids: Sequence[int]) -> float:
    """Seconds of CPU time so far, to the nanosecond: /proc counts in hundredths, and a round may take six of them."""
    total = 0.0
    for pid in pids:
        clock = ~pid << 3 | 2  # clock_getcpuclockid(3): the CPU clock of a process with all its threads
        with suppress(OSError):
            total += time.clock_gettime(clock)
    return total


def memory(pids: Sequence[int]) -> float:
    """Megabytes that are resident now."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
        except OSError:
            continue
        total += int(text.partition("VmRSS:")[2].split()[0])
    return total * 1024 / 1e6


class Peak:
    """The most megabytes that processes had resident at one time, looked at every few milliseconds while the block runs."""

    def __init__(self, pids: Sequence[int]) -> None:
        self.idle = self.most = memory(pids)
        self._pids, self._over = pids, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.003):
            self.most = max(self.most, memory(self._pids))
