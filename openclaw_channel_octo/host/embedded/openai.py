"""An agent behind any OpenAI-compatible ``/chat/completions`` endpoint."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from pydantic import SecretStr

from openclaw_channel_octo.host.embedded.agents import Prompt
from openclaw_channel_octo.host.embedded.openai_client import ModelEndpoint
from openclaw_channel_octo.host.embedded.transcript import Message
from openclaw_channel_octo.message.marks import explanation, marked, remarked
from openclaw_channel_octo.message.text import indented, label

__all__ = ["OpenAIAgent"]

HISTORY_LIMIT = 20
"""Most earlier messages of the conversation in a request."""
MAX_NAME = 64
UNSEEN = "You are shown text only: of pictures, recordings and other files you know what is written above, no more."
"""Said with a message that brings files, so that no model makes up what it cannot see."""


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
        self._endpoint = ModelEndpoint(base_url, api_key)
        self._model = model
        self._system_prompt = system_prompt

    def __repr__(self) -> str:
        return f"OpenAIAgent({self._endpoint.origin!r}, {self._model!r})"

    async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the answer as the model writes it.

        Raises:
            AgentError: the endpoint cannot be reached, refuses the request, reports an error, or its answer
                breaks off or makes no sense.
        """
        body = {"model": self._model, "messages": self._messages(prompt)}
        async with aclosing(self._endpoint.pieces(body)) as pieces:
            async for piece in pieces:
                yield piece.text

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


def _spoken(message: Message, grouped: bool, mark: str) -> str:
    """Return a message as the model gets it, behind what was shown around it; lines of the channel with this mark."""
    name = label(message.sender, MAX_NAME)
    text, context = (remarked(said, message.mark, mark) for said in (message.text, message.context))
    if grouped and name and message.role == "user":
        who = f"{mark} {name}".lstrip()
        text = f"{who}: {indented(text)}"  # or a line of it could begin with somebody else's name
    return f"{context}\n\n{text}" if context else text
