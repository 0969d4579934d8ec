"""The journal's statements, each a function that runs inside one transaction."""

import sqlite3
from collections.abc import Sequence

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.records import Chunk, ChunkState, InboundRow, Ledger, NewInbound, RowState

__all__ = [
    "append",
    "clear_failures",
    "counts",
    "ledger",
    "mark_chunk",
    "meta",
    "note_episode",
    "plan_chunks",
    "queued",
    "settle",
    "shown",
    "start_run",
    "unfinished",
]


def append(db: sqlite3.Connection, rows: Sequence[NewInbound], now_ms: int) -> list[InboundRow | None]:
    """Insert rows that are not known yet; known ones give ``None``."""
    return [_insert(db, row, now_ms) for row in rows]


def _insert(db: sqlite3.Connection, row: NewInbound, now_ms: int) -> InboundRow | None:
    cursor = db.execute(
        "INSERT OR IGNORE INTO inbound (account, message_id, message_seq, client_msg_no, from_uid,"
        " channel_id, channel_type, timestamp, payload, decision, reason, session_key, trace, state, detail,"
        " received_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
        from_uid=row.from_uid,
        channel=row.channel,
        payload=row.payload,
        decision=row.decision,
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
    """Move a row to ``running``."""
    db.execute(
        "UPDATE inbound SET state = 'running', attempt = attempt + 1, run_id = ?, updated_at = ?"
        " WHERE id = ?",
        (run_id, now_ms, row_id),
    )


def settle(
    db: sqlite3.Connection, row_ids: Sequence[int], state: RowState, notice_id: str, detail: str, now_ms: int
) -> None:
    """End rows."""
    db.executemany(
        "UPDATE inbound SET state = ?, notice_id = ?, detail = ?, updated_at = ? WHERE id = ?",
        [(state, notice_id, detail, now_ms, row_id) for row_id in row_ids],
    )


def unfinished(db: sqlite3.Connection, account: str) -> list[InboundRow]:
    """Return open rows of an account, oldest first."""
    found = db.execute(
        "SELECT id, account, message_id, from_uid, channel_id, channel_type, payload, decision, session_key,"
        " trace, attempt, state FROM inbound"
        " WHERE account = ? AND state IN ('received', 'queued', 'running') ORDER BY id",
        (account,),
    )
    return [
        InboundRow(
            id=row[0],
            account=row[1],
            message_id=row[2],
            from_uid=row[3],
            channel=ChannelRef(row[4], row[5]),
            payload=row[6],
            decision=row[7],
            session_key=row[8],
            trace=row[9],
            attempt=row[10],
            state=RowState(row[11]),
        )
        for row in found
    ]


def plan_chunks(
    db: sqlite3.Connection, row_id: int, run_id: str, chunks: Sequence[Chunk], now_ms: int
) -> None:
    """Insert chunks behind those the row has."""
    (taken,) = db.execute("SELECT count(*) FROM delivery WHERE inbound_id = ?", (row_id,)).fetchone()
    db.executemany(
        "INSERT INTO delivery (ref, inbound_id, run_id, position, text, state, updated_at)"
        " VALUES (?, ?, ?, ?, ?, 'planned', ?)",
        [
            (chunk.ref, row_id, run_id, taken + number, chunk.text, now_ms)
            for number, chunk in enumerate(chunks)
        ],
    )


def mark_chunk(
    db: sqlite3.Connection, ref: str, state: ChunkState, message_id: str, detail: str, now_ms: int
) -> None:
    """Move a chunk on."""
    db.execute(
        "UPDATE delivery SET state = ?, message_id = ?, detail = ?, updated_at = ? WHERE ref = ?",
        (state, message_id, detail, now_ms, ref),
    )


def shown(db: sqlite3.Connection, row_id: int) -> bool:
    """Return whether a chunk of the row was sent or may have been."""
    found = db.execute(
        "SELECT 1 FROM delivery WHERE inbound_id = ? AND state IN ('sending', 'sent') LIMIT 1", (row_id,)
    )
    return found.fetchone() is not None


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
