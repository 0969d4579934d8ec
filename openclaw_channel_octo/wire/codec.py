"""Packets to bytes and back, for protocol versions 0 to 6 (protocol §2.4, §2.5)."""

import struct
from collections.abc import Callable, Mapping
from functools import cache
from itertools import groupby
from struct import Struct
from typing import Any, Final

from msgspec.structs import asdict

from openclaw_channel_octo.errors import LocalProtocolError, RemoteProtocolError
from openclaw_channel_octo.wire.buffer import frame
from openclaw_channel_octo.wire.packets import (
    Connack,
    Connect,
    Disconnect,
    Event,
    Flags,
    Packet,
    PacketType,
    Ping,
    Pong,
    Recv,
    Recvack,
    Send,
    Sendack,
    Setting,
    StreamPart,
    Sub,
    Suback,
)

__all__ = ["decode", "encode"]

MAX_STRING: Final = 0x7FFF
"""Longest string in bytes: its length is a signed 16-bit number in the reference codec (protocol §2.1)."""

_EXPIRE_SINCE: Final = 3
_NODE_ID_SINCE: Final = 4
_WIDE_SEQ_SINCE: Final = 6
_STREAM_VERSIONS: Final = range(2, 5)
_STREAM: Final = int(Setting.STREAM)
_TOPIC: Final = int(Setting.TOPIC)
_LENGTH: Final = Struct(">H")
_NODE_ID_BYTES: Final = 8
_NO_STREAM: Final = StreamPart(flag=0, stream_no="", stream_id=0)

# Building an enum member from its number is slow enough to show in every packet.
_flags_of = cache(Flags)
_setting_of = cache(Setting)

_Steps = tuple[tuple[tuple[str, ...], Struct | None], ...]
"""Names of fields: each run of numbers with its layout, each string without one."""


def _connack(_version: int, bits: int) -> str:
    server_version = "server_version:B" if bits & 1 else ""
    return f"{server_version} time_diff:q reason_code:B server_key salt {'node_id:Q' if bits & 2 else ''}"


def _send(version: int, bits: int) -> str:
    stream = "stream_no" if bits & _STREAM and version in _STREAM_VERSIONS else ""
    expire = "expire:I" if version >= _EXPIRE_SINCE else ""
    topic = "topic" if bits & _TOPIC else ""
    return f"setting:B client_seq:I client_msg_no {stream} channel_id channel_type:B {expire} msg_key {topic}"


def _sendack(version: int, bits: int) -> str:
    client_msg_no = "client_msg_no" if bits else ""
    return f"message_id:q client_seq:I message_seq:{_seq(version)} reason_code:B {client_msg_no}"


def _recv(version: int, bits: int) -> str:
    expire = "expire:I" if version >= _EXPIRE_SINCE else ""
    stream = "flag:B stream_no stream_id:Q" if bits & _STREAM and version in _STREAM_VERSIONS else ""
    topic = "topic" if bits & _TOPIC else ""
    return (
        f"setting:B msg_key from_uid channel_id channel_type:B {expire} client_msg_no {stream}"
        f" message_id:q message_seq:{_seq(version)} timestamp:i {topic}"
    )


def _recvack(version: int, _bits: int) -> str:
    return f"message_id:q message_seq:{_seq(version)}"


def _seq(version: int) -> str:
    return "Q" if version >= _WIDE_SEQ_SINCE else "I"


_FIELDS: Final[Mapping[type[Packet], tuple[int, str | Callable[[int, int], str]]]] = {
    Connect: (
        PacketType.CONNECT,
        "version:B device_flag:B device_id uid token client_timestamp:q client_key",
    ),
    Connack: (PacketType.CONNACK, _connack),
    Send: (PacketType.SEND, _send),
    Sendack: (PacketType.SENDACK, _sendack),
    Recv: (PacketType.RECV, _recv),
    Recvack: (PacketType.RECVACK, _recvack),
    Ping: (PacketType.PING, ""),
    Pong: (PacketType.PONG, ""),
    Disconnect: (PacketType.DISCONNECT, "reason_code:B reason"),
    Sub: (PacketType.SUB, "setting:B sub_no channel_id channel_type:B action:B param"),
    Suback: (PacketType.SUBACK, "sub_no channel_id channel_type:B action:B reason_code:B"),
    Event: (PacketType.EVENT, "id type timestamp:q"),
}
"""The fields of each packet in their order: strings, and numbers with their size as `struct` writes it.

Some depend on the version and on bits: of the setting, of CONNACK's header, or for what stands at the end if at all.
"""

_PACKETS: Final = tuple(
    {int(kind): packet for packet, (kind, _) in _FIELDS.items()}.get(kind) for kind in range(16)
)
_CONNACK, _SENDACK = int(PacketType.CONNACK), int(PacketType.SENDACK)
_WITH_SETTING: Final = frozenset({int(PacketType.SEND), int(PacketType.RECV)})
_WITH_FLAGS: Final = _WITH_SETTING | {_SENDACK, int(PacketType.RECVACK)}
_REST: Final[Mapping[int, str]] = {
    PacketType.SEND: "payload",
    PacketType.RECV: "payload",
    PacketType.EVENT: "data",
}
"""What takes the bytes behind the fields."""


