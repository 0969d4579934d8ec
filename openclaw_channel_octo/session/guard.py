"""The guard: from a session's state to what a new message may do (design §5).

The bug this package exists for is a session left ``failed``, whose later messages the host drops without a
word. The guard looks before every turn and says whether it may run, must first recover the session, or must wait.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from zlib import crc32

from msgspec import Struct, field
from msgspec.structs import replace

from openclaw_channel_octo.session.status import RECOVERABLE, SessionSnapshot, Status

__all__ = ["WAIT_STEP_MS", "Action", "Plan", "Situation", "episode_of", "fail_open", "patience_ms", "plan"]

WAIT_STEP_MS = 1_000
"""Longest time between two looks at a session somebody else keeps busy."""

PATIENCE_S = 60.0
"""How many seconds longer than its budget a silent run may stand."""

THIRD_FAILURE = 3
"""From this failed run in a row on, announcement and failure notice are one message, which counts."""


class Action(StrEnum):
    """What a turn does next."""

    RUN = "run"
    RECOVER = "recover"
    WAIT = "wait"


class Situation(Struct, frozen=True, kw_only=True):
    """Everything besides the snapshot that the guard needs to know.

    Attributes:
        now_ms: Unix time in milliseconds.
        kind: ``group``, ``thread`` or ``direct``.
        patience_ms: how long a ``running`` session may show no progress.
        waiting_since_ms: when this turn first looked, for sessions that tell no time of progress.
        notice: who is told of a restart: ``groups``, ``all`` or ``never``.
        announced: episodes that were announced already.
        ended_runs: our own runs that we saw end, run id to the status they ended with.
        own_runs: run ids this process started, ended or not.
        queues_turns: whether the host itself orders turns (`AgentHost.queues_turns`).
    """

    now_ms: int
    kind: str
    patience_ms: int
    waiting_since_ms: int
    notice: str = "groups"
    announced: Collection[str] = ()
    ended_runs: Mapping[str, str] = field(default_factory=dict)
    own_runs: Collection[str] = ()
    queues_turns: bool = False


def patience_ms(budget_s: float) -> int:
    """Return the milliseconds without progress after which a running session is stuck; its budget is in seconds."""
    return int((budget_s + PATIENCE_S) * 1000)


class Plan(Struct, frozen=True, kw_only=True):
    """What to do with the turn.

    Attributes:
        action: run it, recover the session and run it, or wait and look again.
        reason: why, in words for the operator's log.
        episode: id of the failed run a recovery is about; empty otherwise.
        announce: whether people are to be told of the restart, once for this episode.
        counts: whether the episode counts as a failure of the conversation.
        abort_run_id: run to stop before the recovery; empty when nothing has to be stopped.
        wait_ms: how long to wait before the next look.
        warn: whether the operator should be warned.
    """

    action: Action
    reason: str
    episode: str = ""
    announce: bool = False
    counts: bool = False
    abort_run_id: str = ""
    wait_ms: int = 0
    warn: bool = False

    @property
    def forced(self) -> bool:
        """Whether the run replaces an ended one: it must carry a fresh run id, never the failed one's."""
        return self.action is Action.RECOVER


def plan(snapshot: SessionSnapshot | None, situation: Situation) -> Plan:
    """Decide what a turn for a session in this state may do.

    Args:
        snapshot: the session as the host describes it, ``None`` when it has no such session.
        situation: what else is known.
    """
    status = _effective_status(snapshot, situation)
    if snapshot is None or status in (None, Status.IDLE, Status.DONE):
        return Plan(action=Action.RUN, reason="session is ready")
    if status in (Status.RUNNING, Status.QUEUED):
        return _busy(snapshot, status, situation)
    if status in RECOVERABLE:
        return _recover(snapshot, status, situation)
    return fail_open(f"unknown session status {status!r}")


def fail_open(problem: str) -> Plan:
    """Return the plan for a session nothing certain is known of: run anyway, and warn."""
    return Plan(action=Action.RUN, reason=f"{problem}; running anyway", warn=True)


def episode_of(snapshot: SessionSnapshot) -> str:
    """Return the id of the failed run a snapshot shows: the same run always gives the same id.

    It rests on the last run id, else on the end time, else on a checksum of what little there is: the entry of
    the bug report has neither run id nor end time.
    """
    if snapshot.last_run_id:
        run = f"run:{snapshot.last_run_id}"
    elif snapshot.ended_at is not None:
        run = f"ended:{snapshot.ended_at}"
    else:
        run = f"sum:{crc32(f'{snapshot.updated_at}/{snapshot.runtime_ms}'.encode()):08x}"
    return f"{snapshot.session_key}|{snapshot.session_id or ''}|{run}"


def _effective_status(snapshot: SessionSnapshot | None, situation: Situation) -> str | None:
    """Return the status, corrected by what we saw of its last run.

    A row may still say ``running`` for a run that ended, and ``killed`` for one we stopped because its time was up or
    there was no end to its answer.
    """
    if snapshot is None or not snapshot.status:
        return None
    status = snapshot.status.strip().lower()
    seen = situation.ended_runs.get(snapshot.last_run_id or "", status)
    if status == Status.RUNNING or (status == Status.KILLED and seen in {Status.TIMEOUT, Status.FAILED}):
        return seen
    return status


def _busy(snapshot: SessionSnapshot, status: str, situation: Situation) -> Plan:
    ours = snapshot.last_run_id in situation.own_runs
    if situation.queues_turns and not ours:
        return Plan(action=Action.RUN, reason=f"session is {status}; the host queues turns")
    seen = snapshot.last_progress_at or snapshot.started_at or situation.waiting_since_ms
    silent_ms = situation.now_ms - seen
    left_ms = situation.patience_ms - silent_ms
    if left_ms > 0 or status == Status.QUEUED:
        wait_ms = max(1, min(WAIT_STEP_MS, left_ms)) if left_ms > 0 else WAIT_STEP_MS
        return Plan(action=Action.WAIT, reason=f"session is {status}", wait_ms=wait_ms)
    stuck = _recover(snapshot, Status.TIMEOUT, situation)
    return replace(
        stuck,
        reason=f"no progress for {silent_ms} ms, aborting",
        abort_run_id=snapshot.last_run_id or "",
        warn=True,
    )


def _recover(snapshot: SessionSnapshot, status: str, situation: Situation) -> Plan:
    episode = episode_of(snapshot)
    by_person = status == Status.KILLED
    told = situation.notice == "all" or (situation.notice == "groups" and situation.kind != "direct")
    return Plan(
        action=Action.RECOVER,
        reason=f"last run ended {status}, recovering",
        episode=episode,
        announce=told and not by_person and episode not in situation.announced,
        counts=not by_person,
    )
