"""Every way in which the gateway is put into a mail flow, behind one face: what a test of forgery or smuggling goes through.

    with arrangement("proxy-filter") as way:
        way.send(message, ANNA, OUTSIDE)
        way.arrived()

HOUSE is a server of the house, OUTSIDE any other host. Whoever connects can reach the door: no arrangement refuses strangers by
itself (where a recipe would, the test says so to Postfix otherwise), so that what stops them is law 9 and nothing else.
To add an arrangement write a context manager that yields a `Way`, and name it in `ARRANGEMENTS`.
"""

import re
import socket
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from tests.live import gateway
from tests.live.gateway import ANNA, HOUSE, OUTSIDE, WITHOUT_MILTERS, Service
from tests.live.postfix import Listener, Postfix, directory, free_ports, send
from tests.live.sink import Delivery, Sink
from tests.live.sloppy import Sloppy
from tests.live.test_attendee_links import services as attendee_links
from tests.live.test_conference_address import parameters, recipe
from tests.live.test_proxmox import AFTER, BEFORE
from tests.live.test_proxmox import site as proxmox
from tests.live.tls import certificate, context, send_by_tls
from tests.signatures import keys, pem

BASE_URL = "https://conf.example.org"
MEET = "meet@conf.example.org"
EXEMPT = ("0.0.0.0/0",)  # of the way: encryption is not what these tests are about
LOOPBACKS = {HOUSE["ADDR"]: "127.0.0.10", OUTSIDE["ADDR"]: "127.0.0.99"}  # where XCLIENT says nothing to anybody
# Postfix's own half against smuggling: without it the first hop is fooled, whoever stands behind (CVE-2023-51764).
# And by default it believes nobody's XFORWARD.
STRICT = {
    "smtpd_forbid_bare_newline": "normalize",
    "smtpd_forbid_bare_newline_exclusions": "",
    "smtpd_authorized_xforward_hosts": "",
}
RECEIVED = re.compile(rb"(?:Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*")


class Wire:
    """A client that sends any octets whatever; a context manager. tls: from the first octet on. begin: said before all else."""

    def __init__(self, port: int, source: str = "", *, tls: bool = False, begin: bytes = b"") -> None:
        plain = socket.create_connection(("127.0.0.1", port), 30, (source, 0) if source else None)
        plain.sendall(begin)
        self._socket = context().wrap_socket(plain) if tls else plain
        self._input = self._socket.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._input.close()
        self._socket.close()

    def reply(self) -> bytes:
        """Return the last line of the next reply, b"" at the end."""
        while (line := self._input.readline())[3:4] == b"-":
            pass
        return line

    def ask(self, command: bytes) -> bytes:
        self._socket.sendall(command + b"\r\n")
        return self.reply()

    def greet(self) -> "Wire":
        """EHLO, where the greeting is still to come."""
        assert self.reply().startswith(b"220")
        assert self.ask(b"EHLO client.example").startswith(b"250")
        return self

    def starttls(self) -> "Wire":
        assert self.ask(b"STARTTLS").startswith(b"220")
        self._socket = context().wrap_socket(self._socket)
        self._input = self._socket.makefile("rb")
        assert self.ask(b"EHLO client.example").startswith(b"250")
        return self

    def from_(self, client: Mapping[str, str]) -> "Wire":
        """Say by XCLIENT who we are."""
        words = " ".join(f"{name}={value}" for name, value in client.items())
        assert self.ask(b"XCLIENT " + words.encode()).startswith(b"220")
        assert self.ask(b"EHLO client.example").startswith(b"250")
        return self

    def deliver(self, sender: str, mailbox: str, octets: bytes) -> list[bytes]:
        """Send octets behind 354, dots and end as they are, and QUIT; return each reply to that."""
        for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{mailbox}>", "DATA"):
            assert self.ask(command.encode())[:1] in b"23", command
        self._socket.sendall(octets + b"QUIT\r\n")
        return self._input.readlines()


