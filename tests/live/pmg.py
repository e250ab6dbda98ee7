"""Proxmox Mail Gateway as far as mail sees it: its listeners in a real Postfix, and a stand-in for its filter.

    template = rendered(text, before_queue=False, values={...})
    with Filter(key, inject_port) as scanner:
        ... Postfix whose content_filter or smtpd_proxy_filter leads to scanner.ports ...

MASTER has the services of pmg-api's template master.cf.in (9.1, June 2026, AGPL-3) that take mail, with their very lines;
`rendered` knows as much of the Template Toolkit as these and ours use. `Filter` speaks SMTP and LMTP as PMG/SMTP.pm does: what
comes to its first port is from inside and is signed, what comes to the second is from outside; both go back to Postfix.
Fails: ValueError for a directive that `rendered` does not know.
"""

import re
import smtplib
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from email import message_from_bytes
from email.utils import parseaddr
from socketserver import StreamRequestHandler, ThreadingTCPServer

from notes2conf_milter.dkim.keys import SigningKey
from tests.signatures import sign

MASTER = """\
[% IF ! pmg.mail.before_queue_filtering -%]
scan      unix  -       -       n       -       [% pmg.mail.max_filters %]      lmtp
  -o lmtp_send_xforward_command=yes
  -o lmtp_connection_cache_on_demand=no
  -o smtp_dns_support_level=disabled
[% END -%]

[% pmg.mail.int_port %]       inet  n -       n       -       [% pmg.mail.max_smtpd_out %]      smtpd
[% IF pmg.mail.before_queue_filtering -%]
  -o smtpd_proxy_filter=127.0.0.1:10023
  -o smtpd_proxy_options=speed_adjust
  -o smtpd_client_connection_count_limit=[% pmg.mail.conn_count_limit div 5 %]
[%- ELSE -%]
  -o content_filter=scan:127.0.0.1:10023
[%- END %]
  -o smtpd_recipient_restrictions=permit_mynetworks,reject_unauth_destination
  -o smtpd_helo_restrictions=
  -o smtpd_client_restrictions=
  -o smtpd_sender_restrictions=
  -o smtpd_data_restrictions=
  -o smtpd_forbid_bare_newline=no

[% pmg.mail.ext_port %]       inet  n -       n       -       1 postscreen

smtpd     pass  -       -       n       -       [% pmg.mail.max_smtpd_in %]      smtpd
[% IF pmg.mail.before_queue_filtering -%]
  -o smtpd_proxy_filter=127.0.0.1:10024
  -o smtpd_proxy_options=speed_adjust
  -o smtpd_client_connection_count_limit=[% pmg.mail.conn_count_limit div 5 %]
[%- ELSE -%]
  -o content_filter=scan:127.0.0.1:10024
[%- END %]
  -o receive_override_options=no_address_mappings
  -o smtpd_discard_ehlo_keywords=silent-discard,dsn
  -o mynetworks=127.0.0.0/8,[% postfix.int_ip %]

127.0.0.1:10025 inet  n       -       n       -       -      smtpd
  -o content_filter=
  -o local_recipient_maps=
  -o relay_recipient_maps=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks
  -o smtpd_helo_restrictions=
  -o smtpd_client_restrictions=
  -o smtpd_restriction_classes=
  -o smtpd_sender_restrictions=
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -o mynetworks=127.0.0.0/8
  -o smtpd_error_sleep_time=0
  -o smtpd_client_connection_count_limit=0
  -o smtpd_client_connection_rate_limit=0
  -o smtpd_tls_security_level=none
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
  -o message_size_limit=[% (pmg.mail.maxsize*2) %]
"""

SHARED = {  # of main.cf.in, as far as it says who may send what to whom
    "smtpd_authorized_xforward_hosts": "",
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination",
    "smtpd_recipient_restrictions": "permit_mynetworks reject_unauth_destination reject_non_fqdn_recipient",
    "smtpd_sender_restrictions": "permit_mynetworks reject_non_fqdn_sender",
    "smtpd_data_restrictions": "reject_unauth_pipelining",
    "relay_domains": "example.org",
    "smtpd_tls_security_level": "may",
}

_DIRECTIVE = re.compile(r"\[%-?\s*(.*?)\s*-?%\]")


