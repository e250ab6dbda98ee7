"""terms.py: what is agreed with MTAs of every version, and how verdicts are said."""

import struct

import pytest

from notes2conf_milter.core.edits import ChangeHeader, Edit, InsertHeader, RemoveHeader, ReplaceBody
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.milter import packets
from notes2conf_milter.milter.packets import Command, PacketError, Step
from notes2conf_milter.milter.terms import SYMBOLS, TRY_LATER, Terms, agree

OFFERS = [(6, 0x1FFFFF), (5, 0x37F), (4, 0x37F), (3, 0x17F), (2, 0x7F), (2, 0), (9, 0xFFFFFFFF)]


@pytest.mark.parametrize(("version", "steps"), OFFERS)
@pytest.mark.parametrize("actions", [0x1FF, 0xFF, 0x3F, 0x0, 0xFFFFFFFF])
def test_nothing_is_granted_that_is_not_offered(version: int, steps: int, actions: int) -> None:
    terms, answer = agree(struct.pack("!III", version, actions, steps))
    granted = struct.unpack("!III", answer[5:17])
    assert granted == (min(version, 6), terms.actions, terms.steps)
    assert not terms.actions & ~actions
    assert not terms.steps & ~steps
    assert bool(answer[17:]) == bool(terms.actions & 0x100)
    assert not (terms.steps & Step.NO_CONNECT and not terms.actions & 0x100), "the client would be unknown"


def test_postfix_gets_replies_to_two_events_only() -> None:
    terms, _ = agree(struct.pack("!III", 6, 0x1FF, 0x1FFFFF))
    assert not any(terms.replies.values())
    assert terms.colon == b":"


def test_an_old_mta_gets_a_reply_to_everything() -> None:
    terms, _ = agree(struct.pack("!III", 2, 0x1FF, 0x7F))
    assert set(terms.replies.values()) == {packets.CONTINUE}
    assert terms.colon == b": "


def test_no_list_of_macros_is_empty() -> None:
    assert len(SYMBOLS) == 7
    assert all(SYMBOLS.values())  # an empty one means the MTA's default


@pytest.mark.parametrize("offer", [b"", b"\0" * 11, struct.pack("!III", 1, 0x1FF, 0), b"\0" * 12])
def test_what_is_no_offer(offer: bytes) -> None:
    with pytest.raises(PacketError):
        agree(offer)


def rewrite(*edits: Edit) -> Outcome:
    return Outcome(Verdict.REWRITE, Reason.LINK_ADDED, edits)


def test_the_body_goes_first_and_the_verdict_last() -> None:
    terms = Terms(0x1FF, 0x1FFFFF)
    said = packets.Decoder().feed(
        terms.verdict(
            rewrite(ChangeHeader(b"Subject", 1, b" a\r\n b"), ReplaceBody(b"x" * 70_000), ChangeHeader(b"X", 2, b""))
        )
    )
    assert [bytes([name]) for name, _ in said] == [b"b", b"b", b"m", b"m", b"a"]
    assert said[2][1] == b"\0\0\0\x01Subject\0 a\n b\0"
    assert said[3][1] == b"\0\0\0\x02X\0 \0"  # an empty value would delete the field


def test_without_leading_blanks_one_is_left_to_the_mta() -> None:
    assert b"Subject\0 a\0" in Terms(0x1FF, 0).verdict(rewrite(ChangeHeader(b"Subject", 1, b"  a")))


def test_edits_that_cannot_be_made_are_not_made_by_halves() -> None:
    body, subject = ReplaceBody(b"x"), ChangeHeader(b"Subject", 1, b" a")
    assert Terms(0x02, 0).verdict(rewrite(body, subject)) == packets.ACCEPT
    assert Terms(0x10, 0).verdict(rewrite(body, subject)) == packets.ACCEPT
    assert Terms(0x02, 0).verdict(rewrite(body)) != packets.ACCEPT
    assert Terms(0x12, 0).verdict(rewrite(body, ChangeHeader(b"Subject", 1, b" a\0b"))) == packets.ACCEPT


def test_the_other_verdicts() -> None:
    edits = (ReplaceBody(b"x"),)
    for verdict in (Verdict.PASS, Verdict.FORGET):
        assert Terms(0x1FF, 0).verdict(Outcome(verdict, Reason.METHOD_CANCEL, edits)) == packets.ACCEPT
    assert Terms(0x1FF, 0).verdict(Outcome(Verdict.DEFER, Reason.STORE_UNAVAILABLE)) == TRY_LATER
    ((name, text),) = packets.Decoder().feed(TRY_LATER)
    assert chr(name) == "y"
    assert text.startswith(b"451 4.3.0 ")


def test_every_command_that_decides_nothing_has_its_reply() -> None:
    terms, _ = agree(struct.pack("!III", 2, 0, 0))
    decides = {Command.EOH, Command.EOM, Command.ABORT, Command.QUIT, Command.QUIT_NC, Command.MACRO, Command.NEGOTIATE}
    assert set(terms.replies) == set(Command) - decides


def test_signatures_go_and_come_in_an_order_that_is_safe() -> None:
    """Behind the body, from the last index up, then the new ones at the top: no number means another field by then."""
    edits = (InsertHeader(b"D", b" a\r\n b"), RemoveHeader(b"D", 1), ReplaceBody(b"x"), RemoveHeader(b"D", 3))
    for steps, value in ((0x1FFFFF, b" a\n b"), (0x7F, b"a\n b")):
        said = packets.Decoder().feed(Terms(0x1FF, steps).verdict(rewrite(*edits)))
        assert said == [
            (ord("b"), b"x"),
            (ord("m"), b"\0\0\0\3D\0\0"),
            (ord("m"), b"\0\0\0\1D\0\0"),
            (ord("i"), b"\0\0\0\0D\0" + value + b"\0"),
            (ord("a"), b""),
        ]


@pytest.mark.parametrize("actions", [0x1FE, 0x1EF])
def test_half_of_the_edits_is_none(actions: int) -> None:
    """Where the MTA lets us add or change no field, a signature cannot be replaced."""
    terms = Terms(actions, 0x1FFFFF)
    assert not terms.can_edit
    edits = (ReplaceBody(b"x"), RemoveHeader(b"D", 1), InsertHeader(b"D", b" a"))
    assert terms.verdict(rewrite(*edits)) == packets.ACCEPT
    assert Terms(0x1FF, 0x1FFFFF).verdict(rewrite(InsertHeader(b"D", b"\0"))) == packets.ACCEPT
