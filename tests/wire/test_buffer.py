from typing import Any, SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.errors import LocalProtocolError, RemoteProtocolError
from openclaw_channel_octo.wire.buffer import MAX_BODY, MAX_RECV_BODY, Framer
from openclaw_channel_octo.wire.codec import frame
from openclaw_channel_octo.wire.packets import PacketType
from tests.wire.vectors import VECTORS

RECV = PacketType.RECV << 4

bodies = st.binary(max_size=400)
frames = st.lists(st.tuples(st.sampled_from(list(PacketType)), st.integers(0, 15), bodies), max_size=12)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data]


def named(vectors: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", vectors, ids=[v.get("name") or v["hex"] for v in vectors])


@named([v for v in VECTORS["varint"] if v["accepted"]])
def test_a_length_within_the_limits_is_accepted_and_written_the_same_way(vector: dict[str, Any]) -> None:
    body = bytes(vector["value"])
    data = bytes((RECV,)) + bytes.fromhex(vector["hex"]) + body
    framer = Framer()
    assert list(framer.frames(data)) == [(RECV, body)]
    assert frame(PacketType.RECV, 0, body) == data


@named([v for v in VECTORS["varint"] if not v["accepted"]])
def test_a_length_above_the_limits_is_refused_before_any_body_arrives(vector: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError, match="above the limit"):
        next(Framer().frames(bytes((RECV,)) + bytes.fromhex(vector["hex"])))


@named([v for v in VECTORS["malformed"] if v["expect"] == "need_more"])
def test_an_incomplete_packet_waits_for_more(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    framer = Framer()
    assert list(framer.frames(data)) == []
    assert len(framer) == len(data)


@pytest.mark.parametrize("kind", [0, 13, 14, 15])
def test_an_unassigned_packet_type_is_an_error_at_its_first_byte(kind: int) -> None:
    with pytest.raises(RemoteProtocolError, match="does not exist"):
        next(Framer().frames(bytes((kind << 4,))))


def test_a_length_whose_fourth_byte_goes_on_is_an_error() -> None:
    with pytest.raises(RemoteProtocolError, match="more than 4 bytes"):
        next(Framer().frames(bytes((RECV, 0x80, 0x80, 0x80, 0x80))))


@pytest.mark.parametrize(
    ("kind", "limit"),
    [(PacketType.RECV, MAX_RECV_BODY), (PacketType.CONNACK, MAX_BODY), (PacketType.EVENT, MAX_BODY)],
)
def test_only_recv_may_be_longer_than_a_mebibyte(kind: PacketType, limit: int) -> None:
    assert len(frame(kind, 0, bytes(limit))) > limit
    with pytest.raises(LocalProtocolError, match="above the limit"):
        frame(kind, 0, bytes(limit + 1))


@pytest.mark.parametrize("length", [b"\x00", b"\x80\x00", b"\x80\x80\x80\x00"])
def test_a_length_of_zero_in_any_form_is_an_empty_body(length: bytes) -> None:
    assert list(Framer().frames(b"\xc0" + length + b"\x80")) == [(0xC0, b""), (0x80, b"")]


def test_ping_and_pong_are_single_bytes() -> None:
    assert frame(PacketType.PING, 0, b"") == b"\x70"
    assert frame(PacketType.PONG, 0, b"") == b"\x80"


@given(packets=frames, sizes=st.lists(st.integers(0, 50), max_size=40))
def test_frames_come_out_the_same_however_the_bytes_are_cut(
    packets: list[tuple[PacketType, int, bytes]], sizes: list[int]
) -> None:
    bodiless = (PacketType.PING, PacketType.PONG)
    expected = [
        (kind << 4, b"") if kind in bodiless else (kind << 4 | flags, body) for kind, flags, body in packets
    ]
    data = b"".join(frame(*packet) for packet in packets)
    framer = Framer()
    found: list[tuple[int, bytes]] = []
    for chunk in cut(data, sizes):
        found += framer.frames(chunk)
    assert found == expected
    assert len(framer) == 0


class CountingBuffer(bytearray):
    """Counts the bytes that slicing copies and that deleting at the front moves."""

    touched = 0

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            self.touched += len(range(*key.indices(len(self))))
        return super().__getitem__(key)

    def __delitem__(self, key: SupportsIndex | slice) -> None:
        before = len(self)
        super().__delitem__(key)
        if len(self) != before:
            self.touched += len(self)


@pytest.mark.parametrize("chunk", [1, 61, 4096, 10_000_000])
def test_the_work_is_linear_in_the_bytes_however_they_arrive(chunk: int) -> None:
    data = frame(PacketType.RECV, 0, bytes(300)) * 200 + frame(PacketType.RECV, 0, bytes(60_000))
    framer = Framer()
    buffer = framer._buffer = CountingBuffer()
    count = 0
    for start in range(0, len(data), chunk):
        count += len(list(framer.frames(data[start : start + chunk])))
    assert count == 201
    assert buffer.touched <= 2 * len(data)


@given(data=st.binary(max_size=2_000))
def test_arbitrary_bytes_give_frames_or_a_protocol_error(data: bytes) -> None:
    framer = Framer()
    try:
        list(framer.frames(data))
    except RemoteProtocolError:
        return
    assert len(framer) <= len(data)
