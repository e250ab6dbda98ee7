"""The style sheet's colours: text can be read on its ground, light and dark (WCAG 2.2 §1.4.3, §1.4.11)."""

import re
from importlib.resources import files

import pytest

STYLE = (files("notes2conf_milter.web") / "static" / "style.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in STYLE.split("prefers-color-scheme: dark", 1)
)
TEXTS = [
    ("text", "sheet"),
    ("text", "ground"),
    ("text", "wait-ground"),
    ("text", "open-ground"),
    ("quiet", "sheet"),
    ("quiet", "ground"),
    ("wait", "wait-ground"),
    ("open", "open-ground"),
    ("warn", "warn-ground"),
    ("text", "warn-ground"),
    ("warn", "sheet"),
    ("accent", "sheet"),
    ("accent", "ground"),
    ("accent-strong", "sheet"),
    ("accent", "wait-ground"),
    ("accent-strong", "wait-ground"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
]


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("colours", "mode"), [(LIGHT, "light"), (DARK, "dark")])
def test_texts_can_be_read(colours: dict[str, str], mode: str) -> None:
    for text, ground in TEXTS:
        assert contrast(colours[text], colours[ground]) >= 4.5, f"{mode}: {text} on {ground}"


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_buttons_and_focus_stand_out(colours: dict[str, str]) -> None:
    for ground in ("sheet", "wait-ground", "open-ground"):
        assert contrast(colours["accent"], colours[ground]) >= 3
    assert contrast(colours["field"], colours["sheet"]) >= 3
