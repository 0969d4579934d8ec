"""What a gateway says about sessions: its rows as snapshots, and a bounded view kept up by its events."""

from collections.abc import Mapping
from typing import Any

from cachetools import LRUCache

from openclaw_channel_octo.host.fields import mapping, number, snapshot_of, text
from openclaw_channel_octo.session.status import SessionSnapshot

__all__ = ["GatewaySessions", "snapshot_of_row"]

MOST_SESSIONS = 2_000
"""Sessions a view holds; the least recently used give way."""

Row = Mapping[str, Any]


def snapshot_of_row(session_key: str, row: Row) -> SessionSnapshot:
    """Return a gateway's row as the guard reads it (openclaw-host §1.4, §2.2).

    Args:
        session_key: the key as we write it; gateways answer with a lower-cased one.
        row: the row, of ``sessions.describe`` or of a ``sessions.changed`` event.
    """
    active = row.get("activeRunIds")
    running = active[0] if isinstance(active, list) and active else row.get("lastRunId")
    known = {**row, "status": text(row.get("status")) or None, "lastRunId": running}
    return snapshot_of(session_key, known, number(row.get("lastActivityAt")))


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
        """Take a ``sessions.changed`` event (openclaw-host §4.5).

        One that does not tell the state makes the view forget the session; some are about no one session.
        """
        inner = mapping(payload.get("session"))
        row = inner if "status" in inner else payload
        key = text(payload.get("sessionKey")) or text(inner.get("key"))
        if "status" in row and text(payload.get("reason")) not in {"delete", "reset"}:
            self.put(key, row)
        elif key:
            self._rows.pop(key.casefold(), None)

    def clear(self) -> None:
        """Forget everything: events may have been missed."""
        self._rows.clear()
