"""The waiting room over HTTP: guests, the organizer, and what both are told as it happens."""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from http.client import HTTPConnection
from queue import Empty, Queue
from socket import SHUT_RDWR
from types import TracebackType

import pytest

from notes2conf_milter.core.meeting import Admission, Occurrence, Person, Revision
from notes2conf_milter.services.service import Conference, ServiceError
from notes2conf_milter.store.sqlite import Claim
from notes2conf_milter.web.forms import blank_form
from notes2conf_milter.web.limits import MOST_MISSES
from notes2conf_milter.web.lobby import PATIENCE
from notes2conf_milter.web.server import WebSettings
from notes2conf_milter.web.watch import INTERVAL
from tests.store.vault import news
from tests.web.house import (
    DAY,
    HOUR,
    JITSI,
    MONDAY,
    ORGANIZER,
    Answer,
    House,
    Pasted,
    ask,
    enter,
    eventually,
    guests_way,
    page,
    press,
    wait,
    way_in,
)

SERIES = page(
    times=tuple(Occurrence(MONDAY + days * DAY, MONDAY + days * DAY + HOUR, "Europe/Berlin") for days in (0, 7))
)
PASTED = "https://zoom.example.org/j/1"


@pytest.fixture
def pasted() -> Pasted:
    return Pasted()


@pytest.fixture
def house(house: House, pasted: Pasted) -> Iterator[House]:
    with house.serving(None, JITSI, pasted):
        yield house


class Events:
    """What a page is told, as it comes."""

    def __init__(self, house: House, path: str, headers: Mapping[str, str] | None = None) -> None:
        self._connection = HTTPConnection(house.address.host, house.address.port, timeout=10)
        self._connection.request("GET", path, headers=headers or {})
        self._socket = self._connection.sock
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self._queue: Queue[tuple[str, str] | None] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        event, data = "", ""
        try:
            while line := self._answer.readline().decode():
                if line.startswith("event: "):
                    event = line[7:].strip()
                elif line.startswith("data: "):
                    data += line[6:]
                elif line == "\n" and data:
                    self._queue.put((event, data))
                    event, data = "", ""
        except (OSError, ValueError, AttributeError):  # closed by the test
            pass
        self._queue.put(None)

    def next(self) -> tuple[str, str] | None:
        """Return the next event and its text; None: the stream has ended."""
        return self._queue.get(timeout=5)

    def until(self, words: str) -> str:
        """Return the text of the next event that says so."""
        while (found := self.next()) is not None:
            if words in found[1] or words == found[0]:
                return found[1]
        raise AssertionError(f"it ended without {words!r}")

    def quiet(self) -> bool:
        try:
            return self._queue.get(timeout=1.2) is None
        except Empty:
            return True

    def __enter__(self) -> "Events":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # the other end was quicker
            self._socket.shutdown(SHUT_RDWR)  # ends the reading, which close() would wait for until its timeout
        self._answer.close()
        self._connection.close()


def listed(house: House, start: str) -> list[str]:
    """The names on the start page."""
    return re.findall(r'<span class="who"><bdi>(.*?)</bdi>', ask(house.address, f"/s/{start}").text)


def guest_id(path: str) -> str:
    return path.rpartition("/")[2]


def test_who_waits_is_seen_by_the_organizer_alone(house: House) -> None:
    links = house.add(page())
    first = wait(house, links.join, "  Bert \u202eBrandt\n ")
    wait(house, links.join)
    assert listed(house, links.start) == ["Bert Brandt", "Guest without a name"]
    for path in (first, f"/j/{links.join}"):
        assert "Bert" not in ask(house.address, path).text and "Guest without" not in ask(house.address, path).text
    with Events(house, f"{first}/events") as events:
        assert "Bert" not in str(events.next())


def test_guests_are_led_in_when_it_opens(house: House) -> None:
    """Pages that are open are told, others see it when they come back."""
    links = house.add(page())
    guest, other = wait(house, links.join), wait(house, links.join)
    with Events(house, f"{guest}/events") as events:
        assert "You are waiting" in events.until("status")
        press(house, links.start)
        told = events.until("data-go")
    assert way_in(ask(house.address, other)) in told
    assert listed(house, links.start) == []


