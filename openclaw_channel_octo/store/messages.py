"""Inbound messages and what became of each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType

from openclaw_channel_octo.store.approvals import close_requests
from openclaw_channel_octo.store.cursors import MovedCursors
from openclaw_channel_octo.store.database import Connection
from openclaw_channel_octo.store.deliveries import drop_unsent, mark_chunk
from openclaw_channel_octo.store.episodes import forget_failures
from openclaw_channel_octo.store.records import InboundRow, NewInbound
from openclaw_channel_octo.store.retention import Retention
from openclaw_channel_octo.store.states import OPEN, ROW_MOVES, ChunkState, RowState, any_of, before
from openclaw_channel_octo.store.transaction import (
    Repository,
    Transaction,
    Writer,
    in_transaction,
    records,
    slots,
)

__all__ = ["SELECT_ROWS", "Messages", "counts_of"]

SELECT_ROWS = (
    "SELECT id, account, inbound.message_id, message_seq, from_uid, channel_id, channel_type, payload, decision,"
    " session_key, trace, attempt, state, ending, run_id, updated_at AS since_ms, reason, breaks, retried FROM inbound"
)
"""What an `InboundRow` is made of."""

RESENT_WITHIN_S = 86_400
"""How long after a message its sender's app may send it again as a copy, by the server's clock."""

_ROW_ENDED = "its message ended before it was sent"

_STORED = [name for name in NewInbound.__struct_fields__ if name != "channel"]
_INSERT = "INSERT OR IGNORE INTO inbound " + slots(
    [*_STORED, "channel_id", "channel_type", "received_at", "updated_at"]
)
_stored_of = attrgetter(*_STORED, "channel.id", "channel.type")
_CAN_BECOME = {state: before(ROW_MOVES, state) for state in RowState}


class Messages(Repository):
    """The messages of all bots.

    Args:
        writer: runs statements.
        retention: deletes old rows while new ones come.
        moved: cursors that are written with the next messages.
    """

    def __init__(self, writer: Writer, retention: Retention, moved: MovedCursors) -> None:
        super().__init__(writer)
        self._retention = retention
        self._moved = moved

    async def append(self, rows: Sequence[NewInbound]) -> list[InboundRow | None]:
        """Record messages in one transaction; a message known already gives ``None`` in its place.

        Known is one by its id, or as a copy that its sender's app has sent again under another id: the same sender,
        conversation, ``client_msg_no`` and payload within `RESENT_WITHIN_S`.

        A message that was given up because nobody could read it is new again once a readable copy comes.
        """
        recorded = await self._append(rows, self._moved.taken())
        await self._retention.after(len(rows))
        return recorded

    @in_transaction
    def _append(
        self, tx: Transaction, rows: Sequence[NewInbound], write_cursors: Callable[[Transaction], None]
    ) -> list[InboundRow | None]:
        write_cursors(tx)
        return [_insert(tx, row) or _insert_readable(tx, row) for row in rows]

    @in_transaction
    def queue(self, tx: Transaction, row_ids: Iterable[int]) -> None:
        """Mark received rows as waiting in their lane."""
        tx.db.executemany(
            f"UPDATE inbound SET state = 'queued', updated_at = ? WHERE id = ? AND {_CAN_BECOME[RowState.QUEUED]}",  # noqa: S608  # states of ours
            [(tx.now_ms, row_id) for row_id in row_ids],
        )

    @in_transaction
    def start_run(self, tx: Transaction, row_id: int, run_id: str) -> None:
        """Mark a row as running and count the attempt; a run that is taken up again keeps the time it began."""
        tx.db.execute(
            "UPDATE inbound SET state = 'running', attempt = attempt + 1, run_id = :run,"  # noqa: S608  # states of ours
            " updated_at = CASE WHEN run_id = :run THEN updated_at ELSE :now END"
            f" WHERE id = :id AND {_CAN_BECOME[RowState.RUNNING]}",
            {"run": run_id, "now": tx.now_ms, "id": row_id},
        )

    @in_transaction
    def assign_run(self, tx: Transaction, row_id: int, run_id: str) -> None:
        """Store the id of the run a row is about to have; neither its state nor its attempts change.

        For a run that outlives this process: once handed over, it has to be found again. Its time begins now, also
        for `start_run`; a run the row has already keeps its time.
        """
        tx.db.execute(
            "UPDATE inbound SET run_id = ?, updated_at = ? WHERE id = ? AND run_id != ?",
            (run_id, tx.now_ms, row_id, run_id),
        )

    @in_transaction
    def make_command(self, tx: Transaction, row_id: int) -> None:
        """Record that a message is a command after all, about which no agent is asked."""
        tx.db.execute("UPDATE inbound SET decision = 'command' WHERE id = ?", (row_id,))

    @in_transaction
    def note_break(self, tx: Transaction, row_id: int, reason: str) -> int:
        """Count an unexpected error that ended a row's handling, and keep the reason as its detail.

        Returns:
            How many there were, this one included; 0 for a row that is gone.
        """
        found = tx.db.execute(
            "UPDATE inbound SET breaks = breaks + 1, detail = ? WHERE id = ? RETURNING breaks",
            (reason, row_id),
        ).fetchall()
        return int(found[0][0]) if found else 0

    @in_transaction
    def settle(
        self,
        tx: Transaction,
        row_ids: Iterable[int],
        state: RowState,
        *,
        sent: Mapping[str, str] = MappingProxyType({}),
        notice_id: str = "",
        detail: str = "",
    ) -> None:
        """End rows: ``answered``, ``notified`` with the notice's message id, or ``dead`` with a reason.

        What of their messages is not sent by then is given up, and what their runs asked leave for is over. Without
        ``detail`` a row keeps the one of its plan. An answer ends the failed runs in a row of its session.

        Args:
            tx: the transaction.
            row_ids: the rows.
            state: what they end as.
            sent: message ids of chunks that the server accepted and that are not recorded yet, by their refs.
            notice_id: message id of the notice.
            detail: why, for an operator.
        """
        for ref, message_id in sent.items():
            mark_chunk(tx, ref, ChunkState.SENT, message_id)
        for row_id in row_ids:
            drop_unsent(tx.db, row_id, detail or _ROW_ENDED, tx.now_ms)
            tx.db.execute(
                "UPDATE inbound SET state = :state, notice_id = :notice, updated_at = :now,"  # noqa: S608  # states of ours
                " detail = iif(:detail = '' AND ending != '', detail, :detail)"
                f" WHERE id = :id AND {_CAN_BECOME[state]}",
                {"state": state, "notice": notice_id, "now": tx.now_ms, "detail": detail, "id": row_id},
            )
            close_requests(tx.db, row_id)
            if state is RowState.ANSWERED:
                forget_failures(tx.db, row_id)

    @in_transaction
    def earlier_notice(self, tx: Transaction, row: InboundRow, since_ms: int) -> str:
        """Return the message id of the notice that refused the same person there for the same reason, empty for none.

        Args:
            tx: the transaction.
            row: what they say now.
            since_ms: Unix milliseconds; older notices do not count.
        """
        found = tx.db.execute(
            "SELECT delivery.message_id FROM inbound JOIN delivery ON delivery.inbound_id = inbound.id"
            " WHERE decision = 'refused' AND ending != '' AND account = ? AND from_uid = ? AND channel_id = ?"
            " AND channel_type = ? AND reason = ? AND delivery.state = 'sent' AND delivery.updated_at > ?"
            " ORDER BY delivery.updated_at DESC LIMIT 1",
            (row.account, row.from_uid, row.channel.id, row.channel.type, row.reason, since_ms),
        ).fetchone()
        return str(found[0]) if found else ""

    @in_transaction
    def unfinished(self, tx: Transaction, account: str) -> list[InboundRow]:
        """Return the account's rows that have not ended, each conversation in the order of its messages."""
        found = tx.db.execute(
            f"{SELECT_ROWS} WHERE account = ? AND {any_of(OPEN)} ORDER BY session_key, message_seq, id",
            (account,),
        )
        return records(found, InboundRow)

    @in_transaction
    def claim(self, tx: Transaction, account: str, uid: str) -> int:
        """Note which bot has an account now; rows that another bot had open are dead letters from then on.

        They were said to that bot, and only it could answer them.

        Returns:
            How many these are.
        """
        name = f"bot of {account}"
        known = tx.db.execute("SELECT value FROM meta WHERE key = ?", (name,)).fetchone()
        if known == (uid,):
            return 0
        tx.db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (name, uid))
        if known is None:
            return 0
        said_to = f"said to the bot {known[0]}, whose account has the token of {uid} now"
        find = f"SELECT id FROM inbound WHERE account = ? AND {any_of(OPEN)}"  # noqa: S608  # states of ours
        rows = tx.db.execute(find, (account,)).fetchall()
        for (row_id,) in rows:
            drop_unsent(tx.db, row_id, said_to, tx.now_ms)
            tx.db.execute(
                "UPDATE inbound SET state = 'dead', detail = ?, updated_at = ? WHERE id = ?",
                (said_to, tx.now_ms, row_id),
            )
        return len(rows)

    @in_transaction
    def counts(self, tx: Transaction) -> dict[str, int]:
        """Return how many rows stand in each state."""
        return counts_of(tx.db)


