"""What the log says of the encryption of each message's session: with the message, or summed up.

In:  the envelope of each message, the rules. Out: words for its log line; lines that sum up.
Fails: never. Bounded: _MOST kinds of sessions between two summaries; what is beyond is counted under one name. The words for
     the last _KEPT sessions are kept, for most mail comes from few servers: a record costs a look into that table.

A record names no address: who sent is the rule that is about the session, else the allowed network, else a prefix that is too
wide to be a person's. Of those who authenticate themselves, who may sit at home, not even that.
"""

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache

from notes2conf_milter.core.encryption import (
    Address,
    Hop,
    Mode,
    Network,
    Tls,
    TlsRules,
    prefix,
    sender_domain,
    within,
    words,
)
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.verdict import Verdict

_MOST, _KEPT = 2000, 1024


class TlsLog(Enum):
    """What is logged."""

    EACH = "each"  # with each message
    SUMMARY = "summary"  # once in an hour, by kind
    OFF = "off"


class TlsRecord:
    """The record of one process."""

    def __init__(self, rules: TlsRules, log: TlsLog, networks: Sequence[Network]) -> None:
        """networks: those from which own organizers send."""
        self._rules, self._log, self._networks = rules, log, tuple(networks)
        self._by_domain = any(rule.domain is not None for rule in rules.rules)
        self._counted: dict[str, list[int]] = {}  # kind -> messages, refused
        self._said = lru_cache(_KEPT)(self._say)

    def note(self, envelope: Envelope, verdict: Verdict) -> str:
        """Return what stands behind the words of a message's log line, "" for nothing."""
        if self._log is TlsLog.OFF:
            return ""
        domain = sender_domain(envelope.sender) if self._by_domain else ""
        said, peer = self._said(envelope.client, domain, envelope.authenticated, envelope.tls, envelope.hop)
        if not said or self._log is TlsLog.EACH:
            return said + peer
        kind = f"door={envelope.door.value}{said}"
        if len(self._counted) >= _MOST and kind + peer not in self._counted:
            peer = "others"
        counted = self._counted.setdefault(kind + peer, [0, 0])
        counted[0] += 1
        counted[1] += verdict is Verdict.REFUSE
        return ""

    def _say(
        self, client: Address | None, domain: str, authenticated: bool, tls: Tls | None, hop: Hop
    ) -> tuple[str, str]:
        """Return the words for a session, and for who sent; empty where a rule says `off`."""
        rule = self._rules.about(client, domain, authenticated=authenticated)
        if rule is not None and rule.mode is Mode.OFF:
            return "", ""
        if rule is not None and rule.who != "*":
            peer = rule.who
        else:
            peer = "authenticated" if authenticated else self._network(client)
        return f" {words(tls, hop)} peer=", peer

    def summary(self) -> list[str]:
        """Return a line for each kind of session since the last call."""
        counted, self._counted = self._counted, {}
        return [
            f"tls-summary {kind} messages={number} refused={refused}"
            for kind, (number, refused) in sorted(counted.items())
        ]

    def _network(self, client: Address | None) -> str:
        found = next((one for one in self._networks if within(client, (one,))), None)
        return prefix(client) if found is None else str(found)
