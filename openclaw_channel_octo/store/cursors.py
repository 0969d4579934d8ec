"""How far each conversation is complete, by message number."""

from collections.abc import Mapping

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.transaction import Repository, Transaction, Writer, in_transaction

__all__ = ["CURSORS", "Cursors"]

CURSORS = 500
"""Conversations of one bot that are caught up with after a start, the latest ones."""


class Cursors(Repository):
    """One bot's cursors. A conversation without one is not known.

    Args:
        writer: runs statements.
        account: the bot.
    """

    def __init__(self, writer: Writer, account: str) -> None:
        super().__init__(writer)
        self._account = account

    @in_transaction
    def latest(self, tx: Transaction, limit: int = CURSORS) -> dict[ChannelRef, int]:
        """Return the cursors of the latest conversations."""
        found = tx.db.execute(
            "SELECT channel_id, channel_type, seq FROM cursor WHERE account = ? ORDER BY updated_at DESC LIMIT ?",
            (self._account, limit),
        )
        return {ChannelRef(row[0], row[1]): row[2] for row in found}

    @in_transaction
    def load(self, tx: Transaction, channel: ChannelRef) -> int | None:
        """Return one conversation's cursor, ``None`` where it is not known."""
        found = tx.db.execute(
            "SELECT seq FROM cursor WHERE account = ? AND channel_id = ? AND channel_type = ?",
            (self._account, channel.id, channel.type),
        ).fetchone()
        return int(found[0]) if found else None

    @in_transaction
    def reset(self, tx: Transaction, channel: ChannelRef, seq: int) -> None:
        """Store a cursor, also where it goes back: for a conversation whose numbers began anew."""
        tx.db.execute(
            "INSERT OR REPLACE INTO cursor (account, channel_id, channel_type, seq, updated_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (self._account, channel.id, channel.type, seq, tx.now_ms),
        )

    @in_transaction
    def save(self, tx: Transaction, moved: Mapping[ChannelRef, int]) -> None:
        """Store cursors that moved on; none goes back."""
        tx.db.executemany(
            "INSERT INTO cursor (account, channel_id, channel_type, seq, updated_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (account, channel_id, channel_type)"
            " DO UPDATE SET seq = max(seq, excluded.seq), updated_at = excluded.updated_at",
            [(self._account, ref.id, ref.type, seq, tx.now_ms) for ref, seq in moved.items()],
        )
