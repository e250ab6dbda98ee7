"""A real browser for tests: Debian's Chromium, driven by Playwright.

    with Browser(language="de") as browser:
        browser.open(url)
        browser.click("button")
        browser.see("…")

Each Browser is a visitor with a profile of its own (nothing is shared between two). One Chromium carries all that are open at a
time; while one is open, Playwright's event loop runs in this thread: asyncio.run() has to go to another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import ConsoleMessage, Error, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
AVAILABLE = Path(CHROMIUM).exists()
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
PATIENCE = 15_000  # milliseconds


class _Shared:
    """The one Chromium: started by who comes first, ended by who goes last."""

    def __init__(self) -> None:
        self._users = 0

    def enter(self) -> Chromium:
        if self._users == 0:
            self._driver = sync_playwright().start()
            try:
                self._chromium = self._driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            except BaseException:
                self._driver.stop()
                raise
        self._users += 1
        return self._chromium

    def leave(self) -> None:
        self._users -= 1
        if self._users == 0:
            self._chromium.close()
            self._driver.stop()


_shared = _Shared()


class Running:
    """Keeps Chromium running between the browsers of a module: `with Running():`."""

    def __enter__(self) -> None:
        _shared.enter()

    def __exit__(self, *_: object) -> None:
        _shared.leave()


class Browser:
    """One visitor. size: CSS pixels; dark: the reader wishes dark colours; script: JavaScript; zone: the clock on the wall.
    trusting: takes a certificate that nobody vouches for.

    faults: what the console complained of, and scripts that failed. page: Playwright's, for what has no word here.
    """

    def __init__(
        self,
        language: str = "en",
        size: tuple[int, int] = (1280, 800),
        dark: bool = False,
        script: bool = True,
        zone: str = "Europe/Berlin",
        trusting: bool = False,
    ) -> None:
        self._script = script
        self._context = _shared.enter().new_context(
            locale=language,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            timezone_id=zone,
            ignore_https_errors=trusting,
        )
        self._context.set_default_timeout(PATIENCE)
        self.faults: list[str] = []
        self._tabs: list[Page] = []
        self._look_at(self._context.new_page())

    def _look_at(self, page: Page) -> None:
        self.page = page
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    def open(self, url: str) -> None:
        """Go to `url` and wait until it is loaded."""
        self.page.goto(url)

    def reload(self) -> None:
        """Load the page again; it may be doing so by itself in this very moment, because it was told of news."""
        try:
            self.page.reload()
        except Error as error:
            if "ERR_ABORTED" not in str(error):
                raise
            self.page.wait_for_load_state()
            self.page.reload()

    def look_again(self) -> None:
        """Do what a page offers to who has no script and does not like to wait until it comes back by itself.

        With a script there is nothing to do; nor when the page came back in this very moment, and goes on to somewhere else.
        """
        if not self._script and self.page.locator("noscript a").count():
            self.page.click("noscript a")

    def url(self) -> str:
        """Return the address of the page."""
        return self.page.url

    def text(self, css: str = "body") -> str:
        """Return what can be read in an element."""
        return self.page.inner_text(css)

    def see(self, text: str, seconds: float = PATIENCE / 1000) -> None:
        """Wait until the page says `text`: after a click, a key or news the page may take a moment."""
        try:
            self.page.get_by_text(text).filter(visible=True).first.wait_for(timeout=seconds * 1000)
        except Error as error:
            raise AssertionError(f"never saw {text!r} but {self.text()!r}") from error

    def sees(self, text: str) -> bool:
        """Say whether the page says `text` now."""
        return text in self.text()

    def attribute(self, css: str, name: str) -> str | None:
        """Return an attribute of an element."""
        return self.page.get_attribute(css, name)

    def click(self, css: str) -> None:
        """Click on an element; where it opens another tab, look at that one from now on.

        Without a script it stays in this tab: Playwright switches scripts off too late in another one.
        """
        if self.page.get_attribute(css, "formtarget") != "_blank":
            self.page.click(css)
            return
        if not self._script:
            self.page.eval_on_selector(css, "e => e.removeAttribute('formtarget')")
            self.page.click(css)
            return
        with self.another_tab():
            self.page.click(css)

    @contextmanager
    def another_tab(self) -> Iterator[None]:
        """Do something that opens another tab, and look at that one from then on."""
        with self._context.expect_page() as opened:
            yield
        self._tabs.append(self.page)
        self._look_at(opened.value)

    def close_tab(self) -> None:
        """Close the tab that a click has opened, and look at the one before."""
        self.page.close()
        self.page = self._tabs.pop()

    def fill(self, css: str, text: str) -> None:
        """Put text into a field."""
        self.page.fill(css, text)

    def run(self, script: str) -> Any:
        """Run a function's body in the page and return its value; no policy of the page's holds it up."""
        return self.page.evaluate(f"() => {{ {script} }}")

    def press(self, key: str) -> None:
        """Press one key, by its name: "Tab", "Enter", "Space", "a"."""
        self.page.keyboard.press(key)

    def turn(self, size: tuple[int, int], dark: bool) -> None:
        """Look at the same page in another window, or with another wish for its colours."""
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.emulate_media(color_scheme="dark" if dark else "light")

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write what the window shows as a PNG file; whole: down to the end of the page."""
        self.page.screenshot(path=path, full_page=whole)

    def close(self) -> None:
        """Close the window; nothing of the visitor stays."""
        try:
            self._context.close()
        finally:
            _shared.leave()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
