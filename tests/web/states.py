"""Every state that a page of the waiting room can be in, to be looked at: by people (`make screenshots`) and by axe.

In:  a house, a language. Out: the states, each with the path that shows it. All of them stand side by side in one service.
"""

from dataclasses import dataclass

from notes2conf_milter.core.meeting import Occurrence
from notes2conf_milter.services.jitsi import Jitsi
from notes2conf_milter.services.service import Conference, RefusedLink, Why
from notes2conf_milter.web.forms import blank_form
from tests.web.browser import Browser
from tests.web.house import HOUR, JITSI, MONDAY, House, Links, ask, page, press

DESKTOP, PHONE = (1100, 800), (360, 720)
NAMES = ("Bert Brandt", "", "Dr. Clara Curtz-Ćwiklińska")
_END = "button[value=end]"
_OWN = "input[value=link]"


class OwnLink(Jitsi):
    """A service whose link is pasted; it takes none."""

    @property
    def name(self) -> str:
        return "link"

    @property
    def asks_link(self) -> bool:
        return True

    def title(self, language: str) -> str:
        return {"de": "Eigener Link (Zoom, Teams, Webex …)"}.get(language, "Your own link (Zoom, Teams, Webex …)")

    async def open(self, room: str, organizer: str, link: str, language: str, ended_url: str = "") -> Conference:
        raise RefusedLink(Why.HOSTS_OWN_LINK)


SERVICES = (JITSI, OwnLink("https://own.example.org"))


@dataclass(frozen=True, slots=True)
class Look:
    """One state. path: of its page; then: what is clicked on there; typed: into which field, before the last click."""

    name: str
    path: str
    then: tuple[str, ...] = ()
    typed: tuple[str, str] | None = None

    def show(self, browser: Browser, base: str) -> None:
        """Bring a browser there; base: of the service's addresses. What leads out of the house leads nowhere."""
        browser.page.route("https://meet.example.org/**", lambda route: route.fulfill(status=204))
        browser.open(base + self.path)
        for css in self.then:
            if self.typed and css == self.then[-1]:
                browser.fill(*self.typed)
            browser.click(css)
            browser.page.wait_for_load_state()


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

    def add(self, name: str, path: str, *then: str, typed: tuple[str, str] | None = None) -> None:
        self.found.append(Look(name, path, then, typed))


def looks(house: House, language: str) -> list[Look]:
    """Return all states; the house must serve SERVICES, and its clock stands still."""
    house.clock.now = MONDAY - 60
    build = _Builder(house, language)
    _guests(build)
    for number in (0, 1, 3):
        _start(build, number)
    _others(build)
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
    press(build.house, asking.start, "", away=away.rpartition("/")[2])
    build.add("join-ask", f"/j/{asking.join}")
    build.add("asked", asked)
    build.add("away", away)
    paused, _ = build.open()
    press(build.house, paused.start, "pause")
    build.add("join-paused", f"/j/{paused.join}")
    build.add("waiting-paused", build.guest(paused))
    ended = build.meeting(dates=1)
    left = build.guest(ended)
    build.house.forget(ended)
    build.add("over", left)


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
    more, going, ending, gone = (build.open()[0] for _ in range(4))
    build.add("start-more", f"/s/{more.start}", "details.aside > summary")
    build.add("enter", f"/s/{going.start}", "button[value=enter]")
    build.add("confirm", f"/s/{ending.start}", _END)
    build.add("ended", f"/s/{gone.start}", _END, "button[value=end-all]")
    own = build.meeting()
    build.add("start-own-link", f"/s/{own.start}", _OWN)
    problem = build.meeting()
    pasted = ("input[type=url]", "https://zoom.example/s/1?zak=1")
    build.add("problem", f"/s/{problem.start}", _OWN, "button[value=open]", typed=pasted)
    build.add("notice-gone", "/nowhere")
    build.add("privacy", "/privacy")
