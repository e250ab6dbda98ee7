"""Where a message carries its link, and that nothing else in it is new, as other readers than ours see it.

In:  a message before and after. Out: for each part the places where the link stands. Readers: stdlib email, and lines.
Fails: AssertionError, where anything but the inserted text differs.
"""

import difflib
import email
import email.policy
import re
from email.message import EmailMessage

_FENCE = re.escape("-~-~-~-~-~-~-~-~-~-~-~-~-~-~-~-~-")
INSERTED: dict[str, dict[str, str]] = {  # what may be new, in lines that are unfolded
    "text/plain": {"text/plain": rf"\r\n{_FENCE}\r\n.*?\r\n{_FENCE}\r\n\Z"},
    "text/html": {"text/html": r"(?:(?<=</font></p>)\r\n)?<!--notes2conf-->.*<!--/notes2conf-->\r\n"},
    "text/calendar": {
        "LOCATION": r"(?<=\r\nLOCATION:Besprechungsraum 2\.14)\\; [^\r]*",
        "DESCRIPTION": rf"(?<=\@>\":){_FENCE}\\n[^\r]*{_FENCE}(?=\r\nSUMMARY)",
        "CONFERENCE": r"CONFERENCE;VALUE=URI;FEATURE=AUDIO,VIDEO;LABEL=Video(?:konferenz| conference):[^\r]*\r\n",
    },
    "image/gif": {},
}
CALENDAR = ["LOCATION", "DESCRIPTION", "CONFERENCE"]


def parsed(octets: bytes) -> EmailMessage:
    """Return a message as another reader than ours reads it."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def replaced_lines(plain: bytes, linked: bytes) -> list[bytes]:
    """Return the lines of a message that are no longer there with the link, sorted; all others are, in their order."""
    before, after = plain.splitlines(keepends=True), linked.splitlines(keepends=True)
    steps = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return sorted(line for what, start, end, _, _ in steps if what != "equal" for line in before[start:end])


def places(plain: bytes, linked: bytes, url: str) -> list[list[str]]:
    """Return for each part where the link stands in it, once each; all else, header fields included, must be the same."""
    old_parts, new_parts = list(parsed(plain).walk()), list(parsed(linked).walk())
    assert [part.items() for part in new_parts] == [part.items() for part in old_parts]
    return [_in_part(old, new, url) for old, new in zip(old_parts, new_parts, strict=True) if not old.is_multipart()]


def _in_part(old: EmailMessage, new: EmailMessage, url: str) -> list[str]:
    before, after = _text(old), _text(new)
    if old.get_content_type() == "text/calendar":
        before, after = before.replace("\r\n ", ""), after.replace("\r\n ", "")
    found = []
    for place, pattern in INSERTED[old.get_content_type()].items():
        inserted = re.findall(pattern, after, re.DOTALL)
        if inserted:
            assert len(inserted) == 1
            assert inserted[0].count(url) == 1
            found.append(place)
            after = re.sub(pattern, "", after, flags=re.DOTALL)
    assert after == before
    return found


def _text(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode("latin-1")
