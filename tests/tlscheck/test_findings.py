"""The kinds of findings, and the exit status they make."""

import pytest

from notes2conf_milter.tlscheck.findings import Code, Finding, Level, Status, status


def test_every_code_has_a_name_of_its_own() -> None:
    """Monitors and the JSON go by it."""
    assert len({code.label for code in Code}) == len(Code)
    assert all(code.level in (Level.WARNING, Level.CRITICAL) for code in Code if code.breaks)


@pytest.mark.parametrize(
    ("codes", "outcome"),
    [
        ((), Status.GOOD),
        ((Code.GOOD_TLS, Code.STS_MISSING), Status.GOOD),
        ((Code.GOOD_TLS, Code.DANE_MISSING), Status.WARNING),
        ((Code.DANE_MISSING, Code.TIME_UP), Status.UNKNOWN),
        ((Code.TIME_UP, Code.NO_STARTTLS, Code.DANE_MISSING), Status.CRITICAL),
    ],
)
def test_the_exit_status_is_the_worst(codes: tuple[Code, ...], outcome: Status) -> None:
    """Hints change nothing; what is not known outweighs a warning."""
    assert status(Finding(code) for code in codes) is outcome


def test_the_exit_codes_are_those_of_monitors() -> None:
    """As Nagios and its descendants have them."""
    assert [int(one) for one in (Status.GOOD, Status.WARNING, Status.CRITICAL, Status.UNKNOWN)] == [0, 1, 2, 3]
