"""Where to listen, and whom to call: socket addresses as settings and Postfix write them.

In:  `unix:PATH`, `inet:HOST:PORT` (milter doors), `HOST:PORT` (SMTP). Out: an address value.
Fails: ValueError with a sentence that says what is allowed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A unix-domain socket by its path."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class InetAddress:
    """A TCP socket; host is a name or an IP address without brackets, port is 1 to 65535 (0 lets the system choose)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"inet:{self.netloc}"

    @property
    def netloc(self) -> str:
        """HOST:PORT, an IPv6 host in brackets (RFC 3986 §3.2.2)."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def host_port(text: str) -> InetAddress:
    """Read `HOST:PORT` (`[::1]:25` for IPv6); raises ValueError when it is something else."""
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    numeric = port.isascii() and port.isdigit() and int(port) <= 65535
    if not colon or not host or (":" in host and not bracketed) or not numeric:
        raise ValueError("an address is HOST:PORT, an IPv6 host in brackets, the port 0 to 65535")
    return InetAddress(host, int(port))


def milter_address(text: str) -> UnixAddress | InetAddress:
    """Read `unix:PATH` or `inet:HOST:PORT`, as Postfix's smtpd_milters writes it; raises ValueError for anything else."""
    kind, _, rest = text.strip().partition(":")
    if kind == "unix" and rest and "\0" not in rest:
        return UnixAddress(rest)
    if kind == "inet":
        return host_port(rest)
    raise ValueError("a milter address is unix:PATH or inet:HOST:PORT")
