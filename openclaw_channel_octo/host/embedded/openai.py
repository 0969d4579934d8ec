"""An agent behind any OpenAI-compatible ``/chat/completions`` endpoint."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.host.base import ChatTool, ChatTools
from openclaw_channel_octo.host.embedded.agents import (
    PART_END,
    AgentError,
    AnswerCut,
    Prompt,
    ToolUse,
    without_quotes,
)
from openclaw_channel_octo.host.embedded.openai_client import EndpointError, ModelEndpoint, Piece
from openclaw_channel_octo.host.embedded.openai_messages import messages_of, pictures_of
from openclaw_channel_octo.host.embedded.openai_refusals import Refusal, refusal_of
from openclaw_channel_octo.host.embedded.openai_tools import ModelRound, with_short_results
from openclaw_channel_octo.host.fields import text
from openclaw_channel_octo.message.thinking import ThinkingFilter

__all__ = ["OpenAIAgent"]

_log = logging.getLogger(__name__)

HISTORY_MESSAGES = 20
"""Earlier messages of the conversation in a request, unless something else is asked for."""

TOOL_ROUNDS = 8
"""Times a model may look at results of its tools, unless something else is asked for."""


class _Ask(Struct, frozen=True):
    """What of a prompt is sent.

    Attributes:
        history: number of earlier messages.
        context: whether what was said around the request.
        pictures: of `pictures_of`.
        tools: whether tools are offered.
        short: whether results of tools are cut short.
    """

    history: int
    context: bool = True
    pictures: tuple[str, ...] = ()
    tools: bool = False
    short: bool = False


class OpenAIAgent:
    """Asks a model endpoint; streams the answer where the endpoint does.

    Where the model refuses a request because it is too long, the same turn asks again with half of the earlier
    messages, a quarter, none, then without what was said around the request, without pictures, and at last with short
    results of tools. Where it takes no pictures or no tools, it is asked again without.

    Args:
        base_url: up to and without ``/chat/completions``, such as ``http://127.0.0.1:11434/v1``.
        model: the model's name there.
        api_key: sent as bearer token; ``None`` for endpoints without one.
        system_prompt: the first message of every request, left out when empty.
        history_messages: most earlier messages of the conversation in a request.
        pictures: whether pictures that came with a message are shown to the model.
        tools: whether the model may act in the chat, by the tools of `take_tools`.
        tool_rounds: most times it may look at results of its tools before it has to answer.
        headers: sent with every request.
        body: fields added to every request, such as ``temperature``.

    Raises:
        ConfigError: the base URL is no HTTP address.
    """

    def __init__(  # noqa: PLR0913  # settings, each with a name at every call
        self,
        base_url: str,
        model: str,
        api_key: SecretStr | None = None,
        system_prompt: str = "",
        *,
        history_messages: int = HISTORY_MESSAGES,
        pictures: bool = True,
        tools: bool = True,
        tool_rounds: int = TOOL_ROUNDS,
        headers: Mapping[str, SecretStr] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        self._endpoint = ModelEndpoint(base_url, api_key, headers)
        self._model = model
        self._system_prompt = system_prompt
        self._sees = pictures
        self._acts, self._tool_rounds = tools, tool_rounds
        self._tools: ChatTools | None = None
        self._body = dict(body or {})
        self.history_messages = history_messages

    def __repr__(self) -> str:
        return f"OpenAIAgent({self._endpoint.origin!r}, {self._model!r})"

    def take_tools(self, tools: ChatTools) -> None:
        """Take what the model can do in the chat; see `host.base.TakesChatTools`."""
        self._tools = tools

    async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the answer as the model writes it; what it says between tool calls belongs to it.

        Raises:
            AgentError: the endpoint cannot be reached, refuses the request, reports an error, or its answer
                breaks off or makes no sense.
            AnswerCut: the endpoint's length limit or content filter ended the answer.
        """
        pictures = await asyncio.to_thread(pictures_of, prompt.media) if self._sees and prompt.media else ()
        tools = self._tools if self._acts and prompt.ticket else None
        ask = _Ask(len(prompt.history), pictures=pictures, tools=tools is not None)
        done: list[dict[str, Any]] = []
        rounds = 0
        while True:
            said, thinking, spoke = ModelRound(), ThinkingFilter(), False
            request = self._request(prompt, ask, done, last=rounds == self._tool_rounds)
            try:
                async with aclosing(self._endpoint.pieces(request)) as pieces:
                    async for piece in pieces:
                        said.add(replace(piece, text=thinking.feed(piece.text)))
                        spoke = spoke or bool(piece.text)
                        yield piece.text
                said.add(Piece(text=thinking.end()))
            except EndpointError as error:
                lighter = None if spoke else _lighter(ask, prompt, error, done)
                if lighter is None:
                    raise _unquoted(error, done) from None
                ask = lighter
                continue
            if tools is None or not ask.tools or not said.calls_tools or rounds == self._tool_rounds:
                if said.is_cut or said.is_filtered:
                    raise AnswerCut(filtered=said.is_filtered)
                return
            for name in said.tool_names:
                yield ToolUse(name)
            done += await said.carried_out(tools, prompt.ticket)
            rounds += 1
            yield PART_END

    def _request(
        self, prompt: Prompt, ask: _Ask, done: Sequence[Mapping[str, Any]], *, last: bool
    ) -> Mapping[str, Any]:
        messages = messages_of(
            prompt,
            self._system_prompt,
            history=prompt.history[len(prompt.history) - ask.history :],
            context=ask.context,
            pictures=ask.pictures,
            acts=ask.tools,
        )
        request = {**self._body, "model": self._model}
        if ask.tools and self._tools is not None:
            request |= {"tools": [_described(tool) for tool in self._tools.offered(prompt.ticket)]}
            request |= {"tool_choice": "none"} if last else {}
        return request | {"messages": [*messages, *(with_short_results(done) if ask.short else done)]}


