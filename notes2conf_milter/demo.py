"""`notes2conf-milter demo`: everything on loopback, a Notes invitation through the door, what came of it, the pages behind.

In:  nothing. Out: on standard output the difference and the two links; then the pages stay up until Ctrl-C.
Touches: free ports of 127.0.0.1, a folder that is removed at the end. Nothing leaves this machine, unless a click opens the
Jitsi server in your browser.
Fails: OSError when no port can be had.
"""

import asyncio
import difflib
import email
import email.policy
import os
import re
import socket
import tempfile
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import click
from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP, Envelope, Session

from notes2conf_milter.address import InetAddress
from notes2conf_milter.config import Settings, load
from notes2conf_milter.core.contentlines import split
from notes2conf_milter.daemon import mail_service, now, stop_signals, until, web_service
from notes2conf_milter.smtp.onward import NextHop
from notes2conf_milter.smtp.reinject import Handed, hand_over
from notes2conf_milter.store import new_keys

ORGANIZER = "anna.muster@example.org"
GUEST = "guest@example.net"
JITSI = "https://meet.jit.si"
SECONDS = 30.0


class _Mailboxes:
    """The next hop of the demonstration: keeps what arrives."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await self.arrived.put((envelope.rcpt_tos[0], cast(bytes, envelope.content)))
        return "250 2.0.0 Ok"


async def run() -> None:
    """Show the whole way of one invitation, and keep the pages up until SIGINT or SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="notes2conf-demo-") as folder:
        mailboxes = _Mailboxes()
        sink = UnthreadedController(mailboxes, "127.0.0.1", _free_port())
        server = await asyncio.get_running_loop().create_server(sink.factory, sink.hostname, sink.port)
        settings = _settings(Path(folder), InetAddress(sink.hostname, sink.port))
        new_keys(settings.state_dir, now())
        try:
            async with web_service(settings), mail_service(settings) as listening:
                door = next(address for address in listening if isinstance(address, InetAddress))
                await _show(door, mailboxes)
                click.echo("\nThe pages stay up until Ctrl-C.")
                await until(stop_signals())
        finally:
            server.close()


def _settings(folder: Path, sink: InetAddress) -> Settings:
    web = f"127.0.0.1:{_free_port()}"
    options: dict[str, Any] = {
        "base_url": f"http://{web}",
        "state_dir": str(folder),
        "policy.organizer_domains": ["example.org"],
        "policy.allowed_networks": ["127.0.0.0/8"],
        "tls.exempt_networks": ["127.0.0.0/8"],
        "smtp.listen": "127.0.0.1:0",
        "smtp.next_hop": sink.netloc,
        "smtp.hostname": "localhost",
        "web.listen": web,
        "services.jitsi_url": JITSI,
    }
    return load(Path(os.devnull), options)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _show(door: InetAddress, mailboxes: _Mailboxes) -> None:
    original = invitation(datetime.now(UTC))
    click.echo(f"An invitation from {ORGANIZER} goes through the SMTP door at {door.netloc} …")
    handed = await hand_over(NextHop(door, "localhost"), ORGANIZER.encode(), GUEST.encode(), original, timeout=SECONDS)
    if handed.result is not Handed.ACCEPTED:
        raise OSError(f"the door answered {handed.code}")
    mails = dict([await mailboxes.arrived.get(), await mailboxes.arrived.get()])
    click.echo("\nWhat the guest's mailbox got, against what was sent (decoded, calendar lines unfolded):\n")
    for line in difflib.unified_diff(
        _readable(original), _readable(mails[GUEST]), "sent", "received", lineterm="", n=1
    ):
        click.echo("  " + line)
    start_mail = _readable(mails[ORGANIZER])
    click.echo(f"\nThe organizer's mail to {ORGANIZER}:\n")
    for line in start_mail[: start_mail.index("[text/html]")]:
        click.echo("  " + line)
    click.echo(f"\nJoin link (in the invitation):  {_link(mails[GUEST], b'/j/')}")
    click.echo(f"Start link (organizer's mail):  {_link(mails[ORGANIZER], b'/s/')}")


def invitation(at: datetime) -> bytes:
    """Return a Notes invitation to a meeting an hour after `at` that lasts an hour, CRLF line ends."""
    template = (files("notes2conf_milter") / "demo_invitation.eml").read_bytes()
    start = (at + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    values = {
        b"@START@": start.strftime("%Y%m%dT%H%M%SZ"),
        b"@END@": (start + timedelta(hours=1)).strftime("%Y%m%dT%H%M%SZ"),
        b"@STAMP@": at.strftime("%Y%m%dT%H%M%SZ"),
        b"@DATE@": email.utils.format_datetime(at),
    }
    for name, value in values.items():
        template = template.replace(name, value.encode())
    return template.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _readable(message: bytes) -> list[str]:
    """Return a message's parts decoded, line by line."""
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    lines = [f"Subject: {parsed['subject']}"]
    for part in parsed.walk():
        attached = (part.get_filename() or "").endswith(".ics")
        if part.get_content_maintype() != "text" and not attached:
            continue
        octets = cast(bytes, part.get_payload(decode=True))
        if part.get_content_subtype() == "calendar" or attached:
            octets = b"\n".join(line.text for line in split(octets))
        text = octets.decode(part.get_content_charset("utf-8"), "replace")
        label = f"[{part.get_content_type()}{', ' + str(part.get_filename()) if attached else ''}]"
        lines += [label, *text.splitlines()]
    return lines


def _link(message: bytes, kind: bytes) -> str:
    text = "\n".join(_readable(message)).encode()
    found = re.search(rb"http://[0-9.:]+" + kind + rb"[a-z2-7]{32}", text)
    return found[0].decode() if found else "none"
