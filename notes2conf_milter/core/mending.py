"""What is repaired in one message: the faults that are found, and the edits that go with those of the link.

In:  a message, its invitation, the administrator's `Repairs`. Out: a `Mending`.
Fails: never by itself; the self-check looks at what comes of it (core.samewrapping, core.samedates).
"""

from dataclasses import dataclass, field, replace

from notes2conf_milter.core.edits import ChangeHeader
from notes2conf_milter.core.invitation import Invitation
from notes2conf_milter.core.rdates import Ruled, ruled
from notes2conf_milter.core.related import Unwrapped, unwrap
from notes2conf_milter.core.repairs import Fault, Mode, Repair, Repairs, State
from notes2conf_milter.core.transfer import Splice


@dataclass(frozen=True, slots=True)
class Mending:
    """The edits, beside those of the link.

    invitation: as it is read when it is mended, with the offsets of the message as it is. splices: of the message, in its
    structure. fields: of its header. calendars: splices of the decoded octets of a copy, by its body_start. rule: the RRULE
    that comes in the place of RDATE, or None. repairs: what is said of all that.
    """

    invitation: Invitation
    splices: tuple[Splice, ...] = ()
    fields: tuple[ChangeHeader, ...] = ()
    calendars: dict[int, tuple[Splice, ...]] = field(default_factory=dict)
    rule: bytes | None = None
    repairs: tuple[Repair, ...] = ()

    @property
    def unwraps(self) -> bool:
        """A multipart/related becomes multipart/alternative."""
        return bool(self.splices or self.fields)

    def failed(self) -> tuple[Repair, ...]:
        """Return what is said where the repairs were left out because the self-check did not agree."""
        done = State.DONE
        return tuple(replace(one, state=State.FAILED) if one.state is done else one for one in self.repairs)


def mend(message: bytes, invitation: Invitation, wanted: Repairs) -> Mending:
    """Return what is found and, where it is wanted, what repairs it."""
    mending = Mending(invitation)
    if wanted.multipart_related is not Mode.OFF:
        mending = _unwrapped(mending, unwrap(message, invitation), wanted.multipart_related)
    if wanted.rdate is not Mode.OFF:
        mending = _ruled(mending, ruled(invitation), wanted.rdate)
    return mending


def _unwrapped(before: Mending, found: Unwrapped | str | None, mode: Mode) -> Mending:
    mending = _said(before, Fault.MULTIPART_RELATED, found, mode)
    if mode is not Mode.ON or not isinstance(found, Unwrapped):
        return mending
    invitation = replace(before.invitation, root=found.root)
    return replace(mending, invitation=invitation, splices=found.splices, fields=found.fields)


def _ruled(before: Mending, found: Ruled | str | None, mode: Mode) -> Mending:
    mending = _said(before, Fault.RDATE, found, mode)
    if mode is not Mode.ON or not isinstance(found, Ruled):
        return mending
    return replace(mending, calendars=found.calendars, rule=found.rule)


def _said(mending: Mending, fault: Fault, found: object, mode: Mode) -> Mending:
    if found is None:
        return mending
    if isinstance(found, str):
        said = Repair(fault, State.NOT_POSSIBLE, found)
    else:
        said = Repair(fault, State.DONE if mode is Mode.ON else State.REPORT)
    return replace(mending, repairs=(*mending.repairs, said))
