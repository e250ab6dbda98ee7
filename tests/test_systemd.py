"""The units: they are right by systemd's own judgement where it is installed, and by their text everywhere.

What systemd-analyze says is asked where it is there; on a machine without it the same tests read the units themselves, so that
nothing is skipped.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from notes2conf_milter.dkim.keys import CREDENTIAL_NAME

FOLDER = Path(__file__).parent.parent / "systemd"
SERVICES = ("mail", "web", "purge")
MOST_EXPOSURE = 2.0
BINARY = "/opt/notes2conf/bin/notes2conf-milter"

# The value that each hardening switch must have in all three units.
HARDENING = {
    "NoNewPrivileges": ["yes"],
    "CapabilityBoundingSet": [""],
    "AmbientCapabilities": [""],
    "ProtectSystem": ["strict"],
    "ProtectHome": ["yes"],
    "PrivateTmp": ["yes"],
    "PrivateDevices": ["yes"],
    "PrivateUsers": ["yes"],
    "PrivateIPC": ["yes"],
    "PrivateMounts": ["yes"],
    "ProtectHostname": ["yes"],
    "ProtectClock": ["yes"],
    "ProtectKernelTunables": ["yes"],
    "ProtectKernelModules": ["yes"],
    "ProtectKernelLogs": ["yes"],
    "ProtectControlGroups": ["yes"],
    "ProtectProc": ["invisible"],
    "ProcSubset": ["pid"],
    "RestrictNamespaces": ["yes"],
    "RestrictRealtime": ["yes"],
    "RestrictSUIDSGID": ["yes"],
    "LockPersonality": ["yes"],
    "MemoryDenyWriteExecute": ["yes"],
    "RemoveIPC": ["yes"],
    "KeyringMode": ["private"],
    "SystemCallArchitectures": ["native"],
    "SystemCallErrorNumber": ["EPERM"],
    "IPAddressDeny": ["any"],
    "LimitCORE": ["0"],
    "MemorySwapMax": ["0"],
    "UMask": ["0007"],
    "Group": ["notes2conf"],
    "Restart": ["on-failure"],
    "RestartPreventExitStatus": ["78"],
}


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """Return section -> key -> values of a unit file; a key may stand there several times (systemd.syntax(7))."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in (FOLDER / name).read_text("utf-8").splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            values = sections.setdefault(match[1], {})
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals and not value.endswith("\\"), line
            values.setdefault(key, []).append(value)
    return sections


