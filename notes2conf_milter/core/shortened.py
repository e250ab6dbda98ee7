"""Two messages without the long runs that both have, so that a slow reader need not go through them line by line.

In:  two messages. Out: both with one line in the place of each such run, and the runs. Fails: never.

A run stands behind a line that is no header field, or behind two empty lines. Whatever stands there, no header goes on behind
it: the line ends one, and of two empty lines the second ends that of a message in the message, too. So what follows is text up
to the next line that begins with `--`; only in a delivery status (RFC 3464) empty lines mean something. The structure is the
same without the run.
"""

import re

from notes2conf_milter.core.octets import common, common_end, holds_any

_LONG = 65_536  # octets that both messages have in common and that hold no structure: read as one line from here on
_STOPPER = re.compile(rb"\n(?!From |--)[!-9;-~][^:\r\n]*\r?\n|\n\r?\n\r?\n")
_LEFT_OUT = re.compile(rb"n2c/[0-9]+/left/out\n")
_SEAMS = (b"\n--", b"\r--")

Run = tuple[int, int]  # where it begins and ends in the original


def shortened(original: bytes, result: bytes) -> tuple[bytes, bytes, list[Run]]:
    """Return both messages with one line in the place of each long run of lines that is the same in both; and those runs."""
    if (
        len(original) < _LONG
        or holds_any(original, (b"delivery-status",))
        or any(_LEFT_OUT.search(message) for message in (original, result))
    ):
        return original, result, []
    head = common(original, result)
    tail = common_end(original, result, min(len(original), len(result)) - head)
    last = len(original) - tail
    runs = [*_runs(original, 0, head), *_runs(original, last, len(original))]
    first, more = _without(original, runs, 0, head, 0), _without(original, runs, last, len(original), last)
    return first + original[head:last] + more, first + result[head : len(result) - tail] + more, runs


def whole(octets: bytes, original: bytes, runs: list[Run]) -> bytes:
    """Return `octets` of a shortened message with the runs in their places."""
    return _LEFT_OUT.sub(lambda found: original[slice(*runs[int(found[0].split(b"/")[1])])], octets) if runs else octets


def _runs(octets: bytes, start: int, end: int) -> list[Run]:
    """Return the long runs in octets[start:end]."""
    found: list[Run] = []
    at = start
    while end - at >= _LONG:
        near = max(octets.rfind(seam, at, at + _LONG) for seam in _SEAMS)
        if near >= 0:  # no run begins before it
            at = near + 1
            continue
        seams = [octets.find(seam, at, end) for seam in _SEAMS]
        stop = min((seam for seam in seams if seam >= 0), default=end)
        if stop - at >= _LONG and (stopper := _STOPPER.search(octets, at, stop)) is not None:
            # A whole line before the end stays.
            last = octets.rfind(b"\n", at, max(octets.rfind(b"\n", at, stop), at)) + 1
            if last - stopper.end() >= _LONG:
                found.append((stopper.end(), last))
        at = stop + 1
    return found


def _without(octets: bytes, runs: list[Run], start: int, end: int, at: int) -> bytes:
    """Return octets[start:end] with a line for each of the runs in it."""
    pieces: list[bytes] = []
    for number, (first, last) in enumerate(runs):
        if start <= first and last <= end:
            pieces += [octets[at:first], b"n2c/%d/left/out\n" % number]
            at = last
    return b"".join([*pieces, octets[at:end]])
