"""One row of `meeting` and its links in the database: read and opened, written, buried, deleted.

In:  what is to be kept (merge.Known). Out: an opened row. Touches: the database, the epoch file. Random: ids, keys, nonces.
Fails: sqlite3.Error, StoreError and UnreadableError; the callers are within `writing` or `failures` (database.py).
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sqlite_utils import Database

from notes2conf_milter.core.meeting import LinkKind, MailRecord, Revision, Room
from notes2conf_milter.store import tables
from notes2conf_milter.store.cancel import TOMBSTONE_SECONDS
from notes2conf_milter.store.database import mark_deletion
from notes2conf_milter.store.epoch import EpochFile
from notes2conf_milter.store.errors import StoreError, UnreadableError
from notes2conf_milter.store.merge import Known
from notes2conf_milter.store.rows import (
    BURIED,
    Row,
    Secrets,
    epoch_of,
    expiry,
    open_for_mail,
    open_salt,
    open_tombstone,
    seal_for_link,
    seal_for_mail,
    seal_label,
    seal_mail,
    seal_salt,
    seal_version,
)
from notes2conf_milter.store.sealing import Place, Unsealable, buried, new_key, new_salt, token_hash

BY_ID = "?"
BY_UID = "(select meeting from meeting_uid where uid_hash = ?)"
_READS = 3
_COLUMNS = ", ".join(Row.__slots__)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A row whose meeting was cancelled."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Opened:
    """A row, and what is in it."""

    row: Row
    known: Known
    room: Room | None
    secrets: Secrets


@dataclass(frozen=True, slots=True)
class Link:
    """A link that leads to a meeting. name: of the attendee whose own it is, else ""."""

    kind: LinkKind
    token: str
    name: str = ""


def links(record: MailRecord) -> Iterable[Link]:
    """Return every link of a meeting."""
    yield Link(LinkKind.JOIN, record.join_token)
    yield Link(LinkKind.START, record.start_token)
    names = {one.address.lower(): one.name or one.address for one in record.attendees} if record.attendee_tokens else {}
    for address, token in record.attendee_tokens:
        yield Link(LinkKind.ATTENDEE, token, names.get(address, address))


class Shelf:
    """The rows. db: open; mail_key: its octets. Used by one thread at a time."""

    def __init__(self, db: Database, epoch: EpochFile, mail_key: bytes) -> None:
        self._db, self._epoch, self._mail_key = db, epoch, mail_key

    def open(self, which: str, value: bytes | int, now: int) -> Opened | Tombstone | None:
        """Read and open a living row; None when there is none. which: BY_ID or BY_UID. now: seconds since 1970 UTC.

        In a transaction the first try decides; outside of it a rotation may pass between file and row.
        """
        for _ in range(_READS):
            epochs = self._epoch.read()
            found = self._db.execute(
                f"select {_COLUMNS} from meeting where id = {which} and expires_at > ?", [value, now]
            ).fetchall()
            if not found:
                return None
            row = Row(*found[0])
            if epoch_of(row.salt, epochs) is not None:
                break
        try:
            salt = open_salt(row.salt, epochs, row.place)
            if row.cancelled:
                return Tombstone(open_tombstone(row, salt, self._mail_key))
            return Opened(row, *open_for_mail(row, salt, self._mail_key))
        except Unsealable:
            raise UnreadableError(f"row {row.id} of the table meeting cannot be opened with the present keys") from None

    def insert(self, name: bytes, known: Known) -> Row:
        """Write a new row and its links. name: the keyed hash of organizer and UID."""
        kept, place = Secrets(new_salt(), new_key()), Place(secrets.randbits(63), name, known.expires_at)
        salt = seal_salt(kept.salt, self._epoch.read()[-1], place)
        sealed = seal_for_mail(known, None, kept, self._mail_key, place)
        row = Row(place.meeting, name, place.ends_at, place.ends_at, secrets.randbits(63), salt, **sealed)
        generation = tables.current(self._db)
        tables.insert(self._db, generation, "meeting", {column: getattr(row, column) for column in Row.__slots__})
        find = {"meeting": row.id, "expires_at": row.expires_at}
        tables.insert(self._db, generation, "meeting_uid", {"uid_hash": name, **find})
        for link in links(known.record):
            self._add_link(generation, link, kept, row)
        return row

    def add_link(self, opened: Opened, link: Link) -> None:
        """Write one more link of a meeting."""
        self._add_link(tables.current(self._db), link, opened.secrets, opened.row)

    def _add_link(self, generation: str, link: Link, kept: Secrets, row: Row) -> None:
        place = row.place
        found = {"token_hash": token_hash(link.token), "meeting": row.id, "expires_at": row.expires_at}
        tables.insert(self._db, generation, "meeting_link", found)
        sealed = {
            "kind": link.kind.value,
            "page_key": seal_for_link(kept, link.token, link.kind, place),
            "label": seal_label(link.name, kept.page_key, link.token, place),
        }
        tables.insert(self._db, generation, "link", {**found, **sealed})

    def drop_links(self, meeting: int, tokens: Iterable[str]) -> None:
        """Delete some links of a meeting: they are dead at once."""
        for token in tokens:
            tables.delete(self._db, "link", "token_hash = ?", token_hash(token))
            tables.delete(self._db, "meeting_link", "meeting = ? and token_hash = ?", meeting, token_hash(token))
            mark_deletion(self._db)

    def rewrite(self, opened: Opened, after: Known) -> None:
        """Seal the whole row anew: the end is bound into every sealed value, links and the web's room included.

        What the organizer extended stays extended.
        """
        row = opened.row
        place = replace(row.place, ends_at=after.expires_at)
        expires_at = expiry(place.ends_at, opened.room)
        sealed = seal_for_mail(after, opened.room, opened.secrets, self._mail_key, place)
        sealed["salt"] = seal_salt(opened.secrets.salt, self._epoch.read()[-1], place)
        over = {"expires_at": expires_at}
        self._update(row, {**sealed, **over, "ends_at": place.ends_at})
        if expires_at != row.expires_at:
            tables.update(self._db, "meeting_uid", over, "uid_hash = ?", row.uid_hash)
            tables.update(self._db, "meeting_link", over, "meeting = ?", row.id)
        for link in links(after.record):
            page_key = seal_for_link(opened.secrets, link.token, link.kind, place)
            label = seal_label(link.name, opened.secrets.page_key, link.token, place)
            values = {"page_key": page_key, "label": label, **over}
            tables.update(self._db, "link", values, "token_hash = ?", token_hash(link.token))

    def note(self, opened: Opened, record: MailRecord) -> int:
        """Write the column `mail` alone; return the row's new mark."""
        mail = seal_mail(record, opened.known.version, opened.secrets, self._mail_key, opened.row.place)
        return self._update(opened.row, {"mail": mail})

    def bury(self, opened: Opened, revision: Revision, now: int) -> None:
        """Delete links and columns; leave a tombstone. revision: of the cancellation; now: seconds since 1970 UTC."""
        row = opened.row
        over = {"expires_at": min(row.expires_at, now + TOMBSTONE_SECONDS)}
        salt = buried(opened.secrets.salt)
        version = seal_version(revision, salt, self._mail_key, row.place)
        sealed = {**BURIED, "version": version, "salt": seal_salt(salt, self._epoch.read()[-1], row.place)}
        tables.delete_links(self._db, row.id)
        self._update(row, {**sealed, **over})
        tables.update(self._db, "meeting_uid", over, "uid_hash = ?", row.uid_hash)
        mark_deletion(self._db)

    def delete(self, name: bytes) -> bool:
        """Delete a row and its links; say whether there was one. name: the keyed hash of organizer and UID."""
        found = self._db.execute("select meeting from meeting_uid where uid_hash = ?", [name]).fetchone()
        if found is None:
            return False
        deleted = tables.delete_meeting(self._db, found[0], name)
        mark_deletion(self._db)
        return deleted > 0

    def _update(self, row: Row, columns: Mapping[str, object]) -> int:
        changed = secrets.randbits(63)
        values = {"changed": changed, **columns}
        if tables.update(self._db, "meeting", values, "id = ? and changed = ?", row.id, row.changed) != 1:
            raise StoreError(f"row {row.id} of the table meeting changed within a transaction")
        return changed
