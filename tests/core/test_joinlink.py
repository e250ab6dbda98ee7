"""Tokens and links."""

import pytest

from notes2conf_milter.core.joinlink import is_token, join_url, own_join_link, start_url, token_from

TOKEN = token_from(bytes(range(20)))


def test_a_token_spells_160_bits() -> None:
    """No more, no less, and each in its own way."""
    assert is_token(TOKEN)
    assert token_from(bytes(20)) != TOKEN
    for wrong in (b"", bytes(19), bytes(21)):
        with pytest.raises(ValueError, match="20"):
            token_from(wrong)


@pytest.mark.parametrize(
    "text", ["", TOKEN[:-1], TOKEN + "a", TOKEN + "\n", TOKEN.upper(), TOKEN[:-1] + "1", " " + TOKEN]
)
def test_what_is_no_token(text: str) -> None:
    """Another length or another letter."""
    assert not is_token(text)


def test_links_are_found_again() -> None:
    """Whatever the case; not with letters behind, of another house or of the organizer."""
    pattern = own_join_link("https://conf.example.org/x")
    link = join_url("https://conf.example.org/x", TOKEN).encode()
    assert [match[1] for match in pattern.finditer(b"<" + link + b">, " + link.upper() + b".")] == [
        TOKEN.encode(),
        TOKEN.upper().encode(),
    ]
    for other in (link + b"a", link.replace(b".", b"x"), start_url("https://conf.example.org/x", TOKEN).encode()):
        assert pattern.search(other) is None
