"""Packets to bytes and back, for protocol versions 0 to 6 (protocol §2.4, §2.5)."""

import struct
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import groupby
from operator import attrgetter
from struct import Struct
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from msgspec.structs import asdict

from openclaw_channel_octo.errors import LocalProtocolError, RemoteProtocolError
from openclaw_channel_octo.wire.buffer import BODILESS, LIMITS
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

__all__ = ["decode", "encode", "frame"]

MAX_STRING: Final = 0x7FFF
"""Longest string in bytes: its length is a signed 16-bit number in the reference codec (protocol §2.1)."""

_EXPIRE_SINCE: Final = 3
_NODE_ID_SINCE: Final = 4
_WIDE_SEQ_SINCE: Final = 6
_STREAM_VERSIONS: Final = range(2, 5)
_STREAM: Final = int(Setting.STREAM)
_TOPIC: Final = int(Setting.TOPIC)
_OPTIONAL: Final = _STREAM | _TOPIC
_LENGTH: Final = Struct(">H")
_LOW_BITS: Final = 0x7F
_MORE: Final = 0x80
_NODE_ID_BYTES: Final = 8
_NO_STREAM: Final = StreamPart(flag=0, stream_no="", stream_id=0)

# Building an enum member from its number is slow enough to show in every packet.
_flags_of = cache(Flags)
_setting_of = cache(Setting)

_Sizes = tuple[Struct | None, ...]
"""How fields are written: the layout of a run of numbers, ``None`` for a string."""


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

_KINDS: Final[Mapping[type, int]] = {packet: int(kind) for packet, (kind, _) in _FIELDS.items()}
_PACKETS: Final[Mapping[int, type[Packet]]] = {kind: packet for packet, kind in _KINDS.items()}
_CONNACK: Final = _KINDS[Connack]
_RECV: Final = _KINDS[Recv]
_SENDACK: Final = _KINDS[Sendack]
_WITH_SETTING: Final = frozenset({_KINDS[Send], _KINDS[Recv]})
_WITH_FLAGS: Final = _WITH_SETTING | {_SENDACK, _KINDS[Recvack]}
_REST: Final = {_KINDS[Send]: "payload", _KINDS[Recv]: "payload", _KINDS[Event]: "data"}
"""What takes the bytes behind the fields."""


class _Layout(NamedTuple):
    """The fields of a packet: runs of numbers, and strings.

    Attributes:
        names: all of them.
        sizes: the layout of each run, ``None`` for each string.
        written: with these, what takes the values out of a packet.
    """

    names: tuple[str, ...]
    sizes: tuple[Struct | None, ...]
    written: tuple[tuple[Struct | None, Callable[[Any], Any]], ...]


@cache
def _layout(kind: int, version: int, bits: int) -> _Layout:
    _, fields = _FIELDS[_PACKETS[kind]]
    words = [
        word.partition(":") for word in (fields if isinstance(fields, str) else fields(version, bits)).split()
    ]
    written: list[tuple[Struct | None, Callable[[Any], Any]]] = []
    for are_numbers, run in groupby(words, key=lambda word: bool(word[1])):
        names, _, letters = zip(*run, strict=True)
        if are_numbers:
            get = attrgetter(*names) if len(names) > 1 else partial(_only, names[0])
            written.append((Struct(">" + "".join(letters)), get))
        else:
            written += [(None, attrgetter(name)) for name in names]
    return _Layout(
        tuple(name for name, _, _ in words), tuple(numbers for numbers, _ in written), tuple(written)
    )


def _only(name: str, packet: object) -> tuple[Any]:
    return (getattr(packet, name),)


def encode(packet: Packet, version: int) -> bytes:
    """Return a packet's bytes, header and length included.

    Args:
        packet: any packet; fields the version does not have are left out.
        version: the connection's negotiated version, 0 to 6.

    Raises:
        LocalProtocolError: a field does not fit its place, or the packet is above the size limit.
    """
    kind = _KINDS[type(packet)]
    flags, bits, source = (int(packet.flags), 0, packet) if isinstance(packet, Recvack) else _variant(packet)
    body = bytearray()
    for numbers, get in _layout(kind, version, bits).written:
        if numbers is None:
            body += _string(get(source) or "")
            continue
        try:
            body += numbers.pack(*get(source))
        except struct.error as error:
            raise LocalProtocolError(f"a number does not fit its field: {error}") from None
    if kind in _REST:
        body += getattr(packet, _REST[kind])
    return frame(kind, flags, body)


