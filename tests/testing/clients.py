"""Clients of the double: REST over aiohttp, the socket over websockets and the real protocol core."""

import asyncio
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import aiohttp

from openclaw_channel_octo.errors import TransportError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.connection.transport import Transport, open_websocket
from openclaw_channel_octo.testing import OctoDouble
from openclaw_channel_octo.wire.buffer import Framer
from openclaw_channel_octo.wire.client import ClientConnection, Credentials
from openclaw_channel_octo.wire.codec import decode
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.events import Connected, ConnectionEvent, InboundMessage, Received
from openclaw_channel_octo.wire.packets import Packet

ANN, HELPER, TOKEN = "ann", "helper_bot", "bf_0123456789abcdef"
GROUP = ChannelRef("g1", 2)
LIMIT_S = 60.0
KEYS = KeyPair.from_private_bytes(bytes(range(32)))

E = TypeVar("E", bound=ConnectionEvent)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Api:
    """A bare HTTP client that sends what it is told, right or wrong."""

    def __init__(self, octo: OctoDouble) -> None:
        self._octo = octo
        self._session = aiohttp.ClientSession()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        url = path if path.startswith("http") else f"{self._octo.api_url}{path}"
        body = None if data is None else io.BytesIO(data)
        async with self._session.request(method, url, data=body, headers=headers) as response:
            return Reply(response.status, response.headers, await response.text())

    async def post(self, path: str, body: Any, token: str = TOKEN) -> Reply:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return await self.request("POST", path, data=json.dumps(body).encode(), headers=headers)

    async def get(self, path: str, token: str = TOKEN) -> Reply:
        return await self.request("GET", path, headers={"Authorization": f"Bearer {token}"})

    async def send(self, channel: ChannelRef, payload: Any, token: str = TOKEN) -> Reply:
        body = {"channel_id": channel.id, "channel_type": channel.type, "payload": payload}
        return await self.post("/v1/bot/sendMessage", body, token)


class Socket:
    """One client's socket: a real WebSocket below, the real protocol core above."""

    def __init__(self, transport: Transport, core: ClientConnection) -> None:
        self._transport = transport
        self._events: list[ConnectionEvent] = []
        self.core = core
        self.raw: list[bytes] = []
        """Every WebSocket message that came in."""

    async def flush(self) -> None:
        if data := self.core.outgoing():
            await self._transport.send(data)

    async def send(self, data: bytes) -> None:
        await self._transport.send(data)

    async def packet(self, number: int) -> Packet:
        """Return the packet of the WebSocket message with that number, waiting for it."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.raw) <= number:
                await self._read()
        return decode(*next(Framer().frames(self.raw[number])), 5)

    async def event(self, kind: type[E]) -> E:
        """Return the next event, which has to be of that kind."""
        async with asyncio.timeout(LIMIT_S):
            while not self._events:
                await self._read()
        event = self._events.pop(0)
        assert isinstance(event, kind), event
        return event

    async def message(self) -> InboundMessage:
        return (await self.event(Received)).message

    async def payload(self) -> Any:
        return json.loads((await self.message()).payload)

    async def ack(self, message: InboundMessage) -> None:
        self.core.acknowledge(message.message_id, message.message_seq, message.flags)
        await self.flush()

    async def ping(self) -> None:
        await self._transport.send(b"\x70")

    async def heard(self) -> int:
        """Return how many packets came in since the last look."""
        await self.ping()
        seen = len(self.raw)
        async with asyncio.timeout(LIMIT_S):
            while b"\x80" not in self.raw[seen:]:
                await self._read()
        return len(self.raw) - seen - 1

    async def pong(self) -> None:
        """Ping, and wait until the answer is in; nothing else may come in before it."""
        assert await self.heard() == 0, self._events

    async def ended(self) -> bool:
        """Return once the server has dropped the connection."""
        async with asyncio.timeout(LIMIT_S):
            try:
                while True:
                    await self._read()
            except TransportError:
                return True

    async def silent(self) -> bool:
        """Return whether nothing comes for a little while."""
        try:
            async with asyncio.timeout(0.005):
                await self._read()
        except TimeoutError:
            return True
        return False

    async def close(self) -> None:
        await self._transport.close()

    async def _read(self) -> None:
        data = await self._transport.receive()
        self.raw.append(data)
        self._events += self.core.receive(data, 0.0)


class Sockets:
    """Opens sockets and closes them all at the end."""

    def __init__(self, octo: OctoDouble) -> None:
        self._octo = octo
        self._open: list[Socket] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for socket in self._open:
            await socket.close()

    async def open(
        self,
        uid: str = HELPER,
        token: str = TOKEN,
        *,
        device_id: str = "dev-1",
        device_flag: int = 0,
        version: int = 5,
    ) -> Socket:
        """Open a socket and send CONNECT."""
        credentials = Credentials(
            uid=uid, token=token, device_id=device_id, device_flag=device_flag, version=version
        )
        core = ClientConnection(credentials, KEYS)
        socket = Socket(await open_websocket(self._octo.ws_url), core)
        self._open.append(socket)
        core.connect(0, 0.0)
        await socket.flush()
        return socket

    async def connected(self, uid: str = HELPER, token: str = TOKEN, *, device_id: str = "dev-1") -> Socket:
        """Open a socket and log in."""
        socket = await self.open(uid, token, device_id=device_id)
        await socket.event(Connected)
        return socket
