"""How each kind of setting is read: from a TOML value to ours.

In:  a value as tomllib gives it. Out: the value checked and typed.
Fails: ValueError with a phrase that says what is allowed, to be put behind the file and the key.
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from notes2conf_milter.address import InetAddress, UnixAddress, host_port, milter_address
from notes2conf_milter.core.encryption import Rule, read_rule
from notes2conf_milter.dkim.keys import KeyFile
from notes2conf_milter.services import bigbluebutton
from notes2conf_milter.services.jitsi import Jitsi
from notes2conf_milter.services.rooms import Rooms, rooms

# What a logo may be, and its media types.
PICTURES = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}
Network = IPv4Network | IPv6Network


def line(value: Any) -> str:
    """A text on one line."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("a text on one line, in quotes")
    return value


def flag(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def number(least: int, most: int) -> Callable[[Any], int]:
    """A whole number from `least` to `most`."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return value

    return read


def choice(*allowed: str) -> Callable[[Any], str]:
    """One of the words `allowed`."""

    def read(value: Any) -> str:
        if value not in allowed:
            raise ValueError("one of " + ", ".join(f'"{word}"' for word in allowed))
        return str(value)

    return read


def list_of(item: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """A list, each item read by `item`."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError('a list, as ["…", "…"]')
        return tuple(item(one) for one in value)

    return read


def optional(item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """None for "", anything else read by `item`."""
    return lambda value: None if value == "" else item(value)


_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(rf"\.?{_LABEL}(?:\.{_LABEL})*")


def domain(value: Any) -> str:
    """A domain in lower case, IDNs as A-labels (RFC 5890); with a leading dot, its subdomains."""
    text = line(value).strip().lower().rstrip(".")
    try:
        text = ("." if text.startswith(".") else "") + text.lstrip(".").encode("idna").decode("ascii")
    except UnicodeError:
        text = ""
    if not _DOMAIN.fullmatch(text):
        raise ValueError('a domain, as "example.org", or ".example.org" for every subdomain')
    return text


def dkim_key(value: Any) -> KeyFile:
    """DOMAIN:SELECTOR:PATH, as in OpenDKIM's KeyTable."""
    name, _, rest = line(value).partition(":")
    word, _, where = rest.partition(":")
    try:
        of = domain(name)
    except ValueError:
        of = "."
    selector = word.strip().lower()
    if of.startswith(".") or not re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", selector) or not where.strip():
        raise ValueError('DOMAIN:SELECTOR:PATH, as "example.org:n2c-rsa:/etc/notes2conf/dkim/example.org.n2c-rsa.pem"')
    return KeyFile(of, selector, path(where.strip()))


def network(value: Any) -> Network:
    """An IP network without host bits."""
    try:
        return ip_network(line(value).strip(), strict=True)
    except ValueError:
        raise ValueError('a network without host bits, as "192.0.2.0/24" or "2001:db8::/32"') from None


def tls_rule(value: Any) -> Rule:
    """What is asked of some sessions, as core.encryption writes it."""
    return read_rule(line(value), domain)


def base_url(value: Any) -> str:
    """An https URL without query, user or final slash; http on loopback."""
    text = line(value).strip().rstrip("/")
    problem = 'an https:// URL of ASCII letters without query, as "https://conf.example.org"'
    try:
        parts = urlsplit(text)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        right = bool(parts.hostname) and (parts.port is None or 0 < parts.port < 65536)
    except ValueError:
        raise ValueError(problem) from None
    allowed = re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~-]+)*", text) is not None
    if not right or not allowed or not (parts.scheme == "https" or local) or len(text) > 200:
        raise ValueError(problem + "; http:// on loopback alone")
    return text


def colour(value: Any) -> str:
    """A colour as #rrggbb, in lower case."""
    text = line(value).strip().lower()
    if not re.fullmatch(r"#[0-9a-f]{6}", text):
        raise ValueError('a colour as "#1f5f8b"')
    return text


