"""Agents behind an OpenAI-compatible endpoint, against a real one on loopback."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.embedded.agents import AgentError, AnswerCut, Prompt
from openclaw_channel_octo.host.embedded.openai import OpenAIAgent
from openclaw_channel_octo.host.embedded.transcript import Message

KEY = "sk-very-secret"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Endpoint:
    """An endpoint that does what the test says and keeps what it was asked."""

    def __init__(self) -> None:
        self.handler: Handler = streaming(piece("ok"), "[DONE]")
        self.requests: list[dict[str, Any]] = []
        self.headers: list[str | None] = []
        self.url = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.headers.append(request.headers.get("Authorization"))
        return await self.handler(request)

    def agent(self, **options: Any) -> OpenAIAgent:
        return OpenAIAgent(self.url, "tiny", SecretStr(KEY), **options)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", endpoint.serve)
    server = TestServer(app)
    await server.start_server()
    endpoint.url = str(server.make_url("/v1"))
    yield endpoint
    await server.close()


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
    return "".join([text async for text in agent.reply(asked or prompt())])


async def collect(agent: OpenAIAgent, pieces: list[str]) -> None:
    async for text in agent.reply(prompt()):
        pieces.append(text)  # noqa: PERF401  # what came before an error counts


async def failing(agent: OpenAIAgent) -> tuple[str, str]:
    """Return the text that came before the failure, and its message."""
    pieces: list[str] = []
    with pytest.raises(AgentError) as caught:
        await collect(agent, pieces)
    assert KEY not in str(caught.value)
    assert len(str(caught.value)) < 500
    return "".join(pieces), str(caught.value)


async def test_the_answer_streams_piece_by_piece(endpoint: Endpoint) -> None:
    usage = json.dumps({"choices": [], "usage": {"total_tokens": 3}})
    endpoint.handler = streaming(
        piece(""), piece("你"), "", piece("好"), piece(None, "stop"), usage, "[DONE]"
    )
    assert [text async for text in endpoint.agent().reply(prompt()) if text] == ["你", "好"]


async def test_thinking_is_a_sign_of_life_and_no_text(endpoint: Endpoint) -> None:
    thought = json.dumps({"choices": [{"delta": {"reasoning_content": "hm"}}]})
    endpoint.handler = streaming(thought, piece("so", "stop"))
    assert [text async for text in endpoint.agent().reply(prompt())] == ["", "so"]


@pytest.mark.parametrize("ending", [(piece("a", "stop"),), (piece("a"), "[DONE]"), (piece("a", ""),)])
async def test_a_finish_reason_or_done_completes_the_stream(
    endpoint: Endpoint, ending: Sequence[str]
) -> None:
    endpoint.handler = streaming(*ending)
    assert await answer(endpoint.agent()) == "a"


@pytest.mark.parametrize(
    "handler",
    [
        streaming(piece("half"), piece(None, "length"), "[DONE]"),
        streaming(piece("half", "max_tokens"), cut=True),
        answering(200, {"choices": [{"message": {"content": "half"}, "finish_reason": "length"}]}),
    ],
)
async def test_an_answer_cut_by_its_length_limit_says_so_behind_its_text(
    endpoint: Endpoint, handler: Handler
) -> None:
    endpoint.handler = handler
    pieces = endpoint.agent().reply(prompt())
    assert await anext(pieces) == "half"
    with pytest.raises(AnswerCut):
        assert [text async for text in pieces] == ["nothing more"]


async def test_a_connection_that_drops_behind_a_complete_answer_loses_nothing(endpoint: Endpoint) -> None:
    endpoint.handler = streaming(piece("all of it"), piece(None, "stop"), cut=True)
    assert await answer(endpoint.agent()) == "all of it"


async def test_a_connection_left_open_behind_a_complete_answer_holds_nothing_up(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hold(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(f"data: {piece('all of it', 'stop')}\n\n".encode())
        await asyncio.Event().wait()
        return response

    monkeypatch.setattr("openclaw_channel_octo.host.embedded.openai.AFTER_END_S", 0.01)
    endpoint.handler = hold
    async with asyncio.timeout(60):
        assert await answer(endpoint.agent()) == "all of it"


async def test_a_server_that_calls_every_piece_the_last_is_heard_to_the_end(endpoint: Endpoint) -> None:
    thought = json.dumps({"choices": [{"delta": {"reasoning_content": "hm"}, "finish_reason": "stop"}]})
    endpoint.handler = streaming(thought, piece("the ", "stop"), piece("answer", "stop"), "[DONE]")
    assert await answer(endpoint.agent()) == "the answer"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/json", "application/octet-stream", "x;y*"]
)
async def test_a_stream_is_read_whatever_its_header_calls_it(endpoint: Endpoint, content_type: str) -> None:
    endpoint.handler = streaming(piece("a"), piece("b", "stop"), "[DONE]", content_type=content_type)
    assert await answer(endpoint.agent()) == "ab"


@pytest.mark.parametrize("content", ["all at once", [{"type": "text", "text": "all at "}, {"text": "once"}]])
async def test_an_answer_that_does_not_stream_is_taken_too(endpoint: Endpoint, content: Any) -> None:
    endpoint.handler = answering(200, {"choices": [{"message": {"role": "assistant", "content": content}}]})
    assert await answer(endpoint.agent()) == "all at once"


async def test_an_answer_without_content_is_empty(endpoint: Endpoint) -> None:
    endpoint.handler = answering(200, {"choices": [{"message": {"content": None}}]})
    assert await answer(endpoint.agent()) == ""


async def test_the_request_holds_model_key_system_prompt_history_and_names(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = (
        Message(role="user", text="too old"),
        Message(role="user", text="hi", sender="Bob\n"),
        Message(role="assistant", text="hello"),
    )
    monkeypatch.setattr("openclaw_channel_octo.host.embedded.openai.HISTORY_LIMIT", 2)
    agent = endpoint.agent(system_prompt="Be brief.")
    asked = prompt(
        "and now?", sender_name="Alice", conversation="group", history=history, context="[earlier]"
    )
    await answer(agent, asked)
    assert endpoint.headers == [f"Bearer {KEY}"]
    assert endpoint.requests == [
        {
            "model": "tiny",
            "stream": True,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Bob: hi"},
                {"role": "assistant", "content": "hello"},
                {"role": "user", "content": "[earlier]\n\nAlice: and now?"},
            ],
        }
    ]


async def test_a_direct_conversation_needs_no_names_and_an_open_endpoint_no_key(endpoint: Endpoint) -> None:
    agent = OpenAIAgent(endpoint.url + "/chat/completions/", "tiny")
    await answer(agent, prompt(sender_name="Alice", history=(Message(role="user", text="old"),)))
    assert endpoint.headers == [None]
    said = [{"role": "user", "content": text} for text in ("old", "hello")]
    assert endpoint.requests[0]["messages"] == said


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            400,
            {"error": {"message": f"no such\nmodel {KEY}"}},
            "answered with an error (HTTP 400): no such model ***",
        ),
        (400, {"error": "plain words"}, "(HTTP 400): plain words"),
        (400, {"object": "error", "message": "too long", "code": 400}, "(HTTP 400): too long"),
        (
            401,
            {"error": {"message": f"Incorrect API key {KEY[:7]}"}},
            "refuses the API key (HTTP 401): check the",
        ),
        (
            429,
            {"error": {"message": "slow down"}},
            "is rate-limiting us or the quota is used up (HTTP 429): slow",
        ),
        (500, {"error": {"message": "x" * 5000}}, "answered with an error (HTTP 500): xxx"),
        (502, "<html>" + "nginx" * 10_000, "answered with an error (HTTP 502)"),
        (307, "", "answered with an error (HTTP 307)"),
    ],
)
async def test_an_http_error_is_a_short_clear_message_without_secrets(
    endpoint: Endpoint, status: int, body: Any, expected: str
) -> None:
    endpoint.handler = answering(status, body)
    text, message = await failing(endpoint.agent())
    assert text == ""
    assert expected in message
    assert KEY[:7] not in message


@pytest.mark.parametrize("cut", [True, False], ids=["connection dropped", "stream ended"])
async def test_a_stream_that_breaks_off_is_a_failure_after_its_text(endpoint: Endpoint, cut: bool) -> None:
    endpoint.handler = streaming(piece("half an "), piece("ans"), cut=cut)
    text, message = await failing(endpoint.agent())
    assert text == "half an ans"
    assert "broke off" in message or "failed" in message


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            json.dumps({"error": {"message": f"overloaded {KEY}", "code": 529}}),
            "reports an error: overloaded ***",
        ),
        (json.dumps({"error": "bad"}), "reports an error: bad"),
        (json.dumps({"object": "error", "message": "too long", "code": 400}), "reports an error: too long"),
        (json.dumps({"error": {"code": 1}}), "reports an error: no details"),
        ("{torn", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
async def test_an_error_inside_the_stream_is_a_failure_after_its_text(
    endpoint: Endpoint, event: str, expected: str
) -> None:
    endpoint.handler = streaming(piece("so far"), event, "[DONE]")
    text, message = await failing(endpoint.agent())
    assert text == "so far"
    assert expected in message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"choices": []}, "no choices"),
        ({}, "no choices"),
        ("<html>", "not JSON"),
        ({"error": "bad"}, "error: bad"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_a_failure(
    endpoint: Endpoint, body: Any, expected: str
) -> None:
    endpoint.handler = answering(200, body)
    assert expected in (await failing(endpoint.agent()))[1]


async def test_strange_pieces_are_passed_over(endpoint: Endpoint) -> None:
    strange = [{"choices": "x"}, {"choices": [7]}, {"choices": [{"delta": 7}]}, [], {"choices": [{}]}]
    endpoint.handler = streaming(*map(json.dumps, strange), piece("ok", "stop"))
    assert await answer(endpoint.agent()) == "ok"


async def test_an_answer_without_end_is_stopped(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_channel_octo.host.embedded.openai.MAX_OUTPUT", 100)
    endpoint.handler = streaming(*[piece("x" * 30)] * 10)
    text, message = await failing(endpoint.agent())
    assert text == "x" * 90
    assert "longer than 100 characters" in message


async def test_a_query_of_the_base_url_is_kept(endpoint: Endpoint) -> None:
    queries: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        queries.append(request.query_string)
        return await streaming(piece("ok", "stop"))(request)

    endpoint.handler = note
    assert await answer(OpenAIAgent(endpoint.url + "?api-version=2024-06-01", "tiny")) == "ok"
    assert queries == ["api-version=2024-06-01"]


@pytest.mark.parametrize(
    "base_url",
    ["", "localhost:11434/v1", "ftp://host/v1", "http://", "http://host:port/", "http://host..example/v1"],
)
def test_a_base_url_that_is_none_is_refused_without_being_shown(base_url: str) -> None:
    with pytest.raises(ConfigError, match="must begin with http") as caught:
        OpenAIAgent(base_url, "tiny")
    assert "host:port" not in str(caught.value)


async def test_an_endpoint_that_is_not_there_is_a_clear_error() -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else can answer there
        taken.bind(("127.0.0.1", 0))
        agent = OpenAIAgent(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "tiny", SecretStr(KEY))
        _, message = await failing(agent)
    assert message.startswith("the model endpoint failed: Cannot connect to host 127.0.0.1")


async def test_stopping_in_the_middle_closes_the_connection(endpoint: Endpoint) -> None:
    closed = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(f"data: {piece('begin')}\n\n".encode())
        try:
            await asyncio.Event().wait()
        finally:  # the test server cancels the handler of a connection that was closed
            closed.set()
        return response

    endpoint.handler = hang
    texts: list[str] = []

    async def read() -> None:
        async for text in endpoint.agent().reply(prompt()):
            texts.append(text)
            asyncio.current_task().cancel()  # type: ignore[union-attr]  # there is one: this

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(read())
    async with asyncio.timeout(60):
        await closed.wait()
    assert texts == ["begin"]


def test_the_key_is_not_in_the_representation() -> None:
    agent = OpenAIAgent(f"http://user:{KEY}@models.example/v1?key={KEY}", "tiny", SecretStr(KEY))
    assert repr(agent) == "OpenAIAgent('http://models.example', 'tiny')"