def test_the_organizer_hears_who_comes_and_goes(house: House) -> None:
    links = house.add(page())
    with Events(house, f"/s/{links.start}/events") as events:
        assert "Nobody is waiting." in events.until("Nobody")
        guest = wait(house, links.join, "Bert")
        events.until("Bert")
        form = blank_form(links.join, MONDAY)
        left = ask(house.address, guest, "POST", {"occurrence": form.occurrence, "proof": form.proof, "do": "leave"})
        assert (left.status, left.headers["location"]) == (303, f"../{links.join}")
        events.until("Nobody")
    again = ask(house.address, guest)
    assert (again.status, again.headers["location"]) == (303, f"../{links.join}"), (
        "it is forgotten: the join page says how it stands"
    )


def test_a_closed_page_is_somebody_who_left(house: House) -> None:
    links = house.add(page())
    guest = wait(house, links.join, "Bert")
    with Events(house, f"{guest}/events") as events:
        events.until("You are waiting")
        house.clock.now += PATIENCE + 1
        assert listed(house, links.start) == ["Bert"], "the page is open"
    for _ in range(100):
        house.clock.now += PATIENCE + 1
        if listed(house, links.start) == []:
            break
    assert listed(house, links.start) == []


def test_one_by_one(house: House) -> None:
    """Let in, turned away, and all at once."""
    links = house.add(page())
    paths = [wait(house, links.join, name) for name in ("Bert", "Clara", "Dora", "Emil")]
    press(house, links.start, "open", admission="ask")
    assert [way_in(ask(house.address, path)) for path in paths] == [""] * 4
    assert "as soon as you are let in" in ask(house.address, paths[0]).text
    with Events(house, f"{paths[0]}/events") as bert, Events(house, f"{paths[1]}/events") as clara:
        press(house, links.start, "", admit=guest_id(paths[0]))
        bert.until("data-go")
        press(house, links.start, "", away=guest_id(paths[1]))
        clara.until("Not let in")
    assert listed(house, links.start) == ["Dora", "Emil"]
    press(house, links.start, "", admit="all")
    assert [way_in(ask(house.address, path)) != "" for path in paths] == [True, False, True, True]
    press(house, links.start, "admission", admission="open")
    assert [way_in(ask(house.address, path)) != "" for path in paths] == [True, False, True, True]
    assert guests_way(house, links.join)


def test_letting_in_needs_the_page_of_this_date(house: House) -> None:
    links = house.add(page())
    guest = wait(house, links.join)
    press(house, links.start, "open", admission="ask")
    assert press(house, links.start, "", form=blank_form(links.join, MONDAY), admit="all").status == 403
    assert press(house, links.start, "", form=blank_form(links.start, MONDAY - 1), admit="all").status == 303
    assert way_in(ask(house.address, guest)) == ""
    assert press(house, links.join, "", admit="all").status == 404


def test_a_pause(house: House) -> None:
    """Whoever was in may go in again; new guests wait until it goes on."""
    links = house.add(page())
    press(house, links.start)
    before = wait(house, links.join)
    assert way_in(ask(house.address, before))
    press(house, links.start, "pause")
    late = wait(house, links.join)
    assert (way_in(ask(house.address, before)) != "", way_in(ask(house.address, late))) == (True, "")
    with Events(house, f"{late}/events") as events:
        events.until("pause for new guests")
        press(house, links.start, "resume")
        events.until("data-go")


def test_another_service_in_mid_meeting_moves_those_who_wait(house: House, pasted: Pasted) -> None:
    links = house.add(page())
    press(house, links.start, "open", admission="ask")
    guest = wait(house, links.join)
    assert press(house, links.start, "change", service="link", link=PASTED).status == 303
    press(house, links.start, "", admit="all")
    assert way_in(ask(house.address, guest)).startswith(PASTED)
    assert enter(house, links.start).startswith(f"{PASTED}?as=host-en")


