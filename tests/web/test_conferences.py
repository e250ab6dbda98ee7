"""Handed over to a conference server that checks what a real one checks: an organizer and guests in a real browser.

Jitsi with tokens, BigBlueButton with checksums; and both with a wrong secret, which shows that they do check.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from notes2conf_milter.services.bigbluebutton import BigBlueButton
from notes2conf_milter.services.jitsi import TOKEN_SECONDS, Jitsi
from notes2conf_milter.web.server import WebSettings
from tests.services.bigbluebutton_server import SECRET as SHARED
from tests.services.bigbluebutton_server import BigBlueButtonServer
from tests.services.bigbluebutton_server import Entry as Joined
from tests.services.jitsi_server import Entry, JitsiServer
from tests.web.browser import Browser, Running
from tests.web.house import House, ask, guests_way, page, press
from tests.web.scene import staged
from tests.web.test_certificate import write

APP, SECRET = "waiting-room", "a-secret-of-the-operator-that-is-long-enough"
NAMES = WebSettings("https://conf.example.org", hands_on_names=True)
AS_HOST, AS_GUEST = "You are in the conference as moderator", "You are in the conference as participant"
AS_VIEWER = "You are in the conference as viewer"
NOT_ALLOWED = "You are not allowed to join this call"


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[None]:
    """Keep the browser between the tests."""
    with Running():
        yield


@pytest.fixture
def jitsi(house: House, tmp_path: Path) -> Iterator[JitsiServer]:
    """Return a Jitsi server that asks for tokens, by HTTPS; its clock is the house's."""
    with JitsiServer(house.clock, APP, SECRET).serving(write(tmp_path, 1000)) as found:
        yield found


@pytest.fixture
def bbb() -> Iterator[BigBlueButtonServer]:
    """Return a BigBlueButton server with the secret SHARED."""
    with BigBlueButtonServer().serving() as found:
        yield found


def go_in(host: Browser, *guests: Browser) -> None:
    """Open the conference and bring everybody there; guests find their way by themselves."""
    host.click("button[value=open]")
    host.see("The conference is open")
    for guest in guests:
        guest.look_again()
        guest.page.wait_for_url(lambda url: "/j/" not in url)
    host.click("button[value=enter]")
    host.page.get_by_text("You are being taken there").wait_for(state="hidden")


# --- Jitsi ---


@pytest.mark.parametrize(
    ("script", "settings", "names"),
    [(True, None, ("", "", "")), (False, NAMES, ("Bert Brandt", "", "Anna Müller"))],
    ids=["script", "no-script-names"],
)
def test_the_organizer_moderates_at_jitsi_and_guests_do_not(
    house: House,
    jitsi: JitsiServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    script: bool,
    settings: WebSettings | None,
    names: tuple[str, ...],
) -> None:
    caplog.set_level(logging.DEBUG)
    links = house.add(page())
    with staged(house, Jitsi(jitsi.url, APP, SECRET), settings=settings) as scene:
        given = {"script": script, "trusting": True}
        bert, clara = scene.guest(links, "Bert Brandt", **given), scene.guest(links, **given)
        host = scene.host(links, **given)
        go_in(host, bert, clara)
        for browser, said in ((bert, AS_GUEST), (clara, AS_GUEST), (host, AS_HOST)):
            browser.see(said)
    room = jitsi.entries[0].room
    guests = [Entry(room, "member", False, name) for name in names[:2]]
    assert Counter(jitsi.entries) == Counter([*guests, Entry(room, "owner", True, names[2])])
    assert jitsi.refused == []
    tokens = [path.partition("?jwt=")[2] for path, _ in jitsi.asked]
    assert len(tokens) == 3 and all(tokens)
    assert not any("referer" in headers or "cookie" in headers for _, headers in jitsi.asked), "our address stays ours"
    written = caplog.text + "".join(capfd.readouterr())
    for secret in (SECRET, room, links.join, links.start, "Brandt", *tokens):
        assert secret not in written, "nothing of it is in a log"
    assert not any(token.encode() in octets for token in tokens for octets in house.contents()), "nor stored"


@pytest.mark.parametrize(
    ("app", "secret", "why"),
    [(APP, "not-the-secret-of-this-server-at-all", "Invalid signature"), ("another", SECRET, "invalid 'iss' claim")],
    ids=["secret", "app"],
)
def test_jitsi_refuses_tokens_of_anybody_else(
    house: House, jitsi: JitsiServer, app: str, secret: str, why: str
) -> None:
    links = house.add(page())
    with staged(house, Jitsi(jitsi.url, app, secret)) as scene:
        guest, host = scene.guest(links, trusting=True), scene.host(links, trusting=True)
        go_in(host, guest)
        for browser in (guest, host):
            browser.see(f"{NOT_ALLOWED}: {why}")
    assert (jitsi.entries, jitsi.refused) == ([], [why, why])


