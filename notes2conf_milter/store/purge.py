"""The purge: what is over leaves the database, its file, its WAL; once a day yesterday's copies lose their key.

In:  the database, the epoch file, the time. Out: `PurgeResult`. Holds neither the mail key nor a link.
Fails: StoreSetupError (files missing or too open), StoreError (cannot now); the next run goes on where this one
stopped.

What is over is deleted by moving everything else away from it (generations.py); then the WAL, which holds the former
pages, is truncated. Both happen in every run that finds something over, or a deletion mark (database.py), which is taken
away when both are done: so a run that crashed, or met a reader, is made up for by the next one, and a run that finds
nothing to do rewrites nothing.

One purge runs at a time. While it runs, messages wait for the lock no longer than a batch takes.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from notes2conf_milter.store import generations
from notes2conf_milter.store.database import (
    BUSY_SECONDS,
    clear_deletion_mark,
    deletion_mark,
    failures,
    mark_deletion,
    open_database,
    writing,
)
from notes2conf_milter.store.epoch import EpochFile
from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.store.rotation import rotate

_TRIES = 10
_PAUSE = 0.2  # seconds
_TRY_MILLISECONDS = 50  # a checkpoint that waits for a reader keeps writers waiting


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What a purge did.

    deleted: meetings; resealed: rows under a new epoch; damaged: rows that could not be, which nobody can open any more;
    rotated: an epoch was destroyed.
    truncated: nothing of what was deleted is in the file or the WAL, which were rewritten and emptied if need be; False
    when another process was in the way, or the disk full: octets may still be there until a later run succeeds.
    """

    deleted: int
    resealed: int
    damaged: int
    rotated: bool
    truncated: bool


def purge(
    database: Path, epoch: EpochFile, now: int, force_rotate: bool = False, busy_seconds: float = BUSY_SECONDS
) -> PurgeResult:
    """Delete the meetings that are over, rotate the epoch when it is due, rewrite the file if need be.

    now: seconds since 1970 UTC. Raises StoreSetupError or StoreError.
    """
    epoch.check()
    db = open_database(database, busy_seconds)
    try:
        with _alone(database):
            with failures():
                if generations.due(db, now):
                    with writing(db):
                        mark_deletion(db)
            rotation = rotate(db, epoch, now, force_rotate)
            deleted, truncated = rewrite(db, now)
            return PurgeResult(deleted, rotation.resealed, rotation.damaged, rotation.rotated, truncated)
    finally:
        db.close()


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Hold the folder's lock, which purges alone take; raises StoreError when another one has it."""
    folder = os.open(database.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StoreError("another purge is running") from None
    finally:
        os.close(folder)


def rewrite(db: Database, now: int) -> tuple[int, bool]:
    """Move what lives and empty the WAL if there is a deletion mark.

    Return how many meetings were over, and whether nothing of what was deleted is left. Raises StoreError (a damaged
    file). now: seconds since 1970 UTC.
    """
    mark = deletion_mark(db)
    if not mark:
        return 0, True
    with failures():
        try:
            over = generations.renew(db, now)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_FULL":
                raise
            return 0, False  # no room for it: the next run goes on
        if not _truncate(db):
            return over, False
    with suppress(StoreError):  # another process writes just now: the next run does it all again, for the mark stays
        clear_deletion_mark(db, mark)
        with failures():
            _truncate(db)
    return over, True


def _truncate(db: Database) -> bool:
    db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()  # most of it, while others write
    (patience,) = db.execute("PRAGMA busy_timeout").fetchone()
    db.execute(f"PRAGMA busy_timeout={_TRY_MILLISECONDS}").fetchall()
    try:
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE)
            busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0][0]
            if not busy:
                return True
        return False
    finally:
        db.execute(f"PRAGMA busy_timeout={patience}").fetchall()
