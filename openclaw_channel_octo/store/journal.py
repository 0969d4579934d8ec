"""The journal: SQLite, one writer thread, every commit on the disk before anybody is told (design §7)."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store import audit, pairing, retention, said, sql
from openclaw_channel_octo.store.audit import AuditEntry, AuditOutcome
from openclaw_channel_octo.store.database import open_database, store_error
from openclaw_channel_octo.store.records import (
    Chunk,
    ChunkState,
    InboundRow,
    Ledger,
    NewInbound,
    Part,
    RowState,
    SaidBefore,
    SaidRow,
)

__all__ = ["Journal"]

_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")

CURSORS = 500
"""Conversations of one bot that are caught up with after a start, the latest ones."""

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

RETRY_S = 1.0
"""Wait between two tries on a full disk or a locked file."""


class Journal:
    """Durable record of inbound messages and of what became of each.

    Where waiting can help, as with a full disk, every method waits and tries again until the file takes the write;
    `trouble` tells of it meanwhile. Otherwise they raise `StoreError`.

    Args:
        path: the database file; its folder must exist.
        clock: for the times in the rows.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="octo-journal")
        self._db: sqlite3.Connection | None = None
        self._closed = False
        self._waiting = 0  # jobs that wait for the file
        self._since_prune = PRUNE_EVERY  # so that the first batch after a start clears up
        self._edges: Mapping[str, retention.Edge] = {}
        self.trouble = ""
        """Why writing waits at the moment; empty when it does not."""

    async def __aenter__(self) -> Self:
        """Open the file, migrating or setting it aside as needed."""
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file."""
        await self.close()

    async def open(self) -> None:
        """Open or create the file. One that is no journal is set aside under another name, never replaced.

        A full disk or a locked file is waited for, as by every method. However this fails, nothing is left open.
        """
        try:
            await self._patiently(self._open_file, "the start waits until it can be used")
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the file and end the writer thread; a second call does nothing."""
        if not self._closed:
            self._closed = True
            closing = self._thread.submit(self._close_file)  # behind an opening whose caller was cancelled
            self._thread.shutdown(wait=False)
            await asyncio.shield(asyncio.wrap_future(closing))

    async def append(self, rows: Sequence[NewInbound]) -> list[InboundRow | None]:
        """Record messages in one transaction; a message known already gives ``None`` in its place."""
        recorded = await self._call(sql.append, rows, self._clock.wall_ms())
        self._since_prune += len(rows)
        if self._since_prune >= PRUNE_EVERY:
            self._since_prune = 0
            self._edges = await self._look_for_old()
        if self._edges and await self._call(retention.delete, self._edges, PRUNE_STEP) < PRUNE_STEP:
            self._edges = {}  # until then each batch takes some along, and none waits for all of them
        return recorded

    async def queued(self, row_ids: Iterable[int]) -> None:
        """Mark received rows as waiting in their lane."""
        await self._call(sql.queued, tuple(row_ids), self._clock.wall_ms())

    async def start_run(self, row_id: int, run_id: str) -> None:
        """Mark a row as running under a new run id and count the attempt."""
        await self._call(sql.start_run, row_id, run_id, self._clock.wall_ms())

    async def assign_run(self, row_id: int, run_id: str) -> None:
        """Store the id of the run a row is about to have; neither its state nor its attempts change.

        For a run that outlives this process: once handed over, it has to be found again. Its time begins now, also
        for `start_run`.
        """
        await self._call(sql.assign_run, row_id, run_id, self._clock.wall_ms())

    async def note_break(self, row_id: int, reason: str) -> int:
        """Count an unexpected error that ended a row's handling, and keep the reason as its detail.

        Returns:
            How many there were, this one included; 0 for a row that is gone.
        """
        return await self._call(sql.note_break, row_id, reason)

    async def settle(
        self, row_ids: Iterable[int], state: RowState, *, notice_id: str = "", detail: str = ""
    ) -> None:
        """End rows: ``answered``, ``notified`` with the notice's message id, or ``dead`` with a reason.

        What of their messages is not sent by then is given up. Without ``detail`` a row keeps the one of its plan.
        """
        await self._call(sql.settle, tuple(row_ids), state, notice_id, detail, self._clock.wall_ms())

    async def earlier_notice(self, row: InboundRow, since_ms: int) -> str:
        """Return the message id of the notice that refused the same person there for the same reason, empty for none.

        Args:
            row: what they say now.
            since_ms: Unix milliseconds; older notices do not count.
        """
        return await self._call(sql.earlier_notice, row, since_ms)

    async def said_before(self, row: InboundRow, limit: int) -> SaidBefore:
        """Return what was said in a conversation and is in no session's memory.

        That is talk that was not for the bot, and what was for it and reached no agent: behind the last message that
        was answered, or that asked the bot to forget.

        Args:
            row: the message to be answered; what came after it is left out.
            limit: most messages, the newest.
        """
        return await self._call(said.said_before, row.account, row.channel, row.message_seq, limit)

    async def said_as(self, account: str, channel: ChannelRef, message_id: str) -> SaidRow | None:
        """Return a message of a conversation by its id, the bot's own without a uid; ``None`` for one not known."""
        return await self._call(said.said_as, account, channel, message_id)

    async def unfinished(self, account: str) -> list[InboundRow]:
        """Return the account's rows that have not ended, oldest first."""
        return await self._call(sql.unfinished, account)

    async def plan_chunks(
        self,
        row_id: int,
        run_id: str,
        parts: Sequence[Part],
        ending: RowState | None = None,
        detail: str = "",
    ) -> list[Chunk]:
        """Record the messages a reply will consist of, behind those already planned for the row.

        Args:
            row_id: the row.
            run_id: the run that wrote them, empty for a notice.
            parts: the messages.
            ending: set when these are the row's last: what it ends as once they are sent.
            detail: why it ends so, for an operator.
        """
        now_ms = self._clock.wall_ms()
        planned = [self._chunk(part, now_ms) for part in parts]
        await self._call(sql.plan_chunks, row_id, run_id, planned, ending or "", detail, now_ms)
        return planned

    def _chunk(self, part: Part, now_ms: int) -> Chunk:
        return Chunk(
            ref=self._clock.new_id(), text=part.text, file=part.file, reply=part.reply, since_ms=now_ms
        )

    async def chunks(self, row_id: int) -> list[Chunk]:
        """Return the messages planned for a row, in order."""
        return await self._call(sql.chunks, row_id)

    async def drop_unsent(self, row_id: int, detail: str) -> None:
        """Give up the messages of a row that are not sent, for the reason ``detail``."""
        await self._call(sql.drop_unsent, row_id, detail, self._clock.wall_ms())

    async def refuse_chunk(self, ref: str, detail: str, notice: Part) -> Chunk | None:
        """Give up a chunk the chat does not take, and see to it that people are told.

        Where it is one of the last of an answer, the row ends ``notified`` with ``notice`` behind them, in the same
        transaction. Where the answer goes on, or a notice ends the row anyway, nothing is planned.

        Args:
            ref: the chunk.
            detail: why it is not taken.
            notice: what people read.

        Returns:
            The notice, ``None`` where none was planned.
        """
        now_ms = self._clock.wall_ms()
        planned = self._chunk(notice, now_ms)
        told = await self._call(sql.refuse_chunk, ref, detail, planned, now_ms)
        return planned if told else None

    async def revise_chunk(self, ref: str, part: Part) -> None:
        """Record what a chunk's file became: a message that shows it, or a text in its place."""
        await self._call(sql.revise_chunk, ref, part, self._clock.wall_ms())

    async def mark_chunk(
        self, ref: str, state: ChunkState, *, message_id: str = "", detail: str = ""
    ) -> None:
        """Record where a chunk stands, with the server's message id once it was accepted."""
        await self._call(sql.mark_chunk, ref, state, message_id, detail, self._clock.wall_ms())

    async def ledger(self, session_key: str) -> Ledger:
        """Return what is remembered of the session's failed runs."""
        return await self._call(sql.ledger, session_key)

    async def note_episode(self, session_key: str, episode: str) -> bool:
        """Remember a failed run and count it; return whether this is the first time it is noted."""
        return await self._call(sql.note_episode, session_key, episode, self._clock.wall_ms())

    async def clear_failures(self, session_key: str) -> None:
        """Forget the count of failed runs in a row."""
        await self._call(sql.clear_failures, session_key)

    async def cursors(self, account: str) -> dict[ChannelRef, int]:
        """Return how far the account's latest conversations are complete, by message number."""
        return await self._call(sql.cursors, account, CURSORS)

    async def cursor(self, account: str, channel: ChannelRef) -> int | None:
        """Return how far one conversation is complete, ``None`` where nothing is known of it."""
        return await self._call(sql.cursor, account, channel)

    async def reset_cursor(self, account: str, channel: ChannelRef, seq: int) -> None:
        """Remember how far a conversation is complete, also where that is less than before.

        For a conversation whose numbers began anew; `save_cursors` never goes back.
        """
        await self._call(sql.reset_cursor, account, channel, seq, self._clock.wall_ms())

    async def save_cursors(self, account: str, moved: Mapping[ChannelRef, int]) -> None:
        """Remember how far conversations are complete."""
        await self._call(sql.save_cursors, account, moved, self._clock.wall_ms())

    async def paired(self, account: str) -> frozenset[str]:
        """Return the people an operator has let in to a bot's direct messages, as of now."""
        return await self._call(pairing.paired, account)

    async def pairing_code(self, account: str, uid: str, fresh: str) -> str:
        """Return the code with which somebody can be let in, good for an hour from now.

        Args:
            account: the bot.
            uid: who asks.
            fresh: becomes their code where they have none.

        Returns:
            The code, empty where too many others wait to be let in.
        """
        return await self._call(pairing.request, account, uid, fresh, self._clock.wall_ms())

    async def asked_to_pair(self, account: str, uid: str) -> bool:
        """Return whether somebody has a code with which they can be let in, or had one within the last day."""
        return await self._call(pairing.asked, account, uid)

    async def prune(self) -> int:
        """Delete all ended rows past the retention; return how many. Others may use the journal meanwhile."""
        edges, deleted = await self._look_for_old(), 0
        while portion := await self._call(retention.delete, edges, PRUNE_STEP):
            deleted += portion
        return deleted

    async def _look_for_old(self) -> dict[str, retention.Edge]:
        """Return where each kind of rows begins to be too old or too many; delete what else is too old."""
        before_ms = self._clock.wall_ms() - KEEP_DAYS * 86_400_000
        await self._call(retention.delete_notes, before_ms, KEEP_ROWS, PRUNE_EVERY)
        return {kind: max((before_ms, 0), await self._last_kept(kind)) for kind in retention.KINDS}

    async def _last_kept(self, kind: str) -> retention.Edge:
        """Return the oldest row of a kind that is not too many, the beginning of time where none is."""
        edge = (2**63 - 1, 0)
        for counted in range(0, KEEP_ROWS, LOOK_STEP):
            found = await self._call(retention.back, kind, edge, min(LOOK_STEP, KEEP_ROWS - counted))
            if found is None:
                return (0, 0)
            edge = found
        return edge

    async def begin_audit(self, entry: AuditEntry) -> int:
        """Record a request before anything is done for it; return its number."""
        return await self._call(audit.begin, entry)

    async def end_audit(self, number: int, target: str, outcome: AuditOutcome, detail: str) -> None:
        """Record what came of a request, and the conversation it turned out to be about."""
        await self._call(audit.end, number, target, outcome, detail)

    async def lose_audits(self, account: str) -> None:
        """Say of a bot's requests without an outcome that the process they were made in has ended."""
        await self._call(audit.lose, account)

    async def counts(self) -> dict[str, int]:
        """Return how many rows stand in each state."""
        return await self._call(sql.counts)

    async def device_id(self) -> str:
        """Return this installation's device id, made on first use (protocol §4.4)."""
        return await self._call(sql.meta, "device_id", self._clock.new_id())

    async def _call(
        self,
        work: Callable[Concatenate[sqlite3.Connection, _P], _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """Run ``work`` as one transaction on the writer thread, again and again while waiting may help."""
        return await self._patiently(
            lambda: self._transact(lambda db: work(db, *args, **kwargs)),
            "nothing is acknowledged until it is writable again",
        )

    async def _patiently(self, job: Callable[[], _T], meanwhile: str) -> _T:
        """Run ``job`` on the writer thread, again and again while waiting may help, and say once what waits."""
        loop = asyncio.get_running_loop()
        waited = False
        try:
            while True:
                try:
                    result = await loop.run_in_executor(self._thread, job)
                except StoreError as error:
                    if not error.retryable:
                        raise
                    self._report(str(error), meanwhile)
                    self._waiting += not waited
                    waited = True
                    await self._clock.sleep(RETRY_S)
                else:
                    if waited or not self._waiting:  # that a full disk is read proves nothing
                        self._report("")
                    return result
        finally:
            self._waiting -= waited

    def _open_file(self) -> None:
        self._db = open_database(self._path, self._clock.wall_ms())

    def _close_file(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _transact(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._db is None:
            raise StoreError(f"the journal {self._path} is closed")
        try:
            with self._db:
                return work(self._db)
        except sqlite3.Error as error:
            raise store_error(f"journal {self._path}", error, self._path) from error

    def _report(self, trouble: str, meanwhile: str = "") -> None:
        if trouble and not self.trouble:
            _log.error("%s; %s", trouble, meanwhile)
        if self.trouble and not trouble:
            _log.warning("journal %s is writable again", self._path)
        self.trouble = trouble
