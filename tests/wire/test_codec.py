import re
from hashlib import sha256
from inspect import signature
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.errors import LocalProtocolError, RemoteProtocolError
from openclaw_channel_octo.wire import packets
from openclaw_channel_octo.wire.buffer import Framer
from openclaw_channel_octo.wire.codec import decode, encode
from openclaw_channel_octo.wire.packets import (
    Connack,
    Event,
    Flags,
    Packet,
    PacketType,
    Recv,
    Send,
    Sendack,
    Setting,
)
from tests.wire.vectors import VECTORS

FRAMES: dict[str, dict[str, Any]] = {vector["name"]: vector for vector in VECTORS["frames"]}
FLAGS = {
    "noPersist": Flags.NO_PERSIST,
    "redDot": Flags.RED_DOT,
    "syncOnce": Flags.SYNC_ONCE,
    "dup": Flags.DUP,
}
VERSIONS = st.integers(0, 6)

text = st.text(max_size=40)
u8 = st.integers(0, 0xFF)
u32 = st.integers(0, 0xFFFFFFFF)
i32 = st.integers(-0x80000000, 0x7FFFFFFF)
i64 = st.integers(-(1 << 63), (1 << 63) - 1)
u64 = st.integers(0, (1 << 64) - 1)
settings = u8.map(Setting)
flags = st.integers(0, 15).map(Flags)
payloads = st.binary(max_size=200)
any_packet = st.one_of(
    st.builds(
        packets.Connect,
        version=u8,
        device_flag=u8,
        device_id=text,
        uid=text,
        token=text,
        client_timestamp=i64,
        client_key=text,
    ),
    st.builds(
        Connack,
        reason_code=u8,
        time_diff=i64,
        server_key=text,
        salt=text,
        server_version=st.none() | st.integers(0, 6),
        node_id=st.none() | u64,
    ),
    st.builds(
        Send,
        client_seq=u32,
        client_msg_no=text,
        channel_id=text,
        channel_type=u8,
        payload=payloads,
        msg_key=text,
        expire=u32,
        setting=settings,
        flags=flags,
        topic=text,
        stream_no=st.none() | text,
    ),
    st.builds(
        Sendack,
        message_id=i64,
        message_seq=u32,
        client_seq=u32,
        reason_code=u8,
        client_msg_no=text,
        flags=flags,
    ),
    st.builds(
        Recv,
        message_id=i64,
        message_seq=u32,
        client_msg_no=text,
        from_uid=text,
        channel_id=text,
        channel_type=u8,
        timestamp=i32,
        payload=payloads,
        msg_key=text,
        expire=u32,
        setting=settings,
        flags=flags,
        topic=text,
        stream=st.none() | st.builds(packets.StreamPart, flag=u8, stream_no=text, stream_id=u64),
    ),
    st.builds(packets.Recvack, message_id=i64, message_seq=u32, flags=flags),
    st.builds(packets.Ping),
    st.builds(packets.Pong),
    st.builds(packets.Disconnect, reason_code=u8, reason=text),
    st.builds(
        packets.Sub, sub_no=text, channel_id=text, channel_type=u8, action=u8, param=text, setting=settings
    ),
    st.builds(packets.Suback, sub_no=text, channel_id=text, channel_type=u8, action=u8, reason_code=u8),
    st.builds(Event, id=text, type=text, timestamp=i64, data=payloads),
)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def packet_of(vector: dict[str, Any]) -> Packet:
    """Build the packet a vector describes from its named fields."""
    fields: dict[str, Any] = {}
    for name, value in vector["fields"].items():
        hexadecimal = name.endswith("_hex")
        fields[snake(name.removesuffix("_hex"))] = bytes.fromhex(value) if hexadecimal else value
    if "setting" in fields:
        fields["setting"] = Setting(fields["setting"])
    if "stream_flag" in fields:
        fields["stream"] = packets.StreamPart(
            flag=fields.pop("stream_flag"),
            stream_no=fields.pop("stream_no"),
            stream_id=fields.pop("stream_id"),
        )
    cls: Any = getattr(packets, vector["type"].capitalize())
    if "flags" in signature(cls).parameters:
        fields["flags"] = Flags(sum(FLAGS[name] for name, is_set in vector["flags"].items() if is_set))
    packet: Packet = cls(**fields)
    return packet


def unframe(data: bytes) -> tuple[int, bytes]:
    framer = Framer()
    (packet,) = framer.frames(data)
    assert len(framer) == 0
    return packet


def reread(packet: Packet, version: int) -> Packet:
    return decode(*unframe(encode(packet, version)), version)


@pytest.mark.parametrize("name", FRAMES)
def test_a_packet_is_written_byte_for_byte_as_other_implementations_write_it(name: str) -> None:
    vector = FRAMES[name]
    assert encode(packet_of(vector), vector["version"]).hex() == vector["hex"]


@pytest.mark.parametrize("name", FRAMES)
def test_a_packet_is_read_with_every_field_other_implementations_put_in(name: str) -> None:
    vector = FRAMES[name]
    data = bytes.fromhex(vector["hex"])
    assert decode(*unframe(data), vector["version"]) == packet_of(vector)


