"""For the tests of `tls check`: a small internet on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tlscheck.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A DNS server and an authority; mail hosts are the test's to add."""
    with Place(tmp_path) as made:
        yield made
