"""Photographs of every state, on a phone and a desktop, light and dark, German and English: `make screenshots [SHOTS=FOLDER]`.

Written to a folder outside the repository, /tmp/notes2conf-screenshots unless another is given; existing pictures are replaced.
"""

import sys
import tempfile
from pathlib import Path

from tests.web.browser import Browser, Running
from tests.web.house import House
from tests.web.states import DESKTOP, PHONE, SERVICES, looks

FOLDER = Path(tempfile.gettempdir()) / "notes2conf-screenshots"


def main(folder: Path, only: tuple[str, ...] = ()) -> int:
    """Write them; only: parts of names. Return how many."""
    root = Path(__file__).resolve().parents[2]
    if folder.resolve().is_relative_to(root):
        raise SystemExit("screenshots: choose a folder outside the repository")
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with tempfile.TemporaryDirectory() as place, Running():
        for language in ("de", "en"):
            for size, device in ((DESKTOP, "desktop"), (PHONE, "phone")):
                for dark in (False, True):
                    tone = "dark" if dark else "light"
                    house = House(Path(place) / f"{language}-{device}-{tone}")
                    with house.serving(None, *SERVICES) as address:
                        for look in looks(house, language):
                            if only and not any(part in look.name for part in only):
                                continue
                            with Browser(language, size, dark, zone="America/New_York") as browser:
                                look.show(browser, f"http://{address.netloc}")
                                browser.page.wait_for_timeout(150)
                                browser.screenshot(folder / f"{look.name}-{language}-{device}-{tone}.png", whole=True)
                                count += 1
                    house.close()
    return count


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    print(f"{main(target, tuple(sys.argv[2:]))} pictures in {target}")
