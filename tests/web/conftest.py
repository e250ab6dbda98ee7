"""A house of its own for each test."""

import pytest

from tests.web.house import House


@pytest.fixture
def house() -> House:
    """Return a house with no meetings, on Monday at ten."""
    return House()
