"""The purge: what is over leaves the database, its file, its WAL; once a day yesterday's copies lose their key.

In:  the database, the epoch file, the time. Out: `PurgeResult`. Holds neither the mail key nor a link.
Fails: StoreSetupError (files missing or too open), StoreError (cannot now); the next run goes on where this one
stopped.

Deleting is not enough. secure_delete zeroes deleted cells, but where SQLite has moved cells between pages it leaves
copies in the old page (of up to three in a thousand rows, measured); VACUUM writes every page anew, and the
truncation of the WAL drops the older pages there. Both happen in every run while the database bears a deletion mark
(database.py), which is taken away when both are done: so a run that crashed, or met a reader, is made up for by the
next one, and a run that finds nothing to do rewrites nothing.
"""

import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

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

BATCH = 500
_TRIES = 5
_PAUSE = 0.2  # seconds
_TRY_MILLISECONDS = 250  # a checkpoint that waits for a reader keeps writers waiting


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
        deleted = delete_expired(db, now)
        rotation = rotate(db, epoch, now, force_rotate)
        return PurgeResult(deleted, rotation.resealed, rotation.damaged, rotation.rotated, rewrite(db))
    finally:
        db.close()


def delete_expired(db: Database, now: int) -> int:
    """Delete the meetings that are over, their links with them, in short transactions.

    Return how many meetings. Raises StoreError.
    """
    deleted = 0
    while True:
        with writing(db):
            sql = "delete from meeting where id in (select id from meeting where expires_at <= ? limit ?)"
            count = db.execute(sql, [now, BATCH]).rowcount
            if count:
                mark_deletion(db)
        deleted += count
        if count < BATCH:
            return deleted


def rewrite(db: Database) -> bool:
    """Write the file anew and empty the WAL if anything was deleted; say whether nothing of that is left there.

    Raises StoreError (a damaged file).
    """
    mark = deletion_mark(db)
    if not mark:
        return True
    with failures():
        done = _rewrite(db)
    if done:
        with suppress(
            StoreError
        ):  # another process writes just now: the next run does it all again, for the mark stays
            clear_deletion_mark(db, mark)
            _truncate(db)
    return done


def _rewrite(db: Database) -> bool:
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE)
        try:
            db.vacuum()
            return _truncate(db)
        except sqlite3.OperationalError:
            continue  # locked, or no room for the copy: the caller says so
    return False


def _truncate(db: Database) -> bool:
    db.execute(f"PRAGMA busy_timeout={_TRY_MILLISECONDS}").fetchall()
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE)
        busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0][0]
        if not busy:
            return True
    return False
