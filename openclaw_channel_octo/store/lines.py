"""Messages of the channel itself on which people rely: no agent may put other words in their place."""

from openclaw_channel_octo.store.database import Connection
from openclaw_channel_octo.store.transaction import Repository, Transaction, in_transaction

__all__ = ["Lines", "prune"]


class Lines(Repository):
    """What bots said for the channel, and not for an agent: what is asked leave for, and who asked for a change."""

    @in_transaction
    def add(self, tx: Transaction, account: str, message_id: str) -> None:
        """Record a message of a bot, by the server's id of it."""
        tx.db.execute("INSERT OR IGNORE INTO line VALUES (?, ?, ?)", (account, message_id, tx.now_ms))

    @in_transaction
    def has(self, tx: Transaction, account: str, message_id: str) -> bool:
        """Return whether a message of a bot is such a line."""
        found = tx.db.execute(
            "SELECT 1 FROM line WHERE account = ? AND message_id = ?", (account, message_id)
        )
        return found.fetchone() is not None


def prune(db: Connection, before_ms: int, most: int) -> None:
    """Forget lines that are too old, at most ``most`` of them."""
    db.execute(
        "DELETE FROM line WHERE (account, message_id) IN"
        " (SELECT account, message_id FROM line WHERE told_at < ? LIMIT ?)",
        (before_ms, most),
    )
