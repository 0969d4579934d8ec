"""An HTTP server on this machine that nobody can use up, and that web pages of others cannot ask."""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import cast
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.http import HttpProcessingError
from aiohttp.log import server_logger
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct

__all__ = ["Bounds", "HttpListener", "only_known_hosts", "server_log"]

SHUTDOWN_S = 1.0
"""How long a request under way may take once the server is closed."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  # compared, not bound


class Bounds(Struct, frozen=True, kw_only=True):
    """What the clients of a server may take together.

    Attributes:
        connections: most at the same time.
        idle_s: real seconds a connection may take for the head of a request, and stay open between two.
        received: most bytes from one connection, its requests together.
        line: most bytes of a request's first line, and of one of its headers.
    """

    connections: int = 16
    idle_s: float = 10.0
    received: int = 64 * 1024
    line: int = 8_190


class HttpListener:
    """Serves an application until it is closed.

    A connection beyond the bound ends the oldest one that is not being served; where all are, it is ended itself. So
    clients that connect and say nothing do not keep others out.

    Args:
        app: the application, not yet started.
        bounds: see `Bounds`.
        logger: takes what the server has to say.
        shutdown_s: real seconds a request under way may take once the server is closed.
    """

    def __init__(
        self,
        app: web.Application,
        bounds: Bounds,
        *,
        logger: logging.Logger = server_logger,
        shutdown_s: float = SHUTDOWN_S,
    ) -> None:
        self._served: Counter[asyncio.BaseTransport | None] = Counter()
        app.middlewares.append(self._noted)
        self._bounds = bounds
        self._runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=bounds.idle_s,
            max_line_size=bounds.line,
            max_field_size=bounds.line,
            shutdown_timeout=shutdown_s,
            logger=logger,
        )
        self._open: dict[_Connection, None] = {}  # oldest first
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Begin to listen.

        Raises:
            OSError: nothing can listen there.
        """
        await self._runner.setup()
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Connection(self), host, port)
        except BaseException:  # a start that is cancelled leaves no runner behind either
            await self._runner.cleanup()
            raise

    @property
    def port(self) -> int:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("the server is not started")
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End every connection, and listen no longer."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self._runner.cleanup()
        for connection in list(self._open):
            connection.end()

    def _admitted(self, connection: "_Connection") -> asyncio.Protocol | None:
        """Return who serves a connection, ``None`` for one too many."""
        if len(self._open) >= self._bounds.connections:
            waiting = (other for other in self._open if not self._served[other.transport])
            if (oldest := next(waiting, None)) is None:
                return None
            del self._open[oldest]
            oldest.end()
        self._open[connection] = None
        server = self._runner.server
        return None if server is None else server()

    @web.middleware
    async def _noted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        transport = request.transport
        self._served[transport] += 1
        try:
            return await handler(request)
        finally:
            self._served[transport] -= 1
            if not self._served[transport]:
                del self._served[transport]


class _Connection(asyncio.Protocol):
    """One connection, handed on to who serves it, if it is admitted."""

    def __init__(self, listener: HttpListener) -> None:
        self._listener = listener
        self._left = listener._bounds.received  # noqa: SLF001  # two halves of one thing
        self._inner = asyncio.Protocol()  # it does nothing
        self.transport: asyncio.Transport | None = None

    def end(self) -> None:
        """Close the connection at once, also where the other side does not read."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        inner = self._listener._admitted(self)  # noqa: SLF001  # as above
        if inner is None:
            self.end()
        else:
            self._inner = inner
            inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.end()
        else:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener._open.pop(self, None)  # noqa: SLF001  # as above
        self._inner.connection_lost(exc)
        self._inner = asyncio.Protocol()


def server_log(name: str) -> logging.Logger:
    """Return the logger of a name, for a server whose clients are not to fill the log with what is no HTTP."""
    logger = logging.getLogger(name)
    logger.addFilter(_is_of_ours)
    return logger


def _is_of_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def only_known_hosts(listen: str, names: Collection[str] = ()) -> Middleware:
    """Return what refuses requests for names that are not this server's.

    A page on the web can have its own name lead to this machine, and then read what is answered (DNS rebinding); its
    requests still carry that name.

    Args:
        listen: the address that is listened on; where that is every address, any address is known, and no name.
        names: more that are known.
    """
    known = _LOOPBACK | {listen.lower()} | {name.lower() for name in names}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = request.headers.get(hdrs.HOST)  # only old clients that are no browsers send none
        if asked is None or (name := _name_of(asked)) in known or (listen in _ANYWHERE and _is_address(name)):
            return await handler(request)
        return web.Response(status=HTTPStatus.FORBIDDEN, text="this server is not known by that name\n")

    return check


def _name_of(host: str) -> str:
    with suppress(ValueError):
        return urlsplit(f"//{host}").hostname or ""
    return ""


def _is_address(name: str) -> bool:
    with suppress(ValueError):
        return bool(ip_address(name))
    return False
