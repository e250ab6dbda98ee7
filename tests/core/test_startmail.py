"""The mail with the start link."""

import email
import email.policy
from dataclasses import replace

import pytest

from notes2conf_milter.core.meeting import Occurrence, Page, Person
from notes2conf_milter.core.startmail import StartMail, start_mail

START, JOIN = "https://conf.example.org/s/abc", "https://conf.example.org/j/def"
PAGE = Page(
    "Planning",
    Person("anna@example.org", "Anna Muster"),
    (Occurrence(1_772_436_600, 1_772_440_200, "Europe/Berlin"),),
)
MAIL = StartMail(PAGE, START, JOIN, "no-reply@example.org", "<start.1@example.org>", 1_772_000_000, "en")


@pytest.mark.parametrize("language", ["en", "de"])
def test_it_brings_both_links_to_the_organizer(language: str) -> None:
    """In text and HTML; marked as made by a machine; without a calendar."""
    message = email.message_from_bytes(start_mail(replace(MAIL, language=language)), policy=email.policy.default)
    assert message["To"] == "anna@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == "<start.1@example.org>"
    parts = {part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()}
    assert set(parts) == {"text/plain", "text/html"}
    for text in parts.values():
        assert START in text
        assert JOIN in text
        assert "Anna Muster" in text


def test_the_same_mail_has_the_same_octets() -> None:
    """So that it is recognised when it is sent again."""
    assert start_mail(MAIL) == start_mail(MAIL)
    octets = start_mail(MAIL)
    assert octets.isascii()
    assert octets.count(b"\n") == octets.count(b"\r\n")


@pytest.mark.parametrize(
    "subject",
    [
        "a\r\nBcc: evil@example.com",
        "=?utf-8?q?a=0D=0ABcc:_evil@example.com?=",
        "=?utf-8?b?DQpCY2M6IGV2aWw=?= x",
        "=?bogus?q?x?=",
        "\ud800\u2028\x00",
        "ü" * 500,
        "",
        '"(<@,;:',
    ],
)
def test_no_subject_breaks_out_of_its_line(subject: str) -> None:
    """Neither by line ends nor by an encoded word that would be decoded to them."""
    octets = start_mail(replace(MAIL, page=replace(PAGE, subject=subject)))
    header = octets.partition(b"\r\n\r\n")[0].lower()
    assert b"\nbcc" not in header
    assert b"\rbcc" not in header
    assert header.count(b"\nsubject:") == header.count(b"\nmessage-id:") == 1


@pytest.mark.parametrize(
    "address", ["änna@example.org", "a..b@example.org", "o'neil+x=y@example.org", "%@example.org", "anna@exämple.org"]
)
def test_odd_addresses_do_not_stop_it(address: str) -> None:
    """What passes for an organizer's address can be written to."""
    assert START.encode() in start_mail(replace(MAIL, page=replace(PAGE, organizer=Person(address, '"<\r\n'))))


def test_what_stands_in_html_is_escaped() -> None:
    """A subject is text."""
    page = replace(PAGE, subject="<script>x</script>", organizer=Person("anna@example.org", "<b>A</b>"))
    message = email.message_from_bytes(start_mail(replace(MAIL, page=page)), policy=email.policy.default)
    html = message.get_body(("html",))
    assert html is not None
    assert "<script" not in html.get_content()
    assert "<b>A" not in html.get_content()


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_grace_time_is_stated(language: str) -> None:
    """Where the mail says when it is all deleted."""
    text = start_mail(replace(MAIL, language=language, grace=1800)).decode()
    assert {"en": "30 minutes after", "de": "30 Minuten nach"}[language] in text


def test_of_a_series_it_names_the_next_date() -> None:
    """Not the first one, when that is over; a moved date is a date."""
    first = PAGE.times[0]
    later = replace(first, start=first.start + 7 * 86_400, end=first.end + 7 * 86_400)
    series = replace(PAGE, times=(first, later), recurring=True)
    assert b"9 March 2026" in start_mail(replace(MAIL, page=series, date=first.end))
    assert b"a date of your series" in start_mail(replace(MAIL, page=series, moved=(first, later)))


@pytest.mark.parametrize(("language", "word"), [("en", "Meeting"), ("de", "Besprechung")])
def test_a_meeting_without_a_subject_is_not_called_one_twice(language: str, word: str) -> None:
    """The subject of the mail needs some name; its text does without."""
    message = email.message_from_bytes(
        start_mail(replace(MAIL, language=language, page=replace(PAGE, subject=""))), policy=email.policy.default
    )
    assert str(message["Subject"]).endswith(": " + word)
    assert not any(f"{word}:" in str(part.get_content()) for part in message.walk() if not part.is_multipart())
