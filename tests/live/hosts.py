"""Machines of their own for a test: network namespaces, each behind its own link to a router, with names, addresses and DNS.

    with Network(folder) as network:
        sender = network.host("mail.example.org", 1, ["192.0.2.10", "2001:db8:1::10"])
        receiver = network.host("mx.example.net", 2, ["198.51.100.10", "2001:db8:2::10"])
        network.serve_dns({"example.net MX": ["10 mx.example.net."], ...})
        with Postfix(..., machine=sender), Postfix(..., machine=receiver):
            ...

A host is a network, mount, name and process namespace around one process that waits for its standard input to end. No namespace
has a name and no interface is ever outside of them, so that two runs at once do not meet. /etc/resolv.conf and /etc/hosts are
others in there alone. All that was started inside ends with that process or with the test, also when the test is killed; the
kernel takes away the rest. There is no way out of the namespaces.

Needs root and the Debian packages iproute2 and util-linux. Fails: NamespacesMissing, with what the machine said.
"""

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Self, TypeVar

from tests.live.postfix import Here
from tests.tlscheck.nameserver import Nameserver

T = TypeVar("T")

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_CLONE_NEWNET = 0x40000000
_HOLD = "read pid rest </proc/self/stat; echo $pid; exec cat"  # the id as this machine's /proc has it
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
_RESOLVER = "nameserver 127.0.0.1\noptions trust-ad\n"  # trust-ad: glibc else clears the flag that DANE needs


@cache
def _propagation() -> str:
    """Return how mounts are kept inside: "private"; in a chroot, whose root is no mount, they can only stay as they are."""
    tried = ["unshare", "--mount", "--propagation", "private", "true"]
    return "private" if subprocess.run(tried, capture_output=True, check=False).returncode == 0 else "unchanged"


class NamespacesMissing(RuntimeError):
    """Namespaces cannot be had on this machine; the text has what it said."""


