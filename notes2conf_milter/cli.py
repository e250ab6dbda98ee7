"""The command line: arguments in, exit codes out.

How it fails, as exit codes: 0 done; 75 (EX_TEMPFAIL) cannot now, try again; 78 (EX_CONFIG) set up wrong, with the file,
the key and what is allowed on standard error; 2 wrong usage.
"""

import asyncio
import errno
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from notes2conf_milter import checkup, daemon, demo
from notes2conf_milter import readers as kind
from notes2conf_milter.address import InetAddress
from notes2conf_milter.config import ConfigError, Settings, load
from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.verdict import Verdict
from notes2conf_milter.dkim.check import State
from notes2conf_milter.dkim.check import check as check_records
from notes2conf_milter.dkim.keys import KeyFileError
from notes2conf_milter.dkim.keys import new_keys as new_signing_keys
from notes2conf_milter.dkim.records import Dns
from notes2conf_milter.journal import Journal
from notes2conf_milter.settings import SETTINGS
from notes2conf_milter.store import EpochFile, StoreError, StoreSetupError, new_keys, purge
from notes2conf_milter.store.keys import EPOCH_NAME, MAIL_KEY_NAME
from notes2conf_milter.trial import explanation, try_message

EX_TEMPFAIL = 75
EX_CONFIG = 78
DKIM_FOLDER = Path("/etc/notes2conf/dkim")
DEFAULT_BASE_URL = "https://conf.example.org"

# What no waiting mends. An address in use, a name that does not resolve, a full disk may be gone at the next try.
_SET_UP_WRONG = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.EEXIST}
)

F = TypeVar("F", bound=Callable[..., Any])


@contextmanager
def failures() -> Iterator[None]:
    """Turn the two kinds of failure into their exit codes and one line on standard error."""
    try:
        yield
    except (ConfigError, KeyFileError, StoreSetupError) as error:
        click.echo(f"notes2conf-milter: {error}", err=True)
        raise SystemExit(EX_CONFIG) from None
    except StoreError as error:
        click.echo(f"notes2conf-milter: {error}", err=True)
        raise SystemExit(EX_TEMPFAIL) from None
    except OSError as error:
        click.echo(
            f"notes2conf-milter: {error.filename or ''}{': ' if error.filename else ''}{error.strerror or error}",
            err=True,
        )
        raise SystemExit(EX_CONFIG if error.errno in _SET_UP_WRONG else EX_TEMPFAIL) from None


def setting_options(*keys: str) -> Callable[[F], F]:
    """Add --config and the options of the settings named; options win over the file."""
    by_key = {setting.key: setting for setting in SETTINGS}

    def decorate(function: F) -> F:
        for key in reversed(keys):
            setting = by_key[key]
            several = isinstance(setting.default, list)
            help_text = setting.meaning + (" May be given several times." if several else "")
            name = key.replace(".", "__")
            function = click.option(setting.option, name, multiple=several, help=help_text, metavar=_METAVARS.get(key))(
                function
            )
        path = click.Path(path_type=Path, dir_okay=False)
        return click.option("--config", "config_file", type=path, help="Settings file; options win over it.")(function)

    return decorate


_METAVARS = {
    "base_url": "URL",
    "state_dir": "DIR",
    "policy.organizer_domains": "DOMAIN",
    "policy.allowed_networks": "CIDR",
    "milter.listen": "ADDRESS",
    "smtp.listen": "HOST:PORT",
    "smtp.next_hop": "HOST:PORT",
    "start_mail.relay": "HOST:PORT",
    "web.listen": "HOST:PORT",
    "services.jitsi_url": "URL",
}
_MAIL_KEYS = (
    "milter.listen",
    "smtp.listen",
    "smtp.next_hop",
    "start_mail.relay",
    "policy.organizer_domains",
    "policy.allowed_networks",
    "base_url",
    "state_dir",
)
_WEB_KEYS = ("web.listen", "services.jitsi_url", "base_url", "state_dir")


def read_settings(config_file: Path | None, given: dict[str, Any]) -> Settings:
    """Return the settings of a file with the options given on top; raises ConfigError."""
    options: dict[str, Any] = {}
    for name, value in given.items():
        if value not in (None, ()):
            options[name.replace("__", ".")] = list(value) if isinstance(value, tuple) else value
    return load(config_file, options)


def set_up_logging(level: str) -> Journal:
    """Log to standard error, which systemd's journal and a terminal both read."""
    journal = Journal(sys.stderr)
    logging.basicConfig(level=level.upper(), handlers=[journal])
    return journal


@click.group()
@click.version_option(package_name="notes2conf-milter")
def main() -> None:
    """A video conference in every calendar invitation, in the mail flow behind Postfix."""