def rendered(template: str, values: Mapping[str, str | bool]) -> str:
    """Return what the Template Toolkit makes of a template: values, and IF, ELSE, END around whole lines."""
    found, shown = [], [True]
    for index, piece in enumerate(_DIRECTIVE.split(template)):
        word, _, rest = piece.partition(" ")
        if index % 2 == 0:
            found += [piece] if all(shown) else []
        elif word == "IF":
            shown.append(bool(values[rest.removeprefix("! ")]) is not rest.startswith("! "))
        elif word == "ELSE":
            shown.append(not shown.pop())
        elif word == "END":
            shown.pop()
        elif piece in values:
            found += [str(values[piece])] if all(shown) else []
        else:
            raise ValueError(piece)
    return "".join(found)


@dataclass(frozen=True)
class Scanned:
    """A message as it came to the filter. xforward: attribute and value, the name in lower case."""

    inside: bool
    xforward: Mapping[str, str]
    sender: str
    recipients: tuple[str, ...]
    octets: bytes


@dataclass
class Filter:
    """The stand-in; a context manager. by_envelope: whose domain signs (PMG's default); else that of From."""

    key: SigningKey
    inject_port: int
    ports: tuple[int, int]
    by_envelope: bool = False
    blocks: bytes = b"\r\nX-Virus: yes\r\n"
    scanned: list[Scanned] = field(default_factory=list)

    def __enter__(self) -> "Filter":
        self._open = ExitStack()
        for port, inside in zip(self.ports, (True, False), strict=True):
            server = self._open.enter_context(_Server(("127.0.0.1", port), _Session))
            server.scanner, server.inside = self, inside
            threading.Thread(target=server.serve_forever, name=f"filter {port}", daemon=True).start()
            self._open.callback(server.shutdown)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def deal(self, mail: Scanned) -> str:
        """Sign what is from inside and hand it back to Postfix; return the reply."""
        self.scanned.append(mail)
        if self.blocks in mail.octets:
            return "554 5.7.1 Rejected for policy reasons"
        author = parseaddr(message_from_bytes(mail.octets)["From"])[1]
        domain = (mail.sender if self.by_envelope else author).rpartition("@")[2]
        octets = sign(mail.octets, self.key) if mail.inside and domain == self.key.name.domain else mail.octets
        with smtplib.SMTP("127.0.0.1", self.inject_port, "pmg.example.org", timeout=30) as back:
            back.ehlo()
            attributes = " ".join(f"{name.upper()}={value}" for name, value in mail.xforward.items())
            assert not attributes or back.docmd("XFORWARD", attributes)[0] == 250
            assert back.mail(mail.sender, ["BODY=8BITMIME"])[0] == 250
            assert [back.rcpt(one)[0] for one in mail.recipients] == [250] * len(mail.recipients)
            code, text = back.data(octets)
        return f"{code} {text.decode()}"


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    scanner: Filter
    inside: bool


class _Session(StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """One connection, as PMG::SMTP::loop has it."""
        self._say("220 Proxmox SMTP Ready.")
        lmtp, xforward, sender, recipients = False, {}, "", []
        while line := self.rfile.readline():
            verb, _, argument = line.decode("ascii").strip().partition(" ")
            match verb.upper():
                case "EHLO" | "LHLO":
                    lmtp = verb.upper() == "LHLO"
                    self._say("250-PIPELINING", "250-ENHANCEDSTATUSCODES", "250-8BITMIME", "250-SMTPUTF8", "250-DSN")
                    self._say("250-XFORWARD NAME ADDR PROTO HELO", "250 OK.")
                case "XFORWARD":
                    xforward |= {name.lower(): value for name, value in (one.split("=", 1) for one in argument.split())}
                    self._say("250 2.5.0 OK")
                case "MAIL":
                    sender, recipients = _address(argument), []
                    self._say("250 2.5.0 OK")
                case "RCPT":
                    recipients.append(_address(argument))
                    self._say("250 2.5.0 OK")
                case "DATA":
                    self._say("354 End data with <CR><LF>.<CR><LF>")
                    mail = Scanned(self.server.inside, xforward, sender, tuple(recipients), self._message())
                    self._say(*[self.server.scanner.deal(mail)] * (len(recipients) if lmtp else 1))
                    xforward, sender, recipients = {}, "", []
                case "QUIT":
                    self._say("221 2.2.0 OK")
                    return
                case _:
                    self._say(
                        "250 2.5.0 OK" if verb.upper() in ("NOOP", "RSET") else "500 5.5.1 Error: unknown command"
                    )

    def _message(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            assert line, "unfinished data"
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


def _address(argument: str) -> str:
    found = re.search(r"<(.*?)>", argument)
    assert found is not None, argument
    return found[1]
