"""What people forget: every command, option, setting and reason is in the documents, and the documents say what is there.

The Postfix files are run: a real Postfix with their very lines gives an invitation its link.
"""

import difflib
import os
import re
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from notes2conf_milter.cli import main
from notes2conf_milter.core.verdict import Reason
from notes2conf_milter.demo import invitation
from notes2conf_milter.settings import SETTINGS
from notes2conf_milter.smtp.server import Limits
from notes2conf_milter.tlscheck.findings import Code
from notes2conf_milter.tlscheck.words import LEVELS
from tests.live.arrangements import Wire
from tests.live.postfix import Client, Listener, Postfix, directory, free_ports, send
from tests.live.sink import Sink
from tests.live.test_arrangements import carrying
from tests.test_cli import running

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GUIDES = {"en": ROOT / "docs" / "admin.md", "de": ROOT / "docs" / "admin.de.md"}
DOCUMENTS = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield the name of every command (`key new`) with the command."""
    if isinstance(command, click.Group):
        for word, inner in command.commands.items():
            yield from commands(inner, f"{name} {word}".strip())
    else:
        yield name, command


def code(text: str) -> list[str]:
    """Return the fenced blocks of shell commands, without the indentation that they have in a list."""
    blocks = re.findall(r"^( *)```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in blocks]


def prose(text: str) -> str:
    """Return a document without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("name", "command"), list(commands(main)), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_option_is_in_the_readme(name: str, command: click.Command) -> None:
    """What --help shows can be found by reading."""
    rows = [line for line in README.read_text("utf-8").splitlines() if re.match(rf"\| `{name}[ `]", line)]
    assert len(rows) == 1
    options = [option for one in command.params if isinstance(one, click.Option) for option in one.opts]
    if name == "config check":
        return  # its row refers to those of mail and web
    for option in options:
        assert f"`{option}" in rows[0], option


def test_config_check_has_the_options_of_mail_and_web() -> None:
    """As its row in the README says."""
    options = {name: {one.opts[0] for one in command.params} for name, command in commands(main)}
    assert options["config check"] == options["mail"] | options["web"]


def test_every_setting_is_in_the_settings_file() -> None:
    """tests/test_config.py compares meaning and default; here it is the guide that leads there."""
    for guide in GUIDES.values():
        assert "config/notes2conf.toml" in guide.read_text("utf-8")
    text = (ROOT / "config" / "notes2conf.toml").read_text("utf-8")
    for setting in SETTINGS:
        assert re.search(rf"^{setting.key.rpartition('.')[2]} = ", text, re.MULTILINE), setting.key


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_no_setting_that_is_not_there(path: Path) -> None:
    """A renamed setting is renamed everywhere."""
    sections = {setting.key.partition(".")[0] for setting in SETTINGS if "." in setting.key}
    named = re.findall(rf"`((?:{'|'.join(sections)})\.[a-z_]+)(?= = |`)", prose(path.read_text("utf-8")))
    assert set(named) - {setting.key for setting in SETTINGS} - {"main.cf"} == set()


@pytest.mark.parametrize("language", GUIDES)
def test_every_reason_is_explained_in_the_guides(language: str) -> None:
    """Whoever reads a reason in the log finds it in the administrator's guide, and none that the log never shows."""
    rows = re.findall(r"^\| `([a-z-]+)` \| .+ \|$", GUIDES[language].read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(reason.value for reason in Reason)


@pytest.mark.parametrize(("name", "column"), [("tlscheck.md", 0), ("tlscheck.de.md", 1)])
def test_every_finding_of_tls_check_is_explained(name: str, column: int) -> None:
    """With the level that it has, the guidelines that it breaks, and what to do."""
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (.+) \| (.*) \| (.+) \|$", (ROOT / "docs" / name).read_text("utf-8"), re.MULTILINE
    )
    expected = [
        (code.label, LEVELS[code.level][column], ", ".join(one.value.removeprefix("BSI ") for one in code.breaks))
        for code in Code
    ]
    assert [row[:3] for row in rows] == expected


