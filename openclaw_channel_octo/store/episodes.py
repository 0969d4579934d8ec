"""Failed runs of each session: which are announced, and how many there were in a row."""

from openclaw_channel_octo.store.database import Connection
from openclaw_channel_octo.store.records import Ledger
from openclaw_channel_octo.store.transaction import Repository, Transaction, in_transaction

__all__ = ["Episodes", "forget_failures"]


class Episodes(Repository):
    """The episodes of all sessions."""

    @in_transaction
    def ledger(self, tx: Transaction, session_key: str) -> Ledger:
        """Return what is remembered of a session's failed runs."""
        noted = tx.db.execute("SELECT episode FROM episode WHERE session_key = ?", (session_key,)).fetchall()
        count = tx.db.execute("SELECT count FROM failure WHERE session_key = ?", (session_key,)).fetchone()
        return Ledger(announced=frozenset(row[0] for row in noted), failures=count[0] if count else 0)

    @in_transaction
    def note(self, tx: Transaction, session_key: str, episode: str) -> bool:
        """Remember a failed run and count it; return whether this is the first time it is noted."""
        noted = tx.db.execute(
            "INSERT OR IGNORE INTO episode (session_key, episode, noted_at) VALUES (?, ?, ?)",
            (session_key, episode, tx.now_ms),
        )
        if not noted.rowcount:
            return False
        tx.db.execute(
            "INSERT INTO failure (session_key, count) VALUES (?, 1)"
            " ON CONFLICT (session_key) DO UPDATE SET count = count + 1",
            (session_key,),
        )
        return True


def forget_failures(db: Connection, row_id: int) -> None:
    """Begin to count anew in the session of a row: an agent has answered it, which no command shows."""
    db.execute(
        "DELETE FROM failure WHERE session_key = (SELECT session_key FROM inbound WHERE id = ? AND decision = 'turn')",
        (row_id,),
    )
