"""`config check`: what can be seen to be wrong before mail flows.

In:  settings. Out: findings, each an error (the services would not start or would do nothing), a warning, or a note.
Touches: the key files, the state folder, and `postconf` and `postmap` where Postfix is installed. Writes nothing.
Fails: never; what cannot be looked at is a finding.
"""

import os
import pwd
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID

from notes2conf_milter import postconf
from notes2conf_milter.address import InetAddress, UnixAddress
from notes2conf_milter.certificate import CertificateError
from notes2conf_milter.config import ConfigError, Settings
from notes2conf_milter.core.encryption import Mode, Rule
from notes2conf_milter.core.signing import Algorithm
from notes2conf_milter.daemon import load_certificate, load_next_hop, load_smtp_certificate, load_start_mail_relay
from notes2conf_milter.onwardcheck import heeds_the_mark, look
from notes2conf_milter.smtp.onward import Level, local
from notes2conf_milter.store import EpochFile, StoreSetupError, load_mail_key

POSTCONF_SECONDS = 10
SERVICES = ("mail", "web", "purge")
USER = "notes2conf-{}"  # systemd/notes2conf.sysusers
_VOUCHED = (Level.VERIFY, Level.DANE, Level.DANE_ONLY)
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


class Weight(Enum):
    """How much a finding matters."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen, in a sentence that says what to do."""

    weight: Weight
    text: str


def check(settings: Settings) -> list[Finding]:
    """Return what is to be said about the settings; no finding of weight ERROR means that the services can start."""
    postfix = postconf.read()
    return [
        *_needed(settings),
        *_keys(settings),
        *_unreadable(settings),
        *_dkim(settings),
        *_advice(settings),
        *_languages(settings),
        *_sockets(settings),
        *_doors(settings),
        *_next_hop(settings),
        *_encryption(settings),
        *_postfix(),
        *_bare_newlines(settings, postfix),
        *_onward(settings, postfix),
    ]


def _needed(settings: Settings) -> list[Finding]:
    found = []
    if settings.base_url is None:
        found.append(Finding(Weight.ERROR, "base_url is not set: no link could be built"))
    if not settings.policy.organizer_domains:
        found.append(Finding(Weight.ERROR, "policy.organizer_domains is empty: no invitation would get a link"))
    if not settings.milter_listen and settings.smtp_listen is None and settings.conference_listen is None:
        found.append(Finding(Weight.ERROR, "no door: set milter.listen, smtp.listen or conference.listen"))
    try:
        settings.offered()
    except ConfigError as error:
        found.append(Finding(Weight.ERROR, str(error)))
    try:
        settings.check_logo()
    except ConfigError as error:
        found.append(Finding(Weight.ERROR, str(error)))
    found += _certificate(settings)
    if not settings.policy.allowed_networks and not settings.policy.allow_authenticated:
        found.append(
            Finding(
                Weight.ERROR,
                "policy.allowed_networks is empty and policy.allow_authenticated false: no client is allowed",
            )
        )
    return found


def _certificate(settings: Settings) -> list[Finding]:
    found = []
    for load, path in (
        (load_certificate, settings.web_tls_certificate),
        (load_smtp_certificate, settings.smtp_tls_certificate),
    ):
        try:
            certificate = load(settings)
            if certificate is not None and certificate.over(int(time.time())):
                found.append(Finding(Weight.ERROR, f"{path}: the certificate is over"))
        except (ConfigError, CertificateError) as error:
            found.append(Finding(Weight.ERROR, str(error)))
    return found


def _keys(settings: Settings) -> list[Finding]:
    found = []
    for path, check_key in (
        (settings.keys_mail, lambda: load_mail_key(settings.keys_mail)),
        (settings.keys_epoch, EpochFile(settings.keys_epoch).check),
    ):
        try:
            check_key()
        except StoreSetupError as error:
            hint = " (make keys with: notes2conf-milter key new)" if _missing(path) else ""
            found.append(Finding(Weight.ERROR, f"{error}{hint}"))
    if settings.state_dir.is_dir() and settings.state_dir.stat().st_mode & 0o007:
        found.append(Finding(Weight.WARNING, f"{settings.state_dir}: open to every user of this machine; chmod o= it"))
    return found


