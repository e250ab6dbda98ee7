"""A vault of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """Return a folder with fresh keys; the database comes with the first store."""
    found = Vault(tmp_path / "vault").make()
    yield found
    found.close()
