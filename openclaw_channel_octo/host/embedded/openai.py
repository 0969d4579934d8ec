"""An agent behind any OpenAI-compatible ``/chat/completions`` endpoint."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import aiohttp
from pydantic import SecretStr
from yarl import URL

from openclaw_channel_octo.config.base import names_host
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.embedded.agents import MAX_OUTPUT, AgentError, AnswerCut, Prompt, one_line
from openclaw_channel_octo.host.embedded.transcript import Message
from openclaw_channel_octo.host.fields import mapping
from openclaw_channel_octo.message.marks import explanation, marked, remarked
from openclaw_channel_octo.message.text import indented, label

__all__ = ["OpenAIAgent", "SseParser", "is_stream"]

CONNECT_S = 30.0
SILENCE_S = 300.0
"""Longest pause of an endpoint in the middle of an answer; slow local models think for minutes."""

AFTER_END_S = 5.0
"""Longest pause after an answer was called complete: some servers say so with every piece, others never close."""

LENGTH = ("length", "max_tokens", "model_length")
"""What OpenAI's format, proxies of Anthropic's and Mistral say of an answer that a length limit ended."""

MAX_ERROR_BODY = 16 * 1024
MAX_DETAIL = 300
MAX_EVENT = 1024 * 1024
"""Most bytes of one event of a stream."""
HISTORY_LIMIT = 20
"""Most earlier messages of the conversation in a request."""
MAX_NAME = 64
UNSEEN = "You are shown text only: of pictures, recordings and other files you know what is written above, no more."
"""Said with a message that brings files, so that no model makes up what it cannot see."""
_MARK = b"\xef\xbb\xbf"
_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":")


class OpenAIAgent:
    """Asks a model endpoint; streams the answer where the endpoint does.

    Args:
        base_url: up to and without ``/chat/completions``, such as ``http://127.0.0.1:11434/v1``.
        model: the model's name there.
        api_key: sent as bearer token; ``None`` for endpoints without one.
        system_prompt: the first message of every request, left out when empty.

    Raises:
        ConfigError: the base URL is no HTTP address.
    """

    def __init__(
        self, base_url: str, model: str, api_key: SecretStr | None = None, system_prompt: str = ""
    ) -> None:
        self._url = _endpoint(base_url)
        self._model = model
        self._key = api_key.get_secret_value() if api_key is not None else ""
        self._system_prompt = system_prompt

    def __repr__(self) -> str:
        return f"OpenAIAgent({str(self._url.origin())!r}, {self._model!r})"

    async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the answer as the model writes it.

        Raises:
            AgentError: the endpoint cannot be reached, refuses the request, reports an error, or its answer
                breaks off or makes no sense.
            AnswerCut: the endpoint's length limit ended the answer.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        body = {"model": self._model, "messages": self._messages(prompt), "stream": True}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self._url, json=body, headers=headers, allow_redirects=False) as response,
                aclosing(self._answer(response)) as answer,
            ):
                async for text in answer:
                    yield text
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AgentError(
                f"the model endpoint failed: {self._detail(str(error)) or type(error).__name__}"
            ) from error

    async def _answer(self, response: aiohttp.ClientResponse) -> AsyncGenerator[str, None]:
        if response.status != HTTPStatus.OK:
            raise AgentError(await self._refusal(response))
        pieces: AsyncIterator[bytes] = response.content.iter_any()
        if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "text/event-stream":
            body = await _read(response, MAX_OUTPUT)
            if not is_stream(body):
                text, reason = self._whole(body)
                yield text
                _tell_cut(reason)
                return
            pieces = _one(body)
        reason, room = None, MAX_OUTPUT
        async with aclosing(_events(pieces)) as events:
            while (data := await _next(events, finished=reason is not None)) is not None:
                if data.strip() == "[DONE]":
                    reason = reason or "stop"
                    break
                text, told = self._piece(data)
                reason = told if told is not None else reason
                room -= len(text)
                if room < 0:
                    raise AgentError(f"the model's answer is longer than {MAX_OUTPUT} characters")
                yield text
        if reason is None:
            raise AgentError(
                "the model's answer broke off: the stream ended without saying that it is complete"
            )
        _tell_cut(reason)

    def _messages(self, prompt: Prompt) -> list[dict[str, str]]:
        grouped, mark = prompt.conversation != "direct", prompt.mark
        request = Message(
            role="user", text=prompt.text, sender=prompt.sender_name, context=prompt.context, mark=mark
        )
        messages = [
            {"role": message.role, "content": _spoken(message, grouped, mark)}
            for message in (*prompt.history[-HISTORY_LIMIT:], request)
        ]
        if prompt.media:
            messages[-1]["content"] += f"\n\n{marked(UNSEEN, mark)}"
        told = explanation(mark, prompt.notes, *(message["content"] for message in messages))
        system = "\n\n".join(part for part in (self._system_prompt, told, prompt.notes) if part)
        return [{"role": "system", "content": system}, *messages] if system else messages

    async def _refusal(self, response: aiohttp.ClientResponse) -> str:
        status = response.status
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return f"the model endpoint refuses the API key (HTTP {status}): check the configured key"
        try:
            answer = mapping(json.loads(await _read(response, MAX_ERROR_BODY)))
        except (ValueError, RecursionError):
            answer = {}  # a proxy's page says nothing about the model
        detail = self._describe(_error(answer))
        limited = status == HTTPStatus.TOO_MANY_REQUESTS
        what = "is rate-limiting us or the quota is used up" if limited else "answered with an error"
        return f"the model endpoint {what} (HTTP {status})" + (f": {detail}" if detail else "")

    def _describe(self, error: Any) -> str:
        message = mapping(error).get("message", error)
        return self._detail(message) if isinstance(message, str) else ""

    def _detail(self, text: str) -> str:
        return one_line(text.replace(self._key, "***") if self._key else text, MAX_DETAIL)

    def _whole(self, body: bytes) -> tuple[str, Any]:
        """Return an answer's text and the reason for its end."""
        answer = self._decode(body.decode(errors="replace"))
        choice = _choice(answer)
        if choice is None:
            raise AgentError("the model's answer holds no choices: is this an OpenAI-compatible endpoint?")
        return _text(mapping(choice.get("message")).get("content")), choice.get("finish_reason")

    def _piece(self, data: str) -> tuple[str, Any]:
        """Return the text of a part of the stream and the reason for the answer's end, ``None`` if it goes on."""
        if not data.strip():
            return "", None
        choice = _choice(self._decode(data))
        if choice is None:
            return "", None
        delta = choice.get("delta") or choice.get("message")
        return _text(mapping(delta).get("content")), choice.get("finish_reason")

    def _decode(self, text: str) -> Mapping[str, Any]:
        try:
            answer = mapping(json.loads(text))
        except (ValueError, RecursionError):
            raise AgentError(
                "the model's answer is not JSON: is this an OpenAI-compatible endpoint?"
            ) from None
        if error := _error(answer):
            raise AgentError(f"the model reports an error: {self._describe(error) or 'no details'}")
        return answer


