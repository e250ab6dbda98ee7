"""The tables, each in two generations, and the few statements that change rows.

In:  an open database, names, values. Out: counts of rows.
Fails: sqlite3.Error, and StoreError from `current`; the callers are within `writing` or `failures` (database.py).

meeting(id, uid_hash, expires_at, ends_at, changed, salt, page_key_mail, page, room, mail, version) has a row for each living
meeting; link(token_hash, meeting, kind, page_key, label, expires_at) one for each link that leads to it. Two narrow
tables find rows: meeting_uid(uid_hash, meeting, expires_at) and meeting_link(meeting, token_hash, expires_at). They
stand where others have indices, because a table can be copied in the order of its own key, a few rows at a time, and an
index cannot (generations.py says what for).

Each of the four is a view over two tables, `_a` and `_b`: a row is in exactly one of them. New rows go to the
generation that the table `generation` names. Only the purge moves rows to the other one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from notes2conf_milter.store.errors import StoreError

GENERATIONS = ("a", "b")


@dataclass(frozen=True, slots=True)
class Table:
    """One of the four. columns: their definitions; key: the columns of the primary key; ending: of the statement."""

    name: str
    columns: str
    key: str
    ending: str = "WITHOUT ROWID"  # one tree, in the order of the key

    def create(self, generation: str) -> str:
        """Return the statement that creates it in a generation."""
        return f"create table {self.name}_{generation} ({self.columns}, primary key ({self.key})) {self.ending}"


_FIND = "meeting INTEGER NOT NULL, expires_at INTEGER NOT NULL"
_SEALED = "salt BLOB NOT NULL, page_key_mail BLOB NOT NULL, page BLOB NOT NULL, room BLOB NOT NULL, "
_SEALED += "mail BLOB NOT NULL, version BLOB NOT NULL"
_MARKS = "ends_at INTEGER NOT NULL, changed INTEGER NOT NULL"
_MEETING = f"id INTEGER, uid_hash BLOB NOT NULL, expires_at INTEGER NOT NULL, {_MARKS}, {_SEALED}"
TABLES = (
    Table("meeting", _MEETING, "id", ending=""),  # an INTEGER PRIMARY KEY is SQLite's own key of a row
    Table("meeting_uid", f"uid_hash BLOB NOT NULL, {_FIND}", "uid_hash"),
    Table("meeting_link", f"token_hash BLOB NOT NULL, {_FIND}", "meeting, token_hash"),
    Table(
        "link",
        f"token_hash BLOB NOT NULL, kind TEXT NOT NULL, page_key BLOB NOT NULL, label BLOB, {_FIND}",
        "token_hash",
    ),
)


def create(db: Database) -> None:
    """Create both generations of all tables, and the views over them."""
    for table in TABLES:
        for generation in GENERATIONS:
            db.execute(table.create(generation))
        both = " union all ".join(f"select * from {table.name}_{generation}" for generation in GENERATIONS)
        db.execute(f"create view {table.name} as {both}")
    db.execute("create table generation (name TEXT NOT NULL)")
    db.execute("insert into generation values (?)", [GENERATIONS[0]])


def current(db: Database) -> str:
    """Return the generation that new rows go to; raises StoreError when a damaged table names none."""
    names = [name for (name,) in db.execute("select name from generation").fetchall()]
    if len(names) != 1 or names[0] not in GENERATIONS:  # it becomes part of statements
        raise StoreError("the table generation is damaged")
    return str(names[0])


def insert(db: Database, generation: str, table: str, row: Mapping[str, object]) -> None:
    """Insert one row. generation: the current one."""
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    db.execute(f"insert into {table}_{generation} ({names}) values ({marks})", list(row.values()))


def update(db: Database, table: str, values: Mapping[str, object], where: str, *given: object) -> int:
    """Update the rows of both generations that `where` (with `given`) finds; say how many."""
    assignments = ", ".join(f"{column} = ?" for column in values)
    return _both(db, f"update {table}_{{}} set {assignments} where {where}", [*values.values(), *given])


def delete(db: Database, table: str, where: str, *given: object) -> int:
    """Delete the rows of both generations that `where` (with `given`) finds; say how many."""
    return _both(db, f"delete from {table}_{{}} where {where}", given)


def delete_meeting(db: Database, meeting: int, uid_hash: bytes) -> int:
    """Delete a meeting and every link that leads to it; say how many meetings that were."""
    delete_links(db, meeting)
    delete(db, "meeting_uid", "uid_hash = ?", uid_hash)
    return delete(db, "meeting", "id = ?", meeting)


def delete_links(db: Database, meeting: int) -> None:
    """Delete every link that leads to a meeting."""
    delete(db, "link", "token_hash in (select token_hash from meeting_link where meeting = ?)", meeting)
    delete(db, "meeting_link", "meeting = ?", meeting)


def _both(db: Database, statement: str, given: Sequence[object]) -> int:
    return sum(db.execute(statement.format(generation), given).rowcount for generation in GENERATIONS)
