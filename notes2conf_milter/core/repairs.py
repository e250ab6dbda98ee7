"""What may be repaired in an invitation beside giving it its link, and what is said of a repair.

In:  the settings `repairs.*`. Out: values: what was found wrong with one message, and what became of it.
The repairs themselves: core.related (multipart/related around a calendar) and core.rdates (RDATE without RRULE).
Fails: never; these are values. None holds personal data.
"""

from dataclasses import dataclass
from enum import Enum


class Mode(Enum):
    """What is done about one kind of fault; the values are those of the setting."""

    OFF = "off"  # nobody looks
    REPORT = "report"  # it is said, and nothing is edited
    ON = "on"


@dataclass(frozen=True, slots=True)
class Repairs:
    """What the administrator wants: one mode for each repair."""

    multipart_related: Mode = Mode.REPORT
    rdate: Mode = Mode.REPORT


class Fault(Enum):
    """What is wrong; the value is the word that the log shows."""

    MULTIPART_RELATED = "multipart-related"
    RDATE = "rdate"


class State(Enum):
    """What became of it; the value is the word that the log shows."""

    REPORT = "report"  # it could be repaired
    DONE = "done"
    NOT_POSSIBLE = "not-possible"
    FAILED = "failed"  # the self-check did not agree with the repair: it was left out


@dataclass(frozen=True, slots=True)
class Repair:
    """A fault that was found in a message. why: the sentence that says what stands in the way, for NOT_POSSIBLE."""

    fault: Fault
    state: State
    why: str = ""

    def __str__(self) -> str:
        return f"{self.fault.value}:{self.state.value}"

    @property
    def explanation(self) -> str:
        """What it means, in a sentence or two."""
        return " ".join(filter(None, (_FAULTS[self.fault], _STATES[self.state], self.why)))


_FAULTS = {
    Fault.MULTIPART_RELATED: "The calendar is wrapped in multipart/related; Exchange Online and Outlook may show its raw text.",
    Fault.RDATE: "The series is a list of dates (RDATE) without a rule (RRULE); Outlook refuses it.",
}
_STATES = {
    State.REPORT: 'It can be repaired: with the setting "on" it would have been.',
    State.DONE: "It was repaired.",
    State.NOT_POSSIBLE: "It cannot be repaired.",
    State.FAILED: "It was not repaired: the self-check did not agree.",
}
