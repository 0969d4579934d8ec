"""A stub model behind the OpenAI protocol, on loopback."""

import json
from typing import Any, Self

from aiohttp import web


class ModelServer:
    """Answers chat completions as told.

    Attributes:
        mode: ``ok``, ``drop`` (the stream breaks midway), or an HTTP status as text.
        url: base URL for the agent's configuration.
    """

    def __init__(self) -> None:
        self.mode = "ok"
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        if self.mode.isdigit():
            return web.json_response({"error": {"message": "not today"}}, status=int(self.mode))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for word in ("It ", "works"):
            await response.write(_event({"choices": [{"delta": {"content": word}}]}))
        if self.mode == "drop":
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write(_event({"choices": [{"delta": {}, "finish_reason": "stop"}]}))
        await response.write(b"data: [DONE]\n\n")
        return response

    def agent(self) -> dict[str, Any]:
        """Return the configuration of an agent that asks this model."""
        return {"kind": "openai", "baseUrl": self.url, "model": "stub", "apiKey": "sk-planted-secret"}


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
