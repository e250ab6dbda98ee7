"""Verdicts and reasons: the answers the gateway gives about a message, and the sentence that explains each.

Fails: never; these are values. A reason is a word for logs and `rewrite --explain`; it never holds personal data.
"""

from dataclasses import dataclass
from enum import Enum

from notes2conf_milter.core.edits import Edit
from notes2conf_milter.core.repairs import Repair
from notes2conf_milter.core.signing import KeyName


class Verdict(Enum):
    """What happens to a message."""

    PASS = "pass"  # goes on untouched
    REWRITE = "rewrite"  # goes on with edits (none when it already carries its link)
    FORGET = "forget"  # goes on untouched, and the meeting is forgotten
    REFUSE = "refuse"  # 5xx or 4xx at MAIL FROM: the session is not encrypted as it must be
    DEFER = "defer"  # 451, the client keeps it and tries again
    TAKE = "take"  # addressed to the conference address, and delivered: nothing goes on
    DROP = "drop"  # the same, and nothing came of it


class Reason(Enum):
    """Why. The value is the word that logs show; `EXPLANATIONS` has the sentence."""

    LINK_ADDED = "link-added"
    LINK_KEPT = "link-kept"
    LINK_PRESENT = "link-present"
    CONFERENCE_MADE = "conference-made"
    CONFERENCE_KEPT = "conference-kept"
    NO_CALENDAR = "no-calendar"
    CLIENT_NOT_ALLOWED = "client-not-allowed"
    SENDER_NOT_OWN = "sender-not-own"
    CAME_FROM_OUTSIDE = "came-from-outside"
    NOT_ENCRYPTED = "not-encrypted"
    TLS_MISSING = "tls-missing"
    TLS_TOO_WEAK = "tls-too-weak"
    SENDER_NOT_ORGANIZER = "sender-not-organizer"
    ORGANIZER_FOREIGN = "organizer-foreign"
    ORGANIZER_UNCLEAR = "organizer-unclear"
    METHOD_REPLY = "method-reply"
    METHOD_COUNTER = "method-counter"
    METHOD_CANCEL = "method-cancel"
    MEETING_CANCELLED = "meeting-cancelled"
    ATTENDEES_CANCELLED = "attendees-cancelled"
    DATE_CANCELLED = "date-cancelled"
    CANCELLED_BEFORE = "cancelled-before"
    METHOD_PUBLISH = "method-publish"
    METHOD_OTHER = "method-other"
    METHOD_UNCLEAR = "method-unclear"
    SIGNED = "signed"
    DKIM_SIGNATURE_KEPT = "dkim-signature-kept"
    ENCRYPTED = "encrypted"
    TNEF = "tnef"
    CALENDAR_UNPARSABLE = "calendar-unparsable"
    CHARSET_UNSUPPORTED = "charset-unsupported"
    SEVERAL_MEETINGS = "several-meetings"
    NO_EVENT = "no-event"
    NO_UID = "no-uid"
    MEETING_OVER = "meeting-over"
    MEETING_UNREADABLE = "meeting-unreadable"
    CONFERENCE_PRESENT = "conference-present"
    TRIGGER_OFF = "trigger-off"
    KEYWORD_MISSING = "keyword-missing"
    OPT_OUT = "opt-out"
    UNINVITED = "uninvited"
    ADDRESS_UNKNOWN = "address-unknown"
    TOO_MANY_ATTENDEES = "too-many-attendees"
    TOO_MANY_MEETINGS = "too-many-meetings"
    TOO_LARGE = "too-large"
    TOO_COMPLEX = "too-complex"
    TOO_MUCH_WORK = "too-much-work"
    HEADER_UNCLEAR = "header-unclear"
    EDITS_NOT_ALLOWED = "edits-not-allowed"
    SELF_CHECK_FAILED = "self-check-failed"
    START_MAIL_REFUSED = "start-mail-refused"
    START_MAIL_DEFERRED = "start-mail-deferred"
    OWN_MAIL_DEFERRED = "own-mail-deferred"
    STORE_UNAVAILABLE = "store-unavailable"
    INTERNAL_ERROR = "internal-error"


