"""Servers that send the bots, and with them their tokens, to another server."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.host.gateway.host import GatewayHost
from openclaw_channel_octo.host.gateway.identity import DeviceFile
from openclaw_channel_octo.host.gateway.protocol import Login
from openclaw_channel_octo.host.gateway.sessions import SuccessorFile
from tests.runtime.rig import TOKEN, Rig
from tests.until import until


@asynccontextmanager
async def redirecting(there: str) -> AsyncIterator[str]:
    """Serve a redirect to ``there``; yield the authority."""
    answer = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {there}\r\n\r\n".encode()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve_one, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def thief(got: list[str | bytes]) -> AsyncIterator[str]:
    """Serve a WebSocket that keeps what it is told; yield the authority."""

    async def take(socket: ServerConnection) -> None:
        got.append("asked")
        got.append(await socket.recv())

    async with serve(take, "127.0.0.1", 0, close_timeout=0) as server:
        (listening,) = server.sockets
        yield f"127.0.0.1:{listening.getsockname()[1]}"


async def test_an_im_server_cannot_send_a_bots_token_to_another_server(
    fast_rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[str | bytes] = []
    caplog.set_level(logging.INFO)
    async with thief(got) as other, redirecting(f"ws://{other}/ws?t={TOKEN}") as authority:
        fast_rig.octo.ws_url_override = f"ws://{authority}/ws"
        await fast_rig.start_blind(fast_rig.config())
        expected = f"ws://{authority} redirects to ws://{other}, another server, which is not followed"
        await until(lambda: expected in caplog.text, expected)
    assert got == []
    assert TOKEN not in caplog.text


async def test_what_stands_at_a_gateways_address_cannot_send_its_token_to_another_server(
    tmp_path: Path,
) -> None:
    got: list[str | bytes] = []
    async with thief(got) as other, redirecting(f"ws://{other}/?t=hidden-thing") as authority:
        host = GatewayHost(
            successors=SuccessorFile(tmp_path / "sessions.json"),
            url=f"ws://{authority}",
            login=Login(scopes=("operator.read",), token="hidden-thing"),
            device=DeviceFile(tmp_path / "device.json"),
            clock=SystemClock(),
        )
        await host.start()
        why = host.connection.why
        await host.stop()
    assert f"ws://{authority} redirects to ws://{other}, another server, which is not followed" in why
    assert "hidden-thing" not in why
    assert got == []
