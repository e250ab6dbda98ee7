"""The database: exactly its tables, its settings, and a clear refusal of everything else."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from notes2conf_milter.store.database import open_database, writing
from notes2conf_milter.store.errors import StoreError, StoreSetupError


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("secure_delete", 1), ("auto_vacuum", 0), ("synchronous", 2), ("busy_timeout", 5000)],
)
def test_the_settings_hold_for_a_new_and_a_known_file(tmp_path: Path, pragma: str, value: object) -> None:
    for _ in range(2):
        with closing(open_database(tmp_path / "m.db")) as db:
            assert db.execute(f"PRAGMA {pragma}").fetchall() == [(value,)]


def test_nobody_else_may_read_the_file(tmp_path: Path) -> None:
    open_database(tmp_path / "m.db").close()
    assert (tmp_path / "m.db").stat().st_mode & 0o007 == 0


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "m.db")) as db:
        db.execute("PRAGMA user_version=1")
    with pytest.raises(StoreSetupError, match=r"m\.db: version 1 of the tables; .* version 5 alone"):
        open_database(tmp_path / "m.db")


def test_somebody_elses_tables_are_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "m.db")) as other:
        other.execute("create table meeting (id)")
    with pytest.raises(StoreSetupError, match="version 0"):
        open_database(tmp_path / "m.db")


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreSetupError, match=r"m\.db: not an SQLite database"):
        open_database(tmp_path / "m.db")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreSetupError, match=r"nowhere/m\.db: the database cannot be opened: No such file"):
        open_database(tmp_path / "nowhere" / "m.db")


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "m.db")) as db:
        with pytest.raises(ZeroDivisionError), writing(db):
            db.execute("insert into meeting_uid_a values (x'00', 1, 1)")
            raise ZeroDivisionError
        with pytest.raises(StoreError, match="SQLITE_CONSTRAINT_NOTNULL"), writing(db):
            db.execute("insert into meeting_uid_a values (x'00', 1, 1)")
            db.execute("insert into meeting_uid_a values (x'01', 1, null)")
        assert db.execute("select count(*) from meeting_uid").fetchone() == (0,)
        assert not db.conn.in_transaction


def test_a_known_file_opens_while_another_process_writes(tmp_path: Path) -> None:
    open_database(tmp_path / "m.db").close()
    with closing(sqlite3.connect(tmp_path / "m.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with closing(open_database(tmp_path / "m.db", busy_seconds=0.01)) as db:
            with pytest.raises(StoreError, match="SQLITE_BUSY"), writing(db):
                pass
            other.execute("ROLLBACK")
            with writing(db):
                pass


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_who_creates_the_database_locks_nobody_out(tmp_path: Path, umask: int) -> None:
    """Root's umask at a first `purge` must not keep the three services, which share a group, from writing; others stay out."""
    old = os.umask(umask)
    try:
        with closing(open_database(tmp_path / "m.db")) as db, writing(db):
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert modes["m.db"] == 0o660
    assert set(modes.values()) == {0o660}
