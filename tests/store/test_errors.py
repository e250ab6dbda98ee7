"""The two ways in which the store fails are told apart."""

from notes2conf_milter.store.errors import StoreError, StoreSetupError


def test_cannot_now_and_set_up_wrong_are_not_one_another() -> None:
    """Catching the one (451) must never catch the other (exit 78)."""
    assert not issubclass(StoreError, StoreSetupError)
    assert not issubclass(StoreSetupError, StoreError)
