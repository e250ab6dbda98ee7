"""The change of the epoch secret: re-seal every row's salt under a new E, destroy the old one.

In:  the database, the epoch file, the time. Out: `Rotation`. Holds neither the mail key nor a link: R is opened and
sealed, no more.
Fails: StoreError. Every step may be the last (a crash): the next purge goes on from the state of the epoch file.

1 `begin`: in a write transaction the file becomes old + new. 2 `reseal_batch`: short transactions, until no row is
left under an old E.
3 `finish`: in a write transaction that finds no row left under the old E the file becomes new alone; the old file is
zeroed and unlinked. Writers read the file after they got the write lock: before step 1 that is the old E, whose rows
2 or 3 find; after it the new one. The file changes under the same lock, and is durable before it is released. So no
row can refer to an E that is not on the disk, and the database needs no note of which E is the current one.
"""

from dataclasses import dataclass

from sqlite_utils import Database

from notes2conf_milter.store.database import mark_deletion, writing
from notes2conf_milter.store.epoch import ID_OCTETS, Epoch, EpochFile, new_epoch
from notes2conf_milter.store.rows import open_salt, seal_salt
from notes2conf_milter.store.sealing import Place, Unsealable

ROTATE_AFTER = 23 * 3600  # seconds: with a purge every hour, each E is gone before a day is over
BATCH = 500
_BEFORE_ALL = -1  # ids are not negative
_ALL = -1  # SQLite: no limit


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
    """One batch. last: the id of its last row, None when no row was left."""

    resealed: int
    damaged: int
    last: int | None


def rotate(db: Database, file: EpochFile, now: int, force: bool = False) -> Rotation:
    """End a rotation that was interrupted, then rotate when the epoch is due (or by force).

    now: seconds since 1970 UTC; raises StoreError.
    """
    interrupted = complete(db, file)
    if not begin(db, file, now, force and not interrupted.rotated):
        return interrupted
    done = complete(db, file)
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


def complete(db: Database, file: EpochFile) -> Rotation:
    """Re-seal what is under an old epoch, and destroy that; nothing to do when there is one epoch alone."""
    if len(file.read()) == 1:
        return Rotation()
    resealed, after = 0, _BEFORE_ALL
    while True:
        batch = reseal_batch(db, file, after)
        resealed += batch.resealed
        if batch.last is None:
            break
        after = batch.last
    while (rest := finish(db, file)).resealed:
        resealed += rest.resealed
    return Rotation(resealed, rest.damaged, True)


def reseal_batch(db: Database, file: EpochFile, after: int) -> _Batch:
    """Re-seal the next BATCH rows by id, in one short transaction."""
    with writing(db):
        return _reseal(db, file.read(), after, BATCH)


def finish(db: Database, file: EpochFile) -> _Batch:
    """Destroy the old epochs if no row is left under them.

    Else re-seal those rows, which must be durable first, and ask again.
    """
    with writing(db):
        epochs = file.read()
        rest = _reseal(db, epochs, _BEFORE_ALL, _ALL)
        if rest.resealed == 0 and len(epochs) > 1:
            file.replace(epochs[-1:])
        return rest


def _reseal(db: Database, epochs: tuple[Epoch, ...], after: int, limit: int) -> _Batch:
    current, old = epochs[-1], [one.id for one in epochs[:-1]]
    rows = db.execute(
        f"select id, uid_hash, expires_at, salt from meeting where id > ? and substr(salt, 1, {ID_OCTETS}) "
        f"in ({', '.join('?' * len(old))}) order by id limit ?",
        [after, *old, limit],
    ).fetchall()
    resealed = 0
    for meeting, uid_hash, expires_at, salt in rows:
        place = Place(meeting, uid_hash, expires_at)
        try:
            fresh = seal_salt(open_salt(salt, epochs, place), current, place)
        except Unsealable:
            continue  # damaged: nobody can open it now, and it must not keep an old E alive
        db.execute("update meeting set salt = ? where id = ?", [fresh, meeting])
        resealed += 1
    if resealed:
        mark_deletion(db)  # of the salts under the old epoch
    return _Batch(resealed, len(rows) - resealed, rows[-1][0] if rows else None)
