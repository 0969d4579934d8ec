"""Bytes to frames, within bounds (protocol §2)."""

from collections.abc import Iterator
from typing import Final

from openclaw_channel_octo.errors import RemoteProtocolError
from openclaw_channel_octo.wire.packets import PacketType

__all__ = ["BODILESS", "LIMITS", "MAX_BODY", "MAX_RECV_BODY", "Framer"]

MAX_RECV_BODY: Final = 2 * 1024 * 1024
"""Longest body of a RECV in bytes: servers send stored payloads of up to 1 MiB as base64 (protocol §2.3)."""

MAX_BODY: Final = 1024 * 1024
"""Longest body of every other packet, bytes (protocol §2.3)."""

_FIRST_TYPE: Final = int(PacketType.CONNECT)
_LAST_TYPE: Final = int(PacketType.EVENT)
BODILESS: Final = frozenset({int(PacketType.PING), int(PacketType.PONG)})
"""Packets of a single byte."""
_RECV: Final = int(PacketType.RECV)
_LENGTH_SHIFTS: Final = (0, 7, 14, 21)
_LOW_BITS: Final = 0x7F
LIMITS: Final = tuple(
    (MAX_RECV_BODY if kind == _RECV else MAX_BODY)
    if _FIRST_TYPE <= kind <= _LAST_TYPE and kind not in BODILESS
    else 0
    for kind in range(16)
)
"""Longest body of each packet type, 0 for those without one and for those that do not exist."""


class Framer:
    """Cuts a byte stream into frames, in time linear in its length however it arrives (protocol §2.3).

    Once all frames were taken, it holds at most one that is incomplete.
    """

    __slots__ = ("_buffer", "_offset")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0

    def __len__(self) -> int:
        """Return the number of bytes that wait."""
        return len(self._buffer) - self._offset

    def frames(self, data: bytes = b"") -> Iterator[tuple[int, bytes]]:
        """Take the next bytes of the stream, and yield the header byte and body of each frame that is complete.

        Frames that are not taken stay for the next call.

        Raises:
            RemoteProtocolError: an unassigned packet type, a malformed length or one above the limit. The
                position in the stream is lost: close the connection.
        """
        self._buffer += data
        while found := self._next():
            yield found
        del self._buffer[: self._offset]
        self._offset = 0

    def _next(self) -> tuple[int, bytes] | None:
        buffer, start = self._buffer, self._offset
        held = len(buffer)
        if start == held:
            return None
        header = buffer[start]
        limit = LIMITS[header >> 4]
        if not limit:
            self._offset = start + 1
            return _bodiless(header)
        position, length = start + 1, 0
        for shift in _LENGTH_SHIFTS:
            if position == held:
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
            return None
        self._offset = end
        return header, bytes(buffer[position:end])


def _bodiless(header: int) -> tuple[int, bytes]:
    if header >> 4 not in BODILESS:
        raise RemoteProtocolError(f"packet type {header >> 4} does not exist")
    return header, b""
