"""The socket below a connection: the contract and the WebSocket that fulfils it."""

import asyncio
import ssl
from typing import Protocol

import websockets
from websockets.asyncio.client import ClientConnection

from openclaw_channel_octo.errors import TransportError
from openclaw_channel_octo.rest.answers import Exchange
from openclaw_channel_octo.rest.network import reason_of
from openclaw_channel_octo.websocket import quiet, same_origin_connect

__all__ = ["Tap", "Transport", "TransportFactory", "open_websocket"]

OPEN_TIMEOUT_S = 10.0
"""Longest wait for TCP, TLS and the WebSocket handshake together (protocol §4.2)."""

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""Largest WebSocket message taken: a legal RECV passes the library's default of 1 MiB (protocol §14)."""


class Transport(Protocol):
    """An open socket that carries bytes both ways."""

    async def send(self, data: bytes) -> None:
        """Send ``data`` as one message. Raises `TransportError`."""
        ...

    async def receive(self) -> bytes:
        """Return the next bytes. Raises `TransportError` when the peer has closed."""
        ...

    async def close(self) -> None:
        """Close the socket at once; the peer's consent is not awaited."""
        ...


class TransportFactory(Protocol):
    """Opens transports."""

    async def __call__(self, url: str) -> Transport:
        """Open a socket to ``url`` or raise `TransportError`."""
        ...


class Tap(Protocol):
    """Sees what one bot sends and receives. Nothing it does may fail or wait."""

    def socket(self, transport: Transport, private_key: bytes) -> Transport:
        """Return the transport to use in place of a fresh one.

        Args:
            transport: open, nothing sent yet.
            private_key: the connection's X25519 key, 32 bytes.
        """
        ...

    def call(self, exchange: Exchange) -> None:
        """Take note of one REST call and its answer."""
        ...

    async def close(self) -> None:
        """End; the bot has stopped."""
        ...


async def open_websocket(url: str) -> Transport:
    """Open a WebSocket to a WuKongIM server, using the URL as it is (protocol §1.1).

    Raises:
        TransportError: nothing answers there within 10 s, what answers is no WebSocket, or it redirects to another
            server.
    """
    try:
        socket = await same_origin_connect(
            url,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=0,  # 2.2 never answers a close frame (protocol §14)
            ping_interval=None,  # the protocol has its own PING
            max_size=MAX_MESSAGE_BYTES,
            compression=None,
            proxy=None,
            logger=quiet,
        )
    except (
        OSError,
        TimeoutError,
        websockets.InvalidHandshake,
        EOFError,
    ) as error:  # some are also ValueErrors
        raise TransportError(f"cannot open a WebSocket to {_without_query(url)}: {_words(error)}") from error
    except (websockets.InvalidURI, ValueError):  # their words quote the whole URL
        raise TransportError(f"{_without_query(url) or 'an empty text'} is no WebSocket address") from None
    return _WebSocketTransport(socket)


class _WebSocketTransport:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, data: bytes) -> None:
        try:
            await self._socket.send(data)
        except websockets.ConnectionClosed as error:
            raise TransportError("the connection is closed") from error

    async def receive(self) -> bytes:
        try:
            data = await self._socket.recv(decode=False)
        except websockets.ConnectionClosed as error:
            raise TransportError("the server closed the connection") from error
        return data

    async def close(self) -> None:
        self._socket.transport.abort()
        await self._socket.wait_closed()


def _without_query(url: str) -> str:
    return url.partition("?")[0]


def _words(error: BaseException) -> str:
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return f"no answer within {OPEN_TIMEOUT_S:.0f} s"
    if isinstance(error, ssl.SSLError) or (isinstance(error, OSError) and error.errno):
        return reason_of(error)
    return str(error) or type(error).__name__
