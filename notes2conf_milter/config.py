"""Settings: read from a TOML file and from command-line options, checked before anything starts.

In:  a file, and options that win over it; what each may be stands in settings.py. Out: a frozen `Settings`.
Fails: `ConfigError` with the file (or option), the key and what is allowed. A key that is not in the table is an error, too.
"""

import difflib
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notes2conf_milter import readers as kind
from notes2conf_milter.address import InetAddress, UnixAddress
from notes2conf_milter.core.conferences import KNOWN, Conferences
from notes2conf_milter.core.encryption import TlsRules
from notes2conf_milter.core.meeting import Admission
from notes2conf_milter.core.policy import PolicySettings, Trigger
from notes2conf_milter.core.repairs import Mode, Repairs
from notes2conf_milter.core.signing import Algorithm, SigningSettings
from notes2conf_milter.core.tlsrecord import TlsLog
from notes2conf_milter.core.wording import WORDINGS, Wording, forms
from notes2conf_milter.dkim.keys import KeyFile, KeyFileError, SigningKey, load_key
from notes2conf_milter.services.offered import Offer, OfferError, offered
from notes2conf_milter.services.service import Service
from notes2conf_milter.settings import SETTINGS
from notes2conf_milter.smtp.crowd import Bounds
from notes2conf_milter.smtp.incoming import Strays
from notes2conf_milter.smtp.onward import Level, local
from notes2conf_milter.store.keys import EPOCH_NAME, MAIL_KEY_NAME
from notes2conf_milter.templates import FolderError, read_templates

DEFAULT_FILE = Path("/etc/notes2conf/notes2conf.toml")
DATABASE_NAME = "meetings.sqlite3"
LARGEST_LOGO = 200_000  # octets; each visitor loads it once


class ConfigError(Exception):
    """Set up wrong: the text names the file or option, the key and what is allowed. The command ends with exit code 78."""

    def __init__(self, source: str, key: str, problem: str) -> None:
        super().__init__(f"{source}: {key}: {problem}" if key else f"{source}: {problem}")


