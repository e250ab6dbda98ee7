"""What fuzzing has found stays found: the kept corpus holds, and a short run of each target finds nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, seeds

CORPUS = Path(__file__).with_name("corpus")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_and_what_it_began_with_holds(name: str) -> None:
    """No assertion of the target fails, and nothing is raised."""
    kept = sorted((CORPUS / name).iterdir())
    assert kept
    for octets in (*(path.read_bytes() for path in kept), *seeds(name)):
        TARGETS[name](octets)


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run_finds_nothing(name: str) -> None:
    """Guided by coverage, from the seeds and the kept corpus on."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", name, "8"], cwd=ROOT, capture_output=True, timeout=300, check=False
    )
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, said.partition("Python exception")[2][:4000] + said[-2000:]
    assert b"Done " in done.stderr
