"""Run the benchmarks: `make bench`, or `python -m tests.bench.run [door] [filters] [tlsrecord] [meetings] [signing] [waiting]`.

As root, for Postfix.

Exit code 0 also where a figure is not reached: it is said, and there is no use in a benchmark that fails a build.
"""

import platform
import sys

from tests.bench import door, filters, meetings, signing, tlsrecord, waiting
from tests.bench.report import Report


def main(names: list[str]) -> None:
    parts = {
        "door": door.bench,
        "filters": filters.bench,
        "tlsrecord": tlsrecord.bench,
        "meetings": meetings.bench,
        "signing": signing.bench,
        "waiting": waiting.bench,
    }
    report = Report()
    print(
        f"Python {platform.python_version()}, {platform.machine()}; ratios are medians of rounds of one run, with their range"
    )
    for name in names or parts:
        parts[name](report)
    print(f"\n{len(report.missed)} not reached" + "".join(f"\n  {line}" for line in report.missed))


if __name__ == "__main__":
    main(sys.argv[1:])
