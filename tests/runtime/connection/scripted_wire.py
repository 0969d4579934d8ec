"""One bot and the far side of its connection in memory: sockets that answer as told, a bot API that counts."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import ApiError, AuthError, StoreError, TransportError, Unavailable
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.models import Registration
from openclaw_channel_octo.runtime.connection.link import MessageSink
from openclaw_channel_octo.runtime.connection.pace import LoginPace
from openclaw_channel_octo.runtime.connection.supervisor import ConnectionStatus, LinkState, Supervisor
from openclaw_channel_octo.runtime.received import Incoming, Outcome
from openclaw_channel_octo.testing.clock import ManualClock
from openclaw_channel_octo.testing.octo.wire_server import (
    ServerConnection,
    ServerEvent,
)
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.packets import Connect, Flags, Ping, Recvack
from tests.wire.vectors import RECV

UID, IM_TOKEN = "helper_bot", "im-token-0"
WALL_MS = 1_700_000_000_000
HOUR_S = 3_600
BAD_TOKEN = AuthError("register", "the bot token is refused", status=401)
DOWN = Unavailable("register", "a proxy answered in its place", status=503)
NOBODY = TransportError("cannot open a WebSocket to ws://octo.test/ws: connection refused")
_KEYS = KeyPair.from_private_bytes(bytes(range(32)))


class Ends:
    """Both ends of one connection in memory; the client's end is a `Transport`."""

    def __init__(self) -> None:
        self.server = ServerConnection(key_pair=_KEYS, salt="0123456789abcdef")
        self.mute = False
        """Whether the server ignores everything, on a socket that stays open."""
        self.closed = False
        """Whether the client has closed its end."""
        self.dropped = False
        self._arriving: asyncio.Queue[bytes | None] = asyncio.Queue()

    def took(self, event: ServerEvent) -> None:
        """Do what the server does about something the client sent."""

    async def send(self, data: bytes) -> None:
        if self.closed or self.dropped:
            raise TransportError("the connection is closed")
        if self.mute:
            return
        for event in self.server.receive(data):
            self.took(event)
        self.flush()

    async def receive(self) -> bytes:
        data = await self._arriving.get()
        if data is None:
            raise TransportError("the server closed the connection")
        return data

    async def close(self) -> None:
        self.closed = True
        self._arriving.put_nowait(None)

    def drop(self) -> None:
        """End the connection without a word."""
        self.dropped = True
        self._arriving.put_nowait(None)

    def push_bytes(self, data: bytes) -> None:
        self._arriving.put_nowait(data)

    def flush(self) -> None:
        for packet in self.server.outgoing():
            self._arriving.put_nowait(packet)


