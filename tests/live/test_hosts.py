"""The machines of the tests with several hosts: apart from this one, from each other, and gone afterwards."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import hosts
from tests.live.gateway import until
from tests.live.hosts import Host, NamespacesMissing, Network
from tests.live.postfix import directory

ROOT = Path(__file__).parents[2]


def test_hosts_see_each_other_by_name_and_nobody_else() -> None:
    """IPv4, IPv6, names and addresses back; of this machine nothing is there, and its files are what they were."""
    before = [Path(name).read_bytes() for name in ("/etc/resolv.conf", "/etc/hosts", "/proc/sys/net/ipv4/ip_forward")]
    links = socket.if_nameindex()
    with directory() as place, Network(place) as network:
        one = network.host("one.example.org", 1, ["192.0.2.10", "2001:db8:1::10"])
        two = network.host("two.example.net", 2, ["198.51.100.10", "2001:db8:2::10"])
        dns = network.serve_dns({"two.example.net A": ["198.51.100.10"], "two.example.net AAAA": ["2001:db8:2::10"]})
        for address in two.addresses:
            with two.bound(address, 25) as listener:
                client = one.inside(lambda where=address: socket.create_connection((where, 25), 5))
                with client, listener.accept()[0] as server:
                    assert server.getpeername()[0] in one.addresses
        assert "198.51.100.10" in one.run("getent", "ahosts", "two.example.net").stdout
        assert "one.example.org" in two.run("getent", "hosts", "2001:db8:1::10").stdout
        assert one.run("cat", "/proc/sys/kernel/hostname").stdout == "one.example.org\n"
        assert socket.if_nameindex() == links
        with pytest.raises(NamespacesMissing, match="getent"):
            one.run("getent", "hosts", "elsewhere.example")
        assert "elsewhere.example A" in dns.asked
        with pytest.raises(OSError, match=r"unreachable|timed out"):
            one.inside(lambda: socket.create_connection(("203.0.113.1", 25), 1))
    after = [Path(name).read_bytes() for name in ("/etc/resolv.conf", "/etc/hosts", "/proc/sys/net/ipv4/ip_forward")]
    assert before == after


def test_nothing_is_left_of_a_test_that_was_killed() -> None:
    """Neither a daemon that was started inside, nor a service."""
    code = """if True:
        import subprocess
        from tests.live.hosts import Host
        with Host("x.example") as host:
            subprocess.run(host.command("sh", "-c", "sleep 987 &"), stdout=subprocess.DEVNULL)
            subprocess.Popen(host.service("sleep", "987"), stdout=subprocess.DEVNULL)
            print(host.pid, flush=True)
            input()
    """
    test = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with test:
        assert test.stdout is not None
        pid = int(test.stdout.readline())
        space = str(Path(f"/proc/{pid}/ns/net").readlink())
        until(lambda: len(inhabitants(space)) == 4)  # unshare, what it holds, the daemon, the service
        test.kill()
    until(lambda: not inhabitants(space))


def inhabitants(space: str) -> list[str]:
    """Return the processes in a network namespace."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "ns" / "net").readlink()) == space:
                found.append(process.name)
        except OSError:
            continue
    return found


def test_a_machine_without_namespaces_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what is missing; no test is skipped."""
    monkeypatch.setattr(shutil, "which", lambda word, path: None if word == "ip" else word)
    with pytest.raises(NamespacesMissing, match="apt-get install iproute2"), Host("x.example"):
        pass
    monkeypatch.undo()
    monkeypatch.setattr(hosts.os, "geteuid", lambda: 1000)
    with pytest.raises(NamespacesMissing, match="as root"), Host("x.example"):
        pass


def test_a_refusal_of_the_kernel_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own words."""
    real = subprocess.Popen
    monkeypatch.setattr(
        hosts.subprocess, "Popen", lambda command, **given: real(["sh", "-c", "echo not permitted >&2"], **given)
    )
    with pytest.raises(NamespacesMissing, match="not permitted"), Host("x.example"):
        pass
