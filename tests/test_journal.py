"""The log: every line, in order, and many messages in one write."""

import asyncio
import io
import logging
from collections.abc import Iterator

import pytest

from notes2conf_milter.journal import Journal


class Stream(io.StringIO):
    """Counts what reaches the system."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str] = []

    def flush(self) -> None:
        said = "".join(self.flushed)
        if len(self.getvalue()) > len(said):
            self.flushed.append(self.getvalue()[len(said) :])


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def logger(stream: Stream) -> Iterator[logging.Logger]:
    found = logging.Logger("notes2conf.test", logging.INFO)
    found.addHandler(Journal(stream))
    yield found
    found.handlers.clear()


def journal(logger: logging.Logger) -> Journal:
    (found,) = logger.handlers
    assert isinstance(found, Journal)
    return found


def test_notes_go_out_together_and_soon(logger: logging.Logger, stream: Stream) -> None:
    async def play() -> None:
        for number in range(3):
            journal(logger).note(logger, f"queue_id={number}")
        assert stream.flushed == []
        while not stream.flushed:
            await asyncio.sleep(0.01)

    asyncio.run(play())
    assert stream.flushed == ["".join(f"INFO notes2conf.test: queue_id={number}\n" for number in range(3))]


def test_many_notes_do_not_wait(logger: logging.Logger, stream: Stream) -> None:
    async def play() -> None:
        for number in range(130):
            journal(logger).note(logger, str(number))

    asyncio.run(play())
    assert [text.count("\n") for text in stream.flushed] == [64, 64]
    journal(logger).flush()  # as logging.shutdown does at the end
    assert stream.getvalue().count("\n") == 130


def test_the_order_is_kept(logger: logging.Logger, stream: Stream) -> None:
    async def play() -> None:
        journal(logger).note(logger, "one")
        logger.error("two")
        journal(logger).note(logger, "three")
        logger.warning("four")

    asyncio.run(play())
    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == ["one", "two", "three", "four"]


def test_a_note_is_what_a_record_would_be(logger: logging.Logger, stream: Stream) -> None:
    async def play() -> None:
        journal(logger).note(logger, "the same")

    asyncio.run(play())
    logger.info("the same")
    first, second = stream.getvalue().splitlines()
    assert first == second


def test_a_level_above_info_leaves_notes_out(logger: logging.Logger, stream: Stream) -> None:
    logger.setLevel(logging.WARNING)

    async def play() -> None:
        journal(logger).note(logger, "one")

    asyncio.run(play())
    journal(logger).flush()
    assert stream.getvalue() == ""


def test_a_stream_that_is_gone_stops_nothing(logger: logging.Logger, stream: Stream) -> None:
    async def play() -> None:
        stream.close()
        for _ in range(70):
            journal(logger).note(logger, "one")

    asyncio.run(play())
