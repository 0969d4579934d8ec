"""Messages whose run was interrupted by the end of its host, which may answer them by itself later (decision 0056)."""

from msgspec import Struct

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.deliveries import chunks_of
from openclaw_channel_octo.store.states import OPEN, ChunkState, RowState, any_of
from openclaw_channel_octo.store.transaction import Repository, Transaction, in_transaction

__all__ = ["Interrupted", "Interruptions"]

KEPT_MS = 900_000
"""How long after its end a message counts as one that was interrupted; gateways repeat what they could not deliver."""

STARTING_MS = 60_000
"""How long a run of an earlier process counts as interrupted before its host has told."""


_IS_OPEN = any_of(OPEN)


class Interrupted(Struct, frozen=True):
    """A message whose run was interrupted.

    Attributes:
        state: where it stands.
        run_id: its last run.
        texts: what its answer says, one for each text that was sent.
        message_ids: of everything that was sent.
    """

    state: RowState
    run_id: str
    texts: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it has no end yet."""
        return self.state in OPEN


class Interruptions(Repository):
    """The interrupted runs of all bots."""

    @in_transaction
    def note(self, tx: Transaction, row_id: int, *, interrupted: bool) -> None:
        """Record that a message's run was interrupted, or that it was not after all."""
        if interrupted:
            tx.db.execute("INSERT OR IGNORE INTO interruption (inbound_id) VALUES (?)", (row_id,))
        else:
            tx.db.execute("DELETE FROM interruption WHERE inbound_id = ?", (row_id,))

    @in_transaction
    def find(self, tx: Transaction, account: str, channel: ChannelRef, began_ms: int) -> list[Interrupted]:
        """Return the interrupted messages of a conversation that are open or have ended lately.

        Args:
            tx: the transaction.
            account: the bot.
            channel: the conversation.
            began_ms: when this process began with the bot, Unix milliseconds: a run that began before it, and that its
                host has not told of yet, may have been interrupted.
        """
        told = f"id IN (SELECT inbound_id FROM interruption) AND ({_IS_OPEN} OR updated_at > :ended)"  # noqa: S608  # states of ours
        untold = "state = 'running' AND run_id != '' AND updated_at < :began AND :now < :began + :starting"
        found = tx.db.execute(
            "SELECT id, state, run_id FROM inbound WHERE account = :account AND channel_id = :id"  # noqa: S608  # states of ours
            f" AND channel_type = :type AND (({told}) OR ({untold})) ORDER BY id",
            {
                "account": account,
                "id": channel.id,
                "type": channel.type,
                "ended": tx.now_ms - KEPT_MS,
                "began": began_ms,
                "now": tx.now_ms,
                "starting": STARTING_MS,
            },
        ).fetchall()
        rows = []
        for row_id, state, run_id in found:
            sent = [chunk for chunk in chunks_of(tx.db, row_id) if chunk.state is ChunkState.SENT]
            texts = tuple(chunk.text for chunk in sent if not chunk.payload)
            ids = tuple(chunk.message_id for chunk in sent)
            rows.append(Interrupted(RowState(state), run_id, texts, ids))
        return rows
