"""Socket addresses."""

import pytest

from notes2conf_milter.address import InetAddress, UnixAddress, host_port, milter_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:25", InetAddress("localhost", 25)),
        (" 127.0.0.1:0 ", InetAddress("127.0.0.1", 0)),
        ("[::1]:65535", InetAddress("::1", 65535)),
    ],
)
def test_host_and_port(text: str, address: InetAddress) -> None:
    """Read, and written as it is read."""
    assert host_port(text) == address
    assert host_port(address.netloc) == address


@pytest.mark.parametrize(
    "text", ["", ":25", "host", "host:", "host:x", "host:65536", "::1:25", "host:-1", "host:²", "[]:1"]
)
def test_what_is_no_host_and_port(text: str) -> None:
    """Refused with a sentence that says what is allowed."""
    with pytest.raises(ValueError, match="HOST:PORT"):
        host_port(text)


def test_milter_addresses() -> None:
    """As Postfix's smtpd_milters has them."""
    assert milter_address("unix:/run/n/m.sock") == UnixAddress("/run/n/m.sock")
    assert milter_address("inet:[::1]:8892") == InetAddress("::1", 8892)
    assert str(milter_address("inet:[::1]:8892")) == "inet:[::1]:8892"
    for wrong in ("unix:", "unix:a\0b", "inet:x", "/run/m.sock", "tcp:a:1"):
        with pytest.raises(ValueError, match="is"):
            milter_address(wrong)
