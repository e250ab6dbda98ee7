"""The acceptance of a conference address (RFC 5546 §3.2.3)."""

import email
import email.policy
from dataclasses import replace
from datetime import UTC, date, datetime

import icalendar

from notes2conf_milter.core.reply import Reply, reply_message

REPLY = Reply(
    "0A1B-Lotus_Notes_Generated",
    "anna@example.org",
    3,
    None,
    False,
    "meet@conf.example.org",
    "<reply.1@example.org>",
    1_772_000_000,
    "en",
)


def event(reply: Reply) -> icalendar.Event:
    message = email.message_from_bytes(reply_message(reply), policy=email.policy.default)
    assert message.get_content_type() == "text/calendar"
    assert message.get_param("method") == "REPLY"
    calendar = icalendar.Calendar.from_ical(message.get_content())
    assert calendar["METHOD"] == "REPLY"
    (found,) = calendar.walk("VEVENT")
    assert isinstance(found, icalendar.Event)
    return found


def test_it_accepts_what_it_was_sent() -> None:
    found = event(REPLY)
    assert (str(found["UID"]), found["SEQUENCE"]) == (REPLY.uid, 3)
    assert found["ORGANIZER"] == "mailto:anna@example.org"
    assert found["ATTENDEE"] == "mailto:meet@conf.example.org"
    assert found["ATTENDEE"].params["PARTSTAT"] == "ACCEPTED"
    assert "RECURRENCE-ID" not in found


def test_of_one_date_it_names_the_date() -> None:
    assert event(replace(REPLY, instance=1_772_436_600))["RECURRENCE-ID"].dt == datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
    whole = event(replace(REPLY, instance=1_772_409_600, whole_day=True))
    assert whole["RECURRENCE-ID"].dt == date(2026, 3, 2)


def test_it_is_a_machines_and_nobody_else_is_named() -> None:
    message = email.message_from_bytes(reply_message(replace(REPLY, language="de")), policy=email.policy.default)
    assert (message["Auto-Submitted"], message["To"]) == ("auto-replied", "anna@example.org")
    assert message["From"] == "Videokonferenz <meet@conf.example.org>"


def test_no_uid_breaks_out_of_its_line() -> None:
    octets = reply_message(replace(REPLY, uid="x\r\nATTENDEE:mailto:evil@example.com" + "ü" * 200))
    assert b"\nATTENDEE:" not in octets
    assert octets.count(b"\n") == octets.count(b"\r\n")
    assert max(len(line) for line in octets.split(b"\r\n\r\n", 1)[1].split(b"\r\n")) <= 75
