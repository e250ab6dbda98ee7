"""Who is trusted."""

import ssl
from pathlib import Path

import pytest

from notes2conf_milter.tlscheck.anchors import NoAuthorities, anchors, context
from tests.tlscheck.authority import Authority


def test_those_of_a_file_and_no_others(tmp_path: Path) -> None:
    """Several in one file, comments between."""
    first, second = Authority(), Authority()
    file = tmp_path / "ca.pem"
    file.write_bytes(b"# ours\n" + first.root.pem + b"\n# theirs\n" + second.root.pem)
    found = anchors(context(file))
    assert set(found) == {first.root.certificate, second.root.certificate}
    assert context(file).verify_mode is ssl.CERT_REQUIRED and context(file).check_hostname


@pytest.mark.parametrize(
    "octets", [b"", b"nothing", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"]
)
def test_a_file_without_any(tmp_path: Path, octets: bytes) -> None:
    """Said with its name."""
    file = tmp_path / "ca.pem"
    file.write_bytes(octets)
    with pytest.raises(NoAuthorities, match=r"ca\.pem"):
        context(file)


def test_those_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By its file; and by its folder where there is no file."""
    pem = Authority().root
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "0a1b2c3d.0").write_bytes(pem.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    assert anchors(context(None)) == (pem.certificate,)
    (tmp_path / "none").write_bytes(pem.pem * 2)
    assert anchors(context(None)) == (pem.certificate,)