def anchors(path: Path) -> set[str]:
    """Return the anchors that the headings of a document have."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link has a file, and its anchor a heading."""
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        found = (path.parent / name) if name else path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_are_there(path: Path) -> None:
    """Paths in the repository, as they stand in prose and commands."""
    text = path.read_text("utf-8")
    for name in re.findall(r"(?<![\w/.-])((?:config|systemd|docs|tests)/[\w./*-]+[\w*])", text):
        assert list(ROOT.glob(name)) or list((ROOT / "docs").glob(name)), name
    if path.name == "flow.md":
        for name in re.findall(r"(?<![\w/.-])((?:core|milter|smtp|store|web)/\w+\.py)", text):
            assert (ROOT / "notes2conf_milter" / name).is_file(), name


def test_the_guides_say_the_same_commands() -> None:
    """German and English differ in words, and in the language that they set."""
    english, german = (code(GUIDES[language].read_text("utf-8")) for language in ("en", "de"))
    german = [block.replace('language = "de"\n', "") for block in german]
    for own, other in (("IHRE-ADRESSE", "YOUR-ADDRESS"), ("IHR-DOMINO", "YOUR-DOMINO"), ("IHR-NAME", "YOUR-NAME")):
        german = [block.replace(own, other) for block in german]
    assert german == english


def test_the_guides_to_services_say_the_same_commands() -> None:
    """And have as many rows, and as many things to do for whoever adds one."""
    english, german = ((ROOT / "docs" / name).read_text("utf-8") for name in ("services.md", "services.de.md"))
    assert code(english) == code(german) != []
    for sign in (r"^\|", r"^\d\. ", r"`over`", r"`way_in`"):
        assert len(re.findall(sign, english, re.MULTILINE)) == len(re.findall(sign, german, re.MULTILINE)), sign


def test_the_guides_to_proxmox_say_the_same_commands() -> None:
    """And draw the same hops; tests/live/test_proxmox.py runs the commands."""
    english, german = ((ROOT / "docs" / name).read_text("utf-8") for name in ("proxmox.md", "proxmox.de.md"))
    assert code(german.replace("IHR-DOMINO", "YOUR-DOMINO")) == code(english) != []
    for sign in (r"^\|", r"^\d\. ", r":(?:26|100\d\d)\b"):
        assert len(re.findall(sign, english, re.MULTILINE)) == len(re.findall(sign, german, re.MULTILINE)), sign


def test_the_readme_says_the_commands_of_the_guide() -> None:
    """The ten minutes are the guide's commands, nothing left out."""
    guide = "".join(code(GUIDES["en"].read_text("utf-8")))
    steps = code(README.read_text("utf-8").partition("## Ten minutes")[2])
    assert len(steps) >= 3
    for line in "".join(steps).splitlines():
        assert line in guide.splitlines(), line


def test_the_licence_is_the_one_that_is_declared() -> None:
    """AGPL, version 3 or later, in the text of the Free Software Foundation."""
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "GNU AFFERO GENERAL PUBLIC LICENSE\n                       Version 3, 19 November 2007\n" in text
    assert "13. Remote Network Interaction" in text
    assert 'license = "AGPL-3.0-or-later"' in (ROOT / "pyproject.toml").read_text("utf-8")


# --- config/postfix ---


def lines_of(name: str) -> list[str]:
    """Return the lines of a file in config/postfix without comments."""
    text = (ROOT / "config" / "postfix" / name).read_text("utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def services(name: str, ports: dict[str, int]) -> list[str]:
    """Return the services of a file in config/postfix on other ports of loopback, without chroot."""
    found: list[str] = []
    for line in lines_of(name):
        if line.startswith(" "):
            found[-1] += "\n" + line
            continue
        address, _, rest = line.partition(" ")
        assert rest.split()[0] == "inet" and rest.split()[3] == "y", line
        found.append(f"127.0.0.1:{ports[address]} " + rest.replace(" y ", " n ", 1))
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "config" / "postfix").glob("*.cf")), ids=lambda path: path.name)
def test_the_settings_that_a_postfix_file_asks_for_are_known(path: Path) -> None:
    """What stands in its comments can be copied into notes2conf.toml."""
    comments = re.sub(r"^#(?: {5})?", "", path.read_text("utf-8"), flags=re.MULTILINE)
    blocks = re.findall(r"^(?:\w+ = .*\n)*(?:\[\w+\]\n(?:\w+ = .*\n)+)+", comments, re.MULTILINE)
    known = {setting.key for setting in SETTINGS}
    for block in blocks:
        for name, value in tomllib.loads(block).items():
            assert {f"{name}.{key}" for key in value} <= known if isinstance(value, dict) else name in known
    assert blocks or "notes2conf.toml:" not in comments


