"""A stub model server that speaks the OpenAI chat API and fails the way a test asks it to."""

import asyncio
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Any, Self, assert_never

from aiohttp import web

MODEL = "stub-1"
_TOOL_CALL = ("exec", {"command": "echo from the tool"})
# What the gateway itself writes into messages of the user's role: facts, the time, the runtime, calls to try again.
_TIME = r"\[\w{3} \d{4}-\d\d-\d\d \d\d:\d\d \w+\] "
_ADDED = re.compile(
    r"<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>.*?<<<END_OPENCLAW_INTERNAL_CONTEXT>>>"
    rf"|^({_TIME})?The previous attempt did not produce a user-visible answer\..*\Z"
    rf"|^{_TIME}"
    r"|\n\nRuntime: agent=.*\Z",
    re.DOTALL,
)
_CALL = re.compile(r"\[stub:call (?P<name>\w+) (?=\{)")
_JSON = json.JSONDecoder()
_FOUND_TOOL = "tool_call"
_WISH = re.compile(r"\[stub:(?P<mode>[a-z0-9]+)(?: (?P<seconds>[0-9.]+))?(?: (?P<file>\S+))?\]")


class Mode(StrEnum):
    """What the stub does with a request."""

    OK = "ok"
    SLOW = "slow"
    HANG = "hang"
    EMPTY = "empty"
    MEDIA = "media"
    HTTP_400 = "http400"
    HTTP_401 = "http401"
    HTTP_429 = "http429"
    HTTP_500 = "http500"
    TOOL = "tool"
    TOOL_SLOW = "toolslow"


