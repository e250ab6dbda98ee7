"""The Postfix files of config/postfix/ as a test's Postfix reads them."""

import re
from collections.abc import Mapping
from pathlib import Path

_FILES = Path(__file__).parents[2] / "config" / "postfix"


def lines(name: str, changes: Mapping[str, str]) -> str:
    """Return a recipe without comments and chroot, its addresses changed."""
    text = (_FILES / name).read_text("utf-8")
    text = "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
    text = re.sub(r"( +- +)y( )", r"\1n\2", text)
    for old, new in changes.items():
        assert old in text or name.endswith("main.cf"), old
        text = text.replace(old, new)
    return text


def settings(text: str) -> dict[str, str]:
    """Return lines of main.cf as a mapping."""
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in text.splitlines())}


def services(text: str) -> list[str]:
    """Return the entries of master.cf, each with its options."""
    return re.split(r"\n(?=\S)", text)
