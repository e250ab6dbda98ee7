"""Mandatory TLS onward: whether the Postfix of this machine has a way on which mail with a link goes without TLS.

In:  Postfix's configuration (postconf.py). Out: sentences, each about one way, or about a table that cannot be listed.
Fails: never. Keys of tables may be people's addresses: none is quoted.

A way is a transport and a next hop. It is good when it stays on this machine, when it demands TLS itself, or when it leads to a
listener of this Postfix whose cleanup heeds X-Notes2conf-TLS (config/postfix/tls-onward-master.cf). What a map of sender or
recipient chooses, and FILTER and content_filter, come before that choice and go past it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from notes2conf_milter.postconf import Postconf, Service, split, words

_STRONG = {"encrypt", "dane-only", "fingerprint", "verify", "secure"}  # smtp_tls_security_level, TLS_README
_HERE = re.compile(r"unix:.*|(inet:)?\[?(127\.[0-9.]+|localhost|(IPv6:)?::1)\]?(:\w+)?")
_CHECKS = ("header_checks", "mime_header_checks", "nested_header_checks", "body_checks", "milter_header_checks")
_CHOICE = re.compile(r"[^\w\s].*X-Notes2conf-TLS", re.IGNORECASE)
_FILTER = re.compile(r"(?:^|\s)FILTER\s+(\S+)", re.IGNORECASE)
_ACCESS = re.compile(r"check_\w+_access")
_MASTER = "config/postfix/tls-onward-master.cf"
# Transports for classes of recipients, and what says that there are any (ADDRESS_CLASS_README).
_CLASSES = {
    "relay_transport": "relay_domains",
    "virtual_transport": "virtual_mailbox_domains",
    "local_transport": "mydestination",
    "mailbox_transport": "mydestination",
    "fallback_transport": "mydestination",
}


class Way(NamedTuple):
    """Where mail goes. hop: as Postfix writes it, "" for the recipient's domain."""

    transport: str
    hop: str

    @property
    def here(self) -> bool:
        """Whether it stays on this machine."""
        return _HERE.fullmatch(self.hop) is not None

    def __str__(self) -> str:
        return f"{self.transport}:{self.hop}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found. bare: ways without TLS. unseen: what could not be looked into."""

    bare: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def look(postfix: Postconf) -> Seen:
    """Return what is to be said about a Postfix that is to send marked mail by TLS alone."""
    found = _Look(postfix)
    found.at_transports()
    found.at_filters()
    return found.seen


def heeds_the_mark(postfix: Postconf) -> bool:
    """Say whether some listener sends marked mail another way than the rest."""
    found = _Look(postfix)
    return any(found.choice(service) is not None for service in postfix.services.values())