class Host(Here):
    """A machine; a context manager. pid: of the process that holds it. addresses: its own."""

    def __init__(self, name: str, addresses: Sequence[str] = ()) -> None:
        self.name, self.addresses = name, list(addresses)

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise NamespacesMissing("network namespaces are made by root alone: run the live tests as root")
        for word in ("unshare", "nsenter", "setpriv", "ip"):
            if shutil.which(word, path=_PATH) is None:
                raise NamespacesMissing(f"there is no {word} here; on Debian: apt-get install iproute2 util-linux")
        command = [
            "unshare",
            "--net",
            "--mount",
            "--uts",
            "--pid",
            "--fork",
            "--kill-child",
            "--propagation",
            _propagation(),
        ]
        pipe = subprocess.PIPE
        self._holder = subprocess.Popen([*command, "sh", "-c", _HOLD], stdin=pipe, stdout=pipe, stderr=pipe)
        assert self._holder.stdout is not None and self._holder.stderr is not None
        if not (said := self._holder.stdout.readline()):
            raise NamespacesMissing(f"no namespaces here: {self._holder.stderr.read().decode('utf-8', 'replace')}")
        self.pid = int(said)
        self._net = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        lines = [f"echo {self.name} >/proc/sys/kernel/hostname", "ip link set lo up"]
        # nobody else is on these links: no address waits until it is sure of that
        lines += [f"echo 0 >/proc/sys/net/ipv6/conf/{name}/accept_dad" for name in ("all", "default")]
        self.run("sh", "-ec", "\n".join(lines))
        return self

    def __exit__(self, *_: object) -> None:
        assert self._holder.stdin is not None and self._holder.stdout is not None and self._holder.stderr is not None
        self._holder.stdin.close()  # the process that holds it ends, and with it all others in there
        self._holder.wait(20)
        self._holder.stdout.close()
        self._holder.stderr.close()
        os.close(self._net)

    def command(self, *words: str) -> list[str]:
        """Return how a command is run there, as a process that ends with the host."""
        return ["nsenter", "--target", str(self.pid), "--net", "--mount", "--root", "--uts", "--pid", "--", *words]

    def service(self, *words: str) -> list[str]:
        """Return how a command is run there that is itself the process that was started, so that it gets its signals.

        It ends with the thread that starts it.
        """
        enter = ["nsenter", "--target", str(self.pid), "--net", "--mount", "--root", "--uts"]
        return ["setpriv", "--pdeathsig", "KILL", *enter, "--", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command there to its end; raises NamespacesMissing with its words when it fails."""
        environment = {"PATH": _PATH, "LC_ALL": "C.UTF-8"}
        # By `service`: ids of processes, which `ip` is given, are this machine's.
        done = subprocess.run(self.service(*words), env=environment, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise NamespacesMissing(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done

    def bind(self, path: str, source: Path) -> None:
        """Let a file be another one, in there."""
        self.run("mount", "--bind", str(source), path)

    def enter(self) -> None:
        """Let this thread's new sockets be there; no other thread's."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(self._net, _CLONE_NEWNET) != 0:
            raise NamespacesMissing(os.strerror(ctypes.get_errno()))

    def inside(self, call: Callable[[], T]) -> T:
        """Call something whose new sockets are to be there."""

        def enter_and_call() -> T:
            self.enter()
            return call()

        with ThreadPoolExecutor(1) as pool:  # a thread of its own: it is not this one that goes there
            return pool.submit(enter_and_call).result()

    def bound(self, address: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """Return a socket there that is bound to an address; one for streams listens."""

        def bind() -> socket.socket:
            made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
            if kind is socket.SOCK_STREAM:
                made.listen()
            return made

        return self.inside(bind)


class Network:
    """Hosts around one router; a context manager. Each host asks a validating resolver of its own, on its loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack = folder, ExitStack()
        self.router = Host("router.example")
        self.hosts: list[Host] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.router)
            switches = [f"ipv4/conf/{name}/rp_filter" for name in ("all", "default")]
            lines = [f"echo 0 >/proc/sys/net/{name}" for name in switches]
            lines += [f"echo 1 >/proc/sys/net/{name}" for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding")]
            self.router.run("sh", "-ec", "\n".join(lines))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def host(self, name: str, number: int, addresses: Sequence[str]) -> Host:
        """Add a host; the router knows its link as `link{number}`.

        addresses: of one /24 and one /64, and not the first of either, which is the router's.
        """
        host = self._stack.enter_context(Host(name, addresses))
        link, gateways = f"link{number}", {}
        self.router.run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(host.pid))
        lines = ["ip link set eth0 up"]
        for address in addresses:
            length = 64 if ":" in address else 24
            gateways[length] = f"{ip_interface(f'{address}/{length}').network[1]}"
            lines.append(f"ip address add {address}/{length} dev eth0")
        for length, gateway in gateways.items():
            self.router.run("ip", "address", "add", f"{gateway}/{length}", "dev", link)
            lines.append(f"ip route add default via {gateway}")
        self.router.run("ip", "link", "set", link, "up")
        host.run("sh", "-ec", "\n".join(lines))
        for path, text in (("/etc/resolv.conf", _RESOLVER), ("/etc/hosts", _HOSTS)):
            source = self._folder / f"{name}.{path.rpartition('/')[2]}"
            source.write_text(text, "ascii")
            host.bind(path, source)
        self.hosts.append(host)
        return host

    def serve_dns(self, zone: Mapping[str, list[str]]) -> Nameserver:
        """Serve a zone on the loopback of every host, and on every address of the router, until the network ends.

        PTR records of the hosts' first addresses, and of what the zone has as A or AAAA, need not be named.
        """
        sockets = [host.bound("127.0.0.1", 53, socket.SOCK_DGRAM) for host in self.hosts]
        sockets.append(self.router.bound("0.0.0.0", 53, socket.SOCK_DGRAM))
        whole = {" NS": ["ns.example."]}  # what Postfix asks to see whether its resolver validates
        for host in self.hosts:
            whole |= {f"{ip_address(one).reverse_pointer} PTR": [f"{host.name}."] for one in host.addresses}
        for key, values in zone.items():
            name, _, kind = key.partition(" ")
            for value in values if kind in ("A", "AAAA") else ():
                whole[f"{ip_address(value).reverse_pointer} PTR"] = [f"{name}."]
        return self._stack.enter_context(Nameserver({**whole, **zone}, sockets))
