"""Messages that were made to hurt: each is small in what it says and large, deep, endless or broken in how it says it.

`HOSTILE` has a name and a maker for each; they are made when asked for, since many are megabytes. All come from the own
organizer, so that nothing but the gateway's own bounds stands between them and the work they ask for.
"""

import base64
import gzip
import quopri
from collections.abc import Callable
from datetime import datetime, timedelta

from tests.invitations import CALENDAR, calendar, invitation, message, part

MB = 1_000_000
HOSTILE: dict[str, Callable[[], bytes]] = {}


def hostile(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """Put a maker in the list, under its name."""
    HOSTILE[make.__name__.replace("_", "-")] = make
    return make


def rule(*properties: bytes) -> Callable[[], bytes]:
    return lambda: invitation(*properties)


def lines(template: bytes, count: int) -> tuple[bytes, ...]:
    return tuple(template % number for number in range(count))


def raw(octets: bytes, content_type: bytes = CALENDAR, encoding: bytes = b"8bit") -> bytes:
    """A message whose one calendar part has these octets, whatever they are."""
    return message(part(octets, content_type, encoding))


def headed(*fields: bytes) -> bytes:
    """An invitation with more header fields."""
    return b"".join(field + b"\r\n" for field in fields) + invitation()


def event(octets: bytes) -> bytes:
    """A calendar whose event has `octets` put in."""
    return calendar().replace(b"END:VEVENT", octets + b"END:VEVENT")


# --- rules that never yield, yield without end, or reach beyond the calendar ---

_RULES = {
    "rule-30-february": b"FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
    "rule-30-february-daily": b"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "rule-31-april-yearly": b"FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=31",
    "rule-week-54": b"FREQ=YEARLY;BYWEEKNO=54;BYMONTH=1",
    "rule-53-friday": b"FREQ=MONTHLY;BYDAY=53FR",
    "rule-day-366-february": b"FREQ=YEARLY;BYYEARDAY=366;BYMONTH=2",
    "rule-setpos-never": b"FREQ=MINUTELY;BYSETPOS=2;BYSECOND=1",
    "rule-every-second": b"FREQ=SECONDLY",
    "rule-every-second-until-9999": b"FREQ=SECONDLY;UNTIL=99991231T235959Z",
    "rule-count-2-billion": b"FREQ=SECONDLY;COUNT=2147483647",
    "rule-count-no-number": b"FREQ=DAILY;COUNT=" + b"9" * 5_000,
    "rule-interval-huge": b"FREQ=DAILY;INTERVAL=" + b"9" * 4_000,
    "rule-interval-0": b"FREQ=DAILY;INTERVAL=0",
    "rule-interval-century": b"FREQ=YEARLY;INTERVAL=10000;COUNT=1000000",
    "rule-all-parts": b"FREQ=YEARLY;BYMONTH=" + b",".join(b"%d" % n for n in range(1, 13))
    + b";BYDAY=" + b",".join(b"MO TU WE TH FR SA SU".split())
    + b";BYHOUR=" + b",".join(b"%d" % n for n in range(24))
    + b";BYMINUTE=" + b",".join(b"%d" % n for n in range(60))
    + b";BYSECOND=" + b",".join(b"%d" % n for n in range(60)),
    "rule-long-list": b"FREQ=YEARLY;BYYEARDAY=" + b",".join([b"1"] * 300_000),
    "rule-setpos-list": b"FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=" + b",".join(b"%d" % n for n in range(1, 366)),
    "rule-semicolons": b";" * 500_000,
    "rule-rscale": b"RSCALE=HEBREW;FREQ=YEARLY;BYMONTH=5L;SKIP=FORWARD",
    "rule-nonsense": b"FREQ=NEVERLY;BYDAY=XX;UNTIL=yesterday",
}  # fmt: skip
for _name, _rule in _RULES.items():
    HOSTILE[_name] = rule(b"RRULE:" + _rule)


@hostile
def rules_by_the_thousand() -> bytes:
    return invitation(*lines(b"RRULE:FREQ=DAILY;INTERVAL=%d", 20_000))


@hostile
def a_million_rdates() -> bytes:
    return invitation(b"RDATE:" + b",".join([b"20260401T090000Z"] * 1_000_000))


@hostile
def rdates_in_lines() -> bytes:
    return invitation(*lines(b"RDATE:2026040%dT090000Z", 9), *([b"RDATE;TZID=Europe/Berlin:20260501T090000"] * 250_000))


@hostile
def a_million_exdates() -> bytes:
    return invitation(b"RRULE:FREQ=DAILY", b"EXDATE:" + b",".join([b"20260401T090000Z"] * 1_000_000))


@hostile
def rdate_periods() -> bytes:
    return invitation(b"RDATE;VALUE=PERIOD:" + b",".join([b"20260401T090000Z/P99999999D"] * 300_000))


@hostile
def a_hundred_thousand_instances() -> bytes:
    one = b"BEGIN:VEVENT\r\nUID:uid-1\r\nORGANIZER:mailto:anna@example.org\r\nDTSTART:20260312T090000Z\r\nRECURRENCE-ID:20260%d"
    events = b"".join(one % number + b"T090000Z\r\nEND:VEVENT\r\n" for number in range(100_000))
    return raw(calendar().replace(b"END:VCALENDAR", events + b"END:VCALENDAR"))


# --- times ---


def at(start: bytes, *more: bytes) -> Callable[[], bytes]:
    return lambda: raw(
        calendar()
        .replace(b"DTSTART:20260312T090000Z", start)
        .replace(b"DTEND:20260312T100000Z", b"\r\n".join(more) or b"X-A:1")
    )


HOSTILE |= {
    "year-9999": at(b"DTSTART:99991231T235959Z", b"DURATION:P9999W"),
    "year-0": at(b"DTSTART:00000000T000000Z"),
    "year-1": at(b"DTSTART:00010101T000000Z", b"RRULE:FREQ=SECONDLY"),
    "duration-huge": at(b"DTSTART:20260312T090000Z", b"DURATION:P" + b"9" * 4_500 + b"D"),
    "duration-negative": at(b"DTSTART:20260312T090000Z", b"DURATION:-P999999999W"),
    "end-before-start": at(b"DTSTART:20260312T090000Z", b"DTEND:19700101T000000Z"),
    "zone-pacific": at(b"DTSTART;TZID=Pacific:20260312T090000"),
    "zone-path": at(b"DTSTART;TZID=../../etc/passwd:20260312T090000"),
    "zone-absolute-path": at(b"DTSTART;TZID=/dev/zero:20260312T090000"),
    "zone-nul": at(b"DTSTART;TZID=Europe/\0Berlin:20260312T090000"),
    "zone-folder": at(b"DTSTART;TZID=America:20260312T090000"),
    "zone-long": at(b"DTSTART;TZID=" + b"A/" * 100_000 + b":20260312T090000"),
    "unicode-digits": at("DTSTART:２０２６０３１２T０９００００Z".encode()),
    "date-of-digits": at(b"DTSTART:" + b"1" * 1_000_000),
    "nothing-starts": at(b"DTSTART:"),
}  # fmt: skip


@hostile
def zone_that_changes_every_second() -> bytes:
    zone = (
        b"BEGIN:VTIMEZONE\r\nTZID:Z\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\n"
        b"RRULE:FREQ=SECONDLY\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    )
    return raw(
        calendar(b"RRULE:FREQ=DAILY")
        .replace(b"BEGIN:VEVENT", zone + b"BEGIN:VEVENT", 1)
        .replace(b"DTSTART:20260312T090000Z", b"DTSTART;TZID=Z:20260312T090000")
    )


@hostile
def zone_with_a_hundred_thousand_changes() -> bytes:
    half = (
        b"BEGIN:STANDARD\r\nDTSTART:19%02d0101T000000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\n"
        b"RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r\nEND:STANDARD\r\n"
    )
    zone = b"BEGIN:VTIMEZONE\r\nTZID:Z\r\n" + b"".join(half % (n % 100) for n in range(100_000)) + b"END:VTIMEZONE\r\n"
    return raw(
        calendar(b"RRULE:FREQ=DAILY")
        .replace(b"BEGIN:VEVENT", zone + b"BEGIN:VEVENT", 1)
        .replace(b"DTSTART:20260312T090000Z", b"DTSTART;TZID=Z:20260312T090000")
    )


@hostile
def a_hundred_thousand_zones() -> bytes:
    zone = (
        b"BEGIN:VTIMEZONE\r\nTZID:Z%d\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0100\r\n"
        b"END:STANDARD\r\nEND:VTIMEZONE\r\n"
    )
    zones = b"".join(zone % number for number in range(100_000))
    return raw(calendar().replace(b"BEGIN:VEVENT", zones + b"BEGIN:VEVENT", 1))


# --- lines and properties ---


@hostile
def a_line_of_3_mb() -> bytes:
    return invitation(b"DESCRIPTION:" + b"x" * 3 * MB)


@hostile
def a_line_of_20_mb_folded() -> bytes:
    return invitation(b"DESCRIPTION:" + b"\r\n ".join([b"y" * 70] * 280_000))


@hostile
def a_value_of_backslashes() -> bytes:
    return invitation(b"DESCRIPTION:" + b"\\" * 3 * MB)


@hostile
def a_million_folds() -> bytes:
    return invitation(b"SUMMARY:" + b"a\r\n " * MB)


@hostile
def folds_of_nothing() -> bytes:
    return raw(event(b"\r\n " * 2 * MB + b"\r\n"))


@hostile
def three_hundred_thousand_properties() -> bytes:
    return raw(event(b"".join(lines(b"X-P%d:v\r\n", 300_000))))


@hostile
def three_hundred_thousand_locations() -> bytes:
    return raw(event(b"LOCATION:Room\r\n" * 300_000))


@hostile
def a_hundred_thousand_uids() -> bytes:
    return raw(event(b"".join(lines(b"UID:%d\r\n", 100_000))))


@hostile
def fifty_thousand_attendees() -> bytes:
    guest = b'ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;CN="Guest":mailto:guest%d@example.net'
    return invitation(*lines(guest, 50_000))


@hostile
def fifty_thousand_organizers() -> bytes:
    return raw(event(b"ORGANIZER:mailto:anna@example.org\r\n" * 50_000))


@hostile
def a_million_parameters() -> bytes:
    return invitation(b"DESCRIPTION" + b";X=1" * MB + b":text")


@hostile
def a_million_quotes() -> bytes:
    return invitation(b'DESCRIPTION;X="' + b'","' * MB + b'":text')


@hostile
def a_parameter_without_end() -> bytes:
    return invitation(b'LOCATION;ALTREP="' + b"x" * 3 * MB)


@hostile
def semicolons_for_a_line() -> bytes:
    return raw(event(b";" * 5 * MB + b"\r\n"))


@hostile
def nul_octets() -> bytes:
    return raw(event(b"DESCRIPTION:" + b"\0" * MB + b"\r\n"))


@hostile
def bare_carriage_returns() -> bytes:
    return raw(event(b"DESCRIPTION:" + b"a\r" * MB + b"\r\n"))


@hostile
def links_by_the_hundred_thousand() -> bytes:
    return invitation(b"DESCRIPTION:" + b"https://conf.example.org/j/abcdefghijklmnopqrstuvwxyz234567 " * 60_000)


@hostile
def links_that_almost_are() -> bytes:
    return invitation(b"DESCRIPTION:" + b"https://" * 400_000)


@hostile
def fences_by_the_hundred_thousand() -> bytes:
    return invitation(b"DESCRIPTION:" + b"-~-~-~-~-~-~-~-~-~-~-~-~-~-~-~-~-\\n" * 80_000)


@hostile
def fences_in_the_body() -> bytes:
    return invitation(text=b"-~-~-~-~-~-~-~-~-~-~-~-~-~-~-~-~-\r\n" * 300_000)


# --- components ---


@hostile
def a_calendar_in_a_calendar() -> bytes:
    inner = calendar()
    return raw(calendar().replace(b"END:VEVENT", inner + b"END:VEVENT"))


@hostile
def alarms_a_hundred_thousand_deep() -> bytes:
    return raw(event(b"BEGIN:VALARM\r\n" * 100_000 + b"END:VALARM\r\n" * 100_000))


@hostile
def alarms_side_by_side() -> bytes:
    return raw(event(b"BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\n" * 100_000))


@hostile
def begins_without_ends() -> bytes:
    return raw(b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n" + b"BEGIN:VEVENT\r\n" * 500_000)


@hostile
def ends_without_begins() -> bytes:
    return raw(calendar() + b"END:VEVENT\r\n" * 500_000)


@hostile
def a_million_calendars() -> bytes:
    return raw(b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n" * 300_000)


@hostile
def a_hundred_thousand_meetings() -> bytes:
    one = b"BEGIN:VEVENT\r\nUID:%d\r\nORGANIZER:mailto:anna@example.org\r\nDTSTART:20260312T090000Z\r\nEND:VEVENT\r\n"
    return raw(
        b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n" + b"".join(lines(one, 100_000)) + b"END:VCALENDAR\r\n",
    )


# --- the message ---


@hostile
def multiparts_two_thousand_deep() -> bytes:
    opened = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(2_000))
    return b"From: anna@example.org\r\nMIME-Version: 1.0\r\n" + opened + part(calendar(), CALENDAR)


@hostile
def a_hundred_thousand_parts() -> bytes:
    return message(*([part(b"x", b"text/plain")] * 100_000), part(calendar(), CALENDAR))


@hostile
def ten_thousand_calendars() -> bytes:
    return message(*([part(calendar(), CALENDAR)] * 10_000))


@hostile
def four_hundred_large_calendars() -> bytes:
    return message(*([part(event(b"X-A:b\r\n" * 5_000), CALENDAR)] * 400))


@hostile
def twenty_five_mb_of_calendar() -> bytes:
    return raw(event((b"X-LONG:" + b"x" * 70 + b"\r\n") * 310_000))


@hostile
def twenty_five_mb_of_text() -> bytes:
    return invitation(text=b"All work and no play makes Jack a dull boy.\r\n" * 530_000)


@hostile
def twenty_five_mb_of_html() -> bytes:
    return message(part(b"<p>a</p>\r\n" * 2_400_000, b"text/html"), part(calendar(), CALENDAR))


@hostile
def html_of_angle_brackets() -> bytes:
    return message(part(b"<" * 5 * MB, b"text/html"), part(calendar(), CALENDAR))


@hostile
def html_of_comments() -> bytes:
    return message(part(b"<!--" * 2 * MB, b"text/html"), part(calendar(), CALENDAR))


@hostile
def html_of_scripts() -> bytes:
    return message(part(b"<script></body>" * MB, b"text/html"), part(calendar(), CALENDAR))


@hostile
def html_ends_by_the_million() -> bytes:
    return message(part(b"</body></html>" * MB, b"text/html"), part(calendar(), CALENDAR))


@hostile
def five_mb_of_header() -> bytes:
    return headed(*lines(b"X-Field-%d: " + b"v" * 80, 50_000))


@hostile
def a_header_field_of_5_mb() -> bytes:
    return headed(b"X-Long: " + b"\r\n ".join([b"w" * 70] * 70_000))


@hostile
def a_content_type_of_5_mb() -> bytes:
    return message(part(calendar(), CALENDAR + b";x=" + b"y" * 5 * MB))


@hostile
def a_content_type_of_parameters() -> bytes:
    return message(part(calendar(), CALENDAR + b"".join(lines(b"; x%d=y", 300_000))))


@hostile
def a_content_type_of_quotes() -> bytes:
    return message(part(calendar(), CALENDAR + b'; x="' + b'\\"' * 2 * MB))


@hostile
def a_file_name_of_sections() -> bytes:
    sections = b"".join(lines(b"; filename*%d*=%%41", 200_000))
    return message(
        part(calendar(), b"application/octet-stream", b"8bit", b"Content-Disposition: attachment" + sections)
    )


@hostile
def a_file_name_of_encoded_words() -> bytes:
    name = b'; filename="' + b"=?utf-8?q?a?= " * 200_000 + b'.ics"'
    return message(part(calendar(), b"application/octet-stream", b"8bit", b"Content-Disposition: attachment" + name))


@hostile
def boundaries_that_almost_are() -> bytes:
    return message(part(b"--=_b x\r\n" * 2 * MB, b"text/plain"), part(calendar(), CALENDAR))


@hostile
def a_boundary_of_1_mb() -> bytes:
    return message(part(calendar(), CALENDAR), boundary=b"b" * MB)


@hostile
def blanks_behind_a_boundary() -> bytes:
    return message(part(calendar(), CALENDAR)).replace(b"--=_b\r\n", b"--=_b" + b" " * 5 * MB + b"\r\n")


@hostile
def empty_lines() -> bytes:
    return invitation(text=b"\r\n" * 10 * MB)


@hostile
def dashes() -> bytes:
    return invitation(text=b"--\r\n" * 5 * MB)


@hostile
def messages_in_messages() -> bytes:
    return message(*([b"Content-Type: message/rfc822\r\n\r\n" + invitation()] * 20_000), part(calendar(), CALENDAR))


# --- encodings and charsets ---


@hostile
def broken_base64() -> bytes:
    return raw(calendar(), encoding=b"base64").replace(b"QkVHSU46", b"QkVH!U46")


@hostile
def base64_with_padding_inside() -> bytes:
    return message(
        b"Content-Type: "
        + CALENDAR
        + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + (base64.b64encode(b"a") + b"\r\n") * MB
    )


@hostile
def base64_one_digit_a_line() -> bytes:
    digits = base64.b64encode(event(b"X-LONG:" + b"x" * 2 * MB + b"\r\n"))
    body = b"\r\n".join(digits[n : n + 1] for n in range(len(digits)))
    return message(b"Content-Type: " + CALENDAR + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body)


@hostile
def base64_in_one_line() -> bytes:
    body = base64.b64encode(event(b"X-LONG:" + b"x" * 15 * MB + b"\r\n"))
    return message(b"Content-Type: " + CALENDAR + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body)


@hostile
def quoted_printable_soft_breaks() -> bytes:
    body = calendar().replace(b"END:VEVENT", b"X-A:" + b"a=\r\n" * 4 * MB + b"\r\nEND:VEVENT")
    return message(b"Content-Type: " + CALENDAR + b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + body)


@hostile
def quoted_printable_blanks() -> bytes:
    body = calendar().replace(b"END:VEVENT", b"X-A:" + b" " * 8 * MB + b"\r\nEND:VEVENT")
    return message(b"Content-Type: " + CALENDAR + b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + body)


@hostile
def quoted_printable_equals() -> bytes:
    body = calendar().replace(b"END:VEVENT", b"X-A:" + b"=" * 8 * MB + b"\r\nEND:VEVENT")
    return message(b"Content-Type: " + CALENDAR + b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + body)


@hostile
def quoted_printable_all_escaped() -> bytes:
    body = b"".join(b"=%02X" % octet for octet in event(b"X-A:" + b"z" * 3 * MB + b"\r\n"))
    return message(b"Content-Type: " + CALENDAR + b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + body)


@hostile
def quoted_printable_text_of_25_mb() -> bytes:
    text = quopri.encodestring("Größe und Maß\r\n".encode() * 100)
    return message(part(text * 6_500, b"text/plain; charset=utf-8"), part(calendar(), CALENDAR)).replace(
        b"8bit", b"quoted-printable", 1
    )


def listed(dates: int) -> bytes:
    """An event with so many dates, in UTC, beside a zone of its own."""
    days = [datetime(2026, 3, 12, 9) + timedelta(days=number) for number in range(1, dates + 1)]
    zone = b"BEGIN:VTIMEZONE\r\nTZID:X\r\nBEGIN:STANDARD\r\nDTSTART:10010101T000000\r\nTZOFFSETFROM:+0000\r\n"
    zone += b"TZOFFSETTO:+0000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    dated = calendar(b"RDATE:" + b",\r\n ".join(b"%sZ" % day.strftime("%Y%m%dT%H%M%S").encode() for day in days))
    for name, hour in ((b"DTSTART", b"09"), (b"DTEND", b"10")):
        time = b":20260312T" + hour + b"0000"
        dated = dated.replace(name + time + b"Z", name + b";TZID=X" + time)
    return dated.replace(b"BEGIN:VEVENT", zone + b"BEGIN:VEVENT")


@hostile
def dates_as_many_as_a_rule_has() -> bytes:
    return message(part(listed(998), CALENDAR), part(listed(998), CALENDAR), kind=b"mixed")


@hostile
def dates_in_many_copies() -> bytes:
    return message(*[part(listed(998), CALENDAR)] * 100, kind=b"mixed")


@hostile
def dates_by_the_million() -> bytes:
    return invitation(b"RDATE:" + b"20260313T090000Z," * 100_000 + b"20260313T090000Z")


def related(*texts: bytes) -> bytes:
    return message(*texts, part(calendar(), CALENDAR), kind=b"related")


@hostile
def related_with_a_long_text() -> bytes:
    return related(part(b"<p>So long.</p>\r\n" * MB, b"text/html", b"8bit", b"Content-ID: <1@x>"))


@hostile
def related_of_many_texts_that_show_nothing() -> bytes:
    show = part(b"<img src=cid:%41%41%41@y>" * 2_000, b"text/html", b"8bit", b"Content-ID: <1@x>")
    return related(*[show] * 400)


@hostile
def related_in_related() -> bytes:
    inner = related(part(b"<p>x", b"text/html"))
    inner = inner[inner.index(b"Content-Type: multipart") :]
    return message(*[inner.replace(b"=_b", b"=_%d=" % number) for number in range(100)], kind=b"mixed")


def charset(name: bytes, codec: str | None = None) -> Callable[[], bytes]:
    octets = calendar() if codec is None else calendar().decode().encode(codec)
    return lambda: raw(octets, b"text/calendar; method=REQUEST; charset=" + name)


HOSTILE |= {
    "charset-bogus": charset(b"x-no-such-charset"),
    "charset-utf-16": charset(b"utf-16", "utf-16"),
    "charset-utf-7": charset(b"utf-7", "utf-7"),
    "charset-idna": charset(b"idna"),
    "charset-punycode": charset(b"punycode"),
    "charset-rot13": charset(b"rot13"),
    "charset-bz2": charset(b"bz2"),
    "charset-undefined": charset(b"undefined"),
    "charset-mbcs": charset(b"mbcs"),
    "charset-path": charset(b"../../etc/passwd"),
    "charset-long": charset(b"x" * 3 * MB),
    "charset-nul": charset(b"utf\0-8"),
}


@hostile
def a_bomb() -> bytes:
    return raw(gzip.compress(b"\0" * 20 * MB), CALENDAR, b"x-gzip")


@hostile
def utf_8_cut_in_two() -> bytes:
    return invitation(b"DESCRIPTION:" + ("ä".encode() + b"\r\n ") * 300_000 + b"\xc3")


@hostile
def lone_surrogates() -> bytes:
    return invitation(b"SUMMARY:" + b"\xed\xa0\x80" * 300_000)


@hostile
def iso_2022_escapes() -> bytes:
    return raw(event(b"SUMMARY:" + b"\x1b$B\x1b(B" * 500_000 + b"\r\n"), CALENDAR.replace(b"UTF-8", b"ISO-2022-JP"))


@hostile
def keyword_by_the_million() -> bytes:
    return invitation(b"SUMMARY:" + b"@meet " * 500_000, b"LOCATION:" + b"@meet" * 500_000, text=b"@meet " * MB)


@hostile
def subject_of_encoded_words() -> bytes:
    words = b"\r\n ".join([b"=?utf-8?b?QG1lZXQ=?="] * 20_000)
    return invitation(b"SUMMARY:@meet").replace(b"Subject: Planning", b"Subject: " + words)


@hostile
def html_blocks_of_ours() -> bytes:
    block = b"<!--notes2conf-->https://conf.example.org/j/abcdefghijklmnopqrstuvwxyz234567<!--/notes2conf-->"
    return message(part(block * 100_000, b"text/html"), part(calendar(), CALENDAR))


@hostile
def html_blocks_left_open() -> bytes:
    return message(part(b"<!--notes2conf-->" * 500_000, b"text/html"), part(calendar(), CALENDAR))
