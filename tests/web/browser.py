"""A real browser for tests: Chromium, driven by chromedriver over the W3C WebDriver protocol (HTTP and JSON).

    with Browser(language="de") as browser:
        browser.open(url)
        browser.click("button")
        assert "…" in browser.text()

Each Browser has a profile of its own that goes with it. It ends only the processes that it started.
"""

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any

CHROMIUM = "/usr/bin/chromium"
CHROMEDRIVER = "/usr/bin/chromedriver"
AVAILABLE = Path(CHROMIUM).exists() and Path(CHROMEDRIVER).exists()
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver §12.1, the key that marks an element


class Browser:
    """One browser window. size: CSS pixels; dark: the reader wishes dark colours."""

    def __init__(
        self, language: str = "en", size: tuple[int, int] = (1280, 800), dark: bool = False, script: bool = True
    ) -> None:
        self._profile = tempfile.mkdtemp(prefix="browser-")
        self._size, self._dark = size, dark
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = int(free.getsockname()[1])
        command = [CHROMEDRIVER, f"--port={self._port}", "--silent"]
        self._driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._session = ""
        try:
            self._wait_for_driver()
            self._session = self._start(language, script)
        except BaseException:
            self.close()
            raise

    def open(self, url: str) -> None:
        """Go to `url` and wait until it is loaded."""
        self._call("POST", "/url", {"url": url})
        if self._dark:
            self._devtools(
                "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
            )

    def reload(self) -> None:
        """Load the page again."""
        self._call("POST", "/refresh", {})

    def url(self) -> str:
        """Return the address of the page."""
        return str(self._call("GET", "/url"))

    def text(self, css: str = "body") -> str:
        """Return what can be read in an element."""
        return str(self._call("GET", f"/element/{self._find(css)}/text"))

    def see(self, text: str) -> None:
        """Wait until the page says `text`: after a click or a key, the next page may take a moment."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                if text in self.text():
                    return
            except LookupError:  # between two pages
                pass
            time.sleep(0.02)
        raise AssertionError(f"never saw {text!r}")

    def attribute(self, css: str, name: str) -> str | None:
        """Return an attribute of an element."""
        value = self._call("GET", f"/element/{self._find(css)}/attribute/{name}")
        return None if value is None else str(value)

    def click(self, css: str) -> None:
        """Click on an element."""
        self._call("POST", f"/element/{self._find(css)}/click", {})

    def run(self, script: str) -> Any:
        """Run a function's body in the page and return its value."""
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def press(self, key: str) -> None:
        """Press one key (WebDriver §17.4.2: Tab is U+E004, Enter U+E007)."""
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as a PNG file."""
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def close(self) -> None:
        """End the browser and its driver."""
        try:
            if self._session:
                self._call("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(10)
            shutil.rmtree(self._profile, ignore_errors=True)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, language: str, script: bool) -> str:
        flags = [*FLAGS, f"--user-data-dir={self._profile}", "--hide-scrollbars"]
        preferences: dict[str, object] = {"intl.accept_languages": language}
        if not script:
            preferences["profile.managed_default_content_settings.javascript"] = 2
        options = {"binary": CHROMIUM, "args": flags, "prefs": preferences}
        asked = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        self._session = str(self._request("POST", "/session", asked)["sessionId"])
        width, height = self._size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._devtools("Emulation.setDeviceMetricsOverride", metrics)  # a window is never narrower than 500 pixels
        return self._session

    def _find(self, css: str) -> str:
        return str(self._call("POST", "/element", {"using": "css selector", "value": css})[_ELEMENT])

    def _devtools(self, command: str, parameters: object) -> None:
        self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _wait_for_driver(self) -> None:
        for _ in range(200):
            try:
                if self._request("GET", "/status")["ready"]:
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("chromedriver does not answer")

    def _call(self, method: str, path: str, body: object = None) -> Any:
        return self._request(method, f"/session/{self._session}{path}", body)

    def _request(self, method: str, path: str, body: object = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            value = json.load(connection.getresponse())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise LookupError(f"{value['error']}: {value['message']}")
        return value
