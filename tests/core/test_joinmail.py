"""The mail with the join link, and the one that takes it back."""

import email
import email.policy
from dataclasses import replace

import pytest

from notes2conf_milter.core.joinmail import JoinMail, join_mail
from notes2conf_milter.core.meeting import Occurrence, Page, Person

JOIN = "https://conf.example.org/j/def"
PAGE = Page(
    "Planning",
    Person("anna@example.org", "Anna Muster"),
    (Occurrence(1_772_436_600, 1_772_440_200, "Europe/Berlin"),),
)
MAIL = JoinMail(
    PAGE,
    Person("carla@example.org", "Carla"),
    JOIN,
    "no-reply@example.org",
    "<join.1@example.org>",
    1_772_000_000,
    "en",
)


def bodies(mail: JoinMail) -> tuple[email.message.EmailMessage, list[str]]:
    message = email.message_from_bytes(join_mail(mail), policy=email.policy.default)
    assert {part.get_content_type() for part in message.walk()} == {
        "multipart/alternative",
        "text/plain",
        "text/html",
    }  # no calendar
    return message, [str(part.get_content()) for part in message.walk() if not part.is_multipart()]


@pytest.mark.parametrize("language", ["en", "de"])
def test_it_brings_the_join_link(language: str) -> None:
    """To one attendee, with what and when and by whom; answers go to the organizer."""
    message, texts = bodies(replace(MAIL, language=language))
    assert (message["To"], message["Reply-To"]) == ("carla@example.org", "anna@example.org")
    for text in texts:
        for said in (JOIN, "Planning", "Anna Muster", "Carla", "08:30"):
            assert said in text


@pytest.mark.parametrize("language", ["en", "de"])
def test_it_takes_it_back(language: str) -> None:
    """Without a link."""
    message, texts = bodies(replace(MAIL, join_url=None, language=language))
    assert str(message["Subject"]).startswith({"en": "Cancelled", "de": "Abgesagt"}[language])
    for text in texts:
        assert "https://" not in text
        assert "Planning" in text


def test_a_series_is_called_one() -> None:
    assert all("series" in text for text in bodies(replace(MAIL, page=replace(PAGE, recurring=True)))[1])
    assert not any("series" in text for text in bodies(MAIL)[1])


def test_a_meeting_of_which_little_is_known() -> None:
    """No subject, no time, no name."""
    _, texts = bodies(
        replace(MAIL, page=Page("", Person("anna@example.org"), ()), attendee=Person("carla@example.org"))
    )
    assert all("anna@example.org" in text for text in texts)


@pytest.mark.parametrize(("language", "word"), [("en", "Meeting"), ("de", "Besprechung")])
def test_a_meeting_without_a_subject_is_not_called_one_twice(language: str, word: str) -> None:
    """The subject of the mail needs some name; its text does without."""
    message = email.message_from_bytes(
        join_mail(replace(MAIL, language=language, page=replace(PAGE, subject=""))), policy=email.policy.default
    )
    assert str(message["Subject"]).endswith(": " + word)
    assert not any(f"{word}:" in str(part.get_content()) for part in message.walk() if not part.is_multipart())
