"""Requests to an OpenAI-compatible ``/chat/completions`` endpoint, made with the `openai` package."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct
from pydantic import SecretStr

from openclaw_channel_octo.config.base import names_host
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.embedded.agents import MAX_OUTPUT, AgentError, one_line, without_secrets
from openclaw_channel_octo.host.embedded.openai_refusals import refusal_of
from openclaw_channel_octo.host.fields import mapping, text

try:
    import httpx2
    import openai
except ImportError:
    raise ConfigError(
        "host.agent: the kind openai needs a library, first: pip install 'openclaw-channel-octo[openai]'"
    ) from None

if TYPE_CHECKING:
    from openai import AsyncStream

__all__ = ["EndpointError", "ModelEndpoint", "Piece"]

RETRIES = 2
"""Requests that are made again where the endpoint cannot be reached, limits the rate or breaks, with backoff."""

CONNECT_S = 30.0
SILENCE_S = 300.0
"""Longest pause of an endpoint in the middle of an answer; slow local models think for minutes."""

AFTER_END_S = 5.0
"""Longest pause after an answer was called complete: some servers say so with every piece, others never close."""

MAX_BODY = 64 * 1024 * 1024
"""Most bytes of one answer on the wire: a piece of a few characters takes some hundred."""

MAX_ERROR_BODY = 64 * 1024
MAX_DETAIL = 300

_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":")
_DONE = (b"data: [DONE]", b"data:[DONE]")


LENGTH = ("length", "max_tokens", "model_length")
"""What OpenAI's format, proxies of Anthropic's and Mistral say of an answer that a length limit ended."""

FILTERED = (
    *("content_filter", "content_filtered", "sensitive", "refusal", "guardrail_intervened", "error_toxic"),
    *("safety", "prohibited_content", "blocklist", "spii", "recitation"),
)
"""What OpenAI's format, GLM and proxies of Anthropic's, Bedrock's, Cohere's and Gemini's say of one a filter ended."""


