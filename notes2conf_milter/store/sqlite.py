"""The mail service's side of the store: claim a meeting, find it, cancel it, forget it.

In:  what an invitation says, the time. Out: `Claim`, the links to carry. Touches: the database, the epoch file.
Random: tokens, keys, ids.
Fails: StoreSetupError from the constructor; StoreError (cannot now: the message is tried again) from everything else,
after which nothing was written; UnreadableError among them when it is this one meeting that does not open.

Every change is one IMMEDIATE transaction, durable before the call returns: the link in the message has a page behind
it. Of several processes that claim a meeting at once the first makes the row, the others read it.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from notes2conf_milter.core.joinlink import TOKEN_OCTETS, token_from
from notes2conf_milter.core.meeting import LinkKind, MailRecord, Occurrence, Page, Revision
from notes2conf_milter.store import dates as known_dates
from notes2conf_milter.store import people
from notes2conf_milter.store.cancel import Cancelling, after_cancel, after_cancelled_dates, buried, revives
from notes2conf_milter.store.database import BUSY_SECONDS, failures, open_database, writing
from notes2conf_milter.store.epoch import EpochFile
from notes2conf_milter.store.keys import MailKey
from notes2conf_milter.store.merge import Known, News, first, merged, others
from notes2conf_milter.store.moved import moved
from notes2conf_milter.store.rows import expiry
from notes2conf_milter.store.sealing import Purpose, derive, uid_hash
from notes2conf_milter.store.shelf import BY_ID, BY_UID, Link, Opened, Shelf, Tombstone


@dataclass(frozen=True, slots=True)
class Claim:
    """A meeting's links, and what its organizer and its guests have been told.

    new: this call made them. changed: the row's mark as this call found or made it; another one means that somebody has
    written since. page: as it is known now. told: the addresses, in lower case, that have been mailed the join link; invited:
    those of the attendees, uninvited: of those who are not any more; own_tokens: who has a link of the own. unchanged: another
    message said, to the letter, what the last one said.
    """

    meeting: int
    join_token: str
    start_token: str
    new: bool
    start_mail_sent: bool
    changed: int
    page: Page
    start_mail_at: int = 0
    moved: tuple[Occurrence, ...] = ()
    told: frozenset[str] = frozenset()
    invited: frozenset[str] = frozenset()
    unchanged: bool = False
    uninvited: frozenset[str] = frozenset()
    own_tokens: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What a cancellation does, or would do. told: those among whom it is for who have been mailed the join link; page: what it
    is about, and start_token its start link, where the meeting is known."""

    kind: Cancelling
    told: tuple[str, ...] = ()
    page: Page | None = None
    start_token: str = ""


class Refusal(Enum):
    """Why a meeting is not claimed."""

    CANCELLED = "cancelled"


def draw_token() -> str:
    """Draw a token: 160 bits of the system's randomness."""
    return token_from(secrets.token_bytes(TOKEN_OCTETS))