def _unreadable(settings: Settings) -> list[Finding]:
    """Say which files root can read here and the users of the services could not; of other users root alone can tell."""
    if os.geteuid() != 0:
        return []
    every = {"the settings file": Path(settings.source), "keys.epoch": settings.keys_epoch}
    every |= {"text.templates": settings.text_templates} if settings.text_templates is not None else {}
    of_web = {
        "web.tls_certificate": settings.web_tls_certificate,
        "web.tls_key": settings.web_tls_key,
        "web.logo": settings.web_logo,
        "services.jitsi_secret": settings.services.jitsi_secret,
        "services.bigbluebutton_secret": settings.services.bigbluebutton_secret,
        "services.personal_rooms": settings.services.personal_rooms,
    }
    of_mail = {
        "smtp.tls_certificate": settings.smtp_tls_certificate,
        "smtp.tls_key": settings.smtp_tls_key,
        "smtp.client_ca": settings.smtp_client_ca,
        "smtp.next_hop_ca": settings.smtp_next_hop_ca,
    }
    own = {"web": of_web, "mail": of_mail}
    closed: dict[tuple[str, Path], list[str]] = {}
    for service in SERVICES:
        try:
            user = pwd.getpwnam(USER.format(service))
        except KeyError:
            continue  # the services run as somebody else here
        groups = os.getgrouplist(user.pw_name, user.pw_gid)
        for key, path in (every | own.get(service, {})).items():
            if path is not None and path.exists() and not may_read(path, user.pw_uid, groups):
                closed.setdefault((key, path), []).append(user.pw_name)
    return [
        Finding(Weight.WARNING, f"{key} {path}: cannot be read by {', '.join(users)}")
        for (key, path), users in closed.items()
    ]


def may_read(path: Path, uid: int, groups: list[int]) -> bool:
    """Say whether a user may read a file, or list a folder, by modes and owners; True where an ACL decides.

    uid: not root's. groups: the ids of all the user's groups. Raises OSError.
    """
    real = path.resolve(strict=True)
    wanted = stat.S_IROTH | (stat.S_IXOTH if real.is_dir() else 0)
    # A link is followed where it leads, but the folders that it stands in are gone through as well.
    folders = dict.fromkeys((*path.absolute().parents, *real.parents))
    return all(_lets(folder, stat.S_IXOTH, uid, groups) for folder in folders) and _lets(real, wanted, uid, groups)


def _lets(path: Path, wanted: int, uid: int, groups: list[int]) -> bool:
    """Say whether the mode of a path grants `wanted` (bits for others) to a user: the first class that fits decides."""
    found = path.stat()
    shift = 6 if found.st_uid == uid else 3 if found.st_gid in groups else 0
    return found.st_mode >> shift & wanted == wanted or _has_acl(path)


def _has_acl(path: Path) -> bool:
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:  # a file system without
        return False


def _missing(path: Path) -> bool:
    try:
        return not path.exists()
    except PermissionError:  # a folder on the way is closed to us
        return False


def _dkim(settings: Settings) -> list[Finding]:
    if settings.dkim_later_signer:
        return []
    if not settings.dkim_keys:
        text = "dkim.keys is empty: nothing is signed, and an invitation that was signed (DKIM) before gets no link"
        return [Finding(Weight.NOTE, text + "; make keys with: notes2conf-milter dkim new DOMAIN")]
    try:
        keys = settings.signing_keys()
    except ConfigError as error:
        return [Finding(Weight.ERROR, str(error))]
    found, signing = [], settings.signing(keys)
    without = [one for one in sorted(settings.policy.organizer_domains) if not signing.keys_for(one.removeprefix("."))]
    if without and not settings.dkim_hosted:
        text = f"dkim.keys has none for {', '.join(without)}: what is rewritten there is not signed"
        found.append(Finding(Weight.WARNING, text))
    lone = {key.name.domain for key in keys} - {key.name.domain for key in keys if key.name.algorithm is Algorithm.RSA}
    if lone:
        text = f"dkim.keys has no RSA key for {', '.join(sorted(lone))}: many receivers know no Ed25519, and see no signature"
        found.append(Finding(Weight.WARNING, text))
    return found


