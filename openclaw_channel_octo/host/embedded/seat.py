"""An agent at its place in the embedded host, and the end of one of its answers."""

import asyncio
import logging

from openclaw_channel_octo.host.base import ChatTools, TakesChatTools
from openclaw_channel_octo.host.embedded import memory
from openclaw_channel_octo.host.embedded.agents import (
    Agent,
    AgentError,
    StartedAgent,
    hides_thinking,
    writes_to_terminal,
)
from openclaw_channel_octo.message.thinking import ThinkingFilter
from openclaw_channel_octo.session.status import Status

__all__ = ["Seat", "end_answer", "own_end"]

logger = logging.getLogger(__name__)

AGENT_STOP_S = 10.0
"""Real seconds an agent may take to end after it was told to."""


class Seat:
    """An agent with what the host goes by for it.

    Args:
        agent: answers the prompts.
    """

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.history_messages: int = getattr(agent, "history_messages", memory.HISTORY_MESSAGES)
        """Most earlier messages in its prompts."""
        self._filters_pieces = hides_thinking(agent) and not writes_to_terminal(agent)

    @property
    def says_clean(self) -> bool:
        """Whether no thinking is in the pieces of its answers as they are told."""
        return self._filters_pieces or not hides_thinking(self.agent)

    def thinking(self) -> ThinkingFilter | None:
        """Return what takes thinking out of one of its answers, ``None`` where that is not to be done."""
        return ThinkingFilter() if self._filters_pieces else None

    async def start(self) -> None:
        """Let the agent get ready."""
        if isinstance(self.agent, StartedAgent):
            await self.agent.start()

    async def stop(self) -> None:
        """Let the agent give back what it took; no run of its may be under way."""
        if isinstance(self.agent, StartedAgent):
            await self.agent.stop()

    def take_tools(self, tools: ChatTools | None) -> None:
        """Pass on what the agent can do in the chat, to one that can do anything."""
        if tools is not None and isinstance(self.agent, TakesChatTools):
            self.agent.take_tools(tools)


async def end_answer(answer: asyncio.Task[None], run_id: str) -> None:
    """Have an agent stop answering, and wait for that; after `AGENT_STOP_S` it is left behind."""
    if answer.done():
        return
    answer.cancel()
    _, pending = await asyncio.wait({answer}, timeout=AGENT_STOP_S)
    if pending:
        logger.error("the agent of run %s does not end when told to; it is left behind", run_id)
    elif not answer.cancelled() and (error := answer.exception()) is not None:
        logger.warning("the agent of run %s broke while it was stopped", run_id, exc_info=error)


def own_end(answer: asyncio.Task[None], run_id: str) -> tuple[Status, str]:
    """Return the status and the error of a run whose agent has ended by itself."""
    if answer.cancelled():
        return Status.FAILED, "the agent cancelled itself"
    match answer.exception():
        case None:
            return Status.DONE, ""
        case AgentError() as error:
            return Status.FAILED, str(error)
        case error:
            logger.error("the agent of run %s broke", run_id, exc_info=error)
            return Status.FAILED, f"the agent broke with {type(error).__name__}: see the log"
