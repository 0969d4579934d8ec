"""What an agent is, and the one that needs nothing: the echo."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from pydantic import SecretStr

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.host.embedded.transcript import Message
from openclaw_channel_octo.message.text import well_formed
from openclaw_channel_octo.message.thinking import ThinkingFilter
from openclaw_channel_octo.values import SecretStruct

__all__ = [
    "MAX_OUTPUT",
    "PART_END",
    "Agent",
    "AgentError",
    "AnswerCut",
    "EchoAgent",
    "PartEnd",
    "Prompt",
    "StartedAgent",
    "ToolUse",
    "fit_to_show",
    "hides_thinking",
    "one_line",
    "said_by",
    "shown",
    "without_quotes",
    "without_secrets",
    "writes_to_terminal",
]

logger = logging.getLogger(__name__)

MAX_OUTPUT = 4 * 1024 * 1024
"""Most bytes of one answer."""

SHORTEST_SECRET = 6
"""Characters below which a value is no secret but an ordinary word."""

QUOTE_BYTES = 9
"""Bytes from which on words shared with a conversation count as taken from it."""

QUOTE_MARK = "[…]"
"""Stands where `without_quotes` left something out."""


_STEERING = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
"""Control characters that are no white space; a carriage return alone, too, is meant for a terminal."""


class AgentError(HostError):
    """The agent could not answer; the message is for the operator, never for the chat."""


class AnswerCut(Exception):
    """No error: the answer is what came before, and a limit of its model has ended it.

    Attributes:
        filtered: whether that was a content filter, and not a length limit.
    """

    def __init__(self, *, filtered: bool = False) -> None:
        super().__init__()
        self.filtered = filtered


class Prompt(SecretStruct, frozen=True, kw_only=True):
    """What an agent is asked.

    Attributes:
        text: the request.
        sender_name: who asks, empty when unknown. Untrusted text.
        notes: what the conversation's members keep for the agent. Untrusted text.
        context: what was said around the request, to be shown as context.
        mark: stands in the channel's own lines, see `Turn.mark`.
        history: the conversation so far, oldest first, without this request; empty for an agent that reads none.
        media: files that came with the request.
        conversation: ``group``, ``thread`` or ``direct``.
        session_key: the conversation.
        session_id: its memory.
        run_id: this run.
        ticket: secret with which the agent may act in the chat during the run, empty where it may not.
        output: folder for files of the answer, made by the agent; ``None`` where there is none.
    """

    HIDDEN: ClassVar = frozenset({"ticket"})

    text: str
    session_key: str
    session_id: str
    run_id: str
    sender_name: str = ""
    notes: str = ""
    context: str = ""
    mark: str = ""
    history: tuple[Message, ...] = ()
    media: tuple[MediaItem, ...] = ()
    conversation: str = "direct"
    output: Path | None = None
    ticket: str = ""


class PartEnd(str):
    """See `PART_END`."""

    __slots__ = ()


PART_END = PartEnd()
"""A piece between two parts of an answer that stand apart, such as what a model says before and after it calls tools.

An empty line divides them, and thinking in front of each is left out.
"""


class ToolUse(str):
    """A piece that is no text: the name of a tool that the agent begins to use; see `host.base.Activity`."""

    __slots__ = ()


class Agent(Protocol):
    """Answers prompts.

    One may have ``history_messages``, the most earlier messages in its prompts, 40 by default. For an agent with 0 none
    is read. Of one with a true ``writes_to_terminal`` people read what a terminal shows of its answer in the end. One
    with a false ``hide_thinking`` says what people are to read; of all others thinking and control tokens are left out
    (`said_by`).
    """

    def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the answer in pieces, `PART_END` between its parts; an empty piece is a sign of life and nothing more.

        A `ToolUse` among them tells people who wait what the agent does.

        The iteration is cancelled when the run is stopped or outlives its budget; whatever was started for
        it has to be ended then. Raises `AgentError` when there is no answer or no end to it, and `AnswerCut` behind
        the last piece of one that a length limit or a content filter has ended.
        """


