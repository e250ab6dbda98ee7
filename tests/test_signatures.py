"""DKIM on the whole way of a message: what is signed, what is left alone, and who is told."""

import asyncio
import logging
import re
from dataclasses import replace
from pathlib import Path

import dkim
import pytest

from notes2conf_milter.core.edits import InsertHeader, RemoveHeader, ReplaceBody, apply
from notes2conf_milter.core.signing import SigningSettings
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.dkim.signer import Signer
from notes2conf_milter.workers import Workers
from tests.house import BERTA, INSIDE, MESSAGE, NOW, SENT, House, links_open, token, word
from tests.signatures import FIELD, Names, key, keys, opendkim, records, sign, verified

PLAIN = b"Message-ID: <1@example.org>\r\n" + MESSAGE
SERVER = key(selector="server")
SIGNED = sign(PLAIN, SERVER)
OURS = keys()
KNOWN = records(*OURS, SERVER)
KEPT = Outcome(Verdict.PASS, Reason.DKIM_SIGNATURE_KEPT)


def test_what_is_rewritten_is_signed(house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With each key, and so is the start mail; the log line says with which keys."""
    house.sign_with(*OURS)
    with caplog.at_level(logging.INFO):
        outcome = house.process(PLAIN)
    assert word(outcome) == SENT
    assert outcome.signed == tuple(one.name for one in OURS)
    result = apply(PLAIN, outcome.edits)
    for message in (result, house.mails[0][1]):
        assert verified(message, KNOWN) == [("example.org", True)] * 2
        assert opendkim(message, KNOWN, tmp_path) == [True, True]
    assert caplog.messages == [
        "queue_id=4Xy door=milter verdict=rewrite reason=link-added dkim=example.org:r,example.org:e tls=none peer=192.0.2.0/24"
    ]


def test_what_is_not_rewritten_is_not_signed(house: House) -> None:
    """Nor touched: what passes, and what has its link already. Signatures there stay valid (law 3)."""
    house.sign_with(*OURS)
    first = house.process(PLAIN)
    result = apply(PLAIN, first.edits)
    again = house.process(result)
    assert (word(again), again.edits, again.signed) == ((Verdict.REWRITE, Reason.LINK_PRESENT), (), ())
    for octets in (PLAIN.replace(b"REQUEST", b"REPLY"), PLAIN.replace(b"anna@", b"eve@")):
        assert house.process(octets).edits == ()
    later = sign(result, key(selector="later"))
    assert house.process(later).edits == ()
    assert verified(later, {**KNOWN, **records(key(selector="later"))}) == [("example.org", True)] * 3


def test_an_edit_that_is_needed_later_signs_anew(house: House) -> None:
    """Our old signatures go, the new ones verify; nothing else of the header changes."""
    house.sign_with(*OURS)
    result = apply(PLAIN, house.process(PLAIN).edits)
    marred = result.replace(token_of(result), b"x" * 32, 1)  # someone's program cut a link
    outcome = house.process(marred)
    assert [type(edit) for edit in outcome.edits] == [
        ReplaceBody,
        RemoveHeader,
        RemoveHeader,
        InsertHeader,
        InsertHeader,
    ]
    anew = apply(marred, outcome.edits)
    assert verified(anew, KNOWN) == [("example.org", True)] * 2
    assert FIELD.sub(b"", anew) == FIELD.sub(b"", result)


def tell(house: House, wanted: bool = True) -> None:
    house.settings = replace(house.settings, policy=replace(house.settings.policy, tell_organizer=wanted))


def token_of(octets: bytes) -> bytes:
    found = re.search(rb"/j/([a-z2-7]{32})", octets)
    assert found is not None
    return found[1]


def test_ours_takes_the_place_of_the_servers(house: House) -> None:
    """The same d=. DNS is not even asked; somebody else's signature stays."""
    house.sign_with(OURS[0])
    house.records = Names(KNOWN)
    message = sign(SIGNED, key("esp.example"))
    outcome = house.process(message)
    assert word(outcome) == SENT
    assert house.records.asked == []
    result = apply(message, outcome.edits)
    assert verified(result, {**KNOWN, **records(key("esp.example"))}) == [("example.org", True), ("esp.example", False)]


def test_a_valid_signature_that_cannot_be_replaced_is_kept(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """The invitation goes on as it came, nothing of the meeting stays, and its organizer is told."""
    house.records = Names(KNOWN)
    tell(house)
    with caplog.at_level(logging.INFO):
        assert house.process(SIGNED) == KEPT
    assert "reason=dkim-signature-kept" in caplog.text
    assert house.rows() == 0
    ((recipient, mail),) = house.mails
    assert recipient == b"anna@example.org"
    assert b"Your mail server had signed it (DKIM)" in mail.replace(b"=\r\n", b"")
    assert b"anna" not in caplog.text.encode()
    assert house.process(sign(PLAIN.replace(b"Subject", b"X-Subject"), SERVER)) == KEPT


def test_it_is_told_in_german_too_and_not_where_that_is_not_wanted(house: House) -> None:
    tell(house)
    german = sign(b"Content-Language: de\r\n" + PLAIN, SERVER)
    assert house.process(german) == KEPT  # no DNS here: what cannot be checked counts as valid
    assert b"schon signiert (DKIM)" in house.mails[0][1].replace(b"=\r\n", b"")
    tell(house, False)
    assert house.process(german) == KEPT
    assert len(house.mails) == 1


def test_a_known_meeting_keeps_its_row(house: House) -> None:
    """Its update goes on without the link; who has the link of before still gets in."""
    outcome = house.process(PLAIN)
    house.records = Names(KNOWN)
    assert house.process(SIGNED) == KEPT
    assert house.rows() == 1
    assert links_open(house, token(outcome, PLAIN))


@pytest.mark.parametrize(
    ("record", "outcome"),
    [
        (SERVER.record.encode(), KEPT.reason),
        (None, KEPT.reason),  # DNS does not say
        (b"", Reason.LINK_ADDED),  # no such record: nobody can verify it
        (b"v=DKIM1; p=", Reason.LINK_ADDED),  # withdrawn
        (key(selector="x").record.encode(), Reason.LINK_ADDED),  # of another key
    ],
    ids=["valid", "no-answer", "no-record", "withdrawn", "another"],
)
def test_only_what_may_be_valid_counts(house: House, record: bytes | None, outcome: Reason) -> None:
    house.records = Names({SERVER.record_name: record})
    assert house.process(SIGNED).reason is outcome


def test_a_broken_signature_is_no_obstacle(house: House) -> None:
    """That is seen without DNS: the hash of the body is another one, or it is over."""
    house.records = Names(KNOWN)
    spoilt = SIGNED.replace(b"SUMMARY:Secret plan", b"SUMMARY:Secret plot")
    assert word(house.process(spoilt)) == SENT
    assert house.records.asked == []


def test_the_signature_of_somebody_else_is_no_obstacle(house: House) -> None:
    """It breaks, stays, and counts as none."""
    house.records = Names(records(key("esp.example")))
    message = sign(PLAIN, key("esp.example"))
    outcome = house.process(message)
    assert word(outcome) == SENT
    assert [type(edit) for edit in outcome.edits] == [ReplaceBody]
    assert house.records.asked == []


def test_more_signatures_than_anybody_checks(house: House) -> None:
    """Count as valid."""
    house.records = Names({})
    message = PLAIN
    for _ in range(5):
        message = sign(message, SERVER)
    assert house.process(message) == KEPT
    assert house.records.asked == []


def test_where_somebody_behind_us_signs(house: House) -> None:
    """Nothing is signed, no signature is an obstacle; broken ones of the house go if that is wanted."""
    house.settings = replace(house.settings, signing=SigningSettings(later_signer=True))
    message = sign(SIGNED, key("esp.example"))
    outcome = house.process(message)
    assert word(outcome) == SENT
    assert [type(edit) for edit in outcome.edits] == [ReplaceBody]
    assert b"DKIM-Signature" not in house.mails[0][1]
    house.settings = replace(house.settings, signing=SigningSettings(later_signer=True, remove_broken=True))
    outcome = house.process(message)
    assert [type(edit) for edit in outcome.edits] == [ReplaceBody, RemoveHeader]
    assert verified(apply(message, outcome.edits), KNOWN) == [("esp.example", False)]


def test_a_forged_organizer_gets_no_signature(house: House) -> None:
    """From outside, or in the name of another domain of the house."""
    house.sign_with(*OURS, key("b.example"))
    both = frozenset({"example.org", "b.example"})
    house.settings = replace(house.settings, policy=replace(house.settings.policy, organizer_domains=both))
    outside = replace(INSIDE, client=None)
    header = PLAIN[: PLAIN.index(b"\r\n\r\n") + 4]
    assert house.flow().before_body(outside, header) == Outcome(Verdict.PASS, Reason.CLIENT_NOT_ALLOWED)
    theirs = PLAIN.replace(b"From: Anna <anna@example.org>", b"From: ceo@b.example")
    assert word(house.process(theirs)) == (Verdict.PASS, Reason.SENDER_NOT_ORGANIZER)
    assert word(house.process(PLAIN)) == SENT
    assert [domain for domain, _ in verified(house.mails[0][1], KNOWN)] == ["example.org"] * 2
    outcome = house.process(theirs)
    assert word(outcome) == (Verdict.REWRITE, Reason.LINK_KEPT)
    assert (outcome.signed, [type(edit) for edit in outcome.edits]) == ((), [ReplaceBody])


def test_what_somebody_else_passes_on_is_signed_only_if_it_is_theirs(house: House) -> None:
    """A colleague who forwards a known meeting is shown as its author. What a server forwards by itself has anybody's From."""
    house.sign_with(*OURS)
    assert word(house.process(PLAIN)) == SENT
    by_berta = PLAIN.replace(b"From: Anna <anna@", b"From: Berta <berta@")
    outcome = house.process(by_berta, BERTA)
    assert (word(outcome), len(outcome.signed)) == ((Verdict.REWRITE, Reason.LINK_KEPT), 2)
    for envelope in (replace(INSIDE, sender=b"SRS0=x=y=evil.example=eve@example.org"), BERTA):
        outcome = house.process(PLAIN, envelope)
        assert (word(outcome), outcome.signed) == ((Verdict.REWRITE, Reason.LINK_KEPT), ())


def test_where_from_counts_the_envelope_has_to_agree(house: House) -> None:
    """Anybody can forge a From that a server of the house passes on: its domain must be the envelope's, too."""
    house.sign_with(*OURS)
    house.settings = replace(house.settings, policy=replace(house.settings.policy, sender_from=True))
    outcome = house.process(PLAIN, replace(INSIDE, sender=b"eve@evil.example"))
    assert (word(outcome), outcome.signed) == (SENT, ())
    outcome = house.process(PLAIN, replace(INSIDE, sender=b"bounces@example.org"))
    assert len(outcome.signed) == 2


def test_in_worker_processes(house: House) -> None:
    """They prepare what is signed, and have no key."""

    async def run() -> Outcome:
        house.sign_with(*OURS)
        work, signer = Workers(house.settings.work(), count=1), Signer(OURS)
        flow = house.flow(signer)
        flow._work = work
        try:
            return await flow.process(INSIDE, PLAIN)
        finally:
            await work.close()
            signer.close()

    outcome = asyncio.run(run())
    result = apply(PLAIN, outcome.edits)
    assert verified(result, KNOWN) == [("example.org", True)] * 2
    assert b" t=%d;" % NOW in result


HOST = key("gateway.example")
CUSTOMER = frozenset({"example.org", "customer.example"})


def hosting(house: House, records: Names) -> None:
    """The house hosts customer.example, whose DNS is not its own."""
    house.sign_with(*OURS, HOST)
    signing = replace(house.settings.signing, hosted="gateway.example")
    policy = replace(house.settings.policy, organizer_domains=CUSTOMER)
    house.settings = replace(house.settings, signing=signing, policy=policy)
    house.records, house.hosted = records, "gateway.example"


CUSTOMERS = PLAIN.replace(b"example.org", b"customer.example")
FROM_CUSTOMER = replace(INSIDE, sender=b"anna@customer.example")


@pytest.mark.parametrize(
    ("record", "said"),
    [(KNOWN[SERVER.record_name], b"pass"), (b"", b"fail"), (None, b"temperror")],
    ids=["pass", "fail", "temperror"],
)
def test_a_customer_without_a_key_here(house: House, record: bytes | None, said: bytes) -> None:
    """The gateway's own domain signs, own mails, too; an ARC set says what the customer's signature was worth."""
    theirs = replace(SERVER, name=replace(SERVER.name, domain="customer.example"))
    hosting(house, Names({theirs.record_name: record}))
    message = sign(CUSTOMERS, theirs)
    outcome = house.process(message, FROM_CUSTOMER)
    assert word(outcome) == SENT
    assert outcome.signed == (HOST.name,)
    result = apply(message, outcome.edits)
    known = records(HOST, theirs)
    assert verified(result, known) == [("gateway.example", True), ("customer.example", False)]
    assert verified(house.mails[0][1], known) == [("gateway.example", True)]
    chain = dkim.ARC(result).verify(dnsfunc=lambda name, timeout=5: known.get(name.decode().rstrip(".")))
    assert chain[0] == b"pass"
    assert b"\r\n dkim=%s header.d=customer.example header.s=server;" % said in result


def test_a_message_with_a_chain_gets_no_set(house: House) -> None:
    """Whoever adds to a chain has to have validated it; nor does a domain that has a key of its own."""
    hosting(house, Names())
    chained = b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=other.example; s=x; b=\r\n" + CUSTOMERS
    outcome = house.process(chained, FROM_CUSTOMER)
    assert [edit.name for edit in outcome.edits if isinstance(edit, InsertHeader)] == [b"DKIM-Signature"]
    own = house.process(PLAIN)
    assert {one.domain for one in own.signed} == {"example.org"}
    assert {edit.name for edit in own.edits if isinstance(edit, InsertHeader)} == {b"DKIM-Signature"}


def test_hosting_is_for_organizer_domains_alone(house: House) -> None:
    """Nobody else's From is signed, nor one that is not the sender's."""
    hosting(house, Names())
    assert word(house.process(CUSTOMERS, FROM_CUSTOMER)) == SENT
    for author in (b"anna@elsewhere.example", b"anna@example.org"):
        message = CUSTOMERS.replace(b"From: Anna <anna@customer.example>", b"From: " + author)
        outcome = house.process(message, FROM_CUSTOMER)
        assert (word(outcome)[0], outcome.signed) == (Verdict.REWRITE, ())
