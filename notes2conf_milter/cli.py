"""The command line: arguments in, exit codes out.

How it fails, as exit codes: 0 done; 75 (EX_TEMPFAIL) cannot now, try again; 78 (EX_CONFIG) set up wrong, with the file,
the key and what is allowed on standard error; 2 wrong usage. `tls check` ends as monitors expect: 0 good, 1 warning,
2 critical, 3 unknown.
"""

import asyncio
import errno
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from notes2conf_milter import checkup, daemon, demo
from notes2conf_milter import readers as kind
from notes2conf_milter.address import InetAddress, host_port
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
from notes2conf_milter.tlscheck.findings import status
from notes2conf_milter.tlscheck.judge import judge
from notes2conf_milter.tlscheck.names import domain as domain_name
from notes2conf_milter.tlscheck.report import as_json, verdict
from notes2conf_milter.tlscheck.transcript import LANGUAGES, Line, text
from notes2conf_milter.tlsreport import logs as tls_logs
from notes2conf_milter.tlsreport import page as tls_page
from notes2conf_milter.tlsreport.records import count
from notes2conf_milter.tlsreport.records import read as read_records
from notes2conf_milter.trial import explanation, try_message

EX_TEMPFAIL = 75
EX_CONFIG = 78
EX_INTERRUPTED = 130
_CA_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
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
    "tls.exempt_networks": "CIDR",
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
    "tls.exempt_networks",
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


@main.command(short_help="Run the mail service: the doors.")
@setting_options(*_MAIL_KEYS)
def mail(config_file: Path | None, **given: Any) -> None:
    """Run the mail service: the milter door, the SMTP door and the conference address."""
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


@main.command(short_help="Run the waiting room.")
@setting_options(*_WEB_KEYS)
def web(config_file: Path | None, **given: Any) -> None:
    """Run the waiting room: the pages behind join and start links."""
    with failures():
        settings = read_settings(config_file, given)
        set_up_logging(settings.log_level)
        daemon.run(daemon.run_web(settings))


@main.command(name="purge", short_help="Delete every meeting that is over.")
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


@main.command(name="demo", short_help="Show the whole way on loopback, until Ctrl-C.")
def demo_command() -> None:
    """Start everything on loopback, send a Notes invitation through the door, show what happened; Ctrl-C ends it."""
    with failures():
        set_up_logging("warning")
        daemon.run(demo.run())


@main.group()
def key() -> None:
    """The keys that seal the store."""


@key.command(short_help="Make the mail key and the epoch secret.")
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


@config.command(name="check", short_help="Say what is wrong, and what can be seen of Postfix.")
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


@main.group()
def tls() -> None:
    """The encryption of mail."""


@tls.command(name="report")
@click.option(
    "--since", "since_text", default="7d", show_default=True, help="A span (12h, 7d, 4w) or a date.", metavar="WHEN"
)
@click.option("--file", "file", type=click.Path(path_type=Path, dir_okay=False), help="A log file, not the journal.")
@click.option("--unit", default=tls_logs.UNIT, show_default=True, help="The unit in the journal.")
@click.option("--json", "wants_json", is_flag=True, help="One JSON object.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to be handed on.", metavar="FILE"
)
@click.option("--language", type=click.Choice(tls_page.LANGUAGES), default="en", show_default=True)
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="Settings file, for its rules."
)
def tls_report(
    since_text: str,
    file: Path | None,
    unit: str,
    wants_json: bool,
    html: Path | None,
    language: str,
    config_file: Path | None,
) -> None:
    """Count how messages came, from the journal or a log file: by protocol, cipher and peer, and what was refused."""
    with failures():
        now = time.time()
        try:
            start = tls_logs.since(since_text, now)
        except ValueError as error:
            raise ConfigError("--since", "", f"not a time; {error}") from None
        rules = tuple(rule.text for rule in load(config_file).tls.rules)
        lines = tls_logs.journal_lines(unit, start) if file is None else tls_logs.file_lines(file)
        try:
            counted = count(read_records(lines, start, now))
        except tls_logs.LogError as error:
            click.echo(f"notes2conf-milter: {error}", err=True)
            raise SystemExit(EX_TEMPFAIL) from None
        about = tls_page.About(now, str(file) if file is not None else f"journal, {unit}", rules)
        if html is not None:
            html.write_text(tls_page.as_html(counted, about, language), "utf-8")
        if wants_json:
            click.echo(tls_page.as_json(counted, about))
        elif html is None:
            click.echo(tls_page.as_text(counted, about, language))
        else:
            click.echo(f"wrote {html}: {counted.whole.messages} messages")


@main.command(short_help="Show what a door would do with a message.")
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


def _domain(_: click.Context, __: click.Parameter, value: str) -> str:
    try:
        return domain_name(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _resolver(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, int] | None:
    if value is None:
        return None
    try:
        address = host_port(value)
        return str(ip_address(address.host)), address.port
    except ValueError:
        raise click.BadParameter("a resolver is IP-ADDRESS:PORT, an IPv6 address in brackets") from None


@tls.command(name="check")
@click.argument("domain", callback=_domain)
@click.option("--language", type=click.Choice(LANGUAGES), default="en", help="Of transcript and verdict.")
@click.option("--json", "wants_json", is_flag=True, help="One JSON object; the transcript goes to standard error.")
@click.option("--quiet", is_flag=True, help="No transcript while it runs, the verdict alone.")
@click.option("--resolver", callback=_resolver, metavar="IP:PORT", help="Ask this DNS resolver, not the system's.")
@click.option("--port", type=click.IntRange(1, 65535), default=25, help="Of the mail hosts.")
@click.option("--ca", type=_CA_FILE, metavar="FILE", help="Trust the authorities in this PEM file, not the system's.")
@click.option("--timeout", "seconds", type=click.FloatRange(1, 3600), default=120, help="Seconds for the whole check.")
def tls_check(domain: str, language: str, wants_json: bool, quiet: bool, **given: Any) -> None:
    """Show how mail to DOMAIN is encrypted: what its mail hosts say up to MAIL FROM, certificates, DANE, MTA-STS, TLSRPT.

    No mail is sent. Exit code: 0 good, 1 warning, 2 critical (or wrong usage), 3 not known.
    """
    # Here, so that no service loads a DNS client.
    from notes2conf_milter.tlscheck import check as tlscheck
    from notes2conf_milter.tlscheck.anchors import NoAuthorities
    from notes2conf_milter.tlscheck.resolver import ResolverMissing

    lines: list[Line] = []

    def told(line: Line) -> None:
        lines.append(line)
        if not quiet:
            click.echo(text(line, language), err=wants_json)

    with failures():
        try:
            found = asyncio.run(tlscheck.check(domain, tlscheck.Options(**given), told))
        except (NoAuthorities, ResolverMissing) as error:
            raise ConfigError("tls check", "", str(error)) from None
        except KeyboardInterrupt:
            raise SystemExit(EX_INTERRUPTED) from None  # not 1, which would be a warning
    now = datetime.now(UTC)
    findings = judge(found, now)
    if wants_json:
        click.echo(json.dumps(as_json(found, findings, lines, language, now), ensure_ascii=False, indent=1))
    else:
        click.echo(("" if quiet else "\n") + verdict(found, findings, language))
    raise SystemExit(int(status(findings)))
