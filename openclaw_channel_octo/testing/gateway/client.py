"""A client of a fake gateway."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import websockets
from websockets.asyncio.server import ServerConnection

__all__ = ["Client"]


class Client:
    """One connection that was let in."""

    def __init__(self, socket: ServerConnection, scopes: frozenset[str], caps: frozenset[str]) -> None:
        self.socket = socket
        self.scopes = scopes
        self.caps = caps
        self.subscribed = False
        self.seq = 0

    async def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame; to a client that is gone it goes nowhere."""
        with suppress(websockets.ConnectionClosed):
            await self.socket.send(json.dumps(frame))

    async def answer(self, request_id: str, payload: Mapping[str, Any] | Sequence[Any]) -> None:
        """Answer a request."""
        await self.send({"type": "res", "id": request_id, "ok": True, "payload": payload})

    async def refuse(
        self, request_id: str, error: Mapping[str, Any], payload: Mapping[str, Any] | None = None
    ) -> None:
        """Answer a request with an error."""
        more = {"payload": payload} if payload else {}
        await self.send({"type": "res", "id": request_id, "ok": False, **more, "error": error})

    async def tell(self, event: str, payload: Mapping[str, Any]) -> None:
        """Send an event under the connection's next number."""
        self.seq += 1
        await self.send({"type": "event", "event": event, "payload": payload, "seq": self.seq})
