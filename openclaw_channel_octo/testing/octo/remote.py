"""The double's page and controls over HTTP, for people and for scripts in any language."""

import asyncio
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Final

from aiohttp import hdrs, web
from pydantic import ValidationError

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.testing.octo.actions import ACTIONS
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.payloads import file_payload
from openclaw_channel_octo.testing.octo.view import LINES, page, state
from openclaw_channel_octo.testing.web.local_web import as_json, guarded, mistakes, page_file, refusal

__all__ = ["PREFIX", "Remote"]

PREFIX: Final = "/_double"
"""Where the controls are; nothing of Octo's own lies there."""

UPLOAD_BYTES: Final = 20 * 2**20
"""Largest file that is taken from a page."""

STORED_BYTES: Final = 200 * 2**20
"""Files above this are not taken from a page any more: they lie in memory."""

_NAME_LENGTH: Final = 200

QUIET_S: Final = 0.1
"""Shortest time between two signs of change."""

_PACKAGE: Final = "openclaw_channel_octo.testing.web"


class Remote:
    """Serves a page and controls below `PREFIX` of the double's own address.

    ``GET /_double`` is the page, ``/_double/state`` the chat as JSON, ``/_double/changes`` a stream of server-sent
    events, one whenever something happened, ``/_double/actions`` what can be done; ``POST /_double/do/NAME`` does it.
    ``/_double/lines?of=KEY&until=SEQ`` is a piece of a long conversation, the newest without ``until``.
    ``POST /_double/upload?name=NAME`` with a file's bytes as ``application/octet-stream`` answers with a payload to
    say.
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
            "/lines": self._lines,
            "/changes": self._changes,
            "/actions": self._list,
        }
        for path, handler in pages.items():
            app.router.add_get(PREFIX + path, guarded(handler))
        app.router.add_post(PREFIX + "/do/{name}", guarded(self._do))
        takes = guarded(self._upload, "application/octet-stream", UPLOAD_BYTES)
        app.router.add_post(PREFIX + "/upload", takes)

    async def _show(self, _: web.Request) -> web.StreamResponse:
        return page_file(_PACKAGE, "double.html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return page_file(_PACKAGE, request.match_info["name"])

    async def _state(self, request: web.Request) -> web.StreamResponse:
        try:
            lines = int(request.query.get("lines", LINES))
        except ValueError:
            return refusal("lines is a number")
        return as_json(state(self._octo, self._clock, max(0, lines)))

    async def _lines(self, request: web.Request) -> web.StreamResponse:
        until = request.query.get("until", "")
        try:
            return as_json(page(self._octo, request.query.get("of", ""), int(until) if until else None))
        except ValueError:
            return refusal("until is a message_seq")
        except LookupError as error:
            return refusal(str(error.args[0]), HTTPStatus.NOT_FOUND)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        name = PurePosixPath(request.query.get("name", "")).name[:_NAME_LENGTH]
        content = await request.read()
        if not name or not content:
            return refusal("a file has a name and is not empty")
        if self._octo.stored_bytes() + len(content) > STORED_BYTES:
            return refusal(f"the double keeps {STORED_BYTES // 2**20} MB of files, and they are full")
        return as_json(
            {"ok": True, "result": file_payload(self._octo.put_file(name, content), name, content)}
        )

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
