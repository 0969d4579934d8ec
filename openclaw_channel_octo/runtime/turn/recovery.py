"""A session as a running channel sees it, and its recovery before a message asks for it."""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.host.base import Recovery
from openclaw_channel_octo.runtime.turn.guard import Sessions
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.runtime.turn.runs import ActiveRun
from openclaw_channel_octo.session.guard import Action, Plan, patience_ms
from openclaw_channel_octo.session.key import kind_of
from openclaw_channel_octo.session.status import SessionSnapshot

__all__ = ["Repair", "RepairState", "SessionRepairs", "SessionView"]


class SessionView(Struct, frozen=True, kw_only=True):
    """What the next message of a session will meet.

    Attributes:
        snapshot: the session as its host describes it, ``None`` when it has no such session.
        plan: what the guard will do.
        run: our own run under way there.
        waiting: messages that wait behind it.
    """

    snapshot: SessionSnapshot | None
    plan: Plan
    run: ActiveRun | None
    waiting: int


class RepairState(StrEnum):
    """What became of a repair."""

    REPAIRED = "repaired"
    FINE = "fine"
    BUSY = "busy"
    CHANGED = "changed"
    MISSING = "missing"


class Repair(Struct, frozen=True, kw_only=True):
    """A repair and its outcome.

    Attributes:
        status: the session's status before it, ``None`` for a session that never ran.
        state: what became of it; of a dry run, what would become.
        detail: the same in words.
    """

    status: str | None
    state: RepairState
    detail: str


class SessionRepairs(Struct, frozen=True, kw_only=True):
    """Looks at sessions and recovers them while no message asks for it.

    Attributes:
        sessions: the host's sessions.
        lanes: messages that wait in them.
        bots: the bots whose settings decide.
        host_timeout_s: the host's own run budget in seconds.
    """

    sessions: Sessions
    lanes: Lanes
    bots: Sequence[BotConfig]
    host_timeout_s: float

    async def look(self, session_key: str) -> SessionView:
        """Return what the next message of a session will meet. Raises `HostError`."""
        budgets_s = (bot.turn_budget_s(self.host_timeout_s) for bot in self.bots)
        notices = {bot.guard.notice for bot in self.bots}
        seen = await self.sessions.look(
            session_key,
            kind_of(session_key),
            patience_ms(max(budgets_s, default=self.host_timeout_s)),
            notices.pop() if len(notices) == 1 else "groups",
        )
        return SessionView(
            snapshot=seen.snapshot,
            plan=seen.plan,
            run=self.sessions.runs.active.get(session_key),
            waiting=self.lanes.depth(session_key),
        )

    async def repair(self, session_key: str, *, dry_run: bool) -> Repair:
        """Recover a session before its next message has to; see `OctoChannel.repair`. Raises `HostError`."""
        seen = await self.look(session_key)
        if seen.snapshot is None:
            return Repair(status=None, state=RepairState.MISSING, detail="the host has no such session")
        status, todo = seen.snapshot.status, seen.plan
        if seen.run is not None or todo.action is Action.WAIT:
            return Repair(
                status=status, state=RepairState.BUSY, detail="a run is under way; /stop in the chat ends it"
            )
        if todo.action is Action.RUN:
            detail = "nothing to repair, the next message is answered"
            return Repair(status=status, state=RepairState.FINE, detail=detail)
        if not dry_run and await self.sessions.clear(seen.snapshot, todo) is Recovery.CONFLICT:
            detail = "it changed meanwhile: somebody is at work there"
            return Repair(status=status, state=RepairState.CHANGED, detail=detail)
        stuck = "its stuck run aborted, " if todo.abort_run_id else ""
        return Repair(status=status, state=RepairState.REPAIRED, detail=f"{stuck}recovered with its memory")
