"""An agent behind any OpenAI-compatible ``/chat/completions`` endpoint."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.host.embedded.agents import AgentError, Prompt
from openclaw_channel_octo.host.embedded.openai_client import EndpointError, ModelEndpoint
from openclaw_channel_octo.host.embedded.openai_messages import messages_of, pictures_of
from openclaw_channel_octo.host.embedded.openai_refusals import Refusal, refusal_of

__all__ = ["OpenAIAgent"]

_log = logging.getLogger(__name__)

HISTORY_MESSAGES = 20
"""Earlier messages of the conversation in a request, unless something else is asked for."""


class _Ask(Struct, frozen=True):
    """What of a prompt is sent.

    Attributes:
        history: number of earlier messages.
        context: whether what was said around the request.
        pictures: of `pictures_of`.
    """

    history: int
    context: bool = True
    pictures: tuple[str, ...] = ()


class OpenAIAgent:
    """Asks a model endpoint; streams the answer where the endpoint does.

    Where the model refuses a request because it is too long, the same turn asks again with half of the earlier
    messages, a quarter, none, then without what was said around the request, and at last without pictures. Where it
    takes no pictures, it is asked again without, and told so.

    Args:
        base_url: up to and without ``/chat/completions``, such as ``http://127.0.0.1:11434/v1``.
        model: the model's name there.
        api_key: sent as bearer token; ``None`` for endpoints without one.
        system_prompt: the first message of every request, left out when empty.
        history_messages: most earlier messages of the conversation in a request.
        pictures: whether pictures that came with a message are shown to the model.
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
        headers: Mapping[str, SecretStr] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        self._endpoint = ModelEndpoint(base_url, api_key, headers)
        self._model = model
        self._system_prompt = system_prompt
        self._sees = pictures
        self._body = dict(body or {})
        self.history_messages = history_messages

    def __repr__(self) -> str:
        return f"OpenAIAgent({self._endpoint.origin!r}, {self._model!r})"

    async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the answer as the model writes it.

        Raises:
            AgentError: the endpoint cannot be reached, refuses the request, reports an error, or its answer
                breaks off or makes no sense.
        """
        pictures = await asyncio.to_thread(pictures_of, prompt.media) if self._sees and prompt.media else ()
        ask = _Ask(len(prompt.history), pictures=pictures)
        while True:
            begun = False
            try:
                async with aclosing(self._endpoint.pieces(self._request(prompt, ask))) as pieces:
                    async for piece in pieces:
                        begun = begun or bool(piece.text)
                        yield piece.text
            except EndpointError as error:
                if begun:
                    raise
                ask = _lighter(ask, prompt, error)
            else:
                return

    def _request(self, prompt: Prompt, ask: _Ask) -> Mapping[str, Any]:
        history = prompt.history[len(prompt.history) - ask.history :]
        messages = messages_of(
            prompt, self._system_prompt, history=history, context=ask.context, pictures=ask.pictures
        )
        return {**self._body, "model": self._model, "messages": messages}


def _lighter(ask: _Ask, prompt: Prompt, error: EndpointError) -> _Ask:
    """Return what to ask instead of what was refused; raise the refusal where there is nothing else to ask."""
    refusal, total = refusal_of(error.status, error.reason, pictures=bool(ask.pictures)), len(prompt.history)
    if refusal is None:
        raise error
    if refusal is Refusal.PICTURES:
        _log.warning("run %s: the model takes no pictures: %s", prompt.run_id, error)
        return replace(ask, pictures=())
    if ask.history:
        ask = replace(ask, history=next(kept for kept in (total // 2, total // 4, 0) if kept < ask.history))
        left_out = f"{total - ask.history} of {total} earlier messages"
    elif ask.context and prompt.context:
        ask = replace(ask, context=False)
        left_out = "all earlier messages and what was said around this one"
    elif ask.pictures:
        ask = replace(ask, pictures=())
        left_out = "all earlier messages and pictures"
    else:
        raise AgentError(f"too long for the model, also without earlier messages: {error}") from None
    _log.warning("run %s is too long for the model: asked again without %s", prompt.run_id, left_out)
    return ask
