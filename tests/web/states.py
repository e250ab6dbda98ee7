"""Every state that a page of the waiting room can be in, to be looked at: by people (`make screenshots`) and by axe.

In:  a house, a language. Out: the states, each with the path that shows it. All of them stand side by side in one service.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from notes2conf_milter.core.joinlink import token_from
from notes2conf_milter.core.meeting import Occurrence, Person
from notes2conf_milter.services.bigbluebutton import BigBlueButton
from notes2conf_milter.services.link import Link
from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.web import lobby
from notes2conf_milter.web.forms import blank_form
from notes2conf_milter.web.limits import MOST_MISSES
from tests.web.browser import Browser
from tests.web.house import DAY, HOUR, JITSI, MONDAY, House, Links, ask, page, press

DESKTOP, PHONE = (1100, 800), (360, 720)
NAMES = ("Bert Brandt", "", "Dr. Clara Curtz-Ćwiklińska")
SERVICES = (JITSI, BigBlueButton("http://127.0.0.1:1/bigbluebutton", "nobody-is-there"), Link())
_UNKNOWN = token_from(bytes(20))
_GUESSER = "192.0.2.7"  # somebody who tries one link after the other
_END, _WAIT, _OPEN = "button[value=end]", "button[value=wait]", "button[value=open]"
_OWN, _SERVER = "input[value=link]", "input[value=bigbluebutton]"
_MORE, _CHANGE, _AWAY = "details.aside > summary", "button[value=change]", "button[name=away]"
_PASTE, _PASTE_OTHER = "#link-link", "#other-link-link"


@dataclass(frozen=True, slots=True)
class Look:
    """One state. path: of its page; then: what is clicked on there; typed: into which field, before the last click.

    spoil: a script that makes of our form one that is not ours. before, after: what happens in the house first, and is undone
    last. meanwhile: what happens while the page is open; until: the element that tells of it. offline: the page gets no news.
    headers: of its requests. complaint: what the browser's console says of it.
    """

    name: str
    path: str
    then: tuple[str, ...] = ()
    typed: tuple[str, str] | None = None
    spoil: str = ""
    before: Callable[[], object] | None = None
    after: Callable[[], object] | None = None
    meanwhile: Callable[[], object] | None = None
    until: str = ""
    offline: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    complaint: str = ""

    def show(self, browser: Browser, base: str) -> None:
        """Bring a browser there; base: of the service's addresses. What leads out of the house leads nowhere."""
        browser.page.unroute_all()
        browser.page.route("https://meet.example.org/**", lambda route: route.fulfill(status=204))
        if self.offline:
            browser.page.route("**/events", lambda route: route.abort())
        browser.page.set_extra_http_headers(dict(self.headers))
        try:
            if self.before:
                self.before()
            self._show(browser, base)
        finally:
            if self.after:
                self.after()

    def _show(self, browser: Browser, base: str) -> None:
        browser.open(base + self.path)
        if self.spoil:
            browser.run(self.spoil)
        for css in self.then:
            if self.typed and css == self.then[-1]:
                browser.fill(*self.typed)
            browser.click(css)
            browser.page.wait_for_load_state()
        if self.meanwhile:
            self.meanwhile()
        if self.until:
            browser.page.wait_for_selector(self.until)


class _Builder:
    def __init__(self, house: House, language: str) -> None:
        self.house, self.language, self.found = house, language, list[Look]()
        self.subject = {"de": "Quartalsplanung Vertrieb"}.get(language, "Quarterly planning")

    def meeting(self, start: int = MONDAY, dates: int = 1) -> Links:
        times = tuple(
            Occurrence(at, at + HOUR, "Europe/Berlin", 7200)
            for at in range(start, start + dates * 7 * 86400, 7 * 86400)
        )
        return self.house.add(page(self.subject, times=times))

    def guest(self, links: Links, name: str = "", start: int = MONDAY) -> str:
        """Return the path of a guest who waits."""
        form = blank_form(links.join, start)
        sent = {"occurrence": form.occurrence, "proof": form.proof, "do": "wait", "name": name}
        answer = ask(self.house.address, f"/j/{links.join}", "POST", sent, Accept_Language=self.language)
        return "/j/" + answer.headers["location"]

    def open(self, admission: str = "open", guests: int = 0) -> tuple[Links, list[str]]:
        links = self.meeting()
        paths = [self.guest(links, name) for name in NAMES[:guests]]
        assert press(self.house, links.start, "open", admission=admission).status == 303
        return links, paths

    def away(self, links: Links, guest: str) -> None:
        """What the organizer does who turns a guest away, by the path of the guest's page."""
        assert press(self.house, links.start, "", away=guest.rpartition("/")[2]).status == 303

    def add(self, name: str, path: str, *then: str, **given: object) -> None:
        self.found.append(Look(name, path, then, **given))  # type: ignore[arg-type]


