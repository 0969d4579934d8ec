"""What was said before a message: statements that cost the same however many rows there are."""

import sqlite3

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.records import SaidBefore, SaidRow

__all__ = ["said_before"]

_HERE = "account = :account AND channel_id = :id AND channel_type = :type AND message_seq < :seq"
_ROLES = ("", "said", "answered", "reset")
"""Every value of the column ``context_role`` (`schema`): an index goes by it, so that each is found at one place."""


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
