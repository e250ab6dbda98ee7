"""What `notes2conf-milter rewrite` shows: what would become of a message, and which mails would be written."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.test_skips import OUTER, REQUEST, encrypted, signed, tnef
from tests.invitations import invitation

PROGRAM = str(Path(sys.executable).with_name("notes2conf-milter"))
NOW = ("--now", "2026-03-02T10:00:00Z")
SETTINGS = """
base_url = "https://conf.example.org"
links = "attendee"
[policy]
organizer_domains = ["example.org"]
trigger = "keyword"
[conference]
addresses = ["meet@conf.example.org"]
internal_domains = ["int.example.org"]
reply = true
[limits]
attendees = 3
"""
GUESTS = b"ATTENDEE:mailto:meet@conf.example.org", b"ATTENDEE:mailto:carla@int.example.org"


def explain(octets: bytes, *options: str) -> tuple[dict[str, object], bytes]:
    command = [PROGRAM, "rewrite", "--explain", *NOW, *options]
    done = subprocess.run(command, input=octets, capture_output=True, timeout=60, check=True)
    return json.loads(done.stderr.splitlines()[-1]), done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> list[str]:
    """Options for a settings file with a store of its own, kept from call to call."""
    file = tmp_path / "notes2conf.toml"
    file.write_text(SETTINGS, "utf-8")
    return ["--config", str(file), "--state", str(tmp_path / "state")]


def test_the_conference_address(folder: list[str]) -> None:
    """Nothing goes on; what it made is there for the next message."""
    message = invitation(b"SUMMARY:Plan", *GUESTS)
    said, out = explain(message, *folder, "--recipient", "meet@conf.example.org")
    assert (said["verdict"], said["reason"], out) == ("take", "conference-made", b"")
    assert (
        said["explanation"]
        == "The conference address was invited: the meeting has a conference, its organizer the start link."
    )
    said, out = explain(message, *folder, "--recipient", "bob@example.net")
    assert (said["verdict"], said["reason"]) == ("rewrite", "link-kept")
    off = message.replace(b"REQUEST", b"CANCEL")
    said, _ = explain(off, *folder, "--recipient", "meet@conf.example.org")
    assert (said["verdict"], said["reason"]) == ("take", "meeting-cancelled")


def test_each_attendee(folder: list[str]) -> None:
    """With one recipient the copy has a link of its own."""
    message = invitation(b"SUMMARY:Plan", *GUESTS)
    links = []
    for to in (["--recipient", "bob@example.net"], []):
        _, out = explain(message, *folder, *to)
        links.append(set(re.findall(rb"/j/([a-z2-7]{32})", re.sub(rb"\r\n[ \t]", b"", out))))
    assert len(links[0]) == len(links[1]) == 1
    assert links[0] != links[1]


def test_limits(folder: list[str]) -> None:
    many = invitation(b"SUMMARY:Plan", *GUESTS, *(b"ATTENDEE:mailto:p%d@example.net" % number for number in range(3)))
    said, out = explain(many, *folder)
    assert (said["verdict"], said["reason"], out) == ("pass", "too-many-attendees", many)


def test_the_mails_that_would_be_written(tmp_path: Path) -> None:
    """With a throw-away store alone: in one that is in use nothing must be noted as sent."""
    said, _ = explain(invitation(b"SUMMARY:Plan"), "--organizer-domain", "example.org")
    assert said["mails"] == [{"mail": "start mail", "to": "anna@example.org"}]
    said, _ = explain(invitation(b"SUMMARY:Plan"), "--organizer-domain", "example.org", "--state", str(tmp_path / "s"))
    assert said["mails"] == []


@pytest.mark.parametrize(
    ("octets", "reason"),
    [(signed(b"SUMMARY:Plan"), "signed"), (tnef(REQUEST), "tnef"), (encrypted(OUTER), "encrypted")],
    ids=["signed", "tnef", "encrypted"],
)
def test_why_there_is_no_link(octets: bytes, reason: str) -> None:
    """The organizer would be told."""
    said, out = explain(octets, "--organizer-domain", "example.org")
    assert (said["verdict"], said["reason"], out) == ("pass", reason, octets)
    assert said["mails"] == [{"mail": "why there is no link", "to": "anna@example.org"}]
