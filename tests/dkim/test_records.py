"""What DNS says of a name, from a real name server on loopback."""

import socket
import time

import pytest

from notes2conf_milter.address import InetAddress
from notes2conf_milter.dkim.records import Dns, NoAnswer
from tests.nameserver import NameServer
from tests.signatures import key

NAME = key().record_name
TEXT = key().record.encode()


def test_a_record_of_several_strings_is_one() -> None:
    """And is asked for once while its TTL lasts; nothing there is an answer, too."""
    with NameServer({NAME: TEXT}) as server:
        dns = Dns(server.address)
        assert len(TEXT) > 255
        assert dns.txt(NAME) == dns.txt(NAME.upper()) == (TEXT,)
        assert dns.txt("none._domainkey.example.org") == ()
        assert server.asked.count(NAME) == 1


@pytest.mark.parametrize(
    "name", ["", "a..b", "x" * 64 + ".example.org", "x." * 200 + "example.org", "\N{SNOWMAN}" * 80]
)
def test_what_can_be_no_name_has_no_record(name: str) -> None:
    with NameServer({}) as server:
        assert Dns(server.address).txt(name) == ()


def test_dns_that_cannot_say() -> None:
    """A failure, silence, nobody there: each is told apart from a record that is missing, in good time."""
    with NameServer({NAME: None}, silent=frozenset({"silent.example.org"})) as server:
        with pytest.raises(NoAnswer, match="do not answer"):
            Dns(server.address, 2.0).txt(NAME)
        begin = time.monotonic()
        with pytest.raises(NoAnswer, match="no reply in time"):
            Dns(server.address, 0.4).txt("silent.example.org")
        assert time.monotonic() - begin < 2
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(NoAnswer):
            Dns(InetAddress("127.0.0.1", nobody.getsockname()[1]), 0.4).txt(NAME)


def test_an_error_names_nobody() -> None:
    """The text is for the log."""
    with NameServer({NAME: None}) as server, pytest.raises(NoAnswer) as error:
        Dns(server.address, 1.0).txt(NAME)
    assert "example" not in str(error.value)


@pytest.mark.parametrize("octets", [b"", b"\0", b"\xff" * 600])
def test_what_is_no_answer(octets: bytes) -> None:
    """Nothing that comes from the network raises anything else."""

    class Odd:
        def to_wire(self) -> bytes:
            return octets

    class Garbage(NameServer):
        def _answer(self, query: object, name: str) -> Odd:  # type: ignore[override]
            return Odd()

    with Garbage({}) as server, pytest.raises(NoAnswer):
        Dns(server.address, 1.0).txt(NAME)


def test_an_error_that_nobody_foresaw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is no answer, either: a message must not be deferred for it."""

    def fail(*_: object, **__: object) -> None:
        raise IndexError("inside")

    monkeypatch.setattr("dns.resolver.Resolver.resolve", fail)
    with NameServer({}) as server, pytest.raises(NoAnswer, match="IndexError"):
        Dns(server.address, 1.0).txt(NAME)
