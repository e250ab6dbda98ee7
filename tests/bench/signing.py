"""Signing: what it adds to an invitation, the digest in the worker and the signature in the service. Wanted is 1.5 ms.

The median of a hundred messages in each round: that is what the work costs, whatever else the machine does.
"""

import time
from collections.abc import Callable
from statistics import median

from notes2conf_milter.core.signing import Parties, SigningSettings, plan
from notes2conf_milter.dkim.keys import SigningKey
from tests.bench import mails
from tests.bench.report import Report
from tests.signatures import keys, sign

ROUNDS, EACH = 7, 100
HOUSE = Parties("example.org", "example.org", frozenset({"example.org"}), lambda domain: domain == "example.org")
NOW = 1_772_436_600


def bench(report: Report) -> None:
    """Print what signing costs."""
    report.section("DKIM")
    both = keys()
    small, large = mails.meeting(), mails.meeting(1_000_000)
    _figure(report, "an invitation, RSA", small, both[:1], 1.5)
    _figure(report, "an invitation, RSA and Ed25519", small, both, 1.5)
    _figure(report, "an invitation that was signed before, RSA and Ed25519", sign(sign(small)), both, 1.5)
    report.note(f"an invitation with an attachment of 1 MB, both keys: {_once(large, both):.3g} ms")
    theirs = sign(small)

    def look() -> None:
        assert plan(theirs, theirs, HOUSE, SigningSettings(), NOW).endangered

    milliseconds = _time(look, EACH)
    report.note(f"looking at a signature that nothing replaces, without DNS: {milliseconds:.3g} ms")


def _figure(report: Report, what: str, message: bytes, some: tuple[SigningKey, ...], target: float) -> None:
    report.at_most(what, [_once(message, some) for _ in range(ROUNDS)], target, " ms")


def _once(message: bytes, some: tuple[SigningKey, ...]) -> float:
    """Milliseconds for one message: all that is done because of DKIM."""
    settings = SigningSettings(tuple(one.name for one in some))
    by_name = {one.name: one for one in some}

    def work() -> None:
        for one in plan(message, message, HOUSE, settings, NOW).unsigned:
            one.signed(by_name[one.key].sign(one.digest))

    return _time(work, EACH if len(message) < 100_000 else 5)


def _time(work: Callable[[], None], count: int) -> float:
    work()
    spent = []
    for _ in range(count):
        begin = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begin)
    return median(spent) * 1000
