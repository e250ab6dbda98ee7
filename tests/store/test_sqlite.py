"""The mail service's side: first claim wins, updates keep the links, what is over is gone, what is damaged is said."""

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from notes2conf_milter.core.joinlink import is_token
from notes2conf_milter.core.meeting import LinkKind, Occurrence, Person
from notes2conf_milter.store.errors import StoreError, StoreSetupError, UnreadableError
from notes2conf_milter.store.keys import MAIL_KEY_NAME
from notes2conf_milter.store.sqlite import Claim, MeetingStore
from tests.store.vault import (
    BERT,
    CLARA,
    DAY,
    END,
    FIRST,
    NOW,
    ORGANIZER,
    PAGE,
    ROOM,
    SECOND,
    UID,
    Vault,
    claim,
    claim_at_once,
    news,
    numbered_tokens,
)

MOVED = replace(PAGE, subject="Budget, moved", times=(Occurrence(NOW + DAY, END + DAY),))
LINKS = (LinkKind.JOIN, LinkKind.START)


def tokens(got: Claim | None) -> tuple[str, str]:
    assert got is not None
    return got.join_token, got.start_token


def both_open(vault: Vault, got: Claim, now: int = NOW) -> bool:
    web = vault.web()
    return all(web.open(token, LINKS, now) is not None for token in tokens(got))


def test_a_new_meeting_gets_two_tokens(vault: Vault) -> None:
    got = claim(vault.mail())
    assert got.new
    assert not got.start_mail_sent
    assert is_token(got.join_token)
    assert is_token(got.start_token)
    assert got.join_token != got.start_token
    assert both_open(vault, got)


def test_a_test_gives_its_own_tokens(vault: Vault) -> None:
    expected = numbered_tokens()
    assert tokens(claim(vault.mail(draw_token=numbered_tokens()))) == (expected(), expected())


def test_again_is_the_same_also_after_a_restart(vault: Vault) -> None:
    got = claim(vault.mail())
    vault.close()
    again = claim(vault.mail())
    assert again == replace(got, new=False)


def test_nothing_new_writes_nothing(vault: Vault) -> None:
    store = vault.mail()
    claim(store, revision=SECOND)
    with vault.sql() as other:
        before = (other.execute("PRAGMA data_version").fetchall(), vault.octets())
        claim(store, revision=SECOND)
        claim(store, revision=FIRST, page=MOVED, expires_at=END + DAY)
        store.find(ORGANIZER, UID, NOW)
        store.find(ORGANIZER, "unknown", NOW)
        store.forget(ORGANIZER, "unknown")
        assert (other.execute("PRAGMA data_version").fetchall(), vault.octets()) == before


def test_an_update_keeps_the_links_and_moves_the_page(vault: Vault) -> None:
    store, web = vault.mail(), vault.web()
    got = claim(store)
    before = web.open(got.join_token, LINKS, NOW)
    assert tokens(claim(store, page=MOVED, revision=SECOND, expires_at=END + DAY)) == tokens(got)
    for token, kind in zip(tokens(got), LINKS, strict=True):
        after = web.open(token, LINKS, END + 1)
        assert after is not None
        assert before is not None
        assert (after.kind, after.page, after.expires_at) == (kind, MOVED, END + DAY)
        assert after.changed != before.changed


def test_an_update_keeps_the_room_of_the_web(vault: Vault) -> None:
    store, web = vault.mail(), vault.web()
    got = claim(store)
    shown = web.open(got.start_token, LINKS, NOW)
    assert shown is not None
    assert web.set_room(got.start_token, ROOM, shown.changed, NOW)
    claim(store, page=MOVED, revision=SECOND, expires_at=END + DAY)
    after = web.open(got.join_token, LINKS, NOW)
    assert after is not None
    assert after.room == ROOM


def test_moving_the_end_seals_everything_anew(vault: Vault) -> None:
    store = vault.mail()
    claim(store)
    columns = "select salt, page_key_mail, page, room, mail, version from meeting"
    with vault.sql() as sql:
        before = {*sql.execute(columns).fetchone(), *sql.execute("select page_key from link").fetchall()}
        claim(store, revision=SECOND, expires_at=END + DAY)
        after = {*sql.execute(columns).fetchone(), *sql.execute("select page_key from link").fetchall()}
    assert not before & after


def test_an_older_message_changes_nothing_but_gets_the_link(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store, page=MOVED, revision=SECOND, expires_at=END + DAY)
    assert tokens(claim(store)) == tokens(got)
    shown = vault.web().open(got.join_token, LINKS, NOW)
    assert shown is not None
    assert (shown.page, shown.expires_at) == (MOVED, END + DAY)


def test_an_instance_lengthens_the_life(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store)
    claim(store, page=MOVED, instance=NOW + DAY, revision=SECOND, expires_at=END + DAY)
    shown = vault.web().open(got.join_token, LINKS, END)
    assert shown is not None
    assert shown.page.times == PAGE.times + MOVED.times


