"""One message: decide, remember, rewrite; and what happens when something fails."""

import asyncio
import email
import email.policy
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from notes2conf_milter import mailflow, ownmail
from notes2conf_milter.core import work
from notes2conf_milter.core.edits import ChangeHeader, apply
from notes2conf_milter.core.encryption import Hop, Tls, TlsRules, read_rule
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.meeting import LinkKind, Room
from notes2conf_milter.core.onward import MARK
from notes2conf_milter.core.policy import Trigger
from notes2conf_milter.core.repairs import Mode, Repairs
from notes2conf_milter.core.tlsrecord import TlsLog
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.core.waitingroom import State, View, opened, view
from notes2conf_milter.core.wording import WORDINGS, Wording
from notes2conf_milter.mailflow import MailFlow
from notes2conf_milter.readers import domain
from notes2conf_milter.smtp.reinject import Handover
from notes2conf_milter.store import StoreError
from tests.house import (
    ACCEPTED,
    BERTA,
    DAY,
    DEFERRED,
    INSIDE,
    MESSAGE,
    NOW,
    OVER,
    REFUSED,
    RULES,
    SENT,
    House,
    links_open,
    start_token,
    token,
    word,
)
from tests.inthread import Complaining, InThread
from tests.invitations import invitation


def test_a_new_meeting(house: House) -> None:
    """Gets a link, a row and one start mail to its organizer; the same again gets the same link and no mail."""
    first, second = house.process(), house.process()
    assert word(first) == SENT
    assert word(second) == (Verdict.REWRITE, Reason.LINK_KEPT)
    assert token(first) == token(second)
    assert [recipient for recipient, _ in house.mails] == [b"anna@example.org"]
    assert house.rows() == 1


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Repairs(), " repairs=multipart-related:report"),
        (Repairs(Mode.ON), " repairs=multipart-related:done"),
        (Repairs(Mode.OFF), ""),
    ],
)
def test_the_log_line_says_what_was_found_to_repair(
    house: House, wanted: Repairs, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Behind the reason, and only where something was found."""
    house.settings = replace(house.settings, repairs=wanted)
    wrapped = MESSAGE.replace(b"multipart/alternative", b"multipart/related")
    with caplog.at_level(logging.INFO):
        outcome = house.process(wrapped)
        house.process()
    reasons = [line.partition(" reason=")[2].partition(" tls=")[0] for line in caplog.messages]
    assert reasons == ["link-added" + said, "link-kept"]
    assert (b"multipart/related" in apply(wrapped, outcome.edits)) == (wanted.multipart_related is not Mode.ON)


def test_what_carries_a_link_is_marked_where_that_is_wanted(house: House) -> None:
    """Once, in a message that needs no other edit, too, and in the start mail; nothing else is; without the setting nothing."""
    unmarked = apply(MESSAGE, house.process().edits)
    assert b"X-Notes2conf-TLS" not in unmarked + house.mails[0][1]
    house.settings = replace(house.settings, mark_links=True)
    outcome = house.process(unmarked)
    assert (word(outcome), outcome.edits) == ((Verdict.REWRITE, Reason.LINK_PRESENT), (MARK,))
    again = house.process(apply(unmarked, outcome.edits))
    assert (word(again), again.edits) == ((Verdict.REWRITE, Reason.LINK_PRESENT), ())
    new = house.process(MESSAGE.replace(b"uid-1", b"uid-2"))
    assert (word(new), new.edits[-1]) == (SENT, MARK)
    assert house.mails[-1][1].startswith(b"X-Notes2conf-TLS: required\r\n")
    assert house.process(cancellation(b"SEQUENCE:1")).edits == ()


def test_an_invitation_with_its_link_is_repaired_too(house: House) -> None:
    """Switched on later, the repair comes with the next message of a meeting that has its link."""
    wrapped = MESSAGE.replace(b"multipart/alternative", b"multipart/related")
    linked = apply(wrapped, house.process(wrapped).edits)
    house.settings = replace(house.settings, repairs=Repairs(Mode.ON))
    mended = house.process(linked)
    assert word(mended) == (Verdict.REWRITE, Reason.LINK_KEPT)
    assert [edit for edit in mended.edits if isinstance(edit, ChangeHeader)] == list(mended.edits)
    again = house.process(apply(linked, mended.edits))
    assert (again.edits, again.repairs) == ((), ())


def test_the_language_of_the_message(house: House) -> None:
    """Invitation and start mail are in the same one; in a language of the house's own, the mail is in the setting's."""
    french = Wording("Visioconférence", "{link}", '<a href="{link}">Rejoindre</a>')
    house.settings = replace(house.settings, wordings={**WORDINGS, "fr": french})
    said = {}
    for tag in (b"de-DE", b"fr", b"nl"):
        octets = b"Content-Language: " + tag + b"\r\n" + MESSAGE.replace(b"uid-1", b"uid-" + tag)
        result = apply(octets, house.process(octets).edits)
        label = re.search(rb"LABEL=([^:]*):", re.sub(rb"\r\n[ \t]", b"", result))
        said[tag] = (label and label[1].decode(), email.message_from_bytes(house.mails[-1][1])["Content-Language"])
    assert said == {
        b"de-DE": ("Videokonferenz", "de"),
        b"fr": ("Visioconférence", "en"),
        b"nl": ("Video conference", "en"),
    }


def cancellation(*properties: bytes) -> bytes:
    """The organizer's cancellation of the meeting in MESSAGE."""
    return invitation(b"STATUS:CANCELLED", *properties).replace(b"REQUEST", b"CANCEL")


def test_a_cancelled_meeting(house: House) -> None:
    """Its links lead nowhere from then on; the message itself goes on as it came, and the old invitation without a link."""
    tokens = token(house.process()), start_token(house)
    assert house.process(cancellation(b"SEQUENCE:1")) == Outcome(Verdict.FORGET, Reason.MEETING_CANCELLED)
    assert not any(links_open(house, one) for one in tokens)
    assert house.process(cancellation(b"SEQUENCE:1")) == Outcome(Verdict.PASS, Reason.METHOD_CANCEL)
    assert house.process() == Outcome(Verdict.PASS, Reason.CANCELLED_BEFORE)
    assert len(house.mails) == 1
    anew = MESSAGE.replace(b"SUMMARY:", b"SEQUENCE:2\r\nSUMMARY:").replace(b"20260302T073000Z", b"20260302T074000Z")
    assert word(house.process(anew)) == SENT
    assert len(house.mails) == 2


def test_a_cancellation_for_some(house: House) -> None:
    """The meeting stays for the others, until they are told too; one that comes from elsewhere counts for nothing."""
    both = invitation(b"ATTENDEE:mailto:carl@example.net")
    join = token(house.process(both), both)
    bob, carl = cancellation(b"SEQUENCE:1"), cancellation(b"SEQUENCE:1").replace(b"bob@", b"carl@")
    assert house.process(bob, BERTA) == Outcome(Verdict.PASS, Reason.METHOD_CANCEL)
    assert house.process(bob) == Outcome(Verdict.PASS, Reason.ATTENDEES_CANCELLED)
    assert links_open(house, join)
    assert house.process(carl) == Outcome(Verdict.FORGET, Reason.MEETING_CANCELLED)
    assert not links_open(house, join)


def test_one_date_of_a_series_is_moved_and_another_cancelled(house: House) -> None:
    """The page shows when the series takes place from then on."""
    series = MESSAGE.replace(b"SUMMARY:", b"RRULE:FREQ=WEEKLY;COUNT=3\r\nSUMMARY:")
    join = token(house.process(series), series)

    def starts() -> list[int]:
        def ask() -> list[int]:
            opened = house.vault.web().open(join, (LinkKind.JOIN,), house.now)
            assert opened is not None
            return [one.start - OVER + 3600 for one in opened.page.times]

        return house.thread.submit(ask).result()

    assert starts() == [0, 7 * DAY, 14 * DAY]
    one = MESSAGE.replace(b"SUMMARY:", b"SEQUENCE:1\r\nRECURRENCE-ID:20260319T090000Z\r\nSUMMARY:")
    one = one.replace(b"START:20260312", b"START:20260320").replace(b"END:20260312", b"END:20260320")
    assert token(house.process(one), one) == join
    assert starts() == [0, 8 * DAY, 14 * DAY]
    off = cancellation(b"SEQUENCE:1", b"RECURRENCE-ID:20260312T090000Z")
    assert house.process(off) == Outcome(Verdict.PASS, Reason.DATE_CANCELLED)
    assert starts() == [8 * DAY, 14 * DAY]
    assert house.process(off) == Outcome(Verdict.PASS, Reason.METHOD_CANCEL)
    assert token(house.process(series), series) == join  # a copy that comes late
    assert starts() == [8 * DAY, 14 * DAY]


def test_a_cancellation_while_the_store_cannot_be_used(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits, or passes where the setting says so."""

    def broken(*_: object, **__: object) -> None:
        raise StoreError("the database cannot be used now (SQLITE_FULL)")

    monkeypatch.setattr(house.store, "cancel", broken)
    assert house.process(cancellation()) == Outcome(Verdict.DEFER, Reason.STORE_UNAVAILABLE)
    house.settings = replace(house.settings, defer_without_store=False)
    assert house.process(cancellation()) == Outcome(Verdict.PASS, Reason.STORE_UNAVAILABLE)


def test_a_message_that_has_its_link(house: House) -> None:
    """Goes on as it is."""
    octets = apply(MESSAGE, house.process().edits)
    assert house.process(octets) == Outcome(Verdict.REWRITE, Reason.LINK_PRESENT, ())


def test_the_start_mail_is_deferred(house: House) -> None:
    """So is the invitation; tried again it has the same tokens and the same Message-ID."""
    house.replies = [DEFERRED]
    first = house.process()
    assert word(first) == (Verdict.DEFER, Reason.START_MAIL_DEFERRED)
    assert first.edits == ()
    assert word(house.process()) == (Verdict.REWRITE, Reason.LINK_KEPT)
    mails = [email.message_from_bytes(octets, policy=email.policy.default) for _, octets in house.mails]
    assert len(mails) == 2
    assert mails[0]["Message-ID"] == mails[1]["Message-ID"]
    assert house.mails[0] == house.mails[1]


def test_the_start_mail_is_refused(house: House) -> None:
    """The invitation passes without a link, and nothing is left of the meeting."""
    house.replies = [REFUSED]
    assert house.process() == Outcome(Verdict.PASS, Reason.START_MAIL_REFUSED)
    with house.vault.sql() as sql:
        assert sql.execute("select count(*) from link").fetchone() == (0,)
    house.replies = []
    assert house.process().verdict is Verdict.REWRITE


def test_a_forward_gets_no_link_before_the_organizer_has_the_start_link(house: House) -> None:
    """The row may still go; afterwards it gets the link."""
    house.replies = [DEFERRED]
    assert house.process().verdict is Verdict.DEFER
    assert house.process(envelope=BERTA) == Outcome(Verdict.PASS, Reason.SENDER_NOT_ORGANIZER)
    first = token(house.process())
    assert token(house.process(envelope=BERTA)) == first


def test_a_start_mail_refused_at_a_later_try(house: House) -> None:
    """Leaves the row of the first try: its start mail may have arrived in spite of the reply that we saw."""
    house.replies = [DEFERRED, REFUSED]
    house.process()
    assert house.process() == Outcome(Verdict.PASS, Reason.START_MAIL_REFUSED)
    assert links_open(house, start_token(house))
    assert word(house.process()) == (Verdict.REWRITE, Reason.LINK_KEPT)


def test_a_start_mail_that_arrived_unmarked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its link has a page also when the next try is refused."""

    def broken(*_: object) -> bool:
        raise StoreError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "mark_start_mail_sent", broken)
        assert word(house.process()) == (Verdict.DEFER, Reason.STORE_UNAVAILABLE)
    house.replies = [REFUSED]
    assert house.process() == Outcome(Verdict.PASS, Reason.START_MAIL_REFUSED)
    assert links_open(house, start_token(house))


@pytest.mark.parametrize("fate", ["self-check", "refused"])
def test_what_another_process_gave_out_stays(house: House, monkeypatch: pytest.MonkeyPatch, fate: str) -> None:
    """While one hands the start mail over, another one fails at the same meeting, in either order of their claims."""
    inner = house.flow()
    given: list[Outcome] = []

    async def meanwhile(_recipient: bytes, _octets: bytes) -> Handover:
        if not given:
            given.append(Outcome(Verdict.DEFER, Reason.INTERNAL_ERROR))
            given[0] = await inner.process(INSIDE, MESSAGE)
        return REFUSED if fate == "refused" else ACCEPTED

    outer = MailFlow(
        house.settings,
        house.store,
        store_thread=house.thread,
        work=InThread(house.thread, house.settings.work()),
        hand_over=meanwhile,  # type: ignore[arg-type]
        clock=lambda: house.now,
    )
    if fate == "self-check":  # the inner one fails, the outer one's links are out
        monkeypatch.setattr(inner, "_work", Complaining(house.thread, house.settings.work()))
        outcome = asyncio.run(outer.process(INSIDE, MESSAGE))
        assert given == [Outcome(Verdict.PASS, Reason.SELF_CHECK_FAILED)]
    else:  # the outer one made the row and is refused; the inner one's links are out
        assert asyncio.run(outer.process(INSIDE, MESSAGE)) == Outcome(Verdict.PASS, Reason.START_MAIL_REFUSED)
        outcome = given[0]
    assert links_open(house, token(outcome))


def test_a_meeting_that_goes_while_the_start_mail_is_handed_over(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defers: no join link goes out with nothing behind it. The next try makes the meeting anew."""
    hand_over = house.hand_over

    async def going(recipient: bytes, octets: bytes) -> Handover:
        house.thread.submit(house.store.forget, "anna@example.org", "uid-1").result()
        return await hand_over(recipient, octets)

    with monkeypatch.context() as patch:
        patch.setattr(house, "hand_over", going)
        assert house.process() == Outcome(Verdict.DEFER, Reason.START_MAIL_DEFERRED)
    assert links_open(house, token(house.process()))


def test_the_message_id_is_no_way_to_the_start_link(house: House) -> None:
    """It is stable for a meeting, another for another, and holds no token."""
    house.process()
    house.process(invitation(b"SUMMARY:x").replace(b"uid-1", b"uid-2"))
    ids = [email.message_from_bytes(octets)["Message-ID"] for _, octets in house.mails]
    starts = [re.search(rb"/s/([a-z2-7]{32})", octets.replace(b"=\r\n", b"")) for _, octets in house.mails]
    assert ids[0] != ids[1]
    assert all(start is not None and start[1].decode() not in ids[0] + ids[1] for start in starts)


@pytest.mark.parametrize("trigger", [Trigger.NEVER, Trigger.KEYWORD])
def test_a_known_meeting_keeps_its_link(house: House, trigger: Trigger) -> None:
    """Whatever the trigger says later; an unknown one gets none."""
    first = token(house.process())
    house.settings = replace(house.settings, policy=replace(RULES, trigger=trigger))
    assert token(house.process()) == first
    assert house.process(MESSAGE.replace(b"uid-1", b"uid-2")).verdict is Verdict.PASS
    assert len(house.mails) == 1


def test_a_forward_gets_a_known_link_only(house: House) -> None:
    """Another sender of the house makes no meeting and changes none; a client that is not allowed is stopped before."""
    assert house.process(envelope=BERTA) == Outcome(Verdict.PASS, Reason.SENDER_NOT_ORGANIZER)
    assert house.rows() == 0
    first = token(house.process())
    with house.vault.sql() as sql:
        before = sql.execute("select * from meeting").fetchall()
    changed = MESSAGE.replace(b"Secret plan", b"Other plan").replace(b"DTSTAMP:2026", b"DTSTAMP:2027")
    assert token(house.process(changed, BERTA), changed) == first
    with house.vault.sql() as sql:
        assert sql.execute("select * from meeting").fetchall() == before
    outside = replace(INSIDE, client=ip_address("198.51.100.1"))
    assert house.flow().before_body(outside, MESSAGE[: MESSAGE.index(b"\r\n\r\n") + 4]) == Outcome(
        Verdict.PASS, Reason.CLIENT_NOT_ALLOWED
    )


def test_two_copies_at_once(house: House) -> None:
    """Domino sends one for each domain: one link, one start mail."""

    async def run() -> list[Outcome]:
        flow = house.flow()
        return await asyncio.gather(*(flow.process(INSIDE, MESSAGE) for _ in range(5)))

    outcomes = asyncio.run(run())
    assert len({token(outcome) for outcome in outcomes}) == 1
    assert len(house.mails) == house.rows() == 1


def test_an_unusable_store_defers(house: House) -> None:
    """The mail stays with Postfix."""
    (house.vault.folder / "epoch.key").unlink(missing_ok=True)
    for path in house.vault.folder.glob("*"):
        if path.name.startswith("meetings"):
            path.write_bytes(b"not a database" * 1000)
    outcome = house.process()
    assert word(outcome) == (Verdict.DEFER, Reason.STORE_UNAVAILABLE)
    assert house.mails == []


DAMAGE = [
    "update meeting_a set mail = x'00'",
    "update meeting_a set version = 7",
    "update meeting_a set salt = zeroblob(length(salt))",  # also what a restored backup looks like: an epoch that is gone
]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("envelope", [INSIDE, BERTA])
def test_a_meeting_that_cannot_be_opened(
    house: House, damage: str, envelope: Envelope, caplog: pytest.LogCaptureFixture
) -> None:
    """Does not hold its mail up; one line says which row it is, nothing is replaced, and other meetings go on."""
    house.process()
    with house.vault.sql() as sql:
        sql.execute(damage)
        before = sql.execute("select * from meeting").fetchall()
    assert house.process(envelope=envelope) == Outcome(Verdict.PASS, Reason.MEETING_UNREADABLE)
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert f"row {before[0][0]} of the table meeting" in errors[0]
    with house.vault.sql() as sql:
        assert sql.execute("select * from meeting").fetchall() == before
    assert house.process(MESSAGE.replace(b"uid-1", b"uid-2")).verdict is Verdict.REWRITE


def failing(*_: object, **__: object) -> None:
    raise RuntimeError("Secret plan of anna@example.org")


PLACES = [(work, name) for name in ("read", "schedule", "decide", "changes", "check", "meant")]


@pytest.mark.parametrize(("module", "place"), [*PLACES, (ownmail, "start_mail"), (mailflow, "may_hold_calendar")])
def test_the_unforeseen_defers(
    house: House, module: object, place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever it happens; and the log says where, not what the message says."""
    monkeypatch.setattr(module, place, failing)
    with caplog.at_level(logging.DEBUG):
        assert house.process() == Outcome(Verdict.DEFER, Reason.INTERNAL_ERROR)
    assert "RuntimeError" in caplog.text
    assert "Secret" not in caplog.text
    assert "anna" not in caplog.text


def test_an_error_while_handing_over_defers(house: House) -> None:
    """And the next try goes through."""
    house.replies = [OSError("Secret")]
    assert house.process() == Outcome(Verdict.DEFER, Reason.INTERNAL_ERROR)
    assert house.process().verdict is Verdict.REWRITE


def test_an_error_in_the_header(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defers as well; a header past the bounds passes."""
    flow = house.flow()
    assert flow.before_body(INSIDE, b"Content-Type: text/calendar\r\n" + b"A: b\r\n" * 6000 + b"\r\n") == Outcome(
        Verdict.PASS, Reason.TOO_COMPLEX
    )
    monkeypatch.setattr(mailflow, "before_body", failing)
    assert flow.before_body(INSIDE, b"A: b\r\n\r\n") == Outcome(Verdict.DEFER, Reason.INTERNAL_ERROR)


def test_a_failed_self_check_passes_the_original(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a link, without a start mail, without a row that leads nowhere."""
    monkeypatch.setattr(work, "check", lambda *_: "body")
    assert house.process() == Outcome(Verdict.PASS, Reason.SELF_CHECK_FAILED)
    assert house.mails == []
    with house.vault.sql() as sql:
        assert sql.execute("select count(*) from link").fetchone() == (0,)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"Subject: x\r\n\r\nhello", Reason.NO_CALENDAR),
        (MESSAGE + b"x" * 26_214_400, Reason.TOO_LARGE),
        (MESSAGE.replace(b"DTSTART:", b"DTSTART:x"), Reason.CALENDAR_UNPARSABLE),
        (
            MESSAGE.replace(b"METHOD:REQUEST", b"METHOD:REPLY").replace(b"method=REQUEST", b"method=REPLY"),
            Reason.METHOD_REPLY,
        ),
    ],
)
def test_what_passes(house: House, octets: bytes, reason: Reason) -> None:
    """With its reason, and without a row."""
    assert house.process(octets) == Outcome(Verdict.PASS, reason)
    assert house.rows() == 0


