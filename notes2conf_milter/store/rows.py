"""One row of `meeting` and its links: how its values are sealed, opened and told apart.

In:  values and keys. Out: columns, and back. Random: keys and nonces. No SQL, no files.
Fails: `Unsealable`.

R, the row's salt, is sealed under the epoch secret E. HKDF(mail key, R) seals `mail`, `version` and the mail
service's copy of the page key; HKDF(token, R) seals a link's copy of it; the page key seals `page`, `room` and the labels of
links.
"""

from dataclasses import dataclass, field

from notes2conf_milter.core.meeting import LinkKind, Revision, Room, Version
from notes2conf_milter.store import plaintext
from notes2conf_milter.store.epoch import ID_OCTETS, Epoch
from notes2conf_milter.store.merge import Known
from notes2conf_milter.store.sealing import Place, Purpose, Unsealable, derive, seal, token_hash, unseal


@dataclass(frozen=True, slots=True)
class Row:
    """The columns of `meeting`, in their order."""

    id: int
    uid_hash: bytes
    expires_at: int
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
        return Place(self.id, self.uid_hash, self.expires_at)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The two random secrets of a row."""

    salt: bytes = field(repr=False)  # R
    page_key: bytes = field(repr=False)


def epoch_of(sealed: bytes, epochs: tuple[Epoch, ...]) -> Epoch | None:
    """Return the epoch under which a salt is sealed, None when it is not among these."""
    if not isinstance(sealed, bytes):  # SQLite holds any type in any column
        return None
    return next((one for one in epochs if one.id == sealed[:ID_OCTETS]), None)


def seal_salt(salt: bytes, epoch: Epoch, place: Place) -> bytes:
    """Return the column `salt`: the id of the epoch, and R sealed under its secret."""
    return epoch.id + seal(derive(epoch.secret, None, Purpose.SALT), salt, place.bound("salt") + epoch.id)


def open_salt(sealed: bytes, epochs: tuple[Epoch, ...], place: Place) -> bytes:
    """Return R; raises Unsealable."""
    epoch = epoch_of(sealed, epochs)
    if epoch is None:
        raise Unsealable
    return unseal(derive(epoch.secret, None, Purpose.SALT), sealed[ID_OCTETS:], place.bound("salt") + epoch.id)


def seal_for_mail(known: Known, room: Room | None, secrets: Secrets, mail_key: bytes, place: Place) -> dict[str, bytes]:
    """Return the sealed columns of `meeting`, `salt` aside."""
    key = derive(mail_key, secrets.salt, Purpose.MAIL)
    return {
        "page_key_mail": seal(key, secrets.page_key, place.bound("page_key_mail")),
        "page": seal(secrets.page_key, plaintext.from_page(known.page), place.bound("page")),
        "room": seal_room(room, secrets.page_key, place),
        "mail": seal(key, plaintext.from_record(known.record), place.bound("mail")),
        "version": seal(key, plaintext.from_version(known.version), place.bound("version")),
    }


def open_for_mail(row: Row, salt: bytes, mail_key: bytes) -> tuple[Known, Room | None, Secrets]:
    """Open a row with the mail key. salt: R. Raises Unsealable."""
    key, place = derive(mail_key, salt, Purpose.MAIL), row.place
    page_key = unseal(key, row.page_key_mail, place.bound("page_key_mail"))
    page = plaintext.to_page(unseal(page_key, row.page, place.bound("page")))
    record = plaintext.to_record(unseal(key, row.mail, place.bound("mail")))
    version = plaintext.to_version(unseal(key, row.version, place.bound("version")))
    return Known(page, record, version, row.expires_at), open_room(row, page_key), Secrets(salt, page_key)


def seal_tombstone(revision: Revision, secrets: Secrets, mail_key: bytes, place: Place) -> dict[str, bytes]:
    """Return the sealed columns of a meeting that was cancelled, `salt` aside. revision: of the cancellation."""
    version = plaintext.from_version(Version(revision))
    sealed = seal(derive(mail_key, secrets.salt, Purpose.MAIL), version, place.bound("version"))
    return {"page_key_mail": b"", "page": b"", "room": b"", "mail": b"", "version": sealed}


def open_tombstone(row: Row, salt: bytes, mail_key: bytes) -> Revision:
    """Return the revision that cancelled a meeting; raises Unsealable."""
    key = derive(mail_key, salt, Purpose.MAIL)
    return plaintext.to_version(unseal(key, row.version, row.place.bound("version"))).series


def seal_room(room: Room | None, page_key: bytes, place: Place) -> bytes:
    """Return the column `room`."""
    return seal(page_key, plaintext.from_room(room), place.bound("room"))


def open_room(row: Row, page_key: bytes) -> Room | None:
    """Return the room of a row; raises Unsealable."""
    return plaintext.to_room(unseal(page_key, row.room, row.place.bound("room")))


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
    return derive(token.encode("ascii"), salt, Purpose.LINK)
