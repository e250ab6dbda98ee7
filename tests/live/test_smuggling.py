"""SMTP smuggling through the SMTP door to a real Postfix: what looks like an end of a message is text (CVE-2023-51764)."""

import socket

import pytest

from tests.live import gateway
from tests.live.gateway import ANNA, BOB, WITHOUT_MILTERS
from tests.live.postfix import Listener, Postfix, directory, free_ports
from tests.live.sink import Sink

SECOND = b"MAIL FROM:<forged@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\nSubject: forged\r\n\r\nforged\r\n"


def deliver(port: int, end: bytes) -> list[bytes]:
    """Send one message with something like an end in it, and behind that a second one; return the replies to all of it."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        lines = connection.makefile("rb")

        def reply() -> bytes:
            while (line := lines.readline())[3:4] == b"-":
                pass
            return line

        assert reply().startswith(b"220")
        for command in (
            b"EHLO client.example",
            b"MAIL FROM:<%b>" % ANNA.encode(),
            b"RCPT TO:<%b>" % BOB.encode(),
            b"DATA",
        ):
            connection.sendall(command + b"\r\n")
            assert reply()[:1] in b"23"
        connection.sendall(b"Subject: first\r\n\r\nfirst" + end + SECOND + b"\r\n.\r\nQUIT\r\n")
        return lines.readlines()


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\n.\r"], ids=repr)
def test_one_message_stays_one(end: bytes) -> None:
    """Also where the Postfix behind takes a bare LF for a line end, as old ones do."""
    with directory() as place, Sink() as sink:
        old = {**WITHOUT_MILTERS, "smtpd_forbid_bare_newline": "no"}
        postfix = Postfix(place, [Listener(options=old)], sink.address)
        (door,) = free_ports(1)
        more = ("--smtp", f"127.0.0.1:{door}", "--next-hop", f"127.0.0.1:{postfix.ports[0]}")
        mail = gateway.mail(
            place / "state", base_url="https://conf.example.org", start_mail=postfix.ports[0], more=more
        )
        with mail, postfix:
            deliver(door, end)
            sink.wait_for(1)
            postfix.wait_until_idle()
            assert [one.sender for one in sink.messages] == [ANNA.encode()]
            assert b"forged" in sink.messages[0].octets


def test_that_postfix_can_be_fooled() -> None:
    """Without the door in front: the test above is about something."""
    with directory() as place, Sink() as sink:
        old = {**WITHOUT_MILTERS, "smtpd_forbid_bare_newline": "no"}
        with Postfix(place, [Listener(options=old)], sink.address) as postfix:
            deliver(postfix.ports[0], b"\n.\r\n")
            sink.wait_for(2)
            assert {one.sender for one in sink.messages} == {ANNA.encode(), b"forged@example.org"}
