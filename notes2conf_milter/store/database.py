"""The SQLite file: open it with the settings the laws need, create or check its tables, run a write transaction.

In:  a path. Out: a sqlite-utils Database. Touches: the file, its -wal and -shm.
Fails: StoreSetupError at the start (not a database, unknown version, no such directory), StoreError (`cannot now`)
later.

The tables: tables.py. `id` and `changed` are random 63-bit numbers: counters would tell whoever copies the file how
many meetings there have been, and how often they changed.

secure_delete overwrites what is deleted at once. It misses copies that SQLite leaves in a page when it moves rows to
another, so the purge moves all rows as well (generations.py). It does so while there is a deletion mark, a random
number in `PRAGMA application_id`, which whoever deletes sets in the same transaction.
"""

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from notes2conf_milter.store import tables
from notes2conf_milter.store.errors import StoreError, StoreSetupError

SCHEMA_VERSION = 5
BUSY_SECONDS = 5.0
_MODE = 0o660  # the three services share a group; whoever comes first, whatever the umask, must not lock the others out
_WAL_TRIES = 40
_WAL_PAUSE = 0.05


def _create_file(path: Path) -> None:
    """Create the file when it is not there, for owner and group; SQLite gives its -wal and -shm the same mode."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _MODE)
    except FileExistsError:
        return
    try:
        os.fchmod(descriptor, _MODE)
    finally:
        os.close(descriptor)


def open_database(path: Path, busy_seconds: float = BUSY_SECONDS) -> Database:
    """Open the database, create its tables when it is new; raises StoreSetupError or StoreError.

    busy_seconds: how long a statement waits for another process's transaction.
    """
    try:
        _create_file(path)
        os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        raise StoreSetupError(f"{path}: the database cannot be opened: {error.strerror}") from error
    with failures():
        connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
        db = Database(connection, recursive_triggers=False, execute_plugins=False)
        try:
            _prepare(db)
        except sqlite3.DatabaseError as error:
            db.close()
            if _name(error) == "SQLITE_NOTADB":
                raise StoreSetupError(f"{path}: not an SQLite database") from error
            raise
        except _UnknownVersionError as error:
            db.close()
            raise StoreSetupError(
                f"{path}: version {error} of the tables; this program knows version {SCHEMA_VERSION} alone"
            ) from error
        except BaseException:
            db.close()
            raise
    return db


@contextmanager
def failures() -> Iterator[None]:
    """Turn SQLite's errors into StoreError; its own texts stay out, its error names say enough."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"the database cannot be used now ({_name(error)})") from error


@contextmanager
def writing(db: Database) -> Iterator[None]:
    """Run a block as one write transaction, durable when it ends; raises StoreError, and then nothing was written.

    IMMEDIATE: the lock is taken before anything is read, so that what is read stays true until the commit.
    """
    with failures():
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            db.commit()
        except BaseException:
            db.rollback()
            raise


def mark_deletion(db: Database) -> None:
    """Note that something was deleted, within the transaction that deletes it."""
    db.execute(f"PRAGMA application_id={secrets.randbits(30) + 1}")


def deletion_mark(db: Database) -> int:
    """Return the mark of the last deletion, 0 when the file was rewritten since. Raises StoreError."""
    with failures():
        return int(db.execute("PRAGMA application_id").fetchall()[0][0])


def clear_deletion_mark(db: Database, mark: int) -> None:
    """Take a mark away, unless another one has come since. Raises StoreError."""
    with writing(db):
        if deletion_mark(db) == mark:
            db.execute("PRAGMA application_id=0")


class _UnknownVersionError(Exception):
    """The file was made by another version of the program, or by another program."""


def _prepare(db: Database) -> None:
    for setting in ("secure_delete=ON", "synchronous=FULL"):
        db.execute(f"PRAGMA {setting}").fetchall()
    made = _check_version(db)
    _enable_wal(db)
    if made:
        return
    with writing(db):
        if not _check_version(db):  # another process may have been first
            _create(db)


def _check_version(db: Database) -> bool:
    """Say whether the tables are there; raises _UnknownVersionError."""
    version = db.execute("PRAGMA user_version").fetchall()[0][0]
    if version == 0 and not db.table_names():
        return False
    if version != SCHEMA_VERSION:
        raise _UnknownVersionError(version)
    return True


def _enable_wal(db: Database) -> None:
    for _ in range(_WAL_TRIES):
        try:
            return db.enable_wal()
        except sqlite3.OperationalError:
            time.sleep(_WAL_PAUSE)  # the switch does not wait for another process that just does the same
    return db.enable_wal()


def _create(db: Database) -> None:
    tables.create(db)
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", type(error).__name__)
