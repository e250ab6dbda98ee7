"""The messages of a Notes series in every order in which they can come: what the pages show depends on the messages alone."""

import time
from collections.abc import Iterator
from contextlib import closing
from itertools import permutations
from pathlib import Path

import pytest

from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.meeting import LinkKind, Page
from notes2conf_milter.core.policy import PolicySettings
from notes2conf_milter.core.work import Cancelled, Judged, WorkSettings, judge
from notes2conf_milter.store import Cancelling, Claim, EpochFile, MeetingStore, News, Refusal, load_mail_key, new_keys
from notes2conf_milter.store.keys import EPOCH_NAME, MAIL_KEY_NAME
from notes2conf_milter.store.links import LinkStore
from tests.invitations import BASE_URL
from tests.notes import HOUR, Release, Series

SETTINGS = WorkSettings(BASE_URL, PolicySettings(frozenset({"example.org"})), "en", 730 * 86400)
NOW = int(time.time())


class House:
    """A store that takes messages, and what a visitor sees of it."""

    def __init__(self, folder: Path) -> None:
        new_keys(folder, NOW)
        database, epoch = folder / "meetings.sqlite3", EpochFile(folder / EPOCH_NAME)
        self._store = MeetingStore(database, epoch, load_mail_key(folder / MAIL_KEY_NAME))
        self._links = LinkStore(database, epoch)
        self._seen: dict[bytes, Judged | Cancelled] = {}

    def close(self) -> None:
        self._links.close()
        self._store.close()

    def take(self, message: bytes) -> Claim | Refusal | Cancelling | None:
        """Do what the mail flow does with a message of the organizer's."""
        found = self._judged(message)
        if isinstance(found, Cancelled):
            whom = (found.organizer, found.uid, found.addresses, found.revision, NOW)
            return self._store.cancel(*whom, dates=found.dates, onward=found.onward).kind
        page, about = found.page, (found.revision, found.over_at, found.whole, found.dates, found.lag, found.complete)
        return self._store.claim(page.organizer.address, found.uid, News(page, found.attendees, *about), NOW)

    def page(self, claim: Claim) -> Page | None:
        """Return what the page behind the join link is made of."""
        opened = self._links.open(claim.join_token, (LinkKind.JOIN,), NOW)
        return None if opened is None else opened.page

    def forget(self, series: Series) -> None:
        self._store.forget("anna@example.org", f"{series.uid}-Lotus_Notes_Generated")

    def _judged(self, message: bytes) -> Judged | Cancelled:
        if message not in self._seen:
            found = judge(message, Envelope(Door.COMMAND, b""), SETTINGS, NOW)
            assert isinstance(found, tuple | Cancelled)
            self._seen[message] = found if isinstance(found, Cancelled) else found[1]
        return self._seen[message]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with closing(House(tmp_path)) as one:
        yield one


@pytest.mark.parametrize("release", Release)
def test_the_page_is_the_same_in_every_order(house: House, release: Release) -> None:
    """The first date gone, the second where it was moved to, the others an hour later than they were at first."""
    series = Series.tomorrow(release)
    expected = [start.timestamp() for start in (series.moved, *series.later[2:])]
    invitation = series.invitation()
    for order in permutations((series.reschedule(), series.update(), series.move(), series.cancel_one())):
        claim = house.take(invitation)
        assert isinstance(claim, Claim)
        for message in order:
            assert house.take(message) is not None
        page = house.page(claim)
        assert page is not None
        assert [time.start for time in page.times] == expected
        assert [time.end for time in page.times] == [start + HOUR.total_seconds() for start in expected]
        assert page.recurring
        house.forget(series)


def test_an_instance_that_comes_first_is_part_of_the_series(house: House) -> None:
    """Also when the invitation itself is overtaken: the link is that of the series, the dates are those of the newest."""
    series = Series.tomorrow()
    expected = [start.timestamp() for start in (series.later[0], series.moved, *series.later[2:])]
    for order in permutations((series.invitation(), series.reschedule(), series.update(), series.move())):
        claims = [house.take(message) for message in order]
        assert len({claim.join_token for claim in claims if isinstance(claim, Claim)}) == 1
        assert isinstance(claims[0], Claim)
        page = house.page(claims[0])
        assert page is not None
        assert [time.start for time in page.times] == expected
        house.forget(series)


def test_after_both_cancellations_nothing_brings_it_back(house: House) -> None:
    """All that was sent before, in every order between and after the two: the links are dead when both have come."""
    series = Series.tomorrow()
    invitation = series.invitation()
    late = (series.reschedule(), series.move(), series.cancel_one())
    both = (series.cancel_all("example.net"), series.cancel_all("example.com"))
    for order in permutations((*late, *both)):
        claim = house.take(invitation)
        assert isinstance(claim, Claim)
        last = max(order.index(one) for one in both)
        for number, message in enumerate(order):
            found = house.take(message)
            assert (found is Cancelling.MEETING) == (number == last)
            assert not isinstance(found, Claim) or found.join_token == claim.join_token
            assert (house.page(claim) is None) == (number >= last)
        house.forget(series)