def listeners(path: Path) -> dict[str, dict[str, str]]:
    """Return the listeners of a file for master.cf: address -> its `-o` parameters."""
    found: dict[str, dict[str, str]] = {}
    for line in path.read_text("utf-8").splitlines():
        if re.match(r"\S+ +inet +", line.replace("[% pmg.mail.int_port %]", "26")):
            options = found.setdefault(line.split("  ")[0].partition(" inet")[0], {})
        elif match := re.fullmatch(r" +-o (?:\{ )?(\w+) ?= ?(.*?)(?: \})?", line):
            options[match[1]] = match[2]
        elif line and not line.startswith("#"):
            options = {}  # of something else
    return found


MASTER_FILES = sorted(
    (*(ROOT / "config" / "postfix").glob("*.cf"), *(ROOT / "config" / "proxmox").glob("*-append.cf.in"))
)


@pytest.mark.parametrize("path", MASTER_FILES, ids=lambda path: path.name)
def test_a_listener_for_the_gateway_itself_asks_for_no_tls(path: Path) -> None:
    """A house whose main.cf requires TLS of everybody: on loopback there is none, and start mails would be refused for good."""
    for address, options in listeners(path).items():
        if address.startswith("127.0.0.1:"):
            assert options.get("smtpd_tls_security_level") == "none", address


def test_a_listener_for_domino_takes_no_bare_newline_for_a_line_end() -> None:
    """Postfix before 3.9 does, newer ones for their own networks: a stranger's mail that Domino passes on would be two."""
    taking = [
        one for path in MASTER_FILES for name, one in listeners(path).items() if not name.startswith("127.0.0.1:")
    ]
    assert len(taking) == 6
    for one in taking:
        assert one.get("smtpd_forbid_bare_newline") == "normalize"
        assert one.get("smtpd_forbid_bare_newline_exclusions") == ""


def test_before_the_queue_postfix_waits_as_long_as_the_door() -> None:
    """Else it tells Domino to send again what the door has handed over already, and the mail is there twice."""
    waiting = [one for path in MASTER_FILES for one in listeners(path).values() if one.get("smtpd_proxy_filter")]
    assert [one.get("smtpd_proxy_timeout") for one in waiting] == [f"{2 * Limits().reply:.0f}s"] * 2


