"""What was said before a message: statements that cost the same however many rows there are."""

import json

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.records import SaidBefore, SaidRow
from openclaw_channel_octo.store.transaction import Repository, Transaction, in_transaction

__all__ = ["SaidMessages"]

_HERE = "account = :account AND channel_id = :id AND channel_type = :type AND message_seq < :seq"
_ROLES = ("", "said", "answered", "reset")
"""Every value of the column ``context_role`` (`schema`): an index goes by it, so that each is found at one place."""

OWN_LOOKED_AT = 500
"""Latest answers of a conversation among which a message of the bot itself is looked for."""


class SaidMessages(Repository):
    """What was said in all conversations."""

    @in_transaction
    def find(self, tx: Transaction, account: str, channel: ChannelRef, message_id: str) -> SaidRow | None:
        """Return a message of a conversation by its id, the bot's own without a uid; ``None`` for one not known."""
        place = {"account": account, "id": channel.id, "type": channel.type, "message": message_id}
        row = tx.db.execute(
            "SELECT message_seq, from_uid, payload FROM inbound WHERE account = :account"
            " AND message_id = :message AND channel_id = :id AND channel_type = :type",
            place,
        ).fetchone()
        if row is not None:
            return SaidRow(*row)
        row = tx.db.execute(
            "SELECT text, payload FROM delivery WHERE message_id = :message AND inbound_id IN (SELECT id FROM inbound"
            " WHERE account = :account AND channel_id = :id AND channel_type = :type"
            " AND context_role = 'answered' ORDER BY message_seq DESC LIMIT :looked_at)",
            {**place, "looked_at": OWN_LOOKED_AT},
        ).fetchone()
        if row is None:
            return None
        return SaidRow(0, "", row[1].encode() or json.dumps({"type": 1, "content": row[0]}).encode())

    @in_transaction
    def before(self, tx: Transaction, account: str, channel: ChannelRef, seq: int, limit: int) -> SaidBefore:
        """Return what was said in a conversation and is in no session's memory.

        That is talk that was not for the bot, and what was for it and reached no agent: behind the last message that
        was answered, or that asked the bot to forget.

        Args:
            tx: the transaction.
            account: the bot.
            channel: the conversation.
            seq: number of the message to be answered; what came after it is left out.
            limit: most messages, the newest.
        """
        place = {"account": account, "id": channel.id, "type": channel.type, "seq": seq, "limit": limit}

        def edge(which: str, role: str) -> int:
            (found,) = tx.db.execute(
                f"SELECT {which}(message_seq) FROM inbound"  # noqa: S608  # constants
                f" WHERE {_HERE} AND message_seq > 0 AND context_role = :role",
                {**place, "role": role},
            ).fetchone()
            return found or 0

        reset, answered = edge("max", "reset"), edge("max", "answered")
        begins = 0
        if not (reset or answered):
            begins = min(filter(None, (edge("min", role) for role in _ROLES)), default=seq)
        found = tx.db.execute(
            f"SELECT message_seq, from_uid, payload, decision FROM inbound WHERE {_HERE}"  # noqa: S608  # constants
            " AND message_seq > :since AND context_role = 'said' ORDER BY message_seq DESC LIMIT :limit",
            {**place, "since": max(reset, answered)},
        )
        said = [
            SaidRow(one[0], one[1], one[2], to_bot=one[3] == "turn") for one in reversed(found.fetchall())
        ]
        return SaidBefore(said=tuple(said), answered=answered, begins=begins, reset=bool(reset))
