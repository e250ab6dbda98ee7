"""The sentences of the verdict."""

import string

import pytest

from notes2conf_milter.tlscheck.chains import Problem
from notes2conf_milter.tlscheck.findings import Code, Finding, Guideline, Level, Status
from notes2conf_milter.tlscheck.words import KEPT, LEVELS, SENTENCES, STATUS, guideline, sentence


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("code", Code, ids=lambda code: code.label)
def test_every_finding_has_its_sentences(code: Code) -> None:
    """Both languages name the same values, and end as sentences do."""
    english, german = SENTENCES[code]
    assert names(english) == names(german) and english != german
    assert all(text.endswith((".", "{detail}")) for text in (english, german))


def test_everything_else_is_there() -> None:
    """Levels, outcomes, guidelines."""
    assert (set(LEVELS), set(STATUS), set(KEPT)) == (set(Level), set(Status), {True, False, None})


def test_a_sentence() -> None:
    """Its places and values, without double blanks; strangers' words are printable."""
    values = {"problem": Problem.SELF_SIGNED, "at": "", "begins": "a", "ends": "b"}
    found = Finding(Code.BAD_CERTIFICATE, ("mx1 [192.0.2.1]", "mx2 [192.0.2.2]"), values)
    assert sentence(found, "example.org", "de").startswith(
        "mx1 [192.0.2.1], mx2 [192.0.2.2]: kein Nachweis der Identität: das Zertifikat ist selbstsigniert (gültig"
    )
    nasty = sentence(Finding(Code.NOT_SMTP, ("mx",), {"detail": "{where}\x1b"}), "example.org", "en")
    assert nasty.endswith("The answer: {where}\\x1b")


def test_guidelines() -> None:
    """Kept, not kept and why, not known."""
    assert guideline(Guideline.TR_03108, False, ("a", "b"), "en") == "BSI TR-03108: not kept (a, b)."
    assert guideline(Guideline.TR_02102, None, (), "de") == "BSI TR-02102-2: nicht bekannt."
