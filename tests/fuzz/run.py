"""Fuzz one target, guided by coverage: `python -m tests.fuzz.run TARGET SECONDS [FOLDER]`.

It begins with the golden messages and with what earlier runs found new (corpus/TARGET). FOLDER: where what is found new goes;
without it, nowhere. Exit code 0 when the time is over without a finding.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["notes2conf_milter"]):
    from tests.fuzz.targets import TARGETS, seeds

KEPT = Path(__file__).with_name("corpus")


def main(name: str, seconds: str, found: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, octets in enumerate(seeds(name)):
            (Path(folder) / f"seed-{number}").write_bytes(octets)
        folders = [found or tempfile.mkdtemp(dir=folder), folder, str(KEPT / name)]
        options = [f"-max_total_time={seconds}", "-max_len=16384", "-timeout=20", "-rss_limit_mb=1000"]
        artifacts = f"-artifact_prefix={found or folder}/"
        atheris.Setup(
            [sys.argv[0], *options, artifacts, *(one for one in folders if Path(one).is_dir())], TARGETS[name]
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
