"""Names of domains, and whether a certificate's name is a host's name (RFC 9525).

In:  domains as people write them; host names as ASCII (A-labels) and DNS names of certificates. Out: A-labels; yes or no.
Fails: `domain` with ValueError; the others never, what is no host name matches nothing.
"""

import re
from collections.abc import Iterable

import idna

_LABEL = re.compile(
    r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
)  # RFC 5890 §2.3.1; the underscore is what DNS lets through


def host_name(text: str) -> str:
    """Return a host name as it is compared: lower case, without the root's dot."""
    return text.lower().removesuffix(".")


def matches(pattern: str, host: str) -> bool:
    """Say whether the DNS name of a certificate means the host (RFC 9525 §6.3).

    `*` stands for one whole label, the leftmost, and for nothing else.
    """
    wanted, given = host_name(host).split("."), host_name(pattern).split(".")
    if len(given) != len(wanted) or not all(_LABEL.fullmatch(label) for label in wanted):
        return False
    if given[0] == "*" and len(given) > 2:  # RFC 9525 §7.1: not for a whole top-level domain
        given, wanted = given[1:], wanted[1:]
    return given == wanted


def any_matches(patterns: Iterable[str], hosts: Iterable[str]) -> bool:
    """Say whether one of the names means one of the hosts."""
    hosts = tuple(hosts)
    return any(matches(pattern, host) for pattern in patterns for host in hosts)


def domain(text: str) -> str:
    """Return a domain as the DNS has it: lower case, A-labels (RFC 5891), without the root's dot; raises ValueError."""
    name = host_name(text.strip())
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError as error:
            raise ValueError(f"no domain: {error}") from None
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # RFC 1035 §2.3.4
        raise ValueError("no domain; allowed is a name such as example.org")
    return name
