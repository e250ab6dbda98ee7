"""Behind a real HAProxy: the SMTP door (PROXY protocol 1 and 2, before plain SMTP, STARTTLS and TLS from the first octet on),

and the milter door of a Postfix that takes the header itself.
"""

import csv
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live import gateway
from tests.live.gateway import ANNA, BOB, WITHOUT_MILTERS, Meeting, Service, invitation, until
from tests.live.postfix import Listener, Postfix, directory, free_ports
from tests.live.sink import Sink
from tests.live.tls import certificate, context

BASE_URL = "https://conf.example.org"
DOMINO, STRANGER = "127.0.0.9", "127.0.0.8"  # HAProxy itself comes from 127.0.0.1
WAYS = {"v1": "send-proxy", "v2": "send-proxy-v2", "v2-more": "send-proxy-v2 proxy-v2-options crc32c,unique-id"}
HAPROXY = "/usr/sbin/haproxy"


@contextmanager
def haproxy(place: Path, proxies: Sequence[str]) -> Iterator[None]:
    """Run HAProxy with these sections; its statistics are at `place`/stats."""
    configuration = place / "haproxy.cfg"
    configuration.write_text(
        f"global\n  stats socket {place}/stats mode 666\n"
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n" + "".join(proxies)
    )
    running = subprocess.Popen([HAPROXY, "-db", "-q", "-f", str(configuration)], stdin=subprocess.DEVNULL)
    try:
        until(lambda: (place / "stats").exists())
        yield
    finally:
        running.terminate()
        running.wait(20)


@dataclass
class Site:
    """ports: of HAProxy's frontends, for STARTTLS and for TLS at once, by the way in which it names its client."""

    ports: dict[str, int]
    sink: Sink
    mail: Service
    stats: Path

    def servers(self) -> list[tuple[str, str, str]]:
        """Name, state and the last check's result of each server, as HAProxy says."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self.stats))
            asking.sendall(b"show stat\n")
            table = b"".join(iter(lambda: asking.recv(65536), b"")).decode().lstrip("# ")
        rows = [row for row in csv.DictReader(table.splitlines()) if row["svname"] == "door"]
        return [(row["pxname"], row["status"], row["check_status"]) for row in rows]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with directory() as place, Sink() as sink:
        certificate(place)
        door, door_tls, *free = free_ports(2 + 2 * len(WAYS))
        settings = place / "notes2conf.toml"
        settings.write_text(
            f'[smtp]\nlisten = "127.0.0.1:{door}"\nlisten_tls = "127.0.0.1:{door_tls}"\nnext_hop = "{sink.address}"\n'
            f'tls_certificate = "{place}/cert.pem"\ntls_key = "{place}/key.pem"\n'
            f'peers = ["{DOMINO}/32"]\nproxy_peers = ["127.0.0.1/32"]\n'
        )
        mail = gateway.mail(
            place / "state",
            base_url=BASE_URL,
            allow=(f"{DOMINO}/32",),
            exempt=(),
            more=("--config", str(settings)),
        )
        ports, proxies = {}, []
        for name, how in WAYS.items():
            for tls, port in (("", door), ("-tls", door_tls)):
                ports[name + tls] = free.pop()
                check = "check inter 200ms" + (" check-ssl verify none" if tls else "")
                proxies.append(
                    f"listen {name}{tls}\n  bind 127.0.0.1:{ports[name + tls]}\n  option smtpchk EHLO proxy.example\n"
                    f"  unique-id-format %{{+X}}o%ci%cp\n  server door 127.0.0.1:{port} {how} {check}\n"
                )
        with mail, haproxy(place, proxies):
            yield Site(ports, sink, mail, place / "stats")


def connected(port: int, source: str, tls: bool) -> smtplib.SMTP:
    options = {"local_hostname": "client.example", "timeout": 30, "source_address": (source, 0)}
    if tls:
        return smtplib.SMTP_SSL("127.0.0.1", port, context=context(), **options)
    return smtplib.SMTP("127.0.0.1", port, **options)


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("how", ["plain", "STARTTLS", "TLS"])
def test_the_client_behind_the_proxy_is_the_client(site: Site, name: str, how: str) -> None:
    """It is served, and its invitation gets a link where it came by TLS; the log says its network, not the proxy's."""
    site.sink.clear()
    before = len(site.mail.answers())
    with connected(site.ports[name + ("-tls" if how == "TLS" else "")], DOMINO, how == "TLS") as client:
        if how == "STARTTLS":
            client.starttls(context=context())
        assert client.sendmail(ANNA, [BOB], invitation(Meeting.new())) == {}
    reason = "not-encrypted" if how == "plain" else "link-added"
    assert [answer.reason for answer in site.mail.answers()[before:]] == [reason]
    site.sink.wait_for(1 if how == "plain" else 2)
    line = [line for line in site.mail.log().splitlines() if " peer=" in line][-1]
    assert line.endswith(f" peer={DOMINO}/32") and ("tls=none" if how == "plain" else "tls=TLSv1.3") in line


@pytest.mark.parametrize("name", WAYS)
def test_a_stranger_behind_the_proxy_is_not_served(site: Site, name: str) -> None:
    with pytest.raises(smtplib.SMTPConnectError) as refused:
        connected(site.ports[name], STRANGER, tls=False)
    assert refused.value.smtp_code == 554
    with pytest.raises((ssl.SSLError, OSError)):
        connected(site.ports[f"{name}-tls"], STRANGER, tls=True)


def test_the_proxys_own_health_checks_succeed(site: Site) -> None:
    """With `option smtpchk`: a header that names nobody, greeting, EHLO, which asks the next hop, too."""
    expected = sorted((name, "UP", "L7OK") for name in site.ports)
    until(lambda: sorted(site.servers()) == expected)
    assert "not valid" not in site.mail.log()


def test_a_postfix_that_takes_the_header_tells_the_milter_the_client() -> None:
    """`smtpd_upstream_proxy_protocol = haproxy`: nothing is to be set at the milter door."""
    with directory() as place, Sink() as sink:
        certificate(place)
        behind, front = free_ports(2)
        options = {
            "smtpd_upstream_proxy_protocol": "haproxy",
            "smtpd_milters": f"unix:{place}/milter",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": f"{place}/cert.pem",
            "smtpd_tls_key_file": f"{place}/key.pem",
        }
        said = " ".join(f"-o {name}={value}" for name, value in options.items())
        smtpd = f"127.0.0.1:{behind} inet n - n - - smtpd {said}"
        postfix = Postfix(place, [Listener(options=WITHOUT_MILTERS)], sink.address, services=[smtpd])
        mail = gateway.mail(
            place / "state",
            base_url=BASE_URL,
            milter=[f"unix:{place}/milter"],
            start_mail=postfix.ports[0],
            allow=(f"{DOMINO}/32",),
            exempt=(),
        )
        proxy = f"listen smtp\n  bind 127.0.0.1:{front}\n  server postfix 127.0.0.1:{behind} send-proxy-v2\n"
        with mail, postfix, haproxy(place, [proxy]):
            for source in (DOMINO, STRANGER):
                with connected(front, source, tls=False) as client:
                    client.starttls(context=context())
                    assert client.sendmail(ANNA, [BOB], invitation(Meeting.new())) == {}
            assert [answer.reason for answer in mail.answers()] == ["link-added", "client-not-allowed"]
            sink.wait_for(3)
