"""The work on one message: what the store is told of it, and the changes that give it its link."""

from dataclasses import replace

import pytest

from notes2conf_milter.core import selfcheck, work
from notes2conf_milter.core.edits import ChangeHeader, Changes, apply
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.meeting import Person, Revision
from notes2conf_milter.core.policy import PolicySettings, Trigger
from notes2conf_milter.core.repairs import Mode, Repairs
from notes2conf_milter.core.verdict import Reason
from notes2conf_milter.core.work import Cancelled, Judged, WorkSettings, change, judge
from tests.invitations import BASE_URL, CALENDAR, FENCE, LINK, TOKEN, calendar, invitation, message, part, unfolded

SETTINGS = WorkSettings(BASE_URL, PolicySettings(frozenset({"example.org"})), "en", 730 * 86400)
ANNA = Envelope(Door.MILTER, b"anna@example.org")
BEFORE, AFTER = 1_772_500_000, 1_773_900_000  # March 2026: the meeting is on the 12th


def judged(octets: bytes, settings: WorkSettings = SETTINGS, now: int = BEFORE) -> object:
    found = judge(octets, ANNA, settings, now)
    return found[1] if isinstance(found, tuple) else found


def test_what_the_store_is_told() -> None:
    """Who, when, which revision; nothing of the text."""
    found = judged(invitation(b"SUMMARY:Plan\\, big", b"SEQUENCE:3"))
    assert isinstance(found, Judged)
    assert (found.uid, found.page.subject, found.page.organizer) == (
        "uid-1",
        "Plan, big",
        Person("anna@example.org", "Anna"),
    )
    assert (found.revision, found.whole, found.over_at) == (Revision(3, "20260302073000"), True, 1_773_309_600)
    assert [person.address for person in found.attendees] == ["bob@example.net"]
    assert (found.decision.claim, found.decision.update) == (None, True)


def test_why_a_message_passes() -> None:
    """The reader's reason, the schedule's, or the policy's."""
    assert judged(b"Subject: x\r\n\r\n") is Reason.NO_CALENDAR
    assert judged(invitation().replace(b"DTSTART:2026", b"DTSTART:abcd")) is Reason.CALENDAR_UNPARSABLE
    assert judged(invitation(b"STATUS:CANCELLED"), now=AFTER) is Reason.MEETING_OVER  # of no date, in an invitation
    assert (
        judged(invitation().replace(b"mailto:anna@example.org", b"mailto:eve@example.com")) is Reason.ORGANIZER_FOREIGN
    )


CANCEL = message(part(calendar(b"SEQUENCE:1", method=b"CANCEL"), b"text/calendar; method=CANCEL"))


def test_a_cancellation() -> None:
    """It names whom it is for; where nobody is named it is for those who get it."""
    assert judged(CANCEL) == Cancelled(
        "anna@example.org", "uid-1", frozenset({"bob@example.net"}), Revision(1, "20260302073000"), (), False, "en"
    )
    one_date = CANCEL.replace(b"SEQUENCE:1", b"SEQUENCE:1\r\nRECURRENCE-ID:20260312T090000Z")
    found = judged(one_date)
    assert isinstance(found, Cancelled)
    assert (found.dates, found.onward) == ((1_773_306_000,), False)
    onward = judged(one_date.replace(b"RECURRENCE-ID:", b"RECURRENCE-ID;RANGE=THISANDFUTURE:"))
    assert isinstance(onward, Cancelled)
    assert (onward.dates, onward.onward) == ((1_773_306_000,), True)
    nobody = CANCEL.replace(b"ATTENDEE;CN=Bob:mailto:bob@example.net\r\n", b"")
    found = judge(nobody, replace(ANNA, recipients=(b"Carl@example.net", b"dora@example.net")), SETTINGS, BEFORE)
    assert isinstance(found, Cancelled)
    assert found.addresses == {"carl@example.net", "dora@example.net"}


def test_a_cancellation_that_nobody_has_to_obey() -> None:
    """Law 9: it must come from where an invitation of its organizer would have to come from."""
    for sender in (b"berta@example.org", b"eve@example.com", b""):
        assert judge(CANCEL, replace(ANNA, sender=sender), SETTINGS, BEFORE) is Reason.METHOD_CANCEL
    foreign = CANCEL.replace(b"mailto:anna@example.org", b"mailto:eve@example.com")
    assert judge(foreign, replace(ANNA, sender=b"eve@example.com"), SETTINGS, BEFORE) is Reason.METHOD_CANCEL
    assert isinstance(judge(CANCEL, Envelope(Door.COMMAND, b""), SETTINGS, BEFORE), Cancelled)


def test_changes_are_small_however_long_the_message_is() -> None:
    """They hold what is new, not what stays."""
    octets = message(
        part(b"x\r\n" * 100_000, b"application/octet-stream"), part(calendar(), b"text/calendar; method=REQUEST")
    )
    found = judge(octets, ANNA, SETTINGS, BEFORE)
    assert isinstance(found, tuple)
    changes = change(octets, found[0], SETTINGS, TOKEN)
    assert not isinstance(changes, str)
    assert sum(len(one.text) for one in changes.splices) < 2_000
    result = apply(octets, changes.edits(octets))
    assert LINK in unfolded(result)
    assert changes.applied(octets) == result


