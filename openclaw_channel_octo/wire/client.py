"""The client side of a connection, without I/O: bytes and time in, events and bytes out (protocol §4).

Over 350 lines: one state machine from CONNECT to the end.
"""

from typing import ClassVar, Final

from msgspec import Struct

from openclaw_channel_octo.errors import CryptoError, LocalProtocolError, RemoteProtocolError
from openclaw_channel_octo.values import SecretStruct
from openclaw_channel_octo.wire.buffer import Framer
from openclaw_channel_octo.wire.codec import decode, encode
from openclaw_channel_octo.wire.crypto import KeyPair, SessionCipher
from openclaw_channel_octo.wire.events import (
    Connected,
    ConnectionEvent,
    InboundMessage,
    Kicked,
    Pushed,
    Received,
    Rejected,
    Silent,
    Undecodable,
)
from openclaw_channel_octo.wire.packets import (
    HIGHEST_VERSION,
    Connack,
    Connect,
    Disconnect,
    Event,
    Flags,
    PacketType,
    Ping,
    ReasonCode,
    Recv,
    Recvack,
)
from openclaw_channel_octo.wire.state import ConnectionState, Step, advance

__all__ = [
    "CONNACK_TIMEOUT",
    "MAX_EARLY_BYTES",
    "MAX_EARLY_PACKETS",
    "PING_INTERVAL",
    "SILENCE_LIMIT",
    "ClientConnection",
    "ConnectionState",
    "Credentials",
    "Timers",
]

PING_INTERVAL: Final = 30.0
"""Seconds between PINGs (protocol §4.2)."""

SILENCE_LIMIT: Final = 70.0
"""Seconds without any inbound byte that mean a dead connection: two pings and a grace (protocol §4.2)."""

CONNACK_TIMEOUT: Final = 8.0
"""Seconds to wait for CONNACK; above the 6 s after which 2.2 servers drop bad credentials (protocol §4.2)."""

MAX_EARLY_PACKETS: Final = 256
"""How many RECV and EVENT packets are kept until CONNACK (protocol §4.1)."""

MAX_EARLY_BYTES: Final = 4 * 1024 * 1024
"""How many bytes of them are kept (protocol §4.1)."""

_KEPT: Final = frozenset({int(PacketType.RECV), int(PacketType.EVENT)})
_USED: Final = frozenset({int(PacketType.CONNACK), int(PacketType.DISCONNECT)}) | _KEPT
_ACK_FLAGS: Final = tuple(
    Flags(bits) & (Flags.NO_PERSIST | Flags.RED_DOT | Flags.SYNC_ONCE) for bits in range(16)
)
_NEW: Final = ConnectionState.NEW
_HANDSHAKING: Final = ConnectionState.HANDSHAKING
_CLOSED: Final = ConnectionState.CLOSED


class Timers(Struct, frozen=True, kw_only=True):
    """The periods of a connection, in seconds."""

    ping_interval: float = PING_INTERVAL
    silence_limit: float = SILENCE_LIMIT
    connack_timeout: float = CONNACK_TIMEOUT


class Credentials(SecretStruct, frozen=True, kw_only=True):
    """Who connects.

    Attributes:
        uid: the account.
        token: its secret; never shown in ``repr``.
        device_id: stable for the installation, so that a new connection replaces an old one (protocol §4.4).
        device_flag: the flag the token is registered for; bots use 0.
        version: highest protocol version to announce, 1 to 6.
    """

    HIDDEN: ClassVar = frozenset({"token"})

    uid: str
    token: str
    device_id: str
    device_flag: int = 0
    version: int = 5


