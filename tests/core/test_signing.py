"""What a signature of ours says, and whom it replaces."""

from dataclasses import replace
from pathlib import Path

import pytest

from notes2conf_milter.core.carried import tags
from notes2conf_milter.core.edits import InsertHeader, RemoveHeader, apply
from notes2conf_milter.core.message import author
from notes2conf_milter.core.signing import FIELD, Parties, SigningSettings, domain_of, plan, unsigned
from tests.signatures import key, keys, mail_dkim, opendkim, records, sign, verified

NOW = 1_772_436_600
KEYS = keys()
SETTINGS = SigningSettings(tuple(one.name for one in KEYS))
HOUSE = Parties("example.org", "example.org", frozenset({"example.org"}), lambda domain: domain == "example.org")
MESSAGE = b"""From: Anna Adams <anna@example.org>
To: bob@example.net,
 carl@example.net
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Date: Mon, 02 Mar 2026 08:30:00 +0100
Message-ID: <1@example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
X-Empty:

Some  text with   blanks \t
.
a line after a dot

""".replace(b"\n", b"\r\n")
CHANGED = MESSAGE.replace(b"Some  text", b"Some more text")


def signed(message: bytes, some: SigningSettings = SETTINGS) -> bytes:
    """A message with the signatures of the keys."""
    fields = unsigned(message, some.keys, NOW)
    eol = b"\r\n" if b"\r\n" in message else b"\n"
    have = {one.name: one for one in KEYS}
    return apply(message, [InsertHeader(FIELD, one.signed(have[one.key].sign(one.digest), eol)) for one in fields])


@pytest.mark.parametrize(
    "message",
    [
        MESSAGE,
        MESSAGE.replace(b"\r\n", b"\n"),
        MESSAGE.removesuffix(b"\r\n"),
        MESSAGE.removesuffix(b"\r\n\r\n"),
        MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
        MESSAGE + b"\r\n" * 50,
        MESSAGE.replace(b"Subject:", b"SUBJECT :"),
        MESSAGE.replace(b"To:", b"Reply-To: a@example.org\r\nCc: x@example.net\r\nTo:"),
        MESSAGE.replace(b"Subject:", b"Subject: one\r\nSubject:"),
    ],
)
def test_others_find_the_signatures_valid(message: bytes, tmp_path: Path) -> None:
    """dkimpy, OpenDKIM and Mail::DKIM, RSA and Ed25519; whatever the line ends, with and without a body."""
    result = signed(message)
    if b"SUBJECT :" not in message:  # dkimpy takes no blank before a colon
        assert verified(result, records(*KEYS)) == [("example.org", True)] * 2
    assert opendkim(result, records(*KEYS), tmp_path) == [True, True]
    if b"\r\n" in message:  # Mail::DKIM wants what goes over the wire, with the last line end that SMTP adds
        wire = result.removesuffix(b"\r\n") + b"\r\n"
        assert "dkim example.org rsa-sha256 pass" in mail_dkim(wire, records(*KEYS))


@pytest.mark.parametrize(
    "change",
    [
        (b"Some", b"some"),
        (b"anna@", b"eve@"),
        (b"Subject:", b"Subject: other\r\nSubject:"),
        (b"From:", b"From: ceo@example.org\r\nFrom:"),
        (b"To:", b"Reply-To: eve@example.com\r\nTo:"),
        (b"MIME-Version", b"Content-Type: text/html\r\nMIME-Version"),
    ],
)
def test_what_is_changed_later_is_seen(change: tuple[bytes, bytes], tmp_path: Path) -> None:
    """Fields that are added count: From, Subject, To, Cc, Reply-To always, the others where there is one."""
    at = signed(MESSAGE).index(b"\r\nFrom:") + 2
    result = signed(MESSAGE)
    spoilt = result[:at] + result[at:].replace(*change, 1)
    assert not any(good for _, good in verified(spoilt, records(*KEYS)))
    assert opendkim(spoilt, records(*KEYS), tmp_path) == [False, False]


def test_the_field() -> None:
    """No line is long, no octet is above ASCII, and it says when it was made and nothing that it need not."""
    (first, _) = unsigned(MESSAGE, SETTINGS.keys, NOW)
    value = first.signed(bytes(256))
    assert max(map(len, value.split(b"\r\n"))) <= 78
    assert value.isascii()
    found = tags(value.replace(b"\r\n", b""))
    assert found is not None
    assert (found[b"d"], found[b"s"], found[b"t"], found[b"c"]) == (
        b"example.org",
        b"r",
        b"%d" % NOW,
        b"relaxed/simple",
    )
    assert set(found) == {b"v", b"a", b"c", b"d", b"s", b"t", b"h", b"bh", b"b"}