def greeted(port: int) -> None:
    """Wait until somebody greets on a port."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with Client(port):
                return
        except OSError:
            assert time.monotonic() < deadline, port
            time.sleep(0.05)


def own_links(sink: Sink, count: int) -> dict[bytes, set[bytes]]:
    """Wait for messages and return recipient -> the kinds of links (`/j/`, `/s/`) in what came."""
    pattern = re.compile(rb"https://conf\.example\.org(/[js]/)[a-z2-7]{32}")
    return {one.recipients[0]: set(pattern.findall(one.octets.replace(b"=\r\n", b""))) for one in sink.wait_for(count)}


def test_the_postfix_files_make_the_milter_door_work(tmp_path: Path) -> None:
    """With their lines an invitation from the Domino server gains its link, the start mail comes, a stranger is turned away."""
    domino, start_mail = free_ports(2)
    extra = dict(re.split(r" = ", line, maxsplit=1) for line in lines_of("main.cf"))
    assert extra["milter_default_action"] == "tempfail"
    with directory() as place, Sink() as sink:
        lines = services("master.cf", {"192.0.2.5:26": domino, "127.0.0.1:10026": start_mail})
        with Postfix(place, [Listener()], sink.address, extra, lines) as postfix:
            socket = place / "spool" / "notes2conf" / "milter.sock"
            socket.parent.mkdir()
            options = ("--config", os.devnull, "--organizer-domain", "example.org", "--allow-network", "192.0.2.10/32")
            options += ("--tls-exempt-network", "192.0.2.10/32")
            with running(
                *("mail", *options, "--base-url", "https://conf.example.org", "--state", str(tmp_path / "state")),
                *("--milter", f"unix:{socket}", "--start-mail", f"127.0.0.1:{start_mail}"),
                watch="stderr",
            ) as service:
                service.wait_for("listening")
                socket.chmod(0o666)  # systemd-tmpfiles gives the folder to the group postfix instead
                greeted(domino)
                greeted(start_mail)
                message = invitation(datetime.now(UTC))
                envelope = (domino, "anna.muster@example.org", ["guest@example.net"], message)
                assert send(*envelope, xclient={"ADDR": "192.0.2.99"}).code == 554
                assert send(*envelope, xclient={"ADDR": "192.0.2.10"}).code == 250
                found = own_links(sink, 2)
                sink.clear()
                with Wire(domino).greet().from_({"ADDR": "192.0.2.10"}) as wire:
                    wire.deliver("anna.muster@example.org", "guest@example.net", carrying(b"\n.\r\n", calendar=False))
                postfix.wait_until_idle()
                assert [one.sender for one in sink.messages] == [b"anna.muster@example.org"]
            # The service is gone: mail waits at its sender.
            assert send(*envelope, xclient={"ADDR": "192.0.2.10"}).code == 451
            assert [line for line in postfix.warnings() if "milter" not in line] == []
    assert found == {b"guest@example.net": {b"/j/"}, b"anna.muster@example.org": {b"/j/", b"/s/"}}


def test_the_postfix_file_for_the_smtp_door_works(tmp_path: Path) -> None:
    """The door in front, the listener of the file behind it: the link is there, and nothing comes back to the door."""
    behind = free_ports(1)[0]
    with directory() as place, Sink() as sink:
        lines = services("smtp-door.cf", {"127.0.0.1:10026": behind})
        of_the_house = {"smtpd_tls_security_level": "encrypt"}  # the door has no TLS for a listener on loopback
        with Postfix(place, [Listener()], sink.address, of_the_house, lines):
            greeted(behind)
            options = ("--config", os.devnull, "--organizer-domain", "example.org", "--allow-network", "127.0.0.0/8")
            options += ("--tls-exempt-network", "127.0.0.0/8")
            with running(
                *("mail", *options, "--base-url", "https://conf.example.org", "--state", str(tmp_path / "state")),
                *("--smtp", "127.0.0.1:0", "--next-hop", f"127.0.0.1:{behind}"),
                watch="stderr",
            ) as service:
                service.wait_for("listening")
                port = int(service.seen[-1].rpartition(":")[2])
                message = invitation(datetime.now(UTC))
                with closing(Client(port)) as client:
                    for step in ("EHLO domino", "MAIL FROM:<anna.muster@example.org>", "RCPT TO:<guest@example.net>"):
                        assert client.command(step).code == 250
                    assert client.command("DATA").code == 354
                    assert client.message(message).code == 250
                found = own_links(sink, 2)
    assert found == {b"guest@example.net": {b"/j/"}, b"anna.muster@example.org": {b"/j/", b"/s/"}}


@pytest.mark.parametrize("name", ["octets.md", "octets.de.md"])
def test_the_before_and_after_is_real(name: str) -> None:
    """Every changed line of the golden message stands on the page, and no other does."""
    page = (ROOT / "docs" / name).read_text("utf-8")
    shown = re.search(r"<!-- (\S+) -->\n```diff\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    golden = ROOT / "tests" / "messages" / shown[1]
    before, after = ((golden / file).read_text("utf-8").splitlines() for file in ("in.eml", "out.eml"))
    real = [
        line
        for line in difflib.unified_diff(before, after, n=0, lineterm="")
        if not line.startswith(("@@", "---", "+++"))
    ]
    assert [line for line in shown[2].splitlines() if not line.startswith("@@")] == real
