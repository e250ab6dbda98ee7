"""The table of all settings."""

from notes2conf_milter.settings import SETTINGS


def test_keys_and_options_are_told_apart() -> None:
    """No two settings share a key, no two an option; sections are one level deep."""
    keys = [setting.key for setting in SETTINGS]
    options = [setting.option for setting in SETTINGS if setting.option]
    assert len(set(keys)) == len(keys)
    assert len(set(options)) == len(options)
    assert all(key.count(".") <= 1 and key.islower() for key in keys)


def test_every_default_is_allowed() -> None:
    """And each setting says what it means, in a sentence."""
    for setting in SETTINGS:
        setting.read(setting.default)
        assert setting.meaning.endswith(".")
