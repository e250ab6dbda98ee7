"""Unix sockets of listeners: bound where a stale one may lie, removed at the end.

In:  a path, permissions. Out: a bound socket. Touches: the file system.
Fails: OSError with the path.
"""

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path


def identity(path: Path) -> tuple[int, int]:
    """Return what tells a socket from its successor at the same path; raises OSError."""
    status = path.lstat()
    return status.st_dev, status.st_ino


def remove_own(path: Path, bound: tuple[int, int]) -> None:
    """Remove a socket unless it is that of a successor. bound: its identity. Never raises."""
    with contextlib.suppress(OSError):
        if identity(path) == bound:
            path.unlink()


def bind_unix(path: Path, mode: int | None, group: int | None) -> socket.socket:
    """Bind `path`, over a stale socket if need be. Nobody can connect before listen(), so chmod comes in time.

    mode: its permissions; None leaves them to the umask, as bind(2) does. group: the id of its group; None leaves it to the
    folder. Raises OSError when the path cannot be used or somebody listens there already.
    """
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        if group is not None:
            os.chown(path, -1, group)
        if mode is not None:
            path.chmod(mode)
    except OSError:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on; raises OSError if somebody does, or if it is no socket."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file that is not a socket", str(path))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)  # a listener whose queue is full would block us
            probe.connect(str(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink()
        return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(path))
