"""The double's page and controls over HTTP, for people and for scripts in any language."""

import asyncio
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from pydantic import ValidationError

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.testing.octo.actions import ACTIONS
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.view import state
from openclaw_channel_octo.testing.web.local_web import as_json, guarded, mistakes, page_file, refusal

__all__ = ["PREFIX", "Remote"]

PREFIX: Final = "/_double"
"""Where the controls are; nothing of Octo's own lies there."""

QUIET_S: Final = 0.1
"""Shortest time between two signs of change."""

_PACKAGE: Final = "openclaw_channel_octo.testing.web"


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
        pages = {
            "": self._show,
            "/pages/{name}": self._file,
            "/state": self._state,
            "/changes": self._changes,
            "/actions": self._list,
        }
        for path, handler in pages.items():
            app.router.add_get(PREFIX + path, guarded(handler))
        app.router.add_post(PREFIX + "/do/{name}", guarded(self._do))

    async def _show(self, _: web.Request) -> web.StreamResponse:
        return page_file(_PACKAGE, "double.html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return page_file(_PACKAGE, request.match_info["name"])

    async def _state(self, _: web.Request) -> web.StreamResponse:
        return as_json(state(self._octo, self._clock))

    async def _list(self, _: web.Request) -> web.StreamResponse:
        return as_json({name: action.takes.model_json_schema() for name, action in ACTIONS.items()})

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
            return refusal(f"no such action; there are {', '.join(sorted(ACTIONS))}", HTTPStatus.NOT_FOUND)
        try:
            result = await action.do(self._octo, await request.read() or b"{}")
        except ValidationError as error:
            return refusal(mistakes(error))
        except (
            ValueError,
            LookupError,
            TypeError,
            RuntimeError,
        ) as error:  # what the double says of its arguments
            return refusal(str(error.args[0]) if error.args else type(error).__name__)
        return as_json({"ok": True, "result": result})