@pytest.mark.parametrize("vector", VECTORS["large_frames"], ids=lambda vector: vector["name"])
def test_a_packet_of_20_kilobytes_is_written_and_read_back(vector: dict[str, Any]) -> None:
    fields = FRAMES["recv_v5_plain"]["fields"] | {"payload_hex": (b"a" * 20_000).hex(), "msgKey": ""}
    packet = packet_of(FRAMES["recv_v5_plain"] | {"fields": fields})
    data = encode(packet, vector["version"])
    assert len(data) == vector["length"]
    assert data[:8].hex() == vector["prefix_hex"]
    assert sha256(data).hexdigest() == vector["sha256"]
    assert decode(*unframe(data), vector["version"]) == packet


@pytest.mark.parametrize(
    "vector",
    [v for v in VECTORS["malformed"] if v["expect"] == "error" and v["name"] != "disconnect_bad_utf8"],
    ids=lambda vector: vector["name"],
)
def test_a_malformed_packet_is_a_protocol_error(vector: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError):  # the frame or its body may be what is malformed
        decode(*next(Framer().frames(bytes.fromhex(vector["hex"]))), 5)


def test_text_that_is_no_utf8_is_read_with_replacement_characters() -> None:
    (vector,) = (v for v in VECTORS["malformed"] if v["name"] == "disconnect_bad_utf8")
    packet = decode(*unframe(bytes.fromhex(vector["hex"])), 5)
    assert packet == packets.Disconnect(reason_code=12, reason="\ufffd(")


@given(packet=any_packet, version=VERSIONS)
def test_what_was_read_is_written_to_the_same_bytes_again(packet: Packet, version: int) -> None:
    data = encode(packet, version)
    read = decode(*unframe(data), version)
    assert type(read) is type(packet)
    if not isinstance(packet, Connack):
        assert encode(read, version) == data
    assert reread(read, version) == read


@given(packet=any_packet, version=VERSIONS, cut=st.integers(0, 400))
def test_a_body_cut_short_is_a_packet_or_a_protocol_error(packet: Packet, version: int, cut: int) -> None:
    header, body = unframe(encode(packet, version))
    try:
        read = decode(header, body[:cut], version)
    except RemoteProtocolError:
        return
    assert type(read) is type(packet)


@given(header=st.integers(0, 255), body=st.binary(max_size=300), version=VERSIONS)
def test_arbitrary_bodies_give_a_packet_or_a_protocol_error(header: int, body: bytes, version: int) -> None:
    try:
        read = decode(header, body, version)
    except RemoteProtocolError:
        return
    assert read.__class__.__name__.upper() == PacketType(header >> 4).name


@pytest.mark.parametrize("version", [5, 6])
def test_stream_fields_are_gone_since_version_5_although_the_bit_may_be_set(version: int) -> None:
    packet = packet_of(FRAMES["recv_v5_dm"])
    assert isinstance(packet, Recv)
    data = encode(packet, version)
    marked = bytearray(data)
    marked[3] |= Setting.STREAM
    read = decode(*unframe(bytes(marked)), version)
    assert isinstance(read, Recv)
    assert read.message_id == packet.message_id
    assert read.stream is None


@pytest.mark.parametrize("name", ["connack_v5_ok", "recvack_v5", "disconnect_kick", "suback"])
def test_bytes_after_the_last_known_field_are_ignored(name: str) -> None:
    vector = FRAMES[name]
    header, body = unframe(bytes.fromhex(vector["hex"]))
    assert decode(header, body + b"future", vector["version"]) == packet_of(vector)


def test_a_node_id_is_read_only_where_one_can_be() -> None:
    old = Connack(reason_code=1)
    assert reread(old, 5) == old
    tailed = encode(Connack(reason_code=1, node_id=7), 3)
    assert decode(*unframe(tailed), 3) == old


@pytest.mark.parametrize("kind", [0, 13, 14, 15])
def test_unassigned_types_are_a_protocol_error(kind: int) -> None:
    with pytest.raises(RemoteProtocolError, match="does not exist"):
        decode(kind << 4, b"", 5)


def test_a_number_outside_its_field_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        encode(packets.Recvack(message_id=1, message_seq=1 << 32), 5)
    assert reread(packets.Recvack(message_id=1, message_seq=1 << 32), 6) == packets.Recvack(
        message_id=1, message_seq=1 << 32
    )


def test_every_packet_type_can_be_read_and_written() -> None:
    seen = {FRAMES[name]["type"] for name in FRAMES}
    assert seen == {kind.name for kind in PacketType}


@pytest.mark.parametrize(
    "reason", [b"", b"\x00", b"\x00\x02a", b"\xff\xff" + bytes(0xFFFF), b"\x80\x00" + bytes(0x8000)]
)
def test_a_string_longer_than_its_packet_or_than_strings_may_be_is_an_error(reason: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(PacketType.DISCONNECT << 4, b"\x0c" + reason, 5)


def test_reading_past_the_end_is_an_error() -> None:
    for kind in PacketType:
        if kind not in {PacketType.PING, PacketType.PONG}:
            with pytest.raises(RemoteProtocolError):
                decode(kind << 4, b"", 5)
    with pytest.raises(RemoteProtocolError):
        decode(PacketType.RECVACK << 4, b"abc", 5)


@pytest.mark.parametrize(("code", "reason"), [(256, ""), (-1, ""), (0, "x" * 0x8000), (0, "\ud800")])
def test_values_that_do_not_fit_are_our_own_mistake(code: int, reason: str) -> None:
    with pytest.raises(LocalProtocolError):
        encode(packets.Disconnect(reason_code=code, reason=reason), 5)
