"""The messages a reply consists of."""

from collections.abc import Mapping, Sequence

from openclaw_channel_octo.store.database import Connection
from openclaw_channel_octo.store.posts import begin_post, chunks_from, insert_chunks
from openclaw_channel_octo.store.records import Chunk, NewPost, Part
from openclaw_channel_octo.store.states import CHUNK_MOVES, OPEN, UNSENT, ChunkState, RowState, any_of, before
from openclaw_channel_octo.store.transaction import Repository, Transaction, in_transaction, records

__all__ = ["Deliveries", "chunks_of", "drop_unsent", "mark_chunk"]

_CAN_BECOME = {state: before(CHUNK_MOVES, state) for state in ChunkState}


class Deliveries(Repository):
    """The chunks of all rows."""

    @in_transaction
    def plan(  # noqa: PLR0913  # a statement takes what its columns need
        self,
        tx: Transaction,
        row_id: int,
        run_id: str,
        parts: Sequence[Part],
        ending: RowState | None = None,
        detail: str = "",
        *,
        sending: bool = False,
        post: NewPost | None = None,
    ) -> list[Chunk]:
        """Record the messages a reply will consist of, behind those already planned for the row.

        Args:
            tx: the transaction.
            row_id: the row.
            run_id: the run that wrote them, empty for a notice.
            parts: the messages.
            ending: set when these are the row's last: what it ends as once they are sent.
            detail: why it ends so, for an operator.
            sending: whether the first of them is sent at once; it is recorded as ``sending``.
            post: the send with a key that they are, ``None`` for none.
        """
        first = ChunkState.SENDING if sending else ChunkState.PLANNED
        post_id = begin_post(tx, post) if post else None
        return _plan(tx, row_id, run_id, parts, ending, detail, first=first, post_id=post_id)

    @in_transaction
    def chunks(self, tx: Transaction, row_id: int) -> list[Chunk]:
        """Return the messages planned for a row, in order."""
        return chunks_of(tx.db, row_id)

    @in_transaction
    def drop_unsent(self, tx: Transaction, row_id: int, detail: str) -> None:
        """Give up the messages of a row that are not sent, for the reason ``detail``."""
        drop_unsent(tx.db, row_id, detail, tx.now_ms)

    @in_transaction
    def refuse(self, tx: Transaction, ref: str, detail: str, notice: Part) -> Chunk | None:
        """Give up a chunk the chat does not take, and see to it that people are told.

        Where it is one of the last of an answer, the row ends ``notified`` with ``notice`` behind them, in the same
        transaction. Where the answer goes on, or a notice ends the row anyway, nothing is planned.

        Args:
            tx: the transaction.
            ref: the chunk.
            detail: why it is not taken.
            notice: what people read.

        Returns:
            The notice, ``None`` where none was planned.
        """
        mark_chunk(tx, ref, ChunkState.DEAD, detail=detail)
        row_id, run_id, ending = tx.db.execute(
            "SELECT inbound.id, delivery.run_id, ending FROM delivery JOIN inbound ON inbound.id = inbound_id"
            " WHERE ref = ?",
            (ref,),
        ).fetchone()
        if ending != RowState.ANSWERED:
            return None
        return _plan(tx, row_id, run_id, [notice], RowState.NOTIFIED, detail)[0]

    @in_transaction
    def stop(
        self, tx: Transaction, row_id: int, sent: Mapping[str, str], notice: Part, detail: str
    ) -> Chunk | None:
        """Give up what is not sent of a row's answer, whatever its state, and plan the notice that ends the row.

        Args:
            tx: the transaction.
            row_id: the row.
            sent: message ids of chunks that the server accepted and that are not recorded yet, by their refs.
            notice: what people read in place of the rest.
            detail: why.

        Returns:
            The notice, ``None`` for a row that has ended.
        """
        is_open = f"SELECT 1 FROM inbound WHERE id = ? AND {any_of(OPEN)}"  # noqa: S608  # states of ours
        if tx.db.execute(is_open, (row_id,)).fetchone() is None:
            return None
        for ref, message_id in sent.items():
            mark_chunk(tx, ref, ChunkState.SENT, message_id)
        drop_unsent(tx.db, row_id, detail, tx.now_ms)
        return _plan(tx, row_id, "", [notice], RowState.NOTIFIED, detail)[0]

    @in_transaction
    def revise(self, tx: Transaction, ref: str, part: Part) -> None:
        """Record what a chunk's file became: a message that shows it, or a text in its place."""
        tx.db.execute(
            "UPDATE delivery SET text = ?, file = ?, payload = ?, updated_at = ? WHERE ref = ?",
            (part.text, part.file, part.payload, tx.now_ms, ref),
        )

    @in_transaction
    def mark(
        self, tx: Transaction, ref: str, state: ChunkState, *, message_id: str = "", detail: str = ""
    ) -> None:
        """Record where a chunk stands, with the server's message id once it was accepted."""
        mark_chunk(tx, ref, state, message_id, detail)


def _plan(  # noqa: PLR0913  # a statement takes what its columns need
    tx: Transaction,
    row_id: int,
    run_id: str,
    parts: Sequence[Part],
    ending: RowState | None,
    detail: str,
    *,
    first: ChunkState = ChunkState.PLANNED,
    post_id: int | None = None,
) -> list[Chunk]:
    chunks = chunks_from(tx, parts, first)
    (before,) = tx.db.execute("SELECT count(*) FROM delivery WHERE inbound_id = ?", (row_id,)).fetchone()
    insert_chunks(tx, chunks, before, inbound_id=row_id, post_id=post_id, run_id=run_id)
    if ending:
        tx.db.execute(
            "UPDATE inbound SET ending = ?, detail = ?, updated_at = ? WHERE id = ?",
            (ending, detail, tx.now_ms, row_id),
        )
    return chunks


def mark_chunk(tx: Transaction, ref: str, state: ChunkState, message_id: str = "", detail: str = "") -> None:
    """Record where a chunk stands, inside a transaction."""
    tx.db.execute(
        "UPDATE delivery SET state = ?, message_id = ?, detail = ?, updated_at = ?"  # noqa: S608  # states of ours
        f" WHERE ref = ? AND {_CAN_BECOME[state]}",
        (state, message_id, detail, tx.now_ms, ref),
    )


def chunks_of(db: Connection, row_id: int) -> list[Chunk]:
    """Return a row's chunks in their order."""
    found = db.execute(
        "SELECT ref, text, state, updated_at AS since_ms, message_id, file, payload, reply, run_id, detail, replaces"
        " FROM delivery WHERE inbound_id = ? ORDER BY position",
        (row_id,),
    )
    return records(found, Chunk)


def drop_unsent(db: Connection, row_id: int, detail: str, now_ms: int) -> None:
    """Give up a row's chunks that are neither sent nor given up yet."""
    db.execute(
        "UPDATE delivery SET state = 'dead', detail = ?, updated_at = ?"  # noqa: S608  # states of ours
        f" WHERE inbound_id = ? AND {any_of(UNSENT)}",
        (detail, now_ms, row_id),
    )
