"""New meetings of an organizer within an hour."""

from notes2conf_milter.core.quota import MOST_ORGANIZERS, Quota

HOUR = 3600


def test_so_many_an_hour() -> None:
    """Each organizer's own, in whatever case; after an hour there is room again."""
    quota = Quota(2)
    for at in (0, 10):
        assert quota.allows("anna@example.org", at)
        quota.count("anna@example.org", at)
    assert not quota.allows("ANNA@example.org", 20)
    assert quota.allows("berta@example.org", 20)
    assert not quota.allows("anna@example.org", HOUR - 1)
    assert quota.allows("anna@example.org", HOUR)
    quota.count("anna@example.org", HOUR)
    assert not quota.allows("anna@example.org", HOUR + 9)
    assert quota.allows("anna@example.org", HOUR + 10)


def test_memory_is_bounded() -> None:
    """The organizer who was counted longest ago is forgotten first."""
    quota = Quota(1)
    for number in range(MOST_ORGANIZERS + 1):
        quota.count(f"{number}@example.org", 0)
    assert quota.allows("0@example.org", 1)
    assert not quota.allows("1@example.org", 1)
