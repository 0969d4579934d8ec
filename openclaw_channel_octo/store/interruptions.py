"""Messages whose run was interrupted by the end of its host, which may answer them by itself later (decision 0056)."""

from msgspec import Struct

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.deliveries import chunks_of
from openclaw_channel_octo.store.states import OPEN, ChunkState, RowState, any_of
from openclaw_channel_octo.store.transaction import Repository, Transaction, in_transaction

__all__ = ["Interrupted", "Interruptions"]

KEPT_MS = 900_000
"""How long after its end a message counts as one that was interrupted; gateways repeat what they could not deliver."""

MOST = 50
"""Messages of a conversation that are looked at, the newest of them."""

STARTING_MS = 60_000
"""How long a run of an earlier process counts as interrupted before its host has told."""


_IS_OPEN = any_of(OPEN)


class Interrupted(Struct, frozen=True):
    """A message whose run was interrupted, or ended lately.

    Attributes:
        state: where it stands.
        run_id: its last run.
        session_key: of its turn.
        was_lost: whether the end of the host interrupted its run.
        texts: what its answer says, one for each text that was sent.
        message_ids: of everything that was sent.
    """

    state: RowState
    run_id: str
    session_key: str
    was_lost: bool
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
        """Return the messages of a conversation whose run ended lately, and those that are open and were interrupted.

        A host that died right behind the end of a run may take that up too.

        Args:
            tx: the transaction.
            account: the bot.
            channel: the conversation.
            began_ms: when this process began with the bot, Unix milliseconds: a run that began before it, and that its
                host has not told of yet, may have been interrupted.
        """
        told = f"was_lost AND {_IS_OPEN}"
        untold = "state = 'running' AND run_id != '' AND updated_at < :began AND :now < :began + :starting"
        ended = "state IN ('answered', 'notified') AND run_id != '' AND updated_at > :ended"
        found = tx.db.execute(
            "SELECT id, state, run_id, session_key, id IN (SELECT inbound_id FROM interruption) AS was_lost"  # noqa: S608  # states of ours
            " FROM inbound WHERE account = :account AND channel_id = :id AND channel_type = :type"
            f" AND (({told}) OR ({untold}) OR ({ended})) ORDER BY id DESC LIMIT {MOST}",
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
        for row_id, state, run_id, session_key, was_lost in found:
            sent = [chunk for chunk in chunks_of(tx.db, row_id) if chunk.state is ChunkState.SENT]
            texts = tuple(chunk.text for chunk in sent if not chunk.payload)
            ids = tuple(chunk.message_id for chunk in sent)
            rows.append(Interrupted(RowState(state), run_id, session_key, bool(was_lost), texts, ids))
        return rows