def test_a_link_that_is_refused_is_explained(house: House) -> None:
    links = house.add(page())
    for language, words in (("en", "not allowed here"), ("de", "hier nicht erlaubt")):
        answer = press(
            house, links.start, service="link", link="https://evil.example/", headers={"Accept-Language": language}
        )
        assert answer.status == 422 and words in answer.text and "evil.example" not in answer.text
    assert "Start the conference" in ask(house.address, f"/s/{links.start}").text


def test_a_service_that_does_not_answer(house: House, pasted: Pasted) -> None:
    links = house.add(page())
    pasted.failing = True
    answer = press(house, links.start, service="link", link=PASTED)
    assert answer.status == 422 and "did not open a conference" in answer.text


@pytest.mark.parametrize("do", ["change", "end-all"])
def test_those_who_wait_are_told_before_the_old_conference_has_ended(house: House, pasted: Pasted, do: str) -> None:
    """The service that is left may take its time, and what it is asked then must not hold up anybody."""
    links = house.add(page())
    press(house, links.start, service="link", link=PASTED, admission="ask")
    guest, ending = wait(house, links.join), threading.Event()

    async def end(conference: Conference) -> None:
        while not ending.is_set():
            await asyncio.sleep(0.01)

    pasted.end = end  # type: ignore[method-assign]
    with Events(house, f"{guest}/events") as events:
        press(house, links.start, "", admit="all")
        events.until(PASTED)
        time.sleep(2 * INTERVAL)  # the watcher's first look has passed: it sees what others write
        pressing = threading.Thread(target=press, args=(house, links.start, do))
        pressing.start()
        try:
            events.until({"change": JITSI.server, "end-all": "over"}[do])
        finally:
            ending.set()
            pressing.join()


def test_what_is_not_deleted_is_not_said_to_be(house: House) -> None:
    """The last known date of a series that goes on: the day is over, its links live."""
    links = house.add(replace(SERIES, recurring=True), kept=300 * DAY)
    house.clock.now = last = MONDAY + 7 * DAY
    press(house, links.start, form=blank_form(links.start, last))
    ended = press(house, links.start, "end", form=blank_form(links.start, last))
    assert "The conference is over" in ended.text and "deleted" not in ended.text
    house.clock.now = last + DAY
    assert ask(house.address, f"/j/{links.join}").status == 200


def test_a_service_that_fails_late_closes_nothing(house: House, pasted: Pasted) -> None:
    """The organizer did not wait for it and took another one: those who wait there are not told the past."""
    links = house.add(page())
    guest, entered, failing = wait(house, links.join), threading.Event(), threading.Event()

    async def fail(*_: str) -> Conference:
        entered.set()
        while not failing.is_set():
            await asyncio.sleep(0.01)
        raise ServiceError("no answer")

    pasted.open = fail  # type: ignore[method-assign]
    first = threading.Thread(target=press, args=(house, links.start), kwargs={"service": "link"})
    first.start()
    assert entered.wait(5)
    press(house, links.start, "open", admission="ask")
    failing.set()
    first.join()
    with Events(house, f"{guest}/events") as events:
        assert "as soon as you are let in" in (events.next() or ("", ""))[1]


def test_the_end_of_the_last(house: House) -> None:
    """Asked for twice; then all links are dead, and pages that are open are told."""
    links = house.add(page())
    press(house, links.start)
    guest = wait(house, links.join)
    asked = press(house, links.start, "end")
    assert asked.status == 200 and "End the conference?" in asked.text
    assert ask(house.address, f"/j/{links.join}").status == 200
    with Events(house, f"{guest}/events") as events:
        events.until("data-go")
        ended = press(house, links.start, "end-all")
        assert ended.status == 200 and "Ended and deleted" in ended.text
        events.until("over")
        assert events.next() is None
    assert ask(house.address, f"/j/{links.join}").status == ask(house.address, f"/s/{links.start}").status == 404
    assert "The conference is over" in ask(house.address, guest).text


def test_the_end_of_one_date(house: House) -> None:
    links = house.add(SERIES)
    press(house, links.start)
    assert press(house, links.start, "end").status == 303
    assert "11 May 2026" in ask(house.address, f"/j/{links.join}").text