def test_a_way_to_jitsi_is_the_guests_own_and_dies(house: House, jitsi: JitsiServer) -> None:
    """Nobody becomes a moderator by it, or gets into another room; after some hours the waiting room leads in anew."""
    links, others = house.add(page()), house.add(page("Another meeting"))
    with staged(house, Jitsi(jitsi.url, APP, SECRET)) as scene:
        guest = scene.guest(links, trusting=True)
        press(house, links.start)
        press(house, others.start)
        guest.see(AS_GUEST)
        own, (room, _, token) = guest.url(), guest.url().rpartition("?jwt=")
        guest.open(guests_way(house, others.join).partition("?")[0] + "?jwt=" + token)
        guest.see(f"{NOT_ALLOWED}: Room and token mismatched")
        guest.open(room)
        guest.see(f"{NOT_ALLOWED}: token required")
        house.clock.now += TOKEN_SECONDS
        guest.open(own)
        guest.see(f"{NOT_ALLOWED}: Not acceptable by exp")
        again = scene.guest(links, trusting=True)
        again.see(AS_GUEST)
    assert [one.moderator for one in jitsi.entries] == [False, False]


def test_a_jitsi_server_without_tokens_gets_none(house: House) -> None:
    with JitsiServer(house.clock).serving() as open_to_all:
        links = house.add(page())
        with staged(house, Jitsi(open_to_all.url)) as scene:
            guest, host = scene.guest(links, "Bert Brandt"), scene.host(links)
            go_in(host, guest)
            guest.see(AS_GUEST)
            host.see(AS_GUEST)
        assert {path for path, _ in open_to_all.asked} == {f"/{open_to_all.entries[0].room}"}


# --- BigBlueButton ---


@pytest.mark.parametrize(
    ("script", "settings", "names"),
    [(True, None, ("Guest", "Gast", "Organizer")), (False, NAMES, ("Bert Brandt", "Gast", "Anna Müller"))],
    ids=["script", "no-script-names"],
)
def test_the_organizer_moderates_at_bigbluebutton_and_guests_do_not(
    house: House,
    bbb: BigBlueButtonServer,
    caplog: pytest.LogCaptureFixture,
    script: bool,
    settings: WebSettings | None,
    names: tuple[str, ...],
) -> None:
    caplog.set_level(logging.DEBUG)
    links = house.add(page())
    with staged(house, BigBlueButton(bbb.url, SHARED), settings=settings) as scene:
        bert, gast = scene.guest(links, "Bert Brandt", script=script), scene.guest(links, script=script, language="de")
        host = scene.host(links, script=script)
        assert bbb.asked == [], "nothing is asked before it is opened"
        go_in(host, bert, gast)
        bert.see(f"{AS_VIEWER}, named {names[0]}")
        gast.see(f"{AS_VIEWER}, named {names[1]}")
        host.see(f"{AS_HOST}, named {names[2]}")
        (meeting,) = bbb.meetings
        assert set(bbb.entries) == {
            Joined(meeting, role, name) for role, name in zip(("VIEWER", "VIEWER", "MODERATOR"), names, strict=True)
        }
        called = [
            call for call, _ in bbb.calls
        ]  # before the host goes in it is asked whether the meeting is still there
        assert called == ["create", "join", "join", "isMeetingRunning", "join"], "all with right checksums"
        assert len(bbb.asked) == len(bbb.calls) + 3, "and none with a wrong one; the others are the client's page"
        assert not any("referer" in headers and scene.base in headers["referer"] for headers in bbb.visits)
        host.open(f"{scene.base}/s/{links.start}")
        host.click("button[value=end]")
        host.click("button[value=end-all]")
        host.see("Ended and deleted")
    assert bbb.meetings == {}, "the server was told"
    for secret in (SHARED, meeting, "checksum=", links.join, links.start, "Brandt"):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "The conference service did not open a conference. Please try again."),
        ("de", "Der Konferenzdienst hat keine Konferenz eröffnet. Bitte versuchen Sie es noch einmal."),
    ],
)
def test_bigbluebutton_refuses_another_secret(
    house: House, bbb: BigBlueButtonServer, caplog: pytest.LogCaptureFixture, language: str, said: str
) -> None:
    """The organizer's page says that it did not open and what to do; guests wait on; the log has the server's reason."""
    links = house.add(page())
    bbb.secret = "another"
    with staged(house, BigBlueButton(bbb.url, SHARED)) as scene:
        guest, host = scene.guest(links), scene.host(links, language=language)
        host.click("input[value=ask]")
        host.click("button[value=open]")
        host.see(said)
        assert "checksumError" not in host.page.content()
        assert host.page.is_checked("input[value=ask]"), "what was chosen stays chosen"
        assert (bbb.meetings, bbb.calls) == ({}, [])
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
            "BigBlueButton, create: the server refuses (checksumError)"
        ]
        assert guest.sees("You are waiting")
        assert "Not open yet" in ask(house.address, f"/j/{links.join}").text
        bbb.secret = SHARED
        host.click("input[value=open]")
        host.click("button[value=open]")
        guest.see(AS_VIEWER)
        host.faults.clear()  # the page that explains is a 422, and the console says so


def test_bigbluebutton_refuses_whoever_signs_with_another_secret(house: House, bbb: BigBlueButtonServer) -> None:
    """A way in that was changed, to moderate say, leads nowhere."""
    links = house.add(page())
    with staged(house, BigBlueButton(bbb.url, SHARED)) as scene:
        guest = scene.guest(links)
        press(house, links.start, service="bigbluebutton")
        guest.see(AS_VIEWER)
        way = guests_way(house, links.join).replace("&amp;", "&")
        assert "role=VIEWER" in way
        guest.open(way.replace("role=VIEWER", "role=MODERATOR"))
        assert "checksumError" in guest.page.content()
        guest.faults.clear()
    assert [one.role for one in bbb.entries] == ["VIEWER"]
