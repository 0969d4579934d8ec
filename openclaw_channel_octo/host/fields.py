"""Fields of JSON that other programs and people wrote: whatever has the wrong type counts as missing."""

from collections.abc import Mapping
from typing import Any

from openclaw_channel_octo.session.status import SessionSnapshot

__all__ = ["mapping", "number", "snapshot_of", "text", "texts_of"]

LARGEST_NUMBER = 2**53
"""Numbers beyond it, infinity and NaN among them, are no times of any host."""


def mapping(value: object) -> Mapping[str, Any]:
    """Return ``value`` where it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def text(value: object) -> str:
    """Return ``value`` where it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """Return ``value`` as a whole number where it is a number, else ``None``."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return int(value) if abs(value) <= LARGEST_NUMBER else None


def texts_of(content: object) -> list[str]:
    """Return the texts in a message's content, which is a string or a list of blocks."""
    if isinstance(content, str):
        return [content]
    blocks = [mapping(block) for block in content] if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if block.get("type") == "text"]
    return [found for found in texts if isinstance(found, str)]


def snapshot_of(
    session_key: str, row: Mapping[str, Any], last_progress_at: int | None = None
) -> SessionSnapshot:
    """Return what a session's row says; a strange status counts as unknown, in any case.

    Args:
        session_key: the key the session was asked for by.
        row: the session as its host has it: camelCase fields, times in Unix milliseconds.
        last_progress_at: last sign of life of a run under way, Unix milliseconds.
    """
    status = row.get("status")
    return SessionSnapshot(
        session_key=session_key,
        session_id=text(row.get("sessionId")) or None,
        status=None if status is None else str(status).strip().lower(),
        last_run_id=text(row.get("lastRunId")) or None,
        started_at=number(row.get("startedAt")),
        ended_at=number(row.get("endedAt")),
        runtime_ms=number(row.get("runtimeMs")),
        last_progress_at=last_progress_at,
        last_run_error=text(row.get("lastRunError")) or None,
        updated_at=number(row.get("updatedAt")),
    )
