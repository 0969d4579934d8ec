"""Bytes to frames and back: the bounded framer, the varint length, and the fields of a body (protocol §2)."""

import struct
from struct import Struct
from typing import Any, Final

from openclaw_channel_octo.errors import LocalProtocolError, RemoteProtocolError
from openclaw_channel_octo.wire.packets import PacketType

__all__ = ["MAX_BODY", "MAX_RECV_BODY", "Framer", "Reader", "Writer", "frame"]

MAX_RECV_BODY: Final = 2 * 1024 * 1024
"""Longest body of a RECV in bytes: servers send stored payloads of up to 1 MiB as base64 (protocol §2.3)."""

MAX_BODY: Final = 1024 * 1024
"""Longest body of every other packet, bytes (protocol §2.3)."""

MAX_STRING: Final = 0x7FFF
"""Longest string in bytes: its length is a signed 16-bit number in the reference codec (protocol §2.1)."""

_FIRST_TYPE: Final = int(PacketType.CONNECT)
_LAST_TYPE: Final = int(PacketType.EVENT)
_BODILESS: Final = frozenset({int(PacketType.PING), int(PacketType.PONG)})
_RECV: Final = int(PacketType.RECV)
_LENGTH_SHIFTS: Final = (0, 7, 14, 21)
_LOW_BITS: Final = 0x7F
_MORE: Final = 0x80
_U8: Final = Struct(">B")
_LENGTH: Final = Struct(">H")


class Framer:
    """Cuts a byte stream into frames, in time linear in its length however it arrives (protocol §2.3).

    Drained after every `feed`, it holds at most one incomplete frame.
    """

    __slots__ = ("_buffer", "_offset")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0

    def __len__(self) -> int:
        """Return the number of bytes that wait."""
        return len(self._buffer) - self._offset

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._buffer += data

    def next_frame(self) -> tuple[int, bytes] | None:
        """Return the header byte and body of the next frame, ``None`` while it is incomplete.

        Raises:
            RemoteProtocolError: an unassigned packet type, a malformed length or one above the limit. The
                position in the stream is lost: close the connection.
        """
        buffer, start = self._buffer, self._offset
        if start >= len(buffer):
            self._compact()
            return None
        header = buffer[start]
        kind = header >> 4
        if kind in _BODILESS:
            self._offset = start + 1
            return header, b""
        if not _FIRST_TYPE <= kind <= _LAST_TYPE:
            raise RemoteProtocolError(f"packet type {kind} does not exist")
        bounds = self._body_bounds(kind, start + 1)
        if bounds is None:
            self._compact()
            return None
        body, self._offset = bounds
        return header, bytes(buffer[body : self._offset])

    def _body_bounds(self, kind: int, position: int) -> tuple[int, int] | None:
        """Return where the body starts and ends, ``None`` while its length or its end has not arrived."""
        buffer, length = self._buffer, 0
        for shift in _LENGTH_SHIFTS:
            if position >= len(buffer):
                return None
            byte = buffer[position]
            position += 1
            length |= (byte & _LOW_BITS) << shift
            if byte <= _LOW_BITS:
                break
        else:
            raise RemoteProtocolError(f"the packet length takes more than {len(_LENGTH_SHIFTS)} bytes")
        if length > (MAX_RECV_BODY if kind == _RECV else MAX_BODY):
            raise RemoteProtocolError(f"a packet of type {kind} with {length} bytes is above the limit")
        end = position + length
        return (position, end) if end <= len(buffer) else None

    def _compact(self) -> None:
        del self._buffer[: self._offset]
        self._offset = 0


def frame(kind: int, flags: int, body: bytes | bytearray) -> bytes:
    """Return a whole packet: header byte, length, body (protocol §2.2, §2.3).

    Args:
        kind: a `PacketType`; PING and PONG take neither length nor body.
        flags: the header's low nibble.
        body: the encoded fields.

    Raises:
        LocalProtocolError: the body is above the limit of its packet type.
    """
    if kind in _BODILESS:
        return bytes((kind << 4,))
    rest = len(body)
    if rest > (MAX_RECV_BODY if kind == _RECV else MAX_BODY):
        raise LocalProtocolError(f"a packet of type {kind} with {rest} bytes is above the limit")
    head = bytearray((kind << 4 | flags,))
    while rest > _LOW_BITS:
        head.append(rest & _LOW_BITS | _MORE)
        rest >>= 7
    head.append(rest)
    return bytes(head + body)


class Reader:
    """Reads the fields of one body in order; raises `RemoteProtocolError` where the body is too short."""

    __slots__ = ("_body", "_offset")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._offset = 0

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._body) - self._offset

    def u8(self) -> int:
        """Return an unsigned byte."""
        offset = self._offset
        if offset >= len(self._body):
            raise _too_short()
        self._offset = offset + 1
        return self._body[offset]

    def unpack(self, layout: Struct) -> tuple[Any, ...]:
        """Return a run of numbers laid out as ``layout`` says."""
        try:
            values = layout.unpack_from(self._body, self._offset)
        except struct.error:
            raise _too_short() from None
        self._offset += layout.size
        return values

    def string(self) -> str:
        """Return a string; bytes that are not UTF-8 come out as replacement characters (protocol §2.3)."""
        return self.strings(1)[0]

    def strings(self, count: int) -> list[str]:
        """Return ``count`` strings that follow one another, each as `string` reads it."""
        body, offset, found = self._body, self._offset, []
        for _ in range(count):
            start = offset + 2
            if start > len(body):
                raise _too_short()
            length = body[offset] << 8 | body[offset + 1]
            offset = start + length
            if offset > len(body) or length > MAX_STRING:
                raise RemoteProtocolError("a string is longer than its packet, or than strings may be")
            found.append(body[start:offset].decode("utf-8", "replace"))
        self._offset = offset
        return found

    def rest(self) -> bytes:
        """Return everything that is left."""
        rest = self._body[self._offset :]
        self._offset = len(self._body)
        return rest


class Writer:
    """Writes the fields of one body in order; raises `LocalProtocolError` for values that do not fit."""

    __slots__ = ("body",)

    def __init__(self) -> None:
        self.body = bytearray()
        """The bytes written so far."""

    def u8(self, value: int) -> None:
        """Append an unsigned byte."""
        self.pack(_U8, value)

    def pack(self, layout: Struct, *values: int) -> None:
        """Append a run of numbers laid out as ``layout`` says."""
        try:
            self.body += layout.pack(*values)
        except struct.error as error:
            raise LocalProtocolError(f"a number does not fit its field: {error}") from None

    def string(self, value: str) -> None:
        """Append a string with its length."""
        try:
            encoded = value.encode()
        except UnicodeEncodeError:
            raise LocalProtocolError("a string field holds a lone surrogate and cannot be UTF-8") from None
        if len(encoded) > MAX_STRING:
            raise LocalProtocolError(
                f"a string field of {len(encoded)} bytes; the protocol allows {MAX_STRING}"
            )
        self.body += _LENGTH.pack(len(encoded))
        self.body += encoded

    def raw(self, value: bytes) -> None:
        """Append bytes as they are."""
        self.body += value


def _too_short() -> RemoteProtocolError:
    return RemoteProtocolError("a packet ends before its last field")
