"""How a mail of the house is made."""

import email
import email.policy
from dataclasses import replace
from email.message import EmailMessage

from notes2conf_milter.core.letter import (
    Letter,
    button,
    coming,
    compose,
    facts,
    greeting,
    letter_language,
    link,
    one_line,
    paragraph,
    small,
    spoken,
)
from notes2conf_milter.core.meeting import Occurrence

BLOCKS = (greeting("Änne", "de"), paragraph("a < b & c"), button("Los", "https://x.example/?a=1&b=2"))
LETTER = Letter(
    "no-reply@example.org", "Konferenz", "anna@example.org", "Größe", "<1@example.org>", 1_772_000_000, "de", BLOCKS
)


def read(letter: Letter) -> EmailMessage:
    message = email.message_from_bytes(compose(letter), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_header() -> None:
    """One recipient, marked as a machine's (RFC 3834), with its language."""
    message = read(LETTER)
    assert (message["From"], message["To"]) == ("Konferenz <no-reply@example.org>", "anna@example.org")
    assert (message["Subject"], message["Message-ID"]) == ("Größe", "<1@example.org>")
    assert (message["Auto-Submitted"], message["Content-Language"]) == ("auto-generated", "de")
    assert message["Reply-To"] is None
    assert message["References"] is None
    more = read(replace(LETTER, reply_to="berta@example.org", refers_to="<0@example.org>"))
    assert (more["Reply-To"], more["In-Reply-To"], more["References"]) == (
        "berta@example.org",
        "<0@example.org>",
        "<0@example.org>",
    )


def test_both_bodies_say_the_same() -> None:
    """Text as it is, HTML escaped."""
    blocks = (*BLOCKS, facts((("Wann", "heute"),), "Serie"), link("Hier", "https://y.example/"), small("Ende"))
    message = read(replace(LETTER, blocks=blocks))
    plain, html = text(message, "plain"), text(message, "html")
    for said in (
        "Guten Tag Änne,",
        "a < b & c",
        "https://x.example/?a=1&b=2",
        "Wann: heute\nSerie",
        "Hier:\nhttps://y",
    ):
        assert said in plain.replace("\r\n", "\n")
    for said in (
        "Guten Tag Änne,",
        "a &lt; b &amp; c",
        '"https://x.example/?a=1&amp;b=2"',
        "<b>Wann:</b> heute",
        "Ende",
    ):
        assert said in html
    assert '<html lang="de">' in html


def test_the_same_mail_has_the_same_octets() -> None:
    octets = compose(LETTER)
    assert octets == compose(LETTER)
    assert octets.isascii()
    assert octets.count(b"\n") == octets.count(b"\r\n")
    assert max(map(len, octets.split(b"\r\n"))) <= 78


def test_one_line() -> None:
    assert one_line(" a\r\nb\tc\u2028d\x00 ") == "a b c d"
    assert one_line("=?utf-8?q?x?=") == "= ?utf-8?q?x?="
    assert len(one_line("x" * 1000)) == 250


def test_when_it_is_said_on_one_line() -> None:
    said = spoken(Occurrence(1_772_436_600, 1_772_440_200, "Europe/Berlin"), "en")
    assert said == "Monday, 2 March 2026, 08:30 – 09:30, Central European Standard Time (UTC+1)"


def test_the_date_that_is_said() -> None:
    """The next, or the last while it may not be over everywhere; one of long ago says nothing, so there is no line."""
    times = (Occurrence(1000, 2000), Occurrence(3000, 4000))
    assert [coming(times, now) for now in (0, 2500, 5000, 4000 + 90_000)] == [times[0], times[1], times[1], None]
    assert coming((), 0) is None
    assert facts((("When", ""), ("Meeting", "Budget"))).text == "Meeting: Budget"
    assert facts((("Meeting", "Meeting"), ("When", "now"))).text == "When: now"
    nothing = compose(replace(LETTER, blocks=(paragraph("a"), facts((("Meeting", "Meeting"),)), paragraph("b"))))
    assert nothing == compose(replace(LETTER, blocks=(paragraph("a"), paragraph("b"))))


def test_the_language_of_a_letter() -> None:
    """The first wish that we can write."""
    assert (letter_language("fr", "de", "en"), letter_language("", "nl"), letter_language()) == ("de", "en", "en")
