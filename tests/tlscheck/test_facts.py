"""What the facts say together."""

from notes2conf_milter.tlscheck.facts import Answer, Found, Host, Mx, Outcome, Report, Session, Tlsa

YES = Answer(Found.YES, ("192.0.2.1",), True, "mx.example.org")
SIX = Answer(Found.YES, ("2001:db8::1",), True, "mx.example.org")
NONE: Answer[str] = Answer(Found.NO_DATA)
TLSA = Answer(Found.YES, (Tlsa(3, 1, 1, bytes(32)),), True)


def test_a_host_is_secure_when_all_answers_are() -> None:
    """Each family that has addresses, and the TLSA records; an empty family does not count."""
    assert Host("mx.example.org", 10, YES, NONE, TLSA).secure
    assert Host("mx.example.org", 10, YES, SIX, TLSA).secure
    bare = Answer(Found.YES, ("2001:db8::1",), False, "mx.example.org")
    assert not Host("mx.example.org", 10, YES, bare, TLSA).secure
    assert not Host("mx.example.org", 10, YES, NONE, Answer(Found.YES, TLSA.values, False)).secure
    assert not Host("mx.example.org", 10, NONE, NONE, TLSA).secure


def test_aliases_and_addresses() -> None:
    """The older family first; an alias is a name that leads to another."""
    host = Host("mx.example.org", 10, YES, SIX, TLSA)
    assert (host.addresses, host.alias) == (("192.0.2.1", "2001:db8::1"), False)
    assert Host("alias.example.org", 10, YES, NONE, TLSA).alias


def test_sessions_of_all_hosts() -> None:
    """In their order; encrypted is what has a TLS version."""
    clear = Session("a", "192.0.2.1", Outcome.NO_STARTTLS)
    tls = Session("b", "192.0.2.2", Outcome.WHOLE, version="TLSv1.3")
    hosts = tuple(Host(one.host, 1, YES, NONE, TLSA, (one,)) for one in (clear, tls))
    report = Report("example.org", 25, "127.0.0.1", True, Answer(Found.YES, (Mx(1, "a"),)), hosts=hosts)
    assert report.sessions == (clear, tls) and (clear.encrypted, tls.encrypted) == (False, True)
    assert tls.where == "b [192.0.2.2]"


def test_long_records_are_cut_when_shown() -> None:
    """A whole certificate in a TLSA record fills no page."""
    assert str(Tlsa(3, 1, 1, b"\xab" * 32)) == "3 1 1 " + "ab" * 32
    assert str(Tlsa(3, 0, 0, b"\xab" * 900)) == "3 0 0 " + "ab" * 64 + "…"
