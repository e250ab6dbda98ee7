"""How many new meetings an organizer makes in an hour: counted in memory, by the hash of the address.

In:  who, and when. Out: whether one more is allowed. Bounded: of at most MOST_ORGANIZERS the newest are remembered.
Fails: never. A restart forgets; that favours the organizer.
"""

import hashlib
from collections import OrderedDict, deque

MOST_ORGANIZERS = 10_000
_HOUR = 3600  # seconds


class Quota:
    """Counts what an organizer made within the last hour."""

    def __init__(self, an_hour: int) -> None:
        """an_hour: how many are allowed."""
        self._an_hour = an_hour
        self._made: OrderedDict[bytes, deque[int]] = OrderedDict()

    def allows(self, organizer: str, now: int) -> bool:
        """Say whether one more is allowed. now: seconds since 1970 UTC."""
        made = self._made.get(_name(organizer), deque())
        while made and made[0] <= now - _HOUR:
            made.popleft()
        return len(made) < self._an_hour

    def count(self, organizer: str, now: int) -> None:
        """Count one more."""
        made = self._made.setdefault(_name(organizer), deque(maxlen=self._an_hour))
        made.append(now)
        self._made.move_to_end(_name(organizer))
        if len(self._made) > MOST_ORGANIZERS:
            self._made.popitem(last=False)


def _name(organizer: str) -> bytes:
    return hashlib.sha256(organizer.lower().encode("utf-8", "surrogatepass")).digest()