def test_a_repair_that_the_self_check_does_not_agree_with_never_costs_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out and said to have failed; with an edit that is wrong by itself nothing is sent but the original."""
    octets = message(
        part(b"Hi\r\n", b"text/plain"), part(calendar(), b"text/calendar; method=REQUEST"), kind=b"related"
    )
    settings = replace(SETTINGS, repairs=Repairs(Mode.ON))
    found = judge(octets, ANNA, settings, BEFORE)
    assert isinstance(found, tuple)
    done = change(octets, found[0], settings, TOKEN)
    assert isinstance(done, Changes)
    assert list(map(str, done.repairs)) == ["multipart-related:done"]
    monkeypatch.setattr(selfcheck, "wrapped_again", lambda result, *_: result)
    without = change(octets, found[0], settings, TOKEN)
    assert isinstance(without, Changes)
    assert list(map(str, without.repairs)) == ["multipart-related:failed"]
    assert without.fields == ()
    assert LINK in unfolded(without.applied(octets))
    monkeypatch.setattr(work, "check", lambda *_: "body")
    assert change(octets, found[0], settings, TOKEN) == "body"


def test_the_keyword_goes_only_where_it_is_the_trigger() -> None:
    """With the setting `always` it is a word like any other."""
    octets = invitation(b"SUMMARY:Plan @meet").replace(b"Subject: Planning", b"Subject: Plan @meet")
    found = judge(octets, ANNA, SETTINGS, BEFORE)
    assert isinstance(found, tuple)
    by_keyword = replace(SETTINGS, policy=replace(SETTINGS.policy, trigger=Trigger.KEYWORD))
    always, keyword = (change(octets, found[0], settings, TOKEN) for settings in (SETTINGS, by_keyword))
    assert not isinstance(always, str)
    assert not isinstance(keyword, str)
    assert (always.fields, keyword.fields) == ((), (ChangeHeader(b"Subject", 1, b" Plan"),))


def test_the_language_is_the_messages_where_it_has_a_wording() -> None:
    """Else that of the setting; what is put in and what the store's mails are told are the same."""
    for tag, setting, language, title in (
        (b"de-DE", "en", "de", b"LABEL=Videokonferenz:"),
        (b"en", "de", "en", b"LABEL=Video conference:"),
        (b"fr", "de", "de", b"LABEL=Videokonferenz:"),
        (b"", "en", "en", b"LABEL=Video conference:"),
    ):
        octets = b"Content-Language: " + tag + b"\r\n" + invitation()
        settings = replace(SETTINGS, language=setting)
        found = judge(octets, ANNA, settings, BEFORE)
        assert isinstance(found, tuple)
        assert found[1].language == language
        changes = change(octets, found[0], settings, TOKEN)
        assert not isinstance(changes, str)
        assert title in unfolded(changes.applied(octets))


def test_an_update_in_another_language_replaces_the_block() -> None:
    """The fences are found again: the text is the message's, stands there once, and then stays (law 3)."""
    rich = b"X-ALT-DESC;FMTTYPE=text/html:<p>Plan</p>"
    html = part(b"<html><body><p>Plan</p></body></html>\r\n", b"text/html; charset=UTF-8", b"quoted-printable")
    parts = (part(b"Plan\r\n", b"text/plain; charset=UTF-8"), html, part(calendar(b"DESCRIPTION:Plan", rich), CALENDAR))
    octets = message(*parts)

    def given(octets: bytes) -> bytes:
        found = judge(octets, ANNA, SETTINGS, BEFORE)
        assert isinstance(found, tuple)
        changes = change(octets, found[0], SETTINGS, TOKEN)
        assert not isinstance(changes, str)
        return changes.applied(octets)

    english = given(octets)
    german = b"Content-Language: de\r\n" + english
    result = given(german)
    assert given(result) == result
    text = unfolded(result).replace(b"=\r\n", b"")
    assert (text.count(FENCE), text.count(b"<!--notes2conf-->")) == (4, 2)
    assert (text.count(b"Teilnehmen:"), text.count(b">An der Videokonferenz teilnehmen</a>")) == (2, 2)
    assert b"waiting room" not in text
    assert given(result.removeprefix(b"Content-Language: de\r\n")) == english


def test_a_repair_does_not_change_the_language() -> None:
    """What is wrapped beside the first text is asked too, for it is shown as soon as the repair is done (law 3)."""
    german, english = (
        part(b"x\r\n", b"text/plain; charset=UTF-8", b"", b"Content-Language: " + tag) for tag in (b"de", b"en")
    )
    octets = message(german, english, part(calendar(), b"text/calendar; method=REQUEST"), kind=b"related")
    settings = replace(SETTINGS, repairs=Repairs(Mode.ON))

    def given(octets: bytes) -> tuple[str, bytes]:
        found = judge(octets, ANNA, settings, BEFORE)
        assert isinstance(found, tuple)
        changes = change(octets, found[0], settings, TOKEN)
        assert not isinstance(changes, str)
        return found[1].language, changes.applied(octets)

    language, result = given(octets)
    assert b"multipart/alternative" in result
    assert given(result) == (language, result)
