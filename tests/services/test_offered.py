"""What the settings offer, and what stops the start."""

from dataclasses import replace
from pathlib import Path

import pytest

from notes2conf_milter.services.bigbluebutton import BigBlueButton
from notes2conf_milter.services.jitsi import Jitsi
from notes2conf_milter.services.offered import WORDS, Offer, OfferError, offered
from notes2conf_milter.services.rooms import rooms


def secret(path: Path, text: str = "s3cret\n", mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def offer(tmp_path: Path) -> Offer:
    personal = tmp_path / "personal.toml"
    personal.write_text('"anna@example.org" = "https://meet.example.org/anna"\n')
    return Offer(
        jitsi_url="https://meet.example.org",
        jitsi_app_id="app",
        jitsi_secret=secret(tmp_path / "jitsi"),
        bigbluebutton_url="https://bbb.example.org/bigbluebutton",
        bigbluebutton_secret=secret(tmp_path / "bbb", "other", 0o640),
        rooms=(rooms("A=https://a.example.org/{room}"), rooms("B=https://b.example.org/{room}")),
        personal_rooms=personal,
    )


def test_all_in_the_order_that_is_set(offer: Offer) -> None:
    assert [one.name for one in offered(offer)] == ["jitsi", "bigbluebutton", "rooms-a", "rooms-b", "personal", "link"]
    assert [one.name for one in offered(replace(offer, words=("link", "jitsi", "link")))] == ["link", "jitsi"]
    found = offered(offer)
    assert found[0] == Jitsi("https://meet.example.org", "app", "s3cret")
    assert found[1] == BigBlueButton("https://bbb.example.org/bigbluebutton", "other")


def test_what_is_not_set_up_is_left_out() -> None:
    assert [one.name for one in offered(Offer())] == ["link"]
    assert set(WORDS) == {"jitsi", "bigbluebutton", "rooms", "personal", "link"}


def test_what_stops_the_start(offer: Offer, tmp_path: Path) -> None:
    """With the key that is to be set."""
    (tmp_path / "wrong.toml").write_text("x")
    for wrong, key, said in (
        (replace(offer, words=("personal",)), "services.offered", "all can choose"),
        (Offer(link_hosts=()), "services.offered", "all can choose"),
        (replace(offer, jitsi_secret=None), "services.jitsi_app_id", "both, or none"),
        (replace(offer, jitsi_app_id=""), "services.jitsi_app_id", "both, or none"),
        (replace(offer, jitsi_secret=tmp_path / "none"), "services.jitsi_secret", "cannot be read"),
        (replace(offer, jitsi_secret=secret(tmp_path / "open", mode=0o644)), "services.jitsi_secret", "too open"),
        (replace(offer, jitsi_secret=secret(tmp_path / "two", "a b")), "services.jitsi_secret", "alone"),
        (replace(offer, jitsi_secret=secret(tmp_path / "empty", "")), "services.jitsi_secret", "alone"),
        (replace(offer, bigbluebutton_secret=None), "services.bigbluebutton_secret", "needs it"),
        (replace(offer, personal_rooms=tmp_path / "wrong.toml"), "services.personal_rooms", "is not TOML"),
    ):
        with pytest.raises(OfferError, match=said) as error:
            offered(wrong)
        assert error.value.key == key