@main.command()
@setting_options(*_MAIL_KEYS)
def mail(config_file: Path | None, **given: Any) -> None:
    """Run the mail service: the milter door and the SMTP door."""
    with failures():
        settings = read_settings(config_file, given)
        journal = set_up_logging(settings.log_level)
        if given["state_dir"] is not None:
            make_keys_where_new(settings)
        daemon.run(daemon.run_mail(settings, journal.note))


def make_keys_where_new(settings: Settings) -> None:
    """Make the keys in a folder that holds neither key nor database, and say so."""
    daemon.make_folder(settings.state_dir)
    if not any(path.exists() for path in (settings.keys_mail, settings.keys_epoch, settings.database)):
        new_keys(settings.state_dir, daemon.now())
        click.echo(f"notes2conf-milter: made new keys in {settings.state_dir}", err=True)


@main.command()
@setting_options(*_WEB_KEYS)
def web(config_file: Path | None, **given: Any) -> None:
    """Run the waiting room: the pages behind join and start links."""
    with failures():
        settings = read_settings(config_file, given)
        set_up_logging(settings.log_level)
        daemon.run(daemon.run_web(settings))


@main.command(name="purge")
@setting_options("state_dir")
def purge_command(config_file: Path | None, **given: Any) -> None:
    """Delete every meeting that is over, renew the epoch secret once a day, and say how many were deleted."""
    with failures():
        settings = read_settings(config_file, given)
        set_up_logging(settings.log_level)
        result = purge(settings.database, EpochFile(settings.keys_epoch), daemon.now())
        click.echo(f"deleted {result.deleted} meetings")
        if result.rotated:
            click.echo(f"renewed the epoch secret, {result.resealed} meetings sealed anew")
        if result.damaged:
            click.echo(
                f"notes2conf-milter: {result.damaged} meetings are damaged and cannot be opened any more", err=True
            )
        if not result.truncated:
            click.echo("notes2conf-milter: the write-ahead log is still being read; run purge again", err=True)
            raise SystemExit(EX_TEMPFAIL)


@main.command(name="demo")
def demo_command() -> None:
    """Start everything on loopback, send a Notes invitation through the door, show what happened; Ctrl-C ends it."""
    with failures():
        set_up_logging("warning")
        daemon.run(demo.run())


@main.group()
def key() -> None:
    """The keys that seal the store."""


@key.command()
@setting_options("state_dir")
def new(config_file: Path | None, **given: Any) -> None:
    """Make the mail key and the epoch secret; existing ones are never overwritten."""
    with failures():
        settings = read_settings(config_file, given)
        daemon.make_folder(settings.state_dir)
        new_keys(settings.state_dir, daemon.now())
        mail_key, epoch = settings.state_dir / MAIL_KEY_NAME, settings.state_dir / EPOCH_NAME
        click.echo(f"made {mail_key} and {epoch}; keep the second out of every backup")
        for name, made, wanted in (("mail", mail_key, settings.keys_mail), ("epoch", epoch, settings.keys_epoch)):
            if made != wanted:
                click.echo(f"keys.{name} is {wanted}: move {made} there")


@main.group(name="dkim")
def dkim_group() -> None:
    """The keys that sign what is rewritten."""


@dkim_group.command(name="new")
@click.argument("domain")
@click.option("--selector", help="How both selectors begin; else n2c and the month.", metavar="NAME")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DKIM_FOLDER,
    help=f"Where the key files go, else {DKIM_FOLDER}.",
)
def dkim_new(domain: str, selector: str | None, folder: Path) -> None:
    """Make an RSA and an Ed25519 key for DOMAIN and print the DNS records; existing files are never overwritten."""
    begin = selector or datetime.now(UTC).strftime("n2c%Y%m")
    try:
        file = kind.dkim_key(f"{domain}:{begin}:{folder}")
    except ValueError:
        raise click.UsageError("DOMAIN is not a domain, or NAME has more than letters, digits and hyphens") from None
    with failures():
        made = new_signing_keys(folder.absolute(), file.domain, file.selector)
    click.echo("made " + " and ".join(str(path) for path, _ in made))
    click.echo("\nPublish these records in DNS, and see that they are there with: notes2conf-milter dkim check\n")
    for _, one in made:
        click.echo(one.zone_lines)
    click.echo("\nThen sign with them; in the settings, section [dkim]:\n\nkeys = [")
    for path, one in made:
        click.echo(f'  "{one.name}:{path}",')
    click.echo("]")


def _name_server(context: click.Context, parameter: click.Parameter, value: str | None) -> InetAddress | None:
    try:
        return None if value is None else kind.name_server(value)
    except ValueError as error:
        raise click.BadParameter(f"allowed is {error}") from None