def test_a_meeting_that_is_over(house: House) -> None:
    """Passes from its last second on."""
    house.now = OVER
    assert house.process() == Outcome(Verdict.PASS, Reason.MEETING_OVER)
    house.now = OVER - 1
    assert house.process().verdict is Verdict.REWRITE


def series(house: House, *lines: bytes) -> str:
    """The join token of a meeting with these lines besides, which also has a page now."""
    octets = invitation(b"SUMMARY:Daily", *lines)
    first = token(house.process(octets), octets)
    assert links_open(house, first)
    return first


def shown(house: House, join: str, days: int, room: Room | None = None) -> View:
    """What the page shows some days from now, after `room` was opened."""

    def ask() -> View | None:
        web = house.vault.web()
        meeting = web.open(join, (LinkKind.JOIN,), NOW + days * DAY)
        return meeting and view(meeting.page, room, NOW + days * DAY)

    found = house.thread.submit(ask).result()
    assert found is not None
    return found


def test_a_daily_series_goes_on_for_two_years(house: House) -> None:
    """Without an update: each day is shown, and what was opened on the day before is closed."""
    join, room = series(house, b"RRULE:FREQ=DAILY"), None
    for days in (12, 13, 75, 100, 365, 729):
        found = shown(house, join, days, room)
        assert found.dated
        assert 0 < found.occurrence.start - (NOW + days * DAY) < DAY
        assert found.state is State.EARLY
        room = opened(found, "jitsi", "https://meet.example.net/x", "x")
        assert shown(house, join, days, room).state is State.OPEN


