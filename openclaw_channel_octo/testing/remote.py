"""The double's page and controls over HTTP, for people and for scripts in any language."""

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.testing.actions import ACTIONS
from openclaw_channel_octo.testing.double import OctoDouble
from openclaw_channel_octo.testing.view import state

__all__ = ["PREFIX", "Remote"]

PREFIX: Final = "/_double"
"""Where the controls are; nothing of Octo's own lies there."""

QUIET_S: Final = 0.1
"""Shortest time between two signs of change."""

_LOCAL: Final = frozenset({"127.0.0.1", "localhost"})


class Remote:
    """Serves a page and controls below `PREFIX` of the double's own address.

    ``GET /_double`` is the page, ``/_double/state`` the chat as JSON, ``/_double/changes`` a stream of server-sent
    events, one whenever something happened, ``/_double/actions`` what can be done; ``POST /_double/do/NAME`` does it.
    The double listens on loopback only, and requests of other sites' pages are refused.

    Args:
        octo: what is steered.
        clock: the one the double has.
    """

    def __init__(self, octo: OctoDouble, clock: Clock) -> None:
        self._octo = octo
        self._clock = clock

    def add_to(self, app: web.Application) -> None:
        """Register the controls."""
        pages = {"": self._show, "/state": self._state, "/changes": self._changes, "/actions": self._list}
        for path, handler in pages.items():
            app.router.add_get(PREFIX + path, _guarded(handler))
        app.router.add_post(PREFIX + "/do/{name}", _guarded(self._do))

    async def _show(self, _: web.Request) -> web.StreamResponse:
        page = files("openclaw_channel_octo.testing").joinpath("pages", "chat.html").read_text("utf-8")
        policy = (
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
        )
        headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def _state(self, _: web.Request) -> web.StreamResponse:
        return _json(state(self._octo, self._clock))

    async def _list(self, _: web.Request) -> web.StreamResponse:
        return _json({name: action.model_json_schema() for name, action in ACTIONS.items()})

    async def _changes(self, request: web.Request) -> web.StreamResponse:
        headers = {hdrs.CONTENT_TYPE: "text/event-stream", hdrs.CACHE_CONTROL: "no-store"}
        stream = web.StreamResponse(headers=headers)
        await stream.prepare(request)
        try:
            while True:
                changed = self._octo.changed()
                await stream.write(b"data: changed\n\n")
                await asyncio.sleep(QUIET_S)
                await changed
        except ConnectionResetError:
            return stream

    async def _do(self, request: web.Request) -> web.StreamResponse:
        action = ACTIONS.get(request.match_info["name"])
        if action is None:
            return _wrong(f"no such action; there are {', '.join(sorted(ACTIONS))}", HTTPStatus.NOT_FOUND)
        try:
            result = await action.model_validate_json(await request.read() or b"{}").do(self._octo)
        except ValidationError as error:
            return _wrong("; ".join(_mistake(wrong) for wrong in error.errors(include_url=False)))
        except (
            ValueError,
            LookupError,
            TypeError,
            RuntimeError,
        ) as error:  # what the double says of its arguments
            return _wrong(str(error.args[0]) if error.args else type(error).__name__)
        return _json({"ok": True, "result": result})


def _guarded(handler: Handler) -> Handler:
    """Let programs of this machine and the page itself in, not the pages of other sites."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.host.rpartition(":")[0] not in _LOCAL:
            return _wrong("this address is not the double's", HTTPStatus.FORBIDDEN)
        if request.method == "POST" and request.content_type != "application/json":
            return _wrong("send JSON with Content-Type: application/json", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        return await handler(request)

    return guarded


def _json(value: Any) -> web.Response:
    text = json.dumps(value, ensure_ascii=False)
    return web.Response(text=text, content_type="application/json", headers={hdrs.CACHE_CONTROL: "no-store"})


def _wrong(words: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> web.Response:
    text = json.dumps({"ok": False, "error": words}, ensure_ascii=False)
    return web.Response(text=text, status=status, content_type="application/json")


def _mistake(wrong: Mapping[str, Any]) -> str:
    return f"{'.'.join(map(str, wrong['loc'])) or 'the body'}: {wrong['msg']}"