def is_stream(body: bytes) -> bool:
    """Return whether an answer is an event stream, whatever its header says: JSON begins otherwise."""
    return body.removeprefix(_MARK).lstrip(b"\r\n").startswith(_BEGINNINGS)


class SseParser:
    """Turns the bytes of server-sent events into their data, as far as streaming model endpoints use them."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._begun = False
        self._cut = False
        """Whether the bytes so far end in a carriage return: a newline that follows belongs to it."""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[str]:
        """Return the data of the events that ``data`` completed.

        Raises:
            AgentError: an event is larger than the limit.
        """
        if not data:
            return []
        rest = data.removeprefix(b"\n") if self._cut else data
        self._cut = rest.endswith(b"\r")
        events: list[str] = []
        for line in rest.splitlines(keepends=True):
            self._line += line
            if line.endswith((b"\r", b"\n")):
                events += self._take()
        if len(self._line) + self._size > MAX_EVENT:
            raise AgentError(f"an event of the model's stream is larger than {MAX_EVENT} bytes")
        return events

    def end(self) -> list[str]:
        """Return what an end of the stream completes: a last event without its blank line."""
        return [*self._take(), *self._take()]

    def _take(self) -> list[str]:
        """Take the line that is complete; return the event that it ends, if it ends one."""
        line = bytes(self._line).rstrip(b"\r\n")
        self._line.clear()
        if not self._begun:
            line, self._begun = line.removeprefix(_MARK), True
        if line:
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
                self._size += len(value) + 1
            return []
        if not self._data:
            return []
        event = b"\n".join(self._data).decode(errors="replace")
        self._data, self._size = [], 0
        return [event]


def _endpoint(base_url: str) -> URL:
    try:
        url = URL(base_url)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not names_host(base_url):
        raise ConfigError("the model's base URL must begin with http:// or https:// and name a host")
    path = url.path.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
    return url.with_path(path).with_query(url.query)


def _tell_cut(reason: Any) -> None:
    if reason in LENGTH:
        raise AnswerCut


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _next(events: AsyncGenerator[str, None], *, finished: bool) -> str | None:
    """Return the next event, ``None`` at the end; an answer that is complete may end in any way."""
    try:
        async with asyncio.timeout(AFTER_END_S if finished else None):
            return await anext(events, None)
    except (aiohttp.ClientError, TimeoutError, OSError):
        if finished:
            return None
        raise


async def _events(pieces: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    parser = SseParser()
    async for data in pieces:
        for event in parser.feed(data):
            yield event
    for event in parser.end():
        yield event


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for data in response.content.iter_any():
        body += data
        if len(body) > limit:
            return bytes(body[:limit])
    return bytes(body)


def _error(answer: Mapping[str, Any]) -> Any:
    """Return what an answer says went wrong, itself where it is nothing but an error."""
    return answer.get("error") or (answer if answer.get("object") == "error" else None)


def _choice(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choices = answer.get("choices")
    return mapping(choices[0]) if isinstance(choices, list) and choices else None


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(_text(mapping(part).get("text")) for part in content)
    return content if isinstance(content, str) else ""


def _spoken(message: Message, grouped: bool, mark: str) -> str:
    """Return a message as the model gets it, behind what was shown around it; lines of the channel with this mark."""
    name = label(message.sender, MAX_NAME)
    text, context = (remarked(said, message.mark, mark) for said in (message.text, message.context))
    if grouped and name and message.role == "user":
        who = f"{mark} {name}".lstrip()
        text = f"{who}: {indented(text)}"  # or a line of it could begin with somebody else's name
    return f"{context}\n\n{text}" if context else text
