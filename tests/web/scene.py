"""The waiting room with a conference service behind it, and visitors in a real browser who come to it.

In:  a house, the services. Out: organizers and guests at their pages.
Fails: AssertionError in the end, when the console of any visitor complained.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from notes2conf_milter.services.service import Service
from notes2conf_milter.web.server import WebSettings
from tests.web.browser import Browser
from tests.web.house import House, Links


@dataclass
class Scene:
    """The waiting room, and a way to get visitors."""

    house: House
    base: str
    visitors: Callable[..., Browser]

    def guest(self, links: Links, name: str = "", **given: object) -> Browser:
        """Return a guest who waits."""
        browser = self.visitors(**given)
        browser.open(f"{self.base}/j/{links.join}")
        if name:
            browser.fill("#name", name)
        browser.click("button[value=wait]")
        return browser

    def host(self, links: Links, **given: object) -> Browser:
        """Return an organizer at the start page."""
        browser = self.visitors(**given)
        browser.open(f"{self.base}/s/{links.start}")
        return browser


@contextmanager
def staged(house: House, *services: Service, settings: WebSettings | None = None) -> Iterator[Scene]:
    """Yield a scene; whatever its pages did, no console complained."""
    visitors: list[Browser] = []
    with house.serving(settings, *services) as address, ExitStack() as closing:

        def visitor(**given: object) -> Browser:
            browser = closing.enter_context(Browser(**given))  # type: ignore[arg-type]
            visitors.append(browser)
            return browser

        yield Scene(house, f"http://{address.netloc}", visitor)
        faults = [fault for one in visitors for fault in one.faults if "ERR_CONNECTION_REFUSED" not in fault]
        assert faults == [], "nothing is against the policy of the pages"
