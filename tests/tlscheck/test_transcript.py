"""The lines of the transcript."""

import string

import pytest

from notes2conf_milter.tlscheck.chains import Problem
from notes2conf_milter.tlscheck.transcript import PHRASES, Line, Said, text
from tests.tlscheck.authority import NOW


def test_a_line_has_its_time() -> None:
    """Seconds and milliseconds, as the audit prints them."""
    line = Line(0.2531, Said.MX, {"preference": 10, "host": "mail.example.org", "secure": True})
    assert text(line, "en") == "[000.253] MX (10) mail.example.org [DNSSEC: yes]"
    assert text(line, "de") == "[000.253] MX (10) mail.example.org [DNSSEC: ja]"
    assert text(Line(61.5, Said.CONNECTED, {}), "de") == "[061.500] verbunden"


def test_values_are_of_the_language() -> None:
    """Problems, dates; and what strangers wrote is printable."""
    line = Line(1, Said.CHAIN_BAD, {"problem": Problem.UNKNOWN_ROOT, "where": "CN=\x1b[2J"})
    assert text(line, "de") == "[001.000] Kette: die Kette endet bei einer unbekannten Wurzel CN=\\x1b[2J"
    dates = text(Line(1, Said.DATES, {"begins": NOW, "ends": NOW}), "en")
    assert dates == f"[001.000]     valid: {NOW:%Y-%m-%d %H:%M:%S} UTC to {NOW:%Y-%m-%d %H:%M:%S} UTC"


@pytest.mark.parametrize("said", Said, ids=lambda said: said.name)
def test_both_languages_name_the_same_values(said: Said) -> None:
    """Neither forgets one."""
    english, german = ([name for _, name, _, _ in string.Formatter().parse(one) if name] for one in said.value)
    assert sorted(english) == sorted(german)


def test_every_problem_has_its_phrase() -> None:
    """In both languages."""
    assert set(PHRASES) == set(Problem) and all(english != german for english, german in PHRASES.values())