def _described(tool: ChatTool) -> Mapping[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _unquoted(error: EndpointError, done: Sequence[Mapping[str, Any]]) -> AgentError:
    """Return an error without words of results of tools that it quotes: it goes into logs and states."""
    return AgentError(without_quotes(str(error), [text(message["content"]) for message in done]))


def _lighter(ask: _Ask, prompt: Prompt, error: EndpointError, done: Sequence[object]) -> _Ask | None:
    """Return what to ask instead of what was refused, ``None`` where nothing else would be answered."""
    refusal = refusal_of(
        error.status, error.reason, pictures=bool(ask.pictures), tools=ask.tools and not done
    )
    match refusal:
        case Refusal.PICTURES:
            _log.warning("run %s: the model takes no pictures: asked again without", prompt.run_id)
            return replace(ask, pictures=())
        case Refusal.TOOLS:
            words = (
                "run %s: the model takes no tools: asked again without; host.agent.tools switches them off"
            )
            _log.warning(words, prompt.run_id)
            return replace(ask, tools=False)
        case Refusal.TOO_LONG:
            return _shorter(ask, prompt, done)
        case None:
            return None


def _shorter(ask: _Ask, prompt: Prompt, done: Sequence[object]) -> _Ask | None:
    total = len(prompt.history)
    if ask.history:
        ask = replace(ask, history=next(kept for kept in (total // 2, total // 4, 0) if kept < ask.history))
        how = f"without {total - ask.history} of {total} earlier messages"
    elif ask.context and prompt.context:
        ask, how = replace(ask, context=False), "without what was said around the message"
    elif ask.pictures:
        ask, how = replace(ask, pictures=()), "without pictures"
    elif done and not ask.short:
        ask, how = replace(ask, short=True), "with short results of tools"
    else:
        _log.warning("run %s is too long for the model, also without earlier messages", prompt.run_id)
        return None
    _log.warning("run %s is too long for the model: asked again %s", prompt.run_id, how)
    return ask
