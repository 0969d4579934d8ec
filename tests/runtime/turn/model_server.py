"""A stub model behind the OpenAI protocol, on loopback."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from aiohttp import web

from tests.serving import serving


class ModelServer:
    """Answers chat completions as told.

    Attributes:
        mode: ``ok``, ``drop`` (the stream breaks midway), ``length`` (a limit ends the answer), or an HTTP status as
            text.
        url: base URL for the agent's configuration.
    """

    def __init__(self) -> None:
        self.mode = "ok"
        self.url = ""

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Self]:
        """Answer on loopback."""
        async with serving("/v1/chat/completions", self._complete) as url:
            self.url = f"{url}/v1"
            yield self

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        if self.mode.isdigit():
            return web.json_response({"error": {"message": "not today"}}, status=int(self.mode))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        ends = "length" if self.mode == "length" else "stop"
        for word in ("It ", "works"):
            await response.write(_event({"choices": [{"delta": {"content": word}}]}))
        if self.mode == "drop":
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write(_event({"choices": [{"delta": {}, "finish_reason": ends}]}))
        await response.write(b"data: [DONE]\n\n")
        return response

    def agent(self) -> dict[str, Any]:
        """Return the configuration of an agent that asks this model."""
        return {"kind": "openai", "baseUrl": self.url, "model": "stub", "apiKey": "sk-planted-secret"}


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