def test_longer_than_planned(house: House) -> None:
    links = house.add(page(), kept=0)
    press(house, links.start)
    press(house, links.start, "extend", minutes="30")
    assert "Planned until 11:30." in ask(house.address, f"/s/{links.start}").text
    house.clock.now = MONDAY + HOUR + 29 * 60
    assert guests_way(house, links.join)
    house.clock.now = MONDAY + HOUR + 30 * 60
    assert ask(house.address, f"/j/{links.join}").status == 404


def test_the_organizer_is_told_before_the_end(house: House) -> None:
    """An open page shows the buttons to extend by itself; who extends is not asked again."""
    links = house.add(page(), kept=0)
    press(house, links.start)
    assert "Planned until 11:00. Then this page" not in ask(house.address, f"/s/{links.start}").text
    with Events(house, f"/s/{links.start}/events") as events:
        events.until("Nobody")
        house.clock.now = MONDAY + HOUR - 600
        events.until("again")
    text = ask(house.address, f"/s/{links.start}").text
    assert "Planned until 11:00. Then this page" in text and text.count('name="minutes"') == 3
    press(house, links.start, "extend", minutes="15")
    assert "Then this page" not in ask(house.address, f"/s/{links.start}").text
    series = house.add(SERIES)
    press(house, series.start)
    assert "Then this page shows the next date" in ask(house.address, f"/s/{series.start}").text


# What mail brings meanwhile


def test_a_meeting_that_is_moved_while_guests_wait(house: House) -> None:
    """Both pages come again within seconds, with the new time."""
    links = house.add(page())
    guest = wait(house, links.join, "Bert")
    with Events(house, f"{guest}/events") as events, Events(house, f"/s/{links.start}/events") as host:
        events.until("You are waiting")
        host.until("Bert")
        later = Occurrence(MONDAY + DAY, MONDAY + DAY + HOUR, "Europe/Berlin")
        house.update(links, page(times=(later,)))
        events.until("again")
        host.until("again")
        assert events.next() is None
    assert "5 May 2026" in ask(house.address, guest).text
    assert listed(house, links.start) == ["Bert"]


def test_a_meeting_that_is_cancelled_while_guests_wait(house: House) -> None:
    links = house.add(page())
    guest = wait(house, links.join)
    with Events(house, f"{guest}/events") as events, Events(house, f"/s/{links.start}/events") as host:
        events.until("You are waiting")
        host.until("Guest")
        house.forget(links)
        assert "ended or was cancelled" in events.until("over")
        host.until("again")
    told = ask(house.address, guest)
    assert told.status == 200 and "ended or was cancelled" in told.text
    assert ask(house.address, f"/j/{links.join}").alike == ask(house.address, "/j/" + "a" * 32).alike


def test_an_attendee_who_is_uninvited_while_waiting(house: House) -> None:
    bert, clara = Person("bert@example.com", "Bert"), Person("clara@example.com", "Clara")
    claim = house.mail.claim(ORGANIZER, "own", news(page(), (bert, clara), expires_at=MONDAY + DAY), house.clock())
    assert isinstance(claim, Claim)
    tokens = [house.mail.own_link(claim, one.address, house.clock())[0] or "" for one in (bert, clara)]
    paths = [wait(house, token) for token in tokens]
    assert listed(house, claim.start_token) == ["Bert", "Clara"]
    with Events(house, f"{paths[0]}/events") as his, Events(house, f"{paths[1]}/events") as hers:
        his.until("You are waiting")
        hers.until("You are waiting")
        house.mail.cancel(ORGANIZER, "own", frozenset({bert.address}), Revision(9, "20261231T000000Z"), house.clock())
        his.until("over")
        press(house, claim.start_token)
        hers.until("data-go")
    assert "The conference is over" in ask(house.address, paths[0]).text


