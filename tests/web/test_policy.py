"""The privacy notice says what the settings say."""

import pytest

from notes2conf_milter.web.policy import Policy, policy_texts


def text(policy: Policy, language: str) -> str:
    return "\n".join(line for headline, sentences in policy_texts(policy, language) for line in (headline, *sentences))


@pytest.mark.parametrize("language", ["en", "de"])
def test_it_names_what_is_set(language: str) -> None:
    said = text(
        Policy("Example Ltd.", "Ask privacy@example.org", "", 7200, (("Jitsi", "Jitsi"), ("Own link", "Eigener Link"))),
        language,
    )
    for word in (
        "Example Ltd.",
        "Ask privacy@example.org",
        "Jitsi",
        "Own link" if language == "en" else "Eigener Link",
    ):
        assert word in said
    assert ("2 hours after" if language == "en" else "2 Stunden nach") in said


@pytest.mark.parametrize("language", ["en", "de"])
def test_without_settings_it_is_whole(language: str) -> None:
    said = text(Policy(), language)
    assert ("when the meeting is over" if language == "en" else "mit dem Ende der Besprechung") in said
    assert "()" not in said and "None" not in said
    assert len(policy_texts(Policy(), "en")) == len(policy_texts(Policy(), "de"))


def test_it_says_when_names_are_handed_on() -> None:
    assert "handed on to the conference service" in text(Policy(hands_on_names=True), "en")
    assert "nobody else" in text(Policy(), "en")
    assert text(Policy(hands_on_names=True), "de") != text(Policy(), "de")
