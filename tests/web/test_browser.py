"""A guest and an organizer in a real browser, up to the door of the conference."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from notes2conf_milter.core.meeting import Person
from notes2conf_milter.services.jitsi import Jitsi
from tests.web.browser import AVAILABLE, Browser
from tests.web.house import House, page

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="Debian's chromium and chromium-driver are not installed")

RIGHTMOST = "Math.max(...[...document.querySelectorAll('main *')].map(e => e.getBoundingClientRect().right))"
TAB, ENTER = "\ue004", "\ue007"


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


@pytest.mark.parametrize("script", [True, False])
def test_an_organizer_opens_and_a_guest_comes_in(house: House, script: bool) -> None:
    links = house.add(page("Quarterly planning"))
    with stand_in() as conference, house.serving(None, conference.jitsi) as address:
        base = f"http://{address.netloc}"
        with Browser("en", script=script) as guest, Browser("de", script=script) as host:
            guest.open(f"{base}/j/{links.join}")
            guest.see("Quarterly planning")
            guest.see("has not started")
            guest.see("Anna Müller")
            guest.click("a.again")
            guest.see("has not started")
            assert guest.url() == f"{base}/j/{links.join}"

            host.open(f"{base}/s/{links.start}")
            host.see("noch nicht begonnen")
            host.click("button")
            host.see("Die Konferenz ist eröffnet")
            assert host.url() == f"{base}/s/{links.start}"
            assert conference.visits == [], "nobody went there yet"

            guest.reload()
            guest.see("The conference is open")
            guest.click("a.button")
            guest.see("You are in the conference")
            host.click("a.button")
            host.see("You are in the conference")
        (room, _), (same, _) = conference.visits
        assert room == same
        for path, headers in conference.visits:
            assert links.join not in path and "referer" not in headers, "our address stays ours"


def test_by_keyboard_alone(house: House) -> None:
    links = house.add(page())
    with stand_in() as conference, house.serving(None, conference.jitsi) as address, Browser() as host:
        host.open(f"http://{address.netloc}/s/{links.start}")
        host.press(TAB)
        assert host.run("return document.activeElement.textContent") == "Start the conference"
        assert host.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
        host.press(ENTER)
        host.see("The conference is open")
        host.press(TAB)
        host.press(ENTER)
        host.see("You are in the conference")


@pytest.mark.parametrize("language", ["en", "de"])
def test_nothing_overflows_a_small_phone(house: House, language: str) -> None:
    subjects = ("Planning", "Donau" * 60, "a long subject of many words " * 20, "اجتماع الفريق الأسبوعي")
    organizer = Person("x" * 60 + "@" + "y" * 60 + ".example")
    with house.serving() as address, Browser(language, size=(320, 640)) as phone:
        for links in [house.add(page(subject, organizer=organizer)) for subject in subjects]:
            for path in (f"/j/{links.join}", f"/s/{links.start}", "/nowhere"):
                phone.open(f"http://{address.netloc}{path}")
                assert phone.run("return document.documentElement.scrollWidth") <= 320
                assert phone.run("return document.styleSheets.length") == 1
                assert phone.run(f"return {RIGHTMOST}") <= 320
