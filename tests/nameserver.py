"""A name server on loopback for TXT records, by UDP and without a cache.

    with NameServer({"x._domainkey.example.org": b"v=DKIM1; ..."}) as server:
        Dns(server.address)

A record None is a server failure; `silent` names get no answer at all. A name that is not there is NXDOMAIN.
"""

import socket
import threading
from collections.abc import Mapping
from typing import Self

import dns.message
import dns.rcode
import dns.rrset

from notes2conf_milter.address import InetAddress


class NameServer:
    """The server; a context manager. asked: the names of all questions, in lower case."""

    def __init__(
        self, records: Mapping[str, bytes | None], silent: frozenset[str] = frozenset(), ttl: int = 60
    ) -> None:
        self.records, self.silent, self.ttl = dict(records), silent, ttl
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._over = threading.Event()

    @property
    def address(self) -> InetAddress:
        """Where it is."""
        return InetAddress("127.0.0.1", self._socket.getsockname()[1])

    def __enter__(self) -> Self:
        self._socket.settimeout(0.05)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                octets, client = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            query = dns.message.from_wire(octets)
            name = query.question[0].name.to_text().rstrip(".").lower()
            self.asked.append(name)
            if name not in self.silent:
                self._socket.sendto(self._answer(query, name).to_wire(), client)

    def _answer(self, query: dns.message.Message, name: str) -> dns.message.Message:
        response = dns.message.make_response(query)
        text = self.records.get(name, b"")
        if text is None:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif not text:
            response.set_rcode(dns.rcode.NXDOMAIN)
        else:
            strings = " ".join(f'"{text[at : at + 255].decode()}"' for at in range(0, len(text), 255))
            response.answer.append(dns.rrset.from_text(query.question[0].name, self.ttl, "IN", "TXT", strings))
        return response
