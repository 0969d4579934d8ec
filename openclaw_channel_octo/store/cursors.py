"""How far each conversation is complete, by message number."""

from collections.abc import Callable, Mapping

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.transaction import Repository, Transaction, Writer, in_transaction

__all__ = ["CURSORS", "Cursors", "MovedCursors"]

CURSORS = 500
"""Conversations of one bot that are caught up with after a start, the latest ones."""


class MovedCursors:
    """Cursors of all bots that moved on and are written with the next messages.

    Those of a transaction that failed are lost: a cursor may lag, because what lies behind it is known when it is
    read again, and never leads.
    """

    def __init__(self) -> None:
        self.waiting: dict[tuple[str, ChannelRef], int] = {}
        """What was noted, by bot and conversation."""

    def note(self, account: str, moved: Mapping[ChannelRef, int]) -> None:
        """Note cursors of one bot whose messages are recorded."""
        self.waiting.update({(account, ref): seq for ref, seq in moved.items()})

    def forget(self, account: str, channel: ChannelRef) -> None:
        """Forget what was noted of a conversation."""
        self.waiting.pop((account, channel), None)

    def taken(self) -> Callable[[Transaction], None]:
        """Return what writes in a transaction all that was noted, none of it back; it is not noted any more."""
        taken, self.waiting = self.waiting, {}

        def write(tx: Transaction) -> None:
            if taken:
                tx.db.executemany(
                    "INSERT INTO cursor (account, channel_id, channel_type, seq, updated_at) VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT (account, channel_id, channel_type)"
                    " DO UPDATE SET seq = max(seq, excluded.seq), updated_at = excluded.updated_at",
                    [(account, ref.id, ref.type, seq, tx.now_ms) for (account, ref), seq in taken.items()],
                )

        return write


class Cursors(Repository):
    """One bot's cursors. A conversation without one is not known.

    Args:
        writer: runs statements.
        account: the bot.
        moved: what is to be written, of all bots.
    """

    def __init__(self, writer: Writer, account: str, moved: MovedCursors) -> None:
        super().__init__(writer)
        self._account = account
        self._moved = moved

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

    async def reset(self, channel: ChannelRef, seq: int) -> None:
        """Store a cursor, also where it goes back: for a conversation whose numbers began anew."""
        self._moved.forget(self._account, channel)
        await self._reset(channel, seq)

    def note(self, moved: Mapping[ChannelRef, int]) -> None:
        """Have cursors that moved on stored with the next messages, by `save`, or when the journal is closed."""
        self._moved.note(self._account, moved)

    async def save(self) -> None:
        """Store what was noted and is not stored yet, of all bots."""
        if self._moved.waiting:
            await self.writer.run(self._moved.taken())

    @in_transaction
    def _reset(self, tx: Transaction, channel: ChannelRef, seq: int) -> None:
        tx.db.execute(
            "INSERT OR REPLACE INTO cursor (account, channel_id, channel_type, seq, updated_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (self._account, channel.id, channel.type, seq, tx.now_ms),
        )
