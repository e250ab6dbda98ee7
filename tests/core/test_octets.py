"""What two runs of octets have in common, at their beginning and at their end."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.core.octets import common, common_end

FEW = st.binary(max_size=6) | st.text("ab", max_size=12).map(str.encode)


def counted(pairs: Iterable[tuple[int, int]]) -> int:
    number = 0
    for one, other in pairs:
        if one != other:
            break
        number += 1
    return number


@given(FEW, FEW, st.integers(0, 4), st.integers(0, 4))
def test_a_common_beginning(one: bytes, other: bytes, at: int, at_other: int) -> None:
    """As counted octet by octet, from any offsets."""
    at, at_other = min(at, len(one)), min(at_other, len(other))
    assert common(one, other, at, at_other) == counted(zip(one[at:], other[at_other:], strict=False))


@given(FEW, FEW, st.integers(0, 12))
def test_a_common_end(one: bytes, other: bytes, most: int) -> None:
    """As counted octet by octet from behind; never more than asked for."""
    most = min(most, len(one), len(other))
    counted_back = counted(zip(reversed(one), reversed(other), strict=False))
    assert common_end(one, other, most) == min(most, counted_back)


def test_long_runs_are_counted_to_the_octet() -> None:
    """Across the slices that are compared at once."""
    run = bytes(range(256)) * 1_000
    for end in (65_535, 65_536, 65_537, 200_000, len(run)):
        other = run[:end] + b"!" + run[end:]
        assert common(run, other) == end
        assert common_end(run, other, len(run)) >= len(run) - end
