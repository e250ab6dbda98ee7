"""Languages: what a browser wishes, and that both languages say the same things."""

from dataclasses import fields

import pytest

from notes2conf_milter.web.texts import TEXTS, Notice, Texts, choose_language


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("fr-FR,fr;q=0.9,de;q=0.4,en;q=0.3", "de"),
        ("da, en-gb;q=0.8, en;q=0.7", "en"),
        ("DE-de", "de"),
        ("de;q=0", "en"),
        ("de;q=0, en;q=0", "en"),
        ("en;q=0.5, de ; q=0.6", "de"),
        ("fr", "en"),
        ("*", "en"),
        ("fr, *;q=0.5, de;q=0.6", "de"),
        ("de;q=nan", "en"),
        ("de;q=1e9", "en"),
        ("de;level=1", "en"),
        (",,;;q=,", "en"),
        ("de," * 10000, "de"),
        ("x," * 10000 + "de", "en"),
    ],
)
def test_the_language_wished(accept: str, language: str) -> None:
    assert choose_language(accept, "en") == language


def test_the_administrators_language_where_nothing_is_wished() -> None:
    assert choose_language("fr", "de") == "de"
    assert choose_language("*", "de") == "de"
    assert choose_language("en", "de") == "en"


def test_both_languages_are_complete() -> None:
    for field in fields(Texts):
        assert getattr(TEXTS["en"], field.name) and getattr(TEXTS["de"], field.name)
    for texts in TEXTS.values():
        assert set(texts.notices) == set(Notice)
