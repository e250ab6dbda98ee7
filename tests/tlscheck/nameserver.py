"""A DNS server on loopback for tests, with an AD flag that the test chooses.

with Nameserver({"example.test MX": ["10 mx.example.test."]}) as dns:
    dns.address  # ("127.0.0.1", port)
"""

import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


def _on_loopback() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made


class Nameserver:
    """Answers from `zone`: "name TYPE" -> values. `insecure`: questions answered without AD; `failing`: with SERVFAIL;
    `silent`: not at all."""

    def __init__(
        self, zone: dict[str, list[str]] | None = None, sockets: Sequence[socket.socket] | None = None
    ) -> None:
        """sockets: bound to where it is to answer; None: to a free port of loopback."""
        self.zone: dict[str, list[str]] = dict(zone or {})
        self.secure = True
        self.insecure: set[str] = set()
        self.failing: set[str] = set()
        self.silent: set[str] = set()
        self.asked: list[str] = []
        self._sockets = list(sockets) if sockets is not None else [_on_loopback()]
        self.address: tuple[str, int] = self._sockets[0].getsockname()
        self._threads = [threading.Thread(target=self._serve, args=(one,), daemon=True) for one in self._sockets]

    def __enter__(self) -> Self:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for one in self._sockets:
            one.sendto(b"", one.getsockname())
        for one in self._threads:
            one.join(5)
        for one in self._sockets:
            one.close()

    def _serve(self, bound: socket.socket) -> None:
        while True:
            octets, peer = bound.recvfrom(4096)
            if not octets:
                return
            answer = self._answer(dns.message.from_wire(octets))
            if answer is not None:
                bound.sendto(answer.to_wire(), peer)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        name = str(question.name).rstrip(".").lower()
        asked = f"{name} {kind}"
        self.asked.append(asked)
        answer = dns.message.make_response(query, recursion_available=True)
        if asked in self.silent:
            return None
        if asked in self.failing:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer
        owner = name
        while (alias := self.zone.get(f"{owner} CNAME")) and kind != "CNAME":
            answer.answer.append(dns.rrset.from_text(owner + ".", 60, "IN", "CNAME", *alias))
            owner = alias[0].rstrip(".")
        values = self.zone.get(f"{owner} {kind}")
        if values:
            answer.answer.append(dns.rrset.from_text(owner + ".", 60, "IN", kind, *values))
        elif not any(key.split()[0] == owner or key.split()[0].endswith("." + owner) for key in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        if self.secure and asked not in self.insecure and query.flags & dns.flags.AD:
            answer.flags |= dns.flags.AD
        return answer
