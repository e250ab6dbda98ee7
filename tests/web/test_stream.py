"""Events: what is sent, when, and that it ends."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from notes2conf_milter.web import stream
from notes2conf_milter.web.stream import EventStream, News


class Page:
    """A page that listens: what it was sent, and its end."""

    def __init__(self, *news: News, pause: float = 0) -> None:
        self.news = list(news)
        self.waking: set[Callable[[], None]] = set()
        self.sent: list[dict[str, Any]] = []
        self.closed = asyncio.Event()
        self.done = 0
        self._stream = EventStream(lambda: self.news[0], self.waking, self._end, pause)

    def _end(self) -> None:
        self.done += 1

    async def receive(self) -> dict[str, Any]:
        await self.closed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def serve(self) -> "asyncio.Task[None]":
        return asyncio.create_task(self._stream({"type": "http"}, self.receive, self.send))  # type: ignore[arg-type]

    async def say(self, news: News) -> None:
        self.news = [news]
        for wake in list(self.waking):
            wake()
        await asyncio.sleep(0.01)

    @property
    def events(self) -> list[bytes]:
        return [one["body"] for one in self.sent[1:] if one["body"]]


def test_an_event_is_text_in_lines() -> None:
    assert News("<p>\n</p>").octets() == b"data: <p>\ndata: </p>\n\n"
    assert News("", "again").octets() == b"event: again\ndata:  \n\n"
    assert News("\ud800\r\nx").octets() == b"data: ?\ndata: x\n\n"


def test_it_says_how_it_stands_and_what_changes() -> None:
    """Nothing twice; it ends with the last, and listens no more."""

    async def run() -> None:
        page = Page(News("a"))
        task = page.serve()
        await asyncio.sleep(0.01)
        await page.say(News("a"))
        await page.say(News("b"))
        await page.say(News("c", "over", last=True))
        await asyncio.wait_for(task, 1)
        assert page.sent[0]["status"] == 200
        assert dict(page.sent[0]["headers"])[b"x-accel-buffering"] == b"no"
        assert page.events == [b"data: a\n\n", b"data: b\n\n", b"event: over\ndata: c\n\n"]
        assert page.sent[-1] == {"type": "http.response.body", "body": b""}
        assert (page.waking, page.done) == (set(), 1)

    asyncio.run(run())


def test_it_ends_when_the_page_is_closed() -> None:
    async def run() -> None:
        page = Page(News("a"))
        task = page.serve()
        await asyncio.sleep(0.01)
        page.closed.set()
        await asyncio.wait_for(task, 1)
        assert (page.waking, page.done) == (set(), 1)

    asyncio.run(run())


def test_many_changes_are_one_event() -> None:
    """Where there is a pause between two."""

    async def run() -> None:
        page = Page(News("0"), pause=0.05)
        task = page.serve()
        await asyncio.sleep(0.01)
        for number in range(1, 6):
            await page.say(News(str(number)))
        await page.say(News("end", last=True))
        await asyncio.wait_for(task, 1)
        assert page.events[0] == b"data: 0\n\n"
        assert page.events[-1] == b"data: end\n\n"
        assert len(page.events) <= 3

    asyncio.run(run())


def test_for_who_does_not_read_nothing_is_piled_up() -> None:
    """What changed meanwhile is one event."""

    async def run() -> None:
        page, reading = Page(News("0")), asyncio.Event()
        sent = page.send

        async def send(message: Any) -> None:
            await sent(message)
            await reading.wait()

        page.send = send  # type: ignore[method-assign]
        task = page.serve()
        for number in range(1000):
            page.news = [News(str(number))]
            for wake in list(page.waking):
                wake()
            await asyncio.sleep(0)
        await page.say(News("last"))
        reading.set()
        await asyncio.sleep(0.01)
        await page.say(News("end", last=True))
        await asyncio.wait_for(task, 1)
        assert page.events[-2:] == [b"data: last\n\n", b"data: end\n\n"] and len(page.events) <= 3

    asyncio.run(run())


def test_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies close what is silent."""
    monkeypatch.setattr(stream, "HEARTBEAT", 0.01)

    async def run() -> None:
        page = Page(News("a"))
        task = page.serve()
        await asyncio.sleep(0.1)
        page.closed.set()
        await asyncio.wait_for(task, 1)
        assert page.events[:3] == [b"data: a\n\n", b":\n\n", b":\n\n"]

    asyncio.run(run())


def test_a_page_that_cannot_be_sent_to_is_given_up() -> None:
    async def run() -> None:
        page = Page(News("a"))

        async def send(message: Any) -> None:
            raise OSError

        page.send = send  # type: ignore[method-assign]
        with pytest.raises(OSError):
            await page.serve()
        assert (page.waking, page.done) == (set(), 1)

    asyncio.run(run())
