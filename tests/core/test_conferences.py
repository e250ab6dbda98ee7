"""Which links are conferences of others, and which only look like one."""

import pytest

from notes2conf_milter.core.conferences import Conferences

KNOWN = Conferences()


@pytest.mark.parametrize(
    "text",
    [
        "https://us02web.zoom.us/j/123?pwd=x",
        "LOCATION:us02web.zoom.us/j/123",
        "zoom.us/j/12345",
        "https://zoom.us:443/j/1",
        "zoommtg://zoom.us/j/1",
        "https://firma.zoom-x.de/j/1",
        "https://zoom.us/meeting/register/abc",
        "https://teams.microsoft.com/l/meetup-join/19%3ameeting",
        "https://teams.microsoft.com:443/l/meetup-join/19",
        "https://teams.microsoft.com/dl/launcher/launcher.html?url=%2F_%23%2Fl%2Fmeetup-join%2F19",
        "https://teams.live.com/meet/9",
        "https://gov.teams.microsoft.us/l/meetup-join/1",
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fteams.microsoft.com%2Fl%2Fmeetup-join%2F19",
        "https://firma.webex.com/meet/anna",
        "https://firma.webex.com/firma/j.php?MTID=1",
        "<a href='https://MEET.GOOGLE.COM/abc-defg-hij'>",
        "https://meet.goto.com/123",
        "https://www.gotomeet.me/anna",
        "https://meet.jit.si/Raum",
        "https://beta.meet.jit.si/Raum",
        "https://8x8.vc/firma/raum",
        "https://firma.whereby.com/raum",
        "https://bbb.example.org/b/abc-def-ghi",
        "https://bbb.example.org/rooms/abc-def-ghi-jkl/join",
        "https://bbb.example.org/bigbluebutton/api/join?meetingID=1",
        "https://cloud.example.org/index.php/call/abcd1234",
        "https://cloud.example.org/call/abcd1234",
        "https://cms.example.org/invited.sf?secret=abc",
        "https://facetime.apple.com/join#v=1",
        "https://go.teamviewer.com/m12345678",
    ],
)
def test_conferences(text: str) -> None:
    """As services write them, as people type them, as link scanners and HTML wrap them."""
    assert KNOWN.found(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "https://zoom.us/pricing",
        "http://www.webex.com/",
        "https://help.webex.com/en-us/",
        "https://www.webex.com/downloads.html",
        "https://www.teamviewer.com/de/",
        "https://get.teamviewer.com/firma",
        "https://www.bluejeans.com/downloads",
        "https://whereby.com/information/tos",
        "https://meet.google.com/",
        "https://meet.jit.si/",
        "https://meet.jit.si",
        "anna@zoom.us/j/1",
        "https://notzoom.us/j/1",
        "https://zoom.us.example.org/j/1",
        "https://example.org/b/our-new-web-design",
        "https://example.org/call/us",
        "https://example.org/blog/rooms/",
        "We zoom in on the figures.",
        "https://conf.example.org/j/joinjoinjoinjoinjoinjoinjoinjoin",
    ],
)
def test_no_conferences(text: str) -> None:
    """Homepages, help pages and addresses in a signature do not cost the organizer the link."""
    assert not KNOWN.found(text.encode())


def test_further_patterns() -> None:
    """As an administrator writes them."""
    own = Conferences(("meet.example.org/", "*.rooms.example.net/room/"))
    assert own.found(b"https://meet.example.org/x")
    assert own.found(b"https://a.b.rooms.example.net/room/5")
    assert not own.found(b"https://meet.example.org/")
    assert not own.found(b"https://zoom.us/j/1")
    assert not Conferences(()).found(b"https://zoom.us/j/1")


@pytest.mark.parametrize(
    "text", [b"a." * 500_000, b"zoom.us/" * 100_000, b"a-" * 500_000 + b"zoom.us/j/", b"/call/" * 200_000]
)
def test_long_texts_are_walked_once(text: bytes) -> None:
    """A megabyte of almost-links is no work (law 4)."""
    assert not KNOWN.found(text)
