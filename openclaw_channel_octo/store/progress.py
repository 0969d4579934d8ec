"""Messages that show the progress of turns: in the journal from before they are sent until they say something else."""

from openclaw_channel_octo.store.messages import SELECT_ROWS
from openclaw_channel_octo.store.records import InboundRow, ProgressRow
from openclaw_channel_octo.store.transaction import Repository, Transaction, in_transaction, records

__all__ = ["ProgressMessages"]


class ProgressMessages(Repository):
    """The progress messages of all bots that may still say that somebody is at work, at most one for each row."""

    @in_transaction
    def plan(self, tx: Transaction, row_id: int, ref: str, began_at: int, message_id: str = "") -> None:
        """Record a row's message, in place of an earlier one.

        Args:
            tx: the transaction.
            row_id: the row.
            ref: our id of the message, empty for one that an earlier installation has sent.
            began_at: when the turn began, Unix milliseconds.
            message_id: the server's id of one that stands in the chat.
        """
        tx.db.execute(
            "INSERT OR REPLACE INTO progress (inbound_id, ref, message_id, began_at, planned_at)"
            " SELECT id, ?, ?, ?, ? FROM inbound WHERE id = ?",
            (ref, message_id, began_at, tx.now_ms, row_id),
        )

    @in_transaction
    def shown(self, tx: Transaction, row_id: int, message_id: str) -> None:
        """Record the server's id of a row's message."""
        tx.db.execute("UPDATE progress SET message_id = ? WHERE inbound_id = ?", (message_id, row_id))

    @in_transaction
    def passed(self, tx: Transaction, row_id: int) -> None:
        """Record that something stands behind a row's message that belongs before the answer."""
        tx.db.execute("UPDATE progress SET is_passed = 1 WHERE inbound_id = ?", (row_id,))

    @in_transaction
    def over(self, tx: Transaction, row_id: int) -> None:
        """Forget a row's message: it says something else now, or is not there."""
        tx.db.execute("DELETE FROM progress WHERE inbound_id = ?", (row_id,))

    @in_transaction
    def replace_by(self, tx: Transaction, ref: str, message_id: str) -> None:
        """Record that a part of an answer is put in the place of a message, or, with an empty id, that it is not."""
        tx.db.execute("UPDATE delivery SET replaces = ? WHERE ref = ?", (message_id, ref))

    @in_transaction
    def left(self, tx: Transaction, account: str) -> list[tuple[InboundRow, ProgressRow]]:
        """Return the messages of an account, each with the row whose progress it shows."""
        where = " JOIN progress ON inbound_id = id WHERE account = ? ORDER BY id"
        rows = records(tx.db.execute(SELECT_ROWS + where, (account,)), InboundRow)
        shown = tx.db.execute(
            f"SELECT ref, progress.message_id, began_at, planned_at, is_passed FROM inbound {where}",  # noqa: S608  # text of ours
            (account,),
        )
        return list(zip(rows, records(shown, ProgressRow), strict=True))
