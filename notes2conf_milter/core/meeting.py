"""What we know of a meeting: the values that the store seals and the pages show.

Plain values only. Which process may read which: `Page` and `Room` open with a link (web) or the mail key (mail);
`MailRecord` and `Version` with the mail key alone.
"""

from dataclasses import dataclass, replace
from enum import Enum


class LinkKind(Enum):
    """What a link leads to; the values stand in the table `link`."""

    JOIN = "join"
    START = "start"
    ATTENDEE = "attendee"  # an attendee's own join link (SMTP door, one recipient)


@dataclass(frozen=True, slots=True)
class Person:
    """An ORGANIZER or ATTENDEE (RFC 5545 §3.8.4): the address without `mailto:`, lower-case domain, and CN or ""."""

    address: str
    name: str = ""


NOWHERE = "floating"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time at which the meeting takes place.

    start, end: seconds since 1970-01-01 UTC. zone: IANA name, "" when there is none, NOWHERE when it is told in nobody's zone
    (floating, RFC 5545 §3.3.5, or one that nobody knows; then start and end are as if it were UTC). offset: seconds east of
    UTC at the start, for display where the zone name is not known. all_day: DTSTART was a DATE (RFC 5545 §3.3.4).
    """

    start: int
    end: int
    zone: str = ""
    offset: int = 0
    all_day: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """What the pages behind the links show. recurring: a series; times: the occurrences known, in order, bounded."""

    subject: str
    organizer: Person
    times: tuple[Occurrence, ...]
    recurring: bool = False


class RoomState(Enum):
    """Whether the organizer has opened the conference."""

    CLOSED = "closed"
    OPEN = "open"
    PAUSED = "paused"  # who is in stays, new guests wait
    ENDED = "ended"


class Admission(Enum):
    """Who may go in while the conference is open."""

    OPEN = "open"  # all who wait
    ASK = "ask"  # one by one, as the organizer says


@dataclass(frozen=True, slots=True)
class Room:
    """The conference of one occurrence, written by the waiting room.

    occurrence: its start, seconds since 1970 UTC. service, name, url: which conference it is, "" while there is none; name: a
    random one. admission: what the organizer chose for this meeting, None: nothing. until: it was extended to then, seconds
    since 1970 UTC; 0: not at all.
    """

    occurrence: int
    state: RoomState
    service: str = ""
    url: str = ""
    name: str = ""
    admission: Admission | None = None
    until: int = 0


@dataclass(frozen=True, slots=True)
class MailRecord:
    """What only the mail service reads: the UID, who is invited, and the tokens, for an update carries the same link.

    start_mail_at: when it was sent last, seconds since 1970 UTC. moved: an occurrence as it was and as it is now, while the
    organizer has not been told. told: who has been mailed the join link; attendee_tokens: who has a link of the own; both by
    address in lower case. said: marks of the last message, and of what its event said. reminded: the organizer of a series
    without an end was told that it is kept until then, seconds since 1970 UTC.
    """

    uid: str
    attendees: tuple[Person, ...]
    join_token: str
    start_token: str
    start_mail_sent: bool = False
    tenant: str = ""
    start_mail_at: int = 0
    moved: tuple[Occurrence, ...] = ()
    told: tuple[str, ...] = ()
    attendee_tokens: tuple[tuple[str, str], ...] = ()
    said: tuple[str, str] = ("", "")
    reminded: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Revision:
    """What decides which of two messages is newer: SEQUENCE, then DTSTAMP as its UTC digits (RFC 5546 §2.1.5)."""

    sequence: int = 0
    dtstamp: str = ""

    def said_before(self, other: "Revision") -> bool:
        """Say whether a message about one thing is older than one about another: a date and its series, one person's two.

        Each component counts its own SEQUENCE (RFC 5546 §2.1.4), so between two only DTSTAMP tells; SEQUENCE where it does not.
        """
        if self.dtstamp and other.dtstamp and self.dtstamp != other.dtstamp:
            return self.dtstamp < other.dtstamp
        return self.sequence < other.sequence


@dataclass(frozen=True, slots=True)
class Instance:
    """What messages about one instance of a series said last (RFC 5545 §3.8.4.4).

    times: when it takes place, instead of when the series has it; none when it was cancelled. over_at: when it is over, seconds
    since 1970 UTC. onward: all that follow are put off as it is (RFC 5545 §3.2.13), and the message did not say until when.
    within: the SEQUENCE of the message about the whole that told of it, 0 where a message about it alone did.
    """

    revision: Revision
    times: tuple[Occurrence, ...] = ()
    over_at: int = 0
    onward: bool = False
    within: int = 0

    @property
    def beside(self) -> Revision:
        """Its revision beside those of the whole: in one message neither is older, whatever the SEQUENCE of each."""
        return replace(self.revision, sequence=max(self.revision.sequence, self.within))


@dataclass(frozen=True, slots=True)
class Named:
    """By which message somebody (an address in lower case) was invited last, and by which uninvited; None: by none."""

    address: str
    invited: Revision | None = None
    withdrawn: Revision | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """What decides which message is newer: of the series, of each of its instances, of each person.

    series: the newest revision seen of the whole, Revision() when none was; risen: the earliest DTSTAMP seen of its SEQUENCE,
    so about when all was put off. instances: by the start that the series has for each, seconds since 1970 UTC; a date is
    midnight UTC. people: who was invited or uninvited by what. own: when the series takes place by itself, bounded. over_at:
    when it is over, as it says itself; lag: seconds that it is over after its last occurrence has ended (floating times,
    grace); complete: its occurrences are all known, so that the end follows from them; endless: it says no end, so over_at is
    until when it is kept. since: when that was read, seconds since 1970 UTC; what was over then is not listed. cuts: starts
    from which on it was cancelled, and by which revision. partly: dates that were cancelled for some and stay for others, each
    alone or (True) with all that follow, by which revision and for whom.
    """

    series: Revision
    instances: tuple[tuple[int, Instance], ...] = ()
    people: tuple[Named, ...] = ()
    own: tuple[Occurrence, ...] = ()
    over_at: int = 0
    lag: int = 0
    complete: bool = True
    cuts: tuple[tuple[int, Revision], ...] = ()
    partly: tuple[tuple[int, bool, Revision, tuple[str, ...]], ...] = ()
    risen: str = ""
    endless: bool = False
    since: int = 0

    @property
    def newest(self) -> Revision:
        """What no older message may bring back: the whole's revision, or a date's when nothing is known of the whole."""
        if self.series != Revision():
            return self.series
        return max((one.revision for _, one in self.instances), key=lambda one: one.dtstamp, default=Revision())

    @property
    def rise(self) -> Revision:
        """The revision by which the SEQUENCE of the whole rose."""
        return Revision(self.series.sequence, self.risen)
