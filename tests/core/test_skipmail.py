"""The mail that says why there is no link."""

import email
import email.policy

import pytest

from notes2conf_milter.core.skipmail import SkipMail, skip_mail
from notes2conf_milter.core.skips import Obstacle

WORDS = {
    Obstacle.SIGNED: ("signed", "signiert"),
    Obstacle.ENCRYPTED: ("encrypted", "verschlüsselt"),
    Obstacle.TNEF: ("winmail.dat", "winmail.dat"),
    Obstacle.UNREADABLE: ("administrator", "Administration"),
    Obstacle.DKIM: ("signed it (DKIM)", "signiert (DKIM)"),
}


@pytest.mark.parametrize("obstacle", Obstacle)
@pytest.mark.parametrize("language", ["en", "de"])
def test_it_says_why_and_what_to_do(obstacle: Obstacle, language: str) -> None:
    mail = SkipMail(
        obstacle, "anna@example.org", "Größe", "no-reply@example.org", "<s@example.org>", 1_772_000_000, language
    )
    message = email.message_from_bytes(skip_mail(mail), policy=email.policy.default)
    assert message["To"] == "anna@example.org"
    assert "Größe" in message["Subject"]
    for part in message.walk():
        if not part.is_multipart():
            text = part.get_content()
            assert WORDS[obstacle][language == "de"] in text
            assert "Größe" in text


def test_without_a_subject() -> None:
    mail = SkipMail(Obstacle.TNEF, "anna@example.org", "", "no-reply@example.org", "<s@example.org>", 0, "en")
    octets = skip_mail(mail)
    assert b"your invitation has gone out" in octets
    assert b"Subject: Without a video conference: your invitation" in octets
