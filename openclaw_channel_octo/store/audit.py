"""The audit: what was asked of a bot beside its answers, and what came of it."""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import astuple

from openclaw_channel_octo.store.database import Connection
from openclaw_channel_octo.store.transaction import Repository, Transaction, in_transaction, slots

__all__ = ["AuditEntry", "AuditLog", "AuditOutcome", "prune"]

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


_INSERT = "INSERT INTO audit " + slots(AuditEntry.__struct_fields__)


class AuditLog(Repository):
    """The requests made of all bots."""

    @in_transaction
    def begin(self, tx: Transaction, entry: AuditEntry) -> int:
        """Record a request before anything is done for it; return its number."""
        return tx.db.execute(_INSERT, astuple(entry)).lastrowid or 0

    @in_transaction
    def end(self, tx: Transaction, number: int, target: str, outcome: AuditOutcome, detail: str) -> None:
        """Record what came of a request, and the conversation it turned out to be about."""
        tx.db.execute(
            "UPDATE audit SET target = ?, outcome = ?, detail = ? WHERE id = ?",
            (target, outcome, detail, number),
        )

    @in_transaction
    def lose(self, tx: Transaction, account: str) -> None:
        """Say of a bot's requests without an outcome that the process they were made in has ended."""
        tx.db.execute(
            "UPDATE audit SET detail = ? WHERE account = ? AND outcome = 'begun' AND detail = ''",
            (LOST, account),
        )


def prune(db: Connection, before_ms: int, keep: int, most: int) -> None:
    """Delete requests that are too old or too many, the oldest first and at most ``most``."""
    db.execute(
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT ?)"
        " AND (at < ? OR id <= (SELECT max(id) FROM audit) - ?)",
        (most, before_ms, keep),
    )
