"""Key files and a database in a folder, and what the tests put there."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from notes2conf_milter.core.joinlink import token_from
from notes2conf_milter.core.meeting import Instance, Occurrence, Page, Person, Revision, Room, RoomState
from notes2conf_milter.store.epoch import EpochFile
from notes2conf_milter.store.keys import EPOCH_NAME, MAIL_KEY_NAME, load_mail_key, new_keys
from notes2conf_milter.store.links import LinkStore
from notes2conf_milter.store.merge import News
from notes2conf_milter.store.sqlite import Claim, MeetingStore

NOW = 1_777_881_600  # 2026-05-04 08:00 UTC
HOUR = 3600
DAY = 24 * HOUR
END = NOW + 2 * HOUR
ORGANIZER = "anna@example.org"
UID = "0123456789ABCDEF0123456789ABCDEF-Lotus_Notes_Generated"
PAGE = Page("Budget of the northern branch", Person(ORGANIZER, "Anna Ahrens"), (Occurrence(NOW + HOUR, END),))
BERT = Person("bert@example.com", "Bert Brandt")
CLARA = Person("clara@example.net", "Clara Curtz")
FIRST = Revision(0, "20260501T080000Z")
SECOND = Revision(1, "20260502T080000Z")
ROOM = Room(NOW + HOUR, RoomState.OPEN, "jitsi", "https://meet.example.org/northern-branch-room")


def numbered_tokens() -> Callable[[], str]:
    """Return a token source that gives other fixed tokens each time."""
    numbers = count(1)
    return lambda: token_from(next(numbers).to_bytes(20, "big"))


class Vault:
    """A folder with both keys and a database."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.database = folder / "meetings.db"
        self.epoch = EpochFile(folder / EPOCH_NAME)
        self._open: list[MeetingStore | LinkStore] = []

    def make(self) -> "Vault":
        new_keys(self.folder, NOW)
        return self

    def mail(self, busy_seconds: float = 5.0, **given: Callable[[], str]) -> MeetingStore:
        key = load_mail_key(self.folder / MAIL_KEY_NAME)
        store = MeetingStore(self.database, self.epoch, key, busy_seconds=busy_seconds, **given)
        self._open.append(store)
        return store

    def web(self, busy_seconds: float = 5.0) -> LinkStore:
        store = LinkStore(self.database, self.epoch, busy_seconds)
        self._open.append(store)
        return store

    def close(self) -> None:
        for store in self._open:
            store.close()
        self._open.clear()

    @contextmanager
    def sql(self) -> Iterator[sqlite3.Connection]:
        """Give a connection as somebody else may have it; each statement commits."""
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            yield connection

    def copy(self, folder: Path) -> "Vault":
        """Copy the database, as a backup does (without the keys)."""
        folder.mkdir()
        with self.sql() as connection, closing(sqlite3.connect(folder / "meetings.db")) as target:
            connection.backup(target)
        return Vault(folder)

    def give_keys_to(self, other: "Vault") -> None:
        """Copy today's key files to another folder."""
        for name in (EPOCH_NAME, MAIL_KEY_NAME):
            shutil.copy2(self.folder / name, other.folder / name)

    def octets(self) -> bytes:
        """Return what the database's files hold, the -shm too."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("meetings.db*")))


def news(
    page: Page = PAGE,
    attendees: tuple[Person, ...] = (BERT,),
    revision: Revision = FIRST,
    expires_at: int = END,
    instance: int | None = None,
) -> News:
    """What a message says: of the whole, or of one instance, by the start that the series has for it."""
    lag = max(0, expires_at - max((one.end for one in page.times), default=expires_at))
    if instance is None:
        return News(page, attendees, revision, expires_at, lag=lag)
    apart = ((instance, Instance(revision, page.times, expires_at)),)
    return News(page, attendees, revision, expires_at, False, apart)


def claim(
    store: MeetingStore,
    uid: str = UID,
    organizer: str = ORGANIZER,
    page: Page = PAGE,
    attendees: tuple[Person, ...] = (BERT,),
    revision: Revision = FIRST,
    instance: int | None = None,
    expires_at: int = END,
    now: int = NOW,
) -> Claim:
    """Claim the usual meeting, but for what the test says."""
    got = store.claim(organizer, uid, news(page, attendees, revision, expires_at, instance), now)
    assert isinstance(got, Claim)
    return got


def claim_at_once(
    folder: Path, barrier: Callable[[], object], answers: Callable[[tuple[str, str, bool]], object]
) -> None:
    """Claim the usual meeting in a process of its own, when the others are ready too."""
    store = Vault(folder).mail()
    barrier()
    got = claim(store)
    answers((got.join_token, got.start_token, got.new))
    store.close()


def claim_many(folder: Path, prefix: str, meetings: int, answers: Callable[[tuple[str, str]], object]) -> None:
    """Claim meetings one after the other in a process of its own, each twice, the second time to move its end."""
    store = Vault(folder).mail(busy_seconds=60)
    for number in range(meetings):
        uid = f"{prefix}-{number}"
        token = claim(store, uid=uid, expires_at=NOW + 9 * DAY).join_token
        assert claim(store, uid=uid, expires_at=NOW + 10 * DAY, revision=SECOND).join_token == token
        answers((uid, token))
    store.close()