@cache
def _steps(packet: type[Packet], version: int, bits: int) -> _Steps:
    _, fields = _FIELDS[packet]
    steps: list[tuple[tuple[str, ...], Struct | None]] = []
    words = (fields if isinstance(fields, str) else fields(version, bits)).split()
    for are_numbers, run in groupby(words, key=lambda word: ":" in word):
        if are_numbers:
            names, _, sizes = zip(*(word.partition(":") for word in run), strict=True)
            steps.append((names, Struct(">" + "".join(sizes))))
        else:
            steps += [((word,), None) for word in run]
    return tuple(steps)


def encode(packet: Packet, version: int) -> bytes:
    """Return a packet's bytes, header and length included.

    Args:
        packet: any packet; fields the version does not have are left out.
        version: the connection's negotiated version, 0 to 6.

    Raises:
        LocalProtocolError: a field does not fit its place, or the packet is above the size limit.
    """
    kind, values = _FIELDS[type(packet)][0], asdict(packet)
    flags, bits = int(values.get("flags", 0)), int(values.get("setting", 0)) & (_STREAM | _TOPIC)
    match packet:
        case Connack():
            flags = int(packet.server_version is not None)
            bits = flags | 2 * (packet.node_id is not None)
        case Sendack():
            bits = bool(packet.client_msg_no)
        case Recv():
            values |= asdict(packet.stream or _NO_STREAM)
    body = bytearray()
    for names, numbers in _steps(type(packet), version, bits):
        if numbers is None:
            body += _string(values[names[0]] or "")
            continue
        try:
            body += numbers.pack(*[values[name] for name in names])
        except struct.error as error:
            raise LocalProtocolError(f"a number does not fit its field: {error}") from None
    if kind in _REST:
        body += values[_REST[kind]]
    return frame(kind, flags, body)


def _string(value: str) -> bytes:
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError("a string field holds a lone surrogate and cannot be UTF-8") from None
    if len(encoded) > MAX_STRING:
        raise LocalProtocolError(f"a string field of {len(encoded)} bytes; the protocol allows {MAX_STRING}")
    return _LENGTH.pack(len(encoded)) + encoded


def decode(header: int, body: bytes, version: int) -> Packet:
    """Return the packet of a frame; bytes after its last known field are ignored.

    Args:
        header: the frame's first byte.
        body: everything after the length.
        version: the connection's negotiated version, 0 to 6; the announced one for CONNACK.

    Raises:
        RemoteProtocolError: no such packet type, or a body shorter than its fields.
    """
    kind, flags, bits = header >> 4, header & 0x0F, 0
    packet = _PACKETS[kind]
    if packet is None:
        raise RemoteProtocolError(f"packet type {kind} does not exist")
    if kind in _WITH_SETTING and body:
        bits = body[0] & (_STREAM | _TOPIC)
    elif kind == _CONNACK:
        bits = flags & 1
    values, rest = _read(body, _steps(packet, version, bits))
    _add_rest(kind, values, rest, version)
    if kind in _WITH_FLAGS:
        values["flags"] = _flags_of(flags)
    if "setting" in values:
        values["setting"] = _setting_of(values["setting"])
    if "stream_id" in values:
        values["stream"] = StreamPart(**{name: values.pop(name) for name in StreamPart.__struct_fields__})
    return packet(**values)


def _add_rest(kind: int, values: dict[str, Any], rest: bytes, version: int) -> None:
    """Add what stands behind the fields that a packet always has."""
    if kind in _REST:
        values[_REST[kind]] = rest
    elif kind == _SENDACK and rest:
        values |= _read(rest, ((("client_msg_no",), None),))[0]
    elif (
        kind == _CONNACK
        and values.get("server_version", version) >= _NODE_ID_SINCE
        and len(rest) >= _NODE_ID_BYTES  # a failure may be encoded for another version than the one announced
    ):
        values["node_id"] = int.from_bytes(rest[:_NODE_ID_BYTES])


def _read(body: bytes, steps: _Steps) -> tuple[dict[str, Any], bytes]:
    """Return fields and what is left; what is not UTF-8 in a string gets replacement characters (protocol §2.3)."""
    values: dict[str, Any] = {}
    offset = 0
    try:
        for names, numbers in steps:
            if numbers is not None:
                values.update(zip(names, numbers.unpack_from(body, offset), strict=True))
                offset += numbers.size
                continue
            start = offset + 2
            offset = start + (body[offset] << 8 | body[offset + 1])
            if offset > len(body) or offset - start > MAX_STRING:
                raise RemoteProtocolError("a string is longer than its packet, or than strings may be")
            values[names[0]] = body[start:offset].decode("utf-8", "replace")
    except (struct.error, IndexError):
        raise RemoteProtocolError("a packet ends before its last field") from None
    return values, body[offset:]
