"""Law 6: after the end there is nothing; not in the table, not in the file, not in yesterday's copy."""

import random
import shutil
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from notes2conf_milter.core.meeting import LinkKind
from notes2conf_milter.store import generations, pace, tables
from notes2conf_milter.store.database import clear_deletion_mark, deletion_mark, mark_deletion, open_database, writing
from notes2conf_milter.store.errors import StoreError, StoreSetupError
from notes2conf_milter.store.purge import PurgeResult, purge
from notes2conf_milter.store.sealing import token_hash
from notes2conf_milter.store.sqlite import Claim
from tests.store.vault import DAY, END, NOW, ORGANIZER, PAGE, ROOM, SECOND, UID, Vault, claim

LINKS = (LinkKind.JOIN, LinkKind.START)
LONG = NOW + 9 * DAY
WINDOW = 12  # octets: shorter runs repeat by themselves


def test_what_is_over_goes_and_the_rest_stays(vault: Vault) -> None:
    store, web = vault.mail(), vault.web()
    over, living = claim(store), claim(store, uid="living", expires_at=END + 1)
    assert purge(vault.database, vault.epoch, END) == PurgeResult(1, 0, 0, rotated=False, truncated=True)
    assert web.open(over.join_token, LINKS, NOW) is None  # not even with a clock that is wrong
    assert web.open(living.join_token, LINKS, NOW) is not None
    with vault.sql() as sql:
        assert sql.execute("select (select count(*) from meeting), (select count(*) from link)").fetchone() == (1, 2)