@dkim_group.command(name="check")
@click.option(
    "--resolver",
    callback=_name_server,
    help="The name server to ask, as 192.0.2.53:53, instead of dkim.resolver.",
    metavar="HOST:PORT",
)
@setting_options()
def dkim_check(resolver: InetAddress | None, config_file: Path | None) -> None:
    """Compare the DNS records of dkim.keys with the key files; exit code 78 when one is wrong, 75 when DNS does not say."""
    with failures():
        settings = read_settings(config_file, {})
        keys = settings.signing_keys()
        if not keys:
            problem = "is empty, there is nothing to check; make keys with: notes2conf-milter dkim new DOMAIN"
            raise ConfigError(settings.source, "dkim.keys", problem)
        findings = check_records(keys, Dns(resolver or settings.dkim_resolver))
    for finding in findings:
        click.echo(f"{finding.state.value}: {finding.text}")
    states = {finding.state for finding in findings}
    if states != {State.GOOD}:
        raise SystemExit(EX_CONFIG if State.WRONG in states else EX_TEMPFAIL)


@main.group()
def config() -> None:
    """The settings."""


@config.command(name="check")
@setting_options(*dict.fromkeys((*_MAIL_KEYS, *_WEB_KEYS)))
def config_check(config_file: Path | None, **given: Any) -> None:
    """Check the settings, the keys and what can be seen of Postfix; exit code 78 when something is wrong."""
    with failures():
        settings = read_settings(config_file, given)
        findings = checkup.check(settings)
    for finding in findings:
        click.echo(f"{finding.weight.value}: {finding.text}")
    if any(finding.weight is checkup.Weight.ERROR for finding in findings):
        raise SystemExit(EX_CONFIG)
    click.echo(f"ok: {settings.source}")


@main.command()
@click.argument("message", type=click.File("rb"), default="-", metavar="[FILE]")
@click.option("--explain", is_flag=True, help="Say why, as one JSON object in the last line of standard error.")
@click.option(
    "--recipient", "recipients", multiple=True, help="To whom it goes. May be given several times.", metavar="ADDRESS"
)
@click.option("--now", "at", help="Take this as the time: 2026-11-22T10:00:00Z.", metavar="TIME")
@setting_options("policy.organizer_domains", "base_url", "state_dir")
def rewrite(
    message: BinaryIO,
    explain: bool,
    recipients: tuple[str, ...],
    at: str | None,
    config_file: Path | None,
    **given: Any,
) -> None:
    """Show what a door would do with a message from its organizer: FILE (or standard input) in, the message out.

    To a conference address alone nothing goes on, so nothing comes out. The store is a throw-away one unless --config or
    --state names one. Exit code 75 when the message would be deferred.
    """
    with failures(), tempfile.TemporaryDirectory(prefix="notes2conf-") as folder:
        settings = _rewrite_settings(config_file, given, Path(folder))
        logging.basicConfig(level="ERROR", format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
        clock = _clock(at)
        octets = message.read()
        named = config_file is not None or given["state_dir"] is not None
        outcome, mails = asyncio.run(try_message(settings, octets, recipients, clock, write=not named))
        if outcome.verdict not in (Verdict.DEFER, Verdict.TAKE, Verdict.DROP):
            sys.stdout.buffer.write(apply(octets, outcome.edits))
            sys.stdout.buffer.flush()
        if explain:
            click.echo(json.dumps(explanation(outcome, mails)), err=True)
        if outcome.verdict is Verdict.DEFER:
            raise SystemExit(EX_TEMPFAIL)


def _rewrite_settings(config_file: Path | None, given: dict[str, Any], folder: Path) -> Settings:
    named = config_file is not None or given["state_dir"] is not None
    if not named:
        keys = {"keys.mail": str(folder / MAIL_KEY_NAME), "keys.epoch": str(folder / EPOCH_NAME)}
        given = {**given, **keys, "state_dir": str(folder)}  # not those that /etc/notes2conf/notes2conf.toml names
    settings = read_settings(config_file, given)
    if given["state_dir"] is not None:
        daemon.make_folder(settings.state_dir)
        if not any(path.exists() for path in (settings.keys_mail, settings.keys_epoch, settings.database)):
            new_keys(settings.state_dir, daemon.now())
            if named:
                click.echo(f"notes2conf-milter: made new keys in {settings.state_dir}", err=True)
    return settings if settings.base_url else replace(settings, base_url=DEFAULT_BASE_URL)


def _clock(at: str | None) -> Callable[[], int]:
    if at is None:
        return daemon.now
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise ConfigError("--now", "", "not a time; allowed is ISO 8601, as 2026-11-22T10:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return lambda: int(moment.timestamp())
