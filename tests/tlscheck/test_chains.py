"""Chains of certificates."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.tlscheck.chains import Problem, judge_chain
from tests.tlscheck.authority import NOW, Authority, Issued, issue

AUTHORITY = Authority()
ROOTS = (AUTHORITY.root.certificate,)
HOST = AUTHORITY.host("mx.example.test")
DAY = timedelta(days=1)
CLIENT = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)


def problems(issued: Issued, roots: tuple[x509.Certificate, ...] = ROOTS) -> tuple[Problem, ...]:
    return judge_chain(issued.ders, roots, NOW).problems


def test_good_chains() -> None:
    """With and without the root, in a wrong order, with strangers in between, an authority as anchor, itself as anchor."""
    assert problems(HOST) == ()
    root, between = AUTHORITY.root.certificate, AUTHORITY.between.certificate
    for chain in ((between, root), (root, between), (issue("x").certificate, between)):
        assert problems(Issued(HOST.certificate, HOST.key, chain)) == ()
    assert problems(HOST, (between,)) == ()
    alone = issue("mx")
    assert problems(alone, (alone.certificate,)) == ()


@pytest.mark.parametrize("curve", [ec.BrainpoolP256R1(), ec.SECP521R1()])
def test_authorities_with_curves_that_the_web_does_not_know(curve: ec.EllipticCurve) -> None:
    """The BSI recommends Brainpool; the web's list of algorithms is not ours."""
    root = issue("Root", authority=True, key=ec.generate_private_key(curve))
    assert problems(issue("mx", root), (root.certificate,)) == ()


def test_small_keys_are_not_the_chains_matter() -> None:
    """They are judged by TR-02102-2."""
    root = issue("Root", authority=True, key=rsa.generate_private_key(65537, 1024))
    assert problems(issue("mx", root), (root.certificate,)) == ()


def test_dates() -> None:
    """An expired certificate is looked at in its last second, so that all that is wrong is said."""
    expired = {"begins": NOW - 9 * DAY, "ends": NOW - 2 * DAY}
    long_ago = {"begins": NOW - 20 * DAY}
    root = issue("Root", authority=True, **long_ago)  # type: ignore[arg-type]
    assert problems(issue("mx", root, **expired), (root.certificate,)) == (Problem.EXPIRED,)  # type: ignore[arg-type]
    assert problems(issue("mx", **expired), (root.certificate,)) == (Problem.EXPIRED, Problem.SELF_SIGNED)  # type: ignore[arg-type]
    assert problems(issue("mx", AUTHORITY.root, begins=NOW + DAY)) == (Problem.NOT_YET_VALID,)


def test_an_intermediate_that_is_out_of_date() -> None:
    """Told as such; and no matter where another way leads past it (cross-signed authorities)."""
    key = ec.generate_private_key(ec.SECP256R1())
    late = issue("Between", AUTHORITY.root, authority=True, key=key, begins=NOW - 9 * DAY, ends=NOW - DAY)
    host = issue("mx", late)
    found = judge_chain(host.ders, ROOTS, NOW)
    assert (found.problems, found.where) == ((Problem.PATH_EXPIRED,), "CN=Between")
    renewed = issue("Between", AUTHORITY.root, authority=True, key=key)
    both = Issued(host.certificate, host.key, (late.certificate, renewed.certificate))
    assert problems(both) == ()


def test_an_expired_certificate_whose_authorities_are_younger() -> None:
    """They are as they should be today: that they were not yet when it expired is not wrong with anything."""
    old = {"begins": NOW - 9 * DAY, "ends": NOW - 3 * DAY}
    assert problems(AUTHORITY.host("mx", **old)) == (Problem.EXPIRED,)
    root = issue("Root", authority=True)
    assert problems(issue("mx", root, **old), (root.certificate,)) == (Problem.EXPIRED,)  # type: ignore[arg-type]


def test_a_root_that_is_out_of_date() -> None:
    """Told as such."""
    root = issue("Root", authority=True, begins=NOW - 9 * DAY, ends=NOW - DAY)
    found = judge_chain(issue("mx", root).ders, (root.certificate,), NOW)
    assert (found.problems, found.where) == ((Problem.PATH_EXPIRED,), "CN=Root")


def test_where_a_chain_ends() -> None:
    """Self-signed, an unknown root, or a certificate that is missing."""
    other = Authority()
    host = other.host("mx")
    assert problems(issue("mx")) == (Problem.SELF_SIGNED,)
    with_root = Issued(host.certificate, host.key, (*host.chain, other.root.certificate))
    assert judge_chain(with_root.ders, ROOTS, NOW).problems == (Problem.UNKNOWN_ROOT,)
    found = judge_chain(AUTHORITY.host("mx", send=False).ders, ROOTS, NOW)
    assert (found.problems, found.where) == ((Problem.INCOMPLETE,), "CN=Test Intermediate")
    assert judge_chain(host.ders, (), NOW).problems == (Problem.INCOMPLETE,)


