"""What agents ask leave for before they do it, and what a host can be told about it."""

from enum import StrEnum
from typing import Protocol, runtime_checkable

from msgspec import Struct

from openclaw_channel_octo.policy.verdicts import ALWAYS, DENY, ONCE

__all__ = ["Approval", "ApprovalEnd", "ApprovalsChanged", "DecidesApprovals", "Outcome"]


class Approval(Struct, frozen=True, kw_only=True):
    """Something an agent may not do before somebody allows it. Every text in it is untrusted.

    Attributes:
        id: the host's id of the request.
        what: what would be done, whole: the command, or the words about an action.
        agent_id: the agent that asks, possibly empty.
        where: lines that say where and with what it would be done.
        warnings: what the host says about its risks.
        choices: the decisions it takes, of those of `policy.verdicts`.
        expires_ms: until when somebody can decide, Unix milliseconds.
    """

    id: str
    what: str
    agent_id: str = ""
    where: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    choices: tuple[str, ...] = (ONCE, ALWAYS, DENY)
    expires_ms: int


class ApprovalEnd(Struct, frozen=True):
    """How a request ended without us.

    Attributes:
        id: the request.
        decision: what was decided, empty where nobody did in time.
    """

    id: str
    decision: str = ""


class ApprovalsChanged(Struct, frozen=True):
    """An event of a run: what it asks leave for now.

    Attributes:
        pending: every request of the run that can be decided.
        ends: how requests ended that are not among them any more, as far as that is known.
    """

    pending: tuple[Approval, ...] = ()
    ends: tuple[ApprovalEnd, ...] = ()


class Outcome(StrEnum):
    """What came of a decision."""

    DECIDED = "decided"
    GONE = "gone"
    """The host knows no such request, or it is over."""
    OTHERWISE = "otherwise"
    """Somebody else has decided differently."""


@runtime_checkable
class DecidesApprovals(Protocol):
    """What an `AgentHost` also is whose runs tell `ApprovalsChanged`, and which takes decisions."""

    asks_here: bool
    """Whether it does, as it is configured; else nobody in the chat hears of a request."""

    async def decide(self, approval_id: str, decision: str) -> Outcome:
        """Decide a request. Doing so again has the same outcome. Raises `HostError` where the host cannot be asked."""
