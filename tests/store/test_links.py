"""The web service's side: a link opens its meeting, nothing opens without, of two writers the second is told."""

from dataclasses import replace
from itertools import product

import pytest

from notes2conf_milter.core.meeting import LinkKind, Room
from notes2conf_milter.store.errors import StoreError, StoreSetupError
from notes2conf_milter.store.keys import MAIL_KEY_NAME, load_mail_key
from notes2conf_milter.store.links import LinkStore, OpenedMeeting
from notes2conf_milter.store.purge import purge
from notes2conf_milter.store.rows import Row, open_for_link, open_for_mail, open_salt
from notes2conf_milter.store.sealing import Place, Purpose, Unsealable, derive, token_hash, unseal
from notes2conf_milter.store.sqlite import Refusal
from tests.store.vault import BERT, DAY, END, HOUR, NOW, ORGANIZER, PAGE, ROOM, SECOND, UID, Vault, claim, news

LINKS = (LinkKind.JOIN, LinkKind.START)


def test_each_link_opens_its_page(vault: Vault) -> None:
    got, web = claim(vault.mail()), vault.web()
    for token, kind in ((got.join_token, LinkKind.JOIN), (got.start_token, LinkKind.START)):
        shown = web.open(token, LINKS, NOW)
        assert shown is not None
        assert shown == OpenedMeeting(got.meeting, kind, PAGE, None, shown.changed, END, END)


def test_a_link_opens_what_its_kind_is_for_alone(vault: Vault) -> None:
    got, web = claim(vault.mail()), vault.web()
    assert web.open(got.join_token, [LinkKind.START], NOW) is None
    assert web.open(got.start_token, {LinkKind.JOIN, LinkKind.ATTENDEE}, NOW) is None
    assert web.open(got.join_token, (), NOW) is None


def test_upper_case_is_as_good(vault: Vault) -> None:
    got = claim(vault.mail())
    assert vault.web().open(got.join_token.upper(), LINKS, NOW) is not None


@pytest.mark.parametrize(
    "token", ["", "a" * 32, "a" * 31, "1" * 32, "a" * 33, "a" * 32 + "\n", "ü" * 32, "\udcff", "' or 1=1"]
)
def test_unknown_and_malformed_tokens_are_one_answer(vault: Vault, token: str) -> None:
    claim(vault.mail())
    web = vault.web()
    assert web.open(token, LINKS, NOW) is None
    assert web.set_room(token, ROOM, 0, NOW) is False


def test_a_meeting_that_is_over_does_not_open_before_any_purge(vault: Vault) -> None:
    got, web = claim(vault.mail()), vault.web()
    shown = web.open(got.start_token, LINKS, END - 1)
    assert shown is not None
    assert web.open(got.start_token, LINKS, END) is None
    assert not web.set_room(got.start_token, ROOM, shown.changed, END)


def test_of_two_writers_the_second_is_told(vault: Vault) -> None:
    got, web, other = claim(vault.mail()), vault.web(), vault.web()
    shown = web.open(got.start_token, LINKS, NOW)
    assert shown is not None
    assert web.set_room(got.start_token, ROOM, shown.changed, NOW)
    assert not other.set_room(got.start_token, ROOM, shown.changed, NOW)
    after = other.open(got.join_token, LINKS, NOW)
    assert after is not None
    assert after.room == ROOM
    assert other.set_room(got.start_token, ROOM, after.changed, NOW)


def test_a_change_by_mail_comes_between(vault: Vault) -> None:
    store, web = vault.mail(), vault.web()
    got = claim(store)
    shown = web.open(got.start_token, LINKS, NOW)
    assert shown is not None
    store.mark_start_mail_sent(got.meeting, NOW)
    assert not web.set_room(got.start_token, ROOM, shown.changed, NOW)


def test_a_rotation_does_not_come_between(vault: Vault) -> None:
    got, web = claim(vault.mail()), vault.web()
    shown = web.open(got.start_token, LINKS, NOW)
    assert shown is not None
    purge(vault.database, vault.epoch, NOW, force_rotate=True)
    assert web.set_room(got.start_token, ROOM, shown.changed, NOW)


