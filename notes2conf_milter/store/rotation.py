"""The change of the epoch secret: re-seal every row's salt under a new E, destroy the old one.

In:  the database, the epoch file, the time. Out: `Rotation`. Holds neither the mail key nor a link: R is opened and
sealed, no more.
Fails: StoreError. Every step may be the last (a crash): the next purge goes on from the state of the epoch file.

1 `begin`: in a write transaction the file becomes old + new. 2 `reseal_batch`: short transactions, over all living rows,
until `find_left` finds none under an old E. 3 `finish`: in a write transaction the file becomes new alone; the old file
is zeroed and unlinked.
Writers read the file after they got the write lock: before step 1 that is the old E, whose rows step 2 finds; after it the
new one, so that no more come. The file changes under the same lock, and is durable before it is released. So no row can
refer to an E that is not on the disk, and the database needs no note of which E is the current one. Rows that are over
stay under the old E, and so are closed even before the purge deletes them.
"""

from dataclasses import dataclass

from sqlite_utils import Database

from notes2conf_milter.store import tables
from notes2conf_milter.store.database import failures, mark_deletion, writing
from notes2conf_milter.store.epoch import ID_OCTETS, EpochFile, new_epoch
from notes2conf_milter.store.pace import Pace
from notes2conf_milter.store.rows import open_salt, seal_salt
from notes2conf_milter.store.sealing import Place, Unsealable

ROTATE_AFTER = 23 * 3600  # seconds: with a purge every hour, each E is gone before a day is over
_BEFORE_ALL = -1  # ids are not negative


@dataclass(frozen=True, slots=True)
class Rotation:
    """What was done.

    resealed: salts; damaged: rows that do not open under the E they name; rotated: an old E was destroyed.
    """

    resealed: int = 0
    damaged: int = 0
    rotated: bool = False


@dataclass(frozen=True, slots=True)
class _Batch:
    """One batch. seen: rows; last: the id of the last one."""

    seen: int
    resealed: int
    last: int


def rotate(db: Database, file: EpochFile, now: int, force: bool = False) -> Rotation:
    """End a rotation that was interrupted, then rotate when the epoch is due (or by force).

    now: seconds since 1970 UTC; raises StoreError.
    """
    interrupted = complete(db, file, now)
    if not begin(db, file, now, force and not interrupted.rotated):
        return interrupted
    done = complete(db, file, now)
    return Rotation(interrupted.resealed + done.resealed, interrupted.damaged + done.damaged, True)


def begin(db: Database, file: EpochFile, now: int, force: bool) -> bool:
    """Put a new epoch behind the present one when that one is due; say whether."""
    with writing(db):
        file.clean()
        epochs = file.read()
        age = now - epochs[-1].created
        due = force or not 0 <= age < ROTATE_AFTER  # one of the future: the clock was wrong, do not wait for it
        if len(epochs) > 1 or not due:
            return False
        file.replace((*epochs, new_epoch(now)))
        return True


def complete(db: Database, file: EpochFile, now: int) -> Rotation:
    """Re-seal what is under an old epoch, and destroy that; nothing to do when there is one epoch alone."""
    if len(file.read()) == 1:
        return Rotation()
    resealed = _reseal_all(db, file, now)
    while rest := find_left(db, file, now):
        again = _reseal_all(db, file, now)
        resealed += again
        if not again:  # they do not open: nobody can open them now, and they must not keep an old E alive
            break
    finish(db, file)
    return Rotation(resealed, rest, True)


def _reseal_all(db: Database, file: EpochFile, now: int) -> int:
    pace, resealed, after = Pace(), 0, _BEFORE_ALL

    def step(size: int) -> int:
        nonlocal resealed, after
        batch = reseal_batch(db, file, now, after, size)
        resealed, after = resealed + batch.resealed, batch.last
        return batch.seen

    while pace.step(step):
        pass
    return resealed


def reseal_batch(db: Database, file: EpochFile, now: int, after: int, size: int) -> _Batch:
    """Look at the next `size` living rows by id and re-seal what is under an old epoch, in one short transaction."""
    with writing(db):
        epochs = file.read()
        current, old = epochs[-1], {one.id for one in epochs[:-1]}
        sql = "select id, uid_hash, ends_at, salt from meeting where id > ? and expires_at > ? order by id limit ?"
        rows = db.execute(sql, [after, now, size]).fetchall()
        resealed = 0
        for meeting, uid_hash, ends_at, salt in rows:
            if not isinstance(salt, bytes) or salt[:ID_OCTETS] not in old:
                continue
            place = Place(meeting, uid_hash, ends_at)
            try:
                fresh = seal_salt(open_salt(salt, epochs, place), current, place)
            except Unsealable:
                continue
            tables.update(db, "meeting", {"salt": fresh}, "id = ?", meeting)
            resealed += 1
        if resealed:
            mark_deletion(db)  # of the salts under the old epoch
        return _Batch(len(rows), resealed, rows[-1][0] if rows else after)


def find_left(db: Database, file: EpochFile, now: int) -> int:
    """Return how many living rows are under an epoch that is about to go. Reads, and locks nobody out. Raises StoreError."""
    old = [one.id for one in file.read()[:-1]]
    marks = ", ".join("?" * len(old))
    with failures():
        sql = f"select count(*) from meeting where substr(salt, 1, {ID_OCTETS}) in ({marks}) and expires_at > ?"
        return int(db.execute(sql, [*old, now]).fetchone()[0])


def finish(db: Database, file: EpochFile) -> None:
    """Destroy the old epochs, under which no row is left."""
    with writing(db):
        epochs = file.read()
        if len(epochs) > 1:
            file.replace(epochs[-1:])
