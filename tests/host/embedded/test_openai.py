"""Agents behind an OpenAI-compatible endpoint, against a real one on loopback."""

import asyncio
import gzip
import json
import socket
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.host.embedded import openai_client, openai_messages
from openclaw_channel_octo.host.embedded.agents import AgentError, AnswerCut
from openclaw_channel_octo.host.embedded.openai import OpenAIAgent
from openclaw_channel_octo.host.embedded.transcript import Message
from tests.host.embedded.endpoint import (
    KEY,
    Endpoint,
    Handler,
    answer,
    answering,
    failing,
    piece,
    prompt,
    streaming,
)


async def test_the_answer_streams_piece_by_piece(endpoint: Endpoint) -> None:
    usage = json.dumps({"choices": [], "usage": {"total_tokens": 3}})
    endpoint.handler = streaming(piece(""), piece("你"), piece("好"), piece(None, "stop"), usage, "[DONE]")
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


def whole(content: str, reason: str) -> Handler:
    return answering(200, {"choices": [{"message": {"content": content}, "finish_reason": reason}]})


@pytest.mark.parametrize(
    ("handler", "filtered"),
    [
        (streaming(piece("half"), piece(None, "length"), "[DONE]"), False),
        (streaming(piece("half", "max_tokens"), cut=True), False),
        (whole("half", "length"), False),
        (streaming(piece("half"), piece(None, "content_filter"), "[DONE]"), True),
        (streaming(piece("half", "sensitive"), cut=True), True),
        (whole("half", "content_filter: SAFETY"), True),
    ],
)
async def test_an_answer_cut_by_a_limit_or_filter_of_its_model_says_so_behind_its_text(
    endpoint: Endpoint, handler: Handler, filtered: bool
) -> None:
    endpoint.handler = handler
    pieces = endpoint.agent().reply(prompt())
    assert await anext(pieces) == "half"
    with pytest.raises(AnswerCut) as cut:
        assert [text async for text in pieces] == ["nothing more"]
    assert cut.value.filtered == filtered


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

    monkeypatch.setattr("openclaw_channel_octo.host.embedded.openai_client.AFTER_END_S", 0.01)
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


NO = "I cannot help with that."


@pytest.mark.parametrize(
    "handler",
    [
        streaming(json.dumps({"choices": [{"delta": {"content": None, "refusal": NO}}]}), piece("", "stop")),
        streaming(
            *[
                json.dumps({"choices": [{"delta": {"content": "", "refusal": part}}]})
                for part in (NO[:9], NO[9:])
            ],
            "[DONE]",
        ),
        answering(200, {"choices": [{"message": {"content": None, "refusal": NO}}]}),
        answering(200, {"choices": [{"message": {"content": [{"type": "refusal", "refusal": NO}]}}]}),
        answering(200, {"choices": [{"message": {"content": NO, "refusal": NO}}]}),
    ],
)
async def test_what_a_model_refuses_with_is_its_answer(endpoint: Endpoint, handler: Handler) -> None:
    endpoint.handler = handler
    assert await answer(endpoint.agent()) == NO


async def test_an_answer_without_content_is_empty(endpoint: Endpoint) -> None:
    endpoint.handler = answering(200, {"choices": [{"message": {"content": None}}]})
    assert await answer(endpoint.agent()) == ""


async def test_the_request_holds_model_key_system_prompt_history_and_names(endpoint: Endpoint) -> None:
    history = (
        Message(role="user", text="hi", sender="Bob\n"),
        Message(role="assistant", text="hello"),
    )
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


async def test_headers_and_fields_of_the_configuration_go_with_every_request(endpoint: Endpoint) -> None:
    agent = endpoint.agent(
        headers={"api-key": SecretStr("azure-secret")}, body={"temperature": 0, "model": "x"}
    )
    await answer(agent)
    assert endpoint.sent[0]["Api-Key"] == "azure-secret"
    assert {"temperature": 0, "model": "tiny"}.items() <= endpoint.requests[0].items()
    endpoint.handler = answering(400, {"error": f"bad {KEY} azure-secret"})
    assert (await failing(agent))[1].endswith("bad *** ***")


PNG, JPEG = b"\x89PNG\r\n\x1a\n" + bytes(9), b"\xff\xd8\xff" + bytes(9)


def files(folder: Path, **contents: bytes) -> tuple[MediaItem, ...]:
    items = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content)
        items.append(MediaItem(kind="file", url=f"http://h/{name}", name=name, path=path))
    return tuple(items)