def picture(value: Any) -> Path:
    """A picture's path; its name says what it is."""
    found = path(value)
    if found.suffix.lower() not in PICTURES:
        raise ValueError("a path that ends in " + ", ".join(PICTURES))
    return found


def address_of_page(value: Any) -> str:
    """An https URL of a page."""
    text = line(value).strip()
    if not re.fullmatch(r"https://[A-Za-z0-9.:-]+(?:/[!#-;=?-~]*)?", text) or len(text) > 500:
        raise ValueError('an https:// URL, as "https://www.example.org/imprint"')
    return text


def keyword(value: Any) -> str:
    """A word that can stand in a calendar without escapes and in HTML."""
    text = line(value)
    if not re.fullmatch(r"[!-~]{2,40}", text) or re.search(r'[\\;,:"<>&=?]', text):
        raise ValueError('2 to 40 printable ASCII characters without blanks and without \\ ; , : " < > & = ?')
    return text


def conference(value: Any) -> str:
    """host/path as in core.conferences.KNOWN."""
    text = line(value).strip().lower().removeprefix("https://")
    if not re.fullmatch(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})+/[!-~]*", text):
        raise ValueError('host/path, as "meet.example.org/" or "*.example.org/room/"')
    return text


def host_name(value: Any) -> str:
    """A host name in ASCII (RFC 5321 §2.3.5), or "" for this host's own."""
    text = line(value).strip().lower()
    if text and not (len(text) <= 253 and re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", text)):
        raise ValueError('a host name in ASCII, as "mail.example.org"')
    return text


def permissions(value: Any) -> int:
    """File permissions in octal."""
    text = line(value)
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError('file permissions in octal, as "0660"')
    return int(text, 8)


def path(value: Any) -> Path:
    """A path."""
    text = line(value)
    if not text or "\0" in text:
        raise ValueError("a path")
    return Path(text)


def milter_socket(value: Any) -> UnixAddress | InetAddress:
    """unix:PATH or inet:HOST:PORT."""
    try:
        return milter_address(line(value))
    except ValueError:
        raise ValueError("unix:PATH or inet:HOST:PORT, in quotes, an IPv6 host in brackets") from None


def tcp_socket(value: Any) -> InetAddress:
    """HOST:PORT."""
    try:
        return host_port(line(value))
    except ValueError:
        raise ValueError("HOST:PORT, in quotes, an IPv6 host in brackets, the port 0 to 65535") from None


def name_server(value: Any) -> InetAddress:
    """ADDRESS:PORT: the name of a name server would have to be looked up."""
    try:
        found = host_port(line(value))
        ip_address(found.host)
    except ValueError:
        raise ValueError('ADDRESS:PORT, as "192.0.2.53:53", in quotes, an IPv6 address in brackets') from None
    return found


_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"\\@]+@[A-Za-z0-9.-]+")


def mail_address(value: Any) -> str:
    """A mail address in ASCII (RFC 5321 §4.1.2, dot-string)."""
    text = line(value).strip()
    if not _ADDRESS.fullmatch(text) or not text.isascii():
        raise ValueError('a mail address, as "conference@example.org"')
    return text


def bigbluebutton_server(value: Any) -> str:
    """The URL of a BigBlueButton server."""
    return bigbluebutton.server_url(line(value))


def room_template(value: Any) -> Rooms:
    """TITLE=URL."""
    return rooms(line(value))


def host_pattern(value: Any) -> str:
    """A host, or `*.` and a domain."""
    text = line(value).strip().lower()
    if not re.fullmatch(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})+", text):
        raise ValueError('a host, as "meet.example.org", or "*.example.org" for it and every subdomain')
    return text


def jitsi_server(value: Any) -> str:
    """The base URL of a Jitsi server."""
    try:
        return Jitsi(line(value).strip().rstrip("/")).server
    except ValueError:
        raise ValueError(
            'an https:// URL, as "https://meet.example.org", without user name and query; http:// on loopback alone'
        ) from None
