"""What a gateway says about sessions: its rows as snapshots, and a bounded view kept up by its events."""

from collections.abc import Mapping
from typing import Any

from cachetools import LRUCache

from openclaw_channel_octo.host.gateway.frames import mapping, text
from openclaw_channel_octo.session.status import SessionSnapshot

__all__ = ["GatewaySessions", "row_of", "snapshot_of"]

MOST_SESSIONS = 2_000
"""Sessions a view holds; the least recently used give way."""

Row = Mapping[str, Any]


def snapshot_of(session_key: str, row: Row) -> SessionSnapshot:
    """Return a gateway's row as the guard reads it (openclaw-host §1.4, §2.2).

    Args:
        session_key: the key as we write it; gateways answer with a lower-cased one.
        row: the row, of ``sessions.describe`` or of a ``sessions.changed`` event.
    """
    active = row.get("activeRunIds")
    running = active[0] if isinstance(active, list) and active else row.get("lastRunId")
    return SessionSnapshot(
        session_key=session_key,
        session_id=text(row.get("sessionId")) or None,
        status=text(row.get("status")) or None,
        last_run_id=text(running) or None,
        started_at=_time(row, "startedAt"),
        ended_at=_time(row, "endedAt"),
        runtime_ms=_time(row, "runtimeMs"),
        last_progress_at=_time(row, "lastActivityAt"),
        last_run_error=text(row.get("lastRunError")) or None,
        updated_at=_time(row, "updatedAt"),
    )


def row_of(change: Row) -> tuple[str, Row | None]:
    """Return key and row that a ``sessions.changed`` event is about (openclaw-host §4.5).

    The key is empty where it is about no one session, the row ``None`` where it does not tell the session's state.
    """
    inner = mapping(change.get("session"))
    row = inner if "status" in inner else change
    key = text(change.get("sessionKey")) or text(inner.get("key"))
    known = "status" in row and text(change.get("reason")) not in {"delete", "reset"}
    return key, row if known else None


class GatewaySessions:
    """The rows of the sessions that events told of, by key in any case."""

    def __init__(self) -> None:
        self._rows: LRUCache[str, Row] = LRUCache(MOST_SESSIONS)

    def __len__(self) -> int:
        """Return how many sessions are held."""
        return len(self._rows)

    def get(self, session_key: str) -> Row | None:
        """Return the row of a session, ``None`` when it has to be asked for."""
        return self._rows.get(session_key.casefold())

    def put(self, session_key: str, row: Row) -> None:
        """Hold a session's row."""
        self._rows[session_key.casefold()] = row

    def change(self, payload: Row) -> None:
        """Take a ``sessions.changed`` event; one that does not tell the state makes the view forget the session."""
        key, row = row_of(payload)
        if row is not None:
            self.put(key, row)
        elif key:
            self._rows.pop(key.casefold(), None)

    def clear(self) -> None:
        """Forget everything: events may have been missed."""
        self._rows.clear()


def _time(row: Row, name: str) -> int | None:
    value = row.get(name)
    return int(value) if isinstance(value, (int, float)) else None
