"""The corpus through a real Postfix: what passes arrives as the same Postfix delivers it without us; what is rewritten, as the
core rewrites what that Postfix delivers.

The gateway runs in this process, for its clock stands before all those meetings; the socket, Postfix and the mailbox are real.
"""

import asyncio
import os
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from notes2conf_milter.address import UnixAddress
from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.invitation import Invitation, read
from notes2conf_milter.core.language import language_of
from notes2conf_milter.core.policy import PolicySettings
from notes2conf_milter.core.rewrite import Job, rewrite
from notes2conf_milter.core.wording import WORDINGS
from notes2conf_milter.mailflow import FlowSettings, MailFlow
from notes2conf_milter.milter.server import MilterServer
from notes2conf_milter.store import EpochFile, MeetingStore, load_mail_key, new_keys
from notes2conf_milter.store.keys import EPOCH_NAME, MAIL_KEY_NAME
from notes2conf_milter.workers import Workers
from tests.corpus import CORPUS, NOW, messages, sender, table
from tests.golden import BASE_URL, WHOLE_WORLD
from tests.live.gateway import HOUSE, the_token, without_received
from tests.live.postfix import Client, Listener, Postfix, directory
from tests.live.sink import Delivery, Sink

needed = pytest.mark.skipif(
    not CORPUS.is_dir() and os.environ.get("CI") != "true", reason="no corpus beside the checkout"
)


class Gateway:
    """The milter door on a socket, in a thread of its own."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> "Gateway":
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        domains = frozenset(sender(octets).rpartition("@")[2].lower() for octets in messages().values())
        policy = PolicySettings(domains, (ip_network("192.0.2.0/24"),), house_networks=WHOLE_WORLD)
        settings, now = FlowSettings(BASE_URL, policy), int(NOW.timestamp())
        work = Workers(settings.work())
        with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(1) as thread:
            new_keys(Path(name), now)
            epoch, key = EpochFile(Path(name) / EPOCH_NAME), load_mail_key(Path(name) / MAIL_KEY_NAME)
            store = MeetingStore(Path(name) / "meetings.sqlite3", epoch, key)
            door = MilterServer()
            flow = MailFlow(settings, store, store_thread=thread, work=work, hand_over=None, clock=lambda: now)
            await door.start(UnixAddress(str(self._socket)), flow, socket_mode=0o666)
            self._ready.set()
            await self._stop.wait()
            await door.close(5)
            await work.close()
            thread.submit(store.close).result()


@contextmanager
def house() -> Iterator[tuple[Postfix, Sink]]:
    """A Postfix with two listeners, with and without the gateway."""
    with directory() as place, Sink() as sink, Gateway(place / "milter"):
        listeners = [Listener(options={"smtpd_milters": f"unix:{place}/milter"}), Listener()]
        with Postfix(place, listeners, relay_to=sink.address) as postfix:
            yield postfix, sink


def send_all(port: int, sink: Sink) -> dict[str, bytes]:
    """Send every message of the corpus, each to a recipient of its own, and return what arrived."""
    sink.clear()
    for number, octets in enumerate(messages().values()):
        by = sender(octets)
        with Client(port) as client:
            steps = ["EHLO client.example"]
            client.command(steps[0])
            assert client.xclient(HOUSE).code == 220
            steps += [f"MAIL FROM:<{by}> BODY=8BITMIME", f"RCPT TO:<r{number}@example.net>", "DATA"]
            for step in steps:
                assert client.command(step).code in (250, 354), step
            assert client.message(octets).code == 250
    arrived: list[Delivery] = sink.wait_for(len(messages()), timeout=120)
    by_number = {int(one.recipients[0].partition(b"@")[0][1:]): without_received(one) for one in arrived}
    return dict(zip(messages(), (by_number[number] for number in range(len(messages()))), strict=True))


@needed
def test_the_corpus_crosses_a_real_postfix() -> None:
    """345 messages, with us and without."""
    with house() as (postfix, sink):
        linked, plain = (send_all(port, sink) for port in postfix.ports)
        assert [line for line in postfix.warnings() if "milter" in line] == []
    wrong, rewritten = [], set()
    for name, before in plain.items():
        after = linked[name]
        if after == before:
            continue
        rewritten.add(name)
        found = read(before)
        assert isinstance(found, Invitation), name
        language = language_of(before, found.root, found.copies[0].calendar) or "en"
        job = Job(BASE_URL, the_token(after, BASE_URL), WORDINGS.get(language, WORDINGS["en"]))
        if after != apply(before, rewrite(before, found, job)):
            wrong.append(name)
    assert wrong == []
    assert rewritten ^ {name for name, (verdict, _) in table().items() if verdict == "rewrite"} == set()
