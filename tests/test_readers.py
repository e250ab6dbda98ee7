"""What each kind of setting allows, and what it says when it does not."""

import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from notes2conf_milter import readers
from notes2conf_milter.address import InetAddress, UnixAddress
from notes2conf_milter.dkim.keys import KeyFile


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (readers.line, "a b", "a b"),
        (readers.flag, False, False),
        (readers.number(1, 5), 5, 5),
        (readers.choice("a", "b"), "b", "b"),
        (readers.list_of(readers.flag), [True, False], (True, False)),
        (readers.optional(readers.path), "", None),
        (readers.domain, "Example.ORG.", "example.org"),
        (readers.domain, ".example.org", ".example.org"),
        (readers.domain, "müller.example", "xn--mller-kva.example"),
        (readers.dkim_key, "Example.org:N2C-rsa:/etc/a:b.pem", KeyFile("example.org", "n2c-rsa", Path("/etc/a:b.pem"))),
        (readers.dkim_key, "bücher.example:a.b:k", KeyFile("xn--bcher-kva.example", "a.b", Path("k"))),
        (readers.name_server, "[2001:db8::53]:53", InetAddress("2001:db8::53", 53)),
        (readers.network, "192.0.2.0/24", ip_network("192.0.2.0/24")),
        (readers.network, "2001:db8::/32", ip_network("2001:db8::/32")),
        (readers.base_url, "https://conf.example.org/", "https://conf.example.org"),
        (readers.base_url, "https://example.org:8443/conf", "https://example.org:8443/conf"),
        (readers.base_url, "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        (readers.keyword, "@meet", "@meet"),
        (readers.conference, "https://Meet.example.org/room/", "meet.example.org/room/"),
        (readers.conference, "*.example.org/", "*.example.org/"),
        (readers.host_name, "Mail.example.org", "mail.example.org"),
        (readers.host_name, "", ""),
        (readers.permissions, "0660", 0o660),
        (readers.path, "/var/lib/x", Path("/var/lib/x")),
        (readers.milter_socket, "unix:run/m.sock", UnixAddress("run/m.sock")),
        (readers.milter_socket, "inet:[::1]:8891", InetAddress("::1", 8891)),
        (readers.tcp_socket, "127.0.0.1:10026", InetAddress("127.0.0.1", 10026)),
        (readers.mail_address, "conf@example.org", "conf@example.org"),
        (readers.jitsi_server, "https://meet.example.org/", "https://meet.example.org"),
    ],
)
def test_allowed(read: Callable[[Any], Any], value: Any, expected: Any) -> None:
    """The value as the services use it."""
    assert read(value) == expected


@pytest.mark.parametrize(
    ("read", "value", "words"),
    [
        (readers.line, "a\nb", "one line"),
        (readers.line, 5, "one line"),
        (readers.flag, 1, "true or false"),
        (readers.number(1, 5), 6, "1 to 5"),
        (readers.number(0, 1), True, "0 to 1"),
        (readers.choice("a", "b"), "c", '"a", "b"'),
        (readers.list_of(readers.flag), "true", "a list"),
        (readers.domain, "exa mple.org", "example.org"),
        (readers.domain, "", "example.org"),
        (readers.domain, "anna@example.org", "example.org"),
        (readers.network, "192.0.2.1/24", "host bits"),
        (readers.dkim_key, "example.org:r", "DOMAIN:SELECTOR:PATH"),
        (readers.dkim_key, ".example.org:r:/k.pem", "DOMAIN:SELECTOR:PATH"),
        (readers.dkim_key, "example.org:r r:/k.pem", "DOMAIN:SELECTOR:PATH"),
        (readers.dkim_key, "example.org:r: ", "DOMAIN:SELECTOR:PATH"),
        (readers.name_server, "ns.example.org:53", "ADDRESS:PORT"),
        (readers.name_server, "192.0.2.53", "ADDRESS:PORT"),
        (readers.network, "all", "host bits"),
        (readers.base_url, "http://conf.example.org", "https://"),
        (readers.base_url, "https://conf.example.org/?a=b", "https://"),
        (readers.base_url, "https://user@conf.example.org", "https://"),
        (readers.base_url, "https://conf.example.org:99999", "https://"),
        (readers.base_url, "https://kö.example", "https://"),
        (readers.base_url, 'https://conf.example.org/"><script>', "https://"),
        (readers.keyword, "two words", "without blanks"),
        (readers.keyword, "a;b", "printable"),
        (readers.keyword, "@", "2 to 40"),
        (readers.conference, "meet", "host/path"),
        (readers.host_name, "mail höst", "host name"),
        (readers.host_name, "mail.example.org\r\nQUIT", "one line"),
        (readers.permissions, "rw-rw----", "octal"),
        (readers.permissions, 432, "one line"),
        (readers.path, "", "a path"),
        (readers.milter_socket, "/run/m.sock", "unix:PATH"),
        (readers.milter_socket, "inet:127.0.0.1", "HOST:PORT"),
        (readers.tcp_socket, "::1:25", "brackets"),
        (readers.mail_address, "Conf <conf@example.org>", "mail address"),
        (readers.jitsi_server, "http://meet.example.org", "https"),
    ],
)
def test_not_allowed(read: Callable[[Any], Any], value: Any, words: str) -> None:
    """ValueError, with words that say what would be allowed."""
    with pytest.raises(ValueError, match=re.escape(words)):
        read(value)
