"""What to change in a message, and the one function that changes it.

In:  a message (octets) and edits. Out: the edited message.
The milter door sends the same edits to Postfix; the SMTP door and `rewrite` call `apply`. A header edit names its field
by name and 1-based index among the fields of that name (case-insensitive), as the milter protocol does.
A signature (core.signing) goes to the top of the header, above all that it speaks of.
Fails: `EditError` when an edit names a header field that is not there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from notes2conf_milter.core.message import Field, eol_of, header_fields
from notes2conf_milter.core.repairs import Repair
from notes2conf_milter.core.signing import Signing
from notes2conf_milter.core.transfer import Splice, splice


class EditError(ValueError):
    """An edit that does not fit the message it is applied to."""


@dataclass(frozen=True, slots=True)
class ChangeHeader:
    """Replace the value of the index-th field called `name` (1-based).

    value: every octet between the colon and the final line end, leading blank and folds included; folds are written with
    the line end of the message.
    """

    name: bytes
    index: int
    value: bytes


@dataclass(frozen=True, slots=True)
class ReplaceBody:
    """Replace everything after the empty line that ends the header (RFC 5322 §2.1)."""

    body: bytes


@dataclass(frozen=True, slots=True)
class RemoveHeader:
    """Remove the index-th field called `name` (1-based)."""

    name: bytes
    index: int


@dataclass(frozen=True, slots=True)
class InsertHeader:
    """Put a field above all others. value: as in ChangeHeader."""

    name: bytes
    value: bytes


Edit = ChangeHeader | ReplaceBody | RemoveHeader | InsertHeader


@dataclass(frozen=True, slots=True)
class Changes:
    """What to change in a message, without the octets that stay: splices of the message, and header fields.

    repairs: the faults that were found in it, beside the link, and what becomes of them. signing: what becomes of signatures;
    that is for who has the keys, and not among `edits`.
    """

    splices: tuple[Splice, ...]
    body_start: int
    fields: tuple[ChangeHeader, ...]
    repairs: tuple[Repair, ...] = ()
    signing: Signing = field(default_factory=Signing)

    def edits(self, message: bytes) -> tuple[Edit, ...]:
        """Return the edits that make these changes in `message`, the one they were made for."""
        body = (ReplaceBody(splice(message, self.splices, self.body_start)),) if self.splices else ()
        return (*body, *self.fields)

    def applied(self, message: bytes) -> bytes:
        """Return what `apply(message, self.edits(message))` does, with one copy less of a long message."""
        return apply(splice(message, self.splices), self.fields) if self.splices else apply(message, self.fields)


def apply(message: bytes, edits: Iterable[Edit]) -> bytes:
    """Return `message` with `edits` applied; with no edits, the very same octets.

    Raises EditError when a header field that an edit names is not in the message.
    """
    for edit in edits:
        match edit:
            case ReplaceBody(body):
                message = message[: header_fields(message).body_start] + body
            case ChangeHeader(name, index, value):
                message = _change_header(message, name, index, value)
            case RemoveHeader(name, index):
                field = _field(message, name, index)
                message = message[: field.start] + message[field.end :]
            case InsertHeader(name, value):
                message = name + b":" + value + eol_of(message) + message
    return message


def _change_header(message: bytes, name: bytes, index: int, value: bytes) -> bytes:
    field = _field(message, name, index)
    return message[: field.value_start] + value + message[field.value_end :]


def _field(message: bytes, name: bytes, index: int) -> Field:
    same = [field for field in header_fields(message).fields if field.name.lower() == name.lower()]
    if not 1 <= index <= len(same):
        raise EditError(f"no header field {index} of the name given")
    return same[index - 1]
