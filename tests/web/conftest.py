"""A house of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Return a house with no meetings, on Monday at ten."""
    found = House(tmp_path / "store")
    yield found
    found.close()
