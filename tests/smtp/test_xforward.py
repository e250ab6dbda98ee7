"""What XFORWARD says of a client."""

from ipaddress import ip_address

import pytest

from notes2conf_milter.smtp.xforward import Forwarded, read_xforward

NOTHING = Forwarded()


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("ADDR=192.0.2.7", "192.0.2.7"),
        ("addr=192.0.2.7 NAME=host.example", "192.0.2.7"),
        ("ADDR=IPv6:2001:db8::1", "2001:db8::1"),
        ("ADDR=192+2E0.2.7", "192.0.2.7"),
        ("ADDR=[UNAVAILABLE]", None),
        ("ADDR=[TEMPUNAVAIL]", None),
        ("ADDR=192.0.2.7,192.0.2.8", None),
        ("SOURCE=LOCAL", None),
    ],
)
def test_the_client(said: str, client: str | None) -> None:
    """Unknown is never an allowed client (law 9)."""
    assert read_xforward(said, NOTHING).client == (None if client is None else ip_address(client))


def test_several_commands_for_one_message() -> None:
    """Postfix sends long lists in several."""
    first = read_xforward("NAME=host.example ADDR=192.0.2.7 PORT=2525", NOTHING)
    both = read_xforward("IDENT=4Xy9 SOURCE=REMOTE", first)
    assert (str(both.client), both.queue_id) == ("192.0.2.7", "4Xy9")
    assert both.to_pass_on(("ADDR", "NAME", "SOURCE")) == b"XFORWARD NAME=host.example ADDR=192.0.2.7 SOURCE=REMOTE\r\n"
    assert both.to_pass_on(()) == b""
    assert NOTHING.to_pass_on(("ADDR",)) == b""


def test_a_queue_id_is_one() -> None:
    """It goes to the log."""
    assert read_xforward("IDENT=anna@example.org", NOTHING).queue_id == ""
    assert read_xforward("IDENT=x+0Ay", NOTHING).queue_id == ""


@pytest.mark.parametrize(
    "said", ["", "ADDR", "ADDR=", "=x", "ADDR=192.0.2.1  NAME=x", "ADDR=\x01", "AD\udcffDR=1", "Ä=1"]
)
def test_what_is_no_list_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="no list"):
        read_xforward(said, NOTHING)


def test_the_list_is_bounded() -> None:
    names = [f"{chr(65 + a)}{chr(65 + b)}=1" for a in range(20) for b in range(20)]
    with pytest.raises(ValueError, match="no list"):
        read_xforward(" ".join(names), NOTHING)
