"""axe-core finds nothing in any state of any page: German and English, light and dark, phone and desktop."""

from collections.abc import Iterator
from importlib.resources import files
from itertools import product

import pytest

from tests.web.browser import Browser, Running
from tests.web.house import House, page
from tests.web.states import DESKTOP, PHONE, SERVICES, looks

AXE = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
# All rules, those of good practice too, and the size of targets (WCAG 2.2 §2.5.8), which axe leaves off by itself.
RUN = """async () => (await axe.run(document, {rules: {"target-size": {enabled: true}}})).violations.map(
  one => one.id + ": " + one.nodes.map(node => node.target.join(" ") + " " + node.failureSummary).join("; "))"""


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[None]:
    """Keep the browser between the tests."""
    with Running():
        yield


@pytest.mark.parametrize("language", ["en", "de"])
def test_axe_finds_nothing(house: House, language: str) -> None:
    found: dict[str, list[str]] = {}
    with (
        house.serving(None, *SERVICES) as address,
        Browser(language, zone="America/New_York") as browser,
    ):
        for look in looks(house, language):
            browser.faults.clear()
            look.show(browser, f"http://{address.netloc}")
            assert browser.attribute("html", "lang") == language, look.name
            browser.page.evaluate(AXE)
            for size, dark in product((PHONE, DESKTOP), (False, True)):
                browser.turn(size, dark)
                for problem in browser.page.evaluate(RUN):
                    found.setdefault(look.name, []).append(f"{size}, {'dark' if dark else 'light'}: {problem}")
            said = [one for one in browser.faults if not look.complaint or look.complaint not in one]
            assert said == [], f"{look.name}: something is against the policy of the pages"
            assert bool(browser.faults) == bool(look.complaint), f"{look.name}: not that state"
    assert found == {}


def test_axe_would_find_something(house: House) -> None:
    """The control: text too faint to read, a field without a name, a target too small, on a page of ours."""
    spoil = """document.querySelector("h1").style.color = "#aaa"; document.querySelector("label").remove();
      document.querySelector("main").insertAdjacentHTML("beforeend", "<a href='x'>a</a><a href='y'>b</a>");
      document.querySelectorAll("main > a").forEach(one => one.style.cssText = "display: inline-block; font-size: 6px")"""
    links = house.add(page())
    with house.serving() as address, Browser() as browser:
        browser.open(f"http://{address.netloc}/j/{links.join}")
        browser.run(spoil)
        browser.page.evaluate(AXE)
        found = {one.partition(":")[0] for one in browser.page.evaluate(RUN)}
    assert {"color-contrast", "label", "target-size"} <= found
