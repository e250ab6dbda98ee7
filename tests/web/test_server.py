"""The HTTP server: what it logs, what it limits, how it ends."""

import logging
import threading
from collections.abc import Iterator

import pytest

from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.web.server import WebSettings
from tests.web.house import Answer, Clock, Deaf, House, ask, page, raw, serving, styles


@pytest.fixture
def house(house: House) -> Iterator[House]:
    with house.serving():
        yield house


def test_an_answer_under_way_is_finished_before_the_end(house: House) -> None:
    links, reading, disk = house.add(page()), threading.Event(), threading.Event()
    answers: list[Answer] = []

    def read_slowly() -> None:
        reading.set()
        disk.wait()

    house.store.before_read = read_slowly
    visitor = threading.Thread(target=lambda: answers.append(ask(house.address, f"/j/{links.join}")))
    visitor.start()
    assert reading.wait(10)
    ending = threading.Thread(target=house.stop)
    ending.start()
    disk.set()
    visitor.join(10)
    ending.join(10)
    assert [answer.status for answer in answers] == [200]
    with pytest.raises(OSError, match="refused"):
        ask(house.address, "/healthz")


def test_no_token_and_no_name_reaches_a_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    for name in (
        "",
        "uvicorn",
        "uvicorn.error",
        "uvicorn.access",
        "uvicorn.asgi",
        "asyncio",
        "starlette",
        "notes2conf_milter",
    ):
        caplog.set_level(1, name)
    links = house.add(page("Secret subject"))
    with house.serving() as address:
        for path in (
            f"/j/{links.join}",
            f"/s/{links.start}",
            f"/j/{links.join}?x={links.start}",
            f"/x/{links.join}",
            "/j/" + "a" * 32,
        ):
            for method in ("GET", "HEAD", "POST", "DELETE"):
                ask(address, path, method, Referer=f"https://conf.example.org/j/{links.join}")
        ask(address, f"/s/{links.start}", Upgrade="websocket", Connection="Upgrade")
        raw(address, f"GET /j/{links.join} nonsense\r\n\r\n")
        raw(address, f"\0{links.join}\r\n\r\n")
        for failure in (StoreError(links.join), KeyError(links.join), RuntimeError("Secret subject", links.start)):
            failure.__cause__ = ValueError(links.join)
            house.store.fail = failure
            ask(address, f"/j/{links.join}")
            ask(address, f"/s/{links.start}", "POST", {"occurrence": "1", "proof": "x"})
        house.store.fail = None
    written = "\n".join(logging.Formatter("%(name)s %(message)s").format(record) for record in caplog.records)
    assert "a page failed: ValueError () > KeyError (routing.py:" in written
    for secret in (links.join, links.start, "Secret", "anna", "a" * 32):
        assert secret not in written


def test_a_port_that_is_taken(house: House) -> None:
    with pytest.raises(OSError, match="use"), serving(house.store, Clock(0), listen=house.address):
        pass


def test_signals_stay_the_callers() -> None:
    import signal

    from notes2conf_milter.web.server import _Server

    before = signal.getsignal(signal.SIGTERM)
    with _Server.capture_signals(None):  # type: ignore[arg-type]
        assert signal.getsignal(signal.SIGTERM) is before


def test_one_network_has_a_part_of_what_there_is() -> None:
    """Whatever is set: others find a place, and whoever has no stream can come to ask."""
    for most in (400, 1000, 30_000):
        for guests in (10, 2000, 40_000):
            settings = WebSettings("https://conf.example.org", max_connections=most, guests_per_network=guests)
            assert settings.streams_per_network < settings.connections_per_network < most


def test_the_end_does_not_wait_for_who_does_not_read(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """And no trace of their answers is written."""
    with house.serving():
        deaf = Deaf(house.address, "/static/" + styles(house), 100)
        house.stop()
        with pytest.raises(OSError, match="refused"):
            ask(house.address, "/healthz")
        deaf.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
