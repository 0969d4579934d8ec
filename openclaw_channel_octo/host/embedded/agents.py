"""What an agent is, and the one that needs nothing: the echo."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.host.embedded.transcript import Message

__all__ = ["MAX_OUTPUT", "Agent", "AgentError", "EchoAgent", "Prompt", "one_line"]

MAX_OUTPUT = 4 * 1024 * 1024
"""Most bytes of one answer."""


class AgentError(HostError):
    """The agent could not answer; the message is for the operator, never for the chat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What an agent is asked.

    Attributes:
        text: the request.
        sender_name: who asks, empty when unknown. Untrusted text.
        context: what was said around the request, to be shown as context.
        history: the conversation so far, oldest first, without this request.
        media: files that came with the request.
        conversation: ``group``, ``thread`` or ``direct``.
        session_key: the conversation.
        session_id: its memory.
        run_id: this run.
    """

    text: str
    session_key: str
    session_id: str
    run_id: str
    sender_name: str = ""
    context: str = ""
    history: tuple[Message, ...] = ()
    media: tuple[MediaItem, ...] = ()
    conversation: str = "direct"


class Agent(Protocol):
    """Answers prompts."""

    def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the answer in pieces; an empty piece is a sign of life and nothing more.

        The iteration is cancelled when the run is stopped or outlives its budget; whatever was started for
        it has to be ended then. Raises `AgentError` when there is no answer or no end to it.
        """
        ...


class EchoAgent:
    """Answers with the request itself; for trying things out."""

    async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the text of the request."""
        yield prompt.text


def one_line(text: str, limit: int) -> str:
    """Return ``text`` with all white space runs and control characters as single spaces, cut to ``limit``."""
    cleaned = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(cleaned.split())[:limit]