class MeetingStore:
    """The meetings, for the one service that holds the mail key.

    Used by one thread at a time; several processes may share the files.
    """

    def __init__(
        self,
        database: Path,
        epoch: EpochFile,
        mail_key: MailKey,
        draw_token: Callable[[], str] = draw_token,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        """Open the store.

        Raises StoreSetupError or StoreError. draw_token: gives a token never given before (tests fix them).
        """
        epoch.check()
        self._db = open_database(database, busy_seconds)
        self._shelf = Shelf(self._db, epoch, mail_key.octets)
        self._uid_key = derive(mail_key.octets, None, Purpose.UID_HASH)
        self._draw_token = draw_token

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def claim(
        self, organizer: str, uid: str, news: News, now: int, *, only_known: bool = False
    ) -> Claim | Refusal | None:
        """Return the links of a meeting that a message of its organizer invites to; durable before it returns.

        None, and nothing written, when the meeting is not known and only_known says that no new one is wanted;
        Refusal.CANCELLED, and nothing written, when it was cancelled and the message is not newer. A newer one makes a
        new meeting, with links of its own.

        A known meeting keeps its links, and what the message says is merged into what is known (merge.py); one that says
        nothing new writes nothing. now: seconds since 1970 UTC; raises ValueError when the meeting is over already.
        Raises StoreError.
        """
        if news.expires_at <= now:
            raise ValueError("a meeting that is over gets no link")
        name = uid_hash(self._uid_key, organizer, uid)
        with writing(self._db):
            opened = self._shelf.open(BY_UID, name, now)
            if isinstance(opened, Tombstone) and not revives(news.revision, opened.revision):
                return Refusal.CANCELLED
            if not isinstance(opened, Opened):
                if only_known:
                    return None
                self._shelf.delete(name)  # one that is over makes room: other links, another meeting
                known = first(uid, news, self._draw_token(), self._draw_token())
                row = self._shelf.insert(name, known)
                return replace(_claim(row.id, row.changed, known), new=True)
            before = opened.known
            after = _pruned(before, _alive(_noted(before, merged(before, news), now), news, now), news)
            if after is not before:
                self._rewrite(opened, after)
            (message, event), (seen, known_event) = news.said, before.record.said
            unchanged = event != "" and event == known_event and message != seen
            return replace(_claim(opened.row.id, opened.row.changed, after), unchanged=unchanged)

    def note_over(self, organizer: str, uid: str, news: News, now: int) -> None:
        """Take from a message of its organizer that a meeting, or a date of it, is over; durable before it returns.

        When nothing else is left of the meeting it is deleted as if it had been cancelled, unless the organizer extended it. An
        unknown meeting stays unknown. now: seconds since 1970 UTC. Raises StoreError.
        """
        with writing(self._db):
            opened = self._shelf.open(BY_UID, uid_hash(self._uid_key, organizer, uid), now)
            if not isinstance(opened, Opened) or known_dates.end(opened.known.version) <= now:
                return  # nothing that lives by its dates; what lives in doubt lives on
            before = opened.known
            after = _pruned(before, merged(before, news), news)
            if after is before:
                return
            if expiry(after.expires_at, opened.room) <= now:
                self._shelf.bury(opened, buried(before, news.revision, dates=not news.whole), now)
                return
            self._rewrite(opened, after)

    def _rewrite(self, opened: Opened, after: Known) -> None:
        left = dict(after.record.attendee_tokens).values()
        dead = [token for _, token in opened.known.record.attendee_tokens if token not in left]
        self._shelf.drop_links(opened.row.id, dead)
        self._shelf.rewrite(opened, after)

    def find(self, organizer: str, uid: str, now: int) -> Claim | None:
        """Return the links of a meeting that is known and not over.

        Writes nothing. now: seconds since 1970 UTC. Raises StoreError.
        """
        with failures():
            opened = self._shelf.open(BY_UID, uid_hash(self._uid_key, organizer, uid), now)
        return _claim(opened.row.id, opened.row.changed, opened.known) if isinstance(opened, Opened) else None

    def own_link(self, claim: Claim, address: str, now: int, *, named: bool = False) -> tuple[str | None, Claim]:
        """Return the attendee's own token for a meeting, a new one at the first time, and the claim as it is then.

        Durable before it returns. The meeting's token where it does not know the attendee, or is gone; None for one who was
        uninvited, or who is named by the message and was dropped by a newer one, no copy of which is on its way. address: in
        lower case. Raises StoreError.
        """
        tokens, claim = self.own_links(claim, [address], now, named=named)
        return tokens[address], claim

    def own_links(
        self, claim: Claim, addresses: Sequence[str], now: int, *, named: bool = False
    ) -> tuple[dict[str, str | None], Claim]:
        """Return `own_link` for several attendees, by address, in one transaction. Raises StoreError."""
        with writing(self._db):
            opened = self._shelf.open(BY_ID, claim.meeting, now)
            if not isinstance(opened, Opened):
                return dict.fromkeys(addresses, claim.join_token), claim
            record = opened.known.record
            own: dict[str, str | None] = {**dict(record.attendee_tokens)}
            names = {one.address.lower(): one.name or one.address for one in record.attendees}
            off = people.gone(opened.known.version)
            waits = people.missing(opened.known.version)
            found: dict[str, str | None] = {}
            drawn: list[tuple[str, str]] = []
            for address in addresses:
                if address in own:
                    found[address] = own[address]
                elif address in names:
                    token = self._draw_token()
                    self._shelf.add_link(opened, Link(LinkKind.ATTENDEE, token, names[address]))
                    drawn.append((address, token))
                    found[address] = own[address] = token
                else:
                    dropped = named and address not in waits
                    found[address] = None if dropped or address in off else claim.join_token
            if not drawn:
                return found, claim
            record = replace(record, attendee_tokens=(*record.attendee_tokens, *drawn))
            untouched = opened.row.changed == claim.changed
            changed = self._shelf.note(opened, record)
            return found, replace(claim, changed=changed) if untouched else claim

    def mark_start_mail_sent(self, meeting: int, now: int) -> bool:
        """Remember that the organizer has got the start link, and knows of a move.

        False when the meeting is gone. now: seconds since 1970 UTC. Raises StoreError.
        """
        return self._note(meeting, now, lambda one: replace(one, start_mail_sent=True, start_mail_at=now, moved=()))

    def mark_told(self, meeting: int, addresses: frozenset[str], now: int) -> bool:
        """Remember who has been mailed the join link. addresses: in lower case.

        False when the meeting is gone. Raises StoreError.
        """
        return self._note(meeting, now, lambda one: replace(one, told=tuple(sorted({*one.told, *addresses}))))

    def fading(self, after: int, before: int, now: int) -> list[int]:
        """Return the rows that are kept until some time between two, seconds since 1970 UTC. Raises StoreError."""
        with failures():
            sql = "select meeting from meeting_uid where expires_at > ? and expires_at <= ? and expires_at > ?"
            return [meeting for (meeting,) in self._db.execute(sql, [after, before, now]).fetchall()]

    def fade(self, meeting: int, now: int) -> tuple[Claim, int] | None:
        """Return a series without an end whose organizer has not been told until when it is kept, and until when that is.

        Seconds since 1970 UTC. Raises StoreError.
        """
        with failures():
            opened = self._shelf.open(BY_ID, meeting, now)
        if not isinstance(opened, Opened) or not opened.known.version.endless:
            return None
        end = opened.known.expires_at
        told = opened.known.record.reminded == end or not opened.known.record.start_mail_sent
        return None if told else (_claim(opened.row.id, opened.row.changed, opened.known), end)

    def mark_reminded(self, meeting: int, end: int, now: int) -> bool:
        """Remember that the organizer was told until when a series is kept. False when it is gone. Raises StoreError."""
        return self._note(meeting, now, lambda one: replace(one, reminded=end))

    def _note(self, meeting: int, now: int, noted: Callable[[MailRecord], MailRecord]) -> bool:
        with writing(self._db):
            opened = self._shelf.open(BY_ID, meeting, now)
            if not isinstance(opened, Opened):
                return False
            record = noted(opened.known.record)
            if record != opened.known.record:
                self._shelf.note(opened, record)
            return True

    def release(self, claim: Claim) -> bool:
        """Delete the meeting that `claim` made, if nobody has written to it since; say whether. Raises StoreError.

        One that was known before, or that another process has used in the meantime, stays: its links may be out.
        """
        if not claim.new:
            return False
        with writing(self._db):
            sql = "select uid_hash from meeting where id = ? and changed = ?"
            found = self._db.execute(sql, [claim.meeting, claim.changed]).fetchone()
            return found is not None and self._shelf.delete(*found)

    def cancel(
        self,
        organizer: str,
        uid: str,
        addresses: frozenset[str],
        revision: Revision,
        now: int,
        *,
        dates: tuple[int, ...] = (),
        onward: bool = False,
        conference: frozenset[str] = frozenset(),
        internal: Callable[[str], bool] = lambda _: False,
        only_look: bool = False,
    ) -> Cancelled:
        """Cancel a meeting for those who are named; for everybody: delete it and its links now, durably.

        Then its hash, the revision and an end stay, so that an older invitation that comes late does not bring it back. An
        attendee's own link is dead as soon as it is cancelled for the attendee.
        addresses: in lower case. dates: when some dates are cancelled, their starts in the series; onward: those that follow,
        too. When no date is left the meeting is deleted. conference: the conference addresses; when none of them is invited any
        more, those need not be named whose address is `internal`: no message to them ever comes by. only_look: say what it
        would do; nothing is written. now: seconds since 1970 UTC. Raises StoreError.
        """
        with writing(self._db):
            opened = self._shelf.open(BY_UID, uid_hash(self._uid_key, organizer, uid), now)
            if not isinstance(opened, Opened):
                return Cancelled(Cancelling.NOTHING)
            known, record = opened.known, opened.known.record
            after: Known | None
            if dates:
                after = after_cancelled_dates(known, addresses, revision, dates, onward=onward)
                after = None if after.expires_at <= now else after
            else:
                after = after_cancel(known, addresses, revision)
                if after is not None and after is not known and _conference_left(after, conference):
                    everybody = {one.address.lower() for one in record.attendees} | people.missing(known.version)
                    apart = frozenset(filter(internal, everybody))
                    after = None if after_cancel(known, addresses | apart, revision) is None else after
            if after is known:
                return Cancelled(Cancelling.NOTHING)
            about = (known.page, record.start_token)
            if after is None:
                if not only_look:
                    self._shelf.bury(opened, buried(known, revision, dates=bool(dates)), now)
                invited = {one.address.lower() for one in record.attendees} | addresses
                return Cancelled(Cancelling.MEETING, tuple(one for one in record.told if one in invited), *about)
            if dates:
                if not only_look:
                    self._shelf.rewrite(opened, after)
                gone = (
                    Cancelling.DATE if after.page != known.page else Cancelling.NOTHING
                )  # noted for some, or for later
                return Cancelled(gone, (), *about)
            invited = {one.address.lower() for one in after.record.attendees}
            uninvited = addresses - invited
            if not only_look:
                self._uninvite(opened, after, uninvited)
            return Cancelled(Cancelling.ATTENDEES, tuple(one for one in record.told if one in uninvited), *about)

    def _uninvite(self, opened: Opened, after: Known, addresses: frozenset[str]) -> None:
        record = after.record
        dead = [token for address, token in record.attendee_tokens if address in addresses]
        left = tuple(one for one in record.attendee_tokens if one[0] not in addresses)
        told = tuple(one for one in record.told if one not in addresses)
        self._shelf.drop_links(opened.row.id, dead)
        self._shelf.rewrite(opened, replace(after, record=replace(record, attendee_tokens=left, told=told)))

    def forget(self, organizer: str, uid: str) -> bool:
        """Delete a meeting and its links now; False when there was none. Raises StoreError."""
        with writing(self._db):
            return self._shelf.delete(uid_hash(self._uid_key, organizer, uid))


def _claim(meeting: int, changed: int, known: Known) -> Claim:
    record = known.record
    return Claim(
        meeting,
        record.join_token,
        record.start_token,
        False,
        record.start_mail_sent,
        changed,
        known.page,
        record.start_mail_at,
        record.moved,
        frozenset(record.told),
        frozenset(one.address.lower() for one in record.attendees),
        uninvited=frozenset(people.gone(known.version)),
        own_tokens=record.attendee_tokens,
    )


def _pruned(before: Known, after: Known, news: News) -> Known:
    """Return `after` without links of the own of those whom an update dropped, and with a mark of what was said last.

    A message that names one attendee alone may be for this one alone (guests who do not see each other): it drops nobody, the
    next one that names several does.
    """
    record = after.record
    if news.revision >= before.version.series and news.said != ("", ""):
        record = replace(record, said=news.said)
    here = {one.address.lower() for one in record.attendees} | people.missing(after.version)
    dropped = {*dict(record.attendee_tokens), *record.told} - here
    several = len(others(after.page, news.attendees)) > 1
    if dropped and several and not news.revision.said_before(after.version.rise):
        left = tuple(one for one in record.attendee_tokens if one[0] not in dropped)
        record = replace(record, attendee_tokens=left, told=tuple(one for one in record.told if one not in dropped))
    return after if record == after.record else replace(after, record=record)


def _conference_left(after: Known, conference: frozenset[str]) -> bool:
    """Say whether a conference address was invited, and none is any more."""
    invited = {one.address.lower() for one in after.record.attendees}
    return not conference.isdisjoint(people.gone(after.version)) and conference.isdisjoint(invited)


def _alive(after: Known, news: News, now: int) -> Known:
    """Return `after`, never over when a message goes out with its link: in doubt the later end counts."""
    return after if after.expires_at > now else replace(after, expires_at=max(after.expires_at, news.expires_at))


def _noted(before: Known, after: Known, now: int) -> Known:
    """Return `after` with a note of what moved, until the organizer is told; nobody is told of it before the start mail."""
    change = moved(before.page, after.page, now) if after is not before and before.record.start_mail_sent else ()
    if not change:
        return after
    was = before.record.moved[:1] or change[:1]  # moved twice before the organizer could be told; or back again
    back = (was[0].start, was[0].end) == (change[1].start, change[1].end)
    return replace(after, record=replace(after.record, moved=() if back else (*was, change[1])))
