"""The way out, between real hosts, with config/postfix/tls-onward-*.cf: what carries a link, and what carries none.

Each kind of mail host of `arrangement.RECEIVERS` is the MX of a domain. To each goes an invitation that gets a link on its way,
or a message that does not; then it is looked where they are.
"""

import re
from collections.abc import Iterator, Sequence
from secrets import token_hex

import pytest

from tests.live.arrangement import BASE_URL, RECEIVERS, SOURCES, Arrangement, Fate, arrangement
from tests.live.between import Stripping
from tests.live.gateway import ANNA, Meeting, invitation, the_token, until

WORLD = (
    "postfix",
    "postfix/notes2conf-tls",
)  # what leaves for the world; `postfix/to-onward` is the way through the recipe
PLAIN = b"From: anna@example.org\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"
KINDS = [name for name in RECEIVERS if not name.startswith("sts") and name != "old"]

# Who proves by a certificate who he is; who encrypts at all; whom a link reaches at a level. For all others it waits
PROVED = {"good", "only12", "only13", "wildcard", "injected", "danewrong", "daneplain"}
ENCRYPTED = PROVED | {"selfsigned", "expired", "wrongname", "unknown", "posed", "dane", "daneposed"}
REACHED = {"encrypt": ENCRYPTED, "verify": PROVED, "secure": PROVED, "dane-only": {"dane"}}
WHY = {
    "none": "TLS is required, but was not offered by host mx.none.example",
    "only10": "Cannot start TLS: handshake failure",
    "stripped": "TLS is required, but was not offered by host mx.stripped.example",
    "crossed": "TLS is required, but was not offered by host mx.crossed.example",
    "danestripped": "TLS is required, but was not offered by host mx.danestripped.example",
    "refused": " refused to start TLS: 454 4.7.0 TLS not available due to local problem",
    "never": " refused to start TLS: 502 5.5.1 Error: command not implemented",
}


@pytest.fixture(scope="module")
def place() -> Iterator[Arrangement]:
    with arrangement() as made:
        yield made
        assert b"conf.example.org" not in made.between.overheard
        # A link opens a meeting to whoever reads it: it is nothing for a log
        assert re.findall(r".*/[js]/[a-z2-7]{32}.*", made.gate.postfix.log()) == []


def send(place: Arrangement, message: bytes | None = None, kinds: Sequence[str] = KINDS) -> dict[str, Fate]:
    """Send an invitation, or another message, to a new recipient at each kind of host, and return what the gateway's Postfix
    says that became of each; `relay` is the recipient then."""
    to = {name: f"bob-{token_hex(3)}@{name}.example" for name in kinds}
    for one in to.values():
        octets = invitation(Meeting.new()) if message is None else message
        place.house.send("tls13-domino:gate.example.org", ANNA, [one], octets)
    fates = {name: place.gate.fate(one, WORLD) for name, one in to.items()}
    return {name: Fate(fate.by, to[name], fate.status, fate.said) for name, fate in fates.items()}


@pytest.fixture
def at(place: Arrangement, request: pytest.FixtureRequest) -> Iterator[str]:
    """The level that the recipe has at its last transport."""
    option, level = "smtp_tls_security_level=", request.param
    if level != "encrypt":
        place.gate.postfix.restart(f"{option}encrypt", option + level)
    yield level
    place.gate.postfix.empty_queue()
    if level != "encrypt":
        place.gate.postfix.restart(option + level, f"{option}encrypt")


@pytest.mark.parametrize("at", REACHED, indirect=True)
def test_what_carries_a_link(place: Arrangement, at: str) -> None:
    """It goes encrypted, to whom the level allows; for the others it waits, and nobody reads it on the way."""
    fates = send(place)
    assert {name for name, fate in fates.items() if fate.status == "sent"} == REACHED[at]
    assert {fate.status for fate in fates.values()} == {"sent", "deferred"}
    assert {fate.by for fate in fates.values()} == {"postfix/notes2conf-tls"}
    for name, fate in fates.items():
        if fate.status == "sent":
            got = place.arrived(fate.relay).octets
            assert the_token(got, BASE_URL)
            version = b"TLSv1.2" if name == "only12" else b"TLSv1.3"
            assert got.startswith(b"Received: from gw.example.org") and b"(using " + version in got[:400], name
        else:
            assert place.delivered(fate.relay) == []
        if fate.status == "deferred" and at == "encrypt":
            assert WHY[name] in fate.said
        elif fate.status == "deferred" and at == "dane-only" and RECEIVERS[name].tlsa == "":
            assert fate.said == "no TLSA records found"
    if at == "dane-only":
        assert fates["daneplain"].said == "non DNSSEC destination"
        assert fates["danewrong"].said == fates["daneposed"].said == "Server certificate not verified"


@pytest.mark.parametrize("at", ["encrypt"], indirect=True)
def test_what_carries_none(place: Arrangement, at: str) -> None:
    """It goes as ever: encrypted where that can be had, in the clear where it cannot."""
    fates = send(place, PLAIN)
    assert {(fate.by, fate.status) for fate in fates.values()} == {("postfix", "sent")}, at
    encrypted = {name for name, fate in fates.items() if b"(using TLSv1" in place.arrived(fate.relay).octets[:400]}
    assert encrypted == ENCRYPTED | {"only10"}


def test_a_start_mail_on_its_way_home(place: Arrangement) -> None:
    """STARTTLS is taken out on the way to the organizer's Domino: other mail arrives, the start mail waits."""
    domino = SOURCES["domino"]
    place.between.take(domino, 25, Stripping(), of="link2", at="link1", client="203.0.113.0/24")
    try:
        place.mailbox.clear()
        before = len(place.gate.fates(ANNA))
        place.house.send("tls13-domino:gate.example.org", ANNA, ["bob@good.example"], invitation(Meeting.new()))
        until(lambda: any(one.by in WORLD for one in place.gate.fates(ANNA)[before:]))
        (fate,) = (one for one in place.gate.fates(ANNA)[before:] if one.by in WORLD)
        assert (fate.by, fate.status) == ("postfix/notes2conf-tls", "deferred")
        assert fate.said == f"TLS is required, but was not offered by host {domino}[{domino}]"
        place.world.send("may-stranger:example.org", "carl@else.example", [ANNA], PLAIN)
        until(lambda: len(place.mailbox.messages) == 1)
        assert place.mailbox.messages[0].octets.endswith(PLAIN)
        assert b"Subject: Lunch" in place.between.overheard
    finally:
        place.between.let_go(domino, 25)
    place.gate.postfix.flush()
    until(lambda: len(place.started()) == 1)
    assert the_token(place.started()[0].octets, BASE_URL, "s")


@pytest.mark.parametrize("at", ["encrypt"], indirect=True)
def test_a_table_of_levels(place: Arrangement, at: str) -> None:
    """smtp_tls_policy_maps of the transport: more than encrypt for some domains."""
    empty, table = (
        "-o smtp_tls_policy_maps=\n",
        "-o { smtp_tls_policy_maps = inline:{ { selfsigned.example = verify } } }\n",
    )
    options = "smtp_tls_security_level=encrypt\n    "
    place.gate.postfix.restart(f"{options}{empty}", f"{options}{table}")
    fates = send(place, kinds=("good", "selfsigned", "expired", "none"))
    assert {name for name, fate in fates.items() if fate.status == "sent"} == {"good", "expired"}, at
    assert fates["selfsigned"].said == "Server certificate not verified"
    place.gate.postfix.restart(f"{options}{table}", f"{options}{empty}")
