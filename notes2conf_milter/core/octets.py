"""Looks at long runs of octets: what two have in common, what stands in one.

In:  octet strings. Out: lengths, yes or no. Fails: never. Compares slices, so that a long run takes the time of a copy.
"""

_CHUNK = 65_536
_OVERLAP = 64


def holds_any(octets: bytes, words: tuple[bytes, ...]) -> bool:
    """Say whether one of the words, in lower case and up to 64 octets long, stands in `octets` in whatever case.

    Piece by piece, each with the end of the one before: a whole copy in lower case would be another message in memory.
    """
    for start in range(0, max(len(octets), 1), _CHUNK - _OVERLAP):
        lower = octets[start : start + _CHUNK].lower()
        if any(word in lower for word in words):
            return True
    return False


def common(one: bytes, other: bytes, at: int = 0, at_other: int = 0) -> int:
    """Return the length of the common prefix of one[at:] and other[at_other:]."""
    most = min(len(one) - at, len(other) - at_other)
    low = 0
    while low < most and one[at + low : at + low + _CHUNK] == other[at_other + low : at_other + low + _CHUNK]:
        low = min(low + _CHUNK, most)
    high = min(low + _CHUNK, most)
    while low < high:
        middle = (low + high + 1) // 2
        same = one[at + low : at + middle] == other[at_other + low : at_other + middle]
        low, high = (middle, high) if same else (low, middle - 1)
    return low


def common_end(one: bytes, other: bytes, most: int) -> int:
    """Return the length of the common suffix, `most` at most."""
    low, size = 0, _CHUNK
    while size:
        step = min(size, most - low)
        same = one[len(one) - low - step : len(one) - low] == other[len(other) - low - step : len(other) - low]
        low += step if same else 0
        size = size if same and step == size else size // 2
    return low
