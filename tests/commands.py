"""The real command in a process of its own, for tests: start, read what it says, end it by its id."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

SCRIPT = Path(sys.executable).with_name("notes2conf-milter")
SECONDS = 60.0


class Command:
    """One run of `notes2conf-milter ARGUMENTS…`; killed at the end of the block if it is still there."""

    def __init__(self, *arguments: str) -> None:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed in __exit__
        self.process = subprocess.Popen(
            [SCRIPT, *arguments],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._said = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()

    def read_until(self, pattern: str) -> str:
        """Return standard output so far, once it matches; AssertionError when the process ends or time is up."""
        assert self.process.stdout is not None
        end = time.monotonic() + SECONDS
        while not re.search(pattern, self._said.decode("utf-8", "replace")):
            assert time.monotonic() < end, self._said
            if select.select([self.process.stdout], [], [], 0.5)[0]:
                octets = os.read(self.process.stdout.fileno(), 65536)
                assert octets, (self._said, self.errors())
                self._said += octets
        return self._said.decode()

    def errors(self) -> str:
        """Return standard error so far."""
        self._errors.seek(0)
        return self._errors.read()

    def wait_for_error(self, pattern: str) -> str:
        """Return standard error so far, once it matches; AssertionError when the process ends first or time is up."""
        end = time.monotonic() + SECONDS
        while not re.search(pattern, text := self.errors()):
            assert self.process.poll() is None, text
            assert time.monotonic() < end, text
            time.sleep(0.02)
        return text

    def interrupt(self) -> int:
        """Send SIGINT, as Ctrl-C does, and return the exit code."""
        return self.end(signal.SIGINT)

    def end(self, name: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(name)
        return self.process.wait(SECONDS)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
