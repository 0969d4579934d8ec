"""What a recorded connection carried: packets, and the messages inside their encryption (protocol §3)."""

from collections.abc import Iterator

from msgspec import Struct

from openclaw_channel_octo.capture.format import Side
from openclaw_channel_octo.errors import CryptoError, WireError
from openclaw_channel_octo.wire.buffer import Framer
from openclaw_channel_octo.wire.codec import decode, frame
from openclaw_channel_octo.wire.crypto import KeyPair, SessionCipher
from openclaw_channel_octo.wire.packets import Connack, Connect, Packet, Recv, Send

__all__ = ["NO_KEY", "Seen", "SocketReader"]

NO_KEY = bytes(32)
"""In place of a private key that nobody has."""


class Seen(Struct, frozen=True):
    """One packet.

    Attributes:
        packet: decoded.
        raw: its bytes.
        plain: of a RECV or SEND the payload as it was written; ``None`` where it cannot be read, and for other packets.
        holds: whether a message's key is right; true where there is nothing to check.
    """

    packet: Packet
    raw: bytes
    plain: bytes | None = None
    holds: bool = True


class SocketReader:
    """Reads one connection's bytes in both directions.

    Args:
        private_key: the client's X25519 key of this connection, 32 bytes; with another one no message can be read.
    """

    def __init__(self, private_key: bytes) -> None:
        self._key_pair = KeyPair.from_private_bytes(private_key)
        self._framers = {side: Framer() for side in Side}
        self._broken: set[Side] = set()
        self.version = 0
        """The protocol version in use."""
        self.cipher: SessionCipher | None = None
        """The connection's keys once CONNACK has come, ``None`` where nothing is encrypted."""

    def pending(self, side: Side) -> bool:
        """Return whether a packet has begun and not ended."""
        return len(self._framers[side]) > 0

    def read(self, side: Side, data: bytes) -> Iterator[Seen]:
        """Yield the packets that end in ``data``; nothing any more once bytes came that are no packets."""
        if side in self._broken:
            return
        try:
            for header, body in self._framers[side].frames(data):
                packet = decode(header, body, self.version)
                yield self._seen(packet, frame(header >> 4, header & 0x0F, body))
        except WireError:
            self._broken.add(side)

    def _seen(self, packet: Packet, raw: bytes) -> Seen:
        match packet:
            case Connect(version=version):
                self.version = version
            case Connack():
                if packet.server_version is not None:
                    self.version = packet.server_version
                if packet.server_key:
                    try:
                        self.cipher = SessionCipher.agree(self._key_pair, packet.server_key, packet.salt)
                    except CryptoError:
                        self.cipher = None  # no client could read what follows either
            case Recv() | Send():
                return self._message(packet, raw)
        return Seen(packet, raw)

    def _message(self, packet: Recv | Send, raw: bytes) -> Seen:
        cipher = self.cipher
        if cipher is None or not packet.msg_key:
            return Seen(packet, raw, packet.payload)
        key = cipher.recv_msg_key(packet) if isinstance(packet, Recv) else cipher.send_msg_key(packet)
        try:
            plain = cipher.decrypt(packet.payload)
        except CryptoError:
            return Seen(packet, raw, None, holds=False)
        return Seen(packet, raw, plain, holds=key == packet.msg_key)
