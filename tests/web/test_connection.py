"""Visitors who are too slow, send too much, or no HTTP at all: real sockets, the real server."""

import logging
import socket
import struct
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from notes2conf_milter.address import InetAddress
from notes2conf_milter.web import connection, listener, stream
from notes2conf_milter.web.server import WebSettings
from tests.web.house import Deaf, House, ask, eventually, page, raw, styles, wait

ONE = WebSettings("https://conf.example.org", max_connections=1)  # so it shows when a place is free again


@pytest.fixture
def house(house: House) -> Iterator[House]:
    with house.serving():
        yield house


def free(address: InetAddress) -> bool:
    """Say whether there is a place for one more."""
    try:
        return ask(address, "/healthz").status == 200
    except OSError:
        return False


def written(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is in the log, but that there were too many."""
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    return [one for one in said if one != "too many connections"]


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
    monkeypatch.setattr("notes2conf_milter.web.connection.REQUEST_SECONDS", 0.05)
    for start in (b"", b"GET / HTTP/1.1\r\nHo", b"POST /s/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nab"):
        with socket.create_connection((house.address.host, house.address.port), timeout=10) as connection:
            connection.sendall(start)
            assert connection.recv(100) == b""
    with socket.create_connection((house.address.host, house.address.port), timeout=10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHo")
        assert b"".join(iter(lambda: connection.recv(1000), b"")).endswith(b"ok\n"), "one answer, then the end"


@pytest.mark.parametrize(
    "start", ["GET / HTTP/1.1\r\nHost: a\r\nX: ", "POST /s/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n"]
)
def test_a_request_in_drops_is_ended(house: House, monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    """However steadily they fall: a slow header, a slow body."""
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.1)
    with socket.create_connection((house.address.host, house.address.port), timeout=10) as dripping:
        dripping.sendall(start.encode())

        def ended() -> bool:
            try:
                dripping.sendall(b"x")
            except OSError:
                return True
            return False

        eventually(ended)


def test_who_reads_no_page_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with house.serving(ONE) as address:
        monkeypatch.setattr(connection, "SEND_SECONDS", 0.2)  # not the system's own limit, which is of the start
        sheet = styles(house)
        deaf = Deaf(address, f"/static/{sheet}", 100)
        eventually(lambda: free(address))
        deaf.close()
    assert written(caplog) == []


@pytest.mark.parametrize(
    ("octets", "heartbeat", "ours", "systems"), [(2048, 0.0, 0.2, 30), (listener.SEND_BUFFER, 0.02, 30, 0.2)]
)
def test_who_reads_no_news_is_given_up(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    octets: int,
    heartbeat: float,
    ours: float,
    systems: float,
) -> None:
    """When no more can be sent; and when the system has taken all of it, but cannot get it off."""
    monkeypatch.setattr(listener, "SEND_BUFFER", octets)
    monkeypatch.setattr(stream, "HEARTBEAT", heartbeat)
    monkeypatch.setattr(connection, "SEND_SECONDS", systems)
    links = house.add(page())
    with house.serving(ONE) as address:
        monkeypatch.setattr(connection, "SEND_SECONDS", ours)
        guest = wait(house, links.join)
        deaf = Deaf(address, f"{guest}/events")
        eventually(lambda: free(address))
        deaf.close()
    assert written(caplog) == []


def test_who_reads_slowly_gets_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """One write after the other has its time; there is no end to all of them."""
    monkeypatch.setattr(connection, "SEND_SECONDS", 5)
    monkeypatch.setattr(listener, "SEND_BUFFER", 2048)
    with house.serving() as address, socket.socket() as slow:
        sheet = ask(address, f"/static/{styles(house)}").body
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.settimeout(10)
        slow.connect((address.host, address.port))
        slow.sendall(f"GET /static/{styles(house)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while octets := slow.recv(1000):
            got += octets
            time.sleep(0.001)
    assert got.endswith(sheet)


def test_a_header_that_is_far_too_large_gets_its_answer(house: House) -> None:
    """Also while it is still being sent."""
    with socket.create_connection((house.address.host, house.address.port), timeout=10) as large:
        large.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2_000_000)
        answer = b"".join(iter(lambda: large.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n") and answer.endswith(b"\r\n\r\nBad Request\n")


def test_a_body_that_turns_into_nonsense(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """While somebody reads it, or before; and while an answer is under way, which is not the place for another one."""
    links = house.add(page())
    streams = f"GET {wait(house, links.join)}/events"
    for line in (f"POST /s/{links.start}", "GET /healthz", f"POST /s/{links.start}", streams):
        with socket.create_connection((house.address.host, house.address.port), timeout=10) as one:
            head = f"{line} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n".encode()
            if line == streams:
                one.sendall(head)
                answer = one.recv(65536)
                one.sendall(b"nonsense\r\n")
            else:
                answer = b""
                one.sendall(head + b"nonsense\r\n")
            answer += b"".join(iter(lambda: one.recv(65536), b""))
        status = b"HTTP/1.1 200 " if line == streams else b"HTTP/1.1 400 "
        assert answer.startswith(status) and answer.count(b"HTTP/1.1") == 1
    assert ask(house.address, "/healthz").status == 200
    assert written(caplog) == ["Invalid HTTP request received."] * 4


def test_who_was_refused_and_stays_is_cut_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.1)
    with socket.create_connection((house.address.host, house.address.port), timeout=10) as staying:
        staying.sendall(b"nonsense\r\n\r\n")
        while staying.recv(1000):
            pass

        def ended() -> bool:
            try:
                staying.sendall(b"more of it")
            except OSError:
                return True
            return False

        eventually(ended)


def test_who_goes_while_being_refused(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with house.serving(ONE) as address:
        held = Deaf(address, "/healthz")
        for number in range(600):
            gone = socket.create_connection((address.host, address.port))
            if number % 2:
                gone.recv(1)  # and no more: closing resets it, and the other end has just written
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.close()
        held.close()
        eventually(lambda: free(address))
    assert written(caplog) == []


def test_a_body_that_is_far_too_large_gets_its_answer(house: House) -> None:
    links = house.add(page())
    for path in (f"/s/{links.start}", f"/j/{links.join}", "/nowhere", "/privacy"):
        asking = HTTPConnection(house.address.host, house.address.port, timeout=10)
        asking.request("POST", path, b"proof=" + b"x" * 5_000_000)
        answer = asking.getresponse()
        assert (answer.status, len(answer.read()) > 100) == ({"s": 413, "j": 413, "n": 404, "p": 405}[path[1]], True)
        asking.close()


def test_who_asks_before_a_large_body_need_not_send_it(house: House) -> None:
    links = house.add(page())
    head = f"POST /s/{links.start} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9000\r\n\r\n"
    assert raw(house.address, head).startswith(b"HTTP/1.1 413 ")
    assert ask(house.address, f"/s/{links.start}", "POST", {"proof": "x"}, Expect="100-continue").status == 403


def test_a_large_body_without_an_end_is_ended(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is dropped as it comes, and not for ever."""
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.1)
    links = house.add(page())
    with socket.create_connection((house.address.host, house.address.port), timeout=10) as endless:
        endless.sendall(f"POST /s/{links.start} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

        def ended() -> bool:
            try:
                endless.sendall(b"2000\r\n" + b"x" * 8192 + b"\r\n")
            except OSError:
                return True
            return False

        eventually(ended)
    assert ask(house.address, "/healthz").status == 200


def test_slow_ones_hold_up_nobody_else(house: House) -> None:
    """Two hundred who send no end, and two hundred who read nothing."""
    links = house.add(page())
    sheet = styles(house)
    crowd: list[socket.socket | Deaf] = []
    for _ in range(200):
        dripping = socket.create_connection((house.address.host, house.address.port))
        dripping.sendall(f"GET /j/{links.join} HTTP/1.1\r\nHost".encode())
        deaf = Deaf(house.address, f"/static/{sheet}", 20)
        crowd += [dripping, deaf]
    assert ask(house.address, f"/j/{links.join}").status == 200
    assert ask(house.address, wait(house, links.join)).status == 200
    for one in crowd:
        one.close()