_FAILURES = {
    Mode.HTTP_400: (400, "invalid_request_error", "the stub refuses this request"),
    Mode.HTTP_401: (401, "authentication_error", "the stub knows no such key"),
    Mode.HTTP_429: (429, "rate_limit_error", "the stub is asked too often"),
    Mode.HTTP_500: (500, "server_error", "the stub broke"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One request the model got.

    Attributes:
        mode: what the stub did with it.
        seconds: how long it waited first, in mode slow.
        file: what it shows, in mode media.
        model: the model that was asked for.
        text: the last thing a user said, without what the gateway adds to it.
        messages: the whole conversation as sent.
        tools: names of the tools offered.
        stream: whether the answer was asked for as events.
        outcomes: what the tools said that were called after that text, oldest first.
        at: when it came, monotonic seconds.
    """

    mode: Mode
    seconds: float
    file: str
    model: str
    text: str
    messages: tuple[Mapping[str, Any], ...]
    tools: tuple[str, ...]
    stream: bool
    outcomes: tuple[str, ...]
    at: float


class StubModel:
    """A model on a free port of loopback; an async context manager.

    A user's text chooses the mode of its own turn with ``[stub:http400]`` or ``[stub:slow 2]``, the last of several
    counts; other texts get ``mode``. ``[stub:call NAME {"a": 1}]`` calls a tool first, several of them one after the
    other. A hanging request answers after ``release()``.

    Attributes:
        mode: what happens to requests that choose nothing.
        seconds: how long mode slow waits.
        answer: the text of every good answer; None echoes what the user said.
        numbers: whether a good answer begins with its number, so that no two read the same.
        tool_call: name and arguments of the tool that mode tool calls once before it answers.
        requests: what was asked so far, oldest first.
    """

    def __init__(self) -> None:
        self.mode = Mode.OK
        self.seconds = 2.0
        self.answer: str | None = None
        self.numbers = False
        self._answers = count(1)
        self.tool_call: tuple[str, Mapping[str, Any]] = _TOOL_CALL
        self.requests: list[ModelRequest] = []
        self.url = ""
        self._released = asyncio.Event()
        self._asked = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        """Listen; ``url`` is the base URL for a provider's configuration from here on."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        # A caller that gives up takes its waiting handler with it.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Answer what hangs and stop listening."""
        self.release()
        if self._runner is not None:
            await self._runner.cleanup()

    def release(self) -> None:
        """Let the requests that hang now go on to a good answer."""
        self._released.set()
        self._released = asyncio.Event()

    async def next_request(self) -> None:
        """Return when the model is asked again."""
        await self._asked.wait()

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        body = await http.json()
        asked = self._understand(body)
        self.requests.append(asked)
        self._asked.set()
        self._asked = asyncio.Event()
        calls = (_calls(asked.text) or [self.tool_call])[len(asked.outcomes) :]
        match asked.mode:
            case Mode.TOOL | Mode.TOOL_SLOW if calls:
                call = self._call(*calls[0], asked.tools)
                return await _answer(http, body, [{"tool_calls": [call]}], "tool_calls")
            case Mode.OK | Mode.TOOL:
                return await _say(http, body, self._text(asked))
            case Mode.SLOW | Mode.TOOL_SLOW:
                await asyncio.sleep(asked.seconds)
                return await _say(http, body, self._text(asked))
            case Mode.HANG:
                await self._released.wait()
                return await _say(http, body, self._text(asked))
            case Mode.MEDIA:
                return await _say(http, body, f"Here it is.\nMEDIA:{asked.file}")
            case Mode.EMPTY:
                return await _say(http, body, "")
            case Mode.HTTP_400 | Mode.HTTP_401 | Mode.HTTP_429 | Mode.HTTP_500:
                return _failure(asked.mode)
            case _:
                assert_never(asked.mode)

    def _understand(self, body: Mapping[str, Any]) -> ModelRequest:
        messages = tuple(body["messages"])
        text, since = _last_said(messages)
        # The gateway puts the text of an aborted run before that of the next one.
        wish = next(reversed(list(_WISH.finditer(text))), None)
        mode = Mode.TOOL if _CALL.search(text) else self.mode
        return ModelRequest(
            mode=Mode(wish["mode"]) if wish else mode,
            seconds=float(wish["seconds"]) if wish and wish["seconds"] else self.seconds,
            file=(wish["file"] or "") if wish else "",
            model=body["model"],
            text=text,
            messages=messages,
            tools=tuple(tool["function"]["name"] for tool in body.get("tools") or ()),
            stream=bool(body.get("stream")),
            at=time.monotonic(),
            outcomes=tuple(_plain(message["content"]) for message in since if message["role"] == "tool"),
        )

    def _text(self, asked: ModelRequest) -> str:
        text = self.answer if self.answer is not None else f"echo: {asked.text}"
        return f"{next(self._answers)} {text}" if self.numbers else text

    def _call(self, name: str, arguments: Mapping[str, Any], offered: Sequence[str]) -> dict[str, Any]:
        if (
            name not in offered and _FOUND_TOOL in offered
        ):  # 2026.9.6 shows a few tools and lets others be found
            name, arguments = _FOUND_TOOL, {"id": name, "args": arguments}
        function = {"name": name, "arguments": json.dumps(arguments)}
        return {"index": 0, "id": f"call_{len(self.requests)}", "type": "function", "function": function}


def _calls(text: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the tools that a text has called, with their arguments, in order."""
    return [(found["name"], _JSON.raw_decode(text, found.end())[0]) for found in _CALL.finditer(text)]


def _last_said(messages: Sequence[Mapping[str, Any]]) -> tuple[str, Sequence[Mapping[str, Any]]]:
    """Return the last text of a person, and the messages behind it."""
    for at in range(len(messages) - 1, -1, -1):
        if messages[at]["role"] == "user" and (text := _plain(messages[at]["content"])):
            return text, messages[at + 1 :]
    return "", ()


def _plain(content: str | list[Mapping[str, Any]] | None) -> str:
    """Return what a person said in a message, whose content may come in parts."""
    if not isinstance(content, str):
        content = "\n".join(part["text"] for part in content or () if part["type"] == "text")
    return _ADDED.sub("", content).strip()


def _failure(mode: Mode) -> web.Response:
    status, kind, message = _FAILURES[mode]
    return web.json_response({"error": {"message": message, "type": kind, "code": None}}, status=status)


async def _say(http: web.Request, body: Mapping[str, Any], text: str) -> web.StreamResponse:
    """Answer ``text``, in a few pieces where pieces are wanted."""
    return await _answer(http, body, [{"content": piece} for piece in _pieces(text)], "stop")


def _pieces(text: str) -> Iterator[str]:
    size = max(1, -(-len(text) // 4))
    return (text[at : at + size] for at in range(0, len(text), size))


async def _answer(
    http: web.Request, body: Mapping[str, Any], deltas: list[dict[str, Any]], finish: str
) -> web.StreamResponse:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    head = {"id": "chatcmpl-stub", "created": 0, "model": MODEL}
    if not body.get("stream"):
        content = "".join(delta.get("content", "") for delta in deltas)
        calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
        message = {"role": "assistant", "content": content} | ({"tool_calls": calls} if calls else {})
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return web.json_response({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    with suppress(ConnectionResetError):  # a caller that gave up meanwhile
        await response.prepare(http)
        for delta in [{"role": "assistant", "content": ""}, *deltas]:
            await _event(response, head, [{"index": 0, "delta": delta, "finish_reason": None}])
        await _event(response, head, [{"index": 0, "delta": {}, "finish_reason": finish}])
        await _event(response, {**head, "usage": usage}, [])
        await response.write(b"data: [DONE]\n\n")
    return response


async def _event(response: web.StreamResponse, head: Mapping[str, Any], choices: list[Any]) -> None:
    chunk = json.dumps({**head, "object": "chat.completion.chunk", "choices": choices})
    await response.write(f"data: {chunk}\n\n".encode())