def test_the_next_date_of_a_series_by_the_same_page(house: House) -> None:
    """How guests are admitted goes along; who was let in last week waits."""
    links = house.add(SERIES)
    guest = wait(house, links.join)
    press(house, links.start, "open", admission="ask")
    press(house, links.start, "", admit="all")
    assert way_in(ask(house.address, guest))
    with Events(house, f"{guest}/events") as events:
        events.until("data-go")
        house.clock.now = MONDAY + 7 * DAY
        events.until("again")
    press(house, links.start, "open", form=blank_form(links.start, MONDAY + 7 * DAY))
    text = ask(house.address, guest).text
    assert "11 May 2026" in text and "as soon as you are let in" in text


# Reading is not acting


def crawl(house: House, *paths: str) -> dict[str, Answer]:
    """Follow everything that a page names, as a link scanner does, and what it might guess."""
    seen: dict[str, Answer] = {}
    left = [*paths]
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen[path] = answer = ask(house.address, path) if "/events" not in path else Answer(0, {}, b"")
        if "/events" in path:
            with Events(house, path) as events:
                found = events.next()
                seen[path] = Answer(events.status, {}, str(found).encode())
        for name in re.findall(r'(?:href|src|action|data-events)="([^"]*)"', answer.text):
            if name.startswith("/"):
                left.append(name)
            elif name and "://" not in name:
                left.append(path.rpartition("/")[0] + "/" + name)
    return seen


def test_a_crawler_waits_for_nobody_and_goes_nowhere(house: House, pasted: Pasted) -> None:
    """Before and after the opening: nobody is listed, nothing is written, no page names the conference."""
    links = house.add(page())
    for opened in (False, True):
        if opened:
            press(house, links.start, service="link", link=PASTED)
        before = house.contents()
        seen = crawl(house, f"/j/{links.join}", f"/s/{links.start}")
        assert any(path.endswith("/events") for path in seen) and any(path.endswith(".ics") for path in seen)
        assert not [path for path, answer in seen.items() if b"zoom.example.org" in answer.body]
        assert all(answer.status == 200 for answer in seen.values()), {path: one.status for path, one in seen.items()}
        assert listed(house, links.start) == []
        assert house.contents() == before


def test_a_guest_of_one_link_is_nobody_by_another(house: House) -> None:
    links, other = house.add(page()), house.add(page())
    guest = guest_id(wait(house, links.join))
    for token in (other.join, links.start, "a" * 32):
        answer = ask(house.address, f"/j/{token}/{guest}")
        assert answer.status == (303 if token == other.join else 404)
        assert ask(house.address, f"/j/{token}/{guest}/events").status == 404
    assert ask(house.address, f"/s/{links.start}/{guest}").status == 303, "a guest is no pass"


def test_a_pass_is_the_organizers_for_ten_minutes(house: House) -> None:
    links, other = house.add(page()), house.add(page())
    press(house, links.start)
    ticket = guest_id(press(house, links.start, "enter").headers["location"])
    assert way_in(ask(house.address, f"/s/{links.start}/{ticket}"))
    assert ask(house.address, f"/s/{other.start}/{ticket}").status == 303
    house.clock.now += 601
    assert ask(house.address, f"/s/{links.start}/{ticket}").status == 303
    assert press(house, links.start, "enter", form=blank_form(other.start, MONDAY)).status == 403