def _advice(settings: Settings) -> list[Finding]:
    found = []
    everybody = [str(net) for net in settings.policy.allowed_networks if net.prefixlen == 0]
    if everybody:
        text = f"policy.allowed_networks has {', '.join(everybody)}: whoever reaches this Postfix can send as an own organizer"
        found.append(Finding(Weight.WARNING, text))
    loopback = [str(net) for net in settings.policy.allowed_networks if net.prefixlen and _with_loopback(net)]
    if loopback:
        found.append(
            Finding(
                Weight.WARNING,
                f"policy.allowed_networks has {', '.join(loopback)}: what this machine re-injects counts as own mail",
            )
        )
    if any(net.prefixlen == 0 for net in settings.policy.house_networks):
        text = "policy.house_networks has everybody: what a server forwards for a stranger counts as the house's own"
        found.append(Finding(Weight.WARNING, text))
    if settings.policy.sender_from:
        found.append(
            Finding(
                Weight.WARNING,
                'policy.sender is "from": mail that a server forwards by itself has an allowed client and a forgeable From',
            )
        )
    if (settings.base_url or "").startswith("http://"):
        found.append(Finding(Weight.WARNING, "base_url is http://: good for a demonstration on this machine alone"))
    return found


def _languages(settings: Settings) -> list[Finding]:
    if settings.text_templates is None:
        return []
    own = ", ".join(sorted(settings.templates)) or "none"
    built_in = ", ".join(sorted(set(settings.wordings) - set(settings.templates))) or "none"
    text = f"text of invitations: {own} from {settings.text_templates}; built in: {built_in}"
    return [Finding(Weight.NOTE, text)]


def _sockets(settings: Settings) -> list[Finding]:
    listening = [("milter.listen", address, "milter") for address in settings.milter_listen]
    if settings.conference_listen is not None:
        listening.append(("conference.listen", settings.conference_listen, "LMTP"))
    found = []
    for key, address, protocol in listening:
        if isinstance(address, UnixAddress):
            folder = Path(address.path).parent
            if not folder.is_dir():
                found.append(Finding(Weight.ERROR, f"{key} {address}: the folder {folder} is not there"))
            elif not os.access(folder, os.W_OK | os.X_OK):
                found.append(Finding(Weight.WARNING, f"{key} {address}: {folder} is not writable for this user"))
        elif _public(address):
            text = f"{key} {address}: not loopback; anyone who reaches it can speak {protocol}"
            found.append(Finding(Weight.WARNING, text))
    if settings.smtp_listen is not None and _public(settings.smtp_listen):
        text = f"smtp.listen {settings.smtp_listen.netloc}: only smtp.peers are served there"
        if all(any(_within(one, net) for net in _LOOPBACK) for one in settings.smtp_peers):
            text += ", and these are on this machine: whoever else sends to it is refused there for good (554)"
            found.append(Finding(Weight.WARNING, text))
        else:
            found.append(Finding(Weight.NOTE, text))
    return found


def _doors(settings: Settings) -> list[Finding]:
    """Say which settings have no effect without another one."""
    found = []
    if settings.attendee_links and settings.smtp_listen is None:
        found.append(
            Finding(Weight.WARNING, 'links is "attendee", but there is no SMTP door: all get the meeting\'s link')
        )
    outside = [one for one in settings.smtp_xforward_peers if not any(_within(one, net) for net in settings.smtp_peers)]
    if outside:
        text = f"smtp.xforward_peers has {', '.join(map(str, outside))}, which smtp.peers does not serve"
        found.append(Finding(Weight.WARNING, text))
    if everybody := [str(one) for one in settings.smtp_peers if one.prefixlen == 0]:
        text = (
            f"smtp.peers has {', '.join(everybody)}: whoever reaches the SMTP door can send to anybody (an open relay)"
        )
        found.append(Finding(Weight.WARNING, text))
    found += _proxies(settings)
    if settings.policy.conference_addresses and settings.conference_listen is None:
        text = "conference.addresses without conference.listen: invited there alone, nobody gets a conference"
        found.append(Finding(Weight.NOTE, text))
    return found


