"""An agent whose next turn can be made to go wrong."""

import asyncio
from collections.abc import AsyncIterator
from enum import StrEnum

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.host.embedded.agents import Agent, AgentError, Prompt

__all__ = ["NextTurn", "SwitchableAgent"]


class NextTurn(StrEnum):
    """What becomes of an agent's next turn."""

    ANSWER = "answer"
    FAIL = "fail"
    HANG = "hang"
    EMPTY = "empty"


class SwitchableAgent:
    """Answers as another agent does, unless its next turn was told to fail, hang or stay empty.

    Args:
        agent: gives the answers.
        clock: time.
        thinking_s: seconds of ``clock`` before anything happens, so that people see the bot typing.
    """

    def __init__(self, agent: Agent, clock: Clock, thinking_s: float) -> None:
        self.next_turn = NextTurn.ANSWER
        self._agent = agent
        self._clock = clock
        self._thinking_s = thinking_s

    async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the answer in pieces, or none; never ends where the turn is to hang. Raises `AgentError`."""
        turn, self.next_turn = self.next_turn, NextTurn.ANSWER
        await self._clock.sleep(self._thinking_s)
        match turn:
            case NextTurn.FAIL:
                raise AgentError("the turn was made to fail")
            case NextTurn.HANG:
                await asyncio.get_running_loop().create_future()
            case NextTurn.ANSWER:
                async for piece in self._agent.reply(prompt):
                    yield piece
