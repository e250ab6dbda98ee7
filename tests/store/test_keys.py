"""The mail key: made once, refused when others may read it, taken from systemd where there is one."""

import stat
from pathlib import Path

import pytest

from notes2conf_milter.store.epoch import EpochFile
from notes2conf_milter.store.errors import StoreSetupError
from notes2conf_milter.store.keys import CREDENTIAL_NAME, EPOCH_NAME, MAIL_KEY_NAME, load_mail_key, new_keys
from tests.store.vault import NOW, Vault


def test_new_keys_are_closed_to_others_and_random(vault: Vault, tmp_path: Path) -> None:
    other = Vault(tmp_path / "other").make()
    assert stat.S_IMODE((vault.folder / MAIL_KEY_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE((vault.folder / EPOCH_NAME).stat().st_mode) == 0o640
    assert load_mail_key(vault.folder / MAIL_KEY_NAME) != load_mail_key(other.folder / MAIL_KEY_NAME)
    assert vault.epoch.read()[0].secret != other.epoch.read()[0].secret


@pytest.mark.parametrize("name", [MAIL_KEY_NAME, EPOCH_NAME])
def test_new_keys_overwrite_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(StoreSetupError, match=f"{name}: exists already"):
        new_keys(tmp_path, NOW)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"precious"]


def test_new_keys_need_their_directory(tmp_path: Path) -> None:
    with pytest.raises(StoreSetupError, match="nowhere"):
        new_keys(tmp_path / "nowhere", NOW)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_closed_key_is_loaded(vault: Vault, mode: int) -> None:
    (vault.folder / MAIL_KEY_NAME).chmod(mode)
    assert len(load_mail_key(vault.folder / MAIL_KEY_NAME).octets) == 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o700, 0o660, 0o644])
def test_a_key_that_is_too_open_is_refused(vault: Vault, mode: int) -> None:
    (vault.folder / MAIL_KEY_NAME).chmod(mode)
    with pytest.raises(StoreSetupError, match=rf"{MAIL_KEY_NAME}: mode {mode:04o} .* allowed is 0600"):
        load_mail_key(vault.folder / MAIL_KEY_NAME)


@pytest.mark.parametrize(
    "content", [b"", b"secret", b"notes2conf mail key 2 AAAA", b"notes2conf mail key 1 AAAA", b"\0" * 90]
)
def test_another_file_is_refused(vault: Vault, content: bytes) -> None:
    (vault.folder / MAIL_KEY_NAME).write_bytes(content)
    with pytest.raises(StoreSetupError, match=f"{MAIL_KEY_NAME}: not a mail key"):
        load_mail_key(vault.folder / MAIL_KEY_NAME)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreSetupError, match=f"{MAIL_KEY_NAME}: the mail key cannot be read"):
        load_mail_key(tmp_path / MAIL_KEY_NAME)


def test_a_systemd_credential_takes_its_place(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = load_mail_key(vault.folder / MAIL_KEY_NAME)
    credential = tmp_path / CREDENTIAL_NAME
    (vault.folder / MAIL_KEY_NAME).rename(credential)
    credential.chmod(0o440)  # as systemd gives it with an ACL
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_mail_key(vault.folder / MAIL_KEY_NAME) == key


def test_without_that_credential_the_file_counts(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_mail_key(vault.folder / MAIL_KEY_NAME).octets


def test_secrets_do_not_show(vault: Vault) -> None:
    key, epoch = load_mail_key(vault.folder / MAIL_KEY_NAME), EpochFile(vault.folder / EPOCH_NAME).read()[0]
    assert repr(key) == "MailKey()"
    assert repr(epoch.secret) not in repr(epoch)
