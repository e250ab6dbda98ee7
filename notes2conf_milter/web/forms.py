"""The one form there is: what the button "Start the conference" sends, and how we know that it is from our page.

The token in the path is the secret. The proof beside it is bound to the page: only who was shown the start page for this
occurrence can send it, and a page left open since last week does not open next week's conference. It is keyed by the
token, so it outlives a restart and is the same in each process.

In:  the octets of a form (application/x-www-form-urlencoded). Out: its fields. Fails: never; what is not a form has no fields.
"""

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import parse_qsl

_MAX_FIELDS = 8


@dataclass(frozen=True, slots=True)
class OpenForm:
    """The hidden fields of the form. occurrence: the start of the occurrence that the page showed."""

    occurrence: str
    proof: str


def open_form(token: str, occurrence: int) -> OpenForm:
    """Return the fields that the start page of `token` carries while it shows `occurrence`."""
    return OpenForm(str(occurrence), _proof(token, str(occurrence)))


def read_open_form(body: bytes) -> OpenForm:
    """Read the fields from a request's body; those that are missing are empty."""
    try:
        fields = dict(parse_qsl(body.decode("ascii"), max_num_fields=_MAX_FIELDS))
    except ValueError:  # not ASCII (UnicodeDecodeError is one), or too many fields
        fields = {}
    return OpenForm(fields.get("occurrence", ""), fields.get("proof", ""))


def is_from_page(token: str, form: OpenForm) -> bool:
    """Say whether a form was on the start page of `token`."""
    return hmac.compare_digest(_octets(form.proof), _octets(_proof(token, form.occurrence)))


def _proof(token: str, occurrence: str) -> str:
    return hmac.new(_octets(token), _octets(f"open {occurrence}"), hashlib.sha256).hexdigest()


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # a form can spell anything, lone surrogates too
