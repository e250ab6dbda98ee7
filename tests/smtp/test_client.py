"""The client's half of SMTP: replies, command lines, dots."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notes2conf_milter.smtp.client import (
    LINE_LIMIT,
    LINES_LIMIT,
    Dots,
    LineEnds,
    NextHopGone,
    Reply,
    ReplyParser,
    check_address,
    mail_command,
    offers,
    rcpt_command,
)


def replies(octets: bytes, step: int) -> list[Reply]:
    parser = ReplyParser()
    found = []
    for start in range(0, len(octets), step):
        parser.feed(octets[start : start + step])
        while (reply := parser.take()) is not None:
            found.append(reply)
    assert parser.empty
    return found


@pytest.mark.parametrize("step", [1, 2, 7, 4096])
def test_replies_are_read_in_pieces_of_any_size(step: int) -> None:
    octets = b"250-next.example\r\n250-SIZE 1000\r\n250 \xc3\xa4\r\n354\r\n550 5.1.1 No\r\n451 bare\n"
    assert replies(octets, step) == [
        Reply(250, (b"next.example", b"SIZE 1000", b"\xc3\xa4")),
        Reply(354, (b"",)),
        Reply(550, (b"5.1.1 No",)),
        Reply(451, (b"bare",)),
    ]


def test_a_reply_goes_on_as_it_came() -> None:
    octets = b"550-5.7.1 first\r\n550 5.7.1 last"
    assert replies(octets + b"\r\n", 4096)[0].octets == octets


@pytest.mark.parametrize(
    "nonsense",
    [
        b"hello\r\n",
        b"25 ok\r\n",
        b"250_ok\r\n",
        b"150 ok\r\n",
        b"650 ok\r\n",
        b"250-a\r\n251 b\r\n",
        b"250 a\rb\r\n",
        b"250 a\0b\r\n",
        b"\r\n",
        b"2" * LINE_LIMIT,
        b"250-a\r\n" * (LINES_LIMIT + 1),
        b"250 " + b"a" * 100_000,
    ],
)
def test_what_is_no_reply_ends_the_connection(nonsense: bytes) -> None:
    with pytest.raises(NextHopGone):
        replies(nonsense, 100_000)


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(1, 20))
def test_any_octets_are_replies_or_nonsense(octets: bytes, step: int) -> None:
    parser = ReplyParser()
    try:
        for start in range(0, len(octets), step):
            parser.feed(octets[start : start + step])
            while parser.take() is not None:
                pass
    except NextHopGone:
        pass


def test_offers() -> None:
    reply = Reply(250, (b"next.example greets", b"size 1000", b"8BITMIME", b"AUTH PLAIN LOGIN"))
    assert offers(reply) == {b"SIZE": b"1000", b"8BITMIME": b"", b"AUTH": b"PLAIN LOGIN"}


@pytest.mark.parametrize("address", [b"", b"a@b", b'"a b"@c', b'"a>b\\"<"@c', b"@x,@y:a@b", "ä@ö".encode(), b"\xff"])
def test_addresses_that_go_on(address: bytes) -> None:
    check_address(address)
    assert rcpt_command(address, (), {}) == b"RCPT TO:<" + address + b">\r\n"


@pytest.mark.parametrize(
    "address", [b"a\r\nDATA", b"a\n", b"a\r", b"a\0", b"a>b", b"<a", b"a> SIZE=1", b'"a', b'"a\\">', b'"a\r\n"@b']
)
def test_addresses_that_would_break_out(address: bytes) -> None:
    with pytest.raises(ValueError, match="address"):
        mail_command(address, (), {})
    with pytest.raises(ValueError, match="address"):
        rcpt_command(address, (), {})


@pytest.mark.parametrize("parameter", [b"", b"=1", b"A=1 2", b"A=1\r\nDATA", b"A=\0", b"-A", b"A B", b"A\n"])
def test_parameters_that_would_break_out(parameter: bytes) -> None:
    with pytest.raises(ValueError, match="parameter"):
        mail_command(b"a@b", [parameter], {})


def test_parameters_go_on_if_the_next_hop_offers_them() -> None:
    parameters = [b"SIZE=5", b"body=8BITMIME", b"SMTPUTF8", b"RET=HDRS", b"ENVID=aB+2B", b"AUTH=<>", b"NEW=x"]
    everything = {b"SIZE": b"", b"8BITMIME": b"", b"SMTPUTF8": b"", b"DSN": b"", b"AUTH": b"PLAIN"}
    assert mail_command(b"a@b", parameters, everything) == b"MAIL FROM:<a@b> " + b" ".join(parameters) + b"\r\n"
    assert mail_command(b"a@b", parameters, {b"SIZE": b"", b"AUTH": b""}) == b"MAIL FROM:<a@b> SIZE=5 AUTH=<> NEW=x\r\n"
    assert rcpt_command(b"c@d", [b"NOTIFY=NEVER", b"ORCPT=rfc822;C@d"], {}) == b"RCPT TO:<c@d>\r\n"


ALPHABET = st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a", b"\0", b"\xff"])).map(b"".join)


@settings(deadline=None)
@given(ALPHABET, st.integers(1, 5))
def test_dots_are_those_of_the_rule_however_the_message_is_cut(octets: bytes, step: int) -> None:
    def pieces(change, text: bytes) -> bytes:
        return b"".join(change(text[start : start + step]) for start in range(0, len(text), step))

    sender, receiver = Dots(), Dots()
    wire = pieces(sender.add, octets)
    # RFC 5321 §4.5.2 and §4.1.1.4, said in another way
    assert wire == b"\r\n".join(b"." + line if line[:1] == b"." else line for line in octets.split(b"\r\n"))
    assert sender.end == (b".\r\n" if octets == b"" or octets.endswith(b"\r\n") else b"\r\n.\r\n")
    assert (b"\r\n" + wire + sender.end).find(b"\r\n.\r\n") == len(wire + sender.end) - 3
    assert pieces(receiver.remove, wire) == octets


PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a", b"\r\n.\r\n"]), max_size=12).map(b"".join)


@given(PIECES, st.lists(st.integers(0, 40), max_size=4))
def test_stray_line_ends_are_mended_wherever_pieces_are_cut(text: bytes, cuts: list[int]) -> None:
    """Nothing but CRLF is left, nothing else changes, and again it changes nothing."""
    octets = text + b"\r\n"  # what a message ends in
    places = sorted({min(cut, len(octets)) for cut in cuts} | {0, len(octets)})
    ends = LineEnds()
    mended = b"".join(ends.mend(octets[start:end]) for start, end in itertools.pairwise(places))
    left = mended.replace(b"\r\n", b"")
    assert b"\r" not in left and b"\n" not in left
    one_by_one = octets.replace(b"\r\n", b"\0").replace(b"\r", b" ").replace(b"\n", b"\0").replace(b"\0", b"\r\n")
    assert mended == one_by_one and ends.found is (mended != octets)
    assert LineEnds().mend(mended) == mended
