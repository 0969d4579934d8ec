"""A stub model behind the OpenAI protocol, on loopback."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from aiohttp import web

from tests.serving import serving

NOT_AGAIN = {"X-Should-Retry": "false"}
"""Keeps the SDK from waiting in real time before it asks again."""


class ModelServer:
    """Answers chat completions as told.

    Attributes:
        mode: ``ok``, ``drop`` (the stream breaks midway), ``length`` (a limit ends the answer), or an HTTP status as
            text.
        most: characters of messages it takes; a request with more is refused as too long.
        calls: tools it calls before it answers, one a request: name and parameters.
        asked: bodies of the requests.
        url: base URL for the agent's configuration.
    """

    def __init__(self) -> None:
        self.mode = "ok"
        self.most = 1_000_000
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Self]:
        """Answer on loopback."""
        async with serving("/v1/chat/completions", self._complete) as url:
            self.url = f"{url}/v1"
            yield self

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        if sum(len(message["content"] or "") for message in self.asked[-1]["messages"]) > self.most:
            return web.json_response({"error": {"code": "context_length_exceeded"}}, status=400)
        if self.mode.isdigit():
            answer = {"error": {"message": "not today"}}
            return web.json_response(answer, status=int(self.mode), headers=NOT_AGAIN)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        ends = "length" if self.mode == "length" else "stop"
        if self.calls and "tools" in self.asked[-1]:
            name, parameters = self.calls.pop(0)
            function = {"name": name, "arguments": json.dumps(parameters)}
            call = {"index": 0, "id": f"c{len(self.calls)}", "type": "function", "function": function}
            await response.write(_event({"choices": [{"delta": {"tool_calls": [call]}}]}))
        else:
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
