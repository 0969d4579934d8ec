"""What runs, recovery and reset do to a session's entry (openclaw-host §1.3, §1.4, §2.2)."""

from typing import Any

from openclaw_channel_octo.host.base import Recovery
from openclaw_channel_octo.host.embedded.transcript import is_safe_id
from openclaw_channel_octo.session.status import RECOVERY_CLEARS, SessionSnapshot, Status

__all__ = ["Entry", "end_run", "mark_orphan", "recover", "renew", "snapshot", "start_run"]

Entry = dict[str, Any]
"""A session as ``sessions.json`` holds it: camelCase fields, times in Unix milliseconds."""

MAX_ERROR = 1_000
"""Most characters of ``lastRunError``."""

LARGEST_NUMBER = 2**53
"""Numbers beyond it, infinity and NaN among them, are no times of this file's writers."""

ORPHAN_ERROR = "the process ended while this run was active"


def _text(entry: Entry, field: str) -> str | None:
    value = entry.get(field)
    return value if isinstance(value, str) and value else None


def _number(entry: Entry, field: str) -> int | None:
    value = entry.get(field)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return int(value) if abs(value) <= LARGEST_NUMBER else None


def snapshot(session_key: str, entry: Entry, last_progress_at: int | None = None) -> SessionSnapshot:
    """Return what ``entry`` says; fields of the wrong type count as missing, a strange status as unknown, in any case.

    Args:
        session_key: the key the session was asked for by.
        entry: the stored entry.
        last_progress_at: last sign of life of a run under way, Unix milliseconds.
    """
    status = entry.get("status")
    return SessionSnapshot(
        session_key=session_key,
        session_id=_text(entry, "sessionId"),
        status=None if status is None else str(status).strip().lower(),
        last_run_id=_text(entry, "lastRunId"),
        started_at=_number(entry, "startedAt"),
        ended_at=_number(entry, "endedAt"),
        runtime_ms=_number(entry, "runtimeMs"),
        last_progress_at=last_progress_at,
        last_run_error=_text(entry, "lastRunError"),
        updated_at=_number(entry, "updatedAt"),
    )


def start_run(entry: Entry, *, run_id: str, session_id: str, now_ms: int) -> str:
    """Mark a run as started and return the session id.

    Args:
        entry: changed in place.
        run_id: the run.
        session_id: given to an entry without one, or with one that cannot name a file.
        now_ms: Unix milliseconds.
    """
    for field in ("endedAt", "runtimeMs", "lastRunError"):
        entry.pop(field, None)
    if not is_safe_id(_text(entry, "sessionId") or ""):
        entry |= {"sessionId": session_id, "sessionStartedAt": now_ms}
    entry |= {
        "status": Status.RUNNING.value,
        "startedAt": now_ms,
        "abortedLastRun": False,
        "lastRunId": run_id,
        "updatedAt": now_ms,
    }
    return str(entry["sessionId"])


def end_run(entry: Entry, *, run_id: str, status: Status, error: str, now_ms: int) -> None:
    """Record the end of a run, unless the session was reset or taken over meanwhile.

    Args:
        entry: changed in place.
        run_id: the run that ended.
        status: how it ended.
        error: words for the operator, empty for a good end.
        now_ms: Unix milliseconds.
    """
    if entry.get("lastRunId") != run_id:
        return
    entry["status"] = status.value
    entry["endedAt"] = now_ms
    entry["runtimeMs"] = max(0, now_ms - (_number(entry, "startedAt") or now_ms))
    entry["abortedLastRun"] = status in {Status.KILLED, Status.INTERRUPTED}
    if error:
        entry["lastRunError"] = error[:MAX_ERROR]
    entry["updatedAt"] = now_ms


def mark_orphan(entry: Entry, *, now_ms: int) -> None:
    """Mark a run that lost its process as interrupted. How long it ran is not known and not claimed."""
    if _text(entry, "status") not in {Status.RUNNING, Status.QUEUED}:
        return
    entry |= {
        "status": Status.INTERRUPTED.value,
        "endedAt": now_ms,
        "abortedLastRun": True,
        "lastRunError": ORPHAN_ERROR,
        "updatedAt": now_ms,
    }


def recover(entry: Entry, seen: SessionSnapshot, *, session_id: str) -> Recovery:
    """Clear the lifecycle fields if ``entry`` is still the session and run that were ``seen`` (design §5).

    Args:
        entry: changed in place on success.
        seen: what the decision to recover was made from.
        session_id: given to an entry without one.
    """
    if _text(entry, "sessionId") != seen.session_id or _text(entry, "lastRunId") != seen.last_run_id:
        return Recovery.CONFLICT
    for field in RECOVERY_CLEARS:
        entry.pop(field, None)
    if _text(entry, "sessionId") is None:
        entry["sessionId"] = session_id
    return Recovery.RECOVERED


def renew(entry: Entry, *, session_id: str, now_ms: int) -> None:
    """Give the session a new, empty memory under ``session_id``; every other field stays."""
    for field in (*RECOVERY_CLEARS, "sessionFile"):
        entry.pop(field, None)
    entry |= {"sessionId": session_id, "sessionStartedAt": now_ms, "updatedAt": now_ms}
