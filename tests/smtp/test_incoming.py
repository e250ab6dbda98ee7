"""The server's half of SMTP: paths, and messages up to their final dot."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notes2conf_milter.smtp.incoming import IncomingMessage, Path, read_path
from tests.smtp.door import dotted


@pytest.mark.parametrize(
    ("argument", "path"),
    [
        (b"FROM:<>", Path(b"")),
        (b"from:<a@b>", Path(b"a@b")),
        (b"FROM: <a@b>  SIZE=1 BODY=8BITMIME", Path(b"a@b", (b"SIZE=1", b"BODY=8BITMIME"))),
        (b"FROM:a@b RET=full", Path(b"a@b", (b"RET=full",))),
        (b'FROM:<"a b>c"@d> AUTH=<>', Path(b'"a b>c"@d', (b"AUTH=<>",))),
        (b"FROM:<@x:a@b>", Path(b"@x:a@b")),
        ("FROM:<ä@ö> SMTPUTF8".encode(), Path("ä@ö".encode(), (b"SMTPUTF8",))),
        (b"FROM:<\xff@b>", Path(b"\xff@b")),
    ],
)
def test_paths(argument: bytes, path: Path) -> None:
    assert read_path(b"FROM:", argument) == path


@pytest.mark.parametrize(
    "argument",
    [
        b"",
        b"TO:<a>",
        b"FROM:",
        b"FROM:<a",
        b"FROM:<a>b",
        b"FROM:<a>>",
        b"FROM:<a<b>",
        b'FROM:<"a>',
        b"FROM:<a\0>",
        b"FROM:<a\rb>",
    ]
    + [b"FROM:<a> =", b"FROM:<a> SIZE=\0", b'FROM:"a@b'],
)
def test_what_is_no_path(argument: bytes) -> None:
    with pytest.raises(ValueError, match=r"argument|address|parameter"):
        read_path(b"FROM:", argument)


async def read(wire: bytes, step: int, limit: int, rest: bytes = b"") -> bytes:
    reader = asyncio.StreamReader(limit=limit)

    async def feed() -> None:
        octets = wire + rest
        for start in range(0, len(octets), step):
            reader.feed_data(octets[start : start + step])
            await asyncio.sleep(0)
        reader.feed_eof()

    feeding = asyncio.create_task(feed())
    incoming, found = IncomingMessage(reader), b""
    try:
        while (octets := await incoming.read()) is not None:
            found += octets
    finally:
        await feeding
    assert incoming.ended
    assert await incoming.read() is None
    assert await reader.read() == rest
    return found


TEXT = st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"\r\n.", b"a", b"\0", b"\xff"])).map(b"".join)


@settings(deadline=None)
@given(TEXT, st.integers(1, 9), st.sampled_from([8, 11, 65536]), st.sampled_from([b"", b"QUIT\r\n", b".\r\n"]))
def test_a_message_is_read_as_it_was_written(octets: bytes, step: int, limit: int, rest: bytes) -> None:
    complete = octets if not octets or octets.endswith(b"\r\n") else octets + b"\r\n"  # RFC 5321 §4.1.1.4
    assert asyncio.run(read(dotted(octets), step, limit, rest)) == complete


@pytest.mark.parametrize("almost", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\rx", b".\n", b"\r.\r\n"])
def test_nothing_like_the_final_dot_ends_a_message(almost: bytes) -> None:
    wire = b"a" + almost + b"b\r\n.\r\n"
    assert asyncio.run(read(wire, 3, 65536)) == (b"a" + almost + b"b\r\n").replace(b"\r\n.", b"\r\n")


@settings(deadline=None)
@given(TEXT)
def test_a_client_that_goes_away_has_sent_no_message(octets: bytes) -> None:
    wire = dotted(octets)
    for end in range(len(wire)):
        with pytest.raises(asyncio.IncompleteReadError):
            asyncio.run(read(wire[:end], 4, 65536))
