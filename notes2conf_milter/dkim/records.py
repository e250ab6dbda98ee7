"""Key records in DNS: what is there for a name.

In:  the name of a record. Out: what its TXT records say; nothing where there are none.
Answers are kept as long as their TTL says. Each question has a few seconds, whatever the name servers do.
Fails: `NoAnswer` when DNS cannot say: no reply in time, SERVFAIL, no way to a name server.
"""

from typing import Any, Protocol

from notes2conf_milter.address import InetAddress

SECONDS = 3.0  # for one name, all name servers and tries together
_KEPT = 1000  # answers


class NoAnswer(Exception):
    """DNS cannot say what is there. The text says why, without the name."""


class Records(Protocol):
    """Where TXT records are looked up."""

    def txt(self, name: str) -> tuple[bytes, ...]:
        """Return the TXT records of a name, the strings of each joined; raises NoAnswer. It may take seconds."""


class Dns:
    """Real DNS, for any thread. server: a name server; None takes those of this machine's resolv.conf, as they are then."""

    def __init__(self, server: InetAddress | None = None, seconds: float = SECONDS) -> None:
        self._server, self._seconds = server, seconds
        self._cache: Any = None

    def txt(self, name: str) -> tuple[bytes, ...]:
        """Return the TXT records of a name; raises NoAnswer."""
        import dns.exception  # a tenth of a second, and 6 MB: most processes never ask
        import dns.name
        import dns.resolver

        self._cache = self._cache or dns.resolver.LRUCache(_KEPT)
        try:
            wanted = dns.name.from_text(name)
        except dns.exception.DNSException:
            return ()  # no name at all
        try:
            resolver = dns.resolver.Resolver(configure=self._server is None)
            if self._server is not None:
                resolver.nameservers, resolver.port = [self._server.host], self._server.port
            resolver.lifetime, resolver.timeout = self._seconds, self._seconds / 2
            resolver.cache = self._cache
            answer = resolver.resolve(wanted, "TXT", search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except Exception as error:  # noqa: BLE001 - whatever a name server sends, or dnspython makes of it, is no answer
            raise NoAnswer(_word(error)) from None
        return tuple(b"".join(record.strings) for record in answer)


def _word(error: Exception) -> str:
    if type(error).__name__ == "LifetimeTimeout":
        return "no reply in time"
    return "the name servers do not answer it" if type(error).__name__ == "NoNameservers" else type(error).__name__