def test_a_series_lives_on_the_day_on_which_until_cuts_it_off(house: House) -> None:
    """Its organizer may think that it takes place then: there is a page, which can be opened; the day after there is none."""
    join = series(house, b"RRULE:FREQ=WEEKLY;UNTIL=20260319T000000Z")
    found = shown(house, join, 17)
    assert not found.dated
    assert shown(house, join, 17, opened(found, "jitsi", "https://meet.example.net/x", "x")).state is State.OPEN
    house.now += 18 * DAY
    assert not links_open(house, join)


def test_a_series_of_which_no_date_is_known(house: House) -> None:
    """Has a page without a date (law 5), which can be opened for a day."""
    join = series(house, b"RRULE:FREQ=HOURLY", b"EXDATE:20260312T090000Z")
    found = shown(house, join, 20)
    assert not found.dated
    room = opened(found, "jitsi", "https://meet.example.net/x", "x")
    assert shown(house, join, 20, room).state is State.OPEN
    assert shown(house, join, 21, room).state is State.CLOSED


def test_a_meeting_that_ends_while_it_is_read(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is over, like any other."""
    house.now = OVER - 1
    judge = work.decide

    def slow(*given: object, **named: object) -> object:
        decision = judge(*given, **named)  # type: ignore[arg-type]
        house.now = OVER
        return decision

    monkeypatch.setattr(work, "decide", slow)
    assert house.process() == Outcome(Verdict.PASS, Reason.MEETING_OVER)
    assert house.rows() == 0


def test_a_clock_that_steps_keeps_the_link(house: House) -> None:
    """An hour back, and forward again: as long as nothing was purged, the meeting is what it was."""
    first, then = token(house.process()), house.now
    for now in (then - 3600, OVER - 1, then):
        house.now = now
        assert token(house.process()) == first
    house.now = OVER
    assert house.process() == Outcome(Verdict.PASS, Reason.MEETING_OVER)
    house.now = then
    assert token(house.process()) == first


def test_an_unwanted_update_makes_no_meeting(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever switches links off gets no new one, also when the known meeting goes at that very moment."""
    first = token(house.process())
    house.settings = replace(house.settings, policy=replace(RULES, trigger=Trigger.NEVER))
    find = house.store.find

    def gone_then(organizer: str, uid: str, now: int) -> object:
        found = find(organizer, uid, now)
        house.store.forget(organizer, uid)
        return found

    monkeypatch.setattr(house.store, "find", gone_then)
    outcome = house.process()
    assert outcome == Outcome(Verdict.PASS, Reason.TRIGGER_OFF) or token(outcome) == first


SCENES: list[Callable[[House], object]] = [
    lambda house: house.process(),
    lambda house: (house.replies.append(DEFERRED), house.process()),
    lambda house: (house.replies.append(REFUSED), house.process()),
    lambda house: house.process(envelope=BERTA),
    lambda house: (house.process(), house.process(MESSAGE.replace(b"DTSTAMP:2026", b"DTSTAMP:2027"))),
]


@pytest.mark.parametrize("scene", SCENES)
def test_no_person_and_no_token_in_the_log(
    house: House, scene: Callable[[House], object], caplog: pytest.LogCaptureFixture
) -> None:
    """One line for each message with queue id, door, verdict and reason."""
    with caplog.at_level(logging.DEBUG):
        scene(house)
    assert re.search(r"queue_id=4Xy door=milter verdict=\w+ reason=[\w-]+", caplog.text)
    assert not re.search(
        r"anna|berta|bob|Secret|Room|uid-1|example\.(org|net)|[a-z2-7]{32}", caplog.text, re.IGNORECASE
    )


ENDLESS = invitation(b"SUMMARY:Jour fixe", b"RRULE:FREQ=WEEKLY")


def remind(house: House) -> int:
    return asyncio.run(house.flow().remind())


def test_the_organizer_of_a_series_without_an_end_is_told_before_it_goes(house: House) -> None:
    """Once; a resent invitation keeps it, and is told of again; a meeting with an end is nobody's concern."""
    house.process(ENDLESS)
    house.process(invitation(b"SUMMARY:Other").replace(b"uid-1", b"uid-2"))
    end = house.now + 730 * DAY
    house.mails.clear()
    for day, told in ((100, 0), (699, 0), (701, 1), (702, 0)):
        house.now = end - (730 - day) * DAY
        assert remind(house) == told
    recipient, octets = house.mails[0]
    assert (recipient, b"Links end soon: Jour fixe" in octets, len(house.mails)) == (b"anna@example.org", True, 1)
    assert house.process(ENDLESS).verdict is Verdict.REWRITE
    house.now = end + DAY
    assert remind(house) == 0
    house.now = end + 672 * DAY + 2 * DAY
    assert remind(house) == 1
    assert house.rows() == 2  # until the purge


def test_who_cannot_be_told_now_is_told_later(house: House) -> None:
    """A refusal is final; what does not open is passed over."""
    house.process(ENDLESS)
    house.now += 702 * DAY
    house.replies = [DEFERRED, REFUSED]
    assert [remind(house) for _ in range(3)] == [0, 1, 0]
    house.process(ENDLESS.replace(b"uid-1", b"uid-2"))
    house.now += 702 * DAY
    with house.vault.sql() as sql:
        sql.execute("update meeting_a set mail = x'00'")
    assert remind(house) == 0


# --- encryption ---

NEW = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({}, Reason.TLS_MISSING),
        ({"tls": replace(NEW, version="TLSv1.2")}, Reason.TLS_TOO_WEAK),
        ({"tls": NEW}, None),
        ({"client": ip_address("198.51.100.1")}, None),
        ({"hop": Hop.UNSEEN}, None),
        ({"hop": Hop.ENFORCED}, None),
    ],
)
def test_what_is_refused_at_mail_from(
    house: House, caplog: pytest.LogCaptureFixture, changed: dict[str, object], refused: Reason | None
) -> None:
    """A filter is never asked: there its Postfix enforces."""
    house.settings = replace(house.settings, tls=TlsRules((read_rule("192.0.2.0/24 require TLSv1.3", domain),)))
    flow = house.flow()
    assert flow.judges_mail
    with caplog.at_level(logging.INFO):
        outcome = flow.at_mail(replace(INSIDE, **changed))  # type: ignore[arg-type]
    assert (None if outcome is None else outcome.reason) is refused
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (refused is not None) and all(
        "verdict=refuse" in line and "peer=192.0.2.0/24" in line for line in said
    )