EXPLANATIONS: dict[Reason, str] = {
    Reason.LINK_ADDED: "A new meeting of an own organizer: the invitation now carries its join link.",
    Reason.LINK_KEPT: "A meeting that is known: the invitation carries the join link it has had from the start.",
    Reason.LINK_PRESENT: "The invitation already carries its own join link everywhere; nothing needed to change.",
    Reason.NO_CALENDAR: "The message holds no calendar part.",
    Reason.CLIENT_NOT_ALLOWED: "The SMTP client is neither in an allowed network nor authenticated.",
    Reason.SENDER_NOT_OWN: "The envelope sender is not in an organizer domain.",
    Reason.CAME_FROM_OUTSIDE: "A server of the house had the message from outside, and not from somebody who had logged in: "
    "a Received field has an address that is neither private nor in policy.allowed_networks or policy.house_networks.",
    Reason.NOT_ENCRYPTED: "The message did not come by TLS, and its client is not in tls.exempt_networks.",
    Reason.TLS_MISSING: "A rule in tls.rules requires STARTTLS of this client or sender.",
    Reason.TLS_TOO_WEAK: "A rule in tls.rules requires a newer TLS version, forward secrecy, or a client certificate.",
    Reason.SENDER_NOT_ORGANIZER: "The envelope sender is not the ORGANIZER (nor its SENT-BY), or From is neither, "
    "or the message was passed on; and the meeting is not known.",
    Reason.ORGANIZER_FOREIGN: "The ORGANIZER is not in an organizer domain.",
    Reason.ORGANIZER_UNCLEAR: "The calendar names no ORGANIZER, several, or one without a usable mailto: address.",
    Reason.METHOD_REPLY: "An answer to an invitation (METHOD:REPLY) gets no link.",
    Reason.METHOD_COUNTER: "A counter-proposal (METHOD:COUNTER or DECLINECOUNTER) gets no link.",
    Reason.METHOD_CANCEL: "A cancellation that changes nothing: it is older than what is known, or known itself, "
    "not from the organizer, in doubt, or its meeting is not known.",
    Reason.MEETING_CANCELLED: "The organizer cancelled the meeting for everybody: its links and all that was kept are deleted.",
    Reason.ATTENDEES_CANCELLED: "The organizer cancelled the meeting for some of those invited; for the others it stays.",
    Reason.DATE_CANCELLED: "The organizer cancelled dates of the meeting; the others stay.",
    Reason.CANCELLED_BEFORE: "The meeting was cancelled; an invitation that is not newer does not bring it back.",
    Reason.METHOD_PUBLISH: "A published calendar (METHOD:PUBLISH) invites nobody.",
    Reason.METHOD_OTHER: "The calendar's METHOD is not REQUEST.",
    Reason.METHOD_UNCLEAR: "The calendar has no METHOD, or it contradicts the method parameter of its Content-Type.",
    Reason.SIGNED: "The message is signed; any change would break the signature.",
    Reason.DKIM_SIGNATURE_KEPT: "The message has a valid DKIM signature of its own domain, or one that could not be checked; "
    "a link would break it, and no key here replaces it.",
    Reason.ENCRYPTED: "The message is encrypted.",
    Reason.TNEF: "The invitation is in Outlook's own format (winmail.dat, TNEF), which is left alone.",
    Reason.CALENDAR_UNPARSABLE: "The calendar cannot be read safely, so it is left alone.",
    Reason.CHARSET_UNSUPPORTED: "The calendar's charset or transfer encoding is one that is not edited.",
    Reason.SEVERAL_MEETINGS: "The message invites to several meetings (UIDs) at once.",
    Reason.NO_EVENT: "The calendar holds no VEVENT.",
    Reason.NO_UID: "The event has no UID, so later messages about it could not be recognised.",
    Reason.MEETING_OVER: "The meeting is already over.",
    Reason.MEETING_UNREADABLE: "What is kept of this meeting cannot be opened; the log names the row and what can be done.",
    Reason.CONFERENCE_PRESENT: "The invitation already carries the link of another conference.",
    Reason.TRIGGER_OFF: 'The setting policy.trigger is "never".',
    Reason.KEYWORD_MISSING: "The keyword stands neither in LOCATION nor in SUMMARY.",
    Reason.CONFERENCE_MADE: "The conference address was invited: the meeting has a conference, its organizer the start link.",
    Reason.CONFERENCE_KEPT: "The conference address was invited to a meeting that has a conference; what changed was noted.",
    Reason.UNINVITED: "The recipient has been uninvited: an old invitation brings no link back.",
    Reason.ADDRESS_UNKNOWN: "Nobody has that address in the domain of the conference address.",
    Reason.TOO_MANY_ATTENDEES: "More attendees are invited than limits.attendees allows for a meeting with a link.",
    Reason.TOO_MANY_MEETINGS: "The organizer has made as many new meetings in an hour as limits.meetings_per_hour allows.",
    Reason.OPT_OUT: "The opt-out keyword stands in LOCATION or SUMMARY.",
    Reason.TOO_LARGE: "The message is larger than the largest that is examined.",
    Reason.TOO_COMPLEX: "The message has more parts, levels, lines or events than are examined.",
    Reason.TOO_MUCH_WORK: "Looking at the message takes more time or memory than a message is given.",
    Reason.HEADER_UNCLEAR: "The header holds a line that is no header field; where the body begins is in doubt.",
    Reason.EDITS_NOT_ALLOWED: "The mail server does not let us change the message.",
    Reason.SELF_CHECK_FAILED: "The self-check found that more than the intended text would change: the original goes on.",
    Reason.START_MAIL_REFUSED: "The mail with the start link was refused for good: nobody could open the conference.",
    Reason.START_MAIL_DEFERRED: "The mail with the start link could not be handed over for now.",
    Reason.OWN_MAIL_DEFERRED: "A mail to an internal attendee, or the reply, could not be handed over for now.",
    Reason.STORE_UNAVAILABLE: "The store of meetings could not be used for now.",
    Reason.INTERNAL_ERROR: "An unforeseen error; the log has the details.",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one message: the verdict, why, and the edits and repairs (for REWRITE alone).

    reply: for REFUSE alone. signed: the DKIM keys with which the edits sign it.
    """

    verdict: Verdict
    reason: Reason
    edits: tuple[Edit, ...] = ()
    repairs: tuple[Repair, ...] = ()
    reply: str = ""
    signed: tuple[KeyName, ...] = ()
