"""The web service's side of the store: open the one meeting whose link was shown, write its room, end it.

In:  a token, the time. Out: `OpenedMeeting`. Touches: the database, the epoch file; holds no key of its own.
Fails: StoreSetupError from the constructor; StoreError (cannot now) from everything else.

Unknown, malformed and expired tokens are one answer, None: the pages cannot tell them apart, so neither can a visitor.
"""

import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from notes2conf_milter.core.joinlink import is_token
from notes2conf_milter.core.meeting import LinkKind, Page, Room
from notes2conf_milter.store import plaintext, tables
from notes2conf_milter.store.cancel import TOMBSTONE_SECONDS
from notes2conf_milter.store.database import BUSY_SECONDS, failures, mark_deletion, open_database, writing
from notes2conf_milter.store.epoch import EpochFile
from notes2conf_milter.store.errors import UnreadableError
from notes2conf_milter.store.rows import (
    BURIED,
    Row,
    epoch_of,
    expiry,
    open_for_link,
    open_label,
    open_room,
    open_salt,
    seal_room,
    seal_salt,
)
from notes2conf_milter.store.sealing import Unsealable, buried, token_hash, unseal

_AT_ONCE = 500
_READS = 3
_COLUMNS = ", ".join(Row.__slots__)
_LINK = "(select {} from link where token_hash = ?1)"
_SELECT = (  # one statement, so that row and link are of one moment
    f"select {_COLUMNS}, {_LINK.format('kind')}, {_LINK.format('page_key')}, {_LINK.format('label')} from meeting "
    f"where id = {_LINK.format('meeting')} and expires_at > ?2"
)


@dataclass(frozen=True, slots=True)
class OpenedMeeting:
    """What a link shows. changed: differs after every write.

    expires_at: seconds since 1970 UTC; ends_at: the same, but for what the organizer extended. label: the name of the attendee
    whose own link it is, else "".
    """

    meeting: int
    kind: LinkKind
    page: Page
    room: Room | None
    changed: int
    expires_at: int
    ends_at: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """The row that a token leads to, opened."""

    row: Row
    kind: LinkKind
    salt: bytes
    page_key: bytes
    label: bytes


class LinkStore:
    """The meetings, for the service that opens only what it is shown a link to. Used by one thread at a time."""

    def __init__(self, database: Path, epoch: EpochFile, busy_seconds: float = BUSY_SECONDS) -> None:
        """Open the store; raises StoreSetupError or StoreError."""
        epoch.check()
        self._db = open_database(database, busy_seconds)
        self._epoch = epoch

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def data_version(self) -> int:
        """Return a number that differs when another connection has written since the last call; raises StoreError."""
        with failures():
            return int(self._db.execute("PRAGMA data_version").fetchall()[0][0])

    def open(self, token: str, kinds: Collection[LinkKind], now: int) -> OpenedMeeting | None:
        """Return the meeting that a link of one of these kinds leads to, None when there is none.

        Upper case is as good as lower, some programs change it. now: seconds since 1970 UTC. Raises StoreError.
        """
        with failures():
            found = self._find(token.lower(), kinds, now)
        if found is None:
            return None
        row = found.row
        try:
            page = plaintext.to_page(unseal(found.page_key, row.page, row.place.bound("page")))
            room = open_room(row, found.page_key)
            label = open_label(found.label, found.page_key, token.lower(), row.place)
            return OpenedMeeting(row.id, found.kind, page, room, row.changed, row.expires_at, row.ends_at, label)
        except Unsealable:
            raise _damaged(row) from None

    def changes(self, meetings: Collection[int], now: int) -> dict[int, int]:
        """Return the mark `changed` of each of these meetings that lives. Raises StoreError."""
        found: dict[int, int] = {}
        with failures():
            for some in _batched(sorted(meetings), _AT_ONCE):
                marks = ", ".join("?" * len(some))
                sql = (
                    f"select id, changed from meeting where id in ({marks}) and expires_at > ? and page_key_mail <> x''"
                )
                found |= dict(self._db.execute(sql, [*some, now]).fetchall())
        return found

    def set_room(self, token: str, room: Room, expected_changed: int, now: int) -> bool:
        """Write the room of the meeting that a start link leads to, durably; one that is extended lives as long.

        False, and nothing written, when the meeting changed since `expected_changed` was read (open it again), when
        it is gone, or when the token is no start link. now: seconds since 1970 UTC. Raises StoreError.
        """
        with writing(self._db):
            found = self._find(token.lower(), (LinkKind.START,), now)
            if found is None or found.row.changed != expected_changed:
                return False
            row = found.row
            over = {"expires_at": expiry(row.ends_at, room)}
            values = {"room": seal_room(room, found.page_key, row.place), **over, "changed": secrets.randbits(63)}
            if over["expires_at"] != row.expires_at:
                tables.update(self._db, "meeting_uid", over, "uid_hash = ?", row.uid_hash)
                tables.update(self._db, "meeting_link", over, "meeting = ?", row.id)
                of_this = "token_hash in (select token_hash from meeting_link where meeting = ?)"
                tables.update(self._db, "link", over, of_this, row.id)
            return tables.update(self._db, "meeting", values, "id = ?", row.id) == 1

    def end(self, token: str, expected_changed: int, now: int) -> bool:
        """Delete the meeting that a start link leads to, and its links, now and durably, but for a tombstone.

        So an older invitation that comes late does not bring it back. False, and nothing written, as for `set_room`.
        """
        with writing(self._db):
            found = self._find(token.lower(), (LinkKind.START,), now)
            if found is None or found.row.changed != expected_changed:
                return False
            row = found.row
            over = {"expires_at": min(row.expires_at, now + TOMBSTONE_SECONDS)}
            tables.delete_links(self._db, row.id)
            tables.update(self._db, "meeting_uid", over, "uid_hash = ?", row.uid_hash)
            mark_deletion(self._db)
            values = {
                **BURIED,
                **over,
                "salt": seal_salt(buried(found.salt), self._epoch.read()[-1], row.place),
                "changed": secrets.randbits(63),
            }
            return tables.update(self._db, "meeting", values, "id = ?", row.id) == 1

    def _find(self, token: str, kinds: Collection[LinkKind], now: int) -> _Found | None:
        """Read a row by its link and unwrap its page key.

        Outside of a transaction a rotation may pass between file and row: read again.
        """
        if not is_token(token):
            return None
        for _ in range(_READS):
            epochs = self._epoch.read()
            rows = self._db.execute(_SELECT, [token_hash(token), now]).fetchall()
            if not rows:
                return None
            row, (kind, sealed, label) = Row(*rows[0][:-3]), rows[0][-3:]
            if epoch_of(row.salt, epochs) is not None:
                break
        if kind not in {one.value for one in kinds}:
            return None
        try:
            salt = open_salt(row.salt, epochs, row.place)
            page_key = open_for_link(sealed, token, LinkKind(kind), salt, row.place)
            return _Found(row, LinkKind(kind), salt, page_key, label)
        except Unsealable:
            raise _damaged(row) from None


def _batched(values: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Return the values in pieces (itertools.batched is Python 3.12's)."""
    return (values[at : at + size] for at in range(0, len(values), size))


def _damaged(row: Row) -> UnreadableError:
    return UnreadableError(f"row {row.id} of the table meeting cannot be opened with its link")
