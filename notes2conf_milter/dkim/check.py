"""`dkim check`: whether DNS says of our keys what it has to.

In:  keys, and where DNS is asked. Out: a finding for each key, in a sentence that says what to do.
Fails: never; DNS that does not answer is a finding.
"""

from dataclasses import dataclass
from enum import Enum

from notes2conf_milter.core.carried import Candidate, tags
from notes2conf_milter.dkim.keys import SigningKey
from notes2conf_milter.dkim.records import NoAnswer, Records
from notes2conf_milter.dkim.verify import verifies


class State(Enum):
    """How it stands with a key."""

    GOOD = "ok"
    WRONG = "error"
    UNKNOWN = "unknown"  # DNS does not say


@dataclass(frozen=True, slots=True)
class Finding:
    """How it stands with one key, and a sentence about it."""

    state: State
    text: str


_PROBE = bytes(range(32))  # a digest, signed to see whether the record verifies it


def check(keys: tuple[SigningKey, ...], records: Records) -> list[Finding]:
    """Return a finding for each key. It may take seconds for each."""
    return [_check(key, records) for key in keys]


def _check(key: SigningKey, records: Records) -> Finding:
    name = key.record_name
    try:
        found = records.txt(name)
    except NoAnswer as error:
        return Finding(State.UNKNOWN, f"{name}: DNS does not say what is there ({error}); try again")
    if not found:
        return Finding(State.WRONG, f"{name}: there is no TXT record; publish: {key.record}")
    if len(found) > 1:
        return Finding(State.WRONG, f"{name}: there are {len(found)} TXT records; leave the one with the key alone")
    said = tags(found[0])
    if said is None:
        return Finding(State.WRONG, f"{name}: what is there is no key record; publish: {key.record}")
    if said.get(b"p") == b"":
        return Finding(State.WRONG, f"{name}: the key was withdrawn (p= is empty); make a new one: dkim new")
    candidate = _probe(key)
    if not verifies(candidate, found[0]):
        return Finding(State.WRONG, f"{name}: the record is not that of the key file; publish: {key.record}")
    testing = b"y" in [flag.strip() for flag in said.get(b"t", b"").split(b":")]
    also = "; it says t=y (testing): receivers may treat the mail as unsigned" if testing else ""
    return Finding(State.GOOD, f"{name}: the record is that of the key file{also}")


def _probe(key: SigningKey) -> Candidate:
    """Return a signature of ours, as a receiver would have it before it."""
    name = key.name
    algorithm = name.algorithm.value.encode("ascii")
    return Candidate(name.domain, name.selector, algorithm, _PROBE, key.sign(_PROBE), name.domain)
