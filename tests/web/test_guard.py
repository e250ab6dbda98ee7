"""What is written about a failure: types and places, no values."""

from notes2conf_milter.web.guard import describe


def failing(secret: str) -> Exception:
    try:
        try:
            int(secret)
        except ValueError as error:
            raise RuntimeError(f"could not use {secret}") from error
    except RuntimeError as error:
        return error
    raise AssertionError


def test_types_and_places_without_values() -> None:
    text = describe(failing("the-secret"))
    assert text.startswith("ValueError (test_guard.py:") and " > RuntimeError (test_guard.py:" in text
    assert "secret" not in text and "/" not in text


def test_a_long_chain_and_a_loop_have_an_end() -> None:
    error = RuntimeError()
    error.__context__ = other = ValueError()
    other.__context__ = error
    assert describe(error).count("RuntimeError") == 2
