"""What was said before a message: statements that cost the same however many rows there are."""

import json
import sqlite3

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.records import SaidBefore, SaidRow

__all__ = ["said_as", "said_before"]

_HERE = "account = :account AND channel_id = :id AND channel_type = :type AND message_seq < :seq"
_ROLES = ("", "said", "answered", "reset")
"""Every value of the column ``context_role`` (`schema`): an index goes by it, so that each is found at one place."""

OWN_LOOKED_AT = 500
"""Latest answers of a conversation among which a message of the bot itself is looked for."""


def said_as(db: sqlite3.Connection, account: str, channel: ChannelRef, message_id: str) -> SaidRow | None:
    """Return a message by its id; see `Journal.said_as`."""
    place = {"account": account, "id": channel.id, "type": channel.type, "message": message_id}
    row = db.execute(
        "SELECT message_seq, from_uid, payload FROM inbound WHERE account = :account AND message_id = :message"
        " AND channel_id = :id AND channel_type = :type",
        place,
    ).fetchone()
    if row is not None:
        return SaidRow(*row)
    row = db.execute(
        "SELECT text, payload FROM delivery WHERE message_id = :message AND inbound_id IN (SELECT id FROM inbound"
        " WHERE account = :account AND channel_id = :id AND channel_type = :type AND context_role = 'answered'"
        " ORDER BY message_seq DESC LIMIT :looked_at)",
        {**place, "looked_at": OWN_LOOKED_AT},
    ).fetchone()
    if row is None:
        return None
    return SaidRow(0, "", row[1].encode() or json.dumps({"type": 1, "content": row[0]}).encode())


def said_before(
    db: sqlite3.Connection, account: str, channel: ChannelRef, seq: int, limit: int
) -> SaidBefore:
    """Return what was said before a message and is in no session's memory; see `Journal.said_before`."""
    place = {"account": account, "id": channel.id, "type": channel.type, "seq": seq, "limit": limit}

    def edge(which: str, role: str) -> int:
        (found,) = db.execute(
            f"SELECT {which}(message_seq) FROM inbound"  # noqa: S608  # constants
            f" WHERE {_HERE} AND message_seq > 0 AND context_role = :role",
            {**place, "role": role},
        ).fetchone()
        return found or 0

    reset, answered = edge("max", "reset"), edge("max", "answered")
    begins = min(filter(None, (edge("min", role) for role in _ROLES)), default=seq)
    found = db.execute(
        f"SELECT message_seq, from_uid, payload, decision FROM inbound WHERE {_HERE}"  # noqa: S608  # constants
        " AND message_seq > :since AND context_role = 'said' ORDER BY message_seq DESC LIMIT :limit",
        {**place, "since": max(reset, answered)},
    )
    said = [SaidRow(row[0], row[1], row[2], to_bot=row[3] == "turn") for row in reversed(found.fetchall())]
    return SaidBefore(said=tuple(said), answered=answered, begins=begins, reset=bool(reset))
