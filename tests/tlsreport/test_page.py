"""The report as text, JSON and a page: each number is there, and nothing that a log held is more than text."""

import json
import re

import pytest

from notes2conf_milter.tlsreport.page import LANGUAGES, LISTED, About, as_html, as_json, as_text, words
from notes2conf_milter.tlsreport.records import Count, Record, count

NOW = 1_795_816_800.0
DAY = 86_400
ABOUT = About(NOW, "journal of notes2conf-mail", ("192.0.2.10/32 require TLSv1.2", "* log"))


def record(version: str = "TLSv1.3", peer: str = "192.0.2.0/24", at: float | None = NOW, messages: int = 1) -> Record:
    cipher = "TLS_AES_256_GCM_SHA384" if version.startswith("TLS") else ""
    return Record(at, "milter", version, cipher, bool(cipher), "-", peer, messages, int(version == "none"))


def counted() -> Count:
    return count(
        [
            record(messages=70),
            record("none", "198.51.100.0/24", NOW - DAY, 20),
            record("unknown", "-", NOW - 2 * DAY, 10),
            record("TLSv1.2", "authenticated", None, 100),
        ]
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_is_there(language: str) -> None:
    said = words(language)
    for text in (as_text(counted(), ABOUT, language), as_html(counted(), ABOUT, language)):
        for number in ("200", "85.0 %", "170", "10.0 %", "5.0 %"):
            assert (number.replace(".", ",") if language == "de" else number) in text, number
        for word in ("198.51.100.0/24", "authenticated", "TLS_AES_256_GCM_SHA384", ABOUT.source, *ABOUT.rules):
            assert word in text, word
        assert said["timeless"].format(100) in text and said["none"] in text
        assert "2026-11-25 22:00 UTC – 2026-11-27 22:00 UTC" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_in_the_log_is_said_so(language: str) -> None:
    for text in (as_text(Count(), ABOUT, language), as_html(Count(), ABOUT, language)):
        assert words(language)["nothing"] in text
    assert json.loads(as_json(Count(), ABOUT))["messages"]["messages"] == 0


def test_the_keys_of_the_json() -> None:
    """Somebody's monitoring reads them."""
    found = json.loads(as_json(counted(), ABOUT))
    assert found["made"] == "2026-11-27T22:00:00Z" and found["first"] == "2026-11-25T22:00:00Z"
    share = {"messages": 200, "encrypted": 170, "forward_secrecy": 170, "unseen": 10, "refused": 1, "plain": 20}
    assert found["messages"] == share
    assert found["versions"] == {"TLSv1.3": 70, "TLSv1.2": 100, "none": 20, "unknown": 10}
    assert [one["peer"] for one in found["peers"]] == ["authenticated", "192.0.2.0/24", "198.51.100.0/24", "-"]
    assert [one["day"] for one in found["days"]] == ["2026-11-25", "2026-11-26", "2026-11-27"]
    assert found["rules"] == list(ABOUT.rules) and found["timeless"] == 100


def test_the_page_stands_by_itself() -> None:
    """No script, nothing from elsewhere; what a log held is escaped."""
    odd = Record(NOW, "milter", "<script>alert(1)</script>", "</td>", False, "-", '"><img src=x>', 1, 0)
    page = as_html(count([odd]), About(NOW, "<b>", ("<i>",)), "en")
    assert "<script" not in page and "<img" not in page and "<b>&" not in page and "<i>" not in page
    assert not re.search(r"<[^>]*\s(?:src|href)=|url\(|@import|https?://", page)


def test_a_long_tail_is_one_row() -> None:
    """The page and the text stay readable; the JSON has all of them, and no message is lost."""
    many = count(record(peer=f"198.51.{number}.0/24", messages=number + 1) for number in range(100))
    assert f"{100 - LISTED} others" in as_text(many, ABOUT, "en") and f"{100 - LISTED} weitere" in as_html(
        many, ABOUT, "de"
    )
    assert len(json.loads(as_json(many, ABOUT))["peers"]) == 100
    numbers = re.findall(r"^  \S.* +(\d+), \d+ by TLS$", as_text(many, ABOUT, "en"), re.MULTILINE)
    assert sum(map(int, numbers)) == many.whole.messages


def test_days_without_mail_are_a_gap() -> None:
    """The plot's line is time; a log of many years is not drawn day by day."""
    page = as_html(count([record(), record(at=NOW - 9 * DAY)]), ABOUT, "en")
    first, last = (float(x) for x in re.findall(r'<rect class="tls" x="([\d.]+)"[^>]*><title>', page))
    assert last - first == pytest.approx(9 * 720 / 14, abs=0.02)
    assert as_html(count([record(), record(at=0)]), ABOUT, "en").count("<title>") == 3


@pytest.mark.parametrize("days", [1, 14, 400])
def test_the_plot(days: int) -> None:
    """A bar for each day, none higher than the plot; few enough labels to be read."""
    page = as_html(count(record(at=NOW - number * DAY, messages=number + 1) for number in range(days)), ABOUT, "en")
    bars = re.findall(r'<rect class="tls" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"><title>', page)
    assert len(bars) == days
    assert all(float(x) + float(width) <= 720 and float(y) + float(height) <= 160.05 for x, y, width, height in bars)
    assert len(re.findall(r"<text ", page)) <= 14
