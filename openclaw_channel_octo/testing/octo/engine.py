"""The WuKongIM half of the double: sockets, tokens, kicks and delivery, as 2.2.4 does it (protocol §12)."""

import asyncio
import secrets
import string
from collections import Counter
from collections.abc import Callable
from typing import Final

from aiohttp import WSMsgType, web
from msgspec.structs import replace

from openclaw_channel_octo.errors import RemoteProtocolError
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.testing.octo.records import Ack, Switches
from openclaw_channel_octo.testing.octo.session import Session
from openclaw_channel_octo.testing.octo.wire_server import (
    Sent,
    ServerConnection,
    ServerEvent,
)
from openclaw_channel_octo.testing.octo.world import ChatMessage, World
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.packets import Connect, Flags, Ping, ReasonCode, Recvack

__all__ = ["OTHER_DEVICE", "REGISTERED_AGAIN", "Delivery", "Engine"]

OTHER_DEVICE: Final = "login in other device"
"""What a connection is told that is displaced by another device id (protocol §4.4)."""

REGISTERED_AGAIN: Final = "账号在其他设备上登录"
"""What every connection is told when its token is registered again (protocol §14)."""

_APP: Final = 0
_FORBIDDEN_IN_UID: Final = frozenset("@#&")
_FATAL_PAYLOAD: Final = 1024 * 1024
_SALT_LETTERS: Final = string.ascii_letters + string.digits

Delivery = Callable[[Session], None]
"""Something put on one connection."""


