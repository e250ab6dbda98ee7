"""The epoch file: the secret E that changes every day, so that yesterday's copy of the database is noise.

In:  the path, and for a rotation the new list. Out: `Epoch` values.
Fails: StoreSetupError from `check` (at the start of a service), StoreError from `read` and `replace` (later).

One line for each epoch, `notes2conf epoch 1 ID CREATED BASE64`: ID 8 octets in hex, CREATED seconds since 1970 UTC.
During a rotation there are two lines, the current epoch last. Nobody keeps an E in memory beyond one operation: the
file is small, and a cached E outlives its destruction. Mode 0640 at most; it belongs outside every backup.

Writers read the file inside their write transaction and `replace` is called inside one, so no row is ever sealed
under an E that is gone or about to go: see docs/decisions/0002-sealed-store.md.
"""

import base64
import binascii
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from notes2conf_milter.store.errors import StoreError, StoreSetupError
from notes2conf_milter.store.sealing import KEY_OCTETS, new_key

ID_OCTETS = 8
MODE = 0o640
_LINE = re.compile(rb"notes2conf epoch 1 ([0-9a-f]{16}) ([0-9]{1,15}) ([A-Za-z0-9+/]{43}=)")
_READS = 5


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch secret. created: seconds since 1970 UTC."""

    id: bytes
    created: int
    secret: bytes = field(repr=False)


def new_epoch(now: int) -> Epoch:
    """Draw an epoch that begins now (seconds since 1970 UTC)."""
    return Epoch(secrets.token_bytes(ID_OCTETS), now, new_key())


def as_octets(epochs: tuple[Epoch, ...]) -> bytes:
    """Return the content of the file, the current epoch last."""
    lines = (
        f"notes2conf epoch 1 {one.id.hex()} {one.created} {base64.b64encode(one.secret).decode('ascii')}\n"
        for one in epochs
    )
    return "".join(lines).encode("ascii")


@dataclass(frozen=True, slots=True)
class EpochFile:
    """The epoch file at a path."""

    path: Path

    def check(self) -> None:
        """Refuse a file that is missing, too open or malformed; raises StoreSetupError."""
        try:
            mode = stat.S_IMODE(self.path.stat().st_mode)
            if mode & ~MODE:
                raise StoreSetupError(
                    f"{self.path}: mode {mode:04o} is too open for the epoch file; allowed is 0640 at most"
                )
            self.read()
        except OSError as error:
            raise StoreSetupError(f"{self.path}: the epoch file cannot be read: {error.strerror}") from error
        except StoreError as error:
            raise StoreSetupError(str(error)) from error

    def read(self) -> tuple[Epoch, ...]:
        """Return the epochs, the current one last; raises StoreError."""
        try:
            content = self.path.read_bytes()
            for _ in range(_READS):
                if b"\0" not in content:
                    break
                content = (
                    self.path.read_bytes()
                )  # we had opened the file that a rotation was just wiping: open the new one
        except OSError as error:
            raise StoreError(f"{self.path}: the epoch file cannot be read: {error.strerror}") from error
        return self._parsed(content)

    def replace(self, epochs: tuple[Epoch, ...]) -> None:
        """Put other epochs into the file, durably, and destroy what it held; only inside a write transaction.

        Owner, group and mode stay. A crash leaves the file whole, old or new, and at most remains that `clean`
        destroys. Raises StoreError.
        """
        self.clean()
        try:
            known = self.path.stat()
            write_new(self._next, as_octets(epochs), stat.S_IMODE(known.st_mode), (known.st_uid, known.st_gid))
            self._last.hardlink_to(self.path)  # keeps hold of the old content until it is wiped, over a crash too
            self._next.replace(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            raise StoreError(f"{self.path}: the epoch file cannot be written: {error.strerror}") from error
        self.clean()

    def clean(self) -> None:
        """Destroy what an interrupted `replace` left beside the file: a new secret never used or an old one."""
        try:
            if self._last.exists() and self._last.samefile(self.path):
                self._last.unlink()  # the crash came before the rename: the content is still the current one
            for path in (self._last, self._next):
                if path.exists():
                    wipe(path)
        except OSError as error:
            raise StoreError(
                f"{self.path}: what a rotation left beside it cannot be removed: {error.strerror}"
            ) from error

    @property
    def _next(self) -> Path:
        return self.path.with_name(self.path.name + ".next")

    @property
    def _last(self) -> Path:
        return self.path.with_name(self.path.name + ".last")

    def _parsed(self, content: bytes) -> tuple[Epoch, ...]:
        found = [_LINE.fullmatch(line) for line in content.splitlines()]
        epochs = tuple(_epoch(match) for match in found if match is not None)
        if not epochs or len(epochs) != len(found) or any(len(one.secret) != KEY_OCTETS for one in epochs):
            raise StoreError(
                f"{self.path}: not an epoch file; allowed are lines 'notes2conf epoch 1 ID CREATED BASE64'"
            )
        return epochs


def _epoch(match: re.Match[bytes]) -> Epoch:
    try:
        secret = base64.b64decode(match[3], validate=True)
    except binascii.Error:
        secret = b""
    return Epoch(bytes.fromhex(match[1].decode("ascii")), int(match[2]), secret)


def write_new(path: Path, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Create a file with this content, mode and owner (uid, gid), durably but for its directory.

    Raises OSError, also when it exists.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if owner is not None and owner != (os.fstat(descriptor).st_uid, os.fstat(descriptor).st_gid):
            os.fchown(descriptor, *owner)
        os.fchmod(descriptor, mode)  # not left to the umask
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def wipe(path: Path) -> None:
    """Overwrite a file with zeros, durably, and unlink it; raises OSError."""
    with path.open("r+b") as file:
        file.write(bytes(os.fstat(file.fileno()).st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
