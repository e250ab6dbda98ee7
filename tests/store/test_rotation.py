"""The rotation: an old E dies, every link lives, whenever the process is killed and whoever writes meanwhile."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from notes2conf_milter.core.meeting import LinkKind
from notes2conf_milter.store import epoch, generations, pace, rotation
from notes2conf_milter.store.database import open_database
from notes2conf_milter.store.epoch import ID_OCTETS, Epoch
from notes2conf_milter.store.purge import purge
from notes2conf_milter.store.rotation import ROTATE_AFTER, Rotation, rotate
from notes2conf_milter.store.sqlite import Claim
from tests.store.vault import DAY, END, HOUR, NOW, ORGANIZER, SECOND, Vault, claim, claim_many

LINKS = (LinkKind.JOIN, LinkKind.START)
LATE = NOW + DAY
LONG = NOW + 9 * DAY


def rotated(vault: Vault, now: int = NOW, force: bool = False) -> Rotation:
    db = open_database(vault.database)
    try:
        return rotate(db, vault.epoch, now, force)
    finally:
        db.close()


def filled(vault: Vault, meetings: int = 5) -> dict[str, Claim]:
    store = vault.mail()
    got = {str(number): claim(store, uid=str(number), expires_at=LONG) for number in range(meetings)}
    vault.close()
    return got


def epochs_used(vault: Vault) -> set[bytes]:
    with vault.sql() as sql:
        return {salt[:ID_OCTETS] for (salt,) in sql.execute("select salt from meeting")}


def assert_all_open(vault: Vault, known: dict[str, Claim]) -> None:
    store, web = vault.mail(), vault.web()
    for uid, got in known.items():
        found = store.find(ORGANIZER, uid, NOW)
        assert found is not None
        assert found.join_token == got.join_token
        assert web.open(got.join_token, LINKS, NOW) is not None
        assert web.open(got.start_token, LINKS, NOW) is not None
    vault.close()


def assert_destroyed(vault: Vault, old: Epoch) -> None:
    (current,) = vault.epoch.read()
    assert current.id != old.id
    assert epochs_used(vault) <= {current.id}
    assert sorted(path.name for path in vault.folder.iterdir() if path.name.startswith("epoch")) == ["epoch"]
    text = epoch.as_octets((old,)).split()[-1]
    for path in vault.folder.iterdir():
        assert text not in path.read_bytes()
        assert old.secret not in path.read_bytes()


def test_an_epoch_that_is_due_is_replaced(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_FIRST_BATCH", 2)
    known, (old,) = filled(vault), vault.epoch.read()
    assert rotated(vault, NOW + ROTATE_AFTER) == Rotation(resealed=5, rotated=True)
    assert vault.epoch.read()[0].created == NOW + ROTATE_AFTER
    assert_destroyed(vault, old)
    assert_all_open(vault, known)


def test_a_young_epoch_stays(vault: Vault) -> None:
    before = vault.epoch.read()
    assert rotated(vault, NOW + ROTATE_AFTER - 1) == Rotation()
    assert vault.epoch.read() == before


def test_an_epoch_of_the_future_does_not_stay_until_then(vault: Vault) -> None:
    assert rotated(vault, NOW - HOUR).rotated
    assert vault.epoch.read()[0].created == NOW - HOUR


def test_an_hourly_purge_lets_no_epoch_live_a_day(vault: Vault) -> None:
    born = NOW
    for hour in range(1, 72):
        if rotated(vault, NOW + hour * HOUR).rotated:
            assert NOW + hour * HOUR - born < DAY
            born = NOW + hour * HOUR
    assert born > NOW + 2 * ROTATE_AFTER


def test_rotation_by_force_and_of_an_empty_store(vault: Vault) -> None:
    (old,) = vault.epoch.read()
    assert rotated(vault, force=True) == Rotation(rotated=True)
    assert_destroyed(vault, old)


def test_a_damaged_row_keeps_no_epoch_alive(vault: Vault) -> None:
    known, (old,) = filled(vault), vault.epoch.read()
    broken = known.pop("3")
    with vault.sql() as sql:
        sql.execute("update meeting_a set ends_at = ends_at + 1 where id = ?", [broken.meeting])
    assert rotated(vault, force=True) == Rotation(resealed=4, damaged=1, rotated=True)
    assert vault.epoch.read()[0].id != old.id
    assert_all_open(vault, known)


def test_what_is_written_under_the_old_epoch_meanwhile_is_found(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wrote under the old one, for whatever reason, before the last look."""
    known, (old,), find_left = filled(vault), vault.epoch.read(), rotation.find_left
    late: list[Claim] = []

    def late_writer(*given: Any) -> object:
        if not late:
            present = vault.epoch.read()
            monkeypatch.setattr(epoch.EpochFile, "read", lambda _: (old,))
            late.append(claim(vault.mail(), uid="late", expires_at=LONG))
            monkeypatch.undo()
            assert vault.epoch.read() == present
        return find_left(*given)

    monkeypatch.setattr(rotation, "find_left", late_writer)
    assert rotated(vault, force=True) == Rotation(resealed=6, rotated=True)
    vault.close()
    assert_destroyed(vault, old)
    assert_all_open(vault, known | {"late": late[0]})


