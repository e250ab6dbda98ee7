"""The language that a message says it is in."""

import pytest

from notes2conf_milter.core.invitation import read
from notes2conf_milter.core.language import content_language, language_of, primary_subtag, senders_language
from notes2conf_milter.core.message import parse
from tests.invitations import CALENDAR, calendar, invitation, message, part, read_ok

PLAIN = b"text/plain; charset=UTF-8"


def language(octets: bytes) -> str | None:
    found = read_ok(octets)
    return language_of(octets, found.root, found.copies[0].calendar)


def headed(*fields: bytes, octets: bytes | None = None) -> bytes:
    """A message with further header fields."""
    return b"".join(field + b"\r\n" for field in fields) + (invitation() if octets is None else octets)


@pytest.mark.parametrize(
    ("tag", "subtag"),
    [
        (b"de", "de"),
        (b"de-DE", "de"),
        (b"DE_de", "de"),
        (b"zh-Hant-TW", "zh"),
        (b"gsw-CH", "gsw"),
        (b" de\t", "de"),
        (b'"de"', "de"),
        (b"", None),
        (b"x-klingon", None),
        (b"und", None),
        (b"mul", None),
        (b"zxx", None),
        (b"deu-AT", "de"),
        (b"ger", "de"),
        (b"eng", "en"),
        (b"*", None),
        (b"deutsch", None),
        (b"de;q=1", None),
        (b"de-\xe4", None),
        (b"de-", None),
    ],
)
def test_the_primary_subtag(tag: bytes, subtag: str | None) -> None:
    """Of a tag as producers write it; what is no tag says nothing."""
    assert primary_subtag(tag) == subtag


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b" de-DE", "de"),
        (b" de, en", "de"),
        (b" , *, en-GB,de", "en"),
        (b"\r\n de-AT", "de"),
        (b" (Austrian (more\\) or less)) de-AT (yes)", "de"),
        (b" (de) ", None),
        (b" (de", None),
        (b" mi-NZ (Kia ora, (welcome)), en", "mi"),
        (b" " * 400 + b"fr", "fr"),
        (b" " * 600 + b"fr", None),
        (b"\xff\xfe\0", None),
    ],
)
def test_what_content_language_names_first(value: bytes, found: str | None) -> None:
    """Several languages, comments, folds (RFC 3282 §2); a field without end is not looked through."""
    assert content_language(value) == found


def test_the_header_of_the_message_counts_before_all() -> None:
    """Nothing else is asked when it says a language, be it one that nobody here writes."""
    octets = message(
        part(b"x", PLAIN, b"", b"Content-Language: en"), part(calendar(b"SUMMARY;LANGUAGE=en:x"), CALENDAR, b"")
    )
    assert language(headed(b"Content-Language: de-DE", octets=octets)) == "de"
    assert language(headed(b"CONTENT-language:\r\n\tfr", octets=octets)) == "fr"
    assert language(headed(b"Content-Language:", octets=octets)) == "en"


def test_a_header_that_stands_there_twice_is_unclear() -> None:
    """Then nothing else is asked either."""
    event = invitation(b"SUMMARY;LANGUAGE=de:x")
    assert language(headed(b"Content-Language: de", b"Content-Language: en", octets=event)) is None
    assert language(headed(b"Content-Language: en", b"Content-Language: en", octets=event)) == "en"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b" de;\r\n name=$FromPreferredLanguage", b" de"),
        (b"en-US; flags=44;\r\n\ttype=500; name=$FromPreferredLanguage", b"en-US"),
        (b"de;NAME =\r\n $frompreferredlanguage ; flags=1", b"de"),
        (b'de;name="$FromPreferredLanguage"', b"de"),
        (b";\r\n name=$FromPreferredLanguage", b""),
        (b"de;\r\n name=$Language", None),
        (b"de; name=$FromPreferredLanguage2", None),
        (b"name=$FromPreferredLanguage", None),
        (b"de; x=1; flags=$FromPreferredLanguage", None),
        (b"de; name=Form; name=$FromPreferredLanguage", None),
        (b"de" + b"; x=1" * 200 + b"; name=$FromPreferredLanguage", None),
        (b"", None),
        (b"\xff;=;;name", None),
    ],
)
def test_the_items_of_notes(value: bytes, said: bytes | None) -> None:
    """One of them is the sender's language, whatever folds and attributes stand in it."""
    assert senders_language(value) == said


def test_then_the_language_of_the_sender_in_notes() -> None:
    """Before what the texts and the event say; two that stand there are unclear, an empty one says nothing."""
    item = b"X-Notes-Item: %s;\r\n flags=44;\r\n name=$FromPreferredLanguage"
    other = b"X-Notes-Item: fr;\r\n name=$Language"
    octets = message(
        part(b"x", PLAIN, b"", b"Content-Language: en"), part(calendar(b"SUMMARY;LANGUAGE=en:x"), CALENDAR, b"")
    )
    assert language(headed(other, item % b"de", octets=octets)) == "de"
    assert language(headed(item % b"DE_at", octets=octets)) == "de"
    assert language(headed(b"Content-Language: fr", item % b"de", octets=octets)) == "fr"
    assert language(headed(b"Content-Language: ", item % b"de", octets=octets)) == "de"
    assert language(headed(item % b"", octets=octets)) == "en"
    assert language(headed(item % b"de", item % b"fr", octets=octets)) is None
    assert language(headed(other, octets=octets)) == "en"


def test_then_the_text_that_is_shown() -> None:
    """Not what is attached, and not where two texts differ."""
    german, english = (part(b"x", PLAIN, b"", b"Content-Language: " + tag) for tag in (b"de", b"en-US"))
    silent, meeting = part(b"x", PLAIN, b""), part(calendar(b"SUMMARY;LANGUAGE=fr:x"), CALENDAR, b"")
    assert language(message(german, meeting)) == "de"
    assert language(message(silent, german, meeting)) == "de"
    assert language(message(german, english, meeting)) is None
    assert language(message(silent, meeting)) == "fr"
    assert language(message(message(silent, meeting), english, kind=b"mixed")) == "fr"


def test_then_the_event_that_is_read() -> None:
    """SUMMARY before DESCRIPTION; of a series with its instances, the series."""
    assert language(invitation(b"SUMMARY;LANGUAGE=de-CH:x", b"DESCRIPTION;LANGUAGE=en:y")) == "de"
    assert language(invitation(b"SUMMARY:x", b'DESCRIPTION;X-A=b;language="EN":y')) == "en"
    assert language(invitation(b"LOCATION;LANGUAGE=de:x")) is None
    assert language(invitation()) is None
    one = calendar(b"SUMMARY;LANGUAGE=en:x", b"RECURRENCE-ID:20260312T090000Z")
    series = calendar(b"SUMMARY;LANGUAGE=de:x")
    both = one.partition(b"END:VCALENDAR")[0] + series[series.find(b"BEGIN:VEVENT") :]
    assert language(message(part(both, CALENDAR, b""))) == "de"


def test_a_message_without_a_calendar_that_can_be_read() -> None:
    """Its header and its texts can be asked all the same."""
    octets = b"Content-Language: de\r\n\r\nx"
    assert language_of(octets, parse(octets)) == "de"
    assert language_of(b"x", parse(b"x")) is None


def test_a_cancellation_has_a_language_too() -> None:
    """It is asked like an invitation."""
    found = read(message(part(calendar(b"SUMMARY;LANGUAGE=de:x", method=b"CANCEL"), b"text/calendar; method=CANCEL")))
    assert not hasattr(found, "value")
    assert language_of(b"", found.root, found.calendar) == "de"  # type: ignore[union-attr]