@dataclass
class Way:
    """One arrangement that runs.

    say: how one message is sent, and the code of the reply. open: a client's connection, ready for MAIL. door: the port of a
    door of ours that can be reached behind the first hop, 0 for none. signs: DKIM is ours.
    """

    name: str
    sink: Sloppy | Sink
    state: Path
    mail: Service
    postfix: Postfix | None
    say: Callable[[bytes, str, str, Mapping[str, str]], int]
    open: Callable[[Mapping[str, str]], Wire]
    door: int = 0
    signs: bool = True
    recipient: str = "bob.%s@example.net"
    forwards: bool = True  # what is sent arrives; the conference address keeps it

    def send(self, message: bytes, sender: str = ANNA, client: Mapping[str, str] = HOUSE) -> tuple[int, str]:
        """Send one message to a mailbox that nobody else writes to; return the code of the reply, and the mailbox."""
        mailbox = self.recipient % token_hex(4) if "%" in self.recipient else self.recipient
        return self.say(message, sender, mailbox, client), mailbox

    def arrived(self) -> dict[str, Delivery]:
        """What each mailbox got, once nothing is under way any more."""
        if self.postfix is not None:
            self.postfix.wait_until_idle()
        return {one.recipients[0].decode(): one for one in self.sink.messages}

    def stored(self) -> list[tuple[object, ...]]:
        """Return each row of the database: what nobody but an own organizer changes."""
        with closing(sqlite3.connect(f"file:{self.state / gateway.DATABASE}?mode=ro", uri=True)) as db:
            return [row for table in ("meeting", "link") for row in db.execute(f"select * from {table} order by 1")]


def signing(place: Path) -> str:
    """The settings of our DKIM keys; DNS is asked in vain."""
    lines = []
    for one in keys():
        path = place / f"{one.name.selector}.key"
        path.write_bytes(pem(one))
        path.chmod(0o600)
        lines.append(f'"{one.name}:{path}"')
    return f'[dkim]\nkeys = [{", ".join(lines)}]\nresolver = "127.0.0.1:9"\n'


@dataclass
class House:
    """What most arrangements are made of: a place, the mailboxes, and ports."""

    place: Path
    sink: Sloppy
    running: ExitStack
    door: int = field(default_factory=lambda: free_ports(1)[0])
    postfix: Postfix | None = None

    def run_postfix(
        self, listeners: Sequence[Listener], extra: Mapping[str, str] | None = None, services: Sequence[str] = ()
    ) -> Postfix:
        """Start a Postfix; its last listener is the one without the gateway."""
        given = {**STRICT, **(extra or {})}
        made = Postfix(self.place, [*listeners, Listener(options=WITHOUT_MILTERS)], self.sink.address, given, services)
        self.postfix = self.running.enter_context(made)
        return made

    def run_mail(
        self,
        settings: str = "",
        *,
        milter: str = "",
        smtp: bool = False,
        next_hop: int = 0,
        allow: Sequence[str] = ("192.0.2.0/24",),
    ) -> Service:
        """Start the gateway. settings: more of the file. smtp: its door is there. next_hop: 0 for the listener without us."""
        behind = self.sink.port if self.postfix is None else self.postfix.ports[-1]
        file = self.place / "own.toml"
        file.write_text(signing(self.place) + settings, "utf-8")
        more = ["--config", str(file)]
        more += ["--smtp", f"127.0.0.1:{self.door}", "--next-hop", f"127.0.0.1:{next_hop or behind}"] if smtp else []
        options = {"milter": [milter] if milter else [], "start_mail": behind, "allow": allow, "exempt": EXEMPT}
        made = gateway.mail(self.place / "state", base_url=BASE_URL, more=more, **options)
        return self.running.enter_context(made)

    def way(self, name: str, mail: Service, port: int, **more: object) -> Way:
        """The arrangement, where clients say by XCLIENT who they are."""

        def say(message: bytes, sender: str, mailbox: str, client: Mapping[str, str]) -> int:
            return send(port, sender, [mailbox], message, client).code

        known: dict[str, object] = {"say": say, "open": lambda client: Wire(port).greet().from_(client)}
        return Way(name, self.sink, self.place / "state", mail, self.postfix, **{**known, **more})  # type: ignore[arg-type]