def _proxies(settings: Settings) -> list[Finding]:
    proxies = settings.smtp_proxy_peers
    found = []
    if proxies and settings.smtp_listen is None:
        found.append(
            Finding(Weight.WARNING, "smtp.proxy_peers without smtp.listen: no other socket takes PROXY headers")
        )
    everybody = [str(one) for one in proxies if one.prefixlen == 0]
    if everybody:
        text = f"smtp.proxy_peers has {', '.join(everybody)}: whoever reaches smtp.listen can say who he is"
        found.append(Finding(Weight.WARNING, text))
    filters = [str(one) for one in settings.smtp_xforward_peers if any(_within(one, net) for net in proxies)]
    if filters and not everybody:
        text = (
            f"smtp.proxy_peers has {', '.join(filters)}, of smtp.xforward_peers: Postfix itself sends no PROXY header"
        )
        found.append(Finding(Weight.WARNING, text))
    return found


def _next_hop(settings: Settings) -> list[Finding]:
    """Say where mail may travel in clear, what can vouch for nobody, and which settings have no effect."""
    level, hop = settings.smtp_next_hop_tls, settings.smtp_next_hop
    ways = []
    if hop is not None:
        ways.append(("smtp.next_hop", hop, level, settings.smtp_next_hop_name))
    if settings.start_mail_relay != hop and not local(settings.start_mail_relay):
        ways.append(("start_mail.relay", settings.start_mail_relay, level, ""))
    found = []
    for key, address, wanted, name in ways:
        if wanted in (Level.NONE, Level.MAY) and not local(address):
            text = f'{key} {address.netloc}: not on this machine, and smtp.next_hop_tls is "{level.value}"'
            text += ': links may travel there in clear; set "encrypt", or better "verify" or "dane"'
            found.append(Finding(Weight.WARNING, text))
        elif wanted in _VOUCHED and not name and _is_address(address.host):
            remedy = "set smtp.next_hop_name" if key == "smtp.next_hop" else "write the name of the host"
            text = f'{key} {address.netloc}: smtp.next_hop_tls is "{wanted.value}", which is for names, seldom for addresses'
            found.append(Finding(Weight.WARNING, f"{text}; {remedy}"))
    return found + _authorities(settings) + _resolver(settings) + _lmtp(settings)


def _authorities(settings: Settings) -> list[Finding]:
    path, level = settings.smtp_next_hop_ca, settings.smtp_next_hop_tls
    try:
        load_next_hop(settings)
        load_start_mail_relay(settings)
    except ConfigError as error:
        return [Finding(Weight.ERROR, str(error))]
    if path is None:
        return []
    if level is not Level.VERIFY:
        return [Finding(Weight.WARNING, f'smtp.next_hop_ca has no effect with smtp.next_hop_tls = "{level.value}"')]
    now = datetime.now(UTC)
    try:
        known = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):  # TLS reads it, so it is good for something
        return []
    if all(one.not_valid_after_utc < now for one in known):
        return [Finding(Weight.ERROR, f"smtp.next_hop_ca {path}: every certificate in it is over")]
    return []


def _resolver(settings: Settings) -> list[Finding]:
    level, resolver = settings.smtp_next_hop_tls, settings.smtp_next_hop_resolver
    if level not in (Level.DANE, Level.DANE_ONLY):
        if resolver is None:
            return []
        text = f'smtp.next_hop_resolver has no effect with smtp.next_hop_tls = "{level.value}"'
        return [Finding(Weight.WARNING, text)]
    from notes2conf_milter.tlscheck.resolver import Resolver, ResolverMissing  # no service needs it otherwise

    try:
        asked = Resolver(None if resolver is None else (resolver.host, resolver.port))
    except ResolverMissing:
        text = f'smtp.next_hop_tls is "{level.value}", and /etc/resolv.conf names no resolver: all mail would wait'
        return [Finding(Weight.ERROR, f"{text}; set smtp.next_hop_resolver")]
    if asked.near:
        return []
    text = f'smtp.next_hop_tls is "{level.value}", and the resolver {asked.where} is not on this machine'
    text += ": whoever is on the way to it can say that an answer is authentic; run one here that validates DNSSEC"
    return [Finding(Weight.WARNING, f"{text}, and set smtp.next_hop_resolver")]


