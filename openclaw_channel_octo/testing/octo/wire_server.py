"""The server side of a connection, without I/O, as 2.2.4 behaves (protocol §12); for the test double.

Over 350 lines: one state machine, the counterpart of `wire.client`.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from openclaw_channel_octo.errors import CryptoError, LocalProtocolError, RemoteProtocolError
from openclaw_channel_octo.wire.buffer import Framer
from openclaw_channel_octo.wire.codec import decode, encode
from openclaw_channel_octo.wire.crypto import KeyPair, SessionCipher
from openclaw_channel_octo.wire.packets import (
    Connack,
    Connect,
    Disconnect,
    Event,
    Packet,
    PacketType,
    Ping,
    Pong,
    ReasonCode,
    Recv,
    Recvack,
    Send,
    Sendack,
    Sub,
)
from openclaw_channel_octo.wire.state import ConnectionState, Step, advance

__all__ = [
    "Damage",
    "Sent",
    "ServerConnection",
    "ServerEvent",
]

_NAMES_VERSION_SINCE: Final = 4
_PING: Final = int(PacketType.PING) << 4


class Damage(StrEnum):
    """Faults `ServerConnection.deliver` can put into a RECV."""

    MSG_KEY = "msg_key"
    """A message key that does not match."""
    CIPHERTEXT = "ciphertext"
    """A ciphertext cut short under a message key that matches it."""


class Sent(Struct, frozen=True, kw_only=True):
    """The client sent a message.

    Attributes:
        send: the packet.
        plaintext: its payload decrypted, ``None`` where there is a problem.
        problem: what is wrong with its key or ciphertext, empty where nothing is.
    """

    send: Send
    plaintext: bytes | None
    problem: str = ""


ServerEvent = Connect | Recvack | Ping | Sent
"""What a client did.

