"""One row of `meeting` and its links: how its values are sealed, opened and told apart.

In:  values and keys. Out: columns, and back. Random: keys and nonces. No SQL, no files.
Fails: `Unsealable`.

R and V, the row's salts, are sealed under the epoch secret E. HKDF(mail key, R) seals `mail` and the mail service's copy
of the page key; HKDF(token, R) seals a link's copy of it; the page key seals `page`, `room` and the labels of links. HKDF(mail
key, V) seals `version`, the newest revision, which is all that outlives a cancellation: R is destroyed with the rest, so that
no copy of the row that was made before opens any more.
"""

from dataclasses import dataclass, field

from notes2conf_milter.core.meeting import LinkKind, MailRecord, Revision, Room, Version
from notes2conf_milter.store import plaintext
from notes2conf_milter.store.epoch import ID_OCTETS, Epoch
from notes2conf_milter.store.merge import Known
from notes2conf_milter.store.sealing import KEY_OCTETS, Place, Purpose, Unsealable, derive, seal, token_hash, unseal

MAX_EXTENSION = 86_400  # seconds behind the planned end, however often the organizer extends
BURIED = {"page_key_mail": b"", "page": b"", "room": b"", "mail": b""}  # what a tombstone has lost


@dataclass(frozen=True, slots=True)
class Row:
    """The columns of `meeting`, in their order.

    ends_at: when its mail says that it is over, bound into what is sealed; expires_at: when no query answers any more, later
    when the organizer extended an open conference, earlier when it was cancelled. Both in seconds since 1970 UTC.
    """

    id: int
    uid_hash: bytes
    expires_at: int
    ends_at: int
    changed: int
    salt: bytes
    page_key_mail: bytes
    page: bytes
    room: bytes
    mail: bytes
    version: bytes

    @property
    def cancelled(self) -> bool:
        """A tombstone: of its columns only `salt` and `version` hold something."""
        return self.page_key_mail == b""

    @property
    def place(self) -> Place:
        """Where the sealed columns of this row belong."""
        return Place(self.id, self.uid_hash, self.ends_at)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The two random secrets of a row."""

    salt: bytes = field(repr=False)  # R and V
    page_key: bytes = field(repr=False)


def epoch_of(sealed: bytes, epochs: tuple[Epoch, ...]) -> Epoch | None:
    """Return the epoch under which a salt is sealed, None when it is not among these."""
    if not isinstance(sealed, bytes):  # SQLite holds any type in any column
        return None
    return next((one for one in epochs if one.id == sealed[:ID_OCTETS]), None)


def seal_salt(salt: bytes, epoch: Epoch, place: Place) -> bytes:
    """Return the column `salt`: the id of the epoch, and R and V sealed under its secret."""
    return epoch.id + seal(derive(epoch.secret, None, Purpose.SALT), salt, place.bound("salt") + epoch.id)


def open_salt(sealed: bytes, epochs: tuple[Epoch, ...], place: Place) -> bytes:
    """Return R and V; raises Unsealable."""
    epoch = epoch_of(sealed, epochs)
    if epoch is None:
        raise Unsealable
    return unseal(derive(epoch.secret, None, Purpose.SALT), sealed[ID_OCTETS:], place.bound("salt") + epoch.id)


def seal_for_mail(known: Known, room: Room | None, secrets: Secrets, mail_key: bytes, place: Place) -> dict[str, bytes]:
    """Return the sealed columns of `meeting`, `salt` aside."""
    key = derive(mail_key, secrets.salt[:KEY_OCTETS], Purpose.MAIL)
    return {
        "page_key_mail": seal(key, secrets.page_key, place.bound("page_key_mail")),
        "page": seal(secrets.page_key, plaintext.from_page(known.page), place.bound("page")),
        "room": seal_room(room, secrets.page_key, place),
        "mail": seal_mail(known.record, known.version, secrets, mail_key, place),
        "version": seal_version(known.version.newest, secrets.salt, mail_key, place),
    }


def seal_mail(record: MailRecord, version: Version, secrets: Secrets, mail_key: bytes, place: Place) -> bytes:
    """Return the column `mail`."""
    key = derive(mail_key, secrets.salt[:KEY_OCTETS], Purpose.MAIL)
    return seal(key, plaintext.from_mail(record, version), place.bound("mail"))


def open_for_mail(row: Row, salt: bytes, mail_key: bytes) -> tuple[Known, Room | None, Secrets]:
    """Open a row with the mail key. salt: R and V. Raises Unsealable."""
    key, place = derive(mail_key, salt[:KEY_OCTETS], Purpose.MAIL), row.place
    page_key = unseal(key, row.page_key_mail, place.bound("page_key_mail"))
    page = plaintext.to_page(unseal(page_key, row.page, place.bound("page")))
    record, version = plaintext.to_mail(unseal(key, row.mail, place.bound("mail")))
    open_tombstone(row, salt, mail_key)  # damaged as a whole, or not at all
    return Known(page, record, version, row.ends_at), open_room(row, page_key), Secrets(salt, page_key)


def seal_version(revision: Revision, salt: bytes, mail_key: bytes, place: Place) -> bytes:
    """Return the column `version`. salt: R and V."""
    key = derive(mail_key, salt[KEY_OCTETS:], Purpose.VERSION)
    return seal(key, plaintext.from_revision(revision), place.bound("version"))


def open_tombstone(row: Row, salt: bytes, mail_key: bytes) -> Revision:
    """Return the revision that cancelled a meeting; raises Unsealable."""
    key = derive(mail_key, salt[KEY_OCTETS:], Purpose.VERSION)
    return plaintext.to_revision(unseal(key, row.version, row.place.bound("version")))


def seal_room(room: Room | None, page_key: bytes, place: Place) -> bytes:
    """Return the column `room`."""
    return seal(page_key, plaintext.from_room(room), place.bound("room"))


def open_room(row: Row, page_key: bytes) -> Room | None:
    """Return the room of a row; raises Unsealable, also when the row lives to another time than it says itself."""
    room = plaintext.to_room(unseal(page_key, row.room, row.place.bound("room")))
    if row.expires_at != expiry(row.ends_at, room):
        raise Unsealable
    return room


def expiry(ends_at: int, room: Room | None) -> int:
    """Return until when a row lives, seconds since 1970 UTC: to its end, longer while the organizer extended it."""
    return ends_at if room is None else max(ends_at, min(room.until, ends_at + MAX_EXTENSION))


def seal_for_link(secrets: Secrets, token: str, kind: LinkKind, place: Place) -> bytes:
    """Return the column `link.page_key`; the kind is bound too, so that nobody turns a join link into a start link."""
    return seal(_link_key(token, secrets.salt), secrets.page_key, place.bound(f"page_key {kind.value}"))


def open_for_link(sealed: bytes, token: str, kind: LinkKind, salt: bytes, place: Place) -> bytes:
    """Return the page key; raises Unsealable."""
    return unseal(_link_key(token, salt), sealed, place.bound(f"page_key {kind.value}"))


def seal_label(name: str, page_key: bytes, token: str, place: Place) -> bytes:
    """Return the column `link.label`: whose link it is, for those who hold the page key (the start page)."""
    return seal(page_key, plaintext.from_label(name), place.bound("label") + token_hash(token))


def open_label(sealed: bytes, page_key: bytes, token: str, place: Place) -> str:
    """Return whose link it is, "" for one that is nobody's own; raises Unsealable."""
    return plaintext.to_label(unseal(page_key, sealed, place.bound("label") + token_hash(token)))


def _link_key(token: str, salt: bytes) -> bytes:
    return derive(token.encode("ascii"), salt[:KEY_OCTETS], Purpose.LINK)
