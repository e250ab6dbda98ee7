"""Bounds of a door: how many connections, from where, and what they hold; nothing is forgotten, nothing kept."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.smtp.crowd import Bounds, Crowd, MemoryFull, Place


def placed(crowd: Crowd) -> Place:
    place = crowd.enter()
    assert place is not None
    return place


def test_a_door_that_is_full_has_room_when_one_leaves() -> None:
    crowd = Crowd(Bounds(connections=2))
    first, _ = placed(crowd), placed(crowd)
    assert crowd.enter() is None
    first.leave()
    first.leave()
    assert crowd.enter() is not None
    assert crowd.enter() is None, "leaving twice makes no second place"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("2001:db8:0:100::1", "2001:db8:0:1ff::2", True),
        ("2001:db8:0:100::1", "2001:db8:0:200::1", False),
    ],
)
def test_what_counts_as_one_network(one: str, other: str, same: bool) -> None:
    crowd = Crowd(Bounds(per_network=1))
    assert placed(crowd).name(ip_address(one))
    assert placed(crowd).name(ip_address(other)) is not same


def test_who_has_no_address_is_counted_in_no_network() -> None:
    """Unix sockets, whose permissions say who is served, and a proxy's health checks."""
    crowd = Crowd(Bounds(per_network=1))
    assert all(placed(crowd).name(None) for _ in range(5))


def test_memory_is_for_all_but_one_message_alone_always_fits() -> None:
    """Else a message larger than the bound would be deferred for ever (law 1)."""
    crowd = Crowd(Bounds(memory=100))
    one, other = placed(crowd), placed(crowd)
    one.hold(60)
    one.hold(90)
    with pytest.raises(MemoryFull):
        other.hold(1)
    one.let_go()
    other.hold(99)
    with pytest.raises(MemoryFull):
        one.hold(2)
    other.leave()
    one.hold(100)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["enter", "name", "hold", "let_go", "leave"])), max_size=80)
)
def test_who_has_left_takes_nothing(steps: list[tuple[int, str]]) -> None:
    """Whatever happens in whatever order, an empty door is empty, and no bound is passed."""
    bounds = Bounds(connections=4, per_network=2, memory=50)
    crowd, places, named = Crowd(bounds), dict[int, Place](), set[int]()
    for number, step in steps:
        place = places.get(number)
        if step == "enter" and place is None:
            if (found := crowd.enter()) is not None:
                places[number] = found
        elif place is None:
            continue
        elif step == "name" and number not in named:
            place.name(ip_address(f"192.0.2.{number % 2}"))
            named.add(number)
        elif step == "hold":
            try:
                place.hold(20)
            except MemoryFull:
                assert crowd.held + 20 > bounds.memory
        elif step == "let_go":
            place.let_go()
        elif step == "leave":
            place.leave()
            del places[number]
            named.discard(number)
        assert crowd.connections == len(places) <= bounds.connections
        assert all(0 < count <= bounds.per_network for count in crowd.networks.values())
    for place in places.values():
        place.leave()
    assert (crowd.connections, crowd.held, dict(crowd.networks)) == (0, 0, {})
