"""Rows and links as they lie in the database."""

from dataclasses import replace

from notes2conf_milter.core.meeting import LinkKind, MailRecord, Person
from notes2conf_milter.store.shelf import Link, links
from tests.store.vault import BERT, CLARA, NOW, SECOND, UID, Vault, claim

OTHERS = (("berta", "com"), ("emil", "com"), ("dora", "net"))
RECORD = MailRecord(UID, (BERT, CLARA), "j" * 32, "s" * 32)


def test_every_link_of_a_meeting() -> None:
    """Its own two, and those of attendees with their names."""
    assert list(links(RECORD)) == [Link(LinkKind.JOIN, "j" * 32), Link(LinkKind.START, "s" * 32)]
    own = replace(RECORD, attendee_tokens=((BERT.address, "b" * 32), ("gone@example.com", "g" * 32)))
    assert list(links(own))[2:] == [
        Link(LinkKind.ATTENDEE, "b" * 32, BERT.name),
        Link(LinkKind.ATTENDEE, "g" * 32, "gone@example.com"),
    ]


def test_a_link_of_the_own_is_kept_and_opens(vault: Vault) -> None:
    """After an update, a restart and a change of the end, too; the label says whose it is."""
    store = vault.mail()
    got = claim(store)
    token, _ = store.own_link(got, BERT.address, NOW)
    assert store.own_link(got, BERT.address, NOW)[0] == token
    vault.close()
    later = claim(vault.mail(), expires_at=NOW + 9 * 86_400)
    assert vault.mail().own_link(later, BERT.address, NOW)[0] == token
    opened = vault.web().open(token.upper(), (LinkKind.ATTENDEE,), NOW)
    assert opened is not None
    assert (opened.label, opened.kind) == (BERT.name, LinkKind.ATTENDEE)
    shown = vault.web().open(got.join_token, (LinkKind.JOIN,), NOW)
    assert shown is not None
    assert shown.label == ""


def test_who_is_not_invited_has_no_link_of_the_own(vault: Vault) -> None:
    store = vault.mail()
    got = claim(store)
    assert store.own_link(got, "mallory@example.com", NOW) == (got.join_token, got)
    assert store.own_link(replace(got, meeting=got.meeting + 1), BERT.address, NOW)[0] == got.join_token


def test_labels_are_sealed(vault: Vault) -> None:
    """Nobody reads names in the database."""
    store = vault.mail()
    store.own_link(claim(store), BERT.address, NOW)
    assert BERT.name.encode() not in vault.octets()
    assert BERT.address.encode() not in vault.octets()


def test_an_own_link_outlives_an_update_that_was_split(vault: Vault) -> None:
    """Law 3: the copy for the attendee's domain comes after another's; who was dropped has a dead one."""
    store, berta, emil, dora = vault.mail(), *(Person(f"{name}@example.{top}") for name, top in OTHERS)
    got = claim(store, attendees=(BERT, berta, emil, CLARA, dora))
    tokens = [store.own_link(got, one.address, NOW)[0] for one in (BERT, berta, CLARA)]
    claim(store, attendees=(BERT, emil), revision=SECOND)
    got = claim(store, attendees=(CLARA, dora), revision=SECOND)
    left = [store.own_link(got, one.address, NOW)[0] for one in (BERT, berta, CLARA)]
    assert left == [tokens[0], got.join_token, tokens[2]]


def test_who_was_dropped_by_an_update_for_one_alone_has_a_dead_link_with_the_next_for_several(vault: Vault) -> None:
    """The first might have been for that one alone; mail from before it, that comes late, still drops nobody."""
    store, berta, emil = vault.mail(), *(Person(f"{name}@example.com") for name in ("berta", "emil"))
    got = claim(store, attendees=(BERT, berta))
    tokens = [store.own_link(got, one.address, NOW)[0] for one in (BERT, berta)]

    def alive() -> list[bool]:
        return [vault.web().open(token or "", (LinkKind.ATTENDEE,), NOW) is not None for token in tokens]

    claim(store, attendees=(BERT,), revision=SECOND)
    claim(store, attendees=(BERT, berta))
    assert alive() == [True, True]
    claim(store, attendees=(BERT, emil), revision=replace(SECOND, dtstamp="20260503T080000Z"))
    assert alive() == [True, False]