def shown(request: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the text and the pictures of the last message."""
    content = request["messages"][-1]["content"]
    if isinstance(content, str):
        return content, []
    return content[0]["text"], [part["image_url"]["url"] for part in content[1:]]


async def test_the_model_sees_the_pictures_of_a_message_and_knows_of_the_other_files(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    gone = MediaItem(kind="image", url="http://h/x.png", path=tmp_path / "gone")
    pictures = files(tmp_path, a=PNG, b=JPEG, c=b"GIF89a", d=b"RIFF....WEBPVP8 ")
    await answer(endpoint.agent(), prompt(media=pictures))
    text, seen = shown(endpoint.requests[-1])
    assert text == "hello"
    assert [each.partition(",")[0] for each in seen] == [
        f"data:image/{kind};base64" for kind in ("png", "jpeg", "gif", "webp")
    ]
    assert b64decode(seen[0].partition(",")[2]) == PNG
    media = (
        *files(tmp_path, e=PNG, f=b"%PDF-1.4", g=b"RIFF....WAVE"),
        gone,
        MediaItem(kind="voice", url="v"),
    )
    await answer(endpoint.agent(), prompt(media=media))
    text, seen = shown(endpoint.requests[-1])
    assert "You are shown pictures only, 1 of 5 files" in text
    assert len(seen) == 1
    await answer(endpoint.agent(pictures=False), prompt(media=media))
    assert "You are shown text only" in shown(endpoint.requests[-1])[0]


async def test_pictures_are_shown_as_far_as_they_fit(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_messages, "MAX_PICTURE_BYTES", 30)
    monkeypatch.setattr(openai_messages, "MAX_PICTURES_BYTES", 50)
    media = files(tmp_path, a=PNG, b=PNG + bytes(20), c=PNG, d=PNG)
    await answer(endpoint.agent(), prompt(media=media))
    assert len(shown(endpoint.requests[-1])[1]) == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, "image input is not supported - hint: mmproj"),
        (422, "unknown variant"),
        (404, "no endpoints found"),
    ],
)
async def test_a_model_that_takes_no_pictures_is_told_so_and_answers(
    endpoint: Endpoint, tmp_path: Path, status: int, error: str
) -> None:
    async def blind(request: web.Request) -> web.StreamResponse:
        seen = shown(endpoint.requests[-1])[1]
        handler = answering(status, {"error": {"message": error}}) if seen else streaming(piece("ok", "stop"))
        return await handler(request)

    endpoint.handler = blind
    assert await answer(endpoint.agent(), prompt(media=files(tmp_path, a=PNG))) == "ok"
    assert "You are shown text only" in shown(endpoint.requests[1])[0]


async def test_a_direct_conversation_needs_no_names_and_an_open_endpoint_no_key(endpoint: Endpoint) -> None:
    agent = OpenAIAgent(endpoint.url + "/chat/completions/", "tiny")
    await answer(agent, prompt(sender_name="Alice", history=(Message(role="user", text="old"),)))
    assert endpoint.headers == [None]
    assert endpoint.requests[0]["messages"] == [{"role": "user", "content": "old\n\nhello"}]


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
    monkeypatch.setattr("openclaw_channel_octo.host.embedded.openai_client.MAX_OUTPUT", 100)
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


async def test_an_endpoint_that_is_not_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_client, "RETRIES", 0)
    with socket.socket() as taken:  # bound and not listening: nobody else can answer there
        taken.bind(("127.0.0.1", 0))
        agent = OpenAIAgent(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "tiny", SecretStr(KEY))
        _, message = await failing(agent)
    assert message.startswith("the model endpoint http://127.0.0.1:")
    assert message.endswith("failed: All connection attempts failed")


TALK = tuple(Message(role=("assistant", "user")[n % 2], text=f"m{n}") for n in range(1, 9))
"""Eight earlier messages, the last an answer."""


def limited(endpoint: Endpoint, most: int, status: int, error: Any, *, inside: bool = False) -> Handler:
    """Return a handler of a model that takes ``most`` characters, and says so with ``error`` otherwise."""

    async def handle(request: web.Request) -> web.StreamResponse:
        size = sum(len(message["content"]) for message in endpoint.requests[-1]["messages"])
        if size <= most:
            return await streaming(piece("ok", "stop"))(request)
        return await (streaming(json.dumps(error)) if inside else answering(status, error))(request)

    return handle


LENGTH_EXCEEDED = {
    "error": {"message": "no", "type": "invalid_request_error", "code": "context_length_exceeded"}
}


@pytest.mark.parametrize(
    ("most", "asked", "left_out"),
    [
        (19, [9], []),
        (12, [9, 5], ["4 of 8"]),
        (7, [9, 5, 3], ["4 of 8", "6 of 8"]),
        (3, [9, 5, 3, 1], ["4 of 8", "6 of 8", "8 of 8"]),
    ],
)
async def test_a_conversation_too_long_for_the_model_is_asked_again_with_less_of_it(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture, most: int, asked: list[int], left_out: list[str]
) -> None:
    endpoint.handler = limited(endpoint, most, 400, LENGTH_EXCEEDED)
    assert await answer(endpoint.agent(), prompt("now", history=TALK)) == "ok"
    assert [len(request["messages"]) for request in endpoint.requests] == asked
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"run r is too long for the model: asked again without {part} earlier messages" for part in left_out
    ]


async def test_what_was_said_around_a_message_goes_last_and_then_the_turn_fails(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    asked = prompt("now", history=TALK[-1:], context="x" * 50)
    endpoint.handler = limited(endpoint, 3, 400, LENGTH_EXCEEDED)
    assert await answer(endpoint.agent(), asked) == "ok"
    assert endpoint.requests[-1]["messages"] == [{"role": "user", "content": "now"}]
    endpoint.handler = limited(endpoint, 2, 400, LENGTH_EXCEEDED)
    with pytest.raises(AgentError, match="HTTP 400"):
        await answer(endpoint.agent(), asked)
    assert "also without earlier messages" in caplog.text


@pytest.mark.parametrize("status", [413, 429])
async def test_a_request_larger_than_a_rate_limit_is_made_shorter_at_once(
    endpoint: Endpoint, status: int
) -> None:
    error = {"error": {"message": "Request too large for m on tokens per minute (TPM): Limit 7, Requested 9"}}
    endpoint.handler = limited(endpoint, 12, status, error)
    assert await answer(endpoint.agent(), prompt("now", history=TALK)) == "ok"
    assert [len(request["messages"]) for request in endpoint.requests] == [9, 5]


async def test_a_refusal_inside_the_answer_counts_unless_something_was_said(endpoint: Endpoint) -> None:
    too_long = {"error": {"message": "Context size has been exceeded.", "code": 500}}
    endpoint.handler = limited(endpoint, 3, 200, too_long, inside=True)
    assert await answer(endpoint.agent(), prompt("now", history=TALK)) == "ok"
    endpoint.handler = streaming(piece("so"), json.dumps(too_long))
    assert (await failing(endpoint.agent()))[0] == "so"


async def test_the_model_gets_people_and_answers_in_turn_whatever_is_missing_between(
    endpoint: Endpoint,
) -> None:
    said = [("assistant", "lost"), ("user", "a"), ("user", "b"), ("assistant", "c"), ("assistant", "d")]
    history = tuple(Message(role=role, text=text) for role, text in said)
    await answer(endpoint.agent(), prompt("now", history=history))
    got = [(message["role"], message["content"]) for message in endpoint.requests[0]["messages"]]
    assert got == [("user", "a\n\nb"), ("assistant", "c\n\nd"), ("user", "now")]


async def test_a_rate_limit_is_waited_out_as_the_endpoint_asks(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def limit(request: web.Request) -> web.StreamResponse:
        endpoint.handler = streaming(piece("ok", "stop"))
        return web.json_response({}, status=429, headers={"Retry-After-Ms": "1"})

    monkeypatch.setattr(openai_client, "RETRIES", 1)
    endpoint.handler = limit
    assert await answer(endpoint.agent()) == "ok"
    assert len(endpoint.requests) == 2


async def test_neither_key_nor_account_of_the_environment_reach_an_endpoint(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    await answer(OpenAIAgent(endpoint.url, "tiny"))
    assert "planted" not in str(endpoint.sent)
    assert "Authorization" not in endpoint.sent[0]


async def test_a_proxy_of_the_environment_is_used(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", endpoint.url.removesuffix("/v1"))
    assert await answer(OpenAIAgent("http://models.example/v1", "tiny")) == "ok"
    assert endpoint.sent[0]["Host"] == "models.example"
    monkeypatch.setenv("HTTP_PROXY", "nonsense://proxy")
    with pytest.raises(AgentError, match="the proxy of the environment cannot be used"):
        await answer(OpenAIAgent("http://models.example/v1", "tiny"))


async def test_a_redirect_is_not_followed(endpoint: Endpoint) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"{endpoint.url.replace('127.0.0.1', 'localhost')}/chat/completions")

    endpoint.handler = redirect
    assert "(HTTP 307)" in (await failing(endpoint.agent()))[1]
    assert len(endpoint.requests) == 1


async def test_more_bytes_than_an_answer_may_have_are_not_read(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_client, "MAX_BODY", 1000)
    endpoint.handler = streaming(*[json.dumps({"choices": [], "more": "x" * 90})] * 100)
    assert "larger than 1000 bytes" in (await failing(endpoint.agent()))[1]
    endpoint.handler = answering(200, {"choices": [{"message": {"content": "x" * 2000}}]})
    assert "larger than 1000 bytes" in (await failing(endpoint.agent()))[1]


async def test_a_compressed_answer_is_not_unpacked(endpoint: Endpoint) -> None:
    async def bomb(request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=gzip.compress(b" " * 10_000_000), headers={"Content-Encoding": "gzip"}, content_type="x/y"
        )

    endpoint.handler = bomb
    assert "is not JSON" in (await failing(endpoint.agent()))[1]


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
