"""How many connections there may be, in all and from one network: real sockets, the real server."""

import logging
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from notes2conf_milter.address import InetAddress
from notes2conf_milter.certificate import Certificate
from notes2conf_milter.web import connection, listener
from notes2conf_milter.web.server import WebSettings
from tests.web.house import House, eventually
from tests.web.test_certificate import write

ALONE = WebSettings(
    "https://conf.example.org", guests_per_network=1, trusted_proxies=()
)  # two connections of one network
ONE, OTHER = "127.0.0.1", "127.0.0.2"


def connected(address: InetAddress, source: str = ONE) -> HTTPConnection:
    return HTTPConnection(address.host, address.port, timeout=10, source_address=(source, 0))


def asked(connection: HTTPConnection) -> int:
    """Ask by a connection that stays; return the status."""
    connection.request("GET", "/healthz", headers={"Cookie": "x" * 8000})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def served(address: InetAddress, source: str = ONE) -> bool:
    """Say whether one more is served; its connection does not stay."""
    one = connected(address, source)
    try:
        return asked(one) == 200
    except OSError:
        return False
    finally:
        one.close()


@pytest.fixture
def held(house: House) -> Iterator[list[HTTPConnection]]:
    """One network has all that it may have."""
    with house.serving(ALONE) as address:
        two = [connected(address) for _ in range(2)]
        assert [asked(one) for one in two] == [200, 200]
        yield two
        for one in two:
            one.close()


def test_one_network_does_not_take_the_others_places(house: House, held: list[HTTPConnection]) -> None:
    """The answer says when to come again; who has a connection keeps it, and one that is closed makes room."""
    third = connected(house.address)
    third.request("GET", "/healthz", headers={"Cookie": "x" * 8000})
    answer = third.getresponse()
    assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (503, "30", "close")
    assert (
        answer.headers["content-type"] == "text/plain; charset=utf-8" and answer.headers["cache-control"] == "no-store"
    )
    text = answer.read().decode()
    assert "Please try again in a minute" in text and "versuchen Sie es gleich noch einmal" in text
    third.close()
    assert served(house.address, OTHER)
    assert [asked(one) for one in held] == [200, 200]
    held[0].close()
    eventually(lambda: served(house.address))


def test_behind_a_proxy_connections_are_the_proxys(house: House) -> None:
    with house.serving(WebSettings("https://conf.example.org", guests_per_network=1)) as address:
        many = [connected(address) for _ in range(20)]
        assert {asked(one) for one in many} == {200}
        for one in many:
            one.close()


def test_far_too_many_are_closed_without_a_word(
    house: House, held: list[HTTPConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also they do not count for longer than they last."""
    monkeypatch.setattr(listener, "SPARE", 1)
    monkeypatch.setattr(connection, "LINGER_SECONDS", 60)
    with socket.create_connection((house.address.host, house.address.port), timeout=10) as told:
        assert told.recv(100).startswith(b"HTTP/1.1 503 Service Unavailable")
        with pytest.raises(OSError):  # reset, or closed before it could ask
            asked(connected(house.address))
        assert served(house.address, OTHER)
    held[0].close()
    eventually(lambda: served(house.address))


def test_a_flood_of_connections_fills_neither_the_log_nor_the_files(
    house: House, held: list[HTTPConnection], caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, and not who it is."""
    crowd = [socket.create_connection((house.address.host, house.address.port)) for _ in range(500)]
    assert served(house.address, OTHER)
    for one in (*crowd, *held):
        one.close()
    eventually(lambda: served(house.address))
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert said == ["too many connections from one network"]


def test_a_handshake_counts(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who begins no TLS has a place, and not for ever."""
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.3)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def spoken(source: str) -> bool:
        try:
            with (
                socket.create_connection((house.address.host, house.address.port), 10, (source, 0)) as plain,
                context.wrap_socket(plain) as one,
            ):
                one.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                return one.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    with house.serving(ALONE, certificate=Certificate(*write(tmp_path, 1000))):
        mute = [socket.create_connection((house.address.host, house.address.port), 10) for _ in range(2)]
        eventually(lambda: spoken(OTHER))
        for one in mute:
            assert one.recv(10) == b"", "it was closed"
        eventually(lambda: spoken(ONE))
        for one in mute:
            one.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO] == []


def test_who_is_refused_by_tls_is_told(house: House, tmp_path: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with house.serving(ALONE, certificate=Certificate(*write(tmp_path, 1000))):
        mute = [socket.create_connection((house.address.host, house.address.port), 10) for _ in range(2)]
        with (
            socket.create_connection((house.address.host, house.address.port), 10) as plain,
            context.wrap_socket(plain) as one,
        ):
            assert one.recv(100).startswith(b"HTTP/1.1 503 Service Unavailable")
        for two in mute:
            two.close()


def test_the_place_of_who_leaves_is_free(house: House) -> None:
    """Whichever way it ends."""
    with house.serving(ALONE) as address:
        for number in range(60):
            with socket.create_connection((address.host, address.port), 10) as one:
                one.sendall((b"", b"nonsense\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")[number % 3])

        def both() -> bool:
            two = [connected(address) for _ in range(2)]
            try:
                return [asked(each) for each in two] == [200, 200]
            except OSError:
                return False
            finally:
                for each in two:
                    each.close()

        eventually(both)
