"""For all tests: in CI nothing may be skipped, for whatever reason."""

import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.house import House
from tests.store.vault import Vault
from tests.tlscheck.place import Place


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where CI=true says that everything must be there."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, and in CI nothing may be ({report.longrepr})"
    return report


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A mail flow over a real store."""
    vault = Vault(tmp_path / "state").make()
    with ThreadPoolExecutor(1) as thread:
        made = thread.submit(House, vault, thread).result()
        yield made
        thread.submit(vault.close).result()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A small internet on loopback for `tls check`: a DNS server and an authority; mail hosts are the test's to add."""
    with Place(tmp_path) as made:
        yield made
