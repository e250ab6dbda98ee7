"""Languages: what a browser wishes, and that both languages say the same things."""

import pytest

from notes2conf_milter.services.service import Why
from notes2conf_milter.web.texts import LANGUAGES, TEXTS, Notice, choose_language, notice_texts, why_not


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
    english, german = vars(TEXTS["en"]), vars(TEXTS["de"])
    assert set(english) == set(german)
    for key, text in english.items():
        assert text and german[key]
        assert text.count("{}") == german[key].count("{}"), key
    for language in LANGUAGES:
        for notice in Notice:
            assert all(notice_texts(notice, language))


def test_why_a_link_is_not_taken() -> None:
    """Each reason has a sentence of its own; one that nobody foresaw has one, too."""
    for language in LANGUAGES:
        said = {why_not(why.value, language) for why in Why} | {why_not("unforeseen", language)}
        assert len(said) >= 5
