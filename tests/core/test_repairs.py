"""What is said of a repair: a word for the log, a sentence for whoever asks."""

import pytest

from notes2conf_milter.core.repairs import Fault, Mode, Repair, Repairs, State


def test_by_default_nothing_is_edited() -> None:
    """An administrator who upgrades finds the reports first."""
    assert (Repairs().multipart_related, Repairs().rdate) == (Mode.REPORT, Mode.REPORT)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("fault", Fault)
def test_every_fault_and_state_has_its_word_and_its_sentence(fault: Fault, state: State) -> None:
    """The log has one word without a blank; the explanation ends as sentences do."""
    said = Repair(fault, state, "Because." if state is State.NOT_POSSIBLE else "")
    assert str(said) == f"{fault.value}:{state.value}"
    assert " " not in str(said)
    assert said.explanation.endswith((".", "Because."))
    assert "  " not in said.explanation
