"""The chat's tools by MCP over HTTP, on this machine alone; needs the extra ``mcp``.

Streamable HTTP of the Model Context Protocol without sessions: each request is whole, is answered by one JSON
document, and brings the ticket of the run for which it asks. Nothing is kept between two requests.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web
from anyio.lowlevel import checkpoint
from httpx2 import ASGITransport, Request
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from msgspec import Struct

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.control.mcp import mcp_server
from openclaw_channel_octo.control.server import CALL_S, LINE_BYTES
from openclaw_channel_octo.errors import ControlError, OctoError, RequestDenied
from openclaw_channel_octo.observe.listening import Bounds, HttpListener, only_known_hosts, server_log
from openclaw_channel_octo.runtime.channel import OctoChannel

__all__ = ["HOST", "PATH", "serve_tools"]

HOST = "127.0.0.1"
"""Where it listens: nobody on another machine reaches it."""

PATH = "/mcp"

BODY_S = 10.0
"""How long a request's body may take."""

BOUNDS = Bounds(connections=128, received=64 * LINE_BYTES)
"""One connection of each of as many runs as go on by default, and some of those that ended."""

_NAMES = (HOST, "localhost", "[::1]")
_SECURITY = TransportSecuritySettings(
    allowed_hosts=[f"{name}:*" for name in _NAMES],
    allowed_origins=[f"http://{name}:*" for name in _NAMES],
)
_OF_THE_CONNECTION = frozenset(
    {"authorization", "connection", "content-encoding", "content-length", "transfer-encoding"}
)
"""Headers that are settled here: the body is whole, and the ticket goes no further."""


async def serve_tools(
    channel: OctoChannel, port: int, clock: Clock, hide: Callable[[str], str] = str
) -> HttpListener:
    """Answer until the returned listener is closed; it knows its port.

    ``POST /mcp`` takes one request with the ticket of a run under way as bearer token. Without one it is 401, whatever
    the request is.

    Args:
        channel: the bots.
        port: 0 for any free one.
        clock: time.
        hide: returns a text without secrets.

    Raises:
        OSError: nothing can listen there.
    """

    async def answer(request: web.Request) -> web.Response:
        scheme, _, ticket = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        try:
            channel.outbound_with(ticket if scheme.lower() == "bearer" else "")
        except RequestDenied as error:
            challenge = {hdrs.WWW_AUTHENTICATE: "Bearer"}
            return web.Response(status=HTTPStatus.UNAUTHORIZED, text=f"{error}\n", headers=challenge)
        except OctoError:
            pass  # the ticket is right; why nothing can be done now is for the tool to say
        try:
            body = await within(clock, BODY_S, request.read())
        except TimeoutError:
            return web.Response(status=HTTPStatus.REQUEST_TIMEOUT)
        return await _answered(request, body, _Desk(channel, ticket, clock), hide)

    await (
        checkpoint()
    )  # loads what anyio runs on: later there may be no descriptors left (docs/decisions/0025)
    app = web.Application(middlewares=[only_known_hosts(HOST)], client_max_size=LINE_BYTES)
    app.router.add_post(PATH, answer)
    listener = HttpListener(app, BOUNDS, logger=server_log(f"{__name__}.server"))
    await listener.start(HOST, port)
    return listener


class _Desk(Struct, frozen=True):
    """What one run may do, in the time that a call has."""

    channel: OctoChannel
    ticket: str
    clock: Clock

    async def answer(self, tool: str, parameters: Mapping[str, Any]) -> str:
        try:
            return await within(self.clock, CALL_S, self.channel.tools.answer(self.ticket, tool, parameters))
        except TimeoutError:
            raise ControlError("timeout", f"no answer within {CALL_S:.0f} s") from None


async def _answered(
    request: web.Request, body: bytes, desk: "_Desk", hide: Callable[[str], str]
) -> web.Response:
    """Have the library answer one request, with a server of its own that ends with it."""
    manager = StreamableHTTPSessionManager(
        mcp_server(desk.answer, hide),
        json_response=True,
        stateless=True,
        security_settings=_SECURITY,
        max_request_body_size=LINE_BYTES,
    )
    headers = [pair for pair in request.headers.items() if pair[0].lower() not in _OF_THE_CONNECTION]
    asked = Request(request.method, f"http://{HOST}{PATH}", headers=headers, content=body)
    async with manager.run():
        answer = await ASGITransport(manager.handle_request).handle_async_request(asked)
    kind = answer.headers.get(hdrs.CONTENT_TYPE)
    return web.Response(
        status=answer.status_code,
        body=await answer.aread(),
        headers={hdrs.CONTENT_TYPE: kind} if kind else None,
    )