_BY_KEY = {setting.key: setting for setting in SETTINGS}
_SECTIONS = {setting.key.partition(".")[0] for setting in SETTINGS if "." in setting.key}


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, read and checked. Field names are the keys with `_` for `.`; None is a setting that is not set."""

    base_url: str | None
    language: str
    text_templates: Path | None
    templates: Mapping[str, Wording]
    attendee_links: bool
    state_dir: Path
    keys_mail: Path
    keys_epoch: Path
    policy: PolicySettings
    repairs: Repairs
    milter_listen: tuple[UnixAddress | InetAddress, ...]
    milter_socket_mode: int | None
    smtp_listen: InetAddress | None
    smtp_next_hop: InetAddress | None
    smtp_lmtp: bool
    smtp_next_hop_lmtp: bool
    smtp_next_hop_tls: Level
    smtp_next_hop_name: str
    smtp_next_hop_ca: Path | None
    smtp_next_hop_resolver: InetAddress | None
    smtp_peers: tuple[kind.Network, ...]
    smtp_xforward_peers: tuple[kind.Network, ...]
    smtp_proxy_peers: tuple[kind.Network, ...]
    smtp_tls_certificate: Path | None
    smtp_tls_key: Path | None
    smtp_bare_newlines: Strays
    smtp_client_ca: Path | None
    smtp_listen_tls: InetAddress | None
    smtp_hostname: str
    conference_listen: UnixAddress | InetAddress | None
    conference_reply: bool
    start_mail_relay: InetAddress
    start_mail_from: str | None
    dkim_keys: tuple[KeyFile, ...]
    dkim_later_signer: bool
    dkim_remove_broken: bool
    dkim_hosted: str
    dkim_resolver: InetAddress | None
    defer_without_store: bool
    retention_grace_seconds: int
    retention_open_series_days: int
    tls: TlsRules
    tls_filters_enforce: bool
    tls_mark_links: bool
    tls_log: TlsLog
    limits_message_octets: int
    limits_meetings_per_hour: int
    limits_processing_seconds: int
    limits_idle_seconds: int
    smtp_bounds: Bounds
    web_listen: InetAddress
    services: Offer
    services_pass_names: bool
    web_tls_certificate: Path | None
    web_tls_key: Path | None
    web_trusted_proxies: tuple[kind.Network, ...]
    web_guests_per_network: int
    web_admission: Admission
    web_house: str
    web_contact: str
    web_imprint_url: str
    web_accent: str
    web_logo: Path | None
    log_level: str
    source: str

    @property
    def wordings(self) -> dict[str, Wording]:
        """What is put into invitations, by language: the templates, and what is built in where there is none."""
        return WORDINGS | dict(self.templates)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.state_dir / DATABASE_NAME

    def need(self, key: str, present: object, command: str) -> None:
        """Raise ConfigError unless `present` is set: `command` cannot do without the setting `key`."""
        if not present:
            option = _BY_KEY[key].option
            raise ConfigError(
                self.source, key, f"{command} needs it" + (f"; set it there or give {option}" if option else "")
            )

    def offered(self) -> tuple[Service, ...]:
        """Return the conference services, set up; raises ConfigError."""
        try:
            return offered(self.services)
        except OfferError as error:
            raise ConfigError(self.source, error.key, str(error)) from None

    def signing_keys(self) -> tuple[SigningKey, ...]:
        """Return the DKIM keys; raises ConfigError."""
        try:
            keys = tuple(map(load_key, self.dkim_keys))
        except KeyFileError as error:
            raise ConfigError(self.source, "dkim.keys", str(error)) from None
        sealing = {key.name.domain for key in keys if key.name.algorithm is Algorithm.RSA}
        if self.dkim_hosted and self.dkim_hosted not in sealing:  # RFC 8617 knows no Ed25519
            raise ConfigError(
                self.source, "dkim.hosted", "has no RSA key in dkim.keys; allowed is a domain that has one"
            )
        return keys

    def signing(self, keys: tuple[SigningKey, ...]) -> SigningSettings:
        """Return what is to be signed with these keys."""
        names = tuple(key.name for key in keys)
        return SigningSettings(names, self.dkim_later_signer, self.dkim_remove_broken, self.dkim_hosted)

    def check_logo(self) -> None:
        """Raise ConfigError when the logo cannot be read, or is too large."""
        if self.web_logo is None:
            return
        try:
            size = len(self.web_logo.read_bytes())
        except OSError as error:
            raise ConfigError(self.source, "web.logo", f"{self.web_logo} cannot be read ({error.strerror})") from None
        if size > LARGEST_LOGO:
            problem = f"{self.web_logo} has {size} octets; allowed are {LARGEST_LOGO}"
            raise ConfigError(self.source, "web.logo", problem)


def load(path: Path | None, options: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings of a file with `options` (key to TOML value) on top.

    path: None means /etc/notes2conf/notes2conf.toml where that is a file, else the defaults alone. Raises ConfigError.
    """
    if path is None and DEFAULT_FILE.is_file():
        path = DEFAULT_FILE
    found = {} if path is None else _flat(_read_file(path), str(path))
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        option = (options or {}).get(setting.key)
        source = setting.option if option is not None else str(path)
        try:
            values[setting.key] = setting.read(
                option if option is not None else found.get(setting.key, setting.default)
            )
        except ValueError as error:
            raise ConfigError(source, setting.key, f"not allowed as it stands; allowed is {error}") from None
    settings = _settings(values, "the command line" if path is None else str(path))
    if settings.language not in settings.wordings:
        allowed = ", ".join(f'"{language}"' for language in sorted(settings.wordings))
        raise ConfigError(settings.source, "language", f"not allowed as it stands; allowed is one of {allowed}")
    return settings


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "", f"is not TOML: {error}") from None


