"""What agents asked leave for in a conversation: which requests people were shown, and how each ended."""

from msgspec import Struct

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.database import Connection
from openclaw_channel_octo.store.transaction import Repository, Transaction, in_transaction, records

__all__ = ["EXPIRED", "GONE", "ApprovalRow", "Approvals", "close_requests"]

EXPIRED, GONE = "expired", "gone"
"""Ends without a decision: nobody decided in time; it is not known how."""

_SELECT = (
    "SELECT approval.id, channel_id, channel_type, run_id, ref, asked_at, choices, shown, approval.decision,"
    " decided_by, end_ref, end_told FROM approval JOIN inbound ON inbound.id = inbound_id WHERE"
)


class ApprovalRow(Struct, frozen=True, kw_only=True):
    """A request that belongs to a message of a person.

    Attributes:
        id: the host's id of it.
        channel: the conversation.
        run_id: the last run of the message it belongs to.
        ref: our id of the message that asks, see `Chunk.ref`.
        asked_at: when it was first recorded, Unix milliseconds.
        choices: the decisions it takes, with a space between.
        shown: whether the message that asks was accepted by the server.
        decision: how it ended, empty while it is open: a decision, `EXPIRED` or `GONE`.
        decided_by: uid of who decided it in the chat, empty where nobody there did.
        end_ref: our id of the message that tells its end, empty where none does.
        end_told: whether the server has accepted that.
    """

    id: str
    channel: ChannelRef
    run_id: str
    ref: str
    asked_at: int
    choices: str
    shown: bool
    decision: str
    decided_by: str
    end_ref: str
    end_told: bool


class Approvals(Repository):
    """The requests of all bots. They go with the message they belong to."""

    @in_transaction
    def ask(
        self, tx: Transaction, account: str, row_id: int, approval_id: str, choices: str
    ) -> tuple[ApprovalRow | None, bool]:
        """Record a request that people are about to be shown; return what is known of it, and whether it is new.

        Args:
            tx: the transaction.
            account: the bot.
            row_id: the message whose run asks; where that is gone, nothing is recorded.
            approval_id: the host's id of the request.
            choices: as in `ApprovalRow`.
        """
        added = tx.db.execute(
            "INSERT OR IGNORE INTO approval (account, id, inbound_id, ref, asked_at, choices)"
            " SELECT ?, ?, id, ?, ?, ? FROM inbound WHERE id = ?",
            (account, approval_id, tx.new_id(), tx.now_ms, choices, row_id),
        )
        found = tx.db.execute(f"{_SELECT} approval.account = ? AND approval.id = ?", (account, approval_id))
        return next(iter(records(found, ApprovalRow)), None), added.rowcount > 0

    @in_transaction
    def shown(self, tx: Transaction, account: str, approval_id: str) -> None:
        """Record that the message that asks stands in the chat."""
        tx.db.execute("UPDATE approval SET shown = 1 WHERE account = ? AND id = ?", (account, approval_id))

    @in_transaction
    def unfinished(self, tx: Transaction, row_id: int) -> list[ApprovalRow]:
        """Return the requests of a message that are open, or whose end people have not been told."""
        condition = "inbound_id = ? AND (approval.decision = '' OR (end_ref != '' AND end_told = 0))"
        return records(tx.db.execute(f"{_SELECT} {condition} ORDER BY asked_at", (row_id,)), ApprovalRow)

    @in_transaction
    def find(
        self, tx: Transaction, account: str, word: str, most: int = 2, channel: ChannelRef | None = None
    ) -> list[ApprovalRow]:
        """Return a bot's requests, newest first: those whose id begins so, without a word all that are open.

        Args:
            tx: the transaction.
            account: the bot.
            word: the beginning of an id, with or without ``plugin:``; may be empty.
            most: requests to return at most.
            channel: the conversation they are of, ``None`` for any.
        """
        conditions, values = ["approval.account = ?"], [account]
        if word:
            conditions.append("(approval.id = ? OR replace(approval.id, 'plugin:', '') GLOB ? || '*')")
            values += [word, "".join(sign for sign in word if sign not in "*?[]")]
        else:
            conditions.append("approval.decision = ''")
        if channel is not None:
            conditions.append("channel_id = ? AND channel_type = ?")
            values += [channel.id, str(int(channel.type))]
        found = tx.db.execute(
            f"{_SELECT} {' AND '.join(conditions)} ORDER BY asked_at DESC LIMIT ?", (*values, most)
        )
        return records(found, ApprovalRow)

    @in_transaction
    def claim(self, tx: Transaction, account: str, approval_id: str, decision: str, uid: str) -> bool:
        """Record who decides a request and how, before its host is told; return whether it was open, or theirs."""
        changed = tx.db.execute(
            "UPDATE approval SET decision = ?1, decided_by = ?2 WHERE account = ?3 AND id = ?4"
            " AND (decision = '' OR (decision = ?1 AND decided_by = ?2))",
            (decision, uid, account, approval_id),
        )
        return changed.rowcount > 0

    @in_transaction
    def release(self, tx: Transaction, account: str, approval_id: str, uid: str) -> None:
        """Take back a `claim` whose host could not be told."""
        tx.db.execute(
            "UPDATE approval SET decision = '', decided_by = '' WHERE account = ? AND id = ? AND decided_by = ?",
            (account, approval_id, uid),
        )

    @in_transaction
    def end(self, tx: Transaction, account: str, approval_id: str, decision: str, *, tell: bool) -> str:
        """Record the end of an open request that came from elsewhere.

        Returns:
            Our id of the message that is to tell it; empty where it was not open, or where nobody is to be told.
        """
        end_ref = tx.new_id() if tell else ""
        changed = tx.db.execute(
            "UPDATE approval SET decision = ?, end_ref = ? WHERE account = ? AND id = ? AND decision = ''",
            (decision, end_ref, account, approval_id),
        )
        return end_ref if changed.rowcount else ""

    @in_transaction
    def told(self, tx: Transaction, account: str, approval_id: str) -> None:
        """Record that people were told the end of a request."""
        tx.db.execute("UPDATE approval SET end_told = 1 WHERE account = ? AND id = ?", (account, approval_id))


def close_requests(db: Connection, row_id: int) -> None:
    """End the requests of a message that has ended: their run is over, and nobody waits for a decision."""
    db.execute("UPDATE approval SET decision = ? WHERE inbound_id = ? AND decision = ''", (GONE, row_id))
