"""Certificate and key for our own listeners: what stops the start, and when they are read again."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from notes2conf_milter.certificate import Certificate, CertificateError
from tests.web.test_certificate import write


def test_what_stops_the_start(tmp_path: Path) -> None:
    certificate, key = write(tmp_path, 1000)
    with pytest.raises(CertificateError, match="not there"):
        Certificate(certificate, tmp_path / "none.pem")
    with pytest.raises(CertificateError, match="allowed are"):
        Certificate(certificate, certificate)
    key.write_bytes(b"no key")
    with pytest.raises(CertificateError, match="allowed are"):
        Certificate(certificate, key)


def test_a_certificate_that_is_over(tmp_path: Path) -> None:
    now = int(datetime.now(UTC).timestamp())
    assert Certificate(*write(tmp_path, 1)).over(now) is False
    assert Certificate(*write(tmp_path, 2, days=-1)).over(now) is True


def test_it_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """Once for each change; files that do not fit together leave the one in use."""
    made = Certificate(*write(tmp_path, 1000))
    assert made.refresh() is False
    _, key = write(tmp_path, 1001)
    assert made.refresh() is True and made.refresh() is False
    key.write_bytes(b"no key")
    assert made.refresh() is False
