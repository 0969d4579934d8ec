"""A session as a running channel sees it, and its recovery before a message asks for it."""

from enum import StrEnum

from msgspec import Struct

from openclaw_channel_octo.config.model import OctoConfig
from openclaw_channel_octo.host.base import Recovery
from openclaw_channel_octo.runtime.host_calls import ask_host
from openclaw_channel_octo.runtime.runs import ActiveRun
from openclaw_channel_octo.runtime.sessions import PATIENCE_S
from openclaw_channel_octo.runtime.shared import Shared
from openclaw_channel_octo.session.guard import Action, Plan, Situation, plan
from openclaw_channel_octo.session.key import kind_of
from openclaw_channel_octo.session.status import SessionSnapshot

__all__ = ["Repair", "RepairState", "SessionView", "look", "repair"]


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


async def look(shared: Shared, config: OctoConfig, session_key: str) -> SessionView:
    """Return what the next message of a session will meet. Raises `HostError`."""
    snapshot = await ask_host(shared.clock, "describe the session", shared.host.describe(session_key))
    ledger = await shared.journal.ledger(session_key)
    now_ms = shared.clock.wall_ms()
    bots = [bot for bot in config.accounts.values() if bot.enabled]
    budget_s = max((bot.turn_budget_s(shared.host_timeout_s) for bot in bots), default=shared.host_timeout_s)
    notices = {bot.guard.notice for bot in bots}
    situation = Situation(
        now_ms=now_ms,
        kind=kind_of(session_key),
        patience_ms=int((budget_s + PATIENCE_S) * 1000),
        waiting_since_ms=now_ms,
        notice=notices.pop() if len(notices) == 1 else "groups",
        announced=ledger.announced,
        ended_runs=shared.runs.ended,
        own_runs=shared.runs.own,
        queues_turns=shared.host.queues_turns,
    )
    return SessionView(
        snapshot=snapshot,
        plan=plan(snapshot, situation),
        run=shared.runs.active.get(session_key),
        waiting=shared.lanes.depth(session_key),
    )


async def repair(shared: Shared, config: OctoConfig, session_key: str, *, dry_run: bool) -> Repair:
    """Recover a session that its next message would have to recover; see `OctoChannel.repair`. Raises `HostError`."""
    seen = await look(shared, config, session_key)
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
    stuck = "its stuck run aborted, " if todo.abort_run_id else ""
    if not dry_run:
        if todo.abort_run_id:
            stopping = shared.host.abort(session_key, todo.abort_run_id)
            await ask_host(shared.clock, "stop the stuck run", stopping)
        recovering = shared.host.recover(seen.snapshot)
        if await ask_host(shared.clock, "recover the session", recovering) is Recovery.CONFLICT:
            detail = "it changed meanwhile: somebody is at work there"
            return Repair(status=status, state=RepairState.CHANGED, detail=detail)
    return Repair(status=status, state=RepairState.REPAIRED, detail=f"{stuck}recovered with its memory")
