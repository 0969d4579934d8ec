"""Packets to bytes and back, for protocol versions 0 to 6 (protocol §2.4, §2.5).

Over 350 lines: a reader and a writer for each packet, side by side.
"""

from collections.abc import Callable
from functools import cache
from struct import Struct
from types import MappingProxyType
from typing import Any, Final

from openclaw_channel_octo.errors import RemoteProtocolError
from openclaw_channel_octo.wire.buffer import Reader, Writer, frame
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

_EXPIRE_SINCE: Final = 3
_NODE_ID_SINCE: Final = 4
_WIDE_SEQ_SINCE: Final = 6
_STREAM_VERSIONS: Final = range(2, 5)
_STREAM: Final = int(Setting.STREAM)
_TOPIC: Final = int(Setting.TOPIC)

_U32: Final = Struct(">I")
_I64: Final = Struct(">q")
_U64: Final = Struct(">Q")
_TYPE_EXPIRE: Final = Struct(">BI")
_CONNECT_HEAD: Final = Struct(">BB")
_CONNACK_HEAD: Final = Struct(">qB")
_SEND_HEAD: Final = Struct(">BI")
_SENDACK: Final = Struct(">qIIB")
_SENDACK_WIDE: Final = Struct(">qIQB")
_RECV_IDS: Final = Struct(">qIi")
_RECV_IDS_WIDE: Final = Struct(">qQi")
_RECVACK: Final = Struct(">qI")
_RECVACK_WIDE: Final = Struct(">qQ")
_SUBACK_TAIL: Final = Struct(">BBB")
_TYPE_ACTION: Final = Struct(">BB")
_NO_STREAM: Final = StreamPart(flag=0, stream_no="", stream_id=0)

# Building an enum member from its number is slow enough to show in every packet.
_flags_of = cache(Flags)
_setting_of = cache(Setting)


def encode(packet: Packet, version: int) -> bytes:
    """Return a packet's bytes, header and length included.

    Args:
        packet: any packet; fields the version does not have are left out.
        version: the connection's negotiated version, 0 to 6.

    Raises:
        LocalProtocolError: a field does not fit its place, or the packet is above the size limit.
    """
    kind, write = _WRITERS[type(packet)]
    writer = Writer()
    flags = write(packet, writer, version)
    return frame(kind, flags, writer.body)


def decode(header: int, body: bytes, version: int) -> Packet:
    """Return the packet of a frame; bytes after its last known field are ignored.

    Args:
        header: the frame's first byte.
        body: everything after the length.
        version: the connection's negotiated version, 0 to 6; the announced one for CONNACK.

    Raises:
        RemoteProtocolError: no such packet type, or a body shorter than its fields.
    """
    read = _READERS[header >> 4]
    if read is None:
        raise RemoteProtocolError(f"packet type {header >> 4} does not exist")
    return read(Reader(body), header & 0x0F, version)


def _write_connect(packet: Connect, writer: Writer, _version: int) -> int:
    writer.pack(_CONNECT_HEAD, packet.version, packet.device_flag)
    writer.string(packet.device_id)
    writer.string(packet.uid)
    writer.string(packet.token)
    writer.pack(_I64, packet.client_timestamp)
    writer.string(packet.client_key)
    return 0


def _read_connect(reader: Reader, _flags: int, _version: int) -> Connect:
    version, device_flag = reader.unpack(_CONNECT_HEAD)
    device_id, uid, token = reader.string(), reader.string(), reader.string()
    (client_timestamp,) = reader.unpack(_I64)
    return Connect(
        version=version,
        device_flag=device_flag,
        device_id=device_id,
        uid=uid,
        token=token,
        client_timestamp=client_timestamp,
        client_key=reader.string(),
    )


def _write_connack(packet: Connack, writer: Writer, _version: int) -> int:
    if packet.server_version is not None:
        writer.u8(packet.server_version)
    writer.pack(_CONNACK_HEAD, packet.time_diff, packet.reason_code)
    writer.string(packet.server_key)
    writer.string(packet.salt)
    if packet.node_id is not None:
        writer.pack(_U64, packet.node_id)
    return int(packet.server_version is not None)


def _read_connack(reader: Reader, flags: int, version: int) -> Connack:
    server_version = reader.u8() if flags & 1 else None
    time_diff, reason_code = reader.unpack(_CONNACK_HEAD)
    server_key, salt = reader.string(), reader.string()
    used = version if server_version is None else server_version
    # A failure may be encoded for another version than the one announced, so the length decides too.
    has_node_id = used >= _NODE_ID_SINCE and reader.remaining >= _U64.size
    return Connack(
        reason_code=reason_code,
        time_diff=time_diff,
        server_key=server_key,
        salt=salt,
        server_version=server_version,
        node_id=reader.unpack(_U64)[0] if has_node_id else None,
    )


