"""The epoch file: its form, its modes, and that a replaced secret is gone from the disk."""

import stat
from pathlib import Path

import pytest

from notes2conf_milter.store import epoch
from notes2conf_milter.store.epoch import Epoch, EpochFile, as_octets, new_epoch
from notes2conf_milter.store.errors import StoreError, StoreSetupError
from tests.store.vault import NOW, Vault


def test_two_epochs_come_back_in_their_order(vault: Vault) -> None:
    epochs = (*vault.epoch.read(), new_epoch(NOW + 1))
    vault.epoch.replace(epochs)
    assert vault.epoch.read() == epochs


def test_replacing_keeps_the_mode_and_leaves_nothing_beside(vault: Vault) -> None:
    vault.epoch.path.chmod(0o600)
    vault.epoch.replace((new_epoch(NOW),))
    assert stat.S_IMODE(vault.epoch.path.stat().st_mode) == 0o600
    assert sorted(path.name for path in vault.folder.iterdir()) == ["epoch", "mail-key"]


def test_the_old_content_is_zeroed(vault: Vault) -> None:
    with vault.epoch.path.open("rb") as held:
        vault.epoch.replace((new_epoch(NOW),))
        assert set(held.read()) == {0}


def test_a_reader_of_the_file_being_wiped_reads_again(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = iter([b"\0" * 90, b"notes2conf epo" + b"\0" * 76, vault.epoch.path.read_bytes()])
    monkeypatch.setattr(Path, "read_bytes", lambda _: next(contents))
    assert len(vault.epoch.read()) == 1


def test_a_file_of_zeros_is_refused(vault: Vault) -> None:
    vault.epoch.path.write_bytes(b"\0" * 90)
    with pytest.raises(StoreError, match="not an epoch file"):
        vault.epoch.read()


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o750, 0o604])
def test_a_file_that_is_too_open_is_refused(vault: Vault, mode: int) -> None:
    vault.epoch.path.chmod(mode)
    with pytest.raises(StoreSetupError, match=rf"epoch: mode {mode:04o} .* allowed is 0640"):
        vault.epoch.check()


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o440])
def test_a_closed_file_is_accepted(vault: Vault, mode: int) -> None:
    vault.epoch.path.chmod(mode)
    vault.epoch.check()


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"secret\n", as_octets((Epoch(b"e" * 8, NOW, b"s" * 32),)) + b"x\n", b"notes2conf epoch 2\n"],
)
def test_another_file_is_refused(vault: Vault, content: bytes) -> None:
    vault.epoch.path.write_bytes(content)
    with pytest.raises(StoreSetupError, match="epoch: not an epoch file"):
        vault.epoch.check()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreSetupError, match="nothing: the epoch file cannot be read"):
        EpochFile(tmp_path / "nothing").check()
    with pytest.raises(StoreError, match="nothing: the epoch file cannot be read"):
        EpochFile(tmp_path / "nothing").read()


def test_a_disk_that_is_full_leaves_the_old_file(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    before = vault.epoch.path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(epoch, "write_new", full)
    with pytest.raises(StoreError, match="cannot be written: No space left"):
        vault.epoch.replace((new_epoch(NOW),))
    assert vault.epoch.path.read_bytes() == before
