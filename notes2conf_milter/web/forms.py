"""The forms of the pages: what their buttons send, and how we know that it is from our page.

The token in the path is the secret. The proof beside it is bound to the page: only who was shown a page of this link for this
occurrence can send it, and a page left open since last week does not open next week's conference. It is keyed by the
token, so it outlives a restart and is the same in each process.

In:  the octets of a form (application/x-www-form-urlencoded). Out: its fields. Fails: never; what is not a form has no fields.
"""

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import parse_qsl

_MAX_FIELDS = 8
_LONGEST = 2048  # characters of a field: a pasted link


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form; those that were missing are empty.

    occurrence: the start of the occurrence that the page showed. do: the button. The others are what was chosen or typed.
    """

    occurrence: str = ""
    proof: str = ""
    do: str = ""
    service: str = ""
    link: str = ""
    admission: str = ""
    minutes: str = ""
    admit: str = ""
    away: str = ""
    name: str = ""


def blank_form(token: str, occurrence: int) -> Form:
    """Return the hidden fields that a page of `token` carries while it shows `occurrence`."""
    return Form(str(occurrence), _proof(token, str(occurrence)))


def read_form(body: bytes) -> Form:
    """Read the fields from a request's body."""
    try:
        fields = dict(parse_qsl(body.decode("ascii"), max_num_fields=_MAX_FIELDS))
    except ValueError:  # not ASCII (UnicodeDecodeError is one), or too many fields
        fields = {}
    return Form(**{name: fields.get(name, "")[:_LONGEST] for name in Form.__slots__})


def is_from_page(token: str, form: Form) -> bool:
    """Say whether a form was on a page of `token`."""
    return hmac.compare_digest(_octets(form.proof), _octets(_proof(token, form.occurrence)))


def _proof(token: str, occurrence: str) -> str:
    return hmac.new(_octets(token), _octets(f"page {occurrence}"), hashlib.sha256).hexdigest()


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # a form can spell anything, lone surrogates too
