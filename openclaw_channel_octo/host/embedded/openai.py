"""An agent behind any OpenAI-compatible ``/chat/completions`` endpoint."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.host.embedded.agents import AgentError, Prompt
from openclaw_channel_octo.host.embedded.openai_client import EndpointError, ModelEndpoint
from openclaw_channel_octo.host.embedded.openai_messages import messages_of
from openclaw_channel_octo.host.embedded.openai_refusals import Refusal, refusal_of

__all__ = ["OpenAIAgent"]

_log = logging.getLogger(__name__)

HISTORY_MESSAGES = 20
"""Earlier messages of the conversation in a request, unless something else is asked for."""


class _Ask(Struct, frozen=True):
    """What of a prompt is sent: the number of earlier messages, and whether what was said around the request."""

    history: int
    context: bool = True


class OpenAIAgent:
    """Asks a model endpoint; streams the answer where the endpoint does.

    Where the model refuses a request because it is too long, the same turn asks again with half of the earlier
    messages, a quarter, none, and at last without what was said around the request.

    Args:
        base_url: up to and without ``/chat/completions``, such as ``http://127.0.0.1:11434/v1``.
        model: the model's name there.
        api_key: sent as bearer token; ``None`` for endpoints without one.
        system_prompt: the first message of every request, left out when empty.
        history_messages: most earlier messages of the conversation in a request.

    Raises:
        ConfigError: the base URL is no HTTP address.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: SecretStr | None = None,
        system_prompt: str = "",
        *,
        history_messages: int = HISTORY_MESSAGES,
    ) -> None:
        self._endpoint = ModelEndpoint(base_url, api_key)
        self._model = model
        self._system_prompt = system_prompt
        self.history_messages = history_messages

    def __repr__(self) -> str:
        return f"OpenAIAgent({self._endpoint.origin!r}, {self._model!r})"

    async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the answer as the model writes it.

        Raises:
            AgentError: the endpoint cannot be reached, refuses the request, reports an error, or its answer
                breaks off or makes no sense.
        """
        ask = _Ask(len(prompt.history))
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
        messages = messages_of(prompt, self._system_prompt, history=history, context=ask.context)
        return {"model": self._model, "messages": messages}


def _lighter(ask: _Ask, prompt: Prompt, error: EndpointError) -> _Ask:
    """Return what to ask instead of what was refused; raise the refusal where there is nothing else to ask."""
    if refusal_of(error.status, error.reason) is not Refusal.TOO_LONG:
        raise error
    total = len(prompt.history)
    if ask.history:
        ask = replace(ask, history=next(kept for kept in (total // 2, total // 4, 0) if kept < ask.history))
        left_out = f"{total - ask.history} of {total} earlier messages"
    elif ask.context and prompt.context:
        ask = replace(ask, context=False)
        left_out = "all earlier messages and what was said around this one"
    else:
        raise AgentError(f"too long for the model, also without earlier messages: {error}") from None
    _log.warning("run %s is too long for the model: asked again without %s", prompt.run_id, left_out)
    return ask
