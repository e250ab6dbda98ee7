"""Who signs: off the event loop, and without waiting for DNS longer than is good."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from notes2conf_milter.core.carried import Candidate, candidates
from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.signing import unsigned
from notes2conf_milter.dkim.records import Dns, Records
from notes2conf_milter.dkim.signer import Signer
from tests.core.test_signing import MESSAGE
from tests.nameserver import NameServer
from tests.signatures import Names, key, keys, records, sign, verified

NOW = 1_772_436_600
SERVER = key(selector="server")


def threats(count: int = 1) -> tuple[Candidate, ...]:
    message = MESSAGE
    for number in range(count):
        message = sign(message, key(selector=f"server{number or ''}"))
    return candidates(message, lambda domain: True, NOW)[0]


@asynccontextmanager
async def signer(*arguments: Any) -> AsyncIterator[Signer]:
    one = Signer(*arguments)
    try:
        yield one
    finally:
        one.close()


def asked(records: Records | None, some: tuple[Candidate, ...], seconds: float = 6.0) -> bool:
    async def run() -> bool:
        async with signer((), records, seconds) as one:
            return await one.any_valid(some)

    return asyncio.run(run())


def test_signatures_and_mails() -> None:
    """The first key's is on top; a mail whose From has no key stays as it is."""
    both = keys()

    async def run() -> list[bytes]:
        async with signer(both) as one:
            fields = unsigned(MESSAGE, tuple(key.name for key in both), NOW)
            message = apply(MESSAGE, await one.sign(fields, b"\r\n"))
            foreign = MESSAGE.replace(b"anna@example.org", b"anna@example.com")
            return [message, await one.sign_mail(MESSAGE, NOW), await one.sign_mail(foreign, NOW)]

    message, mail, foreign = asyncio.run(run())
    assert message == mail
    assert verified(mail, records(*both)) == [("example.org", True)] * 2
    assert mail.index(b"s=r;") < mail.index(b"s=e;")
    assert foreign == MESSAGE.replace(b"anna@example.org", b"anna@example.com")


def test_keys_are_used_in_a_thread_of_their_own() -> None:
    """The event loop has other mail to look after."""
    used: list[str] = []

    class Watched(Signer):
        def _sign(self, *arguments: Any) -> Any:
            used.append(threading.current_thread().name)
            return super()._sign(*arguments)

    async def run() -> None:
        one = Watched(keys())
        await one.sign(unsigned(MESSAGE, (key().name,), NOW), b"\r\n")
        await one.sign_mail(MESSAGE, NOW)
        one.close()

    asyncio.run(run())
    assert [name.partition("_")[0] for name in used] == ["dkim", "dkim"]


def test_a_valid_signature_is_found() -> None:
    """Also behind one that is not; one that nobody can verify is none."""
    one, two = threats(2)
    good = records(SERVER)
    assert asked(Names(good), (two, one) if two.selector == "server" else (one, two))
    assert not asked(Names({}), (one, two))
    assert not asked(Names({SERVER.record_name: key("x.example").record.encode()}), (one,))
    assert not asked(Names(good), ())


def test_what_dns_cannot_say_counts_as_valid() -> None:
    """Nothing is broken because a name server is out of order: said, silent, or nobody to ask."""
    assert asked(Names({SERVER.record_name: None}), threats())
    assert asked(None, threats())
    assert not asked(None, ())
    with NameServer({}, silent=frozenset({SERVER.record_name})) as server:
        assert asked(Dns(server.address, 0.3), threats())
    with NameServer(records(SERVER)) as server:
        assert asked(Dns(server.address), threats())
    with NameServer({}) as server:
        assert not asked(Dns(server.address), threats())


class Stuck(Names):
    """DNS that lets one wait, whatever it was promised."""

    def __init__(self, records: Mapping[str, bytes | None]) -> None:
        super().__init__(records)
        self.go = threading.Event()

    def txt(self, name: str) -> tuple[bytes, ...]:
        self.go.wait(20)
        return super().txt(name)


def test_a_name_server_holds_nobody_up() -> None:
    """The loop goes on while DNS is asked; after a few seconds a message is answered without it, and so are a hundred."""
    stuck = Stuck({})

    async def run() -> tuple[list[bool], int]:
        async with signer((), stuck, 0.5) as one:
            begin, ticks = time.monotonic(), 0
            asking = [asyncio.ensure_future(one.any_valid(threats())) for _ in range(100)]
            while not all(task.done() for task in asking):
                await asyncio.sleep(0.01)
                ticks += 1
                assert time.monotonic() - begin < 10
            stuck.go.set()
            return [task.result() for task in asking], ticks

    answers, ticks = asyncio.run(run())
    assert answers == [True] * 100
    assert ticks > 5
    assert len(stuck.asked) <= 8  # who was not served in time is not asked about later
