"""The mail service's side of the store: claim a meeting, find it, cancel it, forget it.

In:  what an invitation says, the time. Out: `Claim`, the links to carry. Touches: the database, the epoch file.
Random: tokens, keys, ids.
Fails: StoreSetupError from the constructor; StoreError (cannot now: the message is tried again) from everything else,
after which nothing was written; UnreadableError among them when it is this one meeting that does not open.

Every change is one IMMEDIATE transaction, durable before the call returns: the link in the message has a page behind
it. Of several processes that claim a meeting at once the first makes the row, the others read it.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from notes2conf_milter.core.joinlink import TOKEN_OCTETS, token_from
from notes2conf_milter.core.meeting import LinkKind, MailRecord, Page, Person, Revision, Room
from notes2conf_milter.store import plaintext, tables
from notes2conf_milter.store.cancel import TOMBSTONE_SECONDS, Cancelling, after_cancel, after_cancelled_date, revives
from notes2conf_milter.store.database import BUSY_SECONDS, failures, mark_deletion, open_database, writing
from notes2conf_milter.store.epoch import EpochFile
from notes2conf_milter.store.errors import StoreError, UnreadableError
from notes2conf_milter.store.keys import MailKey
from notes2conf_milter.store.merge import Known, News, first, merged
from notes2conf_milter.store.rows import (
    Row,
    Secrets,
    epoch_of,
    open_for_mail,
    open_salt,
    open_tombstone,
    seal_for_link,
    seal_for_mail,
    seal_salt,
    seal_tombstone,
)
from notes2conf_milter.store.sealing import Place, Purpose, Unsealable, derive, new_key, seal, token_hash, uid_hash

_READS = 3
_COLUMNS = ", ".join(Row.__slots__)
_BY_ID = "?"
_BY_UID = "(select meeting from meeting_uid where uid_hash = ?)"


@dataclass(frozen=True, slots=True)
class Claim:
    """The links of a meeting. new: this call made them; start_mail_sent: the organizer has got the start link.

    changed: the row's mark as this call found or made it; another one means that somebody has written since.
    """

    meeting: int
    join_token: str
    start_token: str
    new: bool
    start_mail_sent: bool
    changed: int


class Refusal(Enum):
    """Why a meeting is not claimed."""

    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class _Tombstone:
    """A row whose meeting was cancelled."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class _Opened:
    """A row, and what is in it."""

    row: Row
    known: Known
    room: Room | None
    secrets: Secrets

    def claim(self) -> Claim:
        record = self.known.record
        return Claim(
            self.row.id, record.join_token, record.start_token, False, record.start_mail_sent, self.row.changed
        )


def draw_token() -> str:
    """Draw a token: 160 bits of the system's randomness."""
    return token_from(secrets.token_bytes(TOKEN_OCTETS))


