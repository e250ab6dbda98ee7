"""What is inside a sealed column: the values of core/meeting.py as compact JSON, padded.

In:  a value. Out: octets, and back. Pure.
Fails: `Unsealable` where octets are not such a value (they opened, so another version of this program wrote them).

The padding is blanks up to a multiple of 256 octets, which JSON allows at the end (RFC 8259 §2): a length tells how
long a subject or a list of attendees is only roughly. JSON is written in ASCII, which carries any str there is, lone
surrogates too.

The times of a series are written as runs, [seconds since the start before, length, place, how many in a row], with the
places (zone, offset, whole days) beside them: a daily series of two years is a dozen numbers, not fifty thousand octets.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from notes2conf_milter.core.meeting import (
    Admission,
    Instance,
    MailRecord,
    Named,
    Occurrence,
    Page,
    Person,
    Revision,
    Room,
    RoomState,
    Version,
)
from notes2conf_milter.store.sealing import Unsealable

PADDED_TO = 256
_T = TypeVar("_T")


def from_page(page: Page) -> bytes:
    """Return the plaintext of the column `page`."""
    organizer = [page.organizer.address, page.organizer.name]
    return _padded([page.subject, organizer, _from_times(page.times), page.recurring])


def to_page(plain: bytes) -> Page:
    """Read the column `page`; raises Unsealable."""

    def read() -> Page:
        subject, organizer, times, recurring = json.loads(plain)
        return Page(subject, Person(*organizer), _to_times(*times), recurring)

    return _reading(read)


def _from_times(times: tuple[Occurrence, ...]) -> tuple[list[tuple[str, int, bool]], list[list[int]]]:
    places: dict[tuple[str, int, bool], int] = {}
    runs: list[list[int]] = []
    before = 0
    for one in times:
        place = places.setdefault((one.zone, one.offset, one.all_day), len(places))
        step = [one.start - before, one.end - one.start, place]
        if runs and runs[-1][:-1] == step:
            runs[-1][-1] += 1
        else:
            runs.append([*step, 1])
        before = one.start
    return list(places), runs


def _to_times(places: list[tuple[str, int, bool]], runs: list[list[int]]) -> tuple[Occurrence, ...]:
    times: list[Occurrence] = []
    start = 0
    for gap, length, place, count in runs:
        for _ in range(count):
            start += gap
            times.append(Occurrence(start, start + length, *places[place]))
    return tuple(times)


def from_room(room: Room | None) -> bytes:
    """Return the plaintext of the column `room`.

    A room that does not exist yet is written too, so that its absence does not show.
    """
    return _padded(None if room is None else _from_room(room))


def _from_room(room: Room) -> list[Any]:
    admission = room.admission and room.admission.value
    return [room.occurrence, room.state.value, room.service, room.url, room.name, admission, room.until]


def to_room(plain: bytes) -> Room | None:
    """Read the column `room`; raises Unsealable."""

    def read() -> Room | None:
        values = json.loads(plain)
        if values is None:
            return None
        occurrence, state, service, url, name, admission, until = values
        chosen = None if admission is None else Admission(admission)
        return Room(occurrence, RoomState(state), service, url, name, chosen, until)

    return _reading(read)


def from_mail(record: MailRecord, version: Version) -> bytes:
    """Return the plaintext of the column `mail`."""
    return _padded([_from_record(record), _from_version(version)])


def to_mail(plain: bytes) -> tuple[MailRecord, Version]:
    """Read the column `mail`; raises Unsealable."""

    def read() -> tuple[MailRecord, Version]:
        record, version = json.loads(plain)
        return _to_record(record), _to_version(version)

    return _reading(read)


def from_revision(revision: Revision) -> bytes:
    """Return the plaintext of the column `version`."""
    return _padded(_revision(revision))


def to_revision(plain: bytes) -> Revision:
    """Read the column `version`; raises Unsealable."""

    def read() -> Revision:
        sequence, dtstamp = json.loads(plain)
        if not isinstance(sequence, int) or not isinstance(dtstamp, str):
            raise TypeError
        return Revision(sequence, dtstamp)

    return _reading(read)


def _from_record(record: MailRecord) -> list[Any]:
    attendees = [[one.address, one.name] for one in record.attendees]
    tokens = [record.join_token, record.start_token, record.attendee_tokens]
    mails = [record.start_mail_sent, record.start_mail_at, record.moved and _from_times(record.moved), record.told]
    mails += [record.said, record.reminded]
    return [record.uid, attendees, *tokens, *mails, record.tenant]


def _to_record(values: object) -> MailRecord:
    uid, attendees, join_token, start_token, own, sent, sent_at, moved, told, said, reminded, tenant = _list(values)
    return MailRecord(
        uid,
        tuple(Person(*one) for one in attendees),
        join_token,
        start_token,
        sent,
        tenant,
        sent_at,
        _to_times(*moved) if moved else (),
        tuple(_list(told)),
        tuple((address, token) for address, token in own),
        (said[0], said[1]),
        reminded,
    )


def from_label(name: str) -> bytes:
    """Return the plaintext of the column `label` of a link. name: whose it is, or ""."""
    return _padded(name)


def to_label(plain: bytes) -> str:
    """Read the column `label`; raises Unsealable."""

    def read() -> str:
        name = json.loads(plain)
        if not isinstance(name, str):
            raise TypeError
        return name

    return _reading(read)


def _from_version(version: Version) -> list[Any]:
    instances = [
        [start, *_revision(one.revision), one.over_at, one.onward, one.within, *_from_times(one.times)]
        for start, one in version.instances
    ]
    people = [
        [one.address, one.invited and _revision(one.invited), one.withdrawn and _revision(one.withdrawn)]
        for one in version.people
    ]
    cuts = [[start, _revision(revision)] for start, revision in version.cuts]
    partly = [[start, on, _revision(revision), names] for start, on, revision, names in version.partly]
    ends = [*_from_times(version.own), version.over_at, version.lag, version.complete, version.risen, version.endless]
    ends.append(version.since)
    return [*_revision(version.series), instances, people, ends, cuts, partly]


def _to_version(values: object) -> Version:
    sequence, dtstamp, instances, people, (*own, over_at, lag, complete, risen, endless, since), cuts, partly = _list(
        values
    )
    return Version(
        Revision(sequence, dtstamp),
        tuple((start, _to_instance(*one)) for start, *one in _list(instances)),
        tuple(Named(address, *map(_to_revision, both)) for address, *both in _list(people)),
        _to_times(*own),
        over_at,
        lag,
        complete,
        tuple((start, Revision(*revision)) for start, revision in _list(cuts)),
        tuple((start, on, Revision(*revision), tuple(_list(names))) for start, on, revision, names in _list(partly)),
        risen,
        endless,
        since,
    )


def _revision(revision: Revision) -> list[Any]:
    return [revision.sequence, revision.dtstamp]


def _to_revision(values: list[Any] | None) -> Revision | None:
    return None if values is None else Revision(*values)


def _to_instance(sequence: int, dtstamp: str, over_at: int, onward: bool, within: int, *times: Any) -> Instance:
    return Instance(Revision(sequence, dtstamp), _to_times(*times), over_at, onward, within)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _padded(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return text + b" " * (-len(text) % PADDED_TO)


def _reading(read: Callable[[], _T]) -> _T:
    try:
        return read()
    except (ValueError, TypeError, IndexError):
        raise Unsealable from None
