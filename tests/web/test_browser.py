"""An organizer and three guests in a real browser, from the invitation mail to the door of the conference."""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from notes2conf_milter.address import InetAddress
from notes2conf_milter.core.meeting import Occurrence, Person
from notes2conf_milter.core.verdict import Outcome
from notes2conf_milter.services.jitsi import Jitsi
from notes2conf_milter.services.link import Link
from notes2conf_milter.web.server import WebSettings
from tests import house as mailhouse
from tests.invitations import invitation
from tests.store.vault import Vault
from tests.web.browser import AVAILABLE, Browser, Running
from tests.web.house import DAY, HOUR, JITSI, MONDAY, Clock, House, Links, ask, page, press, serving
from tests.web.scene import Scene, staged

ROOM = re.compile(r"/[a-z2-7]{32}")
RIGHTMOST = "return Math.max(...[...document.querySelectorAll('main *')].map(e => e.getBoundingClientRect().right))"
FOCUSED = "return document.activeElement.id || document.activeElement.textContent.trim()"
IN = "You are in the conference"
SOON = 5.0  # seconds within which a page tells of a change that mail brought
REFRESHED = 45.0  # seconds within which a page without script does


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[None]:
    """Keep the browser between the tests."""
    assert AVAILABLE, "there is no browser; on Debian: apt-get install --no-install-recommends chromium"
    with Running():
        yield