def test_a_join_link_writes_no_room(vault: Vault) -> None:
    got, web = claim(vault.mail()), vault.web()
    shown = web.open(got.join_token, LINKS, NOW)
    assert shown is not None
    assert not web.set_room(got.join_token, ROOM, shown.changed, NOW)


def test_a_write_of_another_process_shows(vault: Vault) -> None:
    store, web = vault.mail(), vault.web()
    before = web.data_version()
    assert web.data_version() == before
    claim(store)
    assert web.data_version() != before


DAMAGE = [
    "update meeting_a set expires_at = expires_at + 1",
    "update meeting_a set ends_at = ends_at + 1",
    "update meeting_a set uid_hash = zeroblob(32)",
    "update meeting_a set page = room",
    "update meeting_a set room = page",
    "update meeting_a set salt = zeroblob(length(salt))",
    "update link_a set kind = case kind when 'join' then 'start' else 'join' end",
    "update link_a set page_key = (select page_key_mail from meeting)",
    "update link_a set page_key = (select page_key from link as other where other.kind = 'start') where kind = 'join'",
    "update link_a set meeting = (select id from meeting where id <> link_a.meeting)",
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_was_moved_or_damaged_does_not_open(vault: Vault, damage: str) -> None:
    store, web = vault.mail(), vault.web()
    got = claim(store)
    if "id <> link" in damage:
        claim(store, uid="another")
    with vault.sql() as sql:
        sql.execute(damage)
    with pytest.raises(StoreError, match=r"^row [0-9]+ of the table meeting cannot be opened with its link$"):
        web.open(got.join_token, LINKS, NOW)


def test_a_room_of_before_cannot_be_put_into_another_meeting(vault: Vault) -> None:
    store, web = vault.mail(), vault.web()
    got, other = claim(store), claim(store, uid="another")
    shown = web.open(got.start_token, LINKS, NOW)
    assert shown is not None
    assert web.set_room(got.start_token, ROOM, shown.changed, NOW)
    with vault.sql() as sql:
        room = sql.execute("select room from meeting where id = ?", [got.meeting]).fetchone()
        sql.execute("update meeting_a set room = ? where id = ?", [*room, other.meeting])
    with pytest.raises(StoreError):
        web.open(other.join_token, LINKS, NOW)


def test_a_locked_database_is_cannot_now(vault: Vault) -> None:
    got, web = claim(vault.mail()), vault.web(busy_seconds=0.01)
    shown = web.open(got.start_token, LINKS, NOW)
    assert shown is not None
    with vault.sql() as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="SQLITE_BUSY"):
            web.set_room(got.start_token, ROOM, shown.changed, NOW)
        assert web.open(got.start_token, LINKS, NOW) == shown  # reading goes on