def _write_send(packet: Send, writer: Writer, version: int) -> int:
    writer.pack(_SEND_HEAD, packet.setting, packet.client_seq)
    writer.string(packet.client_msg_no)
    if packet.setting & _STREAM and version in _STREAM_VERSIONS:
        writer.string(packet.stream_no or "")
    writer.string(packet.channel_id)
    writer.u8(packet.channel_type)
    if version >= _EXPIRE_SINCE:
        writer.pack(_U32, packet.expire)
    writer.string(packet.msg_key)
    if packet.setting & _TOPIC:
        writer.string(packet.topic)
    writer.raw(packet.payload)
    return int(packet.flags)


def _read_send(reader: Reader, flags: int, version: int) -> Send:
    setting, client_seq = reader.unpack(_SEND_HEAD)
    client_msg_no = reader.string()
    stream_no = reader.string() if setting & _STREAM and version in _STREAM_VERSIONS else None
    channel_id = reader.string()
    channel_type = reader.u8()
    expire = reader.unpack(_U32)[0] if version >= _EXPIRE_SINCE else 0
    msg_key = reader.string()
    topic = reader.string() if setting & _TOPIC else ""
    return Send(
        client_seq=client_seq,
        client_msg_no=client_msg_no,
        channel_id=channel_id,
        channel_type=channel_type,
        payload=reader.rest(),
        msg_key=msg_key,
        expire=expire,
        setting=_setting_of(setting),
        flags=_flags_of(flags),
        topic=topic,
        stream_no=stream_no,
    )


def _write_sendack(packet: Sendack, writer: Writer, version: int) -> int:
    layout = _SENDACK_WIDE if version >= _WIDE_SEQ_SINCE else _SENDACK
    writer.pack(layout, packet.message_id, packet.client_seq, packet.message_seq, packet.reason_code)
    if packet.client_msg_no:
        writer.string(packet.client_msg_no)
    return int(packet.flags)


def _read_sendack(reader: Reader, flags: int, version: int) -> Sendack:
    layout = _SENDACK_WIDE if version >= _WIDE_SEQ_SINCE else _SENDACK
    message_id, client_seq, message_seq, reason_code = reader.unpack(layout)
    return Sendack(
        message_id=message_id,
        message_seq=message_seq,
        client_seq=client_seq,
        reason_code=reason_code,
        client_msg_no=reader.string() if reader.remaining else "",
        flags=_flags_of(flags),
    )


def _write_recv(packet: Recv, writer: Writer, version: int) -> int:
    writer.u8(packet.setting)
    writer.string(packet.msg_key)
    writer.string(packet.from_uid)
    writer.string(packet.channel_id)
    writer.u8(packet.channel_type)
    if version >= _EXPIRE_SINCE:
        writer.pack(_U32, packet.expire)
    writer.string(packet.client_msg_no)
    if packet.setting & _STREAM and version in _STREAM_VERSIONS:
        stream = packet.stream or _NO_STREAM
        writer.u8(stream.flag)
        writer.string(stream.stream_no)
        writer.pack(_U64, stream.stream_id)
    layout = _RECV_IDS_WIDE if version >= _WIDE_SEQ_SINCE else _RECV_IDS
    writer.pack(layout, packet.message_id, packet.message_seq, packet.timestamp)
    if packet.setting & _TOPIC:
        writer.string(packet.topic)
    writer.raw(packet.payload)
    return int(packet.flags)


def _read_recv(reader: Reader, flags: int, version: int) -> Recv:
    setting = reader.u8()
    msg_key, from_uid, channel_id = reader.string(), reader.string(), reader.string()
    channel_type, expire = reader.unpack(_TYPE_EXPIRE) if version >= _EXPIRE_SINCE else (reader.u8(), 0)
    client_msg_no = reader.string()
    streams = setting & _STREAM and version in _STREAM_VERSIONS
    stream = _read_stream(reader) if streams else None
    message_id, message_seq, timestamp = reader.unpack(
        _RECV_IDS_WIDE if version >= _WIDE_SEQ_SINCE else _RECV_IDS
    )
    topic = reader.string() if setting & _TOPIC else ""
    return Recv(
        message_id=message_id,
        message_seq=message_seq,
        client_msg_no=client_msg_no,
        from_uid=from_uid,
        channel_id=channel_id,
        channel_type=channel_type,
        timestamp=timestamp,
        payload=reader.rest(),
        msg_key=msg_key,
        expire=expire,
        setting=_setting_of(setting),
        flags=_flags_of(flags),
        topic=topic,
        stream=stream,
    )


def _read_stream(reader: Reader) -> StreamPart:
    flag, stream_no = reader.u8(), reader.string()
    return StreamPart(flag=flag, stream_no=stream_no, stream_id=reader.unpack(_U64)[0])


