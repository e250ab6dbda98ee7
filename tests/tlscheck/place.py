"""A small internet on loopback: a DNS server, an authority, mail hosts; and a check of it by the real command."""

import itertools
import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from click.testing import CliRunner

from notes2conf_milter.cli import main
from tests.tlscheck.authority import Authority, Issued
from tests.tlscheck.mailhost import Listening, MailHost, PolicyHost
from tests.tlscheck.nameserver import Nameserver

DOMAIN = "example.test"
MX = "mx.example.test"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Checked:
    """What the command said."""

    exit_code: int
    output: str

    def levels(self) -> dict[str, str]:
        """Finding -> level, of a run with --json."""
        return {one["code"]: one["level"] for one in self.json()["findings"]}

    def json(self) -> Any:
        return json.loads(self.output)


class Place:
    """A context manager. All mail hosts listen on one port, each on its own address of 127.0.0.0/8."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority()
        self.dns = Nameserver()
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.authority.root.pem)
        self.port = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.dns)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stack.close()

    @staticmethod
    def address() -> str:
        """Return an address of loopback that no other test process uses."""
        process = os.getpid() % 60000
        return f"127.{process // 250 + 2}.{process % 250 + 1}.{next(_numbers) % 250 + 1}"

    def mx(self, host: MailHost, name: str = MX, preference: int = 10, address: str = "") -> MailHost:
        """Add a mail host of the domain."""
        address = address or self.address()
        listening = self._stack.enter_context(Listening(host, address, self.port))
        self.port = listening.port
        self.dns.zone.setdefault(f"{DOMAIN} MX", []).append(f"{preference} {name}.")
        self.dns.zone.setdefault(f"{name} {'AAAA' if ':' in address else 'A'}", []).append(address)
        return host

    def good(self, **options: Any) -> MailHost:
        """Add a mail host whose certificate the authority issued."""
        return self.mx(MailHost(self.authority.host(MX).context(**options)))

    def tlsa(self, usage: int, selector: int, matching: int, issued: Issued, name: str = MX) -> None:
        """Publish a TLSA record (matching 0 or 1) for a certificate."""
        value = issued.der if selector == 0 else issued.spki
        data = value if matching == 0 else sha256(value).digest()
        self.dns.zone.setdefault(f"_{self.port}._tcp.{name} TLSA", []).append(
            f"{usage} {selector} {matching} {data.hex()}"
        )

    def policy(self, text: str, **options: Any) -> PolicyHost:
        """Publish an MTA-STS policy."""
        address = self.address()
        name = f"mta-sts.{DOMAIN}"
        issued = options.pop("issued", None) or self.authority.host(name)
        host = PolicyHost(address, issued.context(), text.encode(), **options)
        self._stack.enter_context(host)
        self.dns.zone[f"_mta-sts.{DOMAIN} TXT"] = ['"v=STSv1; id=1;"']
        self.dns.zone[f"{name} A"] = [address]
        return host

    def check(self, *arguments: str, domain: str = DOMAIN) -> Checked:
        """Run the command."""
        server, port = self.dns.address
        options = ["--resolver", f"{server}:{port}", "--port", str(self.port or 25), "--ca", str(self.ca)]
        done = CliRunner().invoke(main, ["tls", "check", *options, *arguments, domain])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Checked(done.exit_code, done.stdout)

    def findings(self, domain: str = DOMAIN) -> tuple[int, dict[str, str]]:
        """Run the command with --json; return exit code and finding -> level."""
        checked = self.check("--json", domain=domain)
        return checked.exit_code, checked.levels()
