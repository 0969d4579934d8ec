"""What of the journal is deleted, and when: in portions, so that nobody waits for it."""

import sqlite3
from collections.abc import Mapping

from openclaw_channel_octo.store import audit

__all__ = ["KINDS", "Edge", "back", "delete", "delete_notes"]

KINDS = ("chatter", "addressed")
"""Values of the column ``retention`` (`schema`) of rows that have ended: each kind is counted for itself."""

Edge = tuple[int, int]
"""Where what is kept begins: time of recording in Unix milliseconds, and id of a row; older ones go."""


def back(db: sqlite3.Connection, kind: str, edge: Edge, count: int) -> Edge | None:
    """Return the row of a kind that stands ``count`` before an edge, ``None`` where there are not so many."""
    found = db.execute(
        "SELECT received_at, id FROM inbound WHERE retention = ? AND received_at <= ?"
        " AND (received_at, id) < (?, ?) ORDER BY received_at DESC, id DESC LIMIT 1 OFFSET ?",
        (kind, edge[0], *edge, count - 1),
    ).fetchone()
    return (found[0], found[1]) if found else None


def delete(db: sqlite3.Connection, edges: Mapping[str, Edge], most: int) -> int:
    """Delete the oldest rows before the edges of their kinds, with their chunks; return how many, at most ``most``."""
    deleted = 0
    for kind, edge in edges.items():
        deleted += db.execute(
            "DELETE FROM inbound WHERE id IN (SELECT id FROM inbound WHERE retention = ? AND received_at <= ?"
            " AND (received_at, id) < (?, ?) ORDER BY received_at, id LIMIT ?)",
            (kind, edge[0], *edge, most - deleted),
        ).rowcount
    return deleted


def delete_notes(db: sqlite3.Connection, before_ms: int, keep: int, most: int) -> None:
    """Delete what is remembered beside messages and is too old, and requests that are too many; at most ``most`` each.

    The next call goes on with what is left.
    """
    db.execute(
        "DELETE FROM episode WHERE (session_key, episode) IN"
        " (SELECT session_key, episode FROM episode WHERE noted_at < ? LIMIT ?)",
        (before_ms, most),
    )
    audit.prune(db, before_ms, keep, most)