def _write_recvack(packet: Recvack, writer: Writer, version: int) -> int:
    layout = _RECVACK_WIDE if version >= _WIDE_SEQ_SINCE else _RECVACK
    writer.pack(layout, packet.message_id, packet.message_seq)
    return int(packet.flags)


def _read_recvack(reader: Reader, flags: int, version: int) -> Recvack:
    message_id, message_seq = reader.unpack(_RECVACK_WIDE if version >= _WIDE_SEQ_SINCE else _RECVACK)
    return Recvack(message_id=message_id, message_seq=message_seq, flags=_flags_of(flags))


def _write_nothing(_packet: Ping | Pong, _writer: Writer, _version: int) -> int:
    return 0


def _read_ping(_reader: Reader, _flags: int, _version: int) -> Ping:
    return Ping()


def _read_pong(_reader: Reader, _flags: int, _version: int) -> Pong:
    return Pong()


def _write_disconnect(packet: Disconnect, writer: Writer, _version: int) -> int:
    writer.u8(packet.reason_code)
    writer.string(packet.reason)
    return 0


def _read_disconnect(reader: Reader, _flags: int, _version: int) -> Disconnect:
    return Disconnect(reason_code=reader.u8(), reason=reader.string())


def _write_sub(packet: Sub, writer: Writer, _version: int) -> int:
    writer.u8(packet.setting)
    writer.string(packet.sub_no)
    writer.string(packet.channel_id)
    writer.pack(_TYPE_ACTION, packet.channel_type, packet.action)
    writer.string(packet.param)
    return 0


def _read_sub(reader: Reader, _flags: int, _version: int) -> Sub:
    setting = _setting_of(reader.u8())
    sub_no, channel_id = reader.string(), reader.string()
    channel_type, action = reader.unpack(_TYPE_ACTION)
    return Sub(
        sub_no=sub_no,
        channel_id=channel_id,
        channel_type=channel_type,
        action=action,
        param=reader.string(),
        setting=setting,
    )


def _write_suback(packet: Suback, writer: Writer, _version: int) -> int:
    writer.string(packet.sub_no)
    writer.string(packet.channel_id)
    writer.pack(_SUBACK_TAIL, packet.channel_type, packet.action, packet.reason_code)
    return 0


def _read_suback(reader: Reader, _flags: int, _version: int) -> Suback:
    sub_no, channel_id = reader.string(), reader.string()
    channel_type, action, reason_code = reader.unpack(_SUBACK_TAIL)
    return Suback(
        sub_no=sub_no,
        channel_id=channel_id,
        channel_type=channel_type,
        action=action,
        reason_code=reason_code,
    )


def _write_event(packet: Event, writer: Writer, _version: int) -> int:
    writer.string(packet.id)
    writer.string(packet.type)
    writer.pack(_I64, packet.timestamp)
    writer.raw(packet.data)
    return 0


def _read_event(reader: Reader, _flags: int, _version: int) -> Event:
    event_id, event_type = reader.string(), reader.string()
    (timestamp,) = reader.unpack(_I64)
    return Event(id=event_id, type=event_type, timestamp=timestamp, data=reader.rest())


_WRITERS: Final = MappingProxyType[type, tuple[int, Callable[[Any, Writer, int], int]]](
    {
        Connect: (PacketType.CONNECT, _write_connect),
        Connack: (PacketType.CONNACK, _write_connack),
        Send: (PacketType.SEND, _write_send),
        Sendack: (PacketType.SENDACK, _write_sendack),
        Recv: (PacketType.RECV, _write_recv),
        Recvack: (PacketType.RECVACK, _write_recvack),
        Ping: (PacketType.PING, _write_nothing),
        Pong: (PacketType.PONG, _write_nothing),
        Disconnect: (PacketType.DISCONNECT, _write_disconnect),
        Sub: (PacketType.SUB, _write_sub),
        Suback: (PacketType.SUBACK, _write_suback),
        Event: (PacketType.EVENT, _write_event),
    }
)
_READER_OF: Final[dict[int, Callable[[Reader, int, int], Packet]]] = {
    PacketType.CONNECT: _read_connect,
    PacketType.CONNACK: _read_connack,
    PacketType.SEND: _read_send,
    PacketType.SENDACK: _read_sendack,
    PacketType.RECV: _read_recv,
    PacketType.RECVACK: _read_recvack,
    PacketType.PING: _read_ping,
    PacketType.PONG: _read_pong,
    PacketType.DISCONNECT: _read_disconnect,
    PacketType.SUB: _read_sub,
    PacketType.SUBACK: _read_suback,
    PacketType.EVENT: _read_event,
}
_READERS: Final = tuple(_READER_OF.get(kind) for kind in range(16))
