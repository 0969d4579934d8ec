"""What a running process answers over HTTP: whether it lives, whether its bots work, and its metrics."""

from collections.abc import Collection
from http import HTTPStatus
from typing import Protocol

from aiohttp import hdrs, web

from openclaw_channel_octo.control.health import Health
from openclaw_channel_octo.observe.listening import Bounds, HttpListener, only_known_hosts, server_log

__all__ = ["Exposition", "serve"]


class Exposition(Protocol):
    """Metrics as Prometheus reads them.

    Attributes:
        content_type: the form of the text.
    """

    content_type: str

    def text(self) -> bytes:
        """Return them as they are now."""
        ...


async def serve(
    host: str,
    port: int,
    names: Collection[str] = (),
    *,
    health: Health,
    metrics: Exposition | None = None,
) -> HttpListener:
    """Answer until the returned listener is closed; it knows its port.

    ``GET /healthz`` is 200 as long as the process' event loop runs. ``GET /readyz`` is 200 while every bot is online
    and the journal can be written, else 503 with one line for each reason. ``GET /metrics`` is there where ``metrics``
    is given.

    Args:
        host: the address to listen on.
        port: 0 for any free one.
        names: host names under which it may be asked besides the address and those of loopback.
        health: how the bots are.
        metrics: what is collected.

    Raises:
        OSError: nothing can listen there.
    """

    async def healthz(_: web.Request) -> web.Response:
        return _told("ok")

    async def readyz(_: web.Request) -> web.Response:
        troubles = health.troubles
        return _told(*troubles, status=HTTPStatus.SERVICE_UNAVAILABLE) if troubles else _told("ok")

    app = web.Application(middlewares=[only_known_hosts(host, names)])
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    if metrics is not None:
        meter = metrics

        async def answer(_: web.Request) -> web.Response:
            return web.Response(body=meter.text(), headers={hdrs.CONTENT_TYPE: meter.content_type})

        app.router.add_get("/metrics", answer)
    listener = HttpListener(app, Bounds(), logger=server_log(f"{__name__}.server"))
    await listener.start(host, port)
    return listener


def _told(*lines: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    text = "".join(f"{line}\n" for line in lines)
    return web.Response(status=status, text=text, headers={hdrs.CACHE_CONTROL: "no-store"})
