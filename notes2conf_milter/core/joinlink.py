"""The form of tokens and links.

A token is 32 characters of lower-case base32 (RFC 4648 §6): 160 random bits. No character of it needs escaping in a URL,
a calendar, HTML or quoted-printable, none is dropped by a mail client that guesses where a URL ends, and case does not
matter.
In:  octets or text. Out: tokens and links. Nothing here is random: the store draws the tokens.
Fails: ValueError for octets that are no token.
"""

import base64
import re

TOKEN_OCTETS = 20
TOKEN_LENGTH = 32
_TOKEN = r"[a-z2-7]{32}"
_TOKEN_TEXT = re.compile(_TOKEN)


def token_from(random: bytes) -> str:
    """Return the token that spells 20 random octets; raises ValueError for another number of them."""
    if len(random) != TOKEN_OCTETS:
        raise ValueError(f"a token spells {TOKEN_OCTETS} octets")
    return base64.b32encode(random).decode("ascii").lower()


def is_token(text: str) -> bool:
    """Say whether `text` has the form of a token."""
    return _TOKEN_TEXT.fullmatch(text) is not None


def join_url(base_url: str, token: str) -> str:
    """Return the join link for a token. base_url: without a final slash."""
    return f"{base_url}/j/{token}"


def start_url(base_url: str, token: str) -> str:
    """Return the start link for a token. base_url: without a final slash."""
    return f"{base_url}/s/{token}"


def own_join_link(base_url: str) -> re.Pattern[bytes]:
    """Return a pattern that finds any join link of ours in octets; group 1 is the token."""
    return re.compile(
        re.escape(f"{base_url}/j/".encode("ascii")) + rb"(" + _TOKEN.encode() + rb")(?![A-Za-z0-9])", re.IGNORECASE
    )
