"""The journal's statements, each a function that runs inside one transaction."""

import sqlite3
from collections.abc import Mapping, Sequence

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.records import (
    Chunk,
    ChunkState,
    InboundRow,
    Ledger,
    NewInbound,
    Part,
    RowState,
)

__all__ = [
    "append",
    "assign_run",
    "bury",
    "chunks",
    "clear_failures",
    "counts",
    "cursor",
    "cursors",
    "drop_unsent",
    "earlier_notice",
    "ledger",
    "mark_chunk",
    "meta",
    "note_break",
    "note_episode",
    "plan_chunks",
    "queued",
    "refuse_chunk",
    "reset_cursor",
    "revise_chunk",
    "save_cursors",
    "settle",
    "start_run",
    "unfinished",
]


_ROW_ENDED = "its message ended before it was sent"

_INSERT = (
    "INSERT OR IGNORE INTO inbound (account, message_id, message_seq, client_msg_no, from_uid,"
    " channel_id, channel_type, timestamp, payload, decision, reason, session_key, trace, state, detail,"
    " received_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def append(db: sqlite3.Connection, rows: Sequence[NewInbound], now_ms: int) -> list[InboundRow | None]:
    """Insert rows that are not known yet; known ones give ``None``.

    A message that was given up because nobody could read it is new again once a readable copy comes.
    """
    return [_insert(db, row, now_ms) or _insert_readable(db, row, now_ms) for row in rows]


def _insert_readable(db: sqlite3.Connection, row: NewInbound, now_ms: int) -> InboundRow | None:
    if not row.payload:
        return None
    given_up = db.execute(
        "DELETE FROM inbound WHERE account = ? AND message_id = ? AND state = 'dead' AND length(payload) = 0",
        (row.account, row.message_id),
    )
    return _insert(db, row, now_ms) if given_up.rowcount else None


def _insert(db: sqlite3.Connection, row: NewInbound, now_ms: int) -> InboundRow | None:
    cursor = db.execute(
        _INSERT,
        (
            row.account,
            row.message_id,
            row.message_seq,
            row.client_msg_no,
            row.from_uid,
            row.channel.id,
            row.channel.type,
            row.timestamp,
            row.payload,
            row.decision,
            row.reason,
            row.session_key,
            row.trace,
            row.state,
            row.detail,
            now_ms,
            now_ms,
        ),
    )
    if not cursor.rowcount or cursor.lastrowid is None:
        return None
    return InboundRow(
        id=cursor.lastrowid,
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


def queued(db: sqlite3.Connection, row_ids: Sequence[int], now_ms: int) -> None:
    """Move received rows to ``queued``."""
    db.executemany(
        "UPDATE inbound SET state = 'queued', updated_at = ? WHERE id = ? AND state = 'received'",
        [(now_ms, row_id) for row_id in row_ids],
    )


def start_run(db: sqlite3.Connection, row_id: int, run_id: str, now_ms: int) -> None:
    """Move a row to ``running``; a run that is taken up again keeps the time it began."""
    db.execute(
        "UPDATE inbound SET state = 'running', attempt = attempt + 1, run_id = :run,"
        " updated_at = CASE WHEN run_id = :run THEN updated_at ELSE :now END WHERE id = :id",
        {"run": run_id, "now": now_ms, "id": row_id},
    )


def assign_run(db: sqlite3.Connection, row_id: int, run_id: str, now_ms: int) -> None:
    """Store the run a row is about to have, and when; a run it has already keeps its time."""
    db.execute(
        "UPDATE inbound SET run_id = ?, updated_at = ? WHERE id = ? AND run_id != ?",
        (run_id, now_ms, row_id, run_id),
    )


def note_break(db: sqlite3.Connection, row_id: int, reason: str) -> int:
    """Count an unexpected error that ended a row's handling; return how many there were, 0 for no such row."""
    found = db.execute(
        "UPDATE inbound SET breaks = breaks + 1, detail = ? WHERE id = ? RETURNING breaks", (reason, row_id)
    ).fetchall()
    return int(found[0][0]) if found else 0


def settle(
    db: sqlite3.Connection, row_ids: Sequence[int], state: RowState, notice_id: str, detail: str, now_ms: int
) -> None:
    """End rows, and with them what of their messages was not sent.

    Without ``detail`` a row keeps the one that was recorded when its last chunks were planned.
    """
    for row_id in row_ids:
        drop_unsent(db, row_id, detail or _ROW_ENDED, now_ms)
        db.execute(
            "UPDATE inbound SET state = :state, notice_id = :notice, updated_at = :now,"
            " detail = iif(:detail = '' AND ending != '', detail, :detail) WHERE id = :id",
            {"state": state, "notice": notice_id, "now": now_ms, "detail": detail, "id": row_id},
        )


def bury(db: sqlite3.Connection, row_id: int, reason: str, now_ms: int) -> bool:
    """End a row as dead if it is open, and its unsent chunks with it; return whether it was."""
    ended = db.execute(
        "UPDATE inbound SET state = 'dead', detail = ?, updated_at = ?"
        " WHERE id = ? AND state IN ('received', 'queued', 'running')",
        (reason, now_ms, row_id),
    )
    if not ended.rowcount:
        return False
    drop_unsent(db, row_id, reason, now_ms)
    return True


def earlier_notice(db: sqlite3.Connection, row: InboundRow, since_ms: int) -> str:
    """Return the message id of the latest notice a person was given there for the same reason, empty for none."""
    found = db.execute(
        "SELECT delivery.message_id FROM inbound JOIN delivery ON delivery.inbound_id = inbound.id"
        " WHERE decision = 'refused' AND ending != '' AND account = ? AND from_uid = ? AND channel_id = ?"
        " AND channel_type = ? AND reason = ? AND delivery.state = 'sent' AND delivery.updated_at > ?"
        " ORDER BY delivery.updated_at DESC LIMIT 1",
        (row.account, row.from_uid, row.channel.id, row.channel.type, row.reason, since_ms),
    ).fetchone()
    return str(found[0]) if found else ""


def unfinished(db: sqlite3.Connection, account: str) -> list[InboundRow]:
    """Return open rows of an account, each conversation in the order of its messages."""
    found = db.execute(
        "SELECT id, account, message_id, message_seq, from_uid, channel_id, channel_type, payload, decision,"
        " session_key, trace, attempt, state, ending, run_id, updated_at, reason, breaks, retried FROM inbound"
        " WHERE account = ? AND state IN ('received', 'queued', 'running')"
        " ORDER BY session_key, message_seq, id",
        (account,),
    )
    return [
        InboundRow(
            id=row[0],
            account=row[1],
            message_id=row[2],
            message_seq=row[3],
            from_uid=row[4],
            channel=ChannelRef(row[5], row[6]),
            payload=row[7],
            decision=row[8],
            session_key=row[9],
            trace=row[10],
            attempt=row[11],
            state=RowState(row[12]),
            ending=row[13],
            run_id=row[14],
            since_ms=row[15],
            reason=row[16],
            breaks=row[17],
            retried=bool(row[18]),
        )
        for row in found
    ]


def plan_chunks(  # noqa: PLR0913, PLR0917  # a statement takes what its columns need
    db: sqlite3.Connection,
    row_id: int,
    run_id: str,
    chunks: Sequence[Chunk],
    ending: str,
    detail: str,
    now_ms: int,
) -> None:
    """Insert chunks behind those the row has; with ``ending`` they are its last, and ``detail`` is why it ends so."""
    (taken,) = db.execute("SELECT count(*) FROM delivery WHERE inbound_id = ?", (row_id,)).fetchone()
    db.executemany(
        "INSERT INTO delivery (ref, inbound_id, run_id, position, text, file, reply, state, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 'planned', ?)",
        [
            (chunk.ref, row_id, run_id, taken + number, chunk.text, chunk.file, chunk.reply, now_ms)
            for number, chunk in enumerate(chunks)
        ],
    )
    if ending:
        db.execute(
            "UPDATE inbound SET ending = ?, detail = ?, updated_at = ? WHERE id = ?",
            (ending, detail, now_ms, row_id),
        )


def chunks(db: sqlite3.Connection, row_id: int) -> list[Chunk]:
    """Return a row's chunks in their order."""
    found = db.execute(
        "SELECT ref, text, state, updated_at, message_id, file, payload, reply, run_id, detail FROM delivery"
        " WHERE inbound_id = ? ORDER BY position",
        (row_id,),
    )
    return [
        Chunk(
            ref=row[0],
            text=row[1],
            state=ChunkState(row[2]),
            since_ms=row[3],
            message_id=row[4],
            file=row[5],
            payload=row[6],
            reply=row[7],
            run_id=row[8],
            detail=row[9],
        )
        for row in found
    ]


def drop_unsent(db: sqlite3.Connection, row_id: int, detail: str, now_ms: int) -> None:
    """Give up a row's chunks that are neither sent nor given up yet."""
    db.execute(
        "UPDATE delivery SET state = 'dead', detail = ?, updated_at = ?"
        " WHERE inbound_id = ? AND state IN ('planned', 'sending')",
        (detail, now_ms, row_id),
    )


def refuse_chunk(db: sqlite3.Connection, ref: str, detail: str, notice: Chunk, now_ms: int) -> bool:
    """Give up a chunk; return whether ``notice`` was planned, see `Journal.refuse_chunk`."""
    mark_chunk(db, ref, ChunkState.DEAD, "", detail, now_ms)
    row_id, run_id, ending = db.execute(
        "SELECT inbound.id, delivery.run_id, ending FROM delivery JOIN inbound ON inbound.id = inbound_id"
        " WHERE ref = ?",
        (ref,),
    ).fetchone()
    if ending != RowState.ANSWERED:
        return False
    plan_chunks(db, row_id, run_id, [notice], RowState.NOTIFIED, detail, now_ms)
    return True


def revise_chunk(db: sqlite3.Connection, ref: str, part: Part, now_ms: int) -> None:
    """Put what became of a chunk's file in its place."""
    db.execute(
        "UPDATE delivery SET text = ?, file = ?, payload = ?, updated_at = ? WHERE ref = ?",
        (part.text, part.file, part.payload, now_ms, ref),
    )


def mark_chunk(
    db: sqlite3.Connection, ref: str, state: ChunkState, message_id: str, detail: str, now_ms: int
) -> None:
    """Move a chunk on."""
    db.execute(
        "UPDATE delivery SET state = ?, message_id = ?, detail = ?, updated_at = ? WHERE ref = ?",
        (state, message_id, detail, now_ms, ref),
    )


def ledger(db: sqlite3.Connection, session_key: str) -> Ledger:
    """Return a session's announced episodes and its count of failures."""
    noted = db.execute("SELECT episode FROM episode WHERE session_key = ?", (session_key,)).fetchall()
    count = db.execute("SELECT count FROM failure WHERE session_key = ?", (session_key,)).fetchone()
    return Ledger(announced=frozenset(row[0] for row in noted), failures=count[0] if count else 0)


def note_episode(db: sqlite3.Connection, session_key: str, episode: str, now_ms: int) -> bool:
    """Insert an episode; a new one raises the count of failures."""
    cursor = db.execute(
        "INSERT OR IGNORE INTO episode (session_key, episode, noted_at) VALUES (?, ?, ?)",
        (session_key, episode, now_ms),
    )
    if not cursor.rowcount:
        return False
    db.execute(
        "INSERT INTO failure (session_key, count) VALUES (?, 1)"
        " ON CONFLICT (session_key) DO UPDATE SET count = count + 1",
        (session_key,),
    )
    return True


def clear_failures(db: sqlite3.Connection, session_key: str) -> None:
    """Drop a session's count of failures."""
    db.execute("DELETE FROM failure WHERE session_key = ?", (session_key,))


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """Return the number of rows in each state."""
    return dict(db.execute("SELECT state, count(*) FROM inbound GROUP BY state").fetchall())


def meta(db: sqlite3.Connection, key: str, default: str) -> str:
    """Return a setting of this installation, storing ``default`` if it has none yet."""
    db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?, ?)", (key, default))
    (value,) = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(value)


def cursors(db: sqlite3.Connection, account: str, limit: int) -> dict[ChannelRef, int]:
    """Return the latest conversations of an account and how far each is complete."""
    found = db.execute(
        "SELECT channel_id, channel_type, seq FROM cursor WHERE account = ? ORDER BY updated_at DESC LIMIT ?",
        (account, limit),
    )
    return {ChannelRef(row[0], row[1]): row[2] for row in found}


def cursor(db: sqlite3.Connection, account: str, channel: ChannelRef) -> int | None:
    """Return how far one conversation is complete, ``None`` where that is not known."""
    found = db.execute(
        "SELECT seq FROM cursor WHERE account = ? AND channel_id = ? AND channel_type = ?",
        (account, channel.id, channel.type),
    ).fetchone()
    return int(found[0]) if found else None


def reset_cursor(db: sqlite3.Connection, account: str, channel: ChannelRef, seq: int, now_ms: int) -> None:
    """Store how far one conversation is complete, also where that is less than before."""
    db.execute(
        "INSERT OR REPLACE INTO cursor (account, channel_id, channel_type, seq, updated_at) VALUES (?, ?, ?, ?, ?)",
        (account, channel.id, channel.type, seq, now_ms),
    )


def save_cursors(db: sqlite3.Connection, account: str, moved: Mapping[ChannelRef, int], now_ms: int) -> None:
    """Store how far conversations are complete; a cursor never goes back."""
    db.executemany(
        "INSERT INTO cursor (account, channel_id, channel_type, seq, updated_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (account, channel_id, channel_type)"
        " DO UPDATE SET seq = max(seq, excluded.seq), updated_at = excluded.updated_at",
        [(account, ref.id, ref.type, seq, now_ms) for ref, seq in moved.items()],
    )