@contextmanager
def house() -> Iterator[House]:
    with directory() as place, Sloppy() as sink, ExitStack() as running:
        certificate(place)
        yield House(place, sink, running)


@contextmanager
def milter(name: str) -> Iterator[Way]:
    """smtpd asks the milter."""
    with house() as made:
        address = f"unix:{made.place}/milter" if name == "milter-unix" else f"inet:127.0.0.1:{made.door}"
        postfix = made.run_postfix([Listener(options={"smtpd_milters": address})])
        yield made.way(name, made.run_mail(milter=address), postfix.ports[0])


@contextmanager
def milter_twice(name: str) -> Iterator[Way]:
    """The milter in main.cf, and a content_filter that hands back: it is asked again there, with loopback as the client."""
    with house() as made:
        address = f"unix:{made.place}/milter"
        (back,) = free_ports(1)
        listeners = [Listener(options={"content_filter": f"smtp:[127.0.0.1]:{back}"}), Listener(back)]
        postfix = made.run_postfix(listeners, {"smtpd_milters": address})
        yield made.way(name, made.run_mail(milter=address), postfix.ports[0])


@contextmanager
def filtering(name: str) -> Iterator[Way]:
    """The SMTP door as content_filter or smtpd_proxy_filter: XFORWARD says who the client was."""
    with house() as made:
        door = f"127.0.0.1:{made.door}"
        by = (
            {"smtpd_proxy_filter": door}
            if name == "proxy-filter"
            else {"content_filter": f"door:[127.0.0.1]:{made.door}"}
        )
        services = ["door unix - - n - - smtp\n    -o smtp_send_xforward_command=yes"]
        postfix = made.run_postfix([Listener(options=by)], services=services)
        mail = made.run_mail('[smtp]\nxforward_peers = ["127.0.0.1/32"]\n', smtp=True)
        yield made.way(name, mail, postfix.ports[0], door=made.door)


@contextmanager
def own_listener(name: str) -> Iterator[Way]:
    """Clients connect to our own door: in clear, with STARTTLS, with TLS from the first octet on, or by a proxy naming them."""
    with house() as made:
        (implicit,) = free_ports(1)
        files = f'tls_certificate = "{made.place}/cert.pem"\ntls_key = "{made.place}/key.pem"\n'
        settings = f'[smtp]\npeers = ["127.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24"]\n{files}'
        settings += f'listen_tls = "127.0.0.1:{implicit}"\n'
        if name == "listener-proxy":
            settings += 'proxy_peers = ["127.0.0.1/32"]\n'
        mail = made.run_mail(settings, smtp=True, allow=[f"{LOOPBACKS[HOUSE['ADDR']]}/32", "192.0.2.0/24"])

        def wire(client: Mapping[str, str]) -> Wire:
            if name == "listener-proxy":
                return Wire(made.door, begin=b"PROXY TCP4 %b 127.0.0.1 4711 25\r\n" % client["ADDR"].encode()).greet()
            source = LOOPBACKS[client["ADDR"]]
            if name == "listener-implicit-tls":
                return Wire(implicit, source, tls=True).greet()
            plain = Wire(made.door, source).greet()
            return plain.starttls() if name == "listener-starttls" else plain

        yield made.way(name, mail, 0, say=by_wire(wire), open=wire, door=0 if name == "listener-proxy" else made.door)


def by_wire(wire: Callable[[Mapping[str, str]], Wire]) -> Callable[[bytes, str, str, Mapping[str, str]], int]:
    """Send by connections that somebody else opens."""

    def say(message: bytes, sender: str, mailbox: str, client: Mapping[str, str]) -> int:
        with wire(client) as opened:
            stuffed = message.replace(b"\r\n.", b"\r\n..")
            return int(opened.deliver(sender, mailbox, stuffed + b".\r\n")[0][:3])

    return say


