"""The corpus of real invitations that lies beside the checkout: each message with the house that would have sent it.

Nothing of it is in the repository but the names of its files, with what was decided about each (corpus.tsv, a reviewed table).
"""

import base64
import csv
import quopri
import re
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from notes2conf_milter.core.invitation import Invitation, read
from notes2conf_milter.core.message import authors
from tests.golden import Case

CORPUS = Path(__file__).parents[1].parent / "shared" / "corpus"
TABLE = Path(__file__).with_name("corpus.tsv")
NOW = datetime(1990, 1, 1, tzinfo=UTC)  # before them all: none is over
_FIELD = re.compile(rb"^[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*", re.MULTILINE)
_DELIVERED = re.compile(rb"(?i)(?:Return-Path|X-Forwarded-For|X-Forwarded-To|Resent-[A-Za-z-]+):")
_FROM = re.compile(rb"(?i)From:")
_ADDRESS = re.compile(rb"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


def wrapped(calendar: bytes, encoding: str) -> bytes:
    """A minimal message around a calendar."""
    method = re.search(rb"(?im)^METHOD:\s*(\w+)", calendar)
    body = calendar
    if encoding == "base64":
        body = base64.encodebytes(calendar).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        body = quopri.encodestring(calendar.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return (
        b"From: anna@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/calendar; charset=UTF-8; method="
        + (method[1] if method else b"REQUEST")
        + b"\r\nContent-Transfer-Encoding: "
        + encoding.encode()
        + b"\r\n\r\n"
        + body
    )


@lru_cache(1)
def messages() -> dict[str, bytes]:
    """Every message by its file's name, in CRLF; calendars in a message around them."""
    found = {}
    for path in sorted((CORPUS / "messages").glob("*.eml")):
        octets = path.read_bytes()
        if octets.startswith(b"From "):  # mbox
            octets = octets.partition(b"\n")[2]
        # One begins with a line of blanks, which would end its header.
        found[path.name] = _sent(re.sub(rb"\r?\n", b"\r\n", octets.lstrip()))
    for path in sorted((CORPUS / "calendars").glob("*.ics")):
        found[path.name] = _sent(wrapped(path.read_bytes(), "8bit"))
    return found


def _sent(octets: bytes) -> bytes:
    """A message as its organizer sends it: From says so, no mailbox has had it yet. Some were forwarded, or made anonymous."""
    by, end = sender(octets), octets.find(b"\r\n\r\n") + 2
    head = _FIELD.sub(lambda one: b"" if _DELIVERED.match(one[0]) else one[0], octets[:end])
    if isinstance(read(octets), Invitation) and authors(octets) != {by.lower()}:
        head = b"From: %b\r\n" % by.encode() + _FIELD.sub(lambda one: b"" if _FROM.match(one[0]) else one[0], head)
    return head + octets[end:]


@lru_cache(1)
def in_every_encoding() -> dict[str, bytes]:
    """The same, with the calendars in base64 and quoted-printable, too."""
    found = {name: octets for name, octets in messages().items() if name.endswith(".eml")}
    for path in sorted((CORPUS / "calendars").glob("*.ics")):
        for encoding in ("8bit", "base64", "quoted-printable"):
            found[f"{path.name} {encoding}"] = _sent(wrapped(path.read_bytes(), encoding))
    return found


def sender(octets: bytes) -> str:
    """The organizer, or who seems to have sent it."""
    found = read(octets)
    if isinstance(found, Invitation):
        return found.organizer.address
    organizer = re.search(rb"(?i)ORGANIZER[^\r\n]*?mailto:([^\r\n\"]+)", octets.replace(b"\r\n ", b""))
    source = organizer[1] if organizer else (re.search(rb"(?im)^From:([^\r\n]*)", octets) or [b"", b""])[1]
    address = _ADDRESS.search(source)
    return address[0].decode() if address else "anna@example.org"


def case(name: str) -> Case:
    """The message as a golden message: from its own organizer, in a house of the organizer's domain."""
    octets = messages()[name]
    by = sender(octets)
    facts = {
        "now": NOW,
        "sender": by,
        "recipients": ["bob@example.net"],
        "client": "192.0.2.10",
        "authenticated": False,
        "known": False,
        "as_received": True,
        "domains": [by.rpartition("@")[2].lower()],
    }
    return Case(name, octets, octets, facts)


def table() -> dict[str, tuple[str, str]]:
    """Verdict and reason by file, as they were reviewed."""
    with TABLE.open(encoding="utf-8", newline="") as lines:
        return {row["file"]: (row["verdict"], row["reason"]) for row in csv.DictReader(lines, delimiter="\t")}