class EndpointError(AgentError):
    """The endpoint gave no answer, or no end of it.

    Attributes:
        status: of its HTTP answer, 0 where there was none or the error stood in a stream.
        reason: what it said was wrong, as it said it: untrusted, maybe with a secret in it, for decisions only.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Piece(Struct, frozen=True):
    """A part of an answer.

    Attributes:
        text: more of the text, often empty; with a model that refuses, what it says instead.
        calls: parts of tool calls, as the endpoint sent them: mappings, and whatever else somebody sends.
        thought: more of what the model thought; some want it back with the results of their tool calls.
        is_cut: whether a length limit ended the answer with it.
        is_filtered: whether a content filter did.
    """

    text: str = ""
    thought: str = ""
    calls: tuple[Any, ...] = ()
    is_cut: bool = False
    is_filtered: bool = False


class ModelEndpoint:
    """An endpoint and how it is reached: retries with ``Retry-After``, time-outs, proxies of the environment.

    Redirects are not followed, for they would carry key and conversation elsewhere. Of the variables that the SDK
    reads, ``OPENAI_API_KEY`` among them, only ``OPENAI_CUSTOM_HEADERS`` counts.

    Args:
        base_url: up to and without ``/chat/completions``; its query goes with every request.
        api_key: sent as bearer token; ``None`` for endpoints without one.
        headers: sent with every request.

    Raises:
        ConfigError: the base URL is no HTTP address.
    """

    def __init__(
        self, base_url: str, api_key: SecretStr | None = None, headers: Mapping[str, SecretStr] | None = None
    ) -> None:
        if urlsplit(base_url).scheme not in {"http", "https"} or not names_host(base_url):
            raise ConfigError("the model's base URL must begin with http:// or https:// and name a host")
        url = httpx2.URL(base_url)
        path = url.path.rstrip("/").removesuffix("/chat/completions")
        self._query = dict(url.params)
        self._url = str(url.copy_with(path=path, query=None))
        self.origin = f"{url.scheme}://{url.netloc.rpartition(b'@')[2].decode()}"
        self._headers = _headers(api_key.get_secret_value() if api_key else "", headers or {})
        self._secrets = tuple(filter(None, (api_key, *(headers or {}).values())))
        self._tls = ssl.create_default_context()  # once: reading the trusted certificates takes a while
        # What the SDK loads late is loaded now, so that no message does it (docs/decisions/0037).
        self._client()
        with suppress(ImportError):
            import_module("anyio._backends._asyncio")

    async def pieces(self, body: Mapping[str, Any]) -> AsyncGenerator[Piece, None]:
        """Ask, and yield the answer as it comes.

        Args:
            body: the request, without ``stream``.

        Raises:
            EndpointError: the endpoint cannot be reached, refuses the request, reports an error, or its answer breaks
                off, is too long or makes no sense.
        """
        try:
            async with (
                self._client() as client,
                await client.post(
                    "/chat/completions",
                    cast_to=object,
                    body={**body, "stream": True},
                    options={"headers": self._headers},
                    stream=True,
                    stream_cls=openai.AsyncStream[object],
                ) as stream,
                aclosing(self._read(stream)) as pieces,
            ):
                async for piece in pieces:
                    yield piece
        except openai.APIStatusError as error:
            raise self._refusal(error) from None
        except openai.APIConnectionError as error:
            raise self._failure(error.__cause__ or error) from None
        except openai.APIError as error:
            raise self._reported(error.body) from None
        except httpx2.HTTPError as error:  # while an answer is read that does not stream
            raise self._failure(error) from None

    def _client(self) -> openai.AsyncOpenAI:
        timeout = openai.Timeout(SILENCE_S, connect=CONNECT_S)
        try:
            http = openai.DefaultAsyncHttpxClient(
                timeout=timeout, follow_redirects=False, verify=self._tls, event_hooks={"response": [_bound]}
            )
        except (ImportError, ValueError) as error:
            why = f"the proxy of the environment cannot be used: {self._detail(str(error))}"
            raise EndpointError(why) from None
        return openai.AsyncOpenAI(
            base_url=self._url,
            api_key="unused",  # or the SDK looks for one in the environment; `_headers` has ours
            default_query=self._query,
            max_retries=RETRIES,
            timeout=timeout,
            http_client=http,
        )

    async def _read(self, stream: "AsyncStream[object]") -> AsyncGenerator[Piece, None]:
        response = stream.response
        if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "text/event-stream":
            body = await response.aread()
            if not _is_stream(body):
                yield self._whole(body)
                return
        finished, room = False, MAX_OUTPUT
        while (event := await self._next(stream, finished)) is not None:
            piece, ended = self._piece(mapping(event))
            finished = finished or ended
            room -= len(piece.text)
            if room < 0:
                raise EndpointError(f"the model's answer is longer than {MAX_OUTPUT} characters")
            yield piece
        if not finished and not getattr(response.stream, "done", True):
            raise EndpointError(
                "the model's answer broke off: the stream ended without saying that it is complete"
            )

    async def _next(self, stream: "AsyncStream[object]", finished: bool) -> object | None:
        """Return the next event, ``None`` at the end; an answer that is complete may end in any way."""
        try:
            async with asyncio.timeout(AFTER_END_S if finished else None):
                return await anext(stream, None)
        except (openai.APIConnectionError, TimeoutError):
            if finished:
                return None
            raise
        except (ValueError, RecursionError):
            raise _no_json() from None

    def _failure(self, error: BaseException) -> EndpointError:
        why = self._detail(str(error)) or type(error).__name__
        return EndpointError(f"the model endpoint {self.origin} failed: {why}")

    def _refusal(self, error: openai.APIStatusError) -> EndpointError:
        status = error.status_code
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            why = f"the model endpoint refuses the API key (HTTP {status}): check the configured key"
            return EndpointError(why, status=status)
        try:
            detail = self._describe(json.loads(error.response.content))
        except (ValueError, RecursionError):
            detail = ""  # a proxy's page says nothing about the model
        limited = status == HTTPStatus.TOO_MANY_REQUESTS
        what = "is rate-limiting us or the quota is used up" if limited else "answered with an error"
        words = f"the model endpoint {what} (HTTP {status})" + (f": {detail}" if detail else "")
        return EndpointError(words, status=status, reason=error.response.text)

    def _reported(self, error: object) -> EndpointError:
        words = f"the model reports an error: {self._describe(error) or 'no details'}"
        return EndpointError(words, reason=error if isinstance(error, str) else json.dumps(error))

    def _describe(self, error: object) -> str:
        said = mapping(error).get("error", error)
        message = mapping(said).get("message", said)
        return self._detail(message) if isinstance(message, str) else ""

    def _detail(self, text: str) -> str:
        return one_line(without_secrets(text, self._secrets), MAX_DETAIL)

    def _whole(self, body: bytes) -> Piece:
        try:
            answer = mapping(json.loads(body))
        except (ValueError, RecursionError):
            raise _no_json() from None
        self._require_no_error(answer)
        choice = _choice(answer)
        if choice is None:
            raise EndpointError("the model's answer holds no choices: is this an OpenAI-compatible endpoint?")
        return _said(choice)

    def _piece(self, event: Mapping[str, Any]) -> tuple[Piece, bool]:
        """Return what an event of the stream brings and whether the answer is complete with it."""
        self._require_no_error(event)
        choice = _choice(event) or {}
        return _said(choice), choice.get("finish_reason") is not None

    def _require_no_error(self, answer: Mapping[str, Any]) -> None:
        if error := answer.get("error") or (answer if answer.get("object") == "error" else None):
            raise self._reported(error)


class _Bounded(httpx2.AsyncByteStream):
    """The body of an answer, up to a size; what an error says is cut there.

    Attributes:
        done: whether the end of the stream was announced in it.
    """

    def __init__(self, body: httpx2.AsyncByteStream, status: int) -> None:
        self._body = body
        self._fine = status == HTTPStatus.OK
        self._room = MAX_BODY if self._fine else MAX_ERROR_BODY
        self.done = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        before = b""
        async for data in self._body:
            self._room -= len(data)
            if self._room < 0 and self._fine:
                raise EndpointError(f"the model's answer is larger than {MAX_BODY} bytes")
            if self._room < 0:
                return
            before = before[-len(_DONE[0]) :] + data
            self.done = self.done or any(mark in before for mark in _DONE)
            yield data

    async def aclose(self) -> None:
        await self._body.aclose()


async def _bound(response: httpx2.Response) -> None:
    """Bound what is read of an answer; compressed ones, which nobody asked for, are not unpacked.

    A request that is larger than a rate limit is not made again as it is: the header tells the SDK.
    """
    response.headers.pop("Content-Encoding", None)
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream, response.status_code)
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        await response.aread()
        if refusal_of(response.status_code, response.text):
            response.headers["x-should-retry"] = "false"


def _headers(key: str, more: Mapping[str, SecretStr]) -> dict[str, str | openai.Omit]:
    """Return the headers of every request; what stands for the SDK's own credentials is left out."""
    headers: dict[str, str | openai.Omit] = {
        "authorization": f"Bearer {key}" if key else openai.omit,
        "openai-organization": openai.omit,
        "openai-project": openai.omit,
    }
    return headers | {name.lower(): value.get_secret_value() for name, value in more.items()}


def _no_json() -> EndpointError:
    return EndpointError("the model's answer is not JSON: is this an OpenAI-compatible endpoint?")


def _is_stream(body: bytes) -> bool:
    """Return whether an answer is an event stream, whatever its header says: JSON begins otherwise."""
    return body.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").startswith(_BEGINNINGS)


def _choice(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choices = answer.get("choices")
    return mapping(choices[0]) if isinstance(choices, list) and choices else None


def _said(choice: Mapping[str, Any]) -> Piece:
    message = mapping(choice.get("delta") or choice.get("message"))
    calls, reason = message.get("tool_calls"), text(choice.get("finish_reason"))
    return Piece(
        text=_text(message.get("content")) or _text(message.get("refusal")),
        thought=_text(message.get("reasoning_content")),
        calls=tuple(calls) if isinstance(calls, list) else (),
        is_cut=reason in LENGTH,
        is_filtered=reason.lower().partition(":")[0] in FILTERED,  # Gemini: "content_filter: SAFETY"
    )


def _text(content: object) -> str:
    if isinstance(content, list):
        parts = map(mapping, content)
        return "".join(_text(part.get("text")) or _text(part.get("refusal")) for part in parts)
    return content if isinstance(content, str) else ""