def _lmtp(settings: Settings) -> list[Finding]:
    found = []
    for key, speaks, address in (
        ("smtp.protocol", settings.smtp_lmtp, settings.smtp_listen),
        ("smtp.next_hop_protocol", settings.smtp_next_hop_lmtp, settings.smtp_next_hop),
    ):
        if speaks and address is None:
            found.append(Finding(Weight.WARNING, f'{key} is "lmtp", but there is no SMTP door: set smtp.listen'))
        elif speaks and address is not None and address.port == 25:
            found.append(
                Finding(Weight.WARNING, f'{key} is "lmtp" at port 25, where everybody expects SMTP (RFC 2033 §5)')
            )
    if settings.smtp_lmtp and settings.smtp_listen is not None and not settings.smtp_xforward_peers:
        text = 'smtp.protocol is "lmtp" without smtp.xforward_peers: Postfix itself is the client of every message'
        found.append(Finding(Weight.WARNING, f"{text}; name it there, and set lmtp_send_xforward_command = yes"))
    return found


def _encryption(settings: Settings) -> list[Finding]:
    found = []
    if any(rule.who == "*" and rule.mode is Mode.REQUIRE for rule in settings.tls.rules):
        text = (
            'tls.rules has "* require": no listener that the whole world sends to may ask that of everybody (RFC 3207)'
        )
        found.append(Finding(Weight.WARNING, text))
    found += _certificates(settings)
    behind = [
        key
        for key, one in (
            ("smtp.xforward_peers", settings.smtp_xforward_peers),
            ("conference.listen", settings.conference_listen),
        )
        if one
    ]
    if behind and not settings.tls_filters_enforce:
        text = f"{' and '.join(behind)}: Postfix does not say there how mail came, so invitations pass without a link"
        text += "; enforce it on its listeners (smtpd_tls_security_level = encrypt) and set tls.filters_enforce"
        exempt = settings.policy.exempt_networks
        open_to = [one for one in settings.policy.allowed_networks if not any(_within(one, net) for net in exempt)]
        if open_to or not settings.policy.allowed_networks:
            found.append(Finding(Weight.WARNING, text))
    return found


def _certificates(settings: Settings) -> list[Finding]:
    """Say which rules that ask for a client certificate refuse everybody, because a door does not see it or cannot take it."""
    found = []
    asking = [rule for rule in settings.tls.rules if rule.certificate]
    if asking and settings.smtp_listen is not None and settings.smtp_client_ca is None:
        text = f"tls.rules asks {_whom(asking)} for a client certificate: without smtp.client_ca the SMTP door refuses it all"
        found.append(Finding(Weight.WARNING, text))
    if settings.smtp_listen is not None and settings.smtp_tls_certificate is None:
        direct = [
            one for one in settings.smtp_peers if not any(_within(one, net) for net in settings.smtp_xforward_peers)
        ]
        if in_vain := [rule for rule in settings.tls.rules if rule.mode is Mode.REQUIRE and _about(rule, direct)]:
            text = (
                f"tls.rules requires TLS of {_whom(in_vain)}: without smtp.tls_certificate the SMTP door refuses it all"
            )
            found.append(Finding(Weight.WARNING, text))
    pinned = [rule for rule in asking if rule.fingerprints]
    if pinned and settings.milter_listen:
        text = f"tls.rules asks {_whom(pinned)} for a fingerprint: Postfix does not tell it, and the milter door refuses it all"
        found.append(Finding(Weight.WARNING, text))
    if settings.smtp_client_ca is not None and pinned:
        found += _pinned(settings.smtp_client_ca, pinned)
    return found


def _pinned(path: Path, rules: list[Rule]) -> list[Finding]:
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return []  # said already, where the certificate of the SMTP door is loaded
    now, found = datetime.now(UTC), []
    for certificate in certificates:
        fingerprint = certificate.fingerprint(SHA256()).hex()
        owners = [rule for rule in rules if fingerprint in rule.fingerprints]
        if owners and not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            text = f"{path}: the certificate that tls.rules asks {_whom(owners)} for is not valid now"
            found.append(Finding(Weight.WARNING, text))
        if owners and not _for_clients(certificate):
            text = f"{path}: the certificate that tls.rules asks {_whom(owners)} for is for servers alone (extended key usage)"
            found.append(Finding(Weight.WARNING, f"{text}; TLS takes it from no client"))
    return found