class MeetingStore:
    """The meetings, for the one service that holds the mail key.

    Used by one thread at a time; several processes may share the files.
    """

    def __init__(
        self,
        database: Path,
        epoch: EpochFile,
        mail_key: MailKey,
        draw_token: Callable[[], str] = draw_token,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        """Open the store.

        Raises StoreSetupError or StoreError. draw_token: gives a token never given before (tests fix them).
        """
        epoch.check()
        self._db = open_database(database, busy_seconds)
        self._epoch = epoch
        self._mail_key = mail_key.octets
        self._uid_key = derive(mail_key.octets, None, Purpose.UID_HASH)
        self._draw_token = draw_token

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def claim(
        self,
        organizer: str,
        uid: str,
        page: Page,
        attendees: tuple[Person, ...],
        revision: Revision,
        recurrence_id: str | None,
        expires_at: int,
        now: int,
        *,
        replaced: tuple[int, ...] = (),
        only_known: bool = False,
    ) -> Claim | Refusal | None:
        """Return the links of a meeting that a message of its organizer invites to; durable before it returns.

        None, and nothing written, when the meeting is not known and only_known says that no new one is wanted;
        Refusal.CANCELLED, and nothing written, when it was cancelled and the message is not newer. A newer one makes a
        new meeting, with links of its own.

        A known meeting keeps its links. A message that is not older than what is known changes what is known
        (merge.py); an older one, or one that says nothing new, writes nothing. recurrence_id: of the one instance the
        message is about, as the calendar spells it; replaced: its start in the series. expires_at, now, replaced:
        seconds since 1970 UTC; raises ValueError when the meeting is over already. Raises StoreError.
        """
        if expires_at <= now:
            raise ValueError("a meeting that is over gets no link")
        name = uid_hash(self._uid_key, organizer, uid)
        news = News(page, attendees, revision, recurrence_id, expires_at, replaced)
        with writing(self._db):
            opened = self._open(_BY_UID, name, now)
            if isinstance(opened, _Tombstone) and not revives(revision, opened.revision):
                return Refusal.CANCELLED
            if not isinstance(opened, _Opened):
                if only_known:
                    return None
                self._delete(name)  # one that is over makes room: other links, another meeting
                return self._insert(name, uid, news)
            after = merged(opened.known, news)
            if after is not opened.known:
                self._rewrite(opened, after)
            return opened.claim()

    def find(self, organizer: str, uid: str, now: int) -> Claim | None:
        """Return the links of a meeting that is known and not over.

        Writes nothing. now: seconds since 1970 UTC. Raises StoreError.
        """
        with failures():
            opened = self._open(_BY_UID, uid_hash(self._uid_key, organizer, uid), now)
        return opened.claim() if isinstance(opened, _Opened) else None

    def mark_start_mail_sent(self, meeting: int, now: int) -> bool:
        """Remember that the organizer has got the start link.

        False when the meeting is gone. now: seconds since 1970 UTC. Raises StoreError.
        """
        with writing(self._db):
            opened = self._open(_BY_ID, meeting, now)
            if not isinstance(opened, _Opened):
                return False
            if not opened.known.record.start_mail_sent:
                record = replace(opened.known.record, start_mail_sent=True)
                key = derive(self._mail_key, opened.secrets.salt, Purpose.MAIL)
                mail = seal(key, plaintext.from_record(record), opened.row.place.bound("mail"))
                self._update(opened.row, {"mail": mail}, opened.row.expires_at)
            return True

    def release(self, claim: Claim) -> bool:
        """Delete the meeting that `claim` made, if nobody has written to it since; say whether. Raises StoreError.

        One that was known before, or that another process has used in the meantime, stays: its links may be out.
        """
        if not claim.new:
            return False
        with writing(self._db):
            sql = "select uid_hash from meeting where id = ? and changed = ?"
            found = self._db.execute(sql, [claim.meeting, claim.changed]).fetchone()
            return found is not None and self._delete(*found)

    def cancel(
        self,
        organizer: str,
        uid: str,
        addresses: frozenset[str],
        revision: Revision,
        now: int,
        *,
        recurrence_id: str | None = None,
        replaced: tuple[int, ...] = (),
    ) -> Cancelling:
        """Cancel a meeting for those who are named; for everybody: delete it and its links now, durably.

        Then its hash, the revision and an end stay, so that an older invitation that comes late does not bring it back.
        addresses: in lower case. recurrence_id, replaced: as for `claim`, when one date is cancelled. now: seconds since 1970
        UTC. Raises StoreError.
        """
        with writing(self._db):
            opened = self._open(_BY_UID, uid_hash(self._uid_key, organizer, uid), now)
            if not isinstance(opened, _Opened):
                return Cancelling.NOTHING
            if recurrence_id is None:
                after = after_cancel(opened.known, addresses, revision)
            else:
                after = after_cancelled_date(opened.known, addresses, revision, recurrence_id, replaced)
            if after is None:
                self._bury(opened, revision, now)
                return Cancelling.MEETING
            if after is opened.known:
                return Cancelling.NOTHING
            self._rewrite(opened, after)
            return Cancelling.ATTENDEES if recurrence_id is None else Cancelling.DATE

    def _bury(self, opened: _Opened, revision: Revision, now: int) -> None:
        row = opened.row
        place = replace(row.place, expires_at=min(row.expires_at, now + TOMBSTONE_SECONDS))
        sealed = seal_tombstone(revision, opened.secrets, self._mail_key, place)
        sealed["salt"] = seal_salt(opened.secrets.salt, self._epoch.read()[-1], place)
        tables.delete_links(self._db, row.id)
        self._update(row, sealed, place.expires_at)
        tables.update(self._db, "meeting_uid", {"expires_at": place.expires_at}, "uid_hash = ?", row.uid_hash)
        mark_deletion(self._db)

    def forget(self, organizer: str, uid: str) -> bool:
        """Delete a meeting and its links now; False when there was none. Raises StoreError."""
        with writing(self._db):
            return self._delete(uid_hash(self._uid_key, organizer, uid))

    def _delete(self, name: bytes) -> bool:
        found = self._db.execute("select meeting from meeting_uid where uid_hash = ?", [name]).fetchone()
        if found is None:
            return False
        deleted = tables.delete_meeting(self._db, found[0], name)
        mark_deletion(self._db)
        return deleted > 0

    def _open(self, which: str, value: bytes | int, now: int) -> _Opened | _Tombstone | None:
        """Read and open a living row.

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
                return _Tombstone(open_tombstone(row, salt, self._mail_key))
            return _Opened(row, *open_for_mail(row, salt, self._mail_key))
        except Unsealable:
            raise UnreadableError(f"row {row.id} of the table meeting cannot be opened with the present keys") from None

    def _insert(self, name: bytes, uid: str, news: News) -> Claim:
        known = first(uid, news, self._draw_token(), self._draw_token())
        kept, place = Secrets(new_key(), new_key()), Place(secrets.randbits(63), name, news.expires_at)
        salt = seal_salt(kept.salt, self._epoch.read()[-1], place)
        sealed = seal_for_mail(known, None, kept, self._mail_key, place)
        row = Row(place.meeting, name, place.expires_at, secrets.randbits(63), salt, **sealed)
        generation = tables.current(self._db)
        find = {"meeting": row.id, "expires_at": row.expires_at}
        tables.insert(self._db, generation, "meeting", {column: getattr(row, column) for column in Row.__slots__})
        tables.insert(self._db, generation, "meeting_uid", {"uid_hash": name, **find})
        for kind, token in _links(known.record):
            link = {"token_hash": token_hash(token), **find}
            tables.insert(self._db, generation, "meeting_link", link)
            sealed_key = seal_for_link(kept, token, kind, place)
            tables.insert(self._db, generation, "link", {**link, "kind": kind.value, "page_key": sealed_key})
        return Claim(row.id, known.record.join_token, known.record.start_token, True, False, row.changed)

    def _rewrite(self, opened: _Opened, after: Known) -> None:
        """Seal the whole row anew: the expiry is bound into every sealed value, links and the web's room included."""
        place = replace(opened.row.place, expires_at=after.expires_at)
        sealed = seal_for_mail(after, opened.room, opened.secrets, self._mail_key, place)
        sealed["salt"] = seal_salt(opened.secrets.salt, self._epoch.read()[-1], place)
        self._update(opened.row, sealed, after.expires_at)
        expiry = {"expires_at": after.expires_at}
        if after.expires_at != opened.row.expires_at:
            tables.update(self._db, "meeting_uid", expiry, "uid_hash = ?", opened.row.uid_hash)
            tables.update(self._db, "meeting_link", expiry, "meeting = ?", opened.row.id)
        for kind, token in _links(after.record):
            page_key = seal_for_link(opened.secrets, token, kind, place)
            tables.update(self._db, "link", {"page_key": page_key, **expiry}, "token_hash = ?", token_hash(token))

    def _update(self, row: Row, sealed: dict[str, bytes], expires_at: int) -> None:
        values = {"expires_at": expires_at, "changed": secrets.randbits(63), **sealed}
        if tables.update(self._db, "meeting", values, "id = ? and changed = ?", row.id, row.changed) != 1:
            raise StoreError(f"row {row.id} of the table meeting changed within a transaction")


def _links(record: MailRecord) -> tuple[tuple[LinkKind, str], ...]:
    return (LinkKind.JOIN, record.join_token), (LinkKind.START, record.start_token)
