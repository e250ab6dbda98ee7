"""Whose invitation gets a link, and the reason when not (law 9).

In:  the envelope, the invitation, the settings, the time. Out: a `Reason` to pass, or a `Decision`: the meeting may be
     claimed, or only a link that is already known may be given.
Fails: never. Nothing is remembered here; what is known already is the store's to say.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Network, IPv6Network

from notes2conf_milter.core.bodies import body_texts
from notes2conf_milter.core.conferences import Conferences
from notes2conf_milter.core.contentlines import Component
from notes2conf_milter.core.encryption import Hop, within
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.invitation import Cancellation, Invitation, is_calendar, may_hold_calendar, sealed
from notes2conf_milter.core.keyword import keyword_pattern
from notes2conf_milter.core.meeting import Person
from notes2conf_milter.core.message import author, authors, header_fields, media_type, parse
from notes2conf_milter.core.trace import from_outside, passed_on
from notes2conf_milter.core.verdict import Reason

_CONFERENCE_PROPERTIES = (
    b"X-GOOGLE-CONFERENCE",
    b"X-MICROSOFT-SKYPETEAMSMEETINGURL",
    b"X-MICROSOFT-ONLINEMEETINGCONFLINK",
)


class Trigger(Enum):
    """Which invitations get a link."""

    ALWAYS = "always"
    KEYWORD = "keyword"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The settings that policy reads.

    organizer_domains: lower-case; `.example.org` means every subdomain. sender_from: compare From, not the envelope sender,
    for houses whose servers rewrite envelopes. conferences: whose links count as a conference. conference_addresses: in lower
    case; who invites one asks for a conference. internal_domains: of attendees whose mail never comes by. most_attendees: of a
    meeting that gets a link. tell_organizer: whole messages are wanted that are signed or encrypted, to tell the organizer.
    needs_tls: what comes unencrypted gets no link, but from exempt_networks. house_networks: of hosts that hand mail to the
    allowed clients, besides private networks.
    """

    organizer_domains: frozenset[str] = frozenset()
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    allow_authenticated: bool = True
    sender_from: bool = False
    trigger: Trigger = Trigger.ALWAYS
    keyword: str = "@meet"
    opt_out: str = "@nomeet"
    conferences: Conferences = field(default_factory=Conferences)
    conference_addresses: frozenset[str] = frozenset()
    internal_domains: frozenset[str] = frozenset()
    most_attendees: int = 500
    tell_organizer: bool = False
    needs_tls: bool = False
    exempt_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    house_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    keyword_found: re.Pattern[bytes] = field(init=False, compare=False)
    opt_out_found: re.Pattern[bytes] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keyword_found", keyword_pattern(self.keyword))
        object.__setattr__(self, "opt_out_found", keyword_pattern(self.opt_out))

    def own_domain(self, address: str) -> bool:
        """Say whether the domain of an address is an organizer domain."""
        return _within(address, self.organizer_domains)

    def internal(self, address: str) -> bool:
        """Say whether mail to an address never comes by, because its domain is an internal one."""
        return _within(address, self.internal_domains) and address.lower() not in self.conference_addresses


def _within(address: str, domains: frozenset[str]) -> bool:
    domain = address.rpartition("@")[2].lower()
    parents = {domain[at:] for at, letter in enumerate(domain) if letter == "."}
    return "@" in address and (domain in domains or not parents.isdisjoint(domains))


@dataclass(frozen=True, slots=True)
class Decision:
    """The invitation may carry a link. claim: None when a new meeting may be claimed, else why only a known link may be given.

    update: the message comes from its organizer and may change what is known of the meeting. What is over gets no link at all
    (MEETING_OVER), and its organizer's message may say that what is known is over.
    """

    claim: Reason | None
    update: bool