def _insert_readable(tx: Transaction, row: NewInbound) -> InboundRow | None:
    if not row.payload:
        return None
    given_up = tx.db.execute(
        "DELETE FROM inbound WHERE account = ? AND message_id = ? AND state = 'dead' AND length(payload) = 0",
        (row.account, row.message_id),
    )
    return _insert(tx, row) if given_up.rowcount else None


def _is_resent(tx: Transaction, row: NewInbound) -> bool:
    """Return whether its sender's app has sent a message before (protocol §4.5); dead letters do not count."""
    if not row.client_msg_no:
        return False
    found = tx.db.execute(
        "SELECT 1 FROM inbound INDEXED BY inbound_sent"  # without statistics another index would be taken
        " WHERE account = ? AND client_msg_no = ? AND client_msg_no != '' AND from_uid = ? AND channel_id = ?"
        " AND channel_type = ? AND payload = ? AND abs(timestamp - ?) <= ? AND state != 'dead'",
        (
            *(row.account, row.client_msg_no, row.from_uid, row.channel.id, row.channel.type),
            *(row.payload, row.timestamp, RESENT_WITHIN_S),
        ),
    )
    return found.fetchone() is not None


def _insert(tx: Transaction, row: NewInbound) -> InboundRow | None:
    if _is_resent(tx, row):
        return None
    added = tx.db.execute(_INSERT, (*_stored_of(row), tx.now_ms, tx.now_ms))
    if not added.rowcount or added.lastrowid is None:
        return None
    # one field after the other: by a mapping it takes nine times as long, for every message
    return InboundRow(
        id=added.lastrowid,
        account=row.account,
        message_id=row.message_id,
        message_seq=row.message_seq,
        from_uid=row.from_uid,
        channel=row.channel,
        payload=row.payload,
        decision=row.decision,
        reason=row.reason,
        session_key=row.session_key,
        trace=row.trace,
        attempt=0,
        state=row.state,
    )


def counts_of(db: Connection) -> dict[str, int]:
    """Return how many rows stand in each state."""
    return dict(db.execute("SELECT state, count(*) FROM inbound GROUP BY state").fetchall())
