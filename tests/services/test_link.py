"""Links that organizers paste: what is taken, what is refused and why."""

import asyncio
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notes2conf_milter.services.link import HOSTS, Link, checked
from notes2conf_milter.services.service import Conference, RefusedLink, Visitor, Why

TAKEN = [
    "https://us02web.zoom.us/j/81234567890?pwd=abcDEF.1",
    "https://zoom.us/j/81234567890",
    "https://teams.microsoft.com/l/meetup-join/19%3ameeting_x%40thread.v2/0?context=%7b%22Tid%22%3a%22x%22%7d",
    "https://teams.microsoft.com/meet/2345?p=x",
    "https://example.webex.com/meet/anna.muster",
    "https://example.webex.com/example/j.php?MTID=m0123456789abcdef",
    "https://meet.google.com/abc-defg-hij",
    "https://meet.goto.com/anna",
    "https://us02web.zoom.us/j/81234567890?pwd=abcDEF.1#success",
    "https://example.webex.com/example/m.php?AT=JM&MK=123456789",
    "https://teams.microsoft.com/dl/launcher/launcher.html?url=%2F_%23%2Fl%2Fmeetup-join%2F19%3Ameeting_x&type=meetup-join",
]


@pytest.mark.parametrize("link", TAKEN)
def test_links_for_guests(link: str) -> None:
    assert checked(f"  {link}\r\n", HOSTS) == link


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("", Why.NO_LINK),
        (" \n", Why.NO_LINK),
        ("https://zoom.us", Why.NO_LINK),
        ("https://zoom.us/", Why.NO_LINK),
        ("https://zoom.us/\u017f/81234567890", Why.NOT_HTTPS),  # the long s, which is an s where case is ignored
        ("https://zoo\u212a.us/j/1", Why.NOT_HTTPS),  # the Kelvin sign, likewise a k
        ("https://zoom.us/j/1\tx", Why.NOT_HTTPS),
        ("https://zoom.us/j/1\r\nSet-Cookie: a=b", Why.NOT_HTTPS),
        ("http://zoom.us/j/1", Why.NOT_HTTPS),
        ("zoom.us/j/1", Why.NOT_HTTPS),
        ("javascript:alert(1)//https://zoom.us/", Why.NOT_HTTPS),
        ("https://zoom.us/j/1 https://evil.example/", Why.NOT_HTTPS),
        ("https://zoom.us\\@evil.example/j/1", Why.NOT_HTTPS),
        ('https://zoom.us/j/1"onclick=', Why.NOT_HTTPS),
        ("https://zoom.us/" + "j" * 2000, Why.NOT_HTTPS),
        ("https://[::1/j/1", Why.NOT_HTTPS),
        ("https://zoom.us:x/j/1", Why.NOT_HTTPS),
        ("https://zооm.us/j/1", Why.NOT_HTTPS),  # Cyrillic
        ("https://evil.example/zoom.us/j/1", Why.HOST_NOT_ALLOWED),
        ("https://zoom.us.evil.example/j/1", Why.HOST_NOT_ALLOWED),
        ("https://evilzoom.us/j/1", Why.HOST_NOT_ALLOWED),
        ("https://zoom.us@evil.example/j/1", Why.HOST_NOT_ALLOWED),
        ("https://anna:secret@zoom.us/j/1", Why.HOST_NOT_ALLOWED),
        ("https://zoom.us:8443/j/1", Why.HOST_NOT_ALLOWED),
        ("https://127.0.0.1/j/1", Why.HOST_NOT_ALLOWED),
        ("https:///j/1", Why.HOST_NOT_ALLOWED),
        ("https://zoom.us/s/81234567890?zak=eyJ", Why.HOSTS_OWN_LINK),
        ("https://zoom.us/s/81234567890", Why.HOSTS_OWN_LINK),
        ("https://zoom.us/j/81234567890?ZAK=eyJ", Why.HOSTS_OWN_LINK),
        ("https://zoom.us/j/81234567890?pwd=x&zak", Why.HOSTS_OWN_LINK),
        ("https://zoom.us/j/1#zak=eyJ", Why.HOSTS_OWN_LINK),
        ("https://zoom.us/%73/81234567890", Why.HOSTS_OWN_LINK),
        ("https://zoom.us/wc/81234567890/start", Why.HOSTS_OWN_LINK),
        ("https://zoom.us/./s/81234567890", Why.HOSTS_OWN_LINK),
        ("https://zoom.us/j/../s/81234567890", Why.HOSTS_OWN_LINK),
        ("https://zoom.us/s;x/81234567890", Why.HOSTS_OWN_LINK),
        ("https://zoom.us/j/1?pwd=x;zak=eyJ", Why.HOSTS_OWN_LINK),
        ("https://zoom.us/j/1#/x?zak=eyJ", Why.HOSTS_OWN_LINK),
        ("https://zoom.us/j/1?next=https%3A%2F%2Fzoom.us%2Fs%2F1%3Fzak%3DeyJ", Why.HOSTS_OWN_LINK),
        ("https://example.webex.com/example/m.php?AT=HM&MK=123456789", Why.HOSTS_OWN_LINK),
        ("https://example.webex.com/example/p.php?AT=LI&WID=anna&PW=secret", Why.HOSTS_OWN_LINK),
        (
            "https://example.webex.com/wbxmjs/joinservice/sites/example/meeting/download/b7?integrationJoinToken=QUhT",
            Why.HOSTS_OWN_LINK,
        ),
        ("https://global.gotomeeting.com/host/123456789", Why.HOSTS_OWN_LINK),
        ("https://example.webex.com/host/1?hostKey=1", Why.HOSTS_OWN_LINK),
    ],
)
def test_what_is_refused_and_why(link: str, why: Why) -> None:
    with pytest.raises(RefusedLink) as refused:
        checked(link, HOSTS)
    assert refused.value.why is why