_CONTENT_TYPE_FIELD = re.compile(rb"^content-type[ \t]*:((?:[^\n]|\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
_CONTENT_FIELDS = re.compile(rb"content-[^\0]*\0?[^\0]*")  # name and value, and more where that is not one
_SIGNS = (b"multipart", b"pkcs7-mime", b"calendar", b"ics", b"name")


def plainly_no_calendar(fields: bytes) -> bool:
    """Say that nothing in a header can make its message an invitation.

    True for nearly all mail of one part, and as quick as can be: every message comes by here. Then `before_body` is
    NO_CALENDAR; False says nothing. fields: as the milter protocol has them, name, NUL, value, NUL, whatever stands between.
    """
    return _no_sign(b"".join(_CONTENT_FIELDS.findall(fields.lower())))


def _no_sign(lower: bytes) -> bool:
    return not any([sign in lower for sign in _SIGNS])  # noqa: C419 - a list is quicker than a generator


def before_body(envelope: Envelope, header: bytes, settings: PolicySettings) -> Reason | None:
    """Return why the message passes whatever its body holds, or None: the whole message must be seen.

    header: the header section. Raises MessageTooComplex past the bounds of core.message.
    """
    found = _CONTENT_TYPE_FIELD.search(header)  # five times as fast as all fields one by one
    kind = media_type(b"".join(found[1].splitlines()) if found else b"")
    if not kind.startswith(b"multipart/"):
        if _no_sign(header.lower()):
            return Reason.NO_CALENDAR
        if kind.startswith(b"application/ms-tnef") and settings.tell_organizer:
            return _stranger(envelope, header, settings)
        if b"pkcs7-mime" not in kind and not may_hold_calendar(header):
            return Reason.NO_CALENDAR
        if not is_calendar(part := parse(header)):
            unfit = sealed(part) or Reason.NO_CALENDAR
            return None if _worth_telling(envelope, header, unfit, settings) else unfit
    if kind in _SEALED_KINDS:
        return None if _worth_telling(envelope, header, _SEALED_KINDS[kind], settings) else _SEALED_KINDS[kind]
    reason = _stranger(envelope, header, settings)
    if reason is None and header_fields(header).body_start != len(header):
        # The door and we would disagree where the body begins, and an edit of the body would repeat header fields.
        return Reason.HEADER_UNCLEAR
    return reason


_SEALED_KINDS = {b"multipart/signed": Reason.SIGNED, b"multipart/encrypted": Reason.ENCRYPTED}


def _worth_telling(envelope: Envelope, header: bytes, reason: Reason, settings: PolicySettings) -> bool:
    """Say whether the whole message is wanted, so that its organizer can be told why it gets no link (core.skips)."""
    sealed_one = reason in (Reason.SIGNED, Reason.ENCRYPTED)
    return settings.tell_organizer and sealed_one and _stranger(envelope, header, settings) is None


def _stranger(envelope: Envelope, header: bytes, settings: PolicySettings) -> Reason | None:
    if envelope.door is Door.COMMAND:
        return None  # `rewrite` shows what would happen to the message from its organizer
    if not within(envelope.client, settings.allowed_networks) and not (
        envelope.authenticated and settings.allow_authenticated
    ):
        return Reason.CLIENT_NOT_ALLOWED
    # Nothing is made by a bounce or an answering machine (RFC 3834), whatever its From says.
    if not envelope.sender or not any(map(settings.own_domain, senders(envelope, header, settings))):
        return Reason.SENDER_NOT_OWN
    encrypted = envelope.tls is not None or envelope.hop is Hop.ENFORCED
    if settings.needs_tls and not encrypted and not within(envelope.client, settings.exempt_networks):
        return Reason.NOT_ENCRYPTED
    house = (*settings.allowed_networks, *settings.house_networks)
    if from_outside(header, house, logins=settings.allow_authenticated):
        return Reason.CAME_FROM_OUTSIDE
    return None


def senders(envelope: Envelope, message: bytes, settings: PolicySettings) -> set[str]:
    """Return the addresses that count as the sender, in lower case: the envelope's, or From's where that is set."""
    if not settings.sender_from:
        return {envelope.sender.decode("utf-8", "replace").lower()}
    found = author(message)
    return {found} if found else set()


def decide(
    envelope: Envelope,
    message: bytes,
    invitation: Invitation,
    settings: PolicySettings,
    *,
    own_link: re.Pattern[bytes],
    over_at: int,
    now: int,
) -> Decision | Reason:
    """Return whether the invitation may carry a link, or the Reason why it passes whatever is known.

    own_link: finds a join link of ours, which is no other conference. over_at, now: seconds since 1970 UTC.
    Call `before_body` first: it answers for the client and the sender's domain.
    """
    if not settings.own_domain(invitation.organizer.address):
        return Reason.ORGANIZER_FOREIGN
    if invitation.organizer.address.lower() in settings.conference_addresses:
        return Reason.ORGANIZER_UNCLEAR  # nobody reads the start mail there
    own = _from_organizer(envelope, message, invitation, settings)
    if over_at <= now:
        return Decision(Reason.MEETING_OVER, update=True) if own else Reason.MEETING_OVER
    if not own:
        return Decision(Reason.SENDER_NOT_ORGANIZER, update=False)
    asked = _asks_for_conference(envelope, invitation, settings)
    return Decision(_unwanted(message, invitation, settings, own_link, asked=asked), update=True)


def _asks_for_conference(envelope: Envelope, invitation: Invitation, settings: PolicySettings) -> bool:
    """Say whether a conference address is invited, or among those who get the message."""
    recipients = {recipient.decode("utf-8", "replace").lower() for recipient in envelope.recipients}
    invited = {one.address.lower() for one in invitation.attendees}
    return not settings.conference_addresses.isdisjoint(recipients | invited)


def guests_apart(envelope: Envelope, invitation: Invitation, settings: PolicySettings) -> tuple[Person, ...]:
    """Return the internal attendees whose invitation is not this message, and never comes by: people, not rooms."""
    if len(invitation.attendees) > settings.most_attendees:
        return ()  # a known meeting keeps its link, but nobody floods the house with mails
    reached = {recipient.decode("utf-8", "replace").lower() for recipient in envelope.recipients}
    reached |= {invitation.organizer.address.lower(), *invitation.things}
    return tuple(
        one for one in invitation.attendees if settings.internal(one.address) and one.address.lower() not in reached
    )


def obeyed(envelope: Envelope, message: bytes, cancellation: Cancellation, settings: PolicySettings) -> bool:
    """Say whether a cancellation comes from where an invitation of its organizer would have to come from (law 9).

    Call `before_body` first: it answers for the client and the sender's domain.
    """
    own = settings.own_domain(cancellation.organizer.address)
    return own and _from_organizer(envelope, message, cancellation, settings)


def _from_organizer(
    envelope: Envelope, message: bytes, said: Invitation | Cancellation, settings: PolicySettings
) -> bool:
    """Say whether a message is its organizer's, or the delegate's whom it names: envelope and From both say so.

    SENT-BY is what whoever wrote the message says. The envelope of mail that a server forwards may be the forwarding mailbox's,
    which a stranger can name there, but then From is still the stranger's; a From of the house is what the house's own
    border would not have let in. Nobody who is shown as an author may be anybody else.
    """
    if envelope.door is Door.COMMAND:
        return True
    named = {said.organizer.address.lower(), said.sent_by.lower()} - {""}
    shown = authors(message)
    if senders(envelope, message, settings).isdisjoint(named) or not shown or not shown <= named:
        return False
    return not _forwarded(envelope, message, settings)


def _forwarded(envelope: Envelope, message: bytes, settings: PolicySettings) -> bool:
    known = senders(envelope, message, settings) | {envelope.sender.decode("utf-8", "replace").lower()}
    return passed_on(message, known)


def speaks_for_author(envelope: Envelope, message: bytes, said: Invitation, settings: PolicySettings) -> bool:
    """Say whether a message may be signed in the name of who is shown as its author: the author or the organizer sent it."""
    if _forwarded(envelope, message, settings):
        return False
    return author(message) in senders(envelope, message, settings) or _from_organizer(envelope, message, said, settings)


def _unwanted(
    message: bytes, invitation: Invitation, settings: PolicySettings, own_link: re.Pattern[bytes], *, asked: bool
) -> Reason | None:
    """Return why no new meeting is claimed for this invitation, or None."""
    if _stands(invitation, settings.opt_out_found):
        return Reason.OPT_OUT
    if not asked:
        if settings.trigger is Trigger.NEVER:
            return Reason.TRIGGER_OFF
        if settings.trigger is Trigger.KEYWORD and not _stands(invitation, settings.keyword_found):
            return Reason.KEYWORD_MISSING
    if len(invitation.attendees) > settings.most_attendees:
        return Reason.TOO_MANY_ATTENDEES
    if _carries_conference(message, invitation, settings.conferences, own_link):
        return Reason.CONFERENCE_PRESENT
    return None


def _stands(invitation: Invitation, keyword: re.Pattern[bytes]) -> bool:
    return any(
        keyword.search(line.value)
        for copy in invitation.copies
        for event in copy.events
        for line in event.lines
        if line.name in (b"LOCATION", b"SUMMARY")
    )


def _carries_conference(
    message: bytes, invitation: Invitation, known: Conferences, own_link: re.Pattern[bytes]
) -> bool:
    events = [event for copy in invitation.copies for event in copy.events]
    return any(_event_conference(event, known, own_link) for event in events) or any(
        known.found(text) for text in body_texts(message, invitation)
    )


def _event_conference(event: Component, known: Conferences, own_link: re.Pattern[bytes]) -> bool:
    for line in event.lines:
        web = line.value.strip()[:8].lower().startswith((b"https://", b"http://"))
        if line.name in _CONFERENCE_PROPERTIES and line.value.strip():
            return True
        if line.name == b"CONFERENCE" and web and not own_link.match(line.value.strip()):
            return True
        if known.found(line.text):
            return True
    return False
