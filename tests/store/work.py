"""How much a statement does: in steps of SQLite's machine, which no busy computer changes."""

import sqlite3
from collections.abc import Callable

__all__ = ["plans", "steps"]


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
