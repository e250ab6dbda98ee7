"""The HTTP server: what it logs, what it limits, how it ends."""

import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from notes2conf_milter.address import InetAddress
from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.web.server import WebSettings
from tests.web.house import Answer, Clock, House, ask, page, serving


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


def raw(address: InetAddress, text: str) -> bytes:
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_what_is_not_http_is_answered_with_400(house: House) -> None:
    for text in (
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    ):
        answer = raw(house.address, text)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n") and b"no-referrer" in answer


def test_a_header_without_an_end_is_cut_off(house: House) -> None:
    assert raw(house.address, "GET / HTTP/1.1\r\nHost: a\r\nX: " + "x" * 20000).startswith(b"HTTP/1.1 400 ")


def test_one_connection_too_many(house: House) -> None:
    with house.serving(WebSettings("https://conf.example.org", max_connections=2)) as address:
        held = [socket.create_connection((address.host, address.port)) for _ in range(2)]
        for connection in held:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
        with socket.create_connection((address.host, address.port), timeout=10) as third:
            assert third.recv(100).startswith(b"HTTP/1.1 503 Service Unavailable")
        for connection in held:
            connection.close()


def test_a_connection_that_never_asks_is_closed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notes2conf_milter.web.server.REQUEST_SECONDS", 0.05)
    for start in (b"", b"GET / HTTP/1.1\r\nHo", b"POST /s/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nab"):
        with socket.create_connection((house.address.host, house.address.port), timeout=10) as connection:
            connection.sendall(start)
            assert connection.recv(100) == b""
    with socket.create_connection((house.address.host, house.address.port), timeout=10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHo")
        assert b"".join(iter(lambda: connection.recv(1000), b"")).endswith(b"ok\n"), "one answer, then the end"


def test_a_port_that_is_taken(house: House) -> None:
    with pytest.raises(OSError, match="use"), serving(house.store, Clock(0), listen=house.address):
        pass


def test_signals_stay_the_callers() -> None:
    import signal

    from notes2conf_milter.web.server import _Server

    before = signal.getsignal(signal.SIGTERM)
    with _Server.capture_signals(None):  # type: ignore[arg-type]
        assert signal.getsignal(signal.SIGTERM) is before