def test_writers_and_rotations_at_once_lose_nothing(vault: Vault) -> None:
    """Processes claim and move meetings while epochs come and go as fast as they can."""
    vault.mail().close()
    (old,) = vault.epoch.read()
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    writers = [context.Process(target=claim_many, args=(vault.folder, name, 60, answers.put)) for name in "ab"]
    for writer in writers:
        writer.start()
    rotations = 0
    while any(writer.is_alive() for writer in writers):
        rotations += rotated(vault, force=True).rotated
    got = [answers.get(timeout=120) for _ in range(120)]
    for writer in writers:
        writer.join()
    assert rotations > 1
    store, web = vault.mail(), vault.web()
    for uid, token in got:
        found = store.find(ORGANIZER, uid, NOW)
        assert found is not None
        assert found.join_token == token
        assert web.open(token, LINKS, NOW) is not None
    vault.close()
    assert_destroyed(vault, old)


STEPS: list[tuple[object, str]] = [
    (epoch, "write_new"),
    (epoch, "sync_directory"),
    (epoch, "wipe"),
    (Path, "hardlink_to"),
    (Path, "replace"),
    (Path, "unlink"),
    (rotation, "begin"),
    (rotation, "reseal_batch"),
    (rotation, "find_left"),
    (rotation, "finish"),
    (rotation, "complete"),
    (sys.modules["notes2conf_milter.store.purge"], "rewrite"),
    (sys.modules["notes2conf_milter.store.purge"], "_truncate"),
    (generations, "renew"),
    (generations, "_drain"),
    (generations, "_move"),
    (generations, "_shrink"),
]
KILLED = 9


def purge_killed_at(vault: Vault, last: int, batches: bool) -> bool:
    """Run a purge in a process that dies before or after its n-th step, as by SIGKILL; say whether it got that far."""
    child = os.fork()
    if child == 0:
        try:
            if not batches:  # as when every row was written after the last batch
                first = iter([rotation._Batch(0, 0, 0)])
                reseal_batch = rotation.reseal_batch
                rotation.reseal_batch = lambda *given: next(first, None) or reseal_batch(*given)
            _die_at(last)
            purge(vault.database, vault.epoch, LATE)
            os._exit(0)
        finally:
            os._exit(1)  # an exception must not get into the tests of the parent
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED)
    return status == KILLED


def _die_at(last: int) -> None:
    passed = 0

    def step() -> None:
        nonlocal passed
        passed += 1
        if passed == last:
            os._exit(KILLED)

    def watched(function: Callable[..., object]) -> Callable[..., object]:
        def with_steps(*given: Any, **named: Any) -> object:
            step()
            answer = function(*given, **named)
            step()
            return answer

        return with_steps

    pace._FIRST_BATCH = 2
    for owner, name in STEPS:
        setattr(owner, name, watched(getattr(owner, name)))


@pytest.mark.parametrize("batches", [True, False])
def test_killed_at_any_step_it_goes_on(tmp_path: Path, batches: bool) -> None:
    """At every step of the purge the process dies once; mail and web go on, and the next purge ends the work."""
    last = 0
    while True:
        last += 1
        vault = Vault(tmp_path / str(last)).make()
        known, (old,) = filled(vault), vault.epoch.read()
        over = claim(vault.mail(), uid="over", expires_at=END)
        vault.close()
        killed = purge_killed_at(vault, last, batches)
        assert_all_open(vault, known)
        store = vault.mail()
        assert claim(store, uid="0", expires_at=LONG + 1, revision=SECOND).join_token == known["0"].join_token
        known["new"] = claim(store, uid="new", expires_at=LONG)
        vault.close()
        result = purge(vault.database, vault.epoch, LATE)
        assert result.truncated
        assert_destroyed(vault, old)
        assert_all_open(vault, known)
        assert vault.web().open(over.join_token, LINKS, NOW) is None
        vault.close()
        if not killed:
            break
    assert last > 30