@contextmanager
def by_lmtp(name: str) -> Iterator[Way]:
    """The door speaks LMTP on both sides: Postfix's LMTP client before it, another server's behind."""
    with house() as made:
        filters = {"content_filter": f"door:[127.0.0.1]:{made.door}"}
        services = ["door unix - - n - - lmtp\n    -o lmtp_send_xforward_command=yes"]
        postfix = made.run_postfix([Listener(options=filters)], services=services)
        speaks = 'protocol = "lmtp"\nnext_hop_protocol = "lmtp"\n'
        settings = f'[smtp]\nxforward_peers = ["127.0.0.1/32"]\n{speaks}'
        mail = made.run_mail(settings, smtp=True, next_hop=made.sink.port)
        yield made.way(name, mail, postfix.ports[0])


@contextmanager
def conference(name: str) -> Iterator[Way]:
    """The conference address, by Postfix's LMTP client; here Postfix lets strangers write to it, which the recipe does not."""
    with house() as made:
        extra = parameters(recipe("conference-main.cf").replace("notes2conf/lmtp.sock", f"{made.place}/our.lmtp"))
        extra["smtpd_recipient_restrictions"] = "permit_mynetworks"
        postfix = made.run_postfix([Listener()], extra, [recipe("conference-master.cf")])
        where = f'[conference]\naddresses = ["{MEET}"]\nlisten = "unix:{made.place}/our.lmtp"\nreply = true\n'
        mail = made.run_mail(where)
        yield made.way(name, mail, postfix.ports[0], recipient=MEET, forwards=False)


@contextmanager
def links_apart(name: str) -> Iterator[Way]:
    """config/postfix/attendee-links.cf, where its listener lets everybody in."""
    with house() as made:
        front, behind = free_ports(2)
        ports = {"192.0.2.5:26": front, "127.0.0.1:10025": made.door, "127.0.0.1:10026": behind}
        entries = [re.sub(r"mynetworks *= *192[^ }]*", "mynetworks = 0.0.0.0/0", one) for one in attendee_links(ports)]
        extra = {"notes2conf-door_destination_recipient_limit": "1"}
        extra |= {"smtpd_tls_cert_file": f"{made.place}/cert.pem", "smtpd_tls_key_file": f"{made.place}/key.pem"}
        made.run_postfix([], extra, entries)
        filters = '[smtp]\nxforward_peers = ["127.0.0.1/32"]\n[tls]\nfilters_enforce = true\n'
        mail = made.run_mail(filters, smtp=True)

        def wire(client: Mapping[str, str]) -> Wire:
            return Wire(front).greet().starttls().from_(client)

        yield made.way(name, mail, front, say=by_wire(wire), open=wire, door=made.door)


@contextmanager
def pmg(name: str) -> Iterator[Way]:
    """Proxmox Mail Gateway: the house comes to port 26, the world to port 25."""
    with proxmox(AFTER if name == "proxmox-after" else BEFORE) as made:

        def say(message: bytes, sender: str, mailbox: str, client: Mapping[str, str]) -> int:
            if client["ADDR"] == HOUSE["ADDR"]:
                return send_by_tls(made.ports["26"], sender, [mailbox], message, client, context())[0]
            # From the world only to the house; here the mailboxes of the tests are it.
            return send(made.ports["25"], sender, [mailbox], message, client).code

        def wire(client: Mapping[str, str]) -> Wire:
            return Wire(made.ports["26"]).greet().starttls().from_(client)

        state = made.postfix.place / "state"
        mailbox = "bob.%s@example.org"
        yield Way(name, made.sink, state, made.mail, made.postfix, say, open=wire, signs=False, recipient=mailbox)


ARRANGEMENTS: dict[str, Callable[[str], AbstractContextManager[Way]]] = {
    "milter-unix": milter,
    "milter-inet": milter,
    "milter-twice": milter_twice,
    "content-filter": filtering,
    "proxy-filter": filtering,
    "listener": own_listener,
    "listener-starttls": own_listener,
    "listener-implicit-tls": own_listener,
    "listener-proxy": own_listener,
    "lmtp": by_lmtp,
    "conference": conference,
    "attendee-links": links_apart,
    "proxmox-after": pmg,
    "proxmox-before": pmg,
}


def arrangement(name: str) -> AbstractContextManager[Way]:
    """Start one by its name."""
    return ARRANGEMENTS[name](name)
