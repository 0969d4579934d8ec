"""What of the journal is deleted, and when: in portions, so that nobody waits for it."""

from collections.abc import Mapping

from openclaw_channel_octo.store import audit, lines, posts
from openclaw_channel_octo.store.transaction import Repository, Transaction, Writer, in_transaction

__all__ = ["KEEP_DAYS", "KINDS", "Edge", "Retention"]

KEEP_DAYS = 30
"""Days an ended row is kept; duplicates are known for as long."""

KEEP_ROWS = 200_000
"""Ended rows kept at most, of those that addressed a bot and of all others each; open ones are never deleted."""

PRUNE_EVERY = 5_000
"""Recorded rows between two looks for old ones."""

PRUNE_STEP = 500
"""Rows deleted in one transaction: some 10 ms, for which everybody else waits."""

LOOK_STEP = 20_000
"""Rows counted in one transaction, some 4 ms."""

KINDS = ("chatter", "addressed")
"""Values of the column ``retention`` (`schema`) of rows that have ended: each kind is counted for itself."""

Edge = tuple[int, int]
"""Where what is kept begins: time of recording in Unix milliseconds, and id of a row; older ones go."""


class Retention(Repository):
    """Deletes what is too old or too many.

    Args:
        writer: runs statements.
    """

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer)
        self._since_look = PRUNE_EVERY  # so that the first batch after a start clears up
        self._edges: Mapping[str, Edge] = {}

    async def after(self, recorded: int) -> None:
        """Delete a portion of the old rows there are, if any, behind so many new ones."""
        self._since_look += recorded
        if self._since_look >= PRUNE_EVERY:
            self._since_look = 0
            self._edges = await self._look_for_old()
        if self._edges and await self.delete(self._edges, PRUNE_STEP) < PRUNE_STEP:
            self._edges = {}  # until then each batch takes some along, and none waits for all of them

    async def prune(self) -> int:
        """Delete all ended rows past the retention; return how many. Others may use the journal meanwhile."""
        edges, deleted = await self._look_for_old(), 0
        while portion := await self.delete(edges, PRUNE_STEP):
            deleted += portion
        return deleted

    async def _look_for_old(self) -> dict[str, Edge]:
        """Return where each kind of rows begins to be too old or too many; delete what else is too old."""
        before_ms = await self.delete_notes(KEEP_ROWS, PRUNE_EVERY)
        return {kind: max((before_ms, 0), await self._last_kept(kind)) for kind in KINDS}

    async def _last_kept(self, kind: str) -> Edge:
        """Return the oldest row of a kind that is not too many, the beginning of time where none is."""
        edge = (2**63 - 1, 0)
        for counted in range(0, KEEP_ROWS, LOOK_STEP):
            found = await self.back(kind, edge, min(LOOK_STEP, KEEP_ROWS - counted))
            if found is None:
                return (0, 0)
            edge = found
        return edge

    @in_transaction
    def back(self, tx: Transaction, kind: str, edge: Edge, count: int) -> Edge | None:
        """Return the row of a kind that stands ``count`` before an edge, ``None`` where there are not so many."""
        found = tx.db.execute(
            "SELECT received_at, id FROM inbound WHERE retention = ? AND received_at <= ?"
            " AND (received_at, id) < (?, ?) ORDER BY received_at DESC, id DESC LIMIT 1 OFFSET ?",
            (kind, edge[0], *edge, count - 1),
        ).fetchone()
        return (found[0], found[1]) if found else None

    @in_transaction
    def delete(self, tx: Transaction, edges: Mapping[str, Edge], most: int) -> int:
        """Delete the oldest rows before the edges of their kinds, with their chunks; return how many.

        Args:
            tx: the transaction.
            edges: where what is kept begins, by kind.
            most: rows to delete at most.
        """
        deleted = 0
        for kind, edge in edges.items():
            deleted += tx.db.execute(
                "DELETE FROM inbound WHERE id IN (SELECT id FROM inbound WHERE retention = ? AND received_at <= ?"
                " AND (received_at, id) < (?, ?) ORDER BY received_at, id LIMIT ?)",
                (kind, edge[0], *edge, most - deleted),
            ).rowcount
        return deleted

    @in_transaction
    def delete_notes(self, tx: Transaction, keep: int, most: int) -> int:
        """Delete what is remembered beside messages and is too old, and requests and keyed sends that are too many.

        The next call goes on with what is left.

        Args:
            tx: the transaction.
            keep: requests, and sends, to keep at most.
            most: entries of each kind to delete at most.

        Returns:
            From when on entries are kept, Unix milliseconds.
        """
        before_ms = tx.now_ms - KEEP_DAYS * 86_400_000
        tx.db.execute(
            "DELETE FROM episode WHERE (session_key, episode) IN"
            " (SELECT session_key, episode FROM episode WHERE noted_at < ? LIMIT ?)",
            (before_ms, most),
        )
        audit.prune(tx.db, before_ms, keep, most)
        posts.prune(tx.db, before_ms, keep, most)
        lines.prune(tx.db, before_ms, most)
        return before_ms
