"""postconf.py: what the real postconf and postmap say of a configuration."""

from pathlib import Path

import pytest

from notes2conf_milter import postconf
from notes2conf_milter.postconf import split, words

MASTER = """\
smtp      inet  n       -       y       -       -       smtpd
    -o smtpd_milters=
    -o { mynetworks = 127.0.0.0/8 }
cleanup   unix  n       -       y       -       0       cleanup
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAIL_CONFIG", str(tmp_path))
    (tmp_path / "master.cf").write_text(MASTER)
    (tmp_path / "main.cf").write_text(
        "compatibility_level = 3.6\nmyhostname = gate.example.org\nmydomain = example.org\nmyorigin = $mydomain\n"
    )
    return tmp_path


def test_parameters_and_services(folder: Path) -> None:
    """Names are expanded; a service has its own parameters before those of main.cf, an empty one too."""
    with (folder / "main.cf").open("a") as main:
        main.write("smtpd_milters = unix:milter\nrelayhost = [relay.$mydomain]\n")
    found = postconf.read()
    assert found is not None
    assert (found.value("myorigin"), found.value("relayhost")) == ("example.org", "[relay.example.org]")
    assert (found.value("default_transport"), found.value("none_such")) == ("smtp", "")
    smtpd = found.services["smtp/inet"]
    assert (smtpd.command, found.services["cleanup/unix"].command) == ("smtpd", "cleanup")
    assert (found.value("smtpd_milters"), found.value("smtpd_milters", smtpd)) == ("unix:milter", "")
    assert (found.value("mynetworks", smtpd), found.value("myorigin", smtpd)) == ("127.0.0.0/8", "example.org")


def test_tables(folder: Path) -> None:
    """What can be listed is; what cannot is not taken for empty."""
    (folder / "text").write_text("# a comment\nexample.org smtp:[192.0.2.10]\nexample.net  :\n")
    (folder / "patterns").write_text("# a comment\n/^a b/i\n  FILTER smtp:[192.0.2.1]\nif /x/\n!/y/ OK\nendif\n")
    (folder / "nets").write_text("192.0.2.0/24 FILTER scan:\n2001:db8::/32 OK\n")
    found = postconf.read()
    assert found is not None
    assert sorted(found.results(f"texthash:{folder}/text") or ()) == [":", "smtp:[192.0.2.10]"]
    assert sorted(found.results("inline:{ { a = b c }, d=e }") or ()) == ["b c", "e"]
    assert found.results("static:{error: gone}") == ["error: gone"]
    assert found.results(f"regexp:{folder}/patterns") == ["FILTER smtp:[192.0.2.1]", "OK"]
    assert found.results(f"cidr:{folder}/nets") == ["FILTER scan:", "OK"]
    assert found.results("pcre:{{/^a: *b/ FILTER x:} {/c/ OK}}") == ["FILTER x:", "OK"]
    assert found.rules("regexp:{{/^a: *b/ FILTER x:}}") == ["/^a: *b/ FILTER x:"]
    for other in ("ldap:/none/such", "regexp:/none/such", "texthash:/none/such"):
        assert found.results(other) is None
    table = f"ldap:/none/such texthash:{folder}/text"
    assert (found.lookup("example.org", table), found.lookup("example.com", table)) == ("smtp:[192.0.2.10]", None)


def test_lists() -> None:
    assert words("hash:/a, inline:{ {b = c, d} } ,e") == ["hash:/a", "inline:{ {b = c, d} }", "e"]
    assert words("") == words(" ,") == []
    assert split("hash:/etc/a") == split("proxy:hash:/etc/a") == split("{ hash:/etc/a, defer }") == ("hash", "/etc/a")


def test_no_postfix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not installed, or a configuration that postconf does not take."""
    monkeypatch.setenv("MAIL_CONFIG", str(tmp_path / "none-such"))
    assert postconf.read() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert postconf.read() is None