def test_another_organizer_with_the_same_uid_is_another_meeting(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store)
    assert set(tokens(claim(store, organizer="mallory@example.org"))).isdisjoint(tokens(got))
    assert store.forget("mallory@example.org", UID)
    assert tokens(store.find(ORGANIZER, UID, NOW)) == tokens(got)


def test_the_case_of_the_organizer_does_not_matter(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store)
    assert tokens(store.find("Anna@Example.ORG", UID, NOW)) == tokens(got)


def test_any_text_is_a_uid(vault: Vault) -> None:
    store = vault.mail()
    for uid in ("", "\udcff", "\0", "u" * 10_000, "' or 1=1 --"):
        got = claim(store, uid=uid, page=replace(PAGE, subject=uid), attendees=(Person(uid, uid),))
        assert tokens(store.find(ORGANIZER, uid, NOW)) == tokens(got)


def test_what_is_over_is_not_found_before_any_purge(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store)
    assert store.find(ORGANIZER, UID, END - 1) is not None
    assert store.find(ORGANIZER, UID, END) is None
    assert not store.mark_start_mail_sent(got.meeting, END)


def test_what_is_over_comes_back_with_other_links(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store)
    store.mark_start_mail_sent(got.meeting, NOW)
    again = claim(store, expires_at=END + DAY, now=END)
    assert again.new
    assert not again.start_mail_sent
    assert set(tokens(again)).isdisjoint(tokens(got))
    assert vault.web().open(got.join_token, LINKS, NOW) is None
    with vault.sql() as sql:
        assert sql.execute("select count(*) from link").fetchone() == (2,)


@pytest.mark.parametrize("known", [False, True])
def test_a_meeting_that_is_over_gets_no_row(vault: Vault, known: bool) -> None:
    store = vault.mail()
    if known:
        claim(store)
    with pytest.raises(ValueError, match="over"):
        claim(store, revision=SECOND, expires_at=NOW)
    assert (store.find(ORGANIZER, UID, NOW) is not None) == known


def test_the_start_mail_is_remembered(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store)
    assert store.mark_start_mail_sent(got.meeting, NOW)
    again = claim(store)
    assert again == replace(got, new=False, start_mail_sent=True, start_mail_at=NOW, changed=again.changed)
    assert again.changed != got.changed
    assert claim(store, revision=SECOND, expires_at=END + DAY).start_mail_sent
    assert both_open(vault, got)
    assert not store.mark_start_mail_sent(got.meeting + 1, NOW)


def test_forgetting_takes_the_links_along(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store)
    assert store.forget(ORGANIZER, UID)
    assert not store.forget(ORGANIZER, UID)
    assert store.find(ORGANIZER, UID, NOW) is None
    assert vault.web().open(got.join_token, LINKS, NOW) is None
    with vault.sql() as sql:
        assert sql.execute("select (select count(*) from meeting), (select count(*) from link)").fetchone() == (0, 0)


def test_only_a_known_meeting_is_claimed_where_no_new_one_is_wanted(vault: Vault) -> None:
    store = vault.mail()

    def known_only(now: int) -> Claim | None:
        return store.claim(ORGANIZER, UID, news(MOVED, (), SECOND, END + DAY), now, only_known=True)

    assert known_only(NOW) is None
    got = claim(store)
    assert known_only(END) is None  # that one is over, though the purge has not been there yet
    assert tokens(known_only(NOW)) == tokens(got)
    shown = vault.web().open(got.join_token, LINKS, NOW)
    assert shown is not None
    assert shown.page == MOVED


def test_a_meeting_is_released_by_the_claim_that_made_it(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store)
    assert not store.release(claim(store))
    assert store.release(got)
    assert not store.release(got)
    assert store.find(ORGANIZER, UID, NOW) is None
    assert store.release(claim(store))


def test_a_meeting_that_somebody_has_written_to_is_not_released(vault: Vault) -> None:
    store, web = vault.mail(), vault.web()
    writers: list[Callable[[Claim], object]] = [
        lambda got: store.mark_start_mail_sent(got.meeting, NOW),
        lambda got: claim(store, uid="1", page=MOVED, revision=SECOND),
        lambda got: web.set_room(got.start_token, ROOM, got.changed, NOW),
    ]
    for number, write in enumerate(writers):
        got = claim(store, uid=str(number))
        assert write(got)
        assert not store.release(got)
        assert both_open(vault, got)


def test_nothing_readable_is_in_the_files(vault: Vault) -> None:
    got = claim(vault.mail(), attendees=(BERT, CLARA))
    octets = vault.octets()
    for text in (
        PAGE.subject,
        ORGANIZER,
        "Anna Ahrens",
        BERT.address,
        BERT.name,
        CLARA.name,
        UID,
        FIRST.dtstamp,
        *tokens(got),
    ):
        assert text.encode() not in octets


def test_processes_that_claim_at_once_get_the_same_links(vault: Vault) -> None:
    processes = 4
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(processes), context.Queue()
    started = [
        context.Process(target=claim_at_once, args=(vault.folder, barrier.wait, answers.put)) for _ in range(processes)
    ]
    for process in started:
        process.start()
    got = [answers.get(timeout=120) for _ in started]
    for process in started:
        process.join()
    assert len({(join, start) for join, start, _ in got}) == 1
    assert sorted(new for *_, new in got) == [False] * (processes - 1) + [True]


