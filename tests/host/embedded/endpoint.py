"""A model endpoint on loopback, and what tests ask it."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from openclaw_channel_octo.host.embedded.agents import AgentError, Prompt
from openclaw_channel_octo.host.embedded.openai import OpenAIAgent
from openclaw_channel_octo.host.embedded.run import Run
from openclaw_channel_octo.host.embedded.seat import Seat
from tests.host.turns import a_turn

KEY = "sk-very-secret"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Endpoint:
    """An endpoint that does what the test says and keeps what it was asked."""

    def __init__(self) -> None:
        self.handler: Handler = streaming(piece("ok"), "[DONE]")
        self.requests: list[dict[str, Any]] = []
        self.headers: list[str | None] = []
        self.sent: list[Mapping[str, str]] = []
        self.url = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.headers.append(request.headers.get("Authorization"))
        self.sent.append(request.headers)
        return await self.handler(request)

    def agent(self, **options: Any) -> OpenAIAgent:
        return OpenAIAgent(self.url, "tiny", SecretStr(KEY), **options)


def piece(text: str | None, finish: str | None = None) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})


def streaming(
    *events: str, cut: bool = False, content_type: str = "text/event-stream; charset=utf-8"
) -> Handler:
    """Return a handler that streams ``events``, and with ``cut`` drops the connection after them."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        for event in events:
            await response.write(f"data: {event}\n\n".encode())
        if cut and request.transport is not None:
            request.transport.close()
        return response

    return handle


def answering(status: int, body: Any) -> Handler:
    async def handle(_request: web.Request) -> web.StreamResponse:
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html")
        return web.json_response(body, status=status)

    return handle


def prompt(text: str = "hello", **fields: Any) -> Prompt:
    return Prompt(text=text, session_key="k", session_id="s", run_id="r", **fields)


async def answer(agent: OpenAIAgent, asked: Prompt | None = None) -> str:
    """Return what the host makes of an answer."""
    run = Run(a_turn(), 0, Seat(agent))
    async for part in agent.reply(asked or prompt()):
        run.take(part, 0)
    run.close()
    return run.written


async def collect(agent: OpenAIAgent, asked: Prompt, pieces: list[str]) -> None:
    async for text in agent.reply(asked):
        pieces.append(text)  # noqa: PERF401  # what came before an error counts


async def failing(agent: OpenAIAgent, asked: Prompt | None = None) -> tuple[str, str]:
    """Return the text that came before the failure, and its message."""
    pieces: list[str] = []
    with pytest.raises(AgentError) as caught:
        await collect(agent, asked or prompt(), pieces)
    assert KEY not in str(caught.value)
    assert len(str(caught.value)) < 500
    return "".join(pieces), str(caught.value)
