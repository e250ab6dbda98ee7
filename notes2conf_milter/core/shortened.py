"""Two messages without the long runs that both have, so that a slow reader need not go through them line by line.

In:  two messages. Out: both with one line in the place of each such run, and the runs. Fails: never.
"""

import re

from notes2conf_milter.core.octets import common, common_end

_LONG = 65_536  # octets that both messages have in common and that hold no structure: read as one line from here on
_STOPPER = re.compile(rb"\n[A-Za-z0-9+/=]+\r?\n")
_LEFT_OUT = re.compile(rb"n2c/[0-9]+/left/out\n")


def shortened(original: bytes, result: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """Return both messages with one line in the place of each long run of lines that is the same in both; and those runs.

    A run stands behind a line of letters and digits alone. Whatever that line stands in, it is no header field and ends a
    header, so that what follows is text up to the next line that begins with `--`; only in a delivery status (RFC 3464) empty
    lines mean something. So the structure is the same without the run.
    """
    if (
        len(original) < _LONG
        or b"delivery-status" in original.lower()
        or any(_LEFT_OUT.search(message) for message in (original, result))
    ):
        return original, result, []
    left_out: list[bytes] = []
    head = common(original, result)
    tail = common_end(original, result, min(len(original), len(result)) - head)
    first, last = _without_runs(original[:head], left_out), _without_runs(original[len(original) - tail :], left_out)
    return (
        first + original[head : len(original) - tail] + last,
        first + result[head : len(result) - tail] + last,
        left_out,
    )


def _without_runs(octets: bytes, left_out: list[bytes]) -> bytes:
    """Return `octets` with a line for each long run, which goes to `left_out`."""
    out: list[bytes] = []
    at, ends = 0, dict.fromkeys((b"\n--", b"\r--"), -1)
    while at < len(octets):
        for seam, found in ends.items():
            if found < at:
                found = octets.find(seam, at)
                ends[seam] = found if found >= 0 else len(octets)
        end = min(ends.values())
        stopper = _STOPPER.search(octets, at, end) if end - at >= _LONG else None
        if stopper is not None:
            stop = octets.rfind(b"\n", at, octets.rfind(b"\n", at, end)) + 1  # a whole line before the end stays
            if stop - stopper.end() >= _LONG:
                out += [octets[at : stopper.end()], b"n2c/%d/left/out\n" % len(left_out)]
                left_out.append(octets[stopper.end() : stop])
                at = stop
        out.append(octets[at : end + 1])
        at = end + 1
    return b"".join(out)


def whole(octets: bytes, left_out: list[bytes]) -> bytes:
    """Return `octets` of a shortened message with the runs in their places."""
    return _LEFT_OUT.sub(lambda found: left_out[int(found[0].split(b"/")[1])], octets) if left_out else octets