def test_a_rotation_between_file_and_row_is_read_over(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    store, web = vault.mail(), vault.web()
    got = claim(store)
    before = vault.epoch.read()
    purge(vault.database, vault.epoch, NOW, force_rotate=True)
    after = vault.epoch.read()
    for ask in (lambda: web.open(got.join_token, LINKS, NOW), lambda: store.find(ORGANIZER, UID, NOW)):
        answers = iter([before, after])
        monkeypatch.setattr(type(vault.epoch), "read", lambda _, left=answers: next(left))
        assert ask()


def test_the_web_service_needs_a_closed_epoch_file(vault: Vault) -> None:
    vault.epoch.path.chmod(0o644)
    with pytest.raises(StoreSetupError, match="allowed is 0640"):
        vault.web()


def test_without_a_link_or_the_mail_key_nothing_opens(vault: Vault) -> None:
    """Whoever has the database and the epoch file tries every secret found there, in every way keys are made."""
    store, web = vault.mail(), vault.web()
    got = claim(store)
    shown = web.open(got.start_token, LINKS, NOW)
    assert shown is not None
    web.set_room(got.start_token, ROOM, shown.changed, NOW)
    with vault.sql() as sql:
        row = sql.execute(
            "select id, uid_hash, expires_at, salt, page_key_mail, page, room, mail, version from meeting"
        ).fetchone()
        links = sql.execute("select token_hash, kind, page_key from link").fetchall()
    epochs = vault.epoch.read()
    place = Place(row[0], row[1], row[2])
    salt = open_salt(row[3], epochs, place)
    found = [
        salt,
        epochs[0].secret,
        epochs[0].id,
        row[1],
        *(one for link in links for one in (link[0], link[2])),
        *row[3:],
    ]
    keys = {one for one in found if len(one) == 32}
    keys |= {derive(one, with_salt, purpose) for one, with_salt, purpose in product(found, (None, salt), Purpose)}
    columns = dict(zip(("page_key_mail", "page", "room", "mail", "version"), row[4:], strict=True))
    columns |= {f"page_key {kind}": sealed for _, kind, sealed in links}
    for (column, sealed), key in product(columns.items(), keys):
        with pytest.raises(Unsealable):
            unseal(key, sealed, place.bound(column))


def test_a_long_life_is_one_link(vault: Vault) -> None:
    """Days go by: purges, rotations, updates. The links stay."""
    store, web = vault.mail(), vault.web()
    got = claim(store, expires_at=NOW + 9 * DAY)
    for day in range(1, 9):
        now = NOW + day * DAY
        assert purge(vault.database, vault.epoch, now).rotated
        assert claim(store, expires_at=NOW + 9 * DAY, now=now).join_token == got.join_token
        assert web.open(got.join_token, LINKS, now) is not None
    assert purge(vault.database, vault.epoch, NOW + 9 * DAY).deleted == 1


def room_until(until: int, occurrence: int = NOW + HOUR) -> Room:
    return replace(ROOM, occurrence=occurrence, until=until)


def opened(web: LinkStore, token: str, now: int = NOW) -> OpenedMeeting:
    found = web.open(token, LINKS, now)
    assert found is not None
    return found


def test_a_meeting_that_is_extended_lives_longer(vault: Vault) -> None:
    """All its links do; an update by mail keeps it; a day at most; when the room is another date's it is over as planned."""
    store, web = vault.mail(), vault.web()
    got = claim(store)
    later = END + 1800
    assert web.set_room(got.start_token, room_until(later), opened(web, got.start_token).changed, NOW)
    for token in (got.join_token, got.start_token):
        assert opened(web, token, later - 1).expires_at == later
        assert opened(web, token).ends_at == END
        assert web.open(token, LINKS, later) is None
    claim(store, page=replace(PAGE, subject="New"), revision=SECOND)
    assert opened(web, got.join_token, later - 1).page.subject == "New"
    assert purge(vault.database, vault.epoch, later - 1).deleted == 0
    assert web.set_room(got.start_token, room_until(END + 9 * DAY), opened(web, got.start_token).changed, NOW)
    assert opened(web, got.join_token).expires_at == END + DAY
    assert web.set_room(got.start_token, replace(ROOM, until=0), opened(web, got.start_token).changed, NOW)
    assert opened(web, got.join_token).expires_at == END
    assert web.open(got.join_token, LINKS, END) is None
    assert purge(vault.database, vault.epoch, END).deleted == 1


def test_an_update_that_moves_the_end_of_an_extended_one(vault: Vault) -> None:
    """The later of both counts."""
    store, web = vault.mail(), vault.web()
    got = claim(store)
    assert web.set_room(got.start_token, room_until(END + 1800), opened(web, got.start_token).changed, NOW)
    claim(store, revision=SECOND, expires_at=END + HOUR)
    assert opened(web, got.join_token).expires_at == END + HOUR
    claim(store, revision=replace(SECOND, sequence=2), expires_at=END - 600)
    assert opened(web, got.join_token).expires_at == END + 1800


def test_a_life_that_was_lengthened_by_hand(vault: Vault) -> None:
    """A row opens only with the end that it says itself."""
    got, web = claim(vault.mail()), vault.web()
    assert web.set_room(got.start_token, room_until(END + 1800), opened(web, got.start_token).changed, NOW)
    for column in ("expires_at", "ends_at"):
        with vault.sql() as sql:
            sql.execute(f"update meeting_a set {column} = {column} + 1")
        with pytest.raises(StoreError):
            web.open(got.join_token, LINKS, NOW)
        with vault.sql() as sql:
            sql.execute(f"update meeting_a set {column} = {column} - 1")
    assert web.open(got.join_token, LINKS, NOW) is not None


def test_the_organizer_ends_it(vault: Vault) -> None:
    """Only by the start link, and only what was seen. Then nothing opens; old mail does not bring it back, newer does anew."""
    store, web = vault.mail(), vault.web()
    got = claim(store)
    changed = opened(web, got.start_token).changed
    assert not web.end(got.join_token, changed, NOW)
    assert not web.end("a" * 32, changed, NOW)
    assert not web.end(got.start_token, changed + 1, NOW)
    assert web.end(got.start_token, changed, NOW)
    assert not web.end(got.start_token, changed, NOW)
    assert web.open(got.join_token, LINKS, NOW) is web.open(got.start_token, LINKS, NOW) is None
    assert store.find(ORGANIZER, UID, NOW) is None
    assert store.claim(ORGANIZER, UID, news(), NOW) is Refusal.CANCELLED
    assert claim(store, revision=SECOND).new


@pytest.mark.parametrize("by", ["web", "mail"])
def test_of_what_was_ended_no_copy_opens(vault: Vault, by: str) -> None:
    """Not with the links, the mail key, and all that the row has kept: R is gone."""
    store, web = vault.mail(), vault.web()
    got = claim(store)
    columns = ", ".join(Row.__slots__)
    with vault.sql() as sql:
        before = Row(*sql.execute(f"select {columns} from meeting").fetchone())
        (wrapped,) = sql.execute(
            "select page_key from link where token_hash = ?", [token_hash(got.join_token)]
        ).fetchone()
    old = open_salt(before.salt, vault.epoch.read(), before.place)
    assert open_for_link(wrapped, got.join_token, LinkKind.JOIN, old, before.place)
    if by == "web":
        assert web.end(got.start_token, opened(web, got.start_token).changed, NOW)
    else:
        store.cancel(ORGANIZER, UID, frozenset({BERT.address}), SECOND, NOW)
    with vault.sql() as sql:
        after = Row(*sql.execute(f"select {columns} from meeting").fetchone())
    left = open_salt(after.salt, vault.epoch.read(), after.place)
    assert (left[32:] == old[32:], left[:32] == old[:32]) == (True, False)
    with pytest.raises(Unsealable):
        open_for_link(wrapped, got.join_token, LinkKind.JOIN, left, before.place)
    with pytest.raises(Unsealable):
        open_for_mail(before, left, load_mail_key(vault.folder / MAIL_KEY_NAME).octets)


def test_what_has_changed(vault: Vault) -> None:
    """Of the meetings that are asked about; what is gone, over or cancelled is not among them."""
    store, web = vault.mail(), vault.web()
    one, two, three = (claim(store, uid=uid) for uid in ("1", "2", "3"))
    marks = web.changes({one.meeting, two.meeting, 7}, NOW)
    assert set(marks) == {one.meeting, two.meeting}
    claim(store, uid="1", revision=SECOND, page=replace(PAGE, subject="New"))
    store.cancel(ORGANIZER, "2", frozenset({BERT.address}), SECOND, NOW)
    after = web.changes([one.meeting, two.meeting, three.meeting, *range(1200)], NOW)
    assert set(after) == {one.meeting, three.meeting}
    assert after[one.meeting] != marks[one.meeting]
    assert web.changes([one.meeting], END) == {}
