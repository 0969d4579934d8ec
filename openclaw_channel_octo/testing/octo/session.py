"""One client's WebSocket as the server sees it."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing.octo.records import Split
from openclaw_channel_octo.testing.octo.wire_server import Damage, ServerConnection
from openclaw_channel_octo.testing.octo.world import ChatMessage
from openclaw_channel_octo.wire.packets import Event, Flags, ReasonCode, Recv

__all__ = ["Session"]

_NEVER_RESENT: Final = Flags.NO_PERSIST | Flags.SYNC_ONCE


class Session:
    """The server's end of one WebSocket.

    Args:
        socket: the WebSocket, its handshake done.
        transport: the TCP connection below, broken without a close frame at the end (protocol §1.3).
        connection: the protocol's state.
    """

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport, connection: ServerConnection
    ) -> None:
        self.connection = connection
        self.uid = ""
        self.device_id = ""
        self.dead = False
        """Whether it was kicked: the socket stays open and nothing is answered (protocol §4.4)."""
        self._socket = socket
        self._transport = transport
        self._unacked: dict[int, bytes] = {}
        self._outbox: list[bytes] = []
        self._filled = asyncio.Event()

    def deliver(self, message: ChatMessage, channel: ChannelRef, damage: Damage | None = None) -> None:
        """Queue a RECV and keep it until it is acknowledged; nothing on a dead connection.

        Args:
            message: what to deliver; its flags go out as they are.
            channel: the conversation as this recipient sees it.
            damage: a fault to put into the encryption.
        """
        if self.dead:
            return
        recv = Recv(
            message_id=message.message_id,
            message_seq=message.message_seq,
            client_msg_no=message.client_msg_no,
            from_uid=message.from_uid,
            channel_id=channel.id,
            channel_type=channel.type,
            timestamp=message.timestamp,
            payload=message.payload,
            flags=message.flags,
            setting=message.setting,
            topic=message.topic,
        )
        self.connection.deliver(recv, damage)
        packets = self.flush()
        if not message.flags & _NEVER_RESENT:
            self._unacked[message.message_id] = packets[-1]

    def push(self, event: Event) -> None:
        """Queue an EVENT; nothing on a dead connection."""
        if not self.dead:
            self.connection.push(event)
            self.flush()

    def acknowledged(self, message_id: int) -> None:
        """Stop keeping a message."""
        self._unacked.pop(message_id, None)

    def resend(self) -> int:
        """Queue every un-acknowledged message again, byte for byte (protocol §4.6); return how many."""
        if self.dead:
            return 0
        self._outbox += self._unacked.values()
        self._filled.set()
        return len(self._unacked)

    def kick(self, text: str | None) -> None:
        """Make the connection dead.

        Args:
            text: the words of the DISCONNECT before; ``None`` for none at all.
        """
        if text is not None and not self.dead:
            self.connection.disconnect(ReasonCode.KICKED, text)
            self.flush()
        self.dead = True

    def drop(self) -> None:
        """Break the TCP connection, without a close frame."""
        self._transport.abort()

    def flush(self) -> list[bytes]:
        """Hand what the protocol has queued to `pump`; return those packets."""
        packets = self.connection.outgoing()
        self._outbox += packets
        self._filled.set()
        return packets

    async def pump(self, thawed: asyncio.Event, split: Callable[[], Split]) -> None:
        """Send what is queued, for as long as the socket lives.

        Args:
            thawed: nothing leaves while it is not set.
            split: asked before each sending how to cut the packets into messages.
        """
        while True:
            await self._filled.wait()
            await thawed.wait()
            self._filled.clear()
            packets, self._outbox = self._outbox, []
            try:
                for data in split().cut(packets):
                    await self._socket.send_bytes(data)
            except ConnectionResetError:
                return
