"""Unix sockets: a stale one is replaced, nothing else is, and only the own one is removed."""

import socket
import stat
from pathlib import Path

import pytest

from notes2conf_milter.sockets import bind_unix, identity, remove_own


def test_a_stale_socket_is_replaced_with_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "s"
    bind_unix(path, None, None).close()
    with bind_unix(path, 0o620, None):
        assert stat.S_IMODE(path.stat().st_mode) == 0o620


def test_somebody_who_listens_is_not_pushed_aside(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bind_unix(path, None, None) as first:
        first.listen()
        with pytest.raises(OSError, match="in use"):
            bind_unix(path, None, None)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("notes")
    with pytest.raises(FileExistsError):
        bind_unix(path, None, None)
    assert path.read_text() == "notes"


def test_only_the_own_socket_is_removed(tmp_path: Path) -> None:
    """Not that of a successor, and a missing one is no error."""
    path = tmp_path / "s"
    with bind_unix(path, None, None):
        own = identity(path)
        path.rename(tmp_path / "old")
        with bind_unix(path, None, None):
            remove_own(path, own)
            assert path.exists()
            remove_own(path, identity(path))
            assert not path.exists()
            remove_own(path, own)