def looks(house: House, language: str) -> list[Look]:
    """Return all states; the house must serve SERVICES, and its clock stands still."""
    house.clock.now = MONDAY - 60
    build = _Builder(house, language)
    _guests(build)
    for number in (0, 1, 3):
        _start(build, number)
    _others(build)
    _problems(build)
    _notices(build)
    return build.found


def _guests(build: _Builder) -> None:
    soon, later, weekly = build.meeting(), build.meeting(MONDAY + 3 * HOUR), build.meeting(dates=3)
    build.add("join-early", f"/j/{later.join}")
    build.add("join-closed", f"/j/{soon.join}")
    build.add("join-series-phone-code", f"/j/{weekly.join}", "details summary")
    build.add("waiting-early", build.guest(later, start=MONDAY + 3 * HOUR))
    build.add("waiting", build.guest(soon))
    opened, (inside,) = build.open(guests=1)
    build.add("join-open", f"/j/{opened.join}")
    build.add("go", inside)
    asking, (asked, away) = build.open("ask", guests=2)
    build.away(asking, away)
    build.add("join-ask", f"/j/{asking.join}")
    build.add("asked", asked)
    build.add("away", away)
    asking, (told,) = build.open("ask", guests=1)
    build.add("away-told", told, meanwhile=partial(build.away, asking, told), until=".status.closed")
    paused, _ = build.open()
    press(build.house, paused.start, "pause")
    build.add("join-paused", f"/j/{paused.join}")
    build.add("waiting-paused", build.guest(paused))
    ended = build.meeting(dates=1)
    left = build.guest(ended)
    build.house.forget(ended)
    build.add("over", left)
    cancelled = build.meeting()
    forget = partial(build.house.forget, cancelled)
    build.add("over-told", build.guest(cancelled), meanwhile=forget, until=".status.closed")
    build.add("waiting-lost", build.guest(soon), offline=True, until="p.lost", complaint="net::ERR_FAILED")
    _special(build)


def _special(build: _Builder) -> None:
    """Pages with something on them that others have not: another kind of time, an own link."""
    day = (Occurrence(MONDAY - 10 * HOUR, MONDAY + 14 * HOUR, "Europe/Berlin", 7200, all_day=True),)
    whole = build.house.add(page(build.subject, times=day))
    past = tuple(Occurrence(MONDAY - at, MONDAY - at + HOUR, "Europe/Berlin", 7200) for at in (21 * DAY, 14 * DAY))
    outlived = build.house.add(page(build.subject, times=past), kept=30 * DAY)
    for name, links in (("whole-day", whole), ("outlived", outlived)):
        build.add(f"join-{name}", f"/j/{links.join}")
        build.add(f"start-{name}", f"/s/{links.start}")
    links, (own,) = build.house.add_own(page(build.subject), Person("bert@example.com", "Bert Brandt"))
    build.guest(Links(own, links.start))
    build.add("join-own", f"/j/{own}")
    build.add("start-guest-by-own-link", f"/s/{links.start}")


def _start(build: _Builder, number: int) -> None:
    for name, start in (("early", MONDAY + 3 * HOUR), ("closed", MONDAY)):
        links = build.meeting(start)
        for who in NAMES[:number]:
            build.guest(links, who, start)
        build.add(f"start-{name}-{number}", f"/s/{links.start}")
    links, _ = build.open(guests=number)
    build.add(f"start-open-{number}", f"/s/{links.start}")
    links, _ = build.open("ask", guests=number)
    build.add(f"start-ask-{number}", f"/s/{links.start}")
    links, _ = build.open()
    press(build.house, links.start, "pause")
    for who in NAMES[:number]:
        build.guest(links, who)
    build.add(f"start-paused-{number}", f"/s/{links.start}")


