"""The mail about a series without an end that is about to be deleted."""

import email
import email.policy
from dataclasses import replace

import pytest

from notes2conf_milter.core.fadingmail import FadingMail, fading_mail
from notes2conf_milter.core.meeting import Page, Person

PAGE = Page("Jour fixe", Person("anna@example.org", "Anna Muster"), (), recurring=True)
MAIL = FadingMail(
    PAGE, 1_835_500_000, "https://conf.example.org/s/abc", "no-reply@example.org", "<f@x>", 1_833_000_000, "en", "<s@x>"
)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Links end soon: Jour fixe", "Wednesday, 1 March 2028", "send the invitation once more")),
        ("de", ("Links enden bald: Jour fixe", "Mittwoch, 1. März 2028", "senden Sie die Einladung noch einmal")),
    ],
)
def test_it_says_until_when_and_what_to_do(language: str, words: tuple[str, str, str]) -> None:
    """To the organizer, in answer to the start mail, with the start link."""
    message = email.message_from_bytes(fading_mail(replace(MAIL, language=language)), policy=email.policy.default)
    assert (message["To"], message["Auto-Submitted"], message["In-Reply-To"]) == (
        "anna@example.org",
        "auto-generated",
        "<s@x>",
    )
    assert message["Subject"] == words[0]
    for part in message.walk():
        if not part.is_multipart():
            text = part.get_content()
            assert all(word in text for word in ("Anna Muster", MAIL.start_url, *words[1:]))


def test_without_a_subject() -> None:
    octets = fading_mail(replace(MAIL, page=replace(PAGE, subject="")))
    assert b"Subject: Links end soon: Meeting" in octets


@pytest.mark.parametrize(("language", "word"), [("en", "Meeting"), ("de", "Besprechung")])
def test_a_meeting_without_a_subject_is_not_called_one_twice(language: str, word: str) -> None:
    """The subject of the mail needs some name; its text does without."""
    message = email.message_from_bytes(
        fading_mail(replace(MAIL, language=language, page=replace(PAGE, subject=""))), policy=email.policy.default
    )
    assert str(message["Subject"]).endswith(": " + word)
    assert not any(f"{word}:" in str(part.get_content()) for part in message.walk() if not part.is_multipart())
