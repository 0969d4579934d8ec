"""Session statuses and the snapshot the guard reads (openclaw-host §1.3, §1.4)."""

from enum import StrEnum

from msgspec import Struct

__all__ = ["RECOVERABLE", "RECOVERY_CLEARS", "SKIPPED", "SessionSnapshot", "Status"]


class Status(StrEnum):
    """Statuses a host may report for a session; an absent status is ``None`` in the snapshot."""

    IDLE = "idle"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    TIMEOUT = "timeout"
    KILLED = "killed"
    INTERRUPTED = "interrupted"


SKIPPED = "skipped"
"""Status of a turn the host did not run."""

RECOVERABLE = frozenset({Status.FAILED, Status.TIMEOUT, Status.KILLED, Status.INTERRUPTED})
"""Terminal statuses a new turn has to clear away before it can run."""

RECOVERY_CLEARS = (
    "status",
    "startedAt",
    "endedAt",
    "runtimeMs",
    "abortedLastRun",
    "lastRunError",
    "lastRunId",
)
"""Entry fields recovery removes; session id, transcript, overrides and unknown fields stay (design §5)."""


class SessionSnapshot(Struct, frozen=True, kw_only=True):
    """What a host says about one session at one moment. Times are Unix milliseconds.

    Attributes:
        session_key: the conversation's key in the host.
        session_id: the host's id of the conversation's memory, ``None`` where it has none yet.
        status: one of `Status`, or whatever else the host wrote; ``None`` when the session never ran.
        last_run_id: id of the run the status belongs to.
        started_at: when that run started.
        ended_at: when it ended.
        runtime_ms: how long it ran.
        last_progress_at: last sign of life of a running run.
        last_run_error: the host's words about a failure; may hold private text, never posted.
        updated_at: last write of the entry.
    """

    session_key: str
    session_id: str | None = None
    status: str | None = None
    last_run_id: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    runtime_ms: int | None = None
    last_progress_at: int | None = None
    last_run_error: str | None = None
    updated_at: int | None = None
