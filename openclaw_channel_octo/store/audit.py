"""The audit's statements and rows: what was asked of a bot beside its answers, and what came of it."""

import sqlite3
from enum import StrEnum

from msgspec import Struct

__all__ = ["AuditEntry", "AuditOutcome", "begin", "end", "entries", "lose", "prune"]

LOST = "its process ended meanwhile: it may have happened"
"""Detail of a request whose outcome will never be known."""


class AuditOutcome(StrEnum):
    """What came of a request."""

    BEGUN = "begun"
    """It is under way, or its process died under it: what it asked for may have happened."""
    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One request. It never holds what was said.

    Attributes:
        at: when it came, Unix milliseconds.
        account: the bot.
        requester: uid of the person it was for, or ``operator``.
        run_id: the run whose agent made it, empty for an operator's.
        action: ``send``, ``read`` and so on.
        target: the conversation, as `message.target` writes it; empty where there is none.
        outcome: an `AuditOutcome`.
        detail: ids of messages, counts, or why not.
    """

    at: int
    account: str
    requester: str
    run_id: str
    action: str
    target: str
    outcome: str
    detail: str


def begin(db: sqlite3.Connection, entry: AuditEntry) -> int:
    """Insert a request; return its number."""
    cursor = db.execute(
        "INSERT INTO audit (at, account, requester, run_id, action, target, outcome, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.at,
            entry.account,
            entry.requester,
            entry.run_id,
            entry.action,
            entry.target,
            entry.outcome,
            entry.detail,
        ),
    )
    return cursor.lastrowid or 0


def end(db: sqlite3.Connection, number: int, target: str, outcome: str, detail: str) -> None:
    """Store what came of a request."""
    db.execute(
        "UPDATE audit SET target = ?, outcome = ?, detail = ? WHERE id = ?", (target, outcome, detail, number)
    )


def lose(db: sqlite3.Connection, account: str) -> None:
    """Say of a bot's requests without an outcome that nobody is at work on them any more."""
    db.execute(
        "UPDATE audit SET detail = ? WHERE account = ? AND outcome = 'begun' AND detail = ''", (LOST, account)
    )


def entries(db: sqlite3.Connection, account: str, limit: int) -> list[AuditEntry]:
    """Return the latest requests, newest first; of every bot where ``account`` is empty."""
    found = db.execute(
        "SELECT at, account, requester, run_id, action, target, outcome, detail FROM audit"
        " WHERE ? = '' OR account = ? ORDER BY id DESC LIMIT ?",
        (account, account, limit),
    )
    names = ("at", "account", "requester", "run_id", "action", "target", "outcome", "detail")
    return [AuditEntry(**dict(zip(names, row, strict=True))) for row in found]


def prune(db: sqlite3.Connection, before_ms: int, keep: int, most: int) -> None:
    """Delete requests that are too old or too many, the oldest first and at most ``most``."""
    db.execute(
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT ?)"
        " AND (at < ? OR id <= (SELECT max(id) FROM audit) - ?)",
        (most, before_ms, keep),
    )
