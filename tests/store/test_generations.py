"""The living move, the rest goes, and whoever looks or writes meanwhile notices nothing."""

from contextlib import closing

import pytest
from sqlite_utils import Database

from notes2conf_milter.core.meeting import LinkKind
from notes2conf_milter.store import generations, pace
from notes2conf_milter.store.database import open_database, writing
from notes2conf_milter.store.purge import purge
from notes2conf_milter.store.sqlite import Claim
from notes2conf_milter.store.tables import TABLES
from tests.store.vault import DAY, END, NOW, ORGANIZER, SECOND, Vault, claim

LINKS = (LinkKind.JOIN, LinkKind.START)
LONG = NOW + 9 * DAY


def counts(db: Database) -> dict[str, tuple[int, ...]]:
    """Return how many rows each table has in each generation."""
    return {
        table.name: tuple(db.execute(f"select count(*) from {table.name}_{one}").fetchone()[0] for one in "ab")
        for table in TABLES
    }


def test_whether_anything_is_over(vault: Vault) -> None:
    claim(vault.mail())
    with closing(open_database(vault.database)) as db:
        assert not generations.due(db, END - 1)
        assert generations.due(db, END)


def test_what_lives_moves_to_and_fro(vault: Vault) -> None:
    store = vault.mail()
    claim(store)
    for number in range(3):
        claim(store, uid=str(number), expires_at=LONG)
    with closing(open_database(vault.database)) as db:
        assert generations.renew(db, END) == 1
        assert counts(db) == {"meeting": (0, 3), "meeting_uid": (0, 3), "meeting_link": (0, 6), "link": (0, 6)}
        assert generations.renew(db, END) == 0
        assert counts(db) == {"meeting": (3, 0), "meeting_uid": (3, 0), "meeting_link": (6, 0), "link": (6, 0)}


@pytest.mark.parametrize("value", ["'text'", "x'00'", "1e300"])
def test_an_end_that_is_no_number_is_over(vault: Vault, value: str) -> None:
    claim(vault.mail(), expires_at=LONG)
    with closing(open_database(vault.database)) as db:
        db.execute(f"update meeting_a set expires_at = {value}")
        assert generations.renew(db, NOW) == 1
        assert counts(db)["meeting"] == (0, 0)


def test_mail_and_web_go_on_between_any_two_batches(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over never opens, what lives always does, what comes, changes or is forgotten meanwhile is as always."""
    monkeypatch.setattr(pace, "_FIRST_BATCH", 1)
    monkeypatch.setattr(pace, "_LARGEST_BATCH", 2)
    store, web = vault.mail(busy_seconds=0), vault.web(busy_seconds=0)
    over = [claim(store, uid=f"over {number}") for number in range(4)]
    living = {f"living {number}": claim(store, uid=f"living {number}", expires_at=LONG) for number in range(6)}
    forgotten: list[Claim] = []

    def rest(_: float) -> None:
        number = len(forgotten)
        new = claim(store, uid=f"new {number}", now=END, expires_at=LONG)
        assert new.new
        living[f"new {number}"] = new
        brief = claim(store, uid=f"brief {number}", now=END, expires_at=LONG)
        assert store.forget(ORGANIZER, f"brief {number}")
        forgotten.append(brief)
        moved = list(living)[number % len(living)]
        assert claim(store, uid=moved, revision=SECOND, expires_at=LONG + number, now=END).start_token
        for uid, got in living.items():
            found = store.find(ORGANIZER, uid, END)
            assert found is not None
            assert (found.join_token, found.start_token) == (got.join_token, got.start_token)
            assert web.open(got.join_token, LINKS, END) is not None
        assert not [got for got in over + forgotten if web.open(got.join_token, LINKS, END)]

    monkeypatch.setattr(pace, "_sleep", rest)
    result = purge(vault.database, vault.epoch, END, force_rotate=True)
    assert (result.deleted, result.damaged, result.truncated) == (4, 0, True)
    assert len(forgotten) > 20
    with closing(open_database(vault.database)) as db:
        meetings = len(living)
        assert counts(db) == {
            "meeting": (0, meetings),
            "meeting_uid": (0, meetings),
            "meeting_link": (0, 2 * meetings),
            "link": (0, 2 * meetings),
        }


def test_a_second_run_ends_what_the_first_one_left(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a table moved, then a crash, then more of it forgotten: nothing stays behind in either generation."""
    store = vault.mail()
    for number in range(6):
        claim(store, uid=str(number), expires_at=LONG)
    monkeypatch.setattr(pace, "_FIRST_BATCH", 2)
    monkeypatch.setattr(pace, "_sleep", lambda _: 1 / 0)
    with closing(open_database(vault.database)) as db, pytest.raises(ZeroDivisionError):
        generations.renew(db, NOW)
    monkeypatch.undo()
    with closing(open_database(vault.database)) as db:
        assert counts(db)["meeting"] == (4, 2)
        assert generations.renew(db, NOW) == 0
        assert counts(db) == {"meeting": (6, 0), "meeting_uid": (6, 0), "meeting_link": (12, 0), "link": (12, 0)}


@pytest.mark.parametrize(("pages", "smaller"), [(2000, True), (0, False)])
def test_room_that_nobody_needs_is_given_back_where_that_is_quick(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, pages: int, smaller: bool
) -> None:
    """In a large file it stays, as zeros, rather than let mail wait."""
    monkeypatch.setattr(generations, "_QUICK_PAGES", pages)
    store = vault.mail()
    for number in range(200):
        claim(store, uid=str(number))
    living = claim(store, uid="living", expires_at=LONG)
    assert purge(vault.database, vault.epoch, END).truncated
    assert (vault.database.stat().st_size < 20 * 4096) == smaller  # of more than a hundred pages
    assert vault.web().open(living.join_token, LINKS, END) is not None


def test_a_row_larger_than_a_page_moves_whole(vault: Vault) -> None:
    claim(vault.mail(), expires_at=LONG)
    with closing(open_database(vault.database)) as db:
        with writing(db):
            db.execute("update meeting_a set mail = randomblob(300000)")
        before = db.execute("select * from meeting").fetchall()
        generations.renew(db, NOW)
        assert db.execute("select * from meeting").fetchall() == before