def service(name: str) -> dict[str, list[str]]:
    """Return the [Service] section of one of the three."""
    return unit(f"notes2conf-{name}.service")["Service"]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str] | None:
    """Run systemd-analyze; None where there is none."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return None
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a folder with the units, their program replaced by one that is there: verify wants an executable."""
    for path in FOLDER.glob("notes2conf-*"):
        (tmp_path / path.name).write_text(path.read_text("utf-8").replace(BINARY, "/bin/true"), "utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["mail.service", "web.service", "purge.service", "purge.timer"])
def test_systemd_finds_nothing_to_complain_about(installed: Path, name: str) -> None:
    """A misspelt switch would be ignored with a warning that nobody reads; here it fails."""
    done = analyze("verify", "--man=no", str(installed / f"notes2conf-{name}"))
    if done is not None:
        assert (done.returncode, [line for line in done.stderr.splitlines() if "notes2conf" in line]) == (0, [])
    assert set(unit(f"notes2conf-{name}")) <= {"Unit", "Service", "Timer", "Install"}


@pytest.mark.parametrize("name", ["bigbluebutton", "tls"])
def test_systemd_understands_what_may_be_added_to_the_waiting_room(installed: Path, name: str) -> None:
    """The files for notes2conf-web.service.d: switches that systemd knows, in the one section that they are for."""
    folder = installed / "notes2conf-web.service.d"
    folder.mkdir()
    (installed / f"notes2conf-web-{name}.conf").rename(folder / f"{name}.conf")
    done = analyze("verify", "--man=no", str(installed / "notes2conf-web.service"))
    if done is not None:
        assert (done.returncode, [line for line in done.stderr.splitlines() if "notes2conf" in line]) == (0, [])
    assert set(unit(f"notes2conf-web-{name}.conf")) == {"Service"}


def test_tls_without_a_proxy_gains_the_port_and_the_visitors_alone() -> None:
    """One capability, where it counts, and packets from everywhere; what else the unit forbids stays forbidden."""
    power = ["CAP_NET_BIND_SERVICE"]
    assert unit("notes2conf-web-tls.conf")["Service"] == {
        "CapabilityBoundingSet": power,
        "AmbientCapabilities": power,
        "PrivateUsers": ["no"],
        "IPAddressDeny": [""],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_exposure_is_low(installed: Path, name: str) -> None:
    """Each service has the rights it needs: systemd's own measure stays below 2.0 (of 10)."""
    done = analyze("security", "--offline=true", str(installed / f"notes2conf-{name}.service"))
    if done is not None:
        overall = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
        assert overall is not None, done.stderr
        assert float(overall[1]) <= MOST_EXPOSURE
    assert {key: service(name).get(key) for key in HARDENING} == HARDENING


@pytest.mark.parametrize("name", SERVICES)
def test_every_switch_of_a_service_says_why(name: str) -> None:
    """Whoever loosens one knows what it was for: a comment above each, or above the lines that belong together."""
    lines = (FOLDER / f"notes2conf-{name}.service").read_text("utf-8").splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("User="))
    together = ("IPAddressAllow=",)
    for at, line in enumerate(lines[start:], start):
        if line and not line.startswith(("#", "[", "WantedBy=", *together)):
            assert lines[at - 1].startswith("# "), line


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_a_user_of_its_own(name: str) -> None:
    """Three users in one group; systemd-sysusers makes them."""
    assert service(name)["User"] == [f"notes2conf-{name}"]
    sysusers = (FOLDER / "notes2conf.sysusers").read_text("utf-8")
    assert re.search(rf"^u notes2conf-{name} +-:notes2conf ", sysusers, re.MULTILINE)
    assert re.search(r"^g notes2conf +-", sysusers, re.MULTILINE)


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_runs_the_command_of_its_name(name: str) -> None:
    """The settings file is named, so that a missing one stops the start instead of meaning the defaults."""
    assert service(name)["ExecStart"] == [f"{BINARY} {name} --config /etc/notes2conf/notes2conf.toml"]


def test_started_means_listening() -> None:
    """`systemctl start` returns when mail and pages can come."""
    assert [service(name)["Type"] for name in SERVICES] == [["notify"], ["notify"], ["oneshot"]]


def test_only_the_mail_service_has_the_mail_key() -> None:
    """web and purge neither get the credential nor can see the file."""
    key = "/etc/notes2conf/mail-key"
    assert service("mail")["LoadCredential"] == [f"notes2conf-mail-key:{key}"]
    for name in ("web", "purge"):
        assert "LoadCredential" not in service(name)
        assert f"-{key}" in service(name)["InaccessiblePaths"][0].split()


def test_only_the_mail_service_has_dkim_keys(installed: Path) -> None:
    """A drop-in hands them to it, under the names by which dkim.keys finds them; the folder is out of reach for all three."""
    folder = "/etc/notes2conf/dkim"
    drop_in = unit("notes2conf-mail-dkim.conf")["Service"]
    assert drop_in["LoadCredential"] == [f"{CREDENTIAL_NAME}:{folder}"]
    assert drop_in["InaccessiblePaths"] == [f"-{folder}"]
    for name in ("web", "purge"):
        assert f"-{folder}" in service(name)["InaccessiblePaths"][0].split()
    placed = installed / "notes2conf-mail.service.d" / "dkim.conf"
    placed.parent.mkdir()
    placed.write_text((installed / "notes2conf-mail-dkim.conf").read_text("utf-8"), "utf-8")
    done = analyze("verify", "--man=no", str(installed / "notes2conf-mail.service"))
    if done is not None:
        assert (done.returncode, [line for line in done.stderr.splitlines() if "notes2conf" in line]) == (0, [])


def test_each_service_writes_where_it_must_and_nowhere_else() -> None:
    """The store for all, the socket's folder for mail alone."""
    store, socket = "/var/lib/notes2conf", "/var/spool/postfix/notes2conf"
    written = {name: service(name)["ReadWritePaths"][0].split() for name in SERVICES}
    assert written == {"mail": [store, socket], "web": [store], "purge": [store]}
    tmpfiles = (FOLDER / "notes2conf.tmpfiles").read_text("utf-8")
    for line in (
        f"d {store} 2770 root notes2conf -",
        f"z {store}/epoch 0640 notes2conf-purge notes2conf -",
        f"d {socket} 2750 notes2conf-mail postfix -",
    ):
        assert line in [" ".join(found.split()) for found in tmpfiles.splitlines()]


def test_the_memory_of_each_service_is_bounded() -> None:
    """What runs away ends alone."""
    assert {name: service(name)["MemoryMax"] for name in SERVICES} == {"mail": ["1G"], "web": ["512M"], "purge": ["1G"]}


def test_the_purge_has_no_network() -> None:
    """It deletes; there is nobody it could tell."""
    purge = service("purge")
    assert (purge["PrivateNetwork"], purge["RestrictAddressFamilies"]) == (["yes"], ["none"])
    assert "IPAddressAllow" not in purge


def test_the_waiting_room_calls_nobody() -> None:
    """web may not open connections: it cannot send mail, not even through the Postfix next door."""
    assert "~connect" in service("web")["SystemCallFilter"]


def test_mail_and_web_reach_loopback_alone() -> None:
    """Other addresses are opened by the administrator, by name."""
    assert [service(name)["IPAddressAllow"] for name in ("mail", "web")] == [["localhost"], ["localhost"]]


def test_the_purge_runs_every_five_minutes() -> None:
    """A meeting is out of the file minutes after its end, and soon after the start of a machine that was off."""
    timer = unit("notes2conf-purge.timer")
    assert timer["Timer"]["OnCalendar"] == ["*:0/5"]
    assert timer["Timer"]["Persistent"] == ["true"]
    assert int(timer["Timer"]["RandomizedDelaySec"][0]) <= 60
    assert timer["Install"]["WantedBy"] == ["timers.target"]
