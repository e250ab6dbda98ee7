"""The purge: what is over leaves the database, its file, its WAL; once a day yesterday's copies lose their key.

In:  the database, the epoch file, the time. Out: `PurgeResult`. Holds neither the mail key nor a link.
Fails: StoreSetupError (files missing or too open), StoreError (cannot now); the next run goes on where this one
stopped.

Deleting is not enough. secure_delete zeroes deleted cells, but where SQLite has moved cells between pages it leaves
copies in the old page (of up to three in a thousand rows, measured); VACUUM writes every page anew, and the
truncation of the WAL drops the older pages there. Both happen on every run, so that nothing needs to be remembered
from one that crashed.
"""

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from notes2conf_milter.store.database import BUSY_SECONDS, open_database, writing
from notes2conf_milter.store.epoch import EpochFile
from notes2conf_milter.store.rotation import rotate

BATCH = 500
_TRIES = 5
_PAUSE = 0.2  # seconds
_TRY_MILLISECONDS = 250  # a checkpoint that waits for a reader keeps writers waiting


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What a purge did.

    deleted: meetings; resealed: rows under a new epoch; damaged: rows that could not be; rotated: an epoch was
    destroyed.
    truncated: the file was rewritten and the WAL emptied; False when another process was in the way, or the disk
    full: octets of what was deleted may still be there until a later run succeeds.
    """

    deleted: int
    resealed: int
    damaged: int
    rotated: bool
    truncated: bool


def purge(
    database: Path, epoch: EpochFile, now: int, force_rotate: bool = False, busy_seconds: float = BUSY_SECONDS
) -> PurgeResult:
    """Delete the meetings that are over, rotate the epoch when it is due, rewrite the file, truncate the WAL.

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
        deleted += count
        if count < BATCH:
            return deleted


def rewrite(db: Database) -> bool:
    """Write the file anew and empty the WAL; say whether both were done."""
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
