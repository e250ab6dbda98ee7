"""Move every living row to the other generation of its table, and leave nothing where it was.

In:  the database, the time. Out: how many meetings were over. Touches: the database, the clock that measures time.
Fails: sqlite3.Error. Every transaction leaves a state that mail and web work with, and that the next run goes on from.

Deleting is not enough. secure_delete zeroes deleted cells, but where SQLite has moved cells between the pages of a tree
it leaves copies of them in unused parts of a page (of up to three in a thousand rows, measured). What it does zero
wholly is a page that leaves its tree. So the living rows of a tree go to another tree, rows that are over go nowhere,
and the pages of the first tree are freed one and all. VACUUM does the same in one transaction, for which every message
would have to wait; here a batch is as large as a fraction of a blink, and three times as long as it took the lock is
free for others.
"""

import sqlite3
from contextlib import suppress

from sqlite_utils import Database

from notes2conf_milter.store import tables
from notes2conf_milter.store.database import writing
from notes2conf_milter.store.pace import Pace
from notes2conf_milter.store.tables import GENERATIONS, TABLES, Table

_QUICK_PAGES = 2000  # 8 MB


def due(db: Database, now: int) -> bool:
    """Say whether any meeting is over. now: seconds since 1970 UTC."""
    sql = "select exists (select 1 from meeting_uid where expires_at <= ?)"
    return bool(db.execute(sql, [now]).fetchone()[0])


def renew(db: Database, now: int) -> int:
    """Move what lives to the other generation; return how many meetings were over. now: seconds since 1970 UTC."""
    over = _drain_all(db, now)  # what an interrupted run left; else nothing
    with writing(db):
        other = _other(tables.current(db))
        db.execute("update generation set name = ?", [other])
    over += _drain_all(db, now)
    _shrink(db)
    return over


def _drain_all(db: Database, now: int) -> int:
    over = {table.name: _drain(db, table, now) for table in TABLES}
    return over["meeting"]


def _drain(db: Database, table: Table, now: int) -> int:
    """Empty the generation of a table that is not the current one; return how many of its rows were over."""
    pace, over = Pace(), 0

    def move(size: int) -> int:
        nonlocal over
        with writing(db):
            found, gone = _move(db, table, now, size)
            over += gone
            return found

    while pace.step(move):
        pass
    return over


def _move(db: Database, table: Table, now: int, size: int) -> tuple[int, int]:
    """Move the next rows by key; return how many left the old generation, and how many of them were over."""
    to = tables.current(db)
    source, target = f"{table.name}_{_other(to)}", f"{table.name}_{to}"
    key = table.key
    last = db.execute(f"select {key} from {source} order by {key} limit 1 offset ?", [size - 1]).fetchone()
    where, given = (f"({key}) <= ({', '.join('?' * len(last))})", last) if last else ("true", ())
    living = db.execute(
        f"insert into {target} select * from {source} where {where} and typeof(expires_at) = 'integer' "
        f"and expires_at > ? order by {key}",
        [*given, now],
    ).rowcount
    found = db.execute(f"delete from {source} where {where}", given).rowcount
    if not last:
        # The root of the tree stays when its rows go, and what is in its unused parts with it.
        db.execute(f"drop table {source}")
        db.execute(table.create(_other(to)))
    return (found if last else 0), found - living


def _shrink(db: Database) -> None:
    """Give free pages back to the file system where that is quick, and what the next run needs is little.

    VACUUM keeps writers waiting, so it is done for small tables alone: there it takes a blink. In a large file free pages
    stay for the next run; they hold zeros. (`incremental_vacuum` reads the list of free pages anew for each page.)
    """
    free = _number(db, "freelist_count")
    living = _number(db, "page_count") - free
    if living <= _QUICK_PAGES and free > 2 * living:
        with suppress(sqlite3.OperationalError):  # somebody else writes, or there is no room for a copy: another time
            db.execute("VACUUM")


def _number(db: Database, pragma: str) -> int:
    return int(db.execute(f"PRAGMA {pragma}").fetchone()[0])


def _other(generation: str) -> str:
    return GENERATIONS[1 - GENERATIONS.index(generation)]
