"""Three Postfix hosts and a router between them: the organizers' house, the gateway, the world.

    house 192.0.2.0/24  --  router  --  gateway 203.0.113.0/24
                              |
                       world 198.51.100.0/24

The house sends as its test tells it: by a TLS client of a kind, from one of its addresses, to a name whose MX is looked up. The
gateway is a Postfix with config/postfix/tls-onward-*.cf and the real mail service (milter door, and SMTP door on port 2525).
The world is a Postfix with an address for every kind of mail host, each the MX of a domain of its own (`RECEIVERS`). On the way
to some addresses the router is a host in between (`between.py`). What house and world accept ends in a sink of each.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.live import gateway
from tests.live.between import Between, Deed, Injecting, Posing, Refusing, Stripping
from tests.live.gateway import COMMAND, until
from tests.live.hosts import Host, Network
from tests.live.postfix import Client, Listener, Postfix, directory
from tests.live.recipe import lines, services, settings
from tests.live.sink import Delivery, Sink
from tests.signatures import keys, pem
from tests.tlscheck.authority import NOW, Authority, Issued, issue
from tests.tlscheck.mailhost import PolicyHost
from tests.tlscheck.nameserver import Nameserver

BASE_URL = "https://conf.example.org"
DOOR = 2525
KEYS = keys()  # of example.org, for DKIM
LOW = {"tls_low_cipherlist": "ALL:@SECLEVEL=0", "tls_high_cipherlist": "ALL:@SECLEVEL=0"}  # for TLS 1.0 and 1.1
LOW |= {"tls_medium_cipherlist": "ALL:@SECLEVEL=0"}

# --- the house: from where it sends, and by what kind of client ---

SOURCES = {
    "domino": "192.0.2.10",  # a rule requires TLS 1.2 with forward secrecy of it
    "open": "192.0.2.11",  # nothing is required
    "exempt": "192.0.2.12",  # its invitations get a link although they come in clear
    "card": "192.0.2.13",  # a rule requires a client certificate
    "six": "2001:db8:1::10",  # as domino
}
_STRICT = {"smtp_tls_security_level": "encrypt", "smtp_tls_mandatory_ciphers": "low"}
CLIENTS = {
    "none": {"smtp_tls_security_level": "none"},
    "may": {"smtp_tls_security_level": "may"},
    "encrypt": {"smtp_tls_security_level": "encrypt"},
    "verify": {"smtp_tls_security_level": "verify"},
    "tls10": {**_STRICT, "smtp_tls_mandatory_protocols": "TLSv1"},
    "tls11": {**_STRICT, "smtp_tls_mandatory_protocols": "TLSv1.1"},
    "tls12": {**_STRICT, "smtp_tls_mandatory_protocols": "TLSv1.2"},
    "static": {
        **_STRICT,
        "smtp_tls_mandatory_protocols": "TLSv1.2",
        "smtp_tls_mandatory_exclude_ciphers": "kECDHE, kDHE",
    },
    "tls13": {**_STRICT, "smtp_tls_mandatory_protocols": "TLSv1.3"},
}
RULES = (
    '["192.0.2.10/32 require TLSv1.2 forward-secrecy", "2001:db8:1::10/128 require TLSv1.2 forward-secrecy", '
    '"192.0.2.13/32 require client-certificate", "* log"]'
)

# Names that have an address of the gateway as MX, and what the host in between does on the way there from the house
GATES: dict[str, tuple[str, Deed | None]] = {
    "gate.example.org": ("203.0.113.25", None),
    "stripped.gate.example.org": ("203.0.113.26", Stripping()),
    "crossed.gate.example.org": ("203.0.113.27", Stripping(b"XXXXXXXX")),
    "later.gate.example.org": ("203.0.113.28", Refusing(b"454 4.7.0 TLS not available due to local problem")),
    "never.gate.example.org": ("203.0.113.29", Refusing(b"502 5.5.1 Error: command not implemented")),
    "injected.gate.example.org": ("203.0.113.30", None),  # set by INJECTION
    "posed.gate.example.org": ("203.0.113.31", None),  # an impostor
}
# Behind the client's STARTTLS: a whole message of somebody else's, and the beginning of one to be continued
INJECTION = b"".join(
    [
        b"EHLO mallory.example\r\nMAIL FROM:<anna@example.org>\r\nRCPT TO:<mallory@good.example>\r\n",
        b"DATA\r\nSubject: injected\r\n\r\ninjected\r\n.\r\nMAIL FROM:<mallory@evil.example>\r\n",
    ]
)

# Of all three
_MAIN = {
    "inet_interfaces": "all",
    "inet_protocols": "all",
    "mynetworks": "0.0.0.0/0 [::]/0",
    "disable_dns_lookups": "no",
    "smtp_host_lookup": "dns",
    "smtp_dns_support_level": "dnssec",
    "smtp_tls_loglevel": "1",
    "smtp_tls_security_level": "may",
    "smtpd_tls_loglevel": "1",
    "smtpd_tls_received_header": "yes",
    "smtpd_peername_lookup": "yes",
    # what waits is tried again when a test says so, and stops nothing else
    "default_destination_concurrency_failed_cohort_limit": "0",
    "minimal_backoff_time": "1000s",
    "maximal_backoff_time": "1000s",
    "smtp_tls_note_starttls_offer": "yes",
}

# --- the world: a domain NAME.example for each kind of mail host, at 198.51.100.NUMBER and 2001:db8:3::NUMBER ---


@dataclass(frozen=True)
class Receiver:
    """A kind of mail host. options: of its smtpd. certificate: which (`_certificate`). deed: on the way from the gateway.

    tlsa: "right", "wrong" or "". secure: the resolver says that it validated. sts: the mx line of its policy (mode enforce);
    with it there is TLSRPT, too.
    """

    number: int
    options: dict[str, str] = field(default_factory=dict)
    certificate: str = "good"
    deed: Deed | None = None
    tlsa: str = ""
    secure: bool = True
    sts: str = ""


RECEIVERS: dict[str, Receiver] = {
    "good": Receiver(10),
    "only12": Receiver(11, {"smtpd_tls_protocols": "TLSv1.2"}),
    "only13": Receiver(12, {"smtpd_tls_protocols": "TLSv1.3"}),
    "only10": Receiver(13, {"smtpd_tls_protocols": "TLSv1", **LOW}),
    "none": Receiver(14, {"smtpd_tls_security_level": "none"}),
    "selfsigned": Receiver(15, certificate="selfsigned"),
    "expired": Receiver(16, certificate="expired"),
    "wrongname": Receiver(17, certificate="wrongname"),
    "wildcard": Receiver(18, certificate="wildcard"),
    "unknown": Receiver(19, certificate="unknown"),
    "stripped": Receiver(20, deed=Stripping()),
    "crossed": Receiver(21, deed=Stripping(b"XXXXXXXX")),
    "refused": Receiver(22, deed=Refusing(b"454 4.7.0 TLS not available due to local problem")),
    "never": Receiver(34, deed=Refusing(b"502 5.5.1 Error: command not implemented")),
    "injected": Receiver(23, deed=Injecting(answers=b"250 2.0.0 Ok\r\n")),
    "posed": Receiver(24),  # an impostor
    "dane": Receiver(25, certificate="selfsigned", tlsa="right"),
    "danewrong": Receiver(26, tlsa="wrong"),
    "daneplain": Receiver(27, tlsa="right", secure=False),
    "danestripped": Receiver(28, tlsa="right", deed=Stripping()),
    "daneposed": Receiver(29, tlsa="right"),  # an impostor
    "stsgood": Receiver(30, tlsa="right", sts="mx.stsgood.example"),
    "stswrong": Receiver(31, sts="mail.stswrong.example"),
    "stsstripped": Receiver(32, sts="*.stsstripped.example", deed=Stripping()),
    "old": Receiver(33, {"smtpd_tls_protocols": ">=TLSv1", **LOW}),
}
POSED = ("posed", "daneposed")
GONE, AWAY = 99, 98  # addresses: where nobody listens; to which there is no way
POLICIES = 100  # what the address of a policy's host is above its mail host's


def _certificate(authority: Authority, kind: str, host: str) -> Issued:
    domain = host.partition(".")[2]
    if kind == "selfsigned":
        return issue(host, names=(host,))
    if kind == "unknown":
        return Authority(issue("Else's Root", authority=True)).host(host)
    options: dict[str, dict[str, Any]] = {
        "good": {},
        "expired": {"begins": NOW - timedelta(days=9), "ends": NOW - timedelta(hours=1)},
        "wrongname": {"names": ("mail.else.example",)},
        "wildcard": {"names": (f"*.{domain}",)},
    }
    return authority.host(host, **options[kind])


@dataclass
class Fate:
    """What a Postfix says became of a message. by: its service's name in the log."""

    by: str
    relay: str
    status: str
    said: str