def _variant(packet: Packet) -> tuple[int, int, object]:
    """Return the header's flags, the bits on which the fields depend, and what has the fields."""
    match packet:
        case Connack():
            flags = int(packet.server_version is not None)
            return flags, flags | 2 * (packet.node_id is not None), packet
        case Sendack():
            return int(packet.flags), bool(packet.client_msg_no), packet
        case Send():
            return int(packet.flags), int(packet.setting) & _OPTIONAL, packet
        case Recv():
            whole = SimpleNamespace(**asdict(packet), **asdict(packet.stream or _NO_STREAM))
            return int(packet.flags), int(packet.setting) & _OPTIONAL, whole
    return 0, 0, packet


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
    if kind not in _PACKETS:
        raise RemoteProtocolError(f"packet type {kind} does not exist")
    if kind in _WITH_SETTING and body:
        bits = body[0] & _OPTIONAL
    elif kind == _CONNACK:
        bits = flags & 1
    layout = _layout(kind, version, bits)
    found, end = _read(body, layout.sizes)
    if kind == _RECV and not bits and version >= _EXPIRE_SINCE:
        return _usual_recv(found, body[end:], flags)
    values = dict(zip(layout.names, found, strict=True))
    _finish(kind, values, body[end:], version)
    if kind in _WITH_FLAGS:
        values["flags"] = _flags_of(flags)
    return _PACKETS[kind](**values)


def _usual_recv(found: list[Any], payload: bytes, flags: int) -> Recv:
    """Return the packet of which there are many: by a mapping it takes half as long again."""
    setting, key, uid, channel_id, channel_type, expire, client_msg_no, message_id, seq, timestamp = found
    return Recv(
        message_id=message_id,
        message_seq=seq,
        client_msg_no=client_msg_no,
        from_uid=uid,
        channel_id=channel_id,
        channel_type=channel_type,
        timestamp=timestamp,
        payload=payload,
        msg_key=key,
        expire=expire,
        setting=_setting_of(setting),
        flags=_flags_of(flags),
    )


def _finish(kind: int, values: dict[str, Any], rest: bytes, version: int) -> None:
    if kind in _REST:
        values[_REST[kind]] = rest
    elif kind == _SENDACK and rest:
        (values["client_msg_no"],), _ = _read(rest, (None,))
    elif (
        kind == _CONNACK
        and values.get("server_version", version) >= _NODE_ID_SINCE
        and len(rest) >= _NODE_ID_BYTES  # a failure may be encoded for another version than the one announced
    ):
        values["node_id"] = int.from_bytes(rest[:_NODE_ID_BYTES])
    if "setting" in values:
        values["setting"] = _setting_of(values["setting"])
    if "stream_id" in values:
        values["stream"] = StreamPart(**{name: values.pop(name) for name in StreamPart.__struct_fields__})


def _read(body: bytes, sizes: _Sizes) -> tuple[list[Any], int]:
    """Return fields and where they end; what is not UTF-8 in a string gets replacement characters (protocol §2.3)."""
    values: list[Any] = []
    offset, length = 0, len(body)
    try:
        for numbers in sizes:
            if numbers is not None:
                values += numbers.unpack_from(body, offset)
                offset += numbers.size
                continue
            start = offset + 2
            offset = start + (body[offset] << 8 | body[offset + 1])
            if offset > length or offset - start > MAX_STRING:
                raise RemoteProtocolError("a string is longer than its packet, or than strings may be")
            values.append(body[start:offset].decode("utf-8", "replace"))
    except (struct.error, IndexError):
        raise RemoteProtocolError("a packet ends before its last field") from None
    return values, offset


def frame(kind: int, flags: int, body: bytes | bytearray) -> bytes:
    """Return a whole packet: header byte, length, body (protocol §2.2, §2.3).

    Args:
        kind: a `PacketType`; PING and PONG take neither length nor body.
        flags: the header's low nibble.
        body: the encoded fields.

    Raises:
        LocalProtocolError: the body is above the limit of its packet type.
    """
    if kind in BODILESS:
        return bytes((kind << 4,))
    rest = len(body)
    if rest > LIMITS[kind]:
        raise LocalProtocolError(f"a packet of type {kind} with {rest} bytes is above the limit")
    head = bytearray((kind << 4 | flags,))
    while rest > _LOW_BITS:
        head.append(rest & _LOW_BITS | _MORE)
        rest >>= 7
    head.append(rest)
    return bytes(head + body)
