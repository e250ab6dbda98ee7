"""Dovecot's LMTP server of its own for a test: loopback, a free port, mailboxes in a folder, gone afterwards.

    with Dovecot(place, full=["carla@example.net"], closed=["dora@example.net"]) as store:
        ... content_filter behind which is store.port ...
        store.mailbox("bob@example.net")

Who is full is refused for good (552) and whose mailbox is closed for now (451), each after the final dot and alone.
Needs root and the Debian package dovecot-lmtpd; the host's own Dovecot is not touched.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.live.gateway import until
from tests.live.postfix import Client, free_ports

NOBODY = 65534

_CONFIGURATION = """\
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/dovecot.log
protocols = lmtp
ssl = no
first_valid_uid = 1
mail_location = maildir:{place}/open/%u
mail_plugins = quota
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = passwd-file
  args = {place}/users
}}
plugin {{
  quota = maildir:User quota
}}
"""


class Dovecot:
    """The server; a context manager."""

    def __init__(
        self, place: Path, users: Sequence[str], *, full: Sequence[str] = (), closed: Sequence[str] = ()
    ) -> None:
        """place: a folder that everybody may enter."""
        self.place = place
        self.port = free_ports(1)[0]
        self._users, self._full, self._closed = users, full, closed

    def __enter__(self) -> Self:
        for name, mode in (("open", 0o755), ("closed", 0o700)):
            folder = self.place / name
            folder.mkdir()
            folder.chmod(mode)
        os.chown(self.place / "open", NOBODY, NOBODY)
        for user in self._closed:
            (self.place / "closed" / user).mkdir()
            os.chown(self.place / "closed" / user, NOBODY, NOBODY)
        configuration = self.place / "dovecot.conf"
        configuration.write_text(_CONFIGURATION.format(place=self.place, port=self.port))
        lines = [f"{user}::{NOBODY}:{NOBODY}::{self.place}/open::{self._more(user)}\n" for user in self._users]
        (self.place / "users").write_text("".join(lines))
        command = ["/usr/sbin/dovecot", "-F", "-c", str(configuration)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            until(self._greets)
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def open_up(self) -> None:
        """From now on nobody's mailbox is closed."""
        (self.place / "closed").chmod(0o755)

    def mailbox(self, user: str) -> list[bytes]:
        """Return the messages of somebody, as they are stored: with LF, below Dovecot's own fields."""
        return [path.read_bytes() for path in sorted((self._mailbox(user) / "new").glob("*"))]

    def _mailbox(self, user: str) -> Path:
        return self.place / ("closed" if user in self._closed else "open") / user

    def _more(self, user: str) -> str:
        quota = " userdb_quota_rule=*:bytes=1" if user in self._full else ""
        return f"userdb_mail=maildir:{self._mailbox(user)}{quota}"

    def _greets(self) -> bool:
        try:
            with Client(self.port):
                return True
        except OSError:
            return False