def test_a_fingerprint_that_a_door_does_not_see_is_refused(house: House) -> None:
    """Postfix tells a milter that a certificate was trusted, not which one it was: that is not enough."""
    rule = read_rule(f"192.0.2.0/24 require client-certificate=sha256:{'ab' * 32}", domain)
    house.settings = replace(house.settings, tls=TlsRules((rule,)))
    seen, trusted = replace(NEW, trusted=True, fingerprint="ab" * 32), replace(NEW, trusted=True)
    for tls, refused in ((NEW, True), (trusted, True), (replace(trusted, fingerprint="ba" * 32), True), (seen, False)):
        outcome = house.flow().at_mail(replace(INSIDE, tls=tls))
        assert (outcome is not None) is refused
        assert outcome is None or outcome.reply.startswith("550 5.7.0 ")


def test_nothing_is_asked_at_mail_from_where_nothing_is_required(house: House) -> None:
    assert not house.flow().judges_mail and house.flow().at_mail(INSIDE) is None


def test_the_log_line_says_how_a_message_came(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        house.process(envelope=replace(INSIDE, tls=NEW))
    said = caplog.records[-1].getMessage()
    assert said.endswith("tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 fs=yes cert=- peer=192.0.2.0/24")


def test_a_summary_instead(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.settings = replace(house.settings, tls_log=TlsLog.SUMMARY)
    flow = house.flow()
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            asyncio.run(flow.process(INSIDE, MESSAGE))
    assert "tls=" not in caplog.text
    assert flow.tls_summary() == ["tls-summary door=milter tls=none peer=192.0.2.0/24 messages=2 refused=0"]