class _Look:
    def __init__(self, postfix: Postconf) -> None:
        self._postfix = postfix
        self._behind: set[str] = set()  # listeners that ways lead to
        self.seen = Seen()

    def at_transports(self) -> None:
        """Judge each way that main.cf and its maps name."""
        value = self._postfix.value
        default = _way(value("default_transport"))
        relayhost = "" if default.hop else value("relayhost")  # postconf(5): a hop of default_transport wins
        self._judge_default(default._replace(hop=default.hop or relayhost))
        for name, domains in _CLASSES.items():
            if value(domains) and value(name):
                self._judge(name, _way(value(name)), _OWN_LISTENER)
        for name in ("transport_maps", "sender_dependent_default_transport_maps"):
            for way, times in Counter(map(_way, self._results(name, value(name)))).items():
                if way.transport or way.hop:  # transport(5): ":" leaves all as it is, ":hop" the transport
                    self._judge(name, way if way.transport else Way(default.transport, way.hop), _OWN_LISTENER, times)
        if not default.hop:
            name = "sender_dependent_relayhost_maps"
            for hop, times in Counter(self._results(name, value(name))).items():
                self._judge(name, Way(default.transport, hop), _DEMAND, times)

    def at_filters(self) -> None:
        """Judge what takes mail from its way before a transport is chosen: in main.cf, and in services of their own.

        Call `at_transports` first: listeners that a transport leads to are judged there.
        """
        choosing = self._behind.copy()
        for service in self._postfix.services.values():
            if (cleanup := self.choice(service)) is not None:
                choosing |= {service.name, cleanup.name, *self._unmarked(service)}
        self._judge_filters("", self._postfix.main)
        for name, service in self._postfix.services.items():
            if service.command in ("smtpd", "cleanup", "pickup", "qmqpd") and name not in choosing:
                self._judge_filters(f" of {name}", service.options)

    def _judge_filters(self, whose: str, parameters: Mapping[str, str]) -> None:
        classes = words(self._postfix.value("smtpd_restriction_classes"))
        if parameters.get("content_filter"):
            self._judge(f"content_filter{whose}", _way(parameters["content_filter"]), _DEMAND)
        for name, value in parameters.items():
            if name in _CHECKS:
                same = name != _CHECKS[0] and value == parameters.get(_CHECKS[0])  # as by default for attached messages
                tables = "" if same else value
            elif name.endswith("_restrictions") or name in classes:
                listed = words(value)
                tables = " ".join(table for check, table in pairwise(listed) if _ACCESS.fullmatch(check))
            else:
                continue
            results = self._results(f"{name}{whose}", tables)
            filters = Counter(found[1] for result in results if (found := _FILTER.match(result)))
            for target, times in filters.items():
                self._judge(f"FILTER in {name}{whose}", _way(target), _DEMAND, times)

    def _results(self, where: str, tables: str) -> Iterator[str]:
        for table in words(tables):
            results = self._postfix.results(table)
            if results is None:
                text = f"{where} has a table of type {split(table)[0]} that cannot be looked into"
                self.seen.unseen.append(f"Postfix: {text}; see to it that no way in it goes without TLS")
            yield from results or ()

    def _judge_default(self, way: Way) -> None:
        level = self._weakness(way)
        if level is not None and not way.here:
            parts = [f"default_transport = {way.transport}", f"relayhost = {way.hop}" if way.hop else ""]
            text = f"mail with a link may leave for the world without TLS ({', '.join(filter(None, parts))}; {_said(level)})"
            text += f"; take config/postfix/tls-onward-main.cf and {_MASTER} into the Postfix that goes to the world"
            self.seen.bare.append(f"Postfix: {text}, or demand TLS of all mail (smtp_tls_security_level = encrypt)")
        else:
            self._judge("default_transport", way, _OWN_LISTENER)

    def _judge(self, where: str, way: Way, remedy: str, times: int = 1) -> None:
        level = self._weakness(way)
        if level is None:
            return
        several = f" ({times} entries)" if times > 1 else ""
        text = f"{where}{several}: mail with a link may go by {way} without TLS ({_said(level)})"
        self.seen.bare.append(f"Postfix: {text}; {_BEHIND if way.here else remedy}")

    def _weakness(self, way: Way, listeners: int = 3) -> str | None:
        """Return the security level with which marked mail may go a way where it is too low, None where the way is good.

        listeners: of this machine that are looked at one behind the other.
        """
        service = self._postfix.services.get(f"{way.transport}/unix")
        if service is None or service.command not in ("smtp", "lmtp"):
            return None  # a mailbox, a program, nothing: not the network
        if way.here:
            return self._weakness_behind(way.hop, listeners) if listeners else None
        value = self._postfix.value
        level = value(f"{service.command}_tls_security_level", service)
        if not level and value(f"{service.command}_enforce_tls", service) == "yes":
            level = "encrypt"
        policies = value(f"{service.command}_tls_policy_maps", service)
        if way.hop:
            level = self._policy(way.hop, policies) or level
            return None if level in _STRONG else level
        exceptions = [_level(one) for table in words(policies) for one in self._postfix.results(table) or ()]
        return next((one for one in (level, *exceptions) if one not in _STRONG), None)

    def _policy(self, hop: str, tables: str) -> str:
        """Return the level of a next hop in smtp_tls_policy_maps: as it is written, or a domain above it; "" for none."""
        named = not hop.startswith("[") and ":" not in hop
        above = [hop[at:] for at, letter in enumerate(hop) if letter == "." and named]
        found = (self._postfix.lookup(key, tables) for key in (hop, *above))
        return next((_level(one) for one in found if one is not None), "") if tables else ""

    def _weakness_behind(self, hop: str, listeners: int) -> str | None:
        """The same for a way to this machine: to a listener of ours, if it is one, and on from there."""
        service = self._listener(hop)
        if service is None:
            return None
        self._behind.add(service.name)
        cleanup = self.choice(service)
        on = [_way(service.options.get("content_filter", ""))] if cleanup is None else self._chosen(cleanup)
        return next((level for way in on if (level := self._weakness(way, listeners - 1)) is not None), None)

    def _listener(self, hop: str) -> Service | None:
        """Return our listener at a port of this machine, None where there is none."""
        port = hop.rpartition(":")[2]
        listeners = [one for one in self._postfix.services.values() if one.command == "smtpd"]
        return next((one for one in listeners if one.name.removesuffix("/inet").rpartition(":")[2] == port), None)

    def _unmarked(self, choosing: Service) -> set[str]:
        """Return the listener to which a choosing one sends what has no mark, with its cleanup: nothing marked comes there."""
        way = _way(choosing.options.get("content_filter", ""))
        net = self._listener(way.hop) if way.here else None
        return set() if net is None else {net.name, self._postfix.value("cleanup_service_name", net) + "/unix"}

    def choice(self, listener: Service) -> Service | None:
        """Return the cleanup behind a listener, if it sends marked mail another way; else None."""
        name = self._postfix.value("cleanup_service_name", listener) + "/unix"
        cleanup = self._postfix.services.get(name) if listener.command == "smtpd" else None
        return cleanup if cleanup is not None and self._chosen(cleanup) else None

    def _chosen(self, cleanup: Service) -> list[Way]:
        """Return where a cleanup sends marked mail."""
        tables = words(self._postfix.value("header_checks", cleanup))
        rules = [rule for table in tables for rule in self._postfix.rules(table) or () if _CHOICE.match(rule)]
        return [_way(found[1]) for rule in rules if (found := _FILTER.search(rule))]


_OWN_LISTENER = f"give it a listener of its own, as {_MASTER} has, or demand TLS there (smtp_tls_policy_maps)"
_DEMAND = "this comes before tls-onward could choose; demand TLS there (smtp_tls_policy_maps)"
_BEHIND = f"that listener, its cleanup and the transport that this names have to be as in {_MASTER}"


def _said(level: str) -> str:
    return f"security level {level}" if level else "no security level"


def _level(policy: str) -> str:
    return next(iter(policy.split()), "")


def _way(text: str) -> Way:
    transport, _, hop = text.strip().partition(":")
    return Way(transport, hop.strip())