def _flat(table: dict[str, Any], source: str) -> dict[str, Any]:
    """Return {"section.key": value}; raises ConfigError for a key that no setting has, with the nearest that one has."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        section = isinstance(value, dict) and (value or name in _SECTIONS)  # an empty one may be misspelt, too
        flat |= {f"{name}.{key}": inner for key, inner in value.items()} if section else {name: value}
    for key in flat:
        if key not in _BY_KEY:
            raise ConfigError(source, key, "no such setting" + _hint(key))
    return flat


def _hint(key: str) -> str:
    """Return what may have been meant by a key that no setting has, as the end of a sentence."""
    by_name: dict[str, list[str]] = {}
    for known in _BY_KEY:
        by_name.setdefault(known.rpartition(".")[2], []).append(known)
    # First by the name alone: a line at the end of a file belongs to whichever section comes last there.
    alike = difflib.get_close_matches(key.rpartition(".")[2], by_name, 1, 0.8)
    near = (
        difflib.get_close_matches(key, by_name[alike[0]], 1, 0) if alike else difflib.get_close_matches(key, _BY_KEY, 1)
    )
    if not near:
        return f"; known are {', '.join(_BY_KEY)}"
    return f"; did you mean {near[0]}?" + (
        " It stands before the first [section]." if "." in key and "." not in near[0] else ""
    )


def _check_next_hop(values: dict[str, Any], source: str) -> None:
    if values["smtp.next_hop_protocol"] == "lmtp":
        if values["smtp.protocol"] != "lmtp":
            why = "LMTP behind SMTP could refuse a message for some recipients alone, and SMTP has no answer for that"
            raise ConfigError(source, "smtp.protocol", f'{why}; allowed with smtp.next_hop_protocol = "lmtp" is "lmtp"')
        if values["start_mail.relay"] in (None, values["smtp.next_hop"]):
            raise ConfigError(
                source, "start_mail.relay", "start mails need an SMTP listener; smtp.next_hop speaks LMTP"
            )
    next_hop = values["smtp.next_hop"]
    for key in ("smtp.listen", "smtp.listen_tls"):
        if next_hop is not None and values[key] is not None and _reaches(next_hop, values[key]):
            raise ConfigError(source, "smtp.next_hop", f"is {key} itself: mail would never leave")


def _reaches(address: InetAddress, listen: InetAddress) -> bool:
    """Say whether who calls an address certainly reaches what listens there."""
    if address.port != listen.port or not address.port:
        return False
    everywhere = local(address) and listen.host == ("::" if ":" in address.host else "0.0.0.0")
    named = local(address) and local(listen) and "localhost" in (address.host, listen.host)
    return address.host == listen.host or everywhere or named


def _level(word: str | None, next_hop: InetAddress | None) -> Level:
    if word is not None:
        return Level(word)
    return Level.NONE if next_hop is None or local(next_hop) else Level.MAY


def _settings(values: dict[str, Any], source: str) -> Settings:
    state: Path = values["state_dir"]
    relay = values["start_mail.relay"] or values["smtp.next_hop"] or InetAddress("127.0.0.1", 10026)
    if values["smtp.listen"] is not None and values["smtp.next_hop"] is None:
        raise ConfigError(source, "smtp.next_hop", "the SMTP door (smtp.listen) needs it; give HOST:PORT or --next-hop")
    _check_next_hop(values, source)
    if values["conference.listen"] is not None and not values["conference.addresses"]:
        raise ConfigError(
            source, "conference.addresses", 'conference.listen needs at least one, as ["meet@conf.example.org"]'
        )
    for place in ("web", "smtp"):
        certificate, key = f"{place}.tls_certificate", f"{place}.tls_key"
        if (values[certificate] is None) != (values[key] is None):
            missing = key if values[key] is None else certificate
            raise ConfigError(source, missing, f"{certificate} and {key} belong together; allowed are both, or none")
    if values["smtp.client_ca"] is not None and values["smtp.tls_certificate"] is None:
        raise ConfigError(source, "smtp.tls_certificate", "smtp.client_ca needs it")
    if values["smtp.listen_tls"] is not None:
        for key in ("smtp.tls_certificate", "smtp.listen"):
            if values[key] is None:
                raise ConfigError(source, key, "smtp.listen_tls needs it")
    if values["policy.keyword"].lower() == values["policy.opt_out_keyword"].lower():
        raise ConfigError(
            source, "policy.opt_out_keyword", "is the same word as policy.keyword; allowed is another one"
        )
    _check_dkim(values, source)
    policy = _policy(values)
    return Settings(
        base_url=values["base_url"],
        language=values["language"],
        text_templates=values["text.templates"],
        templates=_templates(values["text.templates"], policy, source),
        attendee_links=values["links"] == "attendee",
        state_dir=state,
        keys_mail=values["keys.mail"] or state / MAIL_KEY_NAME,
        keys_epoch=values["keys.epoch"] or state / EPOCH_NAME,
        policy=policy,
        repairs=Repairs(Mode(values["repairs.multipart_related"]), Mode(values["repairs.rdate"])),
        milter_listen=values["milter.listen"],
        milter_socket_mode=values["milter.socket_mode"],
        smtp_listen=values["smtp.listen"],
        smtp_next_hop=values["smtp.next_hop"],
        smtp_lmtp=values["smtp.protocol"] == "lmtp",
        smtp_next_hop_lmtp=values["smtp.next_hop_protocol"] == "lmtp",
        smtp_next_hop_tls=_level(values["smtp.next_hop_tls"], values["smtp.next_hop"]),
        smtp_next_hop_name=values["smtp.next_hop_name"],
        smtp_next_hop_ca=values["smtp.next_hop_ca"],
        smtp_next_hop_resolver=values["smtp.next_hop_resolver"],
        smtp_peers=values["smtp.peers"],
        smtp_xforward_peers=values["smtp.xforward_peers"],
        smtp_proxy_peers=values["smtp.proxy_peers"],
        smtp_tls_certificate=values["smtp.tls_certificate"],
        smtp_tls_key=values["smtp.tls_key"],
        smtp_bare_newlines=Strays(values["smtp.bare_newlines"]),
        smtp_client_ca=values["smtp.client_ca"],
        smtp_listen_tls=values["smtp.listen_tls"],
        smtp_hostname=values["smtp.hostname"] or _own_name(),
        conference_listen=values["conference.listen"],
        conference_reply=values["conference.reply"],
        start_mail_relay=relay,
        start_mail_from=values["start_mail.from"],
        dkim_keys=values["dkim.keys"],
        dkim_later_signer=values["dkim.later_signer"],
        dkim_remove_broken=values["dkim.remove_broken"],
        dkim_hosted=values["dkim.hosted"] or "",
        dkim_resolver=values["dkim.resolver"],
        defer_without_store=values["policy.without_store"] == "defer",
        retention_grace_seconds=values["retention.grace_seconds"],
        retention_open_series_days=values["retention.open_series_days"],
        tls=TlsRules(values["tls.rules"], values["tls.refusal"] == "temporary"),
        tls_filters_enforce=values["tls.filters_enforce"],
        tls_mark_links=values["tls.mark_links"],
        tls_log=TlsLog(values["tls.log"]),
        limits_message_octets=values["limits.message_octets"],
        limits_meetings_per_hour=values["limits.meetings_per_hour"],
        limits_processing_seconds=values["limits.processing_seconds"],
        limits_idle_seconds=values["limits.idle_seconds"],
        smtp_bounds=Bounds(
            connections=values["limits.connections"],
            per_network=values["limits.connections_per_network"],
            recipients=values["limits.recipients"],
            vain=values["limits.bad_commands"],
            data=values["limits.data_seconds"],
            memory=values["limits.memory_octets"],
        ),
        web_listen=values["web.listen"],
        services=_offer(values, source),
        services_pass_names=values["services.pass_names"],
        web_tls_certificate=values["web.tls_certificate"],
        web_tls_key=values["web.tls_key"],
        web_trusted_proxies=values["web.trusted_proxies"],
        web_guests_per_network=values["web.guests_per_network"],
        web_admission=Admission(values["web.admission"]),
        web_house=values["web.house"].strip(),
        web_contact=values["web.contact"].strip(),
        web_imprint_url=values["web.imprint_url"] or "",
        web_accent=values["web.accent"] or "",
        web_logo=values["web.logo"],
        log_level=values["log.level"],
        source=source,
    )


def _check_dkim(values: dict[str, Any], source: str) -> None:
    keys: tuple[KeyFile, ...] = values["dkim.keys"]
    if len({(key.domain, key.selector) for key in keys}) != len(keys):
        problem = "two keys have the same domain and selector; allowed are keys that differ in one of them"
        raise ConfigError(source, "dkim.keys", problem)
    if keys and values["dkim.later_signer"]:
        raise ConfigError(source, "dkim.later_signer", "is true, and there are dkim.keys; allowed is one of the two")
    if values["dkim.remove_broken"] and not values["dkim.later_signer"]:
        problem = "is true without dkim.later_signer; allowed is true only where a later signer signs anew"
        raise ConfigError(source, "dkim.remove_broken", problem)


def _templates(folder: Path | None, policy: PolicySettings, source: str) -> dict[str, Wording]:
    if folder is None:
        return {}
    try:
        found = read_templates(folder)
    except FolderError as error:
        if error.file is None:
            raise ConfigError(source, "text.templates", error.problem) from None
        raise ConfigError(str(error.file), error.key, error.problem) from None
    for language, wording in found.items():
        for key, form in forms(wording):
            file = str(folder / f"{language}.toml")
            if policy.trigger is Trigger.KEYWORD and policy.keyword_found.search(form):
                raise ConfigError(
                    file, key, "holds policy.keyword, which would be taken out again; allowed is no keyword"
                )
            if policy.conferences.found(form):
                raise ConfigError(file, key, "holds a link to another conference service; allowed is {link} alone")
    return found


def _offer(values: dict[str, Any], source: str) -> Offer:
    names = [one.name for one in values["services.rooms"]]
    if len(names) != len(set(names)):
        raise ConfigError(
            source, "services.rooms", "two titles are alike; allowed are titles that differ in letters a to z or digits"
        )
    return Offer(
        values["services.offered"],
        values["services.jitsi_url"] or "",
        values["services.jitsi_app_id"].strip(),
        values["services.jitsi_secret"],
        values["services.bigbluebutton_url"] or "",
        values["services.bigbluebutton_secret"],
        values["services.rooms"],
        values["services.personal_rooms"],
        values["services.link_hosts"],
    )


def _own_name() -> str:
    """Return this host's name, if it is one that can be said in SMTP (RFC 5321 §2.3.5)."""
    try:
        return kind.host_name(socket.gethostname()) or "localhost"
    except ValueError:
        return "localhost"


def _policy(values: dict[str, Any]) -> PolicySettings:
    servers = (values["services.jitsi_url"], values["services.bigbluebutton_url"])
    own = (
        *(url.partition("://")[2].rstrip("/") + "/" for url in servers if url),
        *(one.place for one in values["services.rooms"]),
    )
    return PolicySettings(
        organizer_domains=frozenset(values["policy.organizer_domains"]),
        allowed_networks=values["policy.allowed_networks"],
        allow_authenticated=values["policy.allow_authenticated"],
        sender_from=values["policy.sender"] == "from",
        trigger=Trigger(values["policy.trigger"]),
        keyword=values["policy.keyword"],
        opt_out=values["policy.opt_out_keyword"],
        conferences=Conferences((*KNOWN, *values["policy.known_conferences"], *own)),
        conference_addresses=frozenset(address.lower() for address in values["conference.addresses"]),
        internal_domains=frozenset(values["conference.internal_domains"]),
        most_attendees=values["limits.attendees"],
        tell_organizer=values["policy.tell_organizer"],
        needs_tls=True,
        exempt_networks=values["tls.exempt_networks"],
        house_networks=values["policy.house_networks"],
    )