def _others(build: _Builder) -> None:
    near = build.meeting(MONDAY - HOUR + 300)
    form = blank_form(near.start, MONDAY - HOUR + 300)
    assert press(build.house, near.start, form=form).status == 303
    build.add("start-ending", f"/s/{near.start}")
    ended_there, _ = build.open()
    build.house.close_elsewhere(ended_there)
    build.add("start-ended-there", f"/s/{ended_there.start}")
    more, going, ending, gone = (build.open()[0] for _ in range(4))
    build.add("start-more", f"/s/{more.start}", "details.aside > summary")
    same_tab = "document.querySelector('button[value=enter]').removeAttribute('formtarget')"
    build.add("enter", f"/s/{going.start}", "button[value=enter]", spoil=same_tab)
    build.add("confirm", f"/s/{ending.start}", _END)
    build.add("ended", f"/s/{gone.start}", _END, "button[value=end-all]")
    own = build.meeting()
    build.add("start-own-link", f"/s/{own.start}", _OWN)
    asking, _ = build.open("ask", guests=2)
    build.add("start-turned-away", f"/s/{asking.start}", _AWAY)
    build.add("start-turned-both-away", f"/s/{asking.start}", _AWAY)
    weekly = build.meeting(dates=2)
    build.add("start-next-date", f"/s/{weekly.start}", "input[value=jitsi]", _OPEN, _END)
    build.add("privacy", "/privacy")


def _problems(build: _Builder) -> None:
    """What is wrong with a link that was pasted, or with the service, before it opens and in mid-meeting."""
    closed, (opened, _) = build.meeting(), build.open()
    for name, link in (
        ("problem", "https://zoom.us/s/1?zak=1"),
        ("problem-no-link", ""),
        ("problem-not-https", "http://zoom.us/j/1"),
        ("problem-not-allowed", "https://zoom.example/j/1"),
    ):
        build.add(name, f"/s/{closed.start}", _OWN, _OPEN, typed=(_PASTE, link), complaint="status of 422")
    build.add("problem-service", f"/s/{closed.start}", _SERVER, _OPEN, complaint="status of 422")
    change = (_MORE, f"details {_OWN}", _CHANGE)
    typed = (_PASTE_OTHER, "https://zoom.us/s/1?zak=1")
    build.add("problem-change", f"/s/{opened.start}", *change, typed=typed, complaint="status of 422")
    build.add(
        "problem-change-service", f"/s/{opened.start}", _MORE, f"details {_SERVER}", _CHANGE, complaint="status of 422"
    )


def _notices(build: _Builder) -> None:
    """Pages that say one thing only: what is not valid, or not any more, and what cannot be."""
    cancelled, ended, soon = build.meeting(), build.open()[0], build.meeting()
    guest = build.guest(cancelled)
    build.house.forget(cancelled)
    press(build.house, ended.start, "end-all")
    for name, path in (
        ("gone", "/nowhere"),
        ("gone-unknown", f"/j/{_UNKNOWN}"),
        ("gone-unknown-start", f"/s/{_UNKNOWN}"),
        ("gone-cancelled", f"/j/{cancelled.join}"),
        ("gone-cancelled-start", f"/s/{cancelled.start}"),
        ("gone-cancelled-date", f"/j/{cancelled.join}/meeting.ics"),
        ("gone-ended", f"/j/{ended.join}"),
        ("gone-ended-start", f"/s/{ended.start}"),
        ("gone-nobody", f"/j/{_UNKNOWN}/{guest.rpartition('/')[2]}"),
    ):
        build.add(f"notice-{name}", path, complaint="status of 404")
    join = f"/j/{soon.join}"
    build.add(
        "notice-refused",
        join,
        _WAIT,
        spoil="document.querySelector('[name=proof]').value = 0",
        complaint="status of 403",
    )
    post = """document.querySelector("main").insertAdjacentHTML("beforeend",
      "<form method=post action=/privacy><button id=post>Post</button></form>")"""
    build.add("notice-wrong-method", join, "#post", spoil=post, complaint="status of 405")
    long = """const field = document.getElementById("name");
      field.removeAttribute("maxlength"); field.value = "x".repeat(9000)"""
    build.add("notice-too-large", join, _WAIT, spoil=long, complaint="status of 413")
    for number in range(MOST_MISSES):
        ask(build.house.address, f"/j/{token_from(number.to_bytes(20, 'big'))}", X_Forwarded_For=_GUESSER)
    unseen, headers = build.meeting(), (("X-Forwarded-For", _GUESSER),)
    build.add("notice-too-many", f"/j/{unseen.join}", headers=headers, complaint="status of 429")
    store = build.house.store
    for name, error, status in (("broken", RuntimeError("a fault"), 500), ("busy", StoreError("locked"), 503)):
        fail, mend = partial(setattr, store, "fail", error), partial(setattr, store, "fail", None)
        build.add(f"notice-{name}", join, before=fail, after=mend, complaint=f"status of {status}")
    fill, empty = (partial(setattr, lobby, "MAX_GUESTS", number) for number in (0, lobby.MAX_GUESTS))
    build.add("notice-full", join, _WAIT, before=fill, after=empty, complaint="status of 507")