def test_steps_that_do_not_hold() -> None:
    """A host that issues for others, a key that may not sign, a client's certificate, an authority with the same name only."""
    assert problems(issue("mx", HOST)) == (Problem.INVALID,)
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    between = issue("Between", AUTHORITY.root, authority=True, extensions=[(usage, True)])
    assert problems(issue("mx", between)) == (Problem.INVALID,)
    client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    assert problems(AUTHORITY.host("mx", extensions=[(client, False)])) == (Problem.INVALID,)
    forged = Authority()
    host = forged.host("mx")
    found = judge_chain(Issued(host.certificate, host.key, (AUTHORITY.between.certificate,)).ders, ROOTS, NOW)
    assert (found.problems, found.where) == ((Problem.INVALID,), "CN=Test Intermediate")


def test_an_authority_that_is_limited_to_names() -> None:
    """Name constraints are kept (RFC 5280 §4.2.1.10)."""
    limit = x509.NameConstraints([x509.DNSName("example.org")], None)
    between = issue("Between", AUTHORITY.root, authority=True, extensions=[(limit, True)])
    assert problems(issue("mx", between, names=("mx.example.org",))) == ()
    assert problems(issue("mx", between, names=("mx.example.test",))) == (Problem.INVALID,)


def test_many_certificates_cost_little() -> None:
    """A host may present what it likes; the way is bounded."""
    key = ec.generate_private_key(ec.SECP256R1())
    same = [
        issue("Same", issue("Same", key=key, authority=True), authority=True, key=key).certificate for _ in range(30)
    ]
    host = issue("mx", Issued(same[0], key))
    assert problems(Issued(host.certificate, host.key, tuple(same))) != ()


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_any_octets_are_an_answer(octets: bytes, at: int, value: int) -> None:
    """Whatever a host presents as certificates."""
    broken = bytearray(HOST.der)
    broken[at % len(broken)] = value
    for ders in ([], [octets], [bytes(broken)], [HOST.der, octets], [bytes(broken), *HOST.ders]):
        found = judge_chain(ders, ROOTS, NOW)
        assert all(isinstance(problem, Problem) for problem in found.problems)
    assert judge_chain([octets], ROOTS, NOW).problems == (Problem.UNREADABLE,)


def brainpool() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.BrainpoolP256R1())


def unknown() -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x")


def test_what_the_verifier_does_not_know_has_to_hold_all_the_same() -> None:
    """Authorities with other curves: may it sign, how deep, for whom, when; what is not understood does not hold."""
    root = issue("Root", authority=True, key=brainpool())
    roots = (root.certificate,)
    between = issue("Between", root, authority=True, key=brainpool())
    assert problems(issue("mx", between), roots) == ()
    assert problems(issue("mx", between, extensions=[CLIENT]), roots) == (Problem.INVALID,)
    assert problems(issue("mx", between, extensions=[(unknown(), True)]), roots) == (Problem.INVALID,)
    assert problems(issue("mx", between, extensions=[(unknown(), False)]), roots) == ()
    host = issue("mx", between, key=brainpool())
    assert problems(issue("forged", host), roots) == (Problem.INVALID,)  # a host that issues for others
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    mute = issue("Mute", root, authority=True, key=brainpool(), extensions=[(usage, True)])
    assert problems(issue("mx", mute), roots) == (Problem.INVALID,)
    limit = x509.NameConstraints([x509.DNSName("example.org")], None)
    limited = issue("Limited", root, authority=True, key=brainpool(), extensions=[(limit, False)])
    assert problems(issue("mx", limited, names=("mx.example.test",)), roots) == (Problem.INVALID,)
    short = issue("Short", authority=True, key=brainpool(), depth=0)
    below = issue("Below", short, authority=True, key=brainpool())
    assert problems(issue("mx", short), (short.certificate,)) == ()
    assert problems(issue("mx", below), (short.certificate,)) == (Problem.INVALID,)
    late = issue("Late", authority=True, key=brainpool(), begins=NOW - 9 * DAY, ends=NOW - DAY)
    assert problems(issue("mx", late), (late.certificate,)) == (Problem.PATH_EXPIRED,)


@pytest.mark.parametrize("name", ["Forbidden public key algorithm", "RSA key is too weak"])
def test_a_name_persuades_nobody(name: str) -> None:
    """The verifier quotes names in its reasons; what stands in them decides nothing."""
    assert problems(issue(name, AUTHORITY.between, extensions=[CLIENT])) == (Problem.INVALID,)
    assert problems(issue(name, HOST)) == (Problem.INVALID,)


def test_another_way_where_the_shortest_does_not_hold() -> None:
    """Two certificates of one authority, one of which may not sign: the other is taken."""
    key = ec.generate_private_key(ec.SECP256R1())
    wrong = issue("Between", AUTHORITY.root, key=key)
    right = issue("Between", AUTHORITY.root, authority=True, key=key)
    host = issue("mx", right)
    for chain in ((wrong.certificate, right.certificate), (right.certificate, wrong.certificate)):
        assert problems(Issued(host.certificate, host.key, chain)) == ()
