"""Every setting: its key, its default, how it is read, what it means.

In:  nothing. Out: `SETTINGS`. config/notes2conf.toml is this table in words; a test keeps the two equal.
Fails: never; `Setting.read` raises ValueError with what is allowed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from notes2conf_milter import readers as kind
from notes2conf_milter.core.repairs import Mode
from notes2conf_milter.services.link import HOSTS
from notes2conf_milter.services.offered import WORDS


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. read: turns the TOML value into ours, or raises ValueError with what is allowed. option: its name there."""

    key: str
    default: Any
    read: Callable[[Any], Any]
    meaning: str
    option: str = ""


_MODES = tuple(mode.value for mode in Mode)
_LOOPBACK = ["127.0.0.0/8", "::1/128"]

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "base_url",
        "",
        kind.optional(kind.base_url),
        "Where guests reach the waiting room; every link begins with it.",
        "--base-url",
    ),
    Setting(
        "language",
        "en",
        kind.line,
        "Language of the text put into invitations, and of mails about them, where an invitation does not say its own.",
    ),
    Setting(
        "text.templates",
        "",
        kind.optional(kind.path),
        'Folder of own texts for invitations, a file for each language, as de.toml; "": the built-in ones.',
    ),
    Setting(
        "links",
        "meeting",
        kind.choice("meeting", "attendee"),
        "Whether all guests of a meeting have one link, or each an own one where each gets a copy of the message.",
    ),
    Setting(
        "state_dir",
        "/var/lib/notes2conf",
        kind.path,
        "Folder of the database and, unless named below, of the keys.",
        "--state",
    ),
    Setting(
        "keys.mail",
        "",
        kind.optional(kind.path),
        'The mail key; "": mail-key in state_dir, or the systemd credential.',
    ),
    Setting(
        "keys.epoch",
        "",
        kind.optional(kind.path),
        'The epoch secret, to be kept out of every backup; "": epoch in state_dir.',
    ),
    Setting(
        "policy.organizer_domains",
        [],
        kind.list_of(kind.domain),
        'Domains of the own organizers; ".example.org" means every subdomain.',
        "--organizer-domain",
    ),
    Setting(
        "policy.allowed_networks",
        [],
        kind.list_of(kind.network),
        "Networks from which own organizers send. Loopback is not among them unless you say so.",
        "--allow-network",
    ),
    Setting(
        "policy.house_networks",
        [],
        kind.list_of(kind.network),
        "Further networks of the house, of hosts that hand mail to those in allowed_networks. Private ones need not be named.",
    ),
    Setting(
        "policy.allow_authenticated",
        True,
        kind.flag,
        "Also take invitations from clients that authenticated themselves.",
    ),
    Setting(
        "policy.sender",
        "envelope",
        kind.choice("envelope", "from"),
        "What must be the ORGANIZER: the envelope sender, or From where your servers rewrite envelopes. "
        "Mind: mail that a server forwards by itself has an allowed client and a From that anyone can forge.",
    ),
    Setting(
        "policy.trigger",
        "always",
        kind.choice("always", "keyword", "never"),
        "Which invitations get a link. A meeting that has one keeps it, whatever stands here later.",
    ),
    Setting(
        "policy.keyword",
        "@meet",
        kind.keyword,
        "The word in LOCATION or SUMMARY that asks for a link; it is taken out again.",
    ),
    Setting("policy.opt_out_keyword", "@nomeet", kind.keyword, "The word in LOCATION or SUMMARY that asks for none."),
    Setting(
        "policy.known_conferences",
        [],
        kind.list_of(kind.conference),
        "Further conference services: an invitation with a link to one is left alone. host/path, `*.` for subdomains.",
    ),
    Setting(
        "policy.without_store",
        "defer",
        kind.choice("defer", "pass"),
        "What becomes of an invitation while the store of meetings cannot be used: it waits, or it goes on without a link.",
    ),
    Setting(
        "policy.tell_organizer",
        True,
        kind.flag,
        "Tell own organizers by mail when their invitation is signed, encrypted or unreadable, and so goes on without a link.",
    ),
    Setting(
        "repairs.multipart_related",
        "report",
        kind.choice(*_MODES),
        "A calendar that Domino wraps in multipart/related, so that Outlook shows its raw text: becomes multipart/alternative.",
    ),
    Setting(
        "repairs.rdate",
        "report",
        kind.choice(*_MODES),
        "A series that Notes sends as a list of dates (RDATE), which Outlook refuses: becomes a rule with the same dates.",
    ),
    Setting(
        "milter.listen",
        [],
        kind.list_of(kind.milter_socket),
        "Sockets of the milter door: unix:PATH or inet:HOST:PORT.",
        "--milter",
    ),
    Setting(
        "milter.socket_mode",
        "",
        kind.optional(kind.permissions),
        'Permissions of a unix socket, as "0660"; "": started by root, 0660 for the group postfix where there is one; '
        "else what the umask leaves of 0777.",
    ),
    Setting(
        "smtp.listen",
        "",
        kind.optional(kind.tcp_socket),
        'Socket of the SMTP door, HOST:PORT; "": no SMTP door.',
        "--smtp",
    ),
    Setting(
        "smtp.next_hop",
        "",
        kind.optional(kind.tcp_socket),
        "Where the SMTP door hands mail on, HOST:PORT.",
        "--next-hop",
    ),
    Setting(
        "smtp.protocol",
        "smtp",
        kind.choice("smtp", "lmtp"),
        "What clients of the SMTP door speak: SMTP, or LMTP, which has an answer for each recipient.",
    ),
    Setting(
        "smtp.next_hop_protocol",
        "smtp",
        kind.choice("smtp", "lmtp"),
        'What smtp.next_hop speaks; "lmtp" needs smtp.protocol = "lmtp", too.',
    ),
    Setting(
        "smtp.next_hop_tls",
        "",
        kind.optional(kind.choice("none", "may", "encrypt", "verify", "dane", "dane-only")),
        'How the way to smtp.next_hop is encrypted; "": none to this machine, may to others.',
    ),
    Setting(
        "smtp.next_hop_name",
        "",
        kind.host_name,
        'The name that its certificate has to have, or that has the TLSA records; "": smtp.next_hop\'s host.',
    ),
    Setting(
        "smtp.next_hop_ca",
        "",
        kind.optional(kind.path),
        'Authorities that may vouch for it, in PEM; "": those of the system.',
    ),
    Setting(
        "smtp.next_hop_resolver",
        "",
        kind.optional(kind.name_server),
        'The resolver that validates DNSSEC, for dane, ADDRESS:PORT; "": those of this machine.',
    ),
    Setting(
        "smtp.peers",
        _LOOPBACK,
        kind.list_of(kind.network),
        "Clients that the SMTP door serves; all others get 554.",
    ),
    Setting(
        "smtp.xforward_peers",
        [],
        kind.list_of(kind.network),
        "Those of smtp.peers that are filters of your Postfix: they say with XFORWARD who the client of a message is.",
    ),
    Setting(
        "smtp.proxy_peers",
        [],
        kind.list_of(kind.network),
        "Proxies (HAProxy) that open each connection with a PROXY header; the client is whom that names.",
    ),
    Setting(
        "smtp.bare_newlines",
        "normalize",
        kind.choice("normalize", "refuse"),
        "What becomes of a CR or LF that is no line end: LF becomes CRLF and CR a blank, or the message is refused (550).",
    ),
    Setting(
        "smtp.tls_certificate",
        "",
        kind.optional(kind.path),
        "Certificate with its chain: the SMTP door offers STARTTLS; read again when it changes.",
    ),
    Setting("smtp.tls_key", "", kind.optional(kind.path), "Its key, without a password."),
    Setting(
        "smtp.client_ca",
        "",
        kind.optional(kind.path),
        "Authorities of clients' certificates, or the certificates themselves, in PEM: clients are asked for one.",
    ),
    Setting(
        "smtp.listen_tls",
        "",
        kind.optional(kind.tcp_socket),
        'Socket of the SMTP door where TLS is there from the first octet on, HOST:PORT; "": none.',
    ),
    Setting("smtp.hostname", "", kind.host_name, 'The name in our greeting and EHLO; "": this host\'s name.'),
    Setting(
        "conference.addresses",
        [],
        kind.list_of(kind.mail_address),
        "Addresses that an organizer invites like a room to get a conference, under any policy.trigger.",
    ),
    Setting(
        "conference.listen",
        "",
        kind.optional(kind.milter_socket),
        'Socket on which Postfix delivers mail to these addresses by LMTP, unix:PATH or inet:HOST:PORT; "": none.',
    ),
    Setting(
        "conference.reply",
        False,
        kind.flag,
        "Accept invitations in the name of the conference address, as a room does.",
    ),
    Setting(
        "conference.internal_domains",
        [],
        kind.list_of(kind.domain),
        "Domains whose invitations never come by here: their attendees get the join link in a mail of its own.",
    ),
    Setting(
        "start_mail.relay",
        "",
        kind.optional(kind.tcp_socket),
        "The Postfix listener without milters that takes start mails, HOST:PORT; "
        '"": smtp.next_hop, or 127.0.0.1:10026 where there is none.',
        "--start-mail",
    ),
    Setting(
        "start_mail.from",
        "",
        kind.optional(kind.mail_address),
        'From of start mails; "": no-reply@ the organizer\'s domain.',
    ),
    Setting(
        "tls.rules",
        [],
        kind.list_of(kind.tls_rule),
        "What is asked of sessions, a rule for each; the first that is about a session counts.",
    ),
    Setting(
        "tls.refusal",
        "permanent",
        kind.choice("permanent", "temporary"),
        "How MAIL FROM is refused where a rule requires more: for good (530), or so that the client tries again (450).",
    ),
    Setting(
        "tls.exempt_networks",
        [],
        kind.list_of(kind.network),
        "Networks whose invitations get a link although they come without TLS.",
        "--tls-exempt-network",
    ),
    Setting(
        "tls.filters_enforce",
        False,
        kind.flag,
        "The Postfix listeners before smtp.xforward_peers and conference.listen enforce TLS themselves.",
    ),
    Setting(
        "tls.mark_links",
        False,
        kind.flag,
        "Put the field X-Notes2conf-TLS into mail with a link, by which Postfix sends it on by TLS alone.",
    ),
    Setting(
        "tls.log",
        "each",
        kind.choice("each", "summary", "off"),
        "What is logged of the encryption: with each message, summed up once in an hour, or nothing.",
    ),
    Setting(
        "dkim.keys",
        [],
        kind.list_of(kind.dkim_key),
        "DKIM keys with which rewritten invitations and own mails are signed, DOMAIN:SELECTOR:PATH each.",
    ),
    Setting(
        "dkim.later_signer",
        False,
        kind.flag,
        "Somebody behind the gateway signs with DKIM (Proxmox Mail Gateway, say), so that the gateway does not.",
    ),
    Setting(
        "dkim.remove_broken",
        False,
        kind.flag,
        "With a later signer: take away signatures of own domains that the link has broken.",
    ),
    Setting(
        "dkim.hosted",
        "",
        kind.optional(kind.domain),
        'Domain of dkim.keys that signs, with an ARC set, for organizer domains without a key; "": none.',
    ),
    Setting(
        "dkim.resolver",
        "",
        kind.optional(kind.name_server),
        'The name server that is asked for key records, ADDRESS:PORT; "": those of this machine.',
    ),
    Setting("retention.grace_seconds", 0, kind.number(0, 7 * 86400), "How long a meeting is kept after its end."),
    Setting(
        "retention.open_series_days",
        730,
        kind.number(1, 730),
        "How long a series without an end is kept after the newest message of its organizer.",
    ),
    Setting("limits.message_octets", 26_214_400, kind.number(65_536, 268_435_456), "Larger messages pass unread."),
    Setting("limits.attendees", 500, kind.number(1, 2000), "An invitation to more attendees gets no link."),
    Setting(
        "limits.meetings_per_hour", 100, kind.number(1, 10_000), "New meetings with a link that one organizer may make."
    ),
    Setting("limits.processing_seconds", 60, kind.number(1, 280), "A message that takes longer is deferred."),
    Setting("limits.idle_seconds", 7210, kind.number(60, 86_400), "A connection that is silent for longer is closed."),
    Setting(
        "limits.connections",
        400,
        kind.number(1, 10_000),
        "Connections that the SMTP door takes at a time; further ones get 421, and try again.",
    ),
    Setting(
        "limits.connections_per_network",
        200,
        kind.number(1, 10_000),
        "How many of them may be of one network: an IPv4 address, or an IPv6 /56.",
    ),
    Setting(
        "limits.recipients",
        1000,
        kind.number(100, 100_000),
        "Recipients of one message at the SMTP door; further ones get 452, and come in another message.",
    ),
    Setting(
        "limits.bad_commands",
        100,
        kind.number(10, 100_000),
        "Bad and idle commands (NOOP, RSET) that a client of the SMTP door may give between two messages, before 421.",
    ),
    Setting(
        "limits.data_seconds",
        3600,
        kind.number(60, 86_400),
        "How long a client of the SMTP door may take for sending a message, once it is told to.",
    ),
    Setting(
        "limits.memory_octets",
        268_435_456,
        kind.number(67_108_864, 17_179_869_184),
        "Octets of messages that the SMTP door holds at a time; what comes beyond that gets 452, and waits at the client.",
    ),
    Setting(
        "web.listen",
        "127.0.0.1:8080",
        kind.tcp_socket,
        "Socket of the waiting room, behind a proxy with TLS.",
        "--listen",
    ),
    Setting(
        "services.offered",
        list(WORDS),
        kind.list_of(kind.choice(*WORDS)),
        "The conference services that organizers can choose, in this order; those that are not set up are left out.",
    ),
    Setting(
        "services.jitsi_url",
        "",
        kind.optional(kind.jitsi_server),
        "A Jitsi server.",
        "--jitsi-url",
    ),
    Setting("services.jitsi_app_id", "", kind.line, "Application id of the Jitsi server's token authentication."),
    Setting("services.jitsi_secret", "", kind.optional(kind.path), "File with the secret for that."),
    Setting("services.bigbluebutton_url", "", kind.optional(kind.bigbluebutton_server), "A BigBlueButton server."),
    Setting("services.bigbluebutton_secret", "", kind.optional(kind.path), "File with its shared secret."),
    Setting(
        "services.rooms",
        [],
        kind.list_of(kind.room_template),
        "Services whose rooms come to be when somebody enters: TITLE=URL, with {room} for a random name.",
    ),
    Setting("services.personal_rooms", "", kind.optional(kind.path), "File with rooms of some organizers' own."),
    Setting(
        "services.link_hosts",
        list(HOSTS),
        kind.list_of(kind.host_pattern),
        "Hosts to which organizers may paste a link of their own; an empty list takes that choice away.",
    ),
    Setting(
        "services.pass_names",
        False,
        kind.flag,
        "Whether the names of guests and organizers are handed on to the conference service.",
    ),
    Setting(
        "web.tls_certificate",
        "",
        kind.optional(kind.path),
        "Certificate with its chain, for TLS without a proxy; read again when it changes.",
    ),
    Setting("web.tls_key", "", kind.optional(kind.path), "Its key, without a password."),
    Setting(
        "web.trusted_proxies",
        _LOOPBACK,
        kind.list_of(kind.network),
        "Proxies whose X-Forwarded-For says who a visitor is; that counts for the limits of one network alone.",
    ),
    Setting(
        "web.guests_per_network",
        2000,
        kind.number(10, 40_000),
        "How many guests may wait at a time from one network; a company behind NAT is one.",
    ),
    Setting(
        "web.admission",
        "open",
        kind.choice("open", "ask"),
        "Whether guests come in by themselves once a conference is open, or one by one; the organizer can choose otherwise.",
    ),
    Setting("web.house", "", kind.line, "Name of the house, above each page and in the privacy notice."),
    Setting("web.contact", "", kind.line, "Whom to ask about personal data, a sentence in the privacy notice."),
    Setting("web.imprint_url", "", kind.optional(kind.address_of_page), "The legal notice, linked below each page."),
    Setting("web.accent", "", kind.optional(kind.colour), "Colour of buttons and links, made readable by itself."),
    Setting("web.logo", "", kind.optional(kind.picture), "Picture above each page, 28 pixels high there."),
    Setting(
        "log.level",
        "info",
        kind.choice("debug", "info", "warning", "error"),
        "How much is logged; no level logs personal data.",
    ),
)
