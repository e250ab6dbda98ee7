"""packets.py: what is cut from the octets, however they arrive, and what is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.milter import packets
from notes2conf_milter.milter.packets import Command, Decoder, Negotiation, PacketError, Stage
from tests.milter.mta import one_by_one

ANY = st.tuples(st.integers(0, 255), st.binary(max_size=300))
FIELDS = st.tuples(st.just(int(Command.HEADER)), st.binary(max_size=30))
SILENT = st.sampled_from([(int(Command.MACRO), b"L"), (int(Command.MACRO), b"N")])
PACKETS = st.lists(ANY | FIELDS | SILENT, max_size=12)


def wire(sent: list[packets.Packet]) -> bytes:
    return b"".join(packets.packet(bytes([name]), payload) for name, payload in sent)


@given(PACKETS, st.data())
def test_any_pieces_give_the_same_packets(sent: list[packets.Packet], data: st.DataObject) -> None:
    octets = wire(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=20)))
    decoder = Decoder()
    received = [p for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True) for p in decoder.feed(octets[a:b])]
    assert one_by_one(received) == [p for p in sent if p[0] != Command.MACRO or len(p[1]) != 1]


@given(PACKETS)
def test_octet_by_octet(sent: list[packets.Packet]) -> None:
    decoder, octets = Decoder(), wire(sent)
    received = [p for at in range(len(octets)) for p in decoder.feed(octets[at : at + 1])]
    assert one_by_one(received) == one_by_one(Decoder().feed(octets))


def test_header_fields_that_come_together_are_one() -> None:
    """As Postfix sends them, each behind a macro packet without macros."""
    fields, silent = [b"A\0 b\0", b"C\0\0", b"Subject\0 hi\0"], (int(Command.MACRO), b"L")
    sent = [packet for field in fields for packet in (silent, (int(Command.HEADER), field))]
    (name, run), end = Decoder().feed(wire([*sent, (int(Command.MACRO), b"N"), (int(Command.EOH), b"")]))
    assert (name, packets.read_fields(run), end) == (Command.HEADER, fields, (Command.EOH, b""))


@pytest.mark.parametrize("length", [0, 101, 2**31])
def test_an_impossible_length_among_header_fields(length: int) -> None:
    fields = wire([(int(Command.HEADER), b"A\0b\0"), (int(Command.MACRO), b"L")])
    with pytest.raises(PacketError):
        Decoder(100).feed(fields + struct.pack("!I", length) + b"L" + b"x" * 200)


@pytest.mark.parametrize("length", [0, packets.MAX_PACKET + 1, 2**31 - 1, 2**32 - 1])
def test_an_impossible_length_is_refused_at_once(length: int) -> None:
    with pytest.raises(PacketError):
        Decoder().feed(struct.pack("!I", length))


def test_the_longest_packet_in_pieces() -> None:
    octets, decoder = packets.packet(b"B", b"x" * (packets.MAX_PACKET - 1)), Decoder()
    received = [p for at in range(0, len(octets), 4096) for p in decoder.feed(octets[at : at + 4096])]
    assert received == [(Command.BODY, b"x" * (packets.MAX_PACKET - 1))]


@given(st.binary(max_size=400))
def test_any_octets_are_packets_or_an_error(octets: bytes) -> None:
    try:
        received = Decoder(100).feed(octets)
    except PacketError:
        return
    for _, payload in received:
        packets.read_connect(payload)
        packets.read_path(payload)
        for read in (packets.read_macros, packets.read_negotiation):
            try:
                read(payload)
            except PacketError:
                continue


def test_macros_are_octets() -> None:
    assert packets.read_macros(b"Mi\x00\xff\xfe\0{x}\0\0") == (ord("M"), {b"i": b"\xff\xfe", b"{x}": b""})
    assert packets.read_macros(b"M") == (ord("M"), {})
    for broken in (b"", b"Mi", b"Mi\0", b"Mi\0x\0j\0"):
        with pytest.raises(PacketError):
            packets.read_macros(broken)


def test_addresses() -> None:
    assert packets.read_path(b"<a@b>\0SIZE=3\0BODY=8BITMIME\0") == b"a@b"
    assert packets.read_path(b"<>\0") == b""
    assert packets.read_path(b"\xff@b\0") == b"\xff@b"
    assert packets.read_connect(b"host\x004\x12\x34192.0.2.1\0") == b"192.0.2.1"
    assert packets.read_connect(b"host\x006\0\0IPv6:2001:db8::1\0") == b"IPv6:2001:db8::1"
    assert packets.read_connect(b"localhost\0U") == b""
    assert packets.read_connect(b"localhost\0L\0\0/run/x\0") == b""
    assert packets.read_connect(b"") == b""


def test_what_we_say() -> None:
    assert packets.CONTINUE == b"\0\0\0\x01c"
    assert packets.reply_code("451 4.3.0 100 % sure") == b"\0\0\0\x17y451 4.3.0 100 %% sure\0"
    assert packets.change_header(b"Subject", 2, b" x") == b"\0\0\0\x10m\0\0\0\x02Subject\0 x\0"
    answer = packets.negotiate(Negotiation(6, 1, 2), {Stage.EOH: b"i j"})
    assert answer == b"\0\0\0\x15O" + struct.pack("!III", 6, 1, 2) + b"\0\0\0\x06i j\0"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 200_000])
def test_a_body_is_one_run_of_chunks(size: int) -> None:
    chunks = Decoder().feed(b"".join(packets.replace_body(b"x" * size)))
    assert chunks
    assert {name for name, _ in chunks} == {ord("b")}
    assert max(len(chunk) for _, chunk in chunks) <= 65_535
    assert b"".join(chunk for _, chunk in chunks) == b"x" * size
