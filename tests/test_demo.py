"""The demonstration: what it sends is an invitation, and what it shows is what came of it."""

import re
import urllib.request
from datetime import UTC, datetime

from notes2conf_milter import demo
from notes2conf_milter.core.invitation import Invitation, read
from notes2conf_milter.core.occurrences import schedule
from tests.commands import Command

AT = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


def test_the_template_is_an_invitation_in_two_copies() -> None:
    """Both calendar copies name the meeting that begins at the next full hour and lasts one."""
    message = demo.invitation(AT)
    found = read(message)
    assert isinstance(found, Invitation)
    assert len(found.copies) == 2
    assert found.organizer.address == demo.ORGANIZER
    times = schedule(found.copies[0].calendar, found.uid, int(AT.timestamp()))
    assert times.times[0].start == int(datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp())
    assert times.over_at == int(datetime(2026, 3, 2, 10, tzinfo=UTC).timestamp())


def test_the_template_leaves_as_smtp_wants_it() -> None:
    """CRLF line ends alone, nothing left of the placeholders."""
    message = demo.invitation(AT)
    assert b"\n" not in message.replace(b"\r\n", b"")
    assert b"@START@" not in message
    assert b"@DATE@" not in message


def test_demo_shows_difference_and_links_and_the_pages_answer() -> None:
    """Both links are printed and lead to pages; Ctrl-C ends it with exit code 0 and nothing on standard error."""
    with Command("demo") as command:
        shown = command.read_until(r"Ctrl-C")
        assert re.search(r"^  \+LOCATION:Besprechungsraum 3\\; http://127\.0\.0\.1", shown, re.MULTILINE)
        assert shown.count("+CONFERENCE;VALUE=URI") == 2
        links = re.findall(r"^(?:Join|Start) link .*(http://\S+)$", shown, re.MULTILINE)
        assert len(links) == 2
        for link in links:
            with urllib.request.urlopen(link, timeout=10) as page:
                assert page.status == 200
                assert "Quartalsgespräch" in page.read().decode()
        assert command.interrupt() == 0
        assert command.errors() == ""
