"""The key files: the mail key, and the making of both.

In:  paths. Out: `MailKey`; with `new_keys`, two files.
Fails: StoreSetupError, naming the file and what is allowed.

The mail key file is one line, `notes2conf mail key 1 BASE64` (32 random octets), mode 0600, read by the mail service
alone. A systemd credential (LoadCredential=notes2conf-mail-key:...) takes its place; systemd sees to the modes of
those. The epoch file: epoch.py.
"""

import base64
import binascii
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from notes2conf_milter.store import epoch
from notes2conf_milter.store.errors import StoreSetupError
from notes2conf_milter.store.sealing import KEY_OCTETS, new_key

MAIL_KEY_NAME = "mail-key"
EPOCH_NAME = "epoch"
CREDENTIAL_NAME = "notes2conf-mail-key"
_MAIL_KEY_HEAD = "notes2conf mail key 1"
_MAIL_KEY_MODE = 0o600


@dataclass(frozen=True, slots=True)
class MailKey:
    """The secret of the mail service; never shown by repr()."""

    octets: bytes = field(repr=False)


def new_keys(directory: Path, now: int) -> None:
    """Create the mail key (mode 0600) and the epoch file (mode 0640) in a directory.

    now: seconds since 1970 UTC, the birth of the first epoch. Raises StoreSetupError when one of them exists:
    overwriting a key would make every meeting unreadable.
    """
    mail_key, epoch_file = directory / MAIL_KEY_NAME, directory / EPOCH_NAME
    for path in (mail_key, epoch_file):
        if path.exists() or path.is_symlink():
            raise StoreSetupError(
                f"{path}: exists already; a key is never overwritten, remove it by hand to start anew"
            )
    text = base64.b64encode(new_key()).decode("ascii")
    try:
        epoch.write_new(mail_key, f"{_MAIL_KEY_HEAD} {text}\n".encode("ascii"), _MAIL_KEY_MODE)
        epoch.write_new(epoch_file, epoch.as_octets((epoch.new_epoch(now),)), epoch.MODE)
        epoch.sync_directory(directory)
    except OSError as error:
        raise StoreSetupError(f"{directory}: the keys cannot be written: {error.strerror}") from error


def load_mail_key(path: Path) -> MailKey:
    """Load the mail key from the systemd credential when there is one, else from the file; raises StoreSetupError."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (credential := Path(credentials) / CREDENTIAL_NAME).exists():
        return _parsed(credential, _content(credential))
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise StoreSetupError(f"{path}: the mail key cannot be read: {error.strerror}") from error
    if mode & ~_MAIL_KEY_MODE:
        raise StoreSetupError(
            f"{path}: mode {mode:04o} is too open for the mail key; allowed is 0600 (its owner alone)"
        )
    return _parsed(path, _content(path))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreSetupError(f"{path}: the mail key cannot be read: {error.strerror}") from error


def _parsed(path: Path, content: bytes) -> MailKey:
    head, _, text = content.strip().rpartition(b" ")
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if head != _MAIL_KEY_HEAD.encode("ascii") or len(key) != KEY_OCTETS:
        raise StoreSetupError(
            f"{path}: not a mail key; allowed is one line '{_MAIL_KEY_HEAD} BASE64' with {KEY_OCTETS} octets"
        )
    return MailKey(key)
