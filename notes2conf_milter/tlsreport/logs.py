"""Where the log is: the journal of systemd, or a file.

In:  a unit or a file's path, since when. Out: lines, as they are asked for.
Touches: the file; `journalctl`. Fails: LogError with a sentence that says what can be done.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

UNIT = "notes2conf-mail"
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


class LogError(Exception):
    """The log cannot be read."""


def since(text: str, now: float) -> float:
    """Read `30m`, `12h`, `7d`, `2w`, or a date or time in ISO 8601 (this machine's zone where it names none).

    Returns seconds since 1970 UTC; raises ValueError with what is allowed.
    """
    if match := re.fullmatch(r"(\d{1,5})([mhdw])", text.strip()):
        return now - int(match[1]) * _SECONDS[match[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        raise ValueError('allowed is a span as "12h", "7d", "4w", or a date as "2026-11-01"') from None


def file_lines(path: Path) -> Iterator[str]:
    """Return the lines of a file; raises LogError."""
    try:
        with path.open("r", encoding="utf-8", errors="replace") as log:
            yield from log
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from None


def journal_lines(unit: str, start: float | None) -> Iterator[str]:
    """Return the lines of a unit in the journal, each with its time; raises LogError."""
    program = shutil.which("journalctl")
    if program is None:
        raise LogError("there is no journalctl here; name a log file with --file")
    command = [program, "-u", unit, "-o", "short-unix", "--no-pager", "-q"]
    if start is not None:
        command += ["--since", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(start))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None and running.stderr is not None
        for line in running.stdout:
            yield line.decode("utf-8", "replace")
        said = running.stderr.read().decode("utf-8", "replace").strip()
        if running.wait() != 0:
            raise LogError(
                f"journalctl: {said or 'it failed'}; you may have to be root, or name a log file with --file"
            )