@runtime_checkable
class StartedAgent(Protocol):
    """What an `Agent` also is that has something to do before its first prompt and after its last."""

    async def start(self) -> None:
        """Get ready; the host has its state folder, and no turn runs."""

    async def stop(self) -> None:
        """Give back what was taken; no turn runs any more."""


class EchoAgent:
    """Answers with the request itself; for trying things out."""

    history_messages = 0
    hide_thinking = False

    async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the text of the request."""
        yield prompt.text


def without_secrets(text: str, secrets: Iterable[SecretStr]) -> str:
    """Return ``text`` with stars for every secret in it; values too short to be one are left alone."""
    values = {secret.get_secret_value() for secret in secrets}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= SHORTEST_SECRET:
            text = text.replace(value, "***")
    return text


def writes_to_terminal(agent: Agent) -> bool:
    """Return whether people read what a terminal shows of what an agent writes."""
    return getattr(agent, "writes_to_terminal", False)


def hides_thinking(agent: Agent) -> bool:
    """Return whether thinking and control tokens in what an agent writes are not for people."""
    return getattr(agent, "hide_thinking", True)


async def said_by(agent: Agent, written: str) -> str:
    """Return what people read of what an agent wrote, without empty lines around it.

    Args:
        agent: who wrote it.
        written: what it wrote; thinking is out of it already where the agent writes to no terminal.
    """
    if writes_to_terminal(agent):
        written = await shown(written)
        if hides_thinking(agent):
            thinking = ThinkingFilter()
            written = thinking.feed(written) + thinking.end()
            if thinking.is_thinking:
                logger.warning("an answer ended inside its thinking, which nobody is shown")
    return well_formed(written).rstrip().lstrip("\r\n")


async def shown(written: str) -> str:
    """Return what a terminal shows in the end of what a program wrote, see `screen_text`."""
    if _STEERING.search(written) is None and written.count("\r") == written.count("\r\n"):
        return written
    from openclaw_channel_octo.message.terminal import screen_text  # noqa: PLC0415  # few programs steer one

    return await asyncio.to_thread(screen_text, written)


def fit_to_show(error: str, prompt: Prompt, history: Iterable[Message], secrets: Iterable[SecretStr]) -> str:
    """Return an agent's error without secrets and without what was said: it goes into logs and states."""
    parts = (part for message in history for part in (message.text, message.context))
    said = (prompt.text, prompt.context, prompt.sender_name, *parts)
    return without_quotes(without_secrets(error, secrets), said)


def without_quotes(text: str, said: Iterable[str]) -> str:
    """Return ``text`` without the words of a conversation that it quotes.

    Args:
        text: an error's words, one line, maybe cut at either end.
        said: messages; every piece of them of `QUOTE_BYTES` bytes and more counts as a quote, as it was
            said and as JSON escapes it.
    """
    spoken = " ".join(said)
    source = one_line(f"{spoken} {json.dumps(spoken)}", 2 * MAX_OUTPUT)
    kept, at = [], 0
    while at < len(text):
        end = at + _quoted(text[at:], source)
        if end == at:
            kept.append(text[at])
            end += 1
        elif kept[-1:] != [QUOTE_MARK]:
            kept.append(QUOTE_MARK)
        at = end
    return "".join(kept)


def _quoted(text: str, source: str) -> int:
    """Return how many characters at the beginning of ``text`` stand in ``source``, 0 for too few."""
    start = text[:QUOTE_BYTES].encode(errors="replace")[:QUOTE_BYTES].decode(errors="ignore")
    end = len(start)
    if text[:end] not in source:
        return 0
    while end < len(text) and text[: end + 1] in source:
        end += 1
    return end if len(text[:end].strip().encode(errors="replace")) >= QUOTE_BYTES else 0


def one_line(text: str, limit: int) -> str:
    """Return ``text`` with all white space runs and control characters as single spaces, cut to ``limit``."""
    cleaned = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(cleaned.split())[:limit]
