"""The services that the settings offer, in their order.

In:  what the administrator set. Out: services, at least one. Touches: the files that the settings name.
Fails: OfferError with the key and what is allowed.
"""

import stat
from dataclasses import dataclass
from pathlib import Path

from notes2conf_milter.services import bigbluebutton, jitsi, link, personal
from notes2conf_milter.services.bigbluebutton import BigBlueButton
from notes2conf_milter.services.jitsi import Jitsi
from notes2conf_milter.services.link import HOSTS, Link
from notes2conf_milter.services.personal import Personal, PersonalError
from notes2conf_milter.services.rooms import Rooms
from notes2conf_milter.services.service import Service

ROOMS = "rooms"
WORDS = (jitsi.NAME, bigbluebutton.NAME, ROOMS, personal.NAME, link.NAME)
_SECRET_MODE = 0o640


class OfferError(Exception):
    """A setting that cannot be used. key: which; the text says why, and what is allowed."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


@dataclass(frozen=True, slots=True)
class Offer:
    """What the administrator set. words: which services, in which order; those that are not set up are left out."""

    words: tuple[str, ...] = WORDS
    jitsi_url: str = ""
    jitsi_app_id: str = ""
    jitsi_secret: Path | None = None
    bigbluebutton_url: str = ""
    bigbluebutton_secret: Path | None = None
    rooms: tuple[Rooms, ...] = ()
    personal_rooms: Path | None = None
    link_hosts: tuple[str, ...] = HOSTS


def offered(offer: Offer) -> tuple[Service, ...]:
    """Return the services; raises OfferError."""
    found: list[Service] = [service for word in dict.fromkeys(offer.words) for service in _of(word, offer)]
    if all(isinstance(one, Personal) for one in found):
        raise OfferError("services.offered", "nothing that all can choose is set up; set services.jitsi_url, say")
    return tuple(found)


def _of(word: str, offer: Offer) -> list[Service]:
    if word == jitsi.NAME and offer.jitsi_url:
        return [Jitsi(offer.jitsi_url, offer.jitsi_app_id, _jitsi_secret(offer))]
    if word == bigbluebutton.NAME and offer.bigbluebutton_url:
        secret = _secret("services.bigbluebutton_secret", offer.bigbluebutton_secret)
        if not secret:
            raise OfferError("services.bigbluebutton_secret", "services.bigbluebutton_url needs it; allowed is a file")
        return [BigBlueButton(offer.bigbluebutton_url, secret)]
    if word == ROOMS:
        return list(offer.rooms)
    if word == personal.NAME and offer.personal_rooms is not None:
        try:
            return [Personal(offer.personal_rooms)]
        except PersonalError as error:
            raise OfferError("services.personal_rooms", str(error)) from None
    return [Link(offer.link_hosts)] if word == link.NAME and offer.link_hosts else []


def _jitsi_secret(offer: Offer) -> str:
    secret = _secret("services.jitsi_secret", offer.jitsi_secret)
    if bool(secret) != bool(offer.jitsi_app_id):
        raise OfferError("services.jitsi_app_id", "belongs to services.jitsi_secret; allowed are both, or none")
    return secret


def _secret(key: str, path: Path | None) -> str:
    """Return the secret in a file, "" when none is named; raises OfferError."""
    if path is None:
        return ""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_bytes().strip().decode("utf-8", "replace")
    except OSError as error:
        raise OfferError(key, f"{path}: cannot be read ({error.strerror})") from None
    if mode & ~_SECRET_MODE:
        raise OfferError(key, f"{path}: mode {mode:04o} is too open for a secret; allowed is 0640 or less")
    if not text.isascii() or not text.isprintable() or not text or " " in text:
        raise OfferError(key, f"{path}: allowed is a file with the secret alone, on one line")
    return text
