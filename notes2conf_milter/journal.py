"""Standard error as the log: single lines at once, the one line of each message together with those around it.

In:  log records (`logging`), and lines that need no record (`note`). Out: lines on a stream, in their order.
Notes wait for a twentieth of a second or for 64 of them, and go out before any record: one write for many messages, and
a tenth of the work that `logging` does for each. Who kills the process by SIGKILL may lose the last of them.
Fails: never; a log that cannot be written does not stop mail.
"""

import asyncio
import contextlib
import logging
import threading
from typing import TextIO

FORMAT = "%(levelname)s %(name)s: %(message)s"
_NOTES = 64
_SECONDS = 0.05


class Journal(logging.StreamHandler[TextIO]):
    """The handler. `note` is for the thread of the running event loop; records may come from any."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(logging.Formatter(FORMAT))
        self._notes: list[str] = []
        self._taking = threading.Lock()  # records of other threads flush, too

    def note(self, logger: logging.Logger, text: str) -> None:
        """Log a line of level INFO, soon; logger: under whose name, and only if it logs that level."""
        if not logger.isEnabledFor(logging.INFO):
            return
        if not self._notes:
            asyncio.get_running_loop().call_later(_SECONDS, self.flush)
        with self._taking:
            self._notes.append(f"INFO {logger.name}: {text}\n")
        if len(self._notes) >= _NOTES:
            self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, after the notes that came before it."""
        self.flush()
        super().emit(record)

    def flush(self) -> None:
        """Write what waits."""
        with self._taking:
            notes, self._notes = self._notes, []
        with contextlib.suppress(OSError, ValueError):  # gone, or closed
            if notes:
                self.stream.write("".join(notes))
            super().flush()
