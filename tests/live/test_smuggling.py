"""SMTP smuggling: what looks like an end of a message is text (CVE-2023-51764), by whatever door, whoever wrote it.

tests/live/test_arrangements.py sends the same through every arrangement. Here: a real Postfix of old manners behind the door,
stray line ends refused, the conference address reached without Postfix, and mails that we write ourselves.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.live import gateway
from tests.live.arrangements import BASE_URL, EXEMPT, Wire
from tests.live.gateway import ANNA, BOB, WITHOUT_MILTERS
from tests.live.postfix import Listener, Postfix, directory, free_ports
from tests.live.sink import Sink
from tests.live.sloppy import Sloppy
from tests.live.test_arrangements import ENDS, carrying, simple

OLD = {**WITHOUT_MILTERS, "smtpd_forbid_bare_newline": "no"}
DORA = "dora@int.example.org"
MEET = "meet@conf.example.org"
STRAY = re.compile(rb"\r(?!\n)|(?<!\r)\n")


@pytest.mark.parametrize("calendar", [False, True], ids=["plain", "invitation"])
def test_one_message_stays_one_before_an_old_postfix(*, calendar: bool) -> None:
    """It takes a bare LF for a line end: alone it is fooled, behind the door it is not."""
    with directory() as place, Sink() as sink, Postfix(place, [Listener(options=OLD)], sink.address) as postfix:
        with Wire(postfix.ports[0]).greet() as wire:
            wire.deliver(ANNA, BOB, carrying(b"\n.\r\n", calendar=calendar))
        sink.wait_for(2)
        assert {one.sender for one in sink.messages} == {ANNA.encode(), b"forged@example.org"}
        sink.clear()
        (door,) = free_ports(1)
        more = ("--smtp", f"127.0.0.1:{door}", "--next-hop", f"127.0.0.1:{postfix.ports[0]}")
        start = postfix.ports[0]
        mail = gateway.mail(place / "state", base_url=BASE_URL, start_mail=start, more=more, allow=("127.0.0.0/8",))
        with mail:
            for end in ENDS:
                with Wire(door).greet() as wire:
                    wire.deliver(ANNA, BOB, carrying(end, calendar=calendar))
        postfix.wait_until_idle()
        found = [one for one in sink.messages if one.sender]
        assert [one.sender for one in found] == [ANNA.encode()] * len(ENDS)
        assert all(b"forged" in one.octets for one in found)
        assert [bool(gateway.tokens(one.octets, BASE_URL)) for one in found] == [calendar] * len(ENDS)


@contextmanager
def served(settings: str) -> Iterator[tuple[Sloppy, int, gateway.Service]]:
    """The SMTP door before a hop of old manners, which gets our own mails, too; its port, and the service."""
    with directory() as place, Sloppy() as hop:
        (door,) = free_ports(1)
        file = place / "own.toml"
        file.write_text(settings.replace("PLACE", str(place)), "utf-8")
        more = ("--smtp", f"127.0.0.1:{door}", "--next-hop", hop.address, "--config", str(file))
        options = {"start_mail": hop.port, "allow": ("127.0.0.0/8",), "exempt": EXEMPT}
        with gateway.mail(place / "state", base_url=BASE_URL, more=more, **options) as mail:
            yield hop, door, mail


def test_stray_line_ends_may_be_refused() -> None:
    """Then nothing of such a message goes on, and the session goes on behind its real end."""
    with served('[smtp]\nbare_newlines = "refuse"\n') as (hop, door, _):
        for end in ENDS:
            for calendar in (False, True):
                hop.clear()
                with Wire(door).greet() as wire:
                    replies = wire.deliver(ANNA, BOB, carrying(end, calendar=calendar))
                stray = STRAY.search(end) is not None
                assert [one[:3] for one in replies] == [b"550" if stray else b"250", b"221"], end
                assert [one.sender for one in hop.messages if one.sender] == ([] if stray else [ANNA.encode()])


def test_the_conference_address_takes_one_for_one() -> None:
    """By LMTP without Postfix before it: one message, one answer for its recipient, and one line in the log."""
    settings = f'[conference]\naddresses = ["{MEET}"]\nlisten = "unix:PLACE/lmtp"\n'
    with served(settings) as (hop, _, mail):
        path = mail.log().partition("unix:")[2].split()[0].rstrip(",;")
        for end in ENDS:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.settimeout(30)
                lines = client.makefile("rb")
                assert lines.readline().startswith(b"220")
                commands = f"LHLO x\r\nXFORWARD ADDR=127.0.0.1\r\nMAIL FROM:<{ANNA}>\r\nRCPT TO:<{MEET}>\r\nDATA\r\n"
                client.sendall(commands.encode())
                while not lines.readline().startswith(b"354"):
                    pass
                client.sendall(carrying(end, calendar=True) + b"QUIT\r\n")
                assert [one[:3] for one in lines.readlines()] == [b"250", b"221"], end
        answers = mail.answers()
        assert [(one.verdict, one.reason) for one in answers] == [("take", "conference-made")] * len(ENDS)
        assert {one.sender for one in hop.messages} == {b""}
        assert len(hop.messages) == len(ENDS)


NAMES = (
    rb"x\n.\nMAIL FROM:<forged@example.org>\nRCPT TO:<mallory@example.net>\nDATA\n\nx\n.\n",  # RFC 5545 escapes
    rb"x^n.^nMAIL FROM:<forged@example.org>^nRCPT TO:<mallory@example.net>^nDATA^n^nx^n.^n",  # RFC 6868
    b"x\r.\rMAIL FROM:<forged@example.org>\rRCPT TO:<mallory@example.net>\rDATA\r\rx\r.\r",
    b"x\x0b.\x0bMAIL FROM:<forged@example.org>\x0c.\x0c\xc2\x85.\xc2\x85\xe2\x80\xa8.\xe2\x80\xa9",
    b".",
    b"..",
)


def test_what_we_write_ourselves_is_one_message() -> None:
    """Start mail and join mail about a meeting whose subject and names are made to break out of it, straight to such a hop."""
    with served('[conference]\ninternal_domains = ["int.example.org"]\n') as (hop, door, _):
        for name in NAMES:
            hop.clear()
            quoted = name.replace(b'"', b"")
            lines = b'ORGANIZER;CN="%b":mailto:anna@example.org\r\n' % quoted
            lines += b'ATTENDEE;CN="%b":mailto:%b\r\nLOCATION:%b\r\n' % (quoted, DORA.encode(), name)
            message = simple(lines, encoding="base64", summary=name)
            with Wire(door).greet() as wire:
                assert [one[:3] for one in wire.deliver(ANNA, BOB, message + b".\r\n")] == [b"250", b"221"], name
            assert sorted(one.recipients for one in hop.messages) == sorted(
                [(ANNA.encode(),), (BOB.encode(),), (DORA.encode(),)]
            ), name
            for one in hop.messages:
                assert STRAY.search(one.octets) is None, name
                if one.recipients == (BOB.encode(),):
                    assert (one.sender, one.octets == message) == (ANNA.encode(), False)
                else:
                    assert one.sender == b""
                    assert gateway.tokens(one.octets, BASE_URL), name