It wants in: answer with `ServerConnection.accept` or `reject`, or not at all. It has taken a message over. It pinged:
the PONG is already queued. It sent a message.
"""


class ServerConnection:
    """One client's connection, from its CONNECT to its end.

    Args:
        key_pair: the server's keys.
        salt: 16 characters; the client takes its initialisation vector from it.
        node_id: what CONNACK says.
        max_version: highest protocol version to negotiate.
        encrypt: whether payloads are encrypted.
    """

    def __init__(
        self,
        *,
        key_pair: KeyPair,
        salt: str,
        node_id: int = 1001,
        max_version: int = 5,
        encrypt: bool = True,
    ) -> None:
        self._key_pair = key_pair
        self._salt = salt
        self._node_id = node_id
        self._max_version = max_version
        self._encrypt = encrypt
        self.state = ConnectionState.NEW
        """Where the connection stands."""
        self._framer = Framer()
        self._outgoing: list[bytes] = []
        self._connect: Connect | None = None
        self._version = max_version
        self._cipher: SessionCipher | None = None

    def receive(self, data: bytes) -> list[ServerEvent]:
        """Take bytes that arrived and return what they mean, in order; nothing once CLOSED.

        Raises:
            RemoteProtocolError: bytes that are not the protocol, or something a client must not send there.
                The connection is CLOSED: drop the transport without a packet, as servers do.
        """
        events: list[ServerEvent] = []
        if self.state is ConnectionState.CLOSED:
            return events
        try:
            for packet in self._framer.frames(data):
                event = self._on_frame(*packet)
                if event is not None:
                    events.append(event)
        except RemoteProtocolError:
            self.state = advance(self.state, Step.END)
            raise
        return events

    def accept(self, timestamp_ms: int) -> None:
        """Queue the successful CONNACK.

        Args:
            timestamp_ms: the server's Unix time in milliseconds.

        Raises:
            LocalProtocolError: no client is waiting for an answer.
        """
        connect = self._require_connect()
        self.state = advance(self.state, Step.ACCEPT)
        modern = connect.version >= _NAMES_VERSION_SINCE
        self._queue(
            Connack(
                reason_code=ReasonCode.SUCCESS,
                time_diff=timestamp_ms - connect.client_timestamp,
                server_key=self._key_pair.public_b64 if self._cipher else "",
                salt=self._salt if self._cipher else "",
                server_version=self._version if modern else None,
                node_id=self._node_id if modern else None,
            )
        )

    def reject(self, reason: int) -> None:
        """Queue a CONNACK that refuses the client, as 1.x servers encode it; the connection is CLOSED.

        Servers of the 2.2 line never send one: they say nothing and drop the transport (protocol §4.3).

        Args:
            reason: a `ReasonCode` other than success.

        Raises:
            LocalProtocolError: no CONNECT has arrived, or the connection has ended.
        """
        self._require_connect()
        self.state = advance(self.state, Step.END)
        self._queue(Connack(reason_code=reason))

    def deliver(self, recv: Recv, damage: Damage | None = None) -> None:
        """Queue a RECV, encrypted and with its message key; possible as soon as CONNECT has arrived.

        The same arguments give the same bytes, as the copies a server sends again are (protocol §4.6).

        Args:
            recv: the packet with its payload in plaintext; on 2.2 `Setting.NO_ENCRYPT` changes nothing.
            damage: a fault to put in; needs encryption.

        Raises:
            LocalProtocolError: no CONNECT has arrived, the connection has ended, a field does not fit, or
                there is no encryption to damage.
        """
        self._require_connect()
        self._queue(self._seal(recv, damage))

    def push(self, event: Event) -> None:
        """Queue an EVENT.

        Raises:
            LocalProtocolError: no CONNECT has arrived, the connection has ended, or a field does not fit.
        """
        self._require_connect()
        self._queue(event)

    def confirm(
        self, send: Send, *, message_id: int = 0, message_seq: int = 0, reason: int = ReasonCode.SUCCESS
    ) -> None:
        """Queue the SENDACK of a SEND, in 2.2's form without a tail.

        Args:
            send: the packet of the `Sent` event.
            message_id: the id the message got, 0 for a refused one.
            message_seq: its place in the channel's log, 0 when it was not stored.
            reason: a `ReasonCode`; 9 for a wrong key or ciphertext (protocol §3.4).

        Raises:
            LocalProtocolError: the session is not up, or a field does not fit.
        """
        self._require_connect()
        self._queue(
            Sendack(
                message_id=message_id,
                message_seq=message_seq,
                client_seq=send.client_seq,
                reason_code=reason,
                flags=send.flags,
            )
        )

    def disconnect(self, reason: int = ReasonCode.KICKED, text: str = "") -> None:
        """Queue DISCONNECT; the connection is CLOSED and answers nothing more (protocol §4.4).

        Args:
            reason: a `ReasonCode`; 12 is a kick.
            text: words for it.

        Raises:
            LocalProtocolError: no CONNECT has arrived, or the connection has ended.
        """
        self._require_connect()
        self.state = advance(self.state, Step.END)
        self._queue(Disconnect(reason_code=reason, reason=text))

    def outgoing(self) -> list[bytes]:
        """Return the packets queued since the last call; each goes out as one WebSocket message."""
        packets, self._outgoing = self._outgoing, []
        return packets

    def _require_connect(self) -> Connect:
        if self._connect is None or self.state is ConnectionState.CLOSED:
            raise LocalProtocolError(
                "there is no client: CONNECT has not arrived, or the connection has ended"
            )
        return self._connect

    def _queue(self, packet: Packet) -> None:
        self._outgoing.append(encode(packet, self._version))

    def _on_frame(self, header: int, body: bytes) -> ServerEvent | None:
        if self.state is ConnectionState.NEW:
            return self._on_first_frame(header, body)
        if self.state is ConnectionState.HANDSHAKING:
            raise RemoteProtocolError("the client sent something between CONNECT and CONNACK")
        if header >> 4 == PacketType.PING and header != _PING:
            raise RemoteProtocolError("PING with flag bits, which servers may take for JSON")
        match decode(header, body, self._version):
            case Ping() as ping:
                self._queue(Pong())
                return ping
            case Recvack() as ack:
                return ack
            case Send() as send:
                return self._on_send(send)
            case Sub() | Event() | Disconnect():
                return None
            case packet:
                raise RemoteProtocolError(f"a client must not send {type(packet).__name__.upper()} here")

    def _on_first_frame(self, header: int, body: bytes) -> Connect:
        connect = decode(header, body, self._max_version)
        if not isinstance(connect, Connect):
            raise RemoteProtocolError("the first packet is not CONNECT")
        if len(self._framer):
            raise RemoteProtocolError("something follows CONNECT in the same read")
        self._version = min(connect.version, self._max_version)
        if self._encrypt:
            self._cipher = self._agree(connect)
        self._connect = connect
        self.state = advance(self.state, Step.CONNECT)
        return connect

    def _agree(self, connect: Connect) -> SessionCipher:
        try:
            return SessionCipher.agree(self._key_pair, connect.client_key, self._salt)
        except CryptoError as error:
            raise RemoteProtocolError(f"no keys can be agreed with the client: {error}") from error

    def _on_send(self, send: Send) -> Sent:
        if self._cipher is None:
            return Sent(send=send, plaintext=send.payload)
        if self._cipher.send_msg_key(send) != send.msg_key:
            return Sent(send=send, plaintext=None, problem="the message key does not match")
        try:
            return Sent(send=send, plaintext=self._cipher.decrypt(send.payload))
        except CryptoError as error:
            return Sent(send=send, plaintext=None, problem=str(error))

    def _seal(self, recv: Recv, damage: Damage | None) -> Recv:
        if self._cipher is None:
            if damage is not None:
                raise LocalProtocolError("without encryption there is nothing to damage")
            return recv
        payload = self._cipher.encrypt(recv.payload)
        if damage is Damage.CIPHERTEXT:
            payload = payload[:-4]
        sealed = replace(recv, payload=payload)
        msg_key = self._cipher.recv_msg_key(sealed)
        return replace(sealed, msg_key=msg_key[::-1] if damage is Damage.MSG_KEY else msg_key)
