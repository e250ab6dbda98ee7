"""`config check`: what can be seen to be wrong before mail flows.

In:  settings. Out: findings, each an error (the services would not start or would do nothing), a warning, or a note.
Touches: the key files, the state folder, and `postconf` where Postfix is installed. Writes nothing.
Fails: never; what cannot be looked at is a finding.
"""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

from notes2conf_milter.address import InetAddress, UnixAddress
from notes2conf_milter.config import ConfigError, Settings
from notes2conf_milter.core.signing import Algorithm
from notes2conf_milter.daemon import load_certificate
from notes2conf_milter.store import EpochFile, StoreSetupError, load_mail_key
from notes2conf_milter.web.certificate import CertificateError

POSTCONF_SECONDS = 10


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
    return [
        *_needed(settings),
        *_keys(settings),
        *_dkim(settings),
        *_advice(settings),
        *_languages(settings),
        *_sockets(settings),
        *_doors(settings),
        *_postfix(),
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
    try:
        certificate = load_certificate(settings)
        if certificate is not None and certificate.over(int(time.time())):
            return [Finding(Weight.ERROR, f"{settings.web_tls_certificate}: the certificate is over")]
    except (ConfigError, CertificateError) as error:
        return [Finding(Weight.ERROR, str(error))]
    return []


def _keys(settings: Settings) -> list[Finding]:
    found = []
    try:
        load_mail_key(settings.keys_mail)
    except StoreSetupError as error:
        found.append(Finding(Weight.ERROR, f"{error} (make keys with: notes2conf-milter key new)"))
    try:
        EpochFile(settings.keys_epoch).check()
    except StoreSetupError as error:
        found.append(Finding(Weight.ERROR, f"{error} (make keys with: notes2conf-milter key new)"))
    if settings.state_dir.is_dir() and settings.state_dir.stat().st_mode & 0o007:
        found.append(Finding(Weight.WARNING, f"{settings.state_dir}: open to every user of this machine; chmod o= it"))
    return found


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
    loopback = [str(net) for net in settings.policy.allowed_networks if net.network_address.is_loopback]
    if loopback:
        found.append(
            Finding(
                Weight.WARNING,
                f"policy.allowed_networks has {', '.join(loopback)}: what this machine re-injects counts as own mail",
            )
        )
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
        found.append(
            Finding(Weight.NOTE, f"smtp.listen {settings.smtp_listen.netloc}: only smtp.peers are served there")
        )
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
    if settings.policy.conference_addresses and settings.conference_listen is None:
        text = "conference.addresses without conference.listen: invited there alone, nobody gets a conference"
        found.append(Finding(Weight.NOTE, text))
    return found


def _within(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)


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
