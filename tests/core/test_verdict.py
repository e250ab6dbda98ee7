"""Verdicts and reasons."""

from notes2conf_milter.core.verdict import EXPLANATIONS, Outcome, Reason, Verdict


def test_every_reason_has_its_sentence() -> None:
    """`rewrite --explain` and the docs rest on it."""
    assert set(EXPLANATIONS) == set(Reason)
    assert all(sentence.endswith(".") and len(sentence) > 20 for sentence in EXPLANATIONS.values())
    assert len(set(EXPLANATIONS.values())) == len(Reason)


def test_words_are_words() -> None:
    """They stand in logs as key=word."""
    assert all(reason.value.replace("-", "").isalpha() and reason.value.islower() for reason in Reason)
    assert {verdict.value for verdict in Verdict} == {"pass", "rewrite", "forget", "defer", "take", "drop", "refuse"}


def test_an_outcome_changes_nothing_unless_told() -> None:
    """The edits are empty by default."""
    assert Outcome(Verdict.PASS, Reason.NO_CALENDAR).edits == ()


def test_too_weak_names_all_that_a_rule_can_ask() -> None:
    """Who reads it looks for what was missing: the version, the secrecy, or the client's certificate."""
    sentence = EXPLANATIONS[Reason.TLS_TOO_WEAK]
    assert all(word in sentence for word in ("TLS version", "forward secrecy", "client certificate"))
