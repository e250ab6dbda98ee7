"""Key files and what is published of them."""

import re
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from notes2conf_milter.core.carried import Candidate
from notes2conf_milter.core.signing import Algorithm, KeyName
from notes2conf_milter.dkim.keys import KeyFile, KeyFileError, load_key, new_keys
from notes2conf_milter.dkim.verify import verifies
from tests.signatures import key, pem

PRIVATE = b"PRIVATE KEY"


def file(folder: Path, octets: bytes, mode: int = 0o600) -> KeyFile:
    path = folder / "key.pem"
    path.write_bytes(octets)
    path.chmod(mode)
    return KeyFile("example.org", "r", path)


def test_new_keys_are_for_their_owner_alone_and_never_overwrite(tmp_path: Path) -> None:
    """One of each kind, in PEM that others read; a second call changes nothing."""
    folder = tmp_path / "dkim"
    made = new_keys(folder, "example.org", "n2c")
    assert [one.name for _, one in made] == [
        KeyName("example.org", "n2c-rsa", Algorithm.RSA),
        KeyName("example.org", "n2c-ed25519", Algorithm.ED25519),
    ]
    before = [path.read_bytes() for path, _ in made]
    for path, one in made:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        loaded = load_key(KeyFile("example.org", one.name.selector, path))
        assert (loaded.name, loaded.record) == (one.name, one.record)
        assert subprocess.run(["openssl", "pkey", "-in", str(path), "-noout"], check=False).returncode == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    made[0][0].unlink()
    with pytest.raises(KeyFileError, match="exists already"):
        new_keys(folder, "example.org", "n2c")
    assert not made[0][0].exists()
    assert made[1][0].read_bytes() == before[1]


def test_a_record_is_cut_where_dns_cuts(tmp_path: Path) -> None:
    """Strings of at most 255 octets (RFC 1035 §3.3); put together they are the record."""
    for _, one in new_keys(tmp_path, "example.org", "n2c"):
        name, text = re.fullmatch(r"(\S+)\. IN TXT (.*)", one.zone_lines, re.DOTALL).groups()  # type: ignore[union-attr]
        strings = re.findall(r'"([^"]*)"', text)
        assert name == f"{one.name.selector}._domainkey.example.org"
        assert max(map(len, strings)) <= 255
        assert "".join(strings) == one.record
        digest = bytes(range(32))
        algorithm = one.name.algorithm.value.encode()
        said = Candidate("example.org", one.name.selector, algorithm, digest, one.sign(digest), "example.org")
        assert verifies(said, one.record.encode())


def test_a_key_is_not_shown(tmp_path: Path) -> None:
    """Not by repr(), nor in an error."""
    one = load_key(file(tmp_path, pem(key())))
    assert "RSAPrivateKey" not in repr(one)
    with pytest.raises(KeyFileError) as error:
        load_key(file(tmp_path, pem(key()).replace(b"M", b"!")))
    assert not re.search(r"[A-Za-z0-9+/]{40}", str(error.value))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700])
def test_others_must_not_read_it(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KeyFileError, match=f"mode {mode:04o} is too open"):
        load_key(file(tmp_path, pem(key()), mode))


def test_what_is_no_key(tmp_path: Path) -> None:
    """Each is said with the file's name, and what is allowed."""
    elliptic = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = key().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    for octets, words in (
        (b"", "no private key"),
        (b"no key at all", "no private key"),
        (elliptic, "another kind"),
        (locked, "has a password"),
    ):
        with pytest.raises(KeyFileError, match=words) as error:
            load_key(file(tmp_path, octets))
        assert str(tmp_path / "key.pem") in str(error.value)
        assert "allowed" in str(error.value)
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_key(KeyFile("example.org", "r", tmp_path / "none-such.pem"))


def test_systemd_hands_keys_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LoadCredential=notes2conf-dkim:FOLDER makes a credential of each file; its mode is systemd's business."""
    handed = tmp_path / "credentials"
    handed.mkdir()
    (handed / "notes2conf-dkim_a.pem").write_bytes(pem(key()))
    (handed / "notes2conf-dkim_a.pem").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
    one = load_key(KeyFile("example.org", "r", Path("/none-such/a.pem")))
    assert one.record == key().record
    with pytest.raises(KeyFileError, match=r"/none-such/b\.pem"):
        load_key(KeyFile("example.org", "r", Path("/none-such/b.pem")))
