"""The cryptography: a sealed value opens in its own place, under its own key, unchanged, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.store.sealing import (
    Place,
    Purpose,
    Unsealable,
    derive,
    new_key,
    seal,
    token_hash,
    uid_hash,
    unseal,
)

KEY = bytes(range(32))
PLACE = Place(7, b"u" * 32, 1000)


@given(st.binary(max_size=600))
def test_what_was_sealed_opens(plain: bytes) -> None:
    assert unseal(KEY, seal(KEY, plain, PLACE.bound("page")), PLACE.bound("page")) == plain


@given(st.data())
def test_one_changed_bit_closes_it(data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, b"plain", PLACE.bound("page")))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Unsealable):
        unseal(KEY, bytes(sealed), PLACE.bound("page"))


@given(st.binary(max_size=100))
def test_any_octets_are_refused(octets: bytes) -> None:
    with pytest.raises(Unsealable):
        unseal(KEY, octets, PLACE.bound("page"))


@pytest.mark.parametrize(
    "bound",
    [
        PLACE.bound("room"),
        Place(8, PLACE.uid_hash, 1000).bound("page"),
        Place(7, b"v" * 32, 1000).bound("page"),
        Place(7, PLACE.uid_hash, 1001).bound("page"),
    ],
)
def test_another_place_closes_it(bound: bytes) -> None:
    with pytest.raises(Unsealable):
        unseal(KEY, seal(KEY, b"plain", PLACE.bound("page")), bound)


def test_another_key_closes_it() -> None:
    with pytest.raises(Unsealable):
        unseal(new_key(), seal(KEY, b"plain", b""), b"")


def test_the_same_value_is_sealed_differently_each_time() -> None:
    assert seal(KEY, b"plain", b"") != seal(KEY, b"plain", b"")


def test_every_purpose_and_salt_has_a_key_of_its_own() -> None:
    keys = {derive(KEY, salt, purpose) for salt in (None, b"r" * 32, b"s" * 32) for purpose in Purpose}
    assert len(keys) == 3 * len(Purpose)


@given(st.text(), st.text(), st.text(), st.text())
def test_two_meetings_have_two_hashes(organizer: str, uid: str, other_organizer: str, other_uid: str) -> None:
    same = (organizer.lower(), uid) == (other_organizer.lower(), other_uid)
    assert (uid_hash(KEY, organizer, uid) == uid_hash(KEY, other_organizer, other_uid)) == same


def test_the_border_between_organizer_and_uid_counts() -> None:
    assert uid_hash(KEY, "ab", "c") != uid_hash(KEY, "a", "bc")


def test_text_that_is_not_unicode_is_hashed() -> None:
    assert uid_hash(KEY, "a\udcff@example.org", "\udcfe") != uid_hash(KEY, "a\udcff@example.org", "\udcfd")


def test_the_hash_of_a_token_is_sha256() -> None:
    assert token_hash("a" * 32).hex() == "3ba3f5f43b92602683c19aee62a20342b084dd5971ddd33808d81a328879a547"