class Wire(Ends):
    """A connection whose server is scripted.

    Args:
        answer: what the server does when CONNECT has arrived.
    """

    def __init__(self, answer: "Answer") -> None:
        super().__init__()
        self.seen: list[ServerEvent] = []
        """What the client sent, in order."""
        self._answer = answer

    def took(self, event: ServerEvent) -> None:
        self.seen.append(event)
        if isinstance(event, Connect):
            self._answer(self)

    def kick(self, text: str = "login in other device") -> None:
        """Send DISCONNECT and leave the socket open and dead (protocol §4.4)."""
        self.server.disconnect(text=text)
        self.flush()
        self.mute = True

    def push(self, number: int, payload: bytes = b"{}", flags: Flags = Flags.RED_DOT) -> None:
        """Send a message of a group, with ``number`` as its id and sequence number."""
        identity = {"message_id": number, "message_seq": number, "client_msg_no": str(number)}
        recv = replace(RECV, **identity, timestamp=WALL_MS // 1000, payload=payload, flags=flags)
        self.server.deliver(recv)
        self.flush()

    @property
    def unread(self) -> int:
        """How many packets the client has not read yet."""
        return self._arriving.qsize()

    @property
    def acks(self) -> list[int]:
        """Ids of the messages the client has acknowledged, in order."""
        return [event.message_id for event in self.seen if isinstance(event, Recvack)]

    @property
    def pings(self) -> int:
        return sum(isinstance(event, Ping) for event in self.seen)


Answer = Callable[[Wire], None]


def accept(wire: Wire) -> None:
    """Let the client in."""
    wire.server.accept(WALL_MS)


def ignore(wire: Wire) -> None:
    """Never send CONNACK."""
    wire.mute = True


def drop(wire: Wire) -> None:
    """Do what 2.2 servers do with a bad token, only at once: end the connection without a word (protocol §4.3)."""
    wire.drop()


def reject(reason: int) -> Answer:
    """Return the answer of a server that refuses with a reason code."""
    return lambda wire: wire.server.reject(reason)


def kick_after_connack(wire: Wire) -> None:
    """Let the client in and kick it at once, as two processes with one bot do to each other."""
    wire.server.accept(WALL_MS)
    wire.kick()


def lose_after_connack(wire: Wire) -> None:
    """Let the client in and break the connection at once."""
    wire.server.accept(WALL_MS)
    wire.flush()
    wire.drop()


class Network:
    """Opens wires, and remembers when.

    Args:
        clock: tells when.
    """

    def __init__(self, clock: Clock) -> None:
        self.script: list[Answer | TransportError] = []
        """What the next sockets meet, an error to open none; after these, `usual`."""
        self.usual: Answer | TransportError = accept
        self.wires: list[Wire] = []
        self.urls: list[str] = []
        self.opened_at: list[float] = []
        self.hang = False
        """Whether opening a socket never ends."""
        self._clock = clock

    async def open(self, url: str) -> Wire:
        self.urls.append(url)
        self.opened_at.append(self._clock.now())
        if self.hang:
            await asyncio.Event().wait()
        answer = self.script.pop(0) if self.script else self.usual
        if isinstance(answer, TransportError):
            raise answer
        self.wires.append(Wire(answer))
        return self.wires[-1]

    @property
    def waits(self) -> list[float]:
        """Seconds between one attempt to open a socket and the next."""
        return [later - earlier for earlier, later in zip(self.opened_at, self.opened_at[1:], strict=False)]


class CountingApi(BotApi):
    """A bot API that only registers, as scripted.

    Args:
        clock: tells when.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(base_url="http://octo.test", token=SecretStr("bf_0123456789abcdef"), clock=clock)
        self.script: list[ApiError] = []
        """Errors of the next calls; after these, `usual`."""
        self.usual: ApiError | None = None
        self.registered_at: list[float] = []
        self.hang = False
        """Whether a call never ends."""
        self._counted_by = clock

    async def register(self, agent_version: str = "", plugin_version: str = "") -> Registration:
        self.registered_at.append(self._counted_by.now())
        if self.hang:
            await asyncio.Event().wait()
        error = self.script.pop(0) if self.script else self.usual
        if error is not None:
            raise error
        token = SecretStr(f"im-token-{len(self.registered_at)}")
        return Registration(robot_id=UID, im_token=token, ws_url="ws://octo.test/ws")


class FullDisk:
    """An intake whose disk may be full."""

    def __init__(self) -> None:
        self.full = False

    async def commit(self, events: Sequence[Incoming]) -> Sequence[Outcome]:
        if self.full:
            raise StoreError("the disk is full: make room", retryable=True)
        return []

    def dispatch(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing is asked for."""


class Account:
    """A supervised bot, its server in memory, and its clock."""

    def __init__(
        self, *, jitter: float = 1.0, ws_url: str | None = None, beside: "Account | None" = None
    ) -> None:
        """Make a bot; ``beside`` another it has clock, network and pace of that one."""
        self.clock: ManualClock = beside.clock if beside else ManualClock(wall_ms=WALL_MS, jitter=jitter)
        self.network: Network = beside.network if beside else Network(self.clock)
        self.pace: LoginPace = beside.pace if beside else LoginPace(self.clock)
        self.api = CountingApi(self.clock)
        self.intake = FullDisk()
        self.prepared: list[Registration] = []
        self.connected: list[float] = []
        self.supervisor = Supervisor(
            api=self.api,
            clock=self.clock,
            open_transport=self.network.open,
            device_id="device",
            ws_url=ws_url,
            pace=self.pace,
            prepare=self._prepare,
            connected=lambda _: self.connected.append(self.clock.now()),
            log=BotLog(logging.getLogger("test"), "helper"),
        )
        self.running: asyncio.Task[None] | None = None

    async def start(self, seconds: float = 0) -> None:
        """Start it and let so much time pass."""
        self.running = asyncio.create_task(self.supervisor.run())
        await self.clock.settle()
        if seconds:
            await self.clock.advance(seconds)

    async def stop(self) -> None:
        """Cancel it; it has to be gone when time has settled."""
        assert self.running is not None
        self.running.cancel()
        await self.clock.settle()
        assert self.running.done()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert all(wire.closed for wire in self.network.wires)

    @property
    def status(self) -> ConnectionStatus:
        return self.supervisor.status

    @property
    def tokens(self) -> list[str]:
        """The token of each CONNECT."""
        seen = [event for wire in self.network.wires for event in wire.seen]
        return [event.token for event in seen if isinstance(event, Connect)]

    async def _prepare(self, registration: Registration) -> MessageSink:
        self.prepared.append(registration)
        return self.intake


@asynccontextmanager
async def supervised(account: Account) -> AsyncIterator[Account]:
    await account.start()
    yield account
    await account.stop()


def seconds(status: ConnectionStatus) -> float:
    """Return since when the state is what it is, on the manual clock."""
    return (status.since_ms - WALL_MS) / 1000


def assert_status(bot: Account, state: LinkState, since_s: float, why: str) -> None:
    assert (bot.status.state, seconds(bot.status)) == (state, since_s)
    assert why in bot.status.why
