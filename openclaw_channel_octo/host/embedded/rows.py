"""What runs, recovery and reset do to a session's entry (openclaw-host §1.3, §1.4, §2.2)."""

from typing import Any

from openclaw_channel_octo.host.base import Recovery
from openclaw_channel_octo.host.embedded.transcript import is_safe_id
from openclaw_channel_octo.host.fields import number, snapshot_of, text
from openclaw_channel_octo.session.status import RECOVERY_CLEARS, SessionSnapshot, Status

__all__ = ["Entry", "end_run", "mark_orphan", "recover", "renew", "start_run"]

Entry = dict[str, Any]
"""A session as ``sessions.json`` holds it: camelCase fields, times in Unix milliseconds."""

MAX_ERROR = 1_000
"""Most characters of ``lastRunError``."""

ORPHAN_ERROR = "the process ended while this run was active"


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
    if not is_safe_id(text(entry.get("sessionId"))):
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
    entry["runtimeMs"] = max(0, now_ms - (number(entry.get("startedAt")) or now_ms))
    entry["abortedLastRun"] = status in {Status.KILLED, Status.INTERRUPTED}
    if error:
        entry["lastRunError"] = error[:MAX_ERROR]
    entry["updatedAt"] = now_ms


def mark_orphan(entry: Entry, *, now_ms: int) -> None:
    """Mark a run that lost its process as interrupted. How long it ran is not known and not claimed."""
    if text(entry.get("status")) not in {Status.RUNNING, Status.QUEUED}:
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
    now = snapshot_of(seen.session_key, entry)
    if (now.session_id, now.last_run_id) != (seen.session_id, seen.last_run_id):
        return Recovery.CONFLICT
    for field in RECOVERY_CLEARS:
        entry.pop(field, None)
    if now.session_id is None:
        entry["sessionId"] = session_id
    return Recovery.RECOVERED


def renew(entry: Entry, *, session_id: str, now_ms: int) -> None:
    """Give the session a new, empty memory under ``session_id``; every other field stays."""
    for field in (*RECOVERY_CLEARS, "sessionFile"):
        entry.pop(field, None)
    entry |= {"sessionId": session_id, "sessionStartedAt": now_ms, "updatedAt": now_ms}