_FATE = r"(\S+)/smtp\[\d+\]: \w+: to=<{}>, relay=([^,]+), .*status=(\w+) \((.*)\)"
_SAID = re.compile(r"verdict=(\S+) reason=(\S+)(?: repairs=\S+)?(?: dkim=\S+)?(?: (tls=.*))?$", re.MULTILINE)


class Machine:
    """A host with a Postfix and a sink behind it."""

    def __init__(self, host: Host, place: Path) -> None:
        self.host, self.place = host, place
        self.postfix: Postfix  # set when its configuration is known
        place.mkdir()
        place.chmod(0o755)

    def write(self, name: str, issued: Issued) -> tuple[Path, Path]:
        """Write a certificate and its key where Postfix and the mail service read them."""
        certificate, key = issued.write(self.place / "tls" / name)
        key.chmod(0o640)
        return certificate, key

    def send(self, route: str, sender: str, recipients: Sequence[str], message: bytes) -> None:
        """Give a message to this host's Postfix; route: transport:nexthop."""
        with self.host.inside(lambda: Client(2500)) as client:
            body = " BODY=8BITMIME" if any(octet > 127 for octet in message) else ""
            steps = [
                "EHLO localhost",
                f"MAIL FROM:<{sender}>{body}",
                *(f"RCPT TO:<{one}>" for one in recipients),
                "DATA",
            ]
            for step in steps:
                assert (reply := client.command(step)).code in (250, 354), reply
            reply = client.message(f"X-Route: {route}\r\n".encode() + message)
            assert reply.code == 250, reply

    def fates(self, recipient: str) -> list[Fate]:
        """Return what became of messages to somebody so far, by each hop of this Postfix."""
        return [Fate(*found) for found in re.findall(_FATE.format(re.escape(recipient)), self.postfix.log())]

    def fate(self, recipient: str, by: Sequence[str] = ("postfix",)) -> Fate:
        """Wait until a service has tried a message to somebody, and return what became of it."""
        until(lambda: any(one.by in by for one in self.fates(recipient)), 60)
        return next(one for one in self.fates(recipient) if one.by in by)


