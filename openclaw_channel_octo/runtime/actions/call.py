"""What calls of agents have in common."""

from abc import ABC, abstractmethod
from enum import Enum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from openclaw_channel_octo.runtime.actions.actions import AgentActions

__all__ = ["AgentCall", "Effect", "Group", "Name", "Scope", "Target", "Text"]

Text = Annotated[str, Field(max_length=500_000)]
"""What is sent."""

Name = Annotated[str, Field(min_length=1, max_length=2_000)]
"""A name or an id."""

Target = Annotated[
    Name,
    Field(
        description="group:ID, group:ID____THREAD, user:UID or a bare id; group:ID@UID,UID also calls people. "
        "Look ids up, do not guess them."
    ),
]
"""A conversation, see `parse_target`."""

Group = Annotated[Name, Field(description="Id of a group, or of a thread in it.")]
"""A group, by itself or one of its threads."""

Scope = Annotated[str, Field(description="parent: from a thread, its group itself; else leave it out.")]
"""See `destination`."""


class Effect(Enum):
    """What a call does to the chat, as programs that ask for leave before some calls want to know."""

    READS = "reads"
    ADDS = "adds"
    """Something is there that was not: twice the call is twice the thing."""
    REPLACES = "replaces"
    """Something else stands where something was: twice the call is as once."""
    CHANGES = "changes"
    """Anything else."""


class AgentCall(BaseModel, ABC):
    """Parameters of a call, and what answers it. Docstrings and descriptions are what models read."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    effect: ClassVar[Effect] = Effect.CHANGES

    @abstractmethod
    async def answer(self, outbound: AgentActions) -> Any:
        """Do it; return the answer as JSON. Raises what the methods of `AgentActions` raise."""

    @staticmethod
    def brief(answer: Any) -> Any:
        """Return of an answer what a model needs."""
        return answer