def test_a_field_that_is_too_long_to_be_seen_whole_is_not_signed() -> None:
    """Postfix cuts what it shows to a milter; a signature over the half would be broken."""
    many = MESSAGE.replace(b"carl@example.net", b",\r\n ".join(b"guest%d@example.net" % n for n in range(3000)))
    (first, _) = unsigned(many, SETTINGS.keys, NOW)
    names = (tags(first.value) or {})[b"h"].replace(b"\r\n  ", b"").split(b":")
    assert b"to" not in names
    assert names.count(b"from") == names.count(b"subject") == names.count(b"cc") + 1 == 2


def test_nobody_is_signed_for_by_another_domain() -> None:
    """From's domain chooses the key, or the nearest one above it; who sends must lead to the same."""
    both = SigningSettings((*SETTINGS.keys, key("b.example.org").name))

    def domains(author: str, *senders: str) -> list[str]:
        house = replace(HOUSE, author=author, senders=frozenset(senders) if senders else None)
        return sorted({one.key.domain for one in plan(MESSAGE, CHANGED, house, both, NOW).unsigned})

    assert domains("example.org", "example.org") == ["example.org"]
    assert domains("deep.b.example.org", "b.example.org") == ["b.example.org"]
    assert domains("a.example.org", "example.org") == ["example.org"]
    assert domains("b.example.org", "example.org") == []
    assert domains("example.org", "other.example") == []
    assert domains("other.example", "example.org") == []
    assert domains("", "example.org") == []
    assert domains("example.org", "example.org", "other.example") == []
    assert domains("example.org") == ["example.org"]  # no envelope: `rewrite`


def test_a_signature_is_removed_only_if_ours_takes_its_place() -> None:
    """The same d=, whatever it is worth; others stay."""
    message = sign(sign(sign(MESSAGE, key("esp.example")), key(selector="server")), key("mail.example.org"))
    message = b"DKIM-Signature: v=1; d=Example.Org; b=\r\nDKIM-Signature: nothing\r\n" + message
    assert plan(message, CHANGED, HOUSE, SETTINGS, NOW).removed == (1, 4)
    assert plan(message, CHANGED, HOUSE, SigningSettings(), NOW).removed == ()
    later = SigningSettings(later_signer=True)
    assert plan(message, CHANGED, HOUSE, later, NOW).removed == ()
    removed = plan(message, CHANGED, HOUSE, replace(later, remove_broken=True), NOW).removed
    assert removed == (1, 4)
    left = apply(message, [RemoveHeader(FIELD, index) for index in reversed(removed)])
    assert left.count(b"d=example.org") == left.lower().count(b"d=example.org") == 0
    assert left.endswith(MESSAGE)


def test_what_is_endangered() -> None:
    """A signature of the message's own domain that nothing of ours replaces; not one of somebody else."""
    message = sign(sign(MESSAGE, key("esp.example")), key("mail.example.org", "server"))
    both = sign(message)

    def endangered(octets: bytes, some: SigningSettings, house: Parties = HOUSE) -> list[str]:
        return [one.domain for one in plan(octets, CHANGED, house, some, NOW).endangered]

    nothing = SigningSettings()
    assert endangered(MESSAGE, nothing) == []
    assert endangered(both, nothing) == ["example.org", "mail.example.org"]
    assert endangered(both, SETTINGS) == []  # ours is From's domain to the letter
    assert endangered(both, SigningSettings(later_signer=True)) == []
    below = replace(HOUSE, author="mail.example.org")
    assert endangered(both, SETTINGS, below) == ["mail.example.org"]  # its DMARC may want the very domain
    elsewhere = replace(HOUSE, author="esp.example", senders=frozenset({"esp.example"}))
    assert endangered(both, SETTINGS, elsewhere) == ["example.org", "mail.example.org", "esp.example"]


def test_more_signatures_than_anybody_looks_at() -> None:
    """Count as valid: a message does not make us ask for ever."""
    message = MESSAGE
    for _ in range(4):
        message = sign(message)
    found = plan(message, CHANGED, HOUSE, SigningSettings(), NOW)
    assert (len(found.endangered), found.more) == (3, True)
    assert plan(b"DKIM-Signature: d=example.org\r\n" * 11 + MESSAGE, CHANGED, HOUSE, SigningSettings(), NOW).more


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        (b" Anna <Anna@Example.ORG>", "example.org"),
        (b" anna@example.org (Anna)", "example.org"),
        ("anna@bücher.example".encode(), "xn--bcher-kva.example"),
        (b" a@example.org, b@example.org", ""),
        (b' "b@other.example" <a@example.org>', "example.org"),
        (b" undisclosed", ""),
        (b" <a@.>", ""),
        (b" <a@" + b"x" * 70 + b".example>", ""),
    ],
)
def test_the_author_is_one_address(value: bytes, domain: str) -> None:
    """Else nobody knows who is shown."""
    assert domain_of(author(b"From:" + value + b"\r\n\r\n")) == domain


def test_two_authors_are_none() -> None:
    assert author(b"From: a@example.org\r\nFrom: b@example.org\r\n\r\n") == ""
