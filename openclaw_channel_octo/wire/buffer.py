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
_LIMITS: Final = tuple(
    (MAX_RECV_BODY if kind == _RECV else MAX_BODY)
    if _FIRST_TYPE <= kind <= _LAST_TYPE and kind not in _BODILESS
    else 0
    for kind in range(16)
)
"""Longest body of each packet type, 0 for those without one and for those that do not exist."""
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
        held = len(buffer)
        if start == held:
            self._compact()
            return None
        header = buffer[start]
        limit = _LIMITS[header >> 4]
        if not limit:
            self._offset = start + 1
            return _bodiless(header)
        position, length = start + 1, 0
        for shift in _LENGTH_SHIFTS:
            if position == held:
                self._compact()
                return None
            byte = buffer[position]
            position += 1
            length |= (byte & _LOW_BITS) << shift
            if byte <= _LOW_BITS:
                break
        else:
            raise RemoteProtocolError(f"the packet length takes more than {len(_LENGTH_SHIFTS)} bytes")
        if length > limit:
            raise RemoteProtocolError(
                f"a packet of type {header >> 4} with {length} bytes is above the limit"
            )
        end = position + length
        if end > held:
            self._compact()
            return None
        self._offset = end
        return header, bytes(buffer[position:end])

    def _compact(self) -> None:
        """Let go of what was read."""
        del self._buffer[: self._offset]
        self._offset = 0


def _bodiless(header: int) -> tuple[int, bytes]:
    if header >> 4 not in _BODILESS:
        raise RemoteProtocolError(f"packet type {header >> 4} does not exist")
    return header, b""


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
    if rest > _LIMITS[kind]:
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
        self._offset = offset + 1
        try:
            return self._body[offset]
        except IndexError:
            raise _too_short() from None

    def unpack(self, layout: Struct) -> tuple[Any, ...]:
        """Return a run of numbers laid out as ``layout`` says."""
        offset = self._offset
        self._offset = offset + layout.size
        try:
            return layout.unpack_from(self._body, offset)
        except struct.error:
            raise _too_short() from None

    def string(self) -> str:
        """Return a string; bytes that are not UTF-8 come out as replacement characters (protocol §2.3)."""
        body, start = self._body, self._offset + 2
        try:
            length = body[start - 2] << 8 | body[start - 1]
        except IndexError:
            raise _too_short() from None
        self._offset = end = start + length
        if end > len(body) or length > MAX_STRING:
            raise RemoteProtocolError("a string is longer than its packet, or than strings may be")
        return body[start:end].decode("utf-8", "replace")

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
