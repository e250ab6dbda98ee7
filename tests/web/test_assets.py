"""The static files: the house's colour can be read, its logo is served."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.web.assets import accent_style, contrast, read_static
from tests.web.test_style import DARK, LIGHT


@dataclass(frozen=True)
class House:
    base_url: str = "https://conf.example.org"
    accent: str = ""
    logo: Path | None = None


def rgb(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


@given(st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}"))
def test_any_colour_can_be_read(accent: str) -> None:
    """As text on the sheet and the tinted grounds, and under the text of a button; light and dark."""
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in accent_style(accent).split("@media")
    )
    for colours, grounds in ((light, LIGHT), (dark, DARK)):
        for name in ("accent", "accent-strong"):
            for ground in ("sheet", "ground", "wait-ground", "open-ground"):
                assert contrast(rgb(colours[name]), rgb(grounds[ground])) >= 4.5, (name, ground)
            assert contrast(rgb(colours["on-accent"]), rgb(colours[name])) >= 4.5, name


def test_without_a_colour_it_is_ours() -> None:
    assert accent_style("") == ""


def test_names_change_with_the_content() -> None:
    ours, theirs = read_static(House())[1], read_static(House(accent="#aa3300"))[1]
    assert ours.style != theirs.style
    assert (ours.script, ours.icon, ours.logo) == (theirs.script, theirs.icon, ours.icon)


def test_the_logo_of_the_house(tmp_path: Path) -> None:
    """Under a path of the house's server, too; one that is not there is an error at the start."""
    logo = tmp_path / "logo.PNG"
    logo.write_bytes(b"\x89PNG")
    served, assets = read_static(House("https://www.example.org/conf", logo=logo))
    name = assets.logo.removeprefix("/conf/static/")
    assert served[name] == (b"\x89PNG", "image/png")
    with pytest.raises(FileNotFoundError):
        read_static(House(logo=tmp_path / "none.png"))
