"""One conversation; tests/tlscheck/test_check.py has each kind of host."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notes2conf_milter.tlscheck.facts import Outcome, Session
from notes2conf_milter.tlscheck.session import Target, converse, takes_old
from notes2conf_milter.tlscheck.transcript import Line, Said, text
from tests.tlscheck.authority import Authority
from tests.tlscheck.mailhost import Listening, MailHost

AUTHORITY = Authority()
CONTEXT = AUTHORITY.host("mx.example.test").context()


def target(port: int, **changes: object) -> Target:
    anchors = (AUTHORITY.root.certificate,)
    names = ("mx.example.test",)
    clock = lambda: datetime.now(UTC)  # noqa: E731
    made = Target("mx.example.test", "127.0.0.1", port, "check.example", names, (), anchors, clock, 5, 1)
    return replace(made, **changes)  # type: ignore[arg-type]


def talk(host: MailHost) -> tuple[Session, list[str]]:
    """Return what a conversation found out, and its transcript without times."""
    lines: list[str] = []

    def say(said: Said, /, **values: object) -> None:
        lines.append(text(Line(0, said, values), "en")[10:])

    with Listening(host, "127.0.0.1", 0) as listening:
        return asyncio.run(converse(target(listening.port), say)), lines


def test_no_recipient_and_no_message() -> None:
    """Nothing but these commands is ever said."""
    host = MailHost(CONTEXT)
    session, lines = talk(host)
    assert session.outcome is Outcome.WHOLE and session.mail == 250
    hello = b"EHLO check.example"
    assert host.commands == [hello, b"STARTTLS", hello, b"MAIL FROM:<>", b"QUIT"]
    assert [line for line in lines if line.startswith("-->")] == [
        *("--> EHLO check.example", "--> STARTTLS", "--> EHLO check.example", "--> MAIL FROM:<>", "--> QUIT")
    ]


def test_what_was_offered_before_tls_is_forgotten() -> None:
    """RFC 3207 §4.2: a reply from before does not count inside."""
    session, _ = talk(MailHost(CONTEXT, inside=b"500 no\r\n"))
    assert (session.outcome, session.detail, session.encrypted) == (Outcome.BROKEN_INSIDE, "500 no", True)


def test_a_long_reply_is_shown_in_part() -> None:
    """Thirty lines, and how many more."""
    session, lines = talk(MailHost(CONTEXT, ehlo=b"250-x\r\n" * 100 + b"250 STARTTLS\r\n"))
    assert session.outcome is Outcome.WHOLE
    assert lines.count("<-- 250-x") == 60 and lines.count("<-- (71 more lines)") == 2


def test_replies_without_end_are_no_smtp() -> None:
    """A host cannot fill memory."""
    for greeting in (b"220-" + b"x" * 100_000, b"220-x\r\n" * 10_000):
        assert talk(MailHost(greeting=greeting))[0].outcome is Outcome.NOT_SMTP


def test_a_host_that_hangs_up() -> None:
    """In the middle, without an answer."""
    session, lines = talk(MailHost(greeting=b"220 mx\r\n", ehlo=b"250 STARTTLS"))
    assert session.outcome is Outcome.SILENT and "no answer within 1 s" in lines
    assert talk(MailHost(greeting=b"421 4.3.2 later\r\n"))[0].outcome is Outcome.TURNED_AWAY


def test_an_address_that_this_machine_has_no_way_to() -> None:
    """As IPv6 on a machine without it; here an address that cannot be connected to at all."""
    session = asyncio.run(converse(target(25, address="255.255.255.255"), lambda _, /, **__: None))
    assert session.outcome in (Outcome.NO_ROUTE, Outcome.UNREACHABLE)


def test_the_second_connection() -> None:
    """Old versions taken, refused, or nothing learned."""
    both = AUTHORITY.host("mx.example.test").context("TLSv1", "TLSv1_3")
    for host, taken in ((MailHost(both), True), (MailHost(CONTEXT), False), (MailHost(starttls=b"454 no\r\n"), None)):
        with Listening(host, "127.0.0.1", 0) as listening:
            assert asyncio.run(takes_old(target(listening.port))) is taken
    assert asyncio.run(takes_old(target(1))) is None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=80), st.sampled_from(["greeting", "ehlo", "starttls", "before_tls", "inside", "mail"]))
def test_any_octets_are_an_answer(octets: bytes, place: str) -> None:
    """Whatever comes at whatever step: an outcome, and printable lines."""
    value = (lambda connection: connection.sendall(octets)) if place == "before_tls" else octets + b"\r\n"
    host = MailHost(CONTEXT, **{place: value})
    with Listening(host, "127.0.0.1", 0) as listening:
        lines: list[str] = []

        def say(said: Said, /, **values: object) -> None:
            lines.append(text(Line(0, said, values), "de"))

        session = asyncio.run(converse(target(listening.port, reply_seconds=0.3), say))
    assert isinstance(session.outcome, Outcome) and session.detail.isprintable()
    assert lines and all(line.isprintable() for line in lines)