def test_no_name_and_no_token_is_written(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Neither to a log nor to the store."""
    caplog.set_level("DEBUG")
    links = house.add(page())
    guest = wait(house, links.join, "Bertholdine")
    press(house, links.start, "open", admission="ask")
    with Events(house, f"{guest}/events") as events:
        events.until("as soon as")
        press(house, links.start, "", admit="all")
        events.until("data-go")
    assert not any(word in caplog.text for word in ("Bertholdine", links.join, links.start, guest_id(guest)))
    stored = b"".join(house.contents())
    assert b"Bertholdine" not in stored and guest_id(guest).encode() not in stored


def test_the_setting_for_all_meetings_and_names_that_are_handed_on(house: House, pasted: Pasted) -> None:
    settings = WebSettings("https://conf.example.org", admission=Admission.ASK, hands_on_names=True)
    links = house.add(page())
    with house.serving(settings, pasted):
        press(house, links.start, service="link", link=PASTED)
        guest = wait(house, links.join, "Bert")
        assert way_in(ask(house.address, guest)) == ""
        press(house, links.start, "", admit="all")
        assert "guest-en-Bert-" in way_in(ask(house.address, guest))
        assert "host-en-Anna Müller-" in enter(house, links.start)


def test_a_full_room(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notes2conf_milter.web.lobby.MAX_GUESTS", 1)
    links = house.add(page())
    wait(house, links.join)
    form = blank_form(links.join, MONDAY)
    answer = ask(house.address, f"/j/{links.join}", "POST", {"occurrence": form.occurrence, "proof": form.proof})
    assert (answer.status, int(answer.headers["retry-after"]) > 0) == (507, True)


def test_the_date_as_a_file(house: House) -> None:
    links = house.add(page())
    answer = ask(house.address, f"/j/{links.join}/meeting.ics")
    assert answer.status == 200 and answer.body.startswith(b"BEGIN:VCALENDAR")
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8; method=PUBLISH"
    assert ask(house.address, f"/j/{links.start}/meeting.ics").status == 404


def test_the_privacy_notice_of_the_house(house: House) -> None:
    answer = ask(house.address, "/privacy", Accept_Language="de")
    assert answer.status == 200 and "Was gespeichert ist" in answer.text and "Jitsi Meet" in answer.text


def test_streams_end_when_the_service_stops(house: House) -> None:
    """The page comes again, to the next process."""
    links = house.add(page())
    guest = wait(house, links.join)
    with Events(house, f"{guest}/events") as events:
        events.until("You are waiting")
        house.stop()
        events.until("again")


def test_a_series_of_unknown_dates_has_no_file(house: House) -> None:
    links = house.add(replace(SERIES, recurring=True), kept=300 * DAY)
    house.clock.now = MONDAY + 60 * DAY
    assert ask(house.address, f"/j/{links.join}").status == 200
    assert ask(house.address, f"/j/{links.join}/meeting.ics").status == 404


FROM_A, FROM_B = {"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "2001:db8::1"}
CROWDED = WebSettings("https://conf.example.org", guests_per_network=3)


def pressed(house: House, token: str, headers: dict[str, str]) -> Answer:
    """Press the button of the join page, by a proxy."""
    form = blank_form(token, MONDAY)
    sent = {"occurrence": form.occurrence, "proof": form.proof, "do": "wait", "name": headers["X-Forwarded-For"]}
    return ask(house.address, f"/j/{token}", "POST", sent, **headers)


def test_a_flood_of_guests_from_one_network(house: House) -> None:
    """It fills neither the list nor the places of others, in no meeting; and it is over when it is over."""
    links, other = house.add(page()), house.add(page())
    with house.serving(CROWDED):
        answers = [pressed(house, links.join, FROM_A) for _ in range(50)]
        assert [answer.status for answer in answers] == [303] * 3 + [429] * 47
        assert int(answers[-1].headers["retry-after"]) > 0 and "Many are waiting already" in answers[-1].text
        german = pressed(house, links.join, {**FROM_A, "Accept-Language": "de"})
        assert german.status == 429 and "Es warten schon viele" in german.text
        assert pressed(house, other.join, FROM_A).status == 429
        assert pressed(house, links.join, FROM_B).status == 303
        assert listed(house, links.start) == ["198.51.100.1"] * 3 + ["2001:db8::1"]
        house.clock.now += PATIENCE + 1
        assert pressed(house, links.join, FROM_A).status == 303
        assert listed(house, links.start) == ["198.51.100.1"]


def test_the_organizers_page_with_a_crowd(house: House) -> None:
    """A count and a part of the list, in which the others are."""
    links = house.add(page())
    form = blank_form(links.join, MONDAY)
    connection = HTTPConnection(house.address.host, house.address.port, timeout=10)
    sent = f"occurrence={form.occurrence}&proof={form.proof}&do=wait&name=Bert"
    for _ in range(300):
        connection.request("POST", f"/j/{links.join}", sent, FROM_A)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (303, b"")
    connection.close()
    assert pressed(house, links.join, FROM_B).status == 303
    with Events(house, f"/s/{links.start}/events") as events:
        text = events.until("301 guests are waiting.")
        assert text.count("<bdi>") == 200 and "<bdi>2001:db8::1</bdi>" in text and "and 101 more" in text
    names = listed(house, links.start)
    assert len(names) == 200 and names[-1] == "2001:db8::1"


def test_a_company_behind_one_address_waits_together(house: House) -> None:
    """Three hundred guests of one meeting, each with a stream."""
    links = house.add(page())
    path = "/j/" + pressed(house, links.join, FROM_A).headers["location"]
    asked = f"GET {path}/events HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n".encode()
    guests = [socket.create_connection((house.address.host, house.address.port), 10) for _ in range(300)]
    for guest in guests:
        guest.sendall(asked)
    for guest in guests:
        heard = b""
        while b"You are waiting" not in heard:
            heard += guest.recv(65536)
        assert b"event: later" not in heard
    press(house, links.start)
    for guest in guests:
        heard = b""
        while b"data-go=" not in heard:
            heard += guest.recv(65536)
        guest.close()


def test_more_streams_than_a_network_may_have(house: House) -> None:
    """Who is over is told once, and asks again: nobody is lost. The organizer has a place all the same."""
    links = house.add(page())
    with house.serving(CROWDED), ExitStack() as open_pages:

        def events(path: str, headers: dict[str, str]) -> Events:
            return open_pages.enter_context(Events(house, path, headers))

        guest = "/j/" + pressed(house, links.join, FROM_A).headers["location"]
        first = [events(f"{guest}/events", FROM_A) for _ in range(3)]
        for one in first:
            one.until("You are waiting")
        over = events(f"{guest}/events", FROM_A)
        event, text = over.next() or ("", "")
        assert (over.status, event, "You are waiting" in text, over.next()) == (200, "later", True, None)
        events(f"{guest}/events", FROM_B).until("You are waiting")
        house.clock.now += PATIENCE
        host = [events(f"/s/{links.start}/events", FROM_A) for _ in range(4)]
        for one in host[:3]:
            assert "198.51.100.1" in (one.next() or ("", ""))[1]
        assert (host[3].next() or ("", ""))[0] == "later" and host[3].next() is None
        press(house, links.start)
        for one in first:
            one.until("data-go=")
            one.__exit__(None, None, None)
        again = events(f"{guest}/events", FROM_A)
        assert "data-go=" in (again.next() or ("", ""))[1]
        eventually(lambda: lasting(house, guest))


def lasting(house: House, guest: str) -> bool:
    """Say whether a page of the first network gets a stream that lasts."""
    with Events(house, f"{guest}/events", FROM_A) as events:
        return (events.next() or ("later", ""))[0] != "later"


def test_guessing_is_slowed_down(house: House) -> None:
    """By whoever the proxy says it is; a link that was valid lately goes on, and so does everybody else."""
    links, other = house.add(page()), house.add(page())
    guest = wait(house, links.join)
    guesser, colleague = {"X_Forwarded_For": "203.0.113.9, 198.51.100.1"}, {"X_Forwarded_For": "198.51.100.2"}
    answers = [ask(house.address, f"/{kind}/{number:032}", **guesser) for number in range(40) for kind in "js"]
    assert [answer.status for answer in answers] == [404] * MOST_MISSES + [429] * (80 - MOST_MISSES)
    assert int(answers[-1].headers["retry-after"]) > 0 and "Too many attempts" in answers[-1].text
    for path in (f"/j/{other.join}", f"/s/{other.start}", f"/j/{other.join}/meeting.ics", f"/s/{other.start}/events"):
        assert ask(house.address, path, **guesser).status == 429, path
    assert press(house, other.start, headers={"X-Forwarded-For": "198.51.100.1"}).status == 429
    for path in (f"/j/{links.join}", guest):
        assert ask(house.address, path, **guesser).status == 200
    assert ask(house.address, f"/j/{other.join}", **colleague).status == 200
    house.clock.now += 600
    assert ask(house.address, f"/s/{other.start}", **guesser).status == 200