class StandIn:
    """A conference server that only writes down who came."""

    def __init__(self) -> None:
        self.visits: list[tuple[str, dict[str, str]]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.jitsi = Jitsi(f"http://127.0.0.1:{self.server.server_address[1]}")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        visits = self.visits

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != "/favicon.ico":  # which the browser asks for by itself
                    visits.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<!doctype html><title>Room</title><p>You are in the conference")

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@contextmanager
def stand_in() -> Iterator[StandIn]:
    found = StandIn()
    thread = threading.Thread(target=found.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.server.shutdown()
        found.server.server_close()
        thread.join(10)


@pytest.fixture
def conference() -> Iterator[StandIn]:
    """Return a conference server."""
    with stand_in() as found:
        yield found


@pytest.fixture
def scene(house: House, conference: StandIn) -> Iterator[Scene]:
    """Return a scene before that server."""
    with staged(house, conference.jitsi) as found:
        yield found


# --- from the invitation to the conference ---


def invited(place: Path) -> tuple[Vault, Links]:
    """Send an invitation through the mail flow; return the store, and the links that stand in its mails."""
    vault = Vault(place / "vault").make()
    with ThreadPoolExecutor(1) as thread:  # asyncio.run() in the browser's own thread would find a loop there
        mail = mailhouse.House(vault, thread)
        message = invitation(b"SUMMARY:Quarterly planning")
        outcome: Outcome = ThreadPoolExecutor(1).submit(mail.process, message).result(30)
        return vault, Links(mailhouse.token(outcome, message), mailhouse.start_token(mail))


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_from_the_invitation_to_the_conference(tmp_path: Path, script: bool) -> None:
    vault, links = invited(tmp_path)
    clock = Clock(mailhouse.OVER - HOUR - 60)
    with (
        stand_in() as conference,
        serving(vault.web(), clock, (conference.jitsi,)) as address,
        Browser("de", script=script) as host,
        Browser(script=script) as bert,
        Browser(script=script) as clara,
        Browser("de", script=script) as dora,
    ):
        base = f"http://{address.netloc}"
        for guest, name in ((bert, "Bert Brandt"), (clara, "Clara Curtz"), (dora, "")):
            guest.open(f"{base}/j/{links.join}")
            assert "Quarterly planning" in guest.text("h1")
            guest.fill("#name", name)
            guest.click("button[value=wait]")
        bert.see("You are waiting")
        dora.see("Sie warten")
        host.open(f"{base}/s/{links.start}")
        for said in ("Quarterly planning", "Bert Brandt", "Clara Curtz", "Gast ohne Namen"):
            host.see(said)
        assert not any(other in clara.page.content() for other in ("Bert", "Brandt")), "the organizer alone sees names"
        assert conference.visits == [], "nobody went there yet"
        host.click("button[value=open]")
        host.see("Die Konferenz ist eröffnet")
        for guest in (bert, clara, dora):
            if not script:
                guest.see("Join the conference" if guest is not dora else "An der Konferenz teilnehmen", REFRESHED)
                guest.click("a.button")
            guest.see(IN)
        host.click("button[value=enter]")
        if not script:
            host.click("a.button")
        host.see(IN)
        if script:
            host.close_tab()  # the page with the list and the buttons is still there
            host.see("Konferenz betreten")
        assert [fault for one in (host, bert, clara, dora) for fault in one.faults] == []
    assert len({path for path, _ in conference.visits}) == 1
    assert len(conference.visits) == 4
    for path, headers in conference.visits:
        assert ROOM.fullmatch(path)
        assert "referer" not in headers, "our address stays ours"
    for store in list(vault._open):
        store.close()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_one_by_one(scene: Scene, conference: StandIn, script: bool) -> None:
    links = scene.house.add(page())
    bert, clara = (scene.guest(links, name, script=script) for name in ("Bert Brandt", "Clara Curtz"))
    host = scene.host(links, script=script)
    host.click("input[value=ask]")
    host.click("button[value=open]")
    host.see("You let guests in one by one")
    for guest in (bert, clara):
        guest.look_again()
        guest.see("The organizer knows that you are here")
    host.click("li:has-text('Bert') button[name=admit]")
    bert.look_again()
    bert.see(IN)
    clara.look_again()
    assert clara.sees("The organizer knows that you are here")
    host.click("li:has-text('Clara') button[name=away]")
    clara.look_again()
    clara.see("Not let in")
    host.see("Nobody is waiting")
    clara.reload()
    assert clara.sees("Not let in")
    dora, eva = (scene.guest(links, name, script=script) for name in ("Dora Dehn", "Eva Ernst"))
    host.look_again()
    host.see("Dora Dehn")
    host.see("Eva Ernst")
    assert not host.sees("Clara Curtz")
    host.click("button[value=all]")
    for guest in (dora, eva):
        guest.look_again()
        guest.see(IN)
    host.see("Nobody is waiting")
    assert len(conference.visits) == 3


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_who_is_turned_away_is_offered_nothing_to_stop(scene: Scene, script: bool) -> None:
    links = scene.house.add(page())
    press(scene.house, links.start, "open", admission="ask")
    guest = scene.guest(links, script=script)
    guest.see("Stop waiting")
    if script:
        guest.page.focus("button[value=leave]")
    press(scene.house, links.start, "", away=guest.url().rpartition("/")[2])
    guest.look_again()
    guest.see("Not let in")
    assert not guest.sees("Stop waiting")
    if script:
        assert guest.run("return document.activeElement.id") == "live", "the focus goes to what is said, not to the top"


def test_who_waited_for_what_is_over_is_offered_nothing_to_stop(scene: Scene) -> None:
    links = scene.house.add(page())
    guest = scene.guest(links)
    guest.see("Stop waiting")
    scene.house.forget(links)
    guest.see("The conference is over", SOON)
    assert not guest.sees("Stop waiting")


def test_pause_holds_new_guests_up(scene: Scene) -> None:
    links = scene.house.add(page())
    host = scene.host(links)
    host.click("button[value=open]")
    host.click("button[value=pause]")
    guest = scene.guest(links)
    guest.see("There is a pause for new guests")
    host.click("button[value=resume]")
    guest.see(IN)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_the_next_date_of_a_series_starts_closed_behind_the_same_link(
    scene: Scene, conference: StandIn, script: bool
) -> None:
    times = tuple(Occurrence(at, at + HOUR, "Europe/Berlin", 7200) for at in (MONDAY, MONDAY + 7 * DAY))
    links = scene.house.add(page(times=times))
    guest, host = scene.guest(links, script=script), scene.host(links, script=script)
    host.see("Monday, 4 May 2026")
    host.click("button[value=open]")
    guest.look_again()
    guest.see(IN)
    host.click("button[value=pause]")
    late = scene.guest(links, script=script)
    late.see("There is a pause for new guests")
    host.click("button[value=end]")
    host.see("Monday, 11 May 2026")
    host.see("Not open yet")
    late.look_again()
    late.see("Monday, 11 May 2026")
    late.see("It begins at the time above")
    late.click("button[value=leave]")
    scene.house.clock.now = MONDAY + 7 * DAY
    again = scene.guest(links, script=script)
    again.see("Monday, 11 May 2026")
    again.see("You are waiting")
    host.reload()
    host.click("button[value=open]")
    again.look_again()
    again.see(IN)
    (first, _), (second, _) = conference.visits
    assert first != second, "each date has a room of its own"


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_date_that_passed_makes_way_for_the_next(scene: Scene, script: bool) -> None:
    """Nobody opened it, nobody ended it; who looks again, by the same link, sees the next one."""
    times = tuple(Occurrence(at, at + HOUR, "Europe/Berlin", 7200) for at in (MONDAY, MONDAY + 7 * DAY))
    links = scene.house.add(page(times=times))
    guest, host = (scene.visitors(script=script) for _ in range(2))
    for date in ("Monday, 4 May 2026", "Monday, 11 May 2026"):
        for browser, path in ((guest, f"/j/{links.join}"), (host, f"/s/{links.start}")):
            browser.open(scene.base + path)
            browser.see(date)
            browser.see("One of a series. The same link leads to every date.")
        scene.house.clock.now += HOUR
    guest.see("Still some time to go")


# --- what mail brings while guests wait ---


def moved(times: int = 1) -> Occurrence:
    return Occurrence(MONDAY + times * 2 * HOUR, MONDAY + times * 2 * HOUR + HOUR, "Europe/Berlin", 7200)


def test_a_meeting_is_moved_while_guests_wait(scene: Scene) -> None:
    links = scene.house.add(page())
    guest, host, looker = scene.guest(links), scene.host(links), scene.visitors(script=False)
    guest.see("10:00 – 11:00")
    looker.open(guest.url())
    looker.see("10:00 – 11:00")
    scene.house.update(links, page("Another subject", times=(moved(),)))
    guest.see("12:00 – 13:00", SOON)
    guest.see("Another subject")
    guest.see("You are waiting")
    host.see("12:00 – 13:00", SOON)
    looker.see("12:00 – 13:00", REFRESHED)


def test_a_meeting_is_cancelled_while_guests_wait(scene: Scene) -> None:
    links = scene.house.add(page())
    guest, host, looker = scene.guest(links), scene.host(links), scene.guest(links, script=False)
    guest.see("You are waiting")
    looker.see("You are waiting")
    host.see("Guest without a name")
    scene.house.forget(links)
    guest.see("The conference is over", SOON)
    host.see("This link is not valid, or not any more", SOON)
    looker.see("The conference is over", REFRESHED)
    host.faults.clear()  # the page behind the dead link is a 404, and the console says so


def test_the_organizer_ends_for_good(scene: Scene) -> None:
    links = scene.house.add(page())
    guest, host = scene.guest(links), scene.host(links)
    press(scene.house, links.start, "open", admission="ask")
    host.reload()
    host.click("button[value=end]")
    host.see("End the conference?")
    assert guest.sees("The organizer knows that you are here") or guest.sees("You are waiting")
    host.click("button[value=end-all]")
    host.see("Ended and deleted")
    guest.see("The conference is over", SOON)


# --- the pages themselves ---


def test_by_keyboard_alone(scene: Scene) -> None:
    links = scene.house.add(page())
    guest, host = scene.visitors(), scene.host(links)
    guest.open(f"{scene.base}/j/{links.join}")
    guest.press("Tab")
    assert guest.run(FOCUSED) == "name"
    guest.page.keyboard.type("Bert Brandt")
    guest.press("Tab")
    assert guest.run(FOCUSED) == "Wait here"
    assert guest.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    guest.press("Enter")
    guest.see("You are waiting")
    host.see("Bert Brandt")
    host.press("Tab")  # how guests are admitted
    host.press("ArrowDown")
    host.press("Tab")
    assert host.run(FOCUSED) == "Start the conference"
    host.press("Enter")
    host.see("You let guests in one by one")
    _tab_to(host, "Let in Bert Brandt")
    host.press("Enter")
    guest.see(IN)
    host.see("Nobody is waiting")
    _tab_to(host, "Enter the conference\u00a0↗ (in a new tab)")
    with host.another_tab():
        host.press("Space")
    host.see(IN)


def _tab_to(browser: Browser, text: str) -> None:
    for _ in range(20):
        browser.press("Tab")
        if browser.run("return document.activeElement.textContent.trim()") == text:
            return
    raise AssertionError(f"no way by Tab to {text!r}")


def test_the_focus_stays_in_the_list_of_guests_when_it_changes(scene: Scene) -> None:
    links = scene.house.add(page())
    press(scene.house, links.start, "open", admission="ask")
    first = scene.guest(links, "Bert Brandt")
    host = scene.host(links)
    _tab_to(host, "Turn away Bert Brandt")
    focused = host.run(FOCUSED)
    assert focused == "away-" + first.url().rpartition("/")[2]
    second = scene.guest(links, "Clara Curtz")
    host.see("Clara Curtz")
    assert host.run(FOCUSED) == focused
    second.click("button[value=leave]")
    host.page.get_by_text("Clara Curtz").first.wait_for(state="detached")
    assert host.run(FOCUSED) == focused
    first.click("button[value=leave]")
    host.see("Nobody is waiting")
    assert host.run("return document.getElementById('guests').parentElement.contains(document.activeElement)"), (
        "the focus does not fall back to the top of the page when its button goes"
    )


def test_pages_come_back_when_the_service_was_started_anew(house: House) -> None:
    links = house.add(page())
    with Browser() as guest, Browser() as host, stand_in() as conference:
        with serving(house.store, house.clock, (conference.jitsi,)) as address:
            guest.open(f"http://{address.netloc}/j/{links.join}")
            guest.click("button[value=wait]")
            guest.see("You are waiting")
            host.open(f"http://{address.netloc}/s/{links.start}")
            host.see("Guest without a name")
        time.sleep(3)  # long enough for a page that loads anew at once to find nobody there
        assert guest.sees("You are waiting")
        again = InetAddress("127.0.0.1", address.port)
        with serving(house.store, house.clock, (conference.jitsi,), listen=again):
            guest.see("Wait here", 20)
            guest.click("button[value=wait]")
            guest.see("You are waiting")
            host.see("Guest without a name", 20)
            host.click("button[value=open]")
            guest.see(IN)


def test_what_was_typed_for_another_service_does_not_hold_up_the_start(scene: Scene) -> None:
    """A field that is hidden again is not checked by the browser, which would refuse without a word."""
    links = scene.house.add(page())
    with scene.house.serving(None, JITSI, Link()) as address, Browser() as host:
        host.open(f"http://{address.netloc}/s/{links.start}")
        host.click("input[value=link]")
        host.fill("input[name=link]", "zoom.us/j/1")
        host.click("input[value=jitsi]")
        host.click("button[value=open]")
        host.see("The conference is open")
        assert host.faults == []


def test_more_guests_of_a_network_than_are_told_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others ask every now and then: no word of a lost connection, and they go in as well."""
    monkeypatch.setattr(WebSettings, "streams_per_network", 1)
    monkeypatch.setattr("notes2conf_milter.web.pages._WAIT_REFRESH", 1)
    links, settings = house.add(page()), WebSettings("https://conf.example.org", trusted_proxies=())
    with stand_in() as conference, house.serving(settings, conference.jitsi) as address, ExitStack() as closing:
        guests = [closing.enter_context(Browser()) for _ in range(3)]
        for guest in guests:
            guest.open(f"http://{address.netloc}/j/{links.join}")
            guest.click("button[value=wait]")
            guest.see("You are waiting")
        time.sleep(3)  # the others have asked again
        assert not any(guest.sees("connection is lost") for guest in guests)
        press(house, links.start)
        for guest in guests:
            guest.see(IN)
            assert guest.faults == []


@pytest.mark.parametrize("language", ["en", "de"])
def test_nothing_overflows_a_small_phone(scene: Scene, language: str) -> None:
    subjects = ("Planning", "Donau" * 60, "a long subject of many words " * 20, "اجتماع الفريق الأسبوعي")
    organizer = Person("x" * 60 + "@" + "y" * 60 + ".example")
    phone = scene.visitors(language=language, size=(320, 640), zone="America/New_York")
    for links in [scene.house.add(page(subject, organizer=organizer)) for subject in subjects]:
        guest = scene.guest(links, "W" * 60, language=language, size=(320, 640))
        paths = [f"/j/{links.join}", guest.url().removeprefix(scene.base), f"/s/{links.start}", "/privacy"]
        for opened in (False, True):
            if opened:
                press(scene.house, links.start, "open", admission="ask")
            for path in paths:
                phone.open(scene.base + path)
                phone.run("document.querySelectorAll('details').forEach(one => one.open = true)")
                assert phone.run("return document.documentElement.scrollWidth") <= 320, path
                assert phone.run("return document.styleSheets.length") == 1
                assert phone.run(RIGHTMOST) <= 320, path


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("America/New_York", "In your time zone: Monday, 04:00 – 05:00"),
        ("Asia/Tokyo", "In your time zone: Monday, 17:00 – 18:00"),
        ("Europe/Berlin", ""),
        ("Europe/Paris", ""),
    ],
)
def test_the_own_time_zone_is_said_where_it_is_another(scene: Scene, zone: str, said: str) -> None:
    links = scene.house.add(page())
    browser = scene.visitors(zone=zone)
    browser.open(f"{scene.base}/j/{links.join}")
    browser.see("10:00 – 11:00")
    told = browser.text(".own-time") if browser.page.locator(".own-time").count() else ""
    assert told.replace("\u2009", " ").startswith(said) if said else told == ""


def test_a_first_visit_takes_less_than_30_kb(scene: Scene) -> None:
    """HTML, style, script and icon of the join page, as they come over the wire without compression."""
    links = scene.house.add(page("Quarterly planning of the sales department", times=(moved(),)))
    browser, sizes = scene.visitors(), dict[str, int]()
    browser.page.on("response", lambda one: sizes.__setitem__(one.url, len(one.body())))
    browser.open(f"{scene.base}/j/{links.join}")
    browser.page.wait_for_load_state("networkidle")
    assert {url.rpartition(".")[2] for url in sizes if "/static/" in url} >= {"css", "js", "svg"}
    assert sum(sizes.values()) < 30_000
    assert all(url.startswith(scene.base) for url in sizes), "nothing from anybody else"


def test_the_code_for_the_phone_is_made_when_somebody_unfolds_it(scene: Scene) -> None:
    links = scene.house.add(page())
    browser, asked = scene.visitors(), list[str]()
    browser.page.on("request", lambda one: asked.append(one.url.removeprefix(scene.base)))
    for path in (f"/j/{links.join}", f"/s/{links.start}"):
        browser.open(scene.base + path)
        browser.page.wait_for_load_state("load")
        assert f"{path}/code.svg" not in asked
        browser.click("summary:has-text('phone')")
        browser.page.evaluate("() => document.querySelector('img.code').decode()")  # fails when it is no picture
        assert f"{path}/code.svg" in asked
    other = ask(scene.house.address, f"/j/{links.start}/code.svg")
    assert (other.status, links.start in other.text) == (404, False), "only for a link of its kind"