class ClientConnection:
    """One connection from CONNECT to its end; a reconnect is a new object with a new key pair.

    The owner moves bytes: it sends what `outgoing` returns after `connect`, `acknowledge` and `tick`, feeds what
    arrives to `receive`, and calls `tick` when `deadline` has come. ``now`` is any clock in seconds that never goes
    back.

    Args:
        credentials: who connects.
        key_pair: fresh for this connection.
        timers: periods other than the protocol's recommendations, for tests.
    """

    def __init__(self, credentials: Credentials, key_pair: KeyPair, timers: Timers | None = None) -> None:
        if not 1 <= credentials.version <= HIGHEST_VERSION:
            raise LocalProtocolError(
                f"protocol version {credentials.version} cannot be announced; use 1 to 6"
            )
        self._credentials = credentials
        self._key_pair = key_pair
        self._timers = timers or Timers()
        self._state = ConnectionState.NEW
        self._framer = Framer()
        self._outgoing = bytearray()
        self._version = credentials.version
        self._cipher: SessionCipher | None = None
        self._early: list[tuple[int, bytes]] = []
        self._early_bytes = 0
        self._connect_sent = 0.0
        self._last_inbound = 0.0
        self._next_ping = 0.0

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands. CLOSED means: close the transport, nothing more will come of it."""
        return self._state

    def connect(self, timestamp_ms: int, now: float) -> None:
        """Queue CONNECT; call it as soon as the transport is open.

        Args:
            timestamp_ms: Unix time in milliseconds.
            now: monotonic seconds.

        Raises:
            LocalProtocolError: called before, or a credential that does not fit its field.
        """
        credentials = self._credentials
        connect = Connect(
            version=credentials.version,
            device_flag=credentials.device_flag,
            device_id=credentials.device_id,
            uid=credentials.uid,
            token=credentials.token,
            client_timestamp=timestamp_ms,
            client_key=self._key_pair.public_b64,
        )
        packet = encode(connect, credentials.version)
        self._state = advance(self._state, Step.CONNECT)
        self._outgoing += packet
        self._connect_sent = now

    def receive(self, data: bytes, now: float) -> list[ConnectionEvent]:
        """Take bytes that arrived and return what they mean, in order.

        After a kick, a rejection or silence the connection is CLOSED and later bytes mean nothing.

        Args:
            data: the next bytes of the stream, cut anywhere.
            now: monotonic seconds.

        Raises:
            RemoteProtocolError: the bytes are not the protocol. The connection is CLOSED; packets before the
                bad one in ``data`` are lost with it, none of them was acknowledged.
            LocalProtocolError: called before `connect`.
        """
        if self._state is _NEW:
            raise LocalProtocolError("bytes received before CONNECT was sent")
        events: list[ConnectionEvent] = []
        if self._state is _CLOSED or not data:
            return events
        self._last_inbound = now
        try:
            for header, body in self._framer.frames(data):
                self._on_frame(header, body, now, events)
                if self.state is _CLOSED:
                    break
        except RemoteProtocolError:
            self._end()
            raise
        return events

    def acknowledge(self, message_id: int, message_seq: int, flags: Flags) -> None:
        """Queue RECVACK for a message that is safe on this side (protocol §4.6).

        Does nothing once the connection is CLOSED: the server forgets with it what it waits for.

        Args:
            message_id: from the event.
            message_seq: from the event.
            flags: from the event; noPersist, redDot and syncOnce are copied into the packet.

        Raises:
            LocalProtocolError: called before the session is up.
        """
        if self._state is _CLOSED:
            return
        if self._state is not ConnectionState.READY:
            raise LocalProtocolError("acknowledged a message before CONNACK")
        ack = Recvack(message_id=message_id, message_seq=message_seq, flags=_ACK_FLAGS[flags])
        self._outgoing += encode(ack, self._version)

    def outgoing(self) -> bytes:
        """Return everything to send since the last call; send it as one whole WebSocket message."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def deadline(self) -> float | None:
        """Return when `tick` has something to do, monotonic seconds; ``None`` when nothing is pending."""
        match self._state:
            case ConnectionState.HANDSHAKING:
                return self._connect_sent + self._timers.connack_timeout
            case ConnectionState.READY:
                return min(self._next_ping, self._last_inbound + self._timers.silence_limit)
            case _:
                return None

    def tick(self, now: float) -> list[ConnectionEvent]:
        """Queue a PING that is due; return `Silent` when the server has been quiet for too long.

        Args:
            now: monotonic seconds; calling too early does no harm.
        """
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return []
        if self._state is _HANDSHAKING:
            return self._fall_silent(now - self._connect_sent)
        if now >= self._last_inbound + self._timers.silence_limit:
            return self._fall_silent(now - self._last_inbound)
        self._outgoing += encode(Ping(), self._version)
        self._next_ping = now + self._timers.ping_interval
        return []

    def touch(self, now: float) -> None:
        """Count as life of the peer that the owner itself did not read for a while.

        Args:
            now: monotonic seconds at which it reads again.
        """
        self._last_inbound = max(self._last_inbound, now)

    def _end(self) -> None:
        self._state = advance(self._state, Step.END)
        self._early.clear()

    def _fall_silent(self, seconds: float) -> list[ConnectionEvent]:
        self._end()
        return [Silent(seconds=seconds)]

    def _on_frame(self, header: int, body: bytes, now: float, events: list[ConnectionEvent]) -> None:
        kind = header >> 4
        if kind not in _USED:
            return
        early = self._state is _HANDSHAKING
        if early and kind in _KEPT:
            self._keep(header, body)
            return
        match decode(header, body, self._version):
            case Recv() as recv:
                events.append(self._open(recv))
            case Event() as event:
                events.append(Pushed(event=event))
            case Disconnect() as disconnect:
                self._end()
                events.append(Kicked(reason=disconnect.reason_code, text=disconnect.reason))
            case Connack() as connack if early:
                self._on_connack(connack, now, events)
            case _:
                raise RemoteProtocolError("a second CONNACK")

    def _keep(self, header: int, body: bytes) -> None:
        self._early_bytes += len(body)
        if len(self._early) >= MAX_EARLY_PACKETS or self._early_bytes > MAX_EARLY_BYTES:
            raise RemoteProtocolError("too many messages before CONNACK")
        self._early.append((header, body))

    def _on_connack(self, connack: Connack, now: float, events: list[ConnectionEvent]) -> None:
        if connack.reason_code != ReasonCode.SUCCESS:
            self._end()
            events.append(Rejected(reason=connack.reason_code))
            return
        if connack.server_version is not None:
            self._version = connack.server_version
        if self._version > HIGHEST_VERSION:
            raise RemoteProtocolError(f"the server chose protocol version {self._version}, which is unknown")
        if connack.server_key:
            self._cipher = self._agree(connack)
        self._state = advance(self._state, Step.ACCEPT)
        self._next_ping = now + self._timers.ping_interval
        events.append(
            Connected(
                server_version=self._version,
                time_diff_ms=connack.time_diff,
                node_id=connack.node_id,
                encrypted=self._cipher is not None,
            )
        )
        for header, body in self._early:
            self._on_frame(header, body, now, events)
        self._early.clear()

    def _agree(self, connack: Connack) -> SessionCipher:
        try:
            return SessionCipher.agree(self._key_pair, connack.server_key, connack.salt)
        except CryptoError as error:
            raise RemoteProtocolError(f"no keys can be agreed with the server: {error}") from error

    def _open(self, recv: Recv) -> Received | Undecodable:
        try:
            payload = recv.payload if self._cipher is None else self._cipher.open(recv)
        except CryptoError as error:
            return Undecodable(
                message_id=recv.message_id,
                message_seq=recv.message_seq,
                flags=recv.flags,
                client_msg_no=recv.client_msg_no,
                from_uid=recv.from_uid,
                channel_id=recv.channel_id,
                channel_type=recv.channel_type,
                problem=str(error),
            )
        return Received(
            at=self._last_inbound,
            message=InboundMessage(
                message_id=recv.message_id,
                message_seq=recv.message_seq,
                client_msg_no=recv.client_msg_no,
                from_uid=recv.from_uid,
                channel_id=recv.channel_id,
                channel_type=recv.channel_type,
                timestamp=recv.timestamp,
                payload=payload,
                expire=recv.expire,
                setting=recv.setting,
                flags=recv.flags,
                topic=recv.topic,
                stream=recv.stream,
            ),
        )
