"""Tools of a model behind an endpoint: called, answered, bounded."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from openclaw_channel_octo.host.base import ChatTool
from openclaw_channel_octo.host.embedded import openai_tools
from openclaw_channel_octo.host.embedded.agents import ToolUse
from openclaw_channel_octo.host.embedded.openai import OpenAIAgent
from openclaw_channel_octo.host.embedded.transcript import Message
from tests.host.embedded.endpoint import (
    Endpoint,
    Handler,
    answer,
    answering,
    failing,
    piece,
    prompt,
    streaming,
)


class Desk:
    """Tools that keep what they were called with."""

    url = ""
    tools = (ChatTool(name="look", description="Look.", parameters={"type": "object", "properties": {}}),)

    def __init__(self) -> None:
        self.called: list[tuple[str, str, Mapping[str, Any]]] = []
        self.result = "seen"

    def offered(self, ticket: str) -> tuple[ChatTool, ...]:
        return self.tools if ticket else ()

    async def call(self, ticket: str, name: str, parameters: Mapping[str, Any]) -> str:
        self.called.append((ticket, name, parameters))
        return self.result


@pytest.fixture
def desk() -> Desk:
    return Desk()


def acting(endpoint: Endpoint, desk: Desk, **options: Any) -> OpenAIAgent:
    agent = endpoint.agent(**options)
    agent.take_tools(desk)
    return agent


ASKED = prompt(ticket="t", mark="§abc")


def calling(*parts: Any, text: str | None = None) -> str:
    return json.dumps({"choices": [{"delta": {"content": text, "tool_calls": parts}}]})


def whole(arguments: str = "{}", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "look", "arguments": arguments}, **fields}


def in_turn(endpoint: Endpoint, *handlers: Handler) -> None:
    """Answer the requests one after the other; the last handler answers all others."""
    left = list(handlers)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    endpoint.handler = handle


DONE = piece(None, "tool_calls")
FINE = streaming(piece("fine", "stop"))


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(
            [
                calling({"index": 0, "id": "c1", "function": {"name": "look", "arguments": '{"a"'}}),
                calling({"index": 0, "function": {"arguments": ": 1}"}}),
            ],
            id="in pieces",
        ),
        pytest.param([calling(whole('{"a": 1}', id="c1"))], id="whole, without an index"),
    ],
)
async def test_a_tool_is_called_and_its_result_told(endpoint: Endpoint, desk: Desk, parts: list[str]) -> None:
    in_turn(endpoint, streaming(piece("Let me see."), *parts, DONE), FINE)
    assert await answer(acting(endpoint, desk), ASKED) == "Let me see.\n\nfine"
    assert desk.called == [("t", "look", {"a": 1})]
    first, second = endpoint.requests
    assert [tool["function"]["name"] for tool in first["tools"]] == ["look"]
    assert "§abc This sign" in first["messages"][0]["content"]
    call, result = second["messages"][-2:]
    assert call["content"] == "Let me see."
    assert call["tool_calls"][0]["id"] == "c1"
    assert call["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"a": 1}'}
    assert result == {"role": "tool", "tool_call_id": "c1", "content": "seen"}


async def test_several_calls_of_an_answer_that_does_not_stream_are_told_apart(
    endpoint: Endpoint, desk: Desk
) -> None:
    calls = [whole('{"n": 1}', id="a", extra_content={"signature": "s"}), whole('{"n": 2}')]
    message = {"content": None, "reasoning_content": "hm", "tool_calls": [*calls, 7]}
    in_turn(endpoint, answering(200, {"choices": [{"message": message}]}), FINE)
    assert await answer(acting(endpoint, desk), ASKED) == "fine"
    assert [parameters for _, _, parameters in desk.called] == [{"n": 1}, {"n": 2}]
    told = endpoint.requests[1]["messages"][-3]
    assert told["reasoning_content"] == "hm"
    assert told["tool_calls"][0]["extra_content"] == {"signature": "s"}
    assert [call["id"] for call in told["tool_calls"]] == ["a", "call_1"]


@pytest.mark.parametrize("arguments", ["{torn", "[]", "[" * 100_000])
async def test_arguments_that_are_none_are_told_to_the_model(
    endpoint: Endpoint, desk: Desk, arguments: str
) -> None:
    in_turn(endpoint, streaming(calling(whole(arguments)), DONE), FINE)
    assert await answer(acting(endpoint, desk), ASKED) == "fine"
    assert desk.called == []
    call, result = endpoint.requests[1]["messages"][-2:]
    assert call["tool_calls"][0]["function"]["arguments"] == "{}"
    assert result["content"] == "error: the arguments are no JSON object"


async def test_those_who_wait_are_told_which_tools_are_used(endpoint: Endpoint, desk: Desk) -> None:
    in_turn(endpoint, streaming(calling(whole('{"a": 1}', id="c1")), DONE), FINE)
    pieces = [piece async for piece in acting(endpoint, desk).reply(ASKED)]
    assert [piece for piece in pieces if isinstance(piece, ToolUse)] == ["look"]


async def test_rounds_of_tools_have_an_end(endpoint: Endpoint, desk: Desk) -> None:
    in_turn(endpoint, streaming(calling(whole()), DONE))
    assert await answer(acting(endpoint, desk, tool_rounds=3), ASKED) == ""
    assert len(desk.called) == 3
    assert [request.get("tool_choice") for request in endpoint.requests] == [None, None, None, "none"]


async def test_calls_of_one_answer_and_their_results_are_bounded(
    endpoint: Endpoint, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_tools, "MAX_CALLS", 2)
    monkeypatch.setattr(openai_tools, "MAX_RESULT", 10)
    desk.result = "x" * 11
    in_turn(endpoint, streaming(calling(*[whole(index=number) for number in range(3)]), DONE), FINE)
    await answer(acting(endpoint, desk), ASKED)
    assert len(desk.called) == 2
    results = [message["content"] for message in endpoint.requests[1]["messages"][-3:]]
    assert results[0] == "xxxxxxxxxx [cut here: ask for less]"
    assert results[2].startswith("error: not")
    monkeypatch.setattr(openai_tools, "MAX_ARGUMENTS", 100)
    in_turn(endpoint, streaming(*[calling({"index": 0, "function": {"arguments": "x" * 30}})] * 5))
    agent = acting(endpoint, desk)
    assert "calls tools with more than 100 characters" in (await failing(agent, ASKED))[1]


@pytest.mark.parametrize("without", ["ticket", "tools", "desk"])
async def test_who_may_not_act_is_offered_no_tools(endpoint: Endpoint, desk: Desk, without: str) -> None:
    agent = endpoint.agent() if without == "desk" else acting(endpoint, desk, tools=without != "tools")
    in_turn(endpoint, streaming(piece("fine"), calling(whole()), DONE))
    assert await answer(agent, prompt() if without == "ticket" else ASKED) == "fine"
    assert "tools" not in endpoint.requests[0]
    assert desk.called == []


async def test_a_model_that_takes_no_tools_answers_without(endpoint: Endpoint, desk: Desk) -> None:
    in_turn(endpoint, answering(400, {"error": {"message": "m does not support tools"}}), FINE)
    assert await answer(acting(endpoint, desk), ASKED) == "fine"
    assert ["tools" in request for request in endpoint.requests] == [True, False]


async def test_an_error_quotes_no_result_of_a_tool(endpoint: Endpoint, desk: Desk) -> None:
    desk.result = "what others said in confidence"
    refused = answering(400, {"error": {"message": f"cannot digest {desk.result}"}})
    in_turn(endpoint, streaming(calling(whole()), DONE), refused)
    assert (await failing(acting(endpoint, desk), ASKED))[1].endswith("(HTTP 400): cannot digest[…]")


async def test_results_too_long_for_the_model_cost_history_and_are_cut_at_last(
    endpoint: Endpoint, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_tools, "SHORT_RESULT", 4)
    desk.result = "x" * 100
    too_long = answering(400, {"error": {"code": "context_length_exceeded"}})
    in_turn(endpoint, streaming(calling(whole()), DONE), too_long, too_long, FINE)
    history = (Message(role="user", text="before"), Message(role="assistant", text="yes"))
    asked = prompt(ticket="t", history=history[:1])
    assert await answer(acting(endpoint, desk), asked) == "fine"
    assert len(desk.called) == 1
    assert [len(request["messages"]) for request in endpoint.requests] == [1, 3, 3, 3]
    assert "before" not in str(endpoint.requests[2:])
    assert endpoint.requests[-1]["messages"][-1]["content"] == "xxxx [cut here: ask for less]"


async def test_thinking_between_tool_calls_is_neither_said_nor_sent_back(
    endpoint: Endpoint, desk: Desk
) -> None:
    first = streaming(piece("<think>where?</think>Let me see."), calling(whole()), DONE)
    in_turn(endpoint, first, streaming(piece("<think>so"), piece("</think>It is there.", "stop")))
    assert await answer(acting(endpoint, desk), ASKED) == "Let me see.\n\nIt is there."
    assert endpoint.requests[1]["messages"][-2]["content"] == "Let me see."