class Engine:
    """Every connection, and what is sent over them.

    Args:
        world: who is who, and its clock.
        switches: how packets go out, and whether logins are refused.
        changed: called after everything a test may wait for.
        bad_token_delay_s: real seconds between a refused CONNECT and the end of its connection.
    """

    def __init__(
        self,
        world: World,
        switches: Switches,
        changed: Callable[[], None],
        *,
        bad_token_delay_s: float,
    ) -> None:
        self.acks: list[Ack] = []
        """Every RECVACK in order of arrival."""
        self.tokens: dict[str, str] = {}
        """Token of each uid the server takes at CONNECT."""
        self.thawed = asyncio.Event()
        """Set unless the server is frozen."""
        self.thawed.set()
        self.stopped = False
        """Whether no connection is taken."""
        self.to_lose: Counter[str] = Counter()
        """How many of the next messages to each account are stored without being pushed."""
        self._world = world
        self._switches = switches
        self._changed = changed
        self._bad_token_delay_s = bad_token_delay_s
        self._sessions: list[Session] = []
        self._early: dict[str, list[Delivery]] = {}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket until one side drops it."""
        await self.thawed.wait()
        transport = request.transport
        socket = web.WebSocketResponse(autoclose=False, compress=False)
        if transport is None:
            return socket
        if self.stopped:
            transport.abort()
            return socket
        await socket.prepare(request)
        session = Session(socket, transport, self._new_connection())
        self._sessions.append(session)
        try:
            async with asyncio.TaskGroup() as group:
                pump = group.create_task(session.pump(self.thawed, lambda: self._switches.split))
                await self._read(socket, session)
                pump.cancel()
        finally:
            session.drop()
            self._sessions.remove(session)
            self._changed()
        return socket

    def sessions(self, uid: str | None = None) -> list[Session]:
        """Return the connections that are logged in and not kicked, of one account or of all."""
        alive = [one for one in self._sessions if one.uid and not one.dead]
        return [one for one in alive if uid is None or one.uid == uid]

    def post(self, message: ChatMessage, *, sender: Session | None = None) -> None:
        """Deliver a message to everybody who is connected, and log it unless its flags say otherwise.

        Args:
            message: what to deliver.
            sender: the connection it came over, which does not get it back (protocol §4.5).
        """
        if len(message.payload) >= _FATAL_PAYLOAD:
            self.drop(None)  # the real server dies of it (protocol §14)
            return
        recipients = self._world.recipients(message)
        if not message.flags & Flags.NO_PERSIST and recipients:
            self._world.store(message)
        for uid in recipients:
            if self.to_lose[uid] > 0:
                self.to_lose[uid] -= 1
                continue
            echo = uid == message.from_uid
            seen = replace(message, flags=message.flags & ~Flags.RED_DOT) if echo else message
            for session in self.sessions(uid):
                if session is not sender:
                    session.deliver(seen, message.channel_for(uid))
        self._changed()

    def inject(self, uid: str, delivery: Delivery, *, before_connack: bool) -> None:
        """Put something on an account's connections, or keep it for the next one's handshake.

        Raises:
            RuntimeError: it is for now and the account is not connected.
        """
        if before_connack:
            self._early.setdefault(uid, []).append(delivery)
            return
        sessions = self.sessions(uid)
        if not sessions:
            raise RuntimeError(
                f"{uid} is not connected; wait for it first: octo.wait_for(lambda: octo.online(…))"
            )
        for session in sessions:
            delivery(session)

    def kick(self, uid: str, text: str | None) -> None:
        """Kick every connection of an account; they stay open and dead."""
        for session in self.sessions(uid):
            session.kick(text)
        self._changed()

    def drop(self, uid: str | None) -> None:
        """Break the TCP connections of an account or of all, kicked ones and those still logging in too."""
        for session in self._sessions:
            if uid in {None, session.uid}:
                session.drop()

    async def _read(self, socket: web.WebSocketResponse, session: Session) -> None:
        async for message in socket:
            await self.thawed.wait()
            if message.type not in {WSMsgType.BINARY, WSMsgType.TEXT}:
                return
            if session.dead:
                continue
            data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            try:
                events = session.connection.receive(data)
            except RemoteProtocolError:
                await self._refuse(session)
                return
            for event in events:
                if not await self._handle(session, event):
                    return
            session.flush()

    async def _handle(self, session: Session, event: ServerEvent) -> bool:
        """Act on what a client sent; return whether the connection goes on."""
        match event:
            case Connect() if self._switches.login_refusal is not None:
                session.connection.reject(self._switches.login_refusal)
            case Connect() as connect:
                if not self._may_connect(connect):
                    await self._refuse(session)
                    return False
                self._log_in(session, connect)
            case Recvack(message_id=message_id, message_seq=seq, flags=flags):
                session.acknowledged(message_id)
                ack = Ack(
                    at=self._world.clock.now(),
                    uid=session.uid,
                    message_id=str(message_id),
                    message_seq=seq,
                    flags=flags,
                )
                self.acks.append(ack)
            case Sent():
                self._on_sent(session, event)
            case Ping():
                pass
        self._changed()
        return True

    async def _refuse(self, session: Session) -> None:
        """Let a connection end as 2.2.4 does: without a word, some time later (protocol §4.3)."""
        if not session.uid:
            await asyncio.sleep(self._bad_token_delay_s)

    def _may_connect(self, connect: Connect) -> bool:
        wellformed = connect.uid and not _FORBIDDEN_IN_UID & set(connect.uid)
        known = self.tokens.get(connect.uid)
        return bool(wellformed and known and known == connect.token and connect.device_flag == _APP)

    def _log_in(self, session: Session, connect: Connect) -> None:
        for other in self.sessions(connect.uid):
            other.kick(OTHER_DEVICE if other.device_id != connect.device_id else None)
        session.uid, session.device_id = connect.uid, connect.device_id
        for delivery in self._early.pop(connect.uid, []):
            delivery(session)
        session.connection.accept(self._world.clock.wall_ms())

    def _on_sent(self, session: Session, event: Sent) -> None:
        send = event.send
        channel = ChannelRef(send.channel_id, send.channel_type)
        if event.plaintext is None:
            session.connection.confirm(send, reason=ReasonCode.PAYLOAD_DECODE_FAILED)
            return
        group = self._world.group_of(channel)
        if channel.type != ChannelType.PERSON and (group is None or session.uid not in group.members):
            session.connection.confirm(send, reason=ReasonCode.NOT_A_SUBSCRIBER)
            return
        message = self._world.compose(
            session.uid,
            channel,
            event.plaintext,
            flags=send.flags,
            client_msg_no=send.client_msg_no,
        )
        session.connection.confirm(send, message_id=message.message_id, message_seq=message.message_seq)
        self.post(message, sender=session)

    def _new_connection(self) -> ServerConnection:
        return ServerConnection(
            key_pair=KeyPair.from_private_bytes(secrets.token_bytes(32)),
            salt="".join(secrets.choice(_SALT_LETTERS) for _ in range(16)),
        )
