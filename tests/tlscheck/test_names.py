"""Names of domains and of hosts: RFC 9525, RFC 5891."""

import pytest

from notes2conf_milter.tlscheck.names import any_matches, domain, matches


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("mx.example.org", "mx.example.org"),
        ("MX.Example.ORG.", "mx.example.org"),
        ("*.example.org", "mx.example.org"),
        ("*.example.org", "xn--bcher-kva.example.org"),
        ("_x.example.org", "_x.example.org"),
    ],
)
def test_names_that_match(pattern: str, host: str) -> None:
    """Case and the root's dot do not matter; `*` is one label."""
    assert matches(pattern, host)


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("example.org", "mx.example.org"),
        ("*.example.org", "example.org"),
        ("*.example.org", "a.b.example.org"),
        ("m*.example.org", "mx.example.org"),
        ("*x.example.org", "mx.example.org"),
        ("mx.*.org", "mx.example.org"),
        ("*.*.org", "mx.example.org"),
        ("*.org", "example.org"),
        ("*", "example"),
        ("*.example.org", "*.example.org"),
        ("*.example.org", ".example.org"),
        ("", ""),
        ("mx.example.org\0.evil.test", "mx.example.org"),
    ],
)
def test_names_that_do_not(pattern: str, host: str) -> None:
    """No part of a label, no second label, no top-level domain (RFC 9525 §6.3, §7.1)."""
    assert not matches(pattern, host)


def test_any_of_them() -> None:
    """One name for one host is enough."""
    assert any_matches(("a.test", "b.test"), ("c.test", "b.test"))
    assert not any_matches((), ("b.test",)) and not any_matches(("b.test",), ())


def test_domains() -> None:
    """As the DNS has them."""
    assert domain(" Example.ORG. ") == "example.org"
    assert domain("Bücher.example") == "xn--bcher-kva.example"
    assert domain("straße.example") == "xn--strae-oqa.example"


@pytest.mark.parametrize("text", ["", ".", "a..b", "a b", "-a.test", "a/b", "@", "a." * 130 + "a", "\u202ea.test"])
def test_what_is_no_domain(text: str) -> None:
    """A ValueError in words."""
    with pytest.raises(ValueError, match="no domain"):
        domain(text)
