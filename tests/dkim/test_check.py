"""`dkim check`: a sentence for each key."""

import pytest

from notes2conf_milter.dkim.check import State, check
from tests.signatures import Names, key, keys, records

KEY = key()
NAME = KEY.record_name


@pytest.mark.parametrize(
    ("record", "state", "words"),
    [
        (KEY.record.encode(), State.GOOD, "is that of the key file"),
        (b"t=y; " + KEY.record.encode(), State.GOOD, "t=y"),
        (b"", State.WRONG, "there is no TXT record; publish: v=DKIM1; k=rsa; p="),
        (None, State.UNKNOWN, "no reply in time"),
        (key(selector="other").record.encode(), State.WRONG, "not that of the key file; publish: v=DKIM1"),
        (b"v=DKIM1; p=", State.WRONG, "withdrawn"),
        (b"hello", State.WRONG, "no key record"),
        (b"v=DKIM1; k=ed25519; p=AAAA", State.WRONG, "not that of the key file"),
    ],
    ids=["good", "testing", "none", "no-answer", "another", "withdrawn", "nonsense", "other-kind"],
)
def test_each_state_has_its_sentence(record: bytes | None, state: State, words: str) -> None:
    (finding,) = check((KEY,), Names({NAME: record}))
    assert finding.state is state
    assert finding.text.startswith(f"{NAME}: ")
    assert words in finding.text


def test_two_records_are_one_too_many() -> None:
    class Two(Names):
        def txt(self, name: str) -> tuple[bytes, ...]:
            return (*super().txt(name), b"v=DKIM1; p=AAAA")

    (finding,) = check((KEY,), Two({NAME: KEY.record.encode()}))
    assert (finding.state, "2 TXT records" in finding.text) == (State.WRONG, True)


def test_every_key_is_looked_at() -> None:
    found = check(keys(), Names(records(*keys())))
    assert [finding.state for finding in found] == [State.GOOD, State.GOOD]