def test_a_port_that_is_the_usual_one_and_a_host_in_capitals() -> None:
    assert checked("HTTPS://Zoom.US:443/j/1", HOSTS) == "https://zoom.us/j/1"


# Any text, and what a link is put together of: with what is odd in it, and what looks like something else.
SIGNS = r"https:// http:// // / \ @ : :443 :80 ? # & ; = . .. % %00 %2f %73 [ ] s j zak zak=x start a:b@ 1234567890"
NAMES = "zoom.us ZOOM.us us02web.zoom.us evil.example meet.google.com 127.0.0.1 xn--zom-0na.us zo\u043em.us"
WORDS = [*SIGNS.split(), *NAMES.split(), " ", "\t", "\r\n", "\0", "\u017f", "\u212a", "\u2028", "\ufeff", "\u3002"]
PIECES = st.text(st.characters(codec="utf-8"), max_size=40)
BEGINNINGS = st.sampled_from(["", "https://", "https://zoom.us", "https://zoom.us/j/"])
PASTED = st.tuples(BEGINNINGS, PIECES).map("".join) | st.lists(st.sampled_from(WORDS), max_size=12).map("".join)
PASTED |= st.tuples(BEGINNINGS, st.lists(st.sampled_from(WORDS), max_size=8).map("".join)).map("".join)


@given(PASTED)
@settings(max_examples=500)
def test_whatever_is_pasted(text: str) -> None:
    """It is refused, or leads to an allowed host by https, whoever reads it."""
    try:
        found = checked(text, HOSTS)
    except RefusedLink:
        return
    parts = urlsplit(found)
    assert (parts.scheme, parts.port, parts.username) == ("https", None, None)
    exact = {host.removeprefix("*.") for host in HOSTS}
    assert parts.hostname in exact or any(
        str(parts.hostname).endswith(host[1:]) for host in HOSTS if host.startswith("*.")
    )
    assert found.isascii() and found.isprintable() and " " not in found
    assert checked(found, HOSTS) == found


@given(st.sampled_from(TAKEN), PASTED)
@settings(max_examples=300)
def test_no_reason_quotes_the_link(link: str, text: str) -> None:
    """What is refused is not in the error, which pages and logs may show."""
    with pytest.raises(RefusedLink) as refused:
        checked(f"{link}{text}", ("meet.example.org",))
    assert str(refused.value) in {why.value for why in Why}


def test_the_service() -> None:
    service = Link(("meet.example.org",))
    link = "https://meet.example.org/x"
    conference = asyncio.run(service.open("r" * 32, "anna@example.org", link, "en"))
    assert conference == Conference("link", "", link)
    assert service.way_in(conference, Visitor(True, "de", "Anna"), 0) == link
    assert asyncio.run(service.over(conference)) is None
    asyncio.run(service.end(conference))
    assert service.asks_link and service.offered_to("x") and service.title("de") != service.title("en")
    with pytest.raises(RefusedLink):
        asyncio.run(service.open("r" * 32, "anna@example.org", TAKEN[0], "en"))
