"""Settings: what an administrator may write, what stops the start, and config/notes2conf.toml, which is the table in words."""

import os
import re
import tomllib
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from notes2conf_milter import config
from notes2conf_milter.address import InetAddress, UnixAddress
from notes2conf_milter.cli import main
from notes2conf_milter.config import ConfigError, Settings, load
from notes2conf_milter.core.meeting import Admission
from notes2conf_milter.core.policy import Trigger
from notes2conf_milter.services.offered import Offer
from notes2conf_milter.services.rooms import rooms
from notes2conf_milter.settings import SETTINGS

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "config" / "notes2conf.toml"
TEMPLATES = ROOT / "config" / "templates"
BAD = sorted((ROOT / "tests" / "bad_configs").glob("*.toml"))


def run(*arguments: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, list(arguments))


def written(tmp_path: Path, text: str) -> Path:
    """Return a settings file with this text."""
    path = tmp_path / "notes2conf.toml"
    path.write_text(text, "utf-8")
    return path


def flat(table: dict[str, Any]) -> dict[str, Any]:
    """Return {"section.key": value} of a TOML document."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return found


# --- config/notes2conf.toml ---


def test_the_shipped_file_has_every_setting_with_its_default_and_no_other() -> None:
    """What the file shows as default is what the program does without it."""
    assert flat(tomllib.loads(SHIPPED.read_text("utf-8"))) == {setting.key: setting.default for setting in SETTINGS}


def test_loading_the_shipped_file_changes_nothing(tmp_path: Path) -> None:
    """An administrator may copy the file first and edit it later."""
    shipped, nothing = load(SHIPPED), load(written(tmp_path, ""))
    for field in fields(Settings):
        if field.name != "source":
            assert getattr(shipped, field.name) == getattr(nothing, field.name), field.name


def comments_of(text: str) -> dict[str, str]:
    """Return key -> the comment right above it, on one line; a commented-out line of a setting counts as comment."""
    found, section, comment = {}, "", list[str]()
    for line in text.splitlines():
        if match := re.fullmatch(r"\[([a-z_]+)\]", line):
            section, comment = match[1] + ".", []
        elif line.startswith("# "):
            comment.append(line[2:])
        elif match := re.match(r"([a-z_]+) = ", line):
            found[section + match[1]], comment = " ".join(comment), []
        else:
            comment = []
    return found


def test_each_setting_in_the_shipped_file_is_explained_above_it() -> None:
    """The meaning that --help and the guide give stands in the file, too."""
    comments = comments_of(SHIPPED.read_text("utf-8"))
    for setting in SETTINGS:
        assert comments[setting.key].startswith(setting.meaning), setting.key


# --- what stops the start ---


def test_there_is_an_expected_message_for_each_bad_file() -> None:
    """No bad file is tried without saying what it must complain about."""
    assert BAD
    assert [path.with_suffix(".txt") for path in BAD] == sorted((ROOT / "tests" / "bad_configs").glob("*.txt"))


@pytest.mark.parametrize("command", [["config", "check"], ["mail"], ["web"], ["purge"]], ids=" ".join)
@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_stops_the_start(path: Path, command: list[str]) -> None:
    """Exit code 78 (a service is not restarted) and one line with the file, the key and what is allowed."""
    result = run(*command, "--config", str(path))
    expected = path.with_suffix(".txt").read_text("utf-8").rstrip("\n").format(file=path)
    assert result.exit_code == 78
    assert result.stdout == ""
    assert result.stderr.startswith(f"notes2conf-milter: {expected}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["config", "check"], ["mail"], ["web"], ["purge"]], ids=" ".join)
def test_a_missing_file_stops_the_start(tmp_path: Path, command: list[str]) -> None:
    """A mistyped --config does not mean: the defaults."""
    path = tmp_path / "none.toml"
    result = run(*command, "--config", str(path))
    assert (result.exit_code, result.stderr) == (
        78,
        f"notes2conf-milter: {path}: cannot be read (No such file or directory)\n",
    )


def test_an_unreadable_file_stops_the_start(tmp_path: Path) -> None:
    """Whatever the system says, it is named with the file; a loop of links stands for it, because root reads everything."""
    path = tmp_path / "loop.toml"
    path.symlink_to(path)
    result = run("config", "check", "--config", str(path))
    assert (result.exit_code, result.stderr) == (
        78,
        f"notes2conf-milter: {path}: cannot be read (Too many levels of symbolic links)\n",
    )


def test_a_bad_option_names_the_option() -> None:
    """What was typed on the command line is not blamed on a file."""
    result = run("mail", "--allow-network", "192.0.2.10/24")
    assert result.exit_code == 78
    assert result.stderr.startswith("notes2conf-milter: --allow-network: policy.allowed_networks: not allowed")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base_url", "https://user@conf.example.org"),
        ("base_url", "https://conf.example.org:99999"),
        ("base_url", "https://[::1"),
        ("base_url", "https://conf.example.org/#x"),
        ("base_url", "https://bücher.example"),
        ("base_url", "https://"),
        ("language", "fr"),
        ("state_dir", ""),
        ("policy.organizer_domains", [""]),
        ("policy.organizer_domains", ["example..org"]),
        ("policy.organizer_domains", [5]),
        ("policy.allowed_networks", ["example.org"]),
        ("policy.keyword", "@"),
        ("policy.keyword", "<b>"),
        ("policy.known_conferences", ["meet.example.org"]),
        ("policy.sender", "header"),
        ("milter.listen", ["unix:"]),
        ("milter.listen", ["inet:25"]),
        ("milter.socket_mode", "rw"),
        ("smtp.peers", ["127.0.0.1/8"]),
        ("start_mail.from", "Conference <conference@example.org>"),
        ("start_mail.from", "conference"),
        ("limits.idle_seconds", True),
        ("limits.idle_seconds", 60.5),
        ("web.listen", ""),
        ("services.jitsi_url", "http://meet.example.org"),
        ("services.jitsi_url", "https://meet.example.org/?room="),
        ("services.bigbluebutton_url", "bbb.example.org"),
        ("services.rooms", ["https://call.example.org/{room}"]),
        ("services.link_hosts", ["https://zoom.us/"]),
        ("services.offered", ["zoom"]),
        ("web.logo", "logo.gif"),
        ("web.accent", "#abc"),
        ("web.imprint_url", "http://example.org/"),
        ("log.level", "INFO"),
        ("log.level", ["info"]),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(key: str, value: Any) -> None:
    """Every other way to be wrong ends in the same kind of sentence, never in a traceback."""
    with pytest.raises(ConfigError, match=f"{re.escape(key)}: not allowed as it stands; allowed is "):
        load(Path(os.devnull), {key: value})


# --- what may be written ---


def test_every_setting_can_be_set(tmp_path: Path) -> None:
    """What the file says arrives in the place that the services read."""
    path = written(
        tmp_path,
        """
        base_url = "https://conf.example.org/meet/"
        language = "de"
        state_dir = "/srv/state"
        [text]
        templates = "TEMPLATES"
        [keys]
        mail = "/etc/notes2conf/mail-key"
        epoch = "/srv/epoch"
        [policy]
        organizer_domains = ["Example.ORG", ".bücher.example"]
        allowed_networks = ["192.0.2.0/24", "2001:db8::/32"]
        allow_authenticated = false
        sender = "from"
        trigger = "keyword"
        keyword = "@conf"
        opt_out_keyword = "@noconf"
        without_store = "pass"
        known_conferences = ["https://Meet.example.com/", "*.example.net/room/"]
        [milter]
        listen = ["unix:/run/milter.sock", "inet:[::1]:8891"]
        socket_mode = "0666"
        [smtp]
        listen = "127.0.0.1:2526"
        next_hop = "localhost:10026"
        peers = ["198.51.100.0/24"]
        hostname = "gw.example.org"
        [start_mail]
        relay = "127.0.0.1:10027"
        from = "conference@example.org"
        [retention]
        grace_seconds = 600
        open_series_days = 365
        [limits]
        message_octets = 1_000_000
        processing_seconds = 30
        idle_seconds = 600
        [web]
        listen = "127.0.0.1:8081"
        tls_certificate = "/etc/notes2conf/fullchain.pem"
        tls_key = "/etc/notes2conf/privkey.pem"
        trusted_proxies = ["192.0.2.80/32"]
        guests_per_network = 500
        admission = "ask"
        house = " Example Ltd. "
        contact = "privacy@example.org"
        imprint_url = "https://www.example.org/imprint"
        accent = "#AA3300"
        logo = "/etc/notes2conf/logo.svg"
        [services]
        offered = ["link", "jitsi"]
        jitsi_url = "https://meet.example.org/"
        jitsi_app_id = "app"
        jitsi_secret = "/etc/notes2conf/jitsi-secret"
        bigbluebutton_url = "https://bbb.example.org/bigbluebutton/"
        bigbluebutton_secret = "/etc/notes2conf/bbb-secret"
        rooms = ["Galène=https://galene.example.org/group/{room}/"]
        personal_rooms = "/etc/notes2conf/rooms.toml"
        link_hosts = ["*.Zoom.us"]
        pass_names = true
        [log]
        level = "debug"
        """.replace("TEMPLATES", str(TEMPLATES)),
    )
    settings = load(path)
    policy = settings.policy
    assert settings.base_url == "https://conf.example.org/meet"
    assert (settings.language, settings.log_level, settings.source) == ("de", "debug", str(path))
    assert (settings.text_templates, set(settings.templates)) == (TEMPLATES, {"de", "en"})
    assert settings.database == Path("/srv/state/meetings.sqlite3")
    assert (settings.keys_mail, settings.keys_epoch) == (Path("/etc/notes2conf/mail-key"), Path("/srv/epoch"))
    assert policy.organizer_domains == {"example.org", ".xn--bcher-kva.example"}
    assert [str(network) for network in policy.allowed_networks] == ["192.0.2.0/24", "2001:db8::/32"]
    assert (policy.allow_authenticated, policy.sender_from, policy.trigger) == (False, True, Trigger.KEYWORD)
    assert (policy.keyword, policy.opt_out) == ("@conf", "@noconf")
    assert not settings.defer_without_store
    own = ("meet.example.org/", "bbb.example.org/bigbluebutton/", "galene.example.org/group/")
    assert policy.conferences.patterns[-5:] == ("meet.example.com/", "*.example.net/room/", *own)
    assert settings.milter_listen == (UnixAddress("/run/milter.sock"), InetAddress("::1", 8891))
    assert settings.milter_socket_mode == 0o666
    assert (settings.smtp_listen, settings.smtp_next_hop) == (
        InetAddress("127.0.0.1", 2526),
        InetAddress("localhost", 10026),
    )
    assert [str(network) for network in settings.smtp_peers] == ["198.51.100.0/24"]
    assert settings.smtp_hostname == "gw.example.org"
    assert settings.start_mail_relay == InetAddress("127.0.0.1", 10027)
    assert settings.start_mail_from == "conference@example.org"
    assert (settings.retention_grace_seconds, settings.retention_open_series_days) == (600, 365)
    assert settings.limits_message_octets == 1_000_000
    assert (settings.limits_processing_seconds, settings.limits_idle_seconds) == (30, 600)
    assert (settings.web_listen, settings.web_admission) == (InetAddress("127.0.0.1", 8081), Admission.ASK)
    assert settings.web_tls_certificate == Path("/etc/notes2conf/fullchain.pem")
    assert settings.web_tls_key == Path("/etc/notes2conf/privkey.pem")
    assert settings.web_trusted_proxies == (ip_network("192.0.2.80/32"),)
    assert settings.web_guests_per_network == 500
    assert (settings.web_house, settings.web_contact) == ("Example Ltd.", "privacy@example.org")
    assert (settings.web_imprint_url, settings.web_accent) == ("https://www.example.org/imprint", "#aa3300")
    assert settings.web_logo == Path("/etc/notes2conf/logo.svg")
    assert settings.services == Offer(
        ("link", "jitsi"),
        "https://meet.example.org",
        "app",
        Path("/etc/notes2conf/jitsi-secret"),
        "https://bbb.example.org/bigbluebutton",
        Path("/etc/notes2conf/bbb-secret"),
        (rooms("Galène=https://galene.example.org/group/{room}/"),),
        Path("/etc/notes2conf/rooms.toml"),
        ("*.zoom.us",),
    )
    assert settings.services_pass_names


def test_keys_lie_in_the_state_folder_unless_named() -> None:
    """`--state DIR` alone is enough to move everything."""
    settings = load(Path(os.devnull), {"state_dir": "/srv/state"})
    assert (settings.keys_mail, settings.keys_epoch) == (Path("/srv/state/mail-key"), Path("/srv/state/epoch"))


def test_start_mails_go_to_the_next_hop_where_there_is_one() -> None:
    """With the SMTP door there is a Postfix behind it that takes mail without asking us again; else it is port 10026."""
    door = {"smtp.listen": "127.0.0.1:2526", "smtp.next_hop": "127.0.0.1:2527"}
    assert load(Path(os.devnull), door).start_mail_relay == InetAddress("127.0.0.1", 2527)
    assert load(Path(os.devnull)).start_mail_relay == InetAddress("127.0.0.1", 10026)
    assert load(Path(os.devnull), {**door, "start_mail.relay": "[::1]:25"}).start_mail_relay == InetAddress("::1", 25)


def test_options_win_over_the_file(tmp_path: Path) -> None:
    """What is typed is what counts, for one value and for a list."""
    path = written(tmp_path, 'base_url = "https://a.example"\n[policy]\norganizer_domains = ["a.example"]\n')
    settings = load(path, {"base_url": "https://b.example", "policy.organizer_domains": ["b.example"]})
    assert settings.base_url == "https://b.example"
    assert settings.policy.organizer_domains == {"b.example"}


def test_the_default_file_is_read_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --config the services of an installation find their settings; without any file the defaults count."""
    monkeypatch.setattr(config, "DEFAULT_FILE", tmp_path / "none.toml")
    assert load(None).language == "en"
    monkeypatch.setattr(config, "DEFAULT_FILE", written(tmp_path, 'language = "de"\n'))
    assert load(None).language == "de"


def test_loopback_is_allowed_only_where_it_is_named() -> None:
    """What this machine re-injects is not taken for mail of the house; the SMTP door serves loopback and nobody else."""
    settings = load(Path(os.devnull))
    assert settings.policy.allowed_networks == ()
    assert [str(network) for network in settings.smtp_peers] == ["127.0.0.0/8", "::1/128"]


def test_options_are_unique() -> None:
    """No two settings share an option of the command line."""
    options = [setting.option for setting in SETTINGS if setting.option]
    assert len(options) == len(set(options))
