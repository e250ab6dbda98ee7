"""Which links lead to a conference of another service: an invitation that carries one gets none of ours.

In:  patterns, and octets of a text or a calendar. Out: whether a link in them fits one.
A pattern is `host/path`. `*.` before the host stands for any subdomain and none; the path is how a link's path begins, with
`*` for anything and `+` for one letter or digit; one that ends in `/` needs something behind it, so that a homepage is no
conference. The host `*` is any: for servers that everybody runs under a name of their own, known by the form of their
paths. Schemes are not asked for, since people type links without; ports and the percent-encoding of link scanners are seen
through.
Fails: never. Linear: a pattern is tried only where its host stands in the text.
"""

import re
from dataclasses import dataclass
from functools import cached_property

KNOWN = (
    # Zoom
    *("*.zoom.us/j/", "*.zoom.us/my/", "*.zoom.us/s/", "*.zoom.us/w/", "*.zoom.us/wc/", "*.zoom.us/ej/"),
    *("*.zoom.us/meeting/register/", "*.zoom.us/webinar/register/", "*.zoom.com/j/", "*.zoom.com.cn/j/"),
    *("*.zoomgov.com/j/", "*.zoom-x.de/j/", "*.zoom-x.de/my/"),
    # Microsoft Teams and Skype
    *("teams.microsoft.com/l/meetup-join/", "teams.microsoft.com/meet/", "teams.microsoft.com/*meetup-join"),
    *("teams.microsoft.com/v2/?meetingjoin", "teams.cloud.microsoft/l/meetup-join/", "teams.cloud.microsoft/meet/"),
    *("*.teams.microsoft.us/l/meetup-join/", "*.teams.microsoft.us/meet/", "teams.live.com/meet/"),
    *("teams.live.com/l/meetup-join/", "join.skype.com/", "meet.lync.com/"),
    # Cisco
    *("*.webex.com/meet/", "*.webex.com/join/", "*.webex.com/*/j.php", "*.webex.com/wbxmjs/", "*.webex.com/webappng/"),
    *("*.webex.com/m/", "*/invited.sf?secret="),
    # Google, Apple, Amazon
    *("meet.google.com/", "hangouts.google.com/call/", "facetime.apple.com/join#", "app.chime.aws/meetings/"),
    # GoTo
    *("meet.goto.com/", "app.goto.com/meeting/", "app.goto.com/meet/", "*.gotomeeting.com/join/", "gotomeet.me/"),
    *("*.gotowebinar.com/register/", "*.gotowebinar.com/join/"),
    # Jitsi on public servers, BigBlueButton and Nextcloud Talk anywhere
    *("*.meet.jit.si/", "8x8.vc/", "meet.8x8.com/", "fairmeeting.net/", "meet.ffmuc.net/", "kmeet.infomaniak.com/"),
    *("*/bigbluebutton/api/join?", "*/b/+++-+++-+++", "*/rooms/+++-+++-+++-+++/join", "*/index.php/call/++++++++"),
    "*/call/++++++++",
    # Others
    *("*.whereby.com/", "*.bluejeans.com/", "meet.ringcentral.com/", "*.ringcentral.com/join/", "*.ringcentral.com/j/"),
    *("call.element.io/", "*.alfaview.com/join/", "rooms.alfaview.com/", "app.alfaview.com/#/join/"),
    *("go.teamviewer.com/m", "meeting.teamviewer.com/", "*.lifesizecloud.com/", "*.pexip.me/meet/", "meet.zoho.com/"),
    *("meeting.zoho.com/join", "meeting.zoho.eu/join", "*.clickmeeting.com/", "*.adobeconnect.com/", "*.daily.co/"),
    *("conf.dfn.de/", "app.visavid.de/", "p2p.mirotalk.com/join/", "sfu.mirotalk.com/join/", "meet.proton.me/"),
)
# Pages of such hosts that nobody meets on.
_HOMEPAGES = r"(?!(?:www|help|support|status|blog|downloads?|information|pricing|features)\b)"
_SLASH = r"(?:/|%2F)"
_TEXT = r"[^\s\"'<>\\]"


@dataclass(frozen=True)
class Conferences:
    """Patterns, ready to be looked for."""

    patterns: tuple[str, ...] = KNOWN

    def found(self, text: bytes) -> bool:
        """Say whether a link in `text` fits one of the patterns."""
        lower = text.lower()
        if b"/" not in lower and b"%2f" not in lower:  # most lines of a calendar
            return False
        return any(form.search(lower) for needle, form in self._forms if needle in lower)

    @cached_property
    def _forms(self) -> tuple[tuple[bytes, re.Pattern[bytes]], ...]:
        return tuple(_form(pattern.lower()) for pattern in dict.fromkeys(self.patterns))


def _form(pattern: str) -> tuple[bytes, re.Pattern[bytes]]:
    """Return what must stand in a text (in lower case) for the pattern to fit, and the pattern as a regular expression."""
    host, _, path = pattern.partition("/")
    begin = r"(?:(?<![a-z0-9._@%-])|(?<=%2f))"
    if host == "*":
        where, needle = r"(?:[a-z0-9-]+\.)+[a-z]{2,}", "/" + re.split(r"[*+]", path, maxsplit=1)[0]
    else:
        needle = host.removeprefix("*.")
        where = (r"(?:[a-z0-9-]+\.)*" if host.startswith("*.") else r"(?:www\.)?") + re.escape(needle)
    end = ""
    if path.endswith("+"):
        end = "(?![a-z0-9-])"
    elif not path or path.endswith("/"):
        end = (_HOMEPAGES if not path else "") + _TEXT.replace("^", "^/?#", 1)
    signs = {"*": _TEXT + "*?", "+": "[a-z0-9]", "/": _SLASH}
    form = begin + where + r"(?::\d+)?" + _SLASH + "".join(signs.get(sign, re.escape(sign)) for sign in path) + end
    return needle.encode(), re.compile(form.encode(), re.IGNORECASE)
