"""The static files, read once: the style sheet in the house's colour, the script, the icon, the logo.

In:  what the administrator set. Out: their octets by hashed names, and the paths by which pages name them.
Fails: OSError when the logo cannot be read.
"""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from notes2conf_milter.readers import PICTURES
from notes2conf_milter.web.pages import Assets

Served = Mapping[str, tuple[bytes, str]]


class House(Protocol):
    """What is asked of the settings."""

    @property
    def base_url(self) -> str:
        """What links begin with."""

    @property
    def accent(self) -> str:
        """A colour as #rrggbb, or ""."""

    @property
    def logo(self) -> Path | None:
        """A picture."""


def read_static(house: House) -> tuple[Served, Assets]:
    """Return what is served under /static/, with media types, and the paths for the pages."""
    served: dict[str, tuple[bytes, str]] = {}
    prefix = urlsplit(house.base_url).path.rstrip("/")

    def serve(stem: str, suffix: str, media_type: str, content: bytes) -> str:
        mark = base64.b32encode(hashlib.sha256(content).digest()[:10]).decode().lower()
        served[f"{stem}.{mark}{suffix}"] = (content, media_type)
        return f"{prefix}/static/{stem}.{mark}{suffix}"

    def ours(name: str) -> bytes:
        return (files("notes2conf_milter.web") / "static" / name).read_bytes()

    icon = serve("icon", ".svg", "image/svg+xml", ours("icon.svg"))
    logo = icon
    if house.logo is not None:
        suffix = house.logo.suffix.lower()
        logo = serve("logo", suffix, PICTURES[suffix], house.logo.read_bytes())
    style = ours("style.css") + accent_style(house.accent).encode()
    assets = Assets(
        style=serve("style", ".css", "text/css; charset=utf-8", style),
        icon=icon,
        script=serve("room", ".js", "text/javascript; charset=utf-8", ours("room.js")),
        logo=logo,
    )
    return served, assets


def accent_style(accent: str) -> str:
    """Return the rules that put in the house's colour: darkened or lightened until text on it, and it as text, can be read.

    accent: #rrggbb, or "" for ours. WCAG 2.2 §1.4.3: 4.5 to 1.
    """
    if not accent:
        return ""
    colour = (int(accent[1:3], 16), int(accent[3:5], 16), int(accent[5:7], 16))
    light = _until(colour, (0, 0, 0), (0xEB, 0xF1, 0xEF))
    dark = _until(colour, (255, 255, 255), (0x32, 0x3A, 0x45))
    return (
        f":root {{ --accent: {_hex(light)}; --accent-strong: {_hex(_mix(light, (0, 0, 0), 0.25))}; --on-accent: #ffffff; }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ --accent: {_hex(dark)}; "
        f"--accent-strong: {_hex(_mix(dark, (255, 255, 255), 0.35))}; --on-accent: #0d1b26; }} }}\n"
    )


Colour = tuple[int, int, int]


def _until(colour: Colour, towards: Colour, ground: Colour) -> Colour:
    """Return the first mixture with `towards` that can be read on `ground`."""
    return next(
        (one for step in range(21) if contrast(one := _mix(colour, towards, step / 20), ground) >= 4.5), towards
    )


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (one / 255 for one in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