class Arrangement:
    """All of it, running. `said`: what the log of the mail service says of each message."""

    def __init__(self, network: Network, place: Path) -> None:
        six = "2001:db8"
        gates = [address for address, _ in GATES.values()]
        receivers = [f"198.51.100.{one.number}" for one in RECEIVERS.values()]
        receivers += [f"{six}:3::{one.number}" for one in RECEIVERS.values()] + [f"198.51.100.{GONE}", "198.51.100.7"]
        receivers += [f"198.51.100.{one.number + POLICIES}" for one in RECEIVERS.values() if one.sts]
        self.place, self.network = place, network
        house = network.host("domino.example.org", 1, [*SOURCES.values()])
        gate = network.host("gw.example.org", 2, [*gates, f"{six}:2::25"])
        world = network.host("mx.world.example", 3, receivers)
        self.house, self.gate = Machine(house, place / "house"), Machine(gate, place / "gate")
        self.world = Machine(world, place / "world")
        self.authority = Authority()
        self.ca = place / "ca.pem"
        self.ca.write_bytes(self.authority.root.pem)
        self.issued = {
            name: _certificate(self.authority, one.certificate, f"mx.{name}.example") for name, one in RECEIVERS.items()
        }
        self.dns: Nameserver
        self.between: Between
        self.mail: gateway.Service
        self.received: Sink
        self.mailbox: Sink

    @contextmanager
    def running(self) -> Iterator["Arrangement"]:
        """Start it all."""
        with ExitStack() as stack:
            enter = stack.enter_context
            self.dns = self.network.serve_dns(self._zone())
            for name, one in RECEIVERS.items():
                if not one.secure:
                    self.dns.insecure |= {key for key in self.dns.zone if f"{name}.example" in key}
            self.between = enter(Between(self.network.router))
            self.network.router.run("ip", "route", "add", "unreachable", f"198.51.100.{AWAY}")
            self._stand_between()
            for name, one in RECEIVERS.items():
                if one.sts:
                    enter(self._policy(name, one))
            self.received = enter(Sink(enter=self.world.host.enter))
            self.mailbox = enter(Sink(enter=self.house.host.enter))
            self._house()
            self._gate()
            self._world()
            enter(self.mail)
            with ThreadPoolExecutor() as pool:  # each takes seconds; nobody stops them, they end with their hosts
                list(pool.map(lambda one: one.postfix.start(), (self.house, self.gate, self.world)))
            yield self

    def said(self, since: int = 0) -> list[tuple[str, str, str]]:
        """Verdict, reason and session of each message in the log of the mail service."""
        return _SAID.findall(self.mail.log())[since:]

    def delivered(self, recipient: str) -> list[Delivery]:
        """Return what the world got for somebody so far."""
        return [one for one in self.received.messages if recipient.encode() in one.recipients]

    def arrived(self, recipient: str) -> Delivery:
        """Wait for a message to somebody out in the world."""
        until(lambda: bool(self.delivered(recipient)), 60)
        return self.delivered(recipient)[0]

    def started(self) -> list[Delivery]:
        """Return the start mails that the organizer got so far."""
        return gateway.start_mails(self.mailbox.messages)

    # --- names ---

    def _zone(self) -> dict[str, list[str]]:
        zone = {
            "domino.example.org A": [one for one in SOURCES.values() if ":" not in one],
            "mx.world.example A": ["198.51.100.7"],
            "domino.example.org AAAA": [SOURCES["six"]],
            "example.org MX": ["10 gw.example.org."],
            "gw.example.org A": [GATES["gate.example.org"][0]],
            "gw.example.org AAAA": ["2001:db8:2::25"],
        }
        for name, (address, _) in GATES.items():
            host = "gw.example.org" if name == "gate.example.org" else f"mx.{name}"
            zone |= {f"{name} MX": [f"10 {host}."], f"{host} A": [address]}
        for name, one in RECEIVERS.items():
            zone |= {
                f"{name}.example MX": [f"10 mx.{name}.example."],
                f"mx.{name}.example A": [f"198.51.100.{one.number}"],
                f"mx.{name}.example AAAA": [f"2001:db8:3::{one.number}"],
            }
            if one.tlsa:
                vouched = self.issued[name if one.tlsa == "right" else "good"]
                zone[f"_25._tcp.mx.{name}.example TLSA"] = [f"3 1 1 {sha256(vouched.spki).hexdigest()}"]
            if one.sts:
                zone |= {
                    f"_mta-sts.{name}.example TXT": ['"v=STSv1; id=1;"'],
                    f"mta-sts.{name}.example A": [f"198.51.100.{one.number + POLICIES}"],
                    f"_smtp._tls.{name}.example TXT": [f'"v=TLSRPTv1; rua=mailto:tls@{name}.example"'],
                }
        for one in KEYS:
            parts = [one.record[at : at + 255] for at in range(0, len(one.record), 255)]
            zone[f"{one.record_name} TXT"] = [" ".join(f'"{part}"' for part in parts)]
        zone["away.example MX"] = ["10 mx.away.example."]
        zone["mx.away.example A"] = [f"198.51.100.{AWAY}"]
        zone["gone.example MX"] = ["10 mx.gone.example."]
        zone["mx.gone.example A"] = [f"198.51.100.{GONE}"]
        zone["several.example MX"] = ["30 mx.selfsigned.example.", "10 mx.good.example.", "20 mx.only12.example."]
        return zone

    def _policy(self, name: str, one: Receiver) -> PolicyHost:
        """Return the HTTPS server of a domain's MTA-STS policy, not begun yet."""
        text = f"version: STSv1\nmode: enforce\nmx: {one.sts}\nmax_age: 86400\n".encode()
        context = self.authority.host(f"mta-sts.{name}.example").context()
        address = f"198.51.100.{one.number + POLICIES}"
        return self.world.host.inside(lambda: PolicyHost(address, context, text))

    # --- the host in between ---

    def _stand_between(self) -> None:
        injecting: Deed = Injecting(commands=INJECTION)
        posing: Deed = Posing(issue("mallory.example").context())
        deeds = {
            **{name: deed for name, (_, deed) in GATES.items()},
            "injected.gate.example.org": injecting,
            "posed.gate.example.org": posing,
        }
        for name, (address, _) in GATES.items():
            for port in (25, DOOR):
                if (deed := deeds[name]) is not None:
                    self.between.take(address, port, deed, of="link1", at="link2", client="192.0.2.0/24")
        for name, one in RECEIVERS.items():
            deed = posing if name in POSED else one.deed
            if deed is not None:
                four, six = f"198.51.100.{one.number}", f"2001:db8:3::{one.number}"
                self.between.take(four, 25, deed, of="link2", at="link3", client="203.0.113.0/24")
                self.between.take(six, 25, deed, of="link2", at="link3", client="2001:db8:2::/64")

    # --- the hosts ---

    def _sending(self, machine: Machine, sources: dict[str, str]) -> tuple[list[Listener], list[str]]:
        """Return a listener that lets a header field choose transport and next hop, and the transports."""
        chosen = "header_checks = regexp:{{/^X-Route: (.+)/ FILTER $$1}}"
        made = [f"route unix n - n - 0 cleanup\n    -o {{ {chosen} }}"]
        trusted, own = machine.write("trusted", self.authority.host("domino.example.org")), issue("domino.example.org")
        strange = machine.write("strange", own)
        cards = {"trusted": trusted, "strange": strange}
        clients = dict(CLIENTS)
        for name, (certificate, key) in cards.items():
            more = {"smtp_tls_cert_file": str(certificate), "smtp_tls_key_file": str(key)}
            clients[name] = {"smtp_tls_security_level": "encrypt", **more}
        for source, address in sources.items():
            six = ":" in address
            bound = {f"smtp_bind_address{'6' if six else ''}": address, "inet_protocols": "ipv6" if six else "ipv4"}
            for name, options in clients.items():
                given = "".join(f"\n    -o {{ {key} = {value} }}" for key, value in {**options, **bound}.items())
                made.append(f"{name}-{source} unix - - n - - smtp{given}")
        return [Listener(2500, {"cleanup_service_name": "route"})], made

    def _house(self) -> None:
        listeners, routes = self._sending(self.house, SOURCES)
        certificate, key = self.house.write("own", self.authority.host("domino.example.org"))
        offers = {
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": str(certificate),
            "smtpd_tls_key_file": str(key),
        }
        more = {"myhostname": "domino.example.org", "smtp_tls_CAfile": str(self.ca), **LOW}
        self.house.postfix = Postfix(
            self.house.place,
            [Listener(25, offers, ""), *listeners],
            self.mailbox.address,
            _MAIN | more,
            routes,
            self.house.host,
        )

    def _gate(self) -> None:
        place = self.gate.place
        # RSA: with it a session can be without forward secrecy
        own = self.authority.host("gw.example.org", key=rsa.generate_private_key(65537, 2048))
        certificate, key = self.gate.write("own", own)
        public = {
            "smtpd_milters": f"unix:{place}/milter",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": str(certificate),
            "smtpd_tls_key_file": str(key),
            "smtpd_tls_CAfile": str(self.ca),
            "smtpd_tls_ask_ccert": "yes",
            "smtpd_tls_protocols": ">=TLSv1",
            "smtpd_tls_ciphers": "low",
            **LOW,
        }
        main = _MAIN | {
            "myhostname": "gw.example.org",
            "smtp_tls_CAfile": str(self.ca),
            "mynetworks": "127.0.0.0/8 192.0.2.0/24 [2001:db8:1::]/64",
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination",
            "relay_domains": "example.org",
            "smtpd_authorized_xclient_hosts": "",
        }
        main |= settings(lines("tls-onward-main.cf", {}))
        inner = {"smtpd_milters": "", "receive_override_options": "no_milters"}
        listeners = [Listener(25, public, ""), Listener(10025, inner), Listener(10026, inner)]
        master = services(lines("tls-onward-master.cf", {}))
        self.gate.postfix = Postfix(place, listeners, "127.0.0.1:9", main, master, self.gate.host)
        names = []
        for one in KEYS:
            path = place / f"{one.name.selector}.pem"
            path.write_bytes(pem(one))
            path.chmod(0o600)
            names.append(f'"{one.name}:{path}"')
        toml = place / "notes2conf.toml"
        toml.write_text(
            f"[dkim]\nkeys = [{', '.join(names)}]\n"
            f"[limits]\nmeetings_per_hour = 10000\n[tls]\nrules = {RULES}\n"
            f'exempt_networks = ["{SOURCES["exempt"]}/32"]\nmark_links = true\n'
            f'[smtp]\nlisten = "0.0.0.0:{DOOR}"\nnext_hop = "127.0.0.1:10025"\npeers = ["192.0.2.0/24"]\n'
            f'tls_certificate = "{certificate}"\ntls_key = "{key}"\nclient_ca = "{self.ca}"\n'
        )
        self.mail = gateway.mail(
            place / "state",
            base_url=BASE_URL,
            milter=[f"unix:{place}/milter"],
            start_mail=10026,
            allow=("192.0.2.0/24", "2001:db8:1::/64"),
            exempt=(),
            more=("--config", str(toml)),
            command=self.gate.host.service(str(COMMAND)),
        )

    def _world(self) -> None:
        listeners, routes = self._sending(self.world, {"stranger": "198.51.100.7"})
        for name, one in RECEIVERS.items():
            certificate, key = self.world.write(name, self.issued[name])
            options = {
                "myhostname": f"mx.{name}.example",
                "smtpd_tls_security_level": "may",
                "smtpd_tls_protocols": ">=TLSv1.2",
                "smtpd_tls_cert_file": str(certificate),
                "smtpd_tls_key_file": str(key),
                **one.options,
            }
            addresses = (f"198.51.100.{one.number}", f"[2001:db8:3::{one.number}]")
            listeners += [Listener(25, options, address) for address in addresses]
        main = _MAIN | {"myhostname": "mx.world.example", "smtp_tls_CAfile": str(self.ca)}
        self.world.postfix = Postfix(self.world.place, listeners, self.received.address, main, routes, self.world.host)


@contextmanager
def arrangement() -> Iterator[Arrangement]:
    """Start an arrangement of its own, and take it away afterwards."""
    with directory() as place, Network(place) as network, Arrangement(network, place).running() as made:
        yield made
