"""What is read out of a log, and counted."""

from datetime import UTC, datetime, timedelta, timezone
from time import localtime, strftime

import pytest

from notes2conf_milter.tlsreport.records import Record, count, read, time_of

NOW = 1_795_816_800.0  # 2026-11-27 22:00 UTC
NEW = "tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 fs=yes cert=-"
OLD = "tls=TLSv1.2 cipher=AES128-SHA bits=128 fs=no cert=trusted"
LINE = "INFO notes2conf.mail: queue_id=4Xy door=milter verdict={} reason={} {} peer={}\n"


def line(session: str = NEW, peer: str = "192.0.2.0/24", verdict: str = "pass", reason: str = "no-calendar") -> str:
    return LINE.format(verdict, reason, session, peer)


@pytest.mark.parametrize(
    ("text", "record"),
    [
        (
            line(),
            Record(None, "milter", "TLSv1.3", "TLS_AES_256_GCM_SHA384", True, "-", "192.0.2.0/24", 1, 0),
        ),
        (
            f"1795816800.123456 mx notes2conf-milter[77]: {line(OLD, 'authenticated', 'refuse', 'tls-too-weak')}",
            Record(NOW, "milter", "TLSv1.2", "AES128-SHA", False, "trusted", "authenticated", 1, 1),
        ),
        (
            line("tls=none", "-", "rewrite", "link-added repairs=rdate:done"),
            Record(None, "milter", "none", "", False, "-", "-", 1, 0),
        ),
        (
            f"INFO notes2conf.mail: tls-summary door=smtp {NEW} peer=others messages=31 refused=2",
            Record(None, "smtp", "TLSv1.3", "TLS_AES_256_GCM_SHA384", True, "-", "others", 31, 2),
        ),
    ],
)
def test_a_record(text: str, record: Record) -> None:
    (found,) = read([text], None, NOW)
    assert found == record


@pytest.mark.parametrize(
    "text",
    [
        "",
        "INFO notes2conf.mail: queue_id=4Xy door=milter verdict=pass reason=no-calendar",  # tls.log = "off"
        "postfix/smtpd[1]: Anonymous TLS connection established: tls=yes",
        "INFO notes2conf.mail: tls-summary door=smtp tls=none peer=others messages=many refused=0",
        "queue_id=a door=b verdict=c reason=d tls=",
        "tls=" * 5000,
    ],
)
def test_what_is_no_record(text: str) -> None:
    assert list(read([text], None, NOW)) == []


def test_the_times_of_a_log() -> None:
    """journalctl's, RFC 3339's, and the old syslog's, which names no year and is this machine's time."""
    berlin = timezone(timedelta(hours=1))
    local = strftime("%b %e %H:%M:%S", localtime(NOW))
    for text in (
        "1795816800.5 mx x: y",
        f"{datetime.fromtimestamp(NOW, UTC):%Y-%m-%dT%H:%M:%S}Z mx x: y",
        f"{datetime.fromtimestamp(NOW, berlin):%Y-%m-%dT%H:%M:%S}.250000+01:00 mx x: y",
        f"{local} mx x: y",
    ):
        at = time_of(text, NOW)
        assert at is not None and NOW <= at < NOW + 1, text
    ahead = strftime("%b %e %H:%M:%S", localtime(NOW + 3 * 86_400))
    found = time_of(f"{ahead} mx x: y", NOW)
    assert found is not None and found < NOW, "of last year"
    for text in ("INFO x", "2026-13-45T10:00:00Z x", "Feb 30 10:00:00 x", "Foo 12 10:00:00 x"):
        assert time_of(text, NOW) is None


def test_only_what_is_new_enough() -> None:
    """A line without a time cannot be too old."""
    lines = [f"{NOW - 100:.6f} mx x: {line()}", f"{NOW:.6f} mx x: {line()}", line()]
    assert [one.at for one in read(lines, NOW - 50, NOW)] == [NOW, None]


def test_the_numbers() -> None:
    lines = [f"{NOW:.6f} mx x: {line()}"] * 6
    lines += [f"{NOW - 86_400:.6f} mx x: {line(OLD, 'example.org')}"] * 2
    lines += [line("tls=none", "198.51.100.0/24", "refuse", "tls-missing"), line("tls=none", "198.51.100.0/24")]
    lines += [line("tls=unknown"), line("tls=enforced"), line("tls=SSLv3 cipher=X bits=40 fs=no cert=-")]
    counted = count(read(lines, None, NOW))
    whole = counted.whole
    assert (whole.messages, whole.encrypted, whole.forward_secrecy, whole.plain, whole.unseen, whole.refused) == (
        13,
        9,
        6,
        2,
        2,
        1,
    )
    assert counted.by_version() == [
        ("TLSv1.3", 6),
        ("TLSv1.2", 2),
        ("SSLv3", 1),
        ("none", 2),
        ("unknown", 1),
        ("enforced", 1),
    ]
    assert {name: share.messages for name, share in counted.peers.items()} == {
        "192.0.2.0/24": 9,
        "example.org": 2,
        "198.51.100.0/24": 2,
    }
    assert {day: share.messages for day, share in counted.days.items()} == {"2026-11-27": 6, "2026-11-26": 2}
    assert (counted.first, counted.last, counted.timeless) == (NOW - 86_400, NOW, 5)
    assert counted.ciphers["TLSv1.2", "AES128-SHA"].forward_secrecy == 0