def _for_clients(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return True  # RFC 5280 §4.2.1.12: for everything
    return any(one in usage for one in (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE))


def _about(rule: Rule, peers: list[IPv4Network | IPv6Network]) -> bool:
    """Say whether a rule can be about a client in one of some networks at the SMTP door, which knows no logins."""
    if rule.network is None:
        return bool(peers) and not rule.authenticated
    return any(_within(rule.network, one) or _within(one, rule.network) for one in peers)


def _whom(rules: list[Rule]) -> str:
    return ", ".join(rule.who for rule in rules)


def _with_loopback(net: IPv4Network | IPv6Network) -> bool:
    return any(_within(one, net) or _within(net, one) for one in _LOOPBACK)


def _within(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _public(address: InetAddress) -> bool:
    try:
        return not ip_address(address.host).is_loopback
    except ValueError:
        return address.host != "localhost"


def _postfix() -> list[Finding]:
    """Ask Postfix, where it is installed, for the one setting that law 1 hangs on (MILTER_README)."""
    postconf = shutil.which("postconf")
    if postconf is None:
        return [Finding(Weight.NOTE, "no postconf here: see to it that Postfix has milter_default_action = tempfail")]
    try:
        done = subprocess.run(
            [postconf, "-h", "milter_default_action", "smtpd_milters"],
            capture_output=True,
            text=True,
            timeout=POSTCONF_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return [Finding(Weight.NOTE, "postconf gave no answer: see to it that milter_default_action is tempfail")]
    lines = [*done.stdout.splitlines(), "", ""]
    if lines[0].strip() != "tempfail":
        text = f"Postfix has milter_default_action = {lines[0].strip() or 'unknown'}: set tempfail"
        return [
            Finding(Weight.WARNING, text + "; with accept a milter that dies in the middle can leave half-edited mail")
        ]
    return []


def _bare_newlines(settings: Settings, postfix: postconf.Postconf | None) -> list[Finding]:
    """Name the listeners before us that take a bare LF for a line end (smuggling; postconf(5), smtpd_forbid_bare_newline)."""
    if postfix is None:
        return []
    ours = {str(address) for address in settings.milter_listen} | {
        address.netloc for address in (settings.smtp_listen, settings.smtp_listen_tls) if address is not None
    }
    listeners = [one for one in postfix.services.values() if one.command == "smtpd" and _leads_to(ours, one, postfix)]
    open_ones = [
        one.name
        for one in listeners
        if postfix.value("smtpd_forbid_bare_newline", one) in ("", "no")
        or postfix.value("smtpd_forbid_bare_newline_exclusions", one)
    ]
    if not open_ones:
        return []
    text = f"Postfix: {', '.join(open_ones)} may take a bare LF for a line end, so that a stranger's mail that an own server"
    text += " passes on could be two, the second in an organizer's name; set smtpd_forbid_bare_newline=normalize and"
    return [
        Finding(Weight.WARNING, f"{text} smtpd_forbid_bare_newline_exclusions= there, as config/postfix/master.cf does")
    ]


def _leads_to(ours: set[str], service: postconf.Service, postfix: postconf.Postconf) -> bool:
    named = " ".join(postfix.value(name, service) for name in ("smtpd_milters", "content_filter", "smtpd_proxy_filter"))
    found = {one.strip("{},") for one in named.split()}
    for address in ours:
        kind, _, path = address.partition(":")
        if kind == "unix":  # a path as Postfix writes it may begin at its queue directory
            if any(one.startswith("unix:") and path.endswith("/" + one[5:].lstrip("/")) for one in found):
                return True
        elif any(one.replace("[", "").replace("]", "").endswith(address) for one in found):
            return True
    return False


def _onward(settings: Settings, postfix: postconf.Postconf | None) -> list[Finding]:
    """Say which ways Postfix has for mail with a link that tls.mark_links does not reach (decisions/0012)."""
    if postfix is None:
        text = (
            "no postconf here: tls.mark_links does nothing without a Postfix that has config/postfix/tls-onward-main.cf"
        )
        return [Finding(Weight.NOTE, text)] if settings.tls_mark_links else []
    if not settings.tls_mark_links:
        text = "Postfix heeds X-Notes2conf-TLS, but tls.mark_links is false: nothing is marked"
        return [Finding(Weight.WARNING, text)] if heeds_the_mark(postfix) else []
    seen = look(postfix)
    bare = [Finding(Weight.WARNING, text) for text in dict.fromkeys(seen.bare)]
    return bare + [Finding(Weight.NOTE, text) for text in dict.fromkeys(seen.unseen)]