ASKED: list[Callable[[MeetingStore], object]] = [
    claim,
    lambda store: claim(store, revision=SECOND),
    lambda store: store.find(ORGANIZER, UID, NOW),
]


def test_a_locked_database_is_cannot_now(vault: Vault) -> None:
    store = vault.mail(busy_seconds=0.01)
    got = claim(store)
    with vault.sql() as other:
        other.execute("BEGIN IMMEDIATE")
        for ask in (claim, lambda s: s.mark_start_mail_sent(got.meeting, NOW), lambda s: s.forget(ORGANIZER, UID)):
            with pytest.raises(StoreError, match="SQLITE_BUSY"):
                ask(store)
        assert tokens(store.find(ORGANIZER, UID, NOW)) == tokens(got)  # reading goes on
        other.execute("ROLLBACK")
    assert tokens(claim(store)) == tokens(got)


def test_a_full_disk_is_cannot_now_and_leaves_what_was(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store)
    pages = store._db.execute("PRAGMA page_count").fetchall()[0][0]
    store._db.execute(f"PRAGMA max_page_count={pages}").fetchall()
    with pytest.raises(StoreError, match="SQLITE_FULL"):
        for number in range(50):
            claim(store, uid=f"other {number}")
    assert tokens(store.find(ORGANIZER, UID, NOW)) == tokens(got)


DAMAGE = [
    "update meeting_a set expires_at = expires_at + 1",
    "update meeting_a set ends_at = ends_at + 1",
    "update meeting_a set expires_at = expires_at + 100000000",
    "update meeting_a set mail = zeroblob(length(mail))",
    "update meeting_a set salt = zeroblob(length(salt))",
    "update meeting_a set salt = x''",
    "update meeting_a set mail = version, version = mail",
    "update meeting_a set page = x'01'",
    "update meeting_a set salt = 7",
    "update meeting_a set page = 'text that is long enough to be sealed octets'",
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_row_is_unreadable_and_named_by_its_id(vault: Vault, damage: str) -> None:
    store = vault.mail()
    claim(store)
    with vault.sql() as sql:
        sql.execute(damage)
        (row,) = sql.execute("select id from meeting").fetchone()
    for ask in ASKED:
        with pytest.raises(UnreadableError) as failure:
            ask(store)
        assert str(failure.value) == f"row {row} of the table meeting cannot be opened with the present keys"


@pytest.mark.parametrize(
    "damage", ["update meeting_a set id = id - 1", "delete from meeting_a", "update meeting_uid_a set meeting = 7"]
)
def test_a_row_that_is_gone_is_made_anew(vault: Vault, damage: str) -> None:
    """What led to it does not keep its invitations from ever having a link again."""
    store = vault.mail()
    before = claim(store)
    with vault.sql() as sql:
        sql.execute(damage)
    assert store.find(ORGANIZER, UID, NOW) is None
    after = claim(store)
    assert after.new
    assert tokens(after) != tokens(before)
    assert tokens(store.find(ORGANIZER, UID, NOW)) == tokens(after)


def test_the_columns_of_two_rows_cannot_be_swapped(vault: Vault) -> None:
    store = vault.mail()
    claim(store)
    claim(store, uid="another")
    with vault.sql() as sql:
        (one, mail), (other, other_mail) = sql.execute("select id, mail from meeting").fetchall()
        sql.executemany("update meeting_a set mail = ? where id = ?", [(other_mail, one), (mail, other)])
    for uid in (UID, "another"):
        with pytest.raises(StoreError, match="cannot be opened"):
            store.find(ORGANIZER, uid, NOW)


def test_a_damaged_file_is_said(vault: Vault) -> None:
    got = claim(vault.mail())
    vault.close()
    octets = vault.database.read_bytes()
    vault.database.write_bytes(octets[:4096] + b"\xff" * (len(octets) - 4096))
    with pytest.raises((StoreError, StoreSetupError)) as failure:
        claim(vault.mail())
    assert got.join_token not in str(failure.value)


def test_another_mail_key_finds_nothing_of_before(vault: Vault, tmp_path: Path) -> None:
    claim(vault.mail())
    vault.close()
    other = Vault(tmp_path / "other").make()
    (vault.folder / MAIL_KEY_NAME).write_bytes((other.folder / MAIL_KEY_NAME).read_bytes())
    assert vault.mail().find(ORGANIZER, UID, NOW) is None


def test_a_missing_epoch_file_is_said(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store)
    vault.epoch.path.rename(vault.folder / "away")
    for ask in ASKED:
        with pytest.raises(StoreError, match="epoch file cannot be read"):
            ask(store)
    with pytest.raises(StoreSetupError, match="epoch file cannot be read"):
        vault.mail()
    (vault.folder / "away").rename(vault.epoch.path)
    assert tokens(claim(store)) == tokens(got)
