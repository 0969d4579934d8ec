"""How much a statement does: in steps of SQLite's machine, which no busy computer changes."""

import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from openclaw_channel_octo.store.audit import AuditLog
from openclaw_channel_octo.store.cursors import Cursors, MovedCursors
from openclaw_channel_octo.store.episodes import Episodes
from openclaw_channel_octo.store.messages import Messages
from openclaw_channel_octo.store.retention import Retention
from openclaw_channel_octo.store.said import SaidMessages
from openclaw_channel_octo.store.transaction import Transaction, Writer

__all__ = ["OnConnection", "done", "plans", "steps"]

_T = TypeVar("_T")


class OnConnection(Writer):
    """Runs statements at once on a connection, at a time of its own."""

    def __init__(self, db: sqlite3.Connection, now_ms: int = 5) -> None:
        self._on = db
        self._now_ms = now_ms
        self.retention = Retention(self)
        moved = MovedCursors()
        self.messages, self.cursors = Messages(self, self.retention, moved), Cursors(self, "bot", moved)
        self.episodes = Episodes(self)
        self.audit, self.said = AuditLog(self), SaidMessages(self)

    async def run(self, work: Callable[[Transaction], _T]) -> _T:
        return work(Transaction(self._on, self._now_ms, lambda: "an id"))


def done(statement: Coroutine[Any, Any, _T]) -> _T:
    """Return what a statement on `OnConnection` returns: it waits for nothing."""
    try:
        statement.send(None)
    except StopIteration as ended:
        found: _T = ended.value
        return found
    raise AssertionError("it waits")


def steps(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], object]) -> int:
    """Return how many steps the statements of ``work`` take."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    db.set_progress_handler(count, 1)
    try:
        work(db)
    finally:
        db.set_progress_handler(None, 0)
    return taken


def plans(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], object]) -> list[str]:
    """Return how SQLite goes about the statements of ``work``, in its own words, one for each table it reads."""
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    try:
        work(db)
    finally:
        db.set_trace_callback(None)
    return [
        row[3]
        for statement in statements
        if not statement.startswith(("BEGIN", "COMMIT", "--"))
        for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
