"""The tables: what is in them and no more, the same in both generations, and what one statement does to both."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from notes2conf_milter.store import tables
from notes2conf_milter.store.database import open_database
from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.store.shelf import _COLUMNS, BY_UID
from tests.store.vault import END, NOW, ORGANIZER, UID, Vault, claim

SEALED = ["salt", "page_key_mail", "page", "room", "mail", "version"]
COLUMNS = {
    "meeting": ["id", "uid_hash", "expires_at", "ends_at", "changed", *SEALED],
    "meeting_uid": ["uid_hash", "meeting", "expires_at"],
    "meeting_link": ["token_hash", "meeting", "expires_at"],
    "link": ["token_hash", "kind", "page_key", "label", "meeting", "expires_at"],
}
KEYS = {
    "meeting": ["id"],
    "meeting_uid": ["uid_hash"],
    "meeting_link": ["meeting", "token_hash"],
    "link": ["token_hash"],
}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(tmp_path / "m.db")) as opened:
        yield opened


def test_the_tables_are_the_ones_of_the_design(db: Database) -> None:
    names = {f"{name}_{generation}" for name in COLUMNS for generation in "ab"}
    assert set(db.table_names()) == {*names, "generation"}
    assert set(db.view_names()) == set(COLUMNS)
    for table in db.tables:
        if table.name != "generation":
            name = table.name[:-2]
            assert [column.name for column in table.columns] == COLUMNS[name]
            assert sorted(table.pks) == sorted(KEYS[name])
            assert all(column.notnull or column.is_pk or column.name == "label" for column in table.columns)


def test_every_tree_can_be_moved(db: Database) -> None:
    """A tree that is no table of its own, an index, would keep what its rows have left: there is none."""
    trees = db.execute("select name from sqlite_schema where rootpage > 0").fetchall()
    assert sorted(name for (name,) in trees) == sorted(db.table_names())


def test_a_row_is_looked_up_in_both_generations_by_their_keys(db: Database) -> None:
    """Never by reading a table through, however many meetings there are."""
    lookups = [
        (f"select {_COLUMNS} from meeting where id = {BY_UID} and expires_at > ?", [b"", 1]),
        ("select token_hash from meeting_link where meeting = ?", [1]),
        ("select page_key from link where token_hash = ?", [b""]),
        ("delete from link_a where token_hash in (select token_hash from meeting_link where meeting = ?)", [1]),
    ]
    for sql, given in lookups:
        plan = [row[3] for row in db.execute(f"explain query plan {sql}", given).fetchall()]
        assert any("SEARCH" in step for step in plan)
        assert not [step for step in plan if "SCAN" in step]


def test_a_statement_changes_both_generations(db: Database) -> None:
    for generation, uid in (("a", b"1"), ("b", b"2"), ("b", b"3")):
        tables.insert(db, generation, "meeting_uid", {"uid_hash": uid, "meeting": 7, "expires_at": END})
    assert tables.update(db, "meeting_uid", {"expires_at": NOW}, "uid_hash < ?", b"3") == 2
    rows = db.execute("select uid_hash, expires_at from meeting_uid order by 1").fetchall()
    assert rows == [(b"1", NOW), (b"2", NOW), (b"3", END)]
    assert tables.delete(db, "meeting_uid", "expires_at = ?", NOW) == 2
    assert db.execute("select uid_hash from meeting_uid").fetchall() == [(b"3",)]


@pytest.mark.parametrize(
    "damage", ["update generation set name = 'c'", "delete from generation", "insert into generation values ('b')"]
)
def test_a_damaged_generation_is_cannot_now(vault: Vault, damage: str) -> None:
    """One of our own errors, so that the setting says what becomes of the message; what is there is still read."""
    store = vault.mail()
    got = claim(store)
    with vault.sql() as sql:
        sql.execute(damage)
    with pytest.raises(StoreError, match="table generation is damaged"):
        claim(store, uid="another")
    found = store.find(ORGANIZER, UID, NOW)
    assert found is not None
    assert found.join_token == got.join_token


def test_a_meeting_goes_with_all_that_leads_to_it(vault: Vault, db: Database) -> None:
    store = vault.mail()
    got = claim(store)
    claim(store, uid="another")
    with closing(open_database(vault.database)) as opened:
        (uid,) = opened.execute("select uid_hash from meeting where id = ?", [got.meeting]).fetchone()
        assert tables.delete_meeting(opened, got.meeting, uid) == 1
        left = {name: opened.execute(f"select count(*) from {name}").fetchone()[0] for name in COLUMNS}
        assert left == {"meeting": 1, "meeting_uid": 1, "meeting_link": 2, "link": 2}
        assert tables.delete_meeting(opened, got.meeting, uid) == 0


def test_new_rows_go_to_the_current_generation(vault: Vault) -> None:
    store = vault.mail()
    for generation in ("b", "a"):
        with vault.sql() as sql:
            sql.execute("update generation set name = ?", [generation])
        claim(store, uid=generation)
        with vault.sql() as sql:
            for name, rows in (("meeting", 1), ("meeting_uid", 1), ("meeting_link", 2), ("link", 2)):
                assert sql.execute(f"select count(*) from {name}_{generation}").fetchone() == (rows,)
