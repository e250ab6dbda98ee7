"""What the Postfix of this machine is set to: `postconf` and `postmap` are asked. Nothing is changed.

In:  the configuration that Postfix's own commands read (MAIL_CONFIG, else /etc/postfix). Out: parameters of main.cf with their
     `$name`s expanded, services of master.cf with their own parameters, what stands in lookup tables.
Fails: `read` returns None where Postfix is not installed or gives no answer in time, `results` and `rules` for a table that
     cannot be listed.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SECONDS = 10
_LISTED = ("btree", "cdb", "dbm", "hash", "inline", "lmdb", "sdbm", "texthash")  # `postmap -s` lists these
_PATTERNS = ("cidr", "pcre", "regexp")
_RULE = re.compile(r"""(?:!?(?P<mark>[^\w\s]).*(?P=mark)[A-Za-z]*|[0-9A-Fa-f.:/!\[\]]+)\s+(?P<result>\S.*)""")


@dataclass(frozen=True, slots=True)
class Service:
    """A line of master.cf. name: with its type, as in `smtp/unix`. command: the program. options: parameters of its own."""

    name: str
    command: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Postconf:
    """One configuration. main: parameters of main.cf, defaults too. services: by name and type."""

    main: Mapping[str, str]
    services: Mapping[str, Service]

    def value(self, name: str, service: Service | None = None) -> str:
        """Return a parameter, as a service has it; "" for one that there is not."""
        return service.options[name] if service is not None and name in service.options else self.main.get(name, "")

    def lookup(self, key: str, tables: str) -> str | None:
        """Return what the first of some tables has for a key, None where none has it or a table gives no answer."""
        for table in words(tables):
            found = _ask("postmap", "-q", key, table)
            if found is not None:
                return found.strip()
        return None

    def results(self, table: str) -> list[str] | None:
        """Return the right-hand sides of a table, None where its type cannot be listed (a database, a server)."""
        kind, name = split(table)
        if kind == "static":
            return [name.strip("{} ")]
        if kind in _LISTED:
            listed = _ask("postmap", "-s", f"{kind}:{name}")
            return None if listed is None else [line.partition("\t")[2] for line in listed.splitlines()]
        rules = self.rules(table)
        found = None if rules is None else [_RULE.fullmatch(rule) for rule in rules]
        return None if found is None else [match["result"] for match in found if match is not None]

    def rules(self, table: str) -> list[str] | None:
        """Return the lines of a table of patterns, None where it is none or cannot be read."""
        kind, name = split(table)
        if kind not in _PATTERNS:
            return None
        if name.startswith("{"):  # it stands in main.cf or master.cf itself: {{line} {line}}
            return [one.removeprefix("{").removesuffix("}").strip() for one in words(name.strip()[1:-1])]
        try:
            text = Path(name).read_text("utf-8", "replace")
        except OSError:
            return None
        return [line for line in re.sub(r"\n[ \t]+", " ", text).splitlines() if line and not line.startswith("#")]


def read() -> Postconf | None:
    """Return the configuration of this machine's Postfix, None where there is none or it gives no answer."""
    main = _ask("postconf", "-x")
    if main is None:
        return None  # Postfix takes a second to say so
    master, own = _ask("postconf", "-M"), _ask("postconf", "-Px")
    if master is None or own is None:
        return None
    options: dict[str, dict[str, str]] = {}
    for line in own.splitlines():
        where, _, value = line.partition(" = ")
        service, _, name = where.rstrip(" =").rpartition("/")
        options.setdefault(service, {})[name] = value
    lines = [
        line.split() for line in master.splitlines()
    ]  # service, type, private, unprivileged, chroot, wake-up, most, command
    services = {f"{line[0]}/{line[1]}": line[7] for line in lines if len(line) > 7}
    return Postconf(
        {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in main.splitlines())},
        {name: Service(name, command, options.get(name, {})) for name, command in services.items()},
    )


def words(value: str) -> list[str]:
    """Cut a list of Postfix at blanks and commas; what stands in braces stays whole."""
    found, depth, word = [], 0, ""
    for letter in value + " ":
        depth += (letter == "{") - (letter == "}")
        if depth <= 0 and letter in ", \t":
            found.append(word)
            word = ""
        else:
            word += letter
    return [one for one in found if one]


def split(table: str) -> tuple[str, str]:
    """Return type and name of a table: `hash:/etc/postfix/transport`, `{ hash:/etc/postfix/access, defer }`, `proxy:hash:…`."""
    inner = words(table[1:-1]) if table.startswith("{") else []
    kind, _, name = (inner[0] if inner else table).removeprefix("proxy:").partition(":")
    return kind, name


def _ask(command: str, *arguments: str) -> str | None:
    program = shutil.which(command)
    if program is None:
        return None
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, UnicodeDecodeError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