def test_more_than_a_batch_goes(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_FIRST_BATCH", 3)
    store = vault.mail()
    for number in range(7):
        claim(store, uid=str(number))
    assert purge(vault.database, vault.epoch, END).deleted == 7
    assert purge(vault.database, vault.epoch, END).deleted == 0


def test_the_purge_needs_the_epoch_file_alone(vault: Vault) -> None:
    got = claim(vault.mail(), expires_at=LONG)
    vault.close()
    key = vault.folder / "mail-key"
    octets = key.read_bytes()
    key.unlink()
    assert purge(vault.database, vault.epoch, NOW + DAY) == PurgeResult(0, 1, 0, rotated=True, truncated=True)
    assert vault.web().open(got.join_token, LINKS, NOW) is not None
    key.write_bytes(octets)
    key.chmod(0o600)
    assert vault.mail().find(ORGANIZER, UID, NOW) is not None


def windows(octets: bytes) -> set[bytes]:
    return {octets[start : start + WINDOW] for start in range(len(octets) - WINDOW + 1)}


def remembered(vault: Vault) -> list[bytes]:
    """Return every random or sealed value that is in the database."""
    with vault.sql() as sql:
        meetings = sql.execute(
            "select uid_hash, salt, page_key_mail, page, room, mail, version from meeting"
        ).fetchall()
        links = sql.execute("select token_hash, page_key from link").fetchall()
    return [value for row in meetings + links for value in row]


def test_no_octet_of_what_is_over_stays_in_the_file(vault: Vault) -> None:
    """Many rows come, change and go while others stay, so that SQLite splits, joins and moves its pages."""
    store, web = vault.mail(), vault.web()
    seen: set[bytes] = set()
    for number in range(150):
        got = claim(store, uid=f"over {number}")
        claim(store, uid=f"living {number}", expires_at=LONG)
        shown = web.open(got.start_token, LINKS, NOW)
        assert shown is not None
        if number % 3 == 0:
            seen.update(remembered(vault))
            web.set_room(got.start_token, ROOM, shown.changed, NOW)
        if number % 5 == 0:
            store.forget(ORGANIZER, f"over {number - 5}")
            claim(store, uid=f"over {number}", revision=SECOND, expires_at=END - 1)
    seen.update(remembered(vault))
    assert purge(vault.database, vault.epoch, END, force_rotate=True).deleted == 121
    living = set(remembered(vault))
    gone = set[bytes]().union(*(windows(value) for value in seen - living))
    assert len(gone) > 100_000
    gone -= set[bytes]().union(*(windows(value) for value in living))
    assert not gone & windows(vault.octets())
    assert (vault.folder / "meetings.db-wal").stat().st_size == 0


def test_copies_that_sqlite_leaves_in_its_pages_go_too(vault: Vault) -> None:
    """This sequence of rows leaves copies of deleted ones in the file when secure_delete alone cares for it (SQLite 3.40)."""
    chance = random.Random(17)
    living: dict[int, list[bytes]] = {}
    gone: list[bytes] = []
    with closing(open_database(vault.database)) as db:
        db.execute("PRAGMA synchronous=OFF").fetchall()
        for _ in range(1200):
            row, values = chance.getrandbits(62), [chance.randbytes(size) for size in (32, 32, 32, 61, 61, 300)]
            with writing(db):
                columns = [row, values[0], LONG + chance.randrange(10**9), values[5]]
                db.execute("insert into meeting_a values (?1, ?2, ?3, ?3, 1, ?2, x'', ?4, x'', x'', x'')", columns)
                db.execute("insert into meeting_uid_a values (?2, ?1, ?3)", columns[:3])
                for link, page_key in ((1, 3), (2, 4)):
                    ends = [row, columns[2]]
                    db.execute("insert into meeting_link_a values (?, ?, ?)", [values[link], *ends])
                    sql = "insert into link_a values (?, 'join', ?, null, ?, ?)"
                    db.execute(sql, [values[link], values[page_key], *ends])
            living[row] = values
            if chance.random() < 0.7:
                over = chance.choice(list(living))
                gone += living.pop(over)
                with writing(db):
                    tables.delete_meeting(db, over, gone[-len(values)])
                    mark_deletion(db)
    assert purge(vault.database, vault.epoch, NOW).truncated
    left = windows(vault.octets())
    assert not [value for value in gone if windows(value) & left]


def test_no_word_of_what_is_over_is_anywhere(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store)
    in_file = [token_hash(got.join_token), *remembered(vault)]
    assert all(value in vault.octets() for value in in_file)
    purge(vault.database, vault.epoch, END)
    words = [word.encode() for word in (PAGE.subject, UID, ORGANIZER, got.join_token, got.start_token)]
    for path in vault.folder.iterdir():
        assert not [value for value in in_file + words if value in path.read_bytes()]


def opens(vault: Vault, got: Claim) -> bool:
    """Say whether anything opens with both links and the mail key."""
    tries = [
        lambda: vault.mail().find(ORGANIZER, UID, NOW),
        lambda: vault.web().open(got.join_token, LINKS, NOW),
        lambda: vault.web().open(got.start_token, LINKS, NOW),
    ]
    opened = 0
    for attempt in tries:
        try:
            opened += attempt() is not None
        except StoreError as error:
            assert "cannot be opened" in str(error)
    vault.close()
    return bool(opened)


@pytest.mark.parametrize("expires_at", [END, LONG])
def test_yesterdays_copy_does_not_open_with_todays_keys_and_all_links(
    vault: Vault, tmp_path: Path, expires_at: int
) -> None:
    got = claim(vault.mail(), expires_at=expires_at)
    copy = vault.copy(tmp_path / "copy")
    vault.give_keys_to(copy)
    assert opens(copy, got)  # today it does, to whoever has it all
    assert purge(vault.database, vault.epoch, NOW + DAY).rotated
    vault.give_keys_to(copy)
    assert not opens(copy, got)
    assert opens(vault, got) == (expires_at == LONG)


def test_a_reader_in_the_way_is_said_and_the_next_run_ends_it(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[purge.__module__]
    monkeypatch.setattr(module, "_PAUSE", 0)
    monkeypatch.setattr(module, "_TRY_MILLISECONDS", 1)
    claim(vault.mail())
    values = remembered(vault)
    with vault.sql() as reader:
        reader.execute("BEGIN")
        reader.execute("select * from meeting").fetchall()
        assert purge(vault.database, vault.epoch, END) == PurgeResult(1, 0, 0, rotated=False, truncated=False)
        assert any(value in vault.octets() for value in values)
        reader.execute("COMMIT")
    assert purge(vault.database, vault.epoch, END) == PurgeResult(0, 0, 0, rotated=False, truncated=True)
    assert not any(value in vault.octets() for value in values)


def test_what_the_mail_service_deleted_goes_too(vault: Vault) -> None:
    store = vault.mail()
    deletions: list[Callable[[], object]] = [
        lambda: store.forget(ORGANIZER, UID),
        lambda: store.release(got),
        lambda: claim(store, now=END, expires_at=LONG),
    ]
    for delete in deletions:
        got = claim(store)
        values = remembered(vault)
        assert delete()
        values = [value for value in values if value not in remembered(vault)]
        assert any(value in vault.octets() for value in values)
        assert purge(vault.database, vault.epoch, NOW).truncated
        assert not any(value in vault.octets() for value in values)


def test_a_run_without_deletions_rewrites_nothing(vault: Vault) -> None:
    store = vault.mail()
    claim(store)
    claim(store, uid="living", expires_at=LONG)
    assert purge(vault.database, vault.epoch, END).deleted == 1
    claim(store, uid="another", expires_at=LONG)
    with vault.sql() as other:
        before = (other.execute("PRAGMA data_version").fetchall(), vault.octets())
        assert purge(vault.database, vault.epoch, END) == PurgeResult(0, 0, 0, rotated=False, truncated=True)
        assert (other.execute("PRAGMA data_version").fetchall(), vault.octets()) == before


def test_a_rewrite_that_failed_is_made_up_for(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the next run, whatever became of this one."""
    claim(vault.mail())
    values = remembered(vault)
    with monkeypatch.context() as patch:
        patch.setattr(generations, "renew", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            purge(vault.database, vault.epoch, END)
    assert purge(vault.database, vault.epoch, END) == PurgeResult(1, 0, 0, rotated=False, truncated=True)
    assert not any(value in vault.octets() for value in values)


def test_what_is_deleted_during_the_rewrite_stays_marked(vault: Vault) -> None:
    store = vault.mail()
    claim(store)
    claim(store, uid="another")
    with closing(open_database(vault.database)) as db:
        assert deletion_mark(db) == 0
        store.forget(ORGANIZER, UID)
        mark = deletion_mark(db)
        store.forget(ORGANIZER, "another")
        clear_deletion_mark(db, mark)
        assert deletion_mark(db) not in (0, mark)
        clear_deletion_mark(db, deletion_mark(db))
        assert deletion_mark(db) == 0


def test_a_damaged_file_is_said(vault: Vault, tmp_path: Path) -> None:
    """Whichever page it is: as one of our own errors, if it shows at all."""
    store = vault.mail()
    for number in range(40):
        claim(store, uid=str(number), expires_at=END + number * 60)
    vault.close()
    octets, failed = vault.database.read_bytes(), 0
    for start in range(4096, len(octets), 4096):
        damaged = Vault(tmp_path / "damaged")
        damaged.database.write_bytes(octets[:start] + b"\xff" * 200 + octets[start + 200 :])
        damaged.epoch.path.write_bytes(vault.epoch.path.read_bytes())
        damaged.epoch.path.chmod(0o640)
        try:
            purge(damaged.database, damaged.epoch, END + 1200, force_rotate=True)
        except (StoreError, StoreSetupError):
            failed += 1
        shutil.rmtree(damaged.folder)
    assert failed > 10


@pytest.mark.parametrize("value", ["'text'", "null", "x''", "1.5"])
@pytest.mark.parametrize("column", ["salt", "uid_hash", "ends_at"])
def test_a_damaged_row_is_counted(vault: Vault, column: str, value: str) -> None:
    claim(vault.mail(), expires_at=LONG)
    with vault.sql() as sql:
        sql.execute("PRAGMA writable_schema=ON")
        sql.execute("update sqlite_schema set sql = replace(sql, 'NOT NULL', '')")
        sql.execute("PRAGMA writable_schema=RESET")
        sql.execute(f"update meeting_a set {column} = {value}")
    result = purge(vault.database, vault.epoch, NOW, force_rotate=True)
    assert (result.resealed, result.rotated) == (0, True)


def test_a_writer_in_the_way_is_cannot_now(vault: Vault) -> None:
    claim(vault.mail())
    with vault.sql() as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="SQLITE_BUSY"):
            purge(vault.database, vault.epoch, END, busy_seconds=0.01)


def test_one_purge_runs_at_a_time(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by hand while the timer's is at work: the second says so and touches nothing."""
    claim(vault.mail())
    said: list[str] = []

    def another(_: float) -> None:
        with pytest.raises(StoreError) as failure:
            purge(vault.database, vault.epoch, END)
        said.append(str(failure.value))

    monkeypatch.setattr(pace, "_sleep", another)
    monkeypatch.setattr(pace, "_FIRST_BATCH", 1)
    claim(vault.mail(), uid="living", expires_at=LONG)
    assert purge(vault.database, vault.epoch, END).deleted == 1
    assert set(said) == {"another purge is running"}
    assert purge(vault.database, vault.epoch, END).truncated  # the lock is gone with its holder


def test_files_that_are_missing_are_said(vault: Vault) -> None:
    vault.epoch.path.unlink()
    with pytest.raises(StoreSetupError, match="epoch file cannot be read"):
        purge(vault.database, vault.epoch, NOW)
