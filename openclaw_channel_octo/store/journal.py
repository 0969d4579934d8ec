"""The journal: SQLite, one writer thread, every commit on the disk before anybody is told (design §7)."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Self

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.store.approvals import Approvals
from openclaw_channel_octo.store.audit import AuditLog
from openclaw_channel_octo.store.cursors import Cursors, MovedCursors
from openclaw_channel_octo.store.database import open_database
from openclaw_channel_octo.store.deliveries import Deliveries
from openclaw_channel_octo.store.episodes import Episodes
from openclaw_channel_octo.store.interruptions import Interruptions
from openclaw_channel_octo.store.lines import Lines
from openclaw_channel_octo.store.messages import Messages
from openclaw_channel_octo.store.pairing import Pairings
from openclaw_channel_octo.store.posts import Posts
from openclaw_channel_octo.store.progress import ProgressMessages
from openclaw_channel_octo.store.prompts import Prompts
from openclaw_channel_octo.store.retention import Retention
from openclaw_channel_octo.store.said import SaidMessages
from openclaw_channel_octo.store.transaction import Transaction, Writer

__all__ = ["Journal"]


class Journal(Writer):
    """Durable record of inbound messages and of what became of each.

    Every method waits, or raises `StoreError`, as `Writer` does, and so do the methods of the repositories, each of
    which is one transaction.

    Args:
        path: the database file; its folder must exist.
        clock: for the times in the rows.

    Attributes:
        messages: inbound messages.
        deliveries: what is sent in reply.
        episodes: failed runs of sessions.
        interruptions: runs that the end of their host interrupted.
        lines: messages that no agent may change.
        audit: requests beside answers.
        approvals: what agents asked leave for.
        pairings: who may write to a bot directly.
        posts: sends with a key.
        prompts: what agents were given.
        progress: messages that show the progress of turns.
        said: what was said earlier.
        retention: deletes old rows.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(path, clock)
        self.retention = Retention(self)
        self._moved = MovedCursors()
        self.messages = Messages(self, self.retention, self._moved)
        self.deliveries = Deliveries(self)
        self.episodes = Episodes(self)
        self.interruptions = Interruptions(self)
        self.lines = Lines(self)
        self.audit = AuditLog(self)
        self.approvals = Approvals(self)
        self.pairings = Pairings(self)
        self.posts = Posts(self)
        self.prompts = Prompts(self)
        self.progress = ProgressMessages(self)
        self.said = SaidMessages(self)

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
            await self._patiently(self._opened, "the start waits until it can be used")
        except BaseException:  # raised again: file and thread are ended first
            await self.close()
            raise

    async def close(self) -> None:
        """Close the file and end the writer thread; a second call does nothing."""
        if not self._closed:
            left = [self._submit(self._moved.taken(), self._clock.wall_ms())] if self._moved.waiting else []
            self._closed = True
            self._jobs.flush()
            closing = self._thread.submit(self._close_file)  # behind an opening whose caller was cancelled
            self._thread.shutdown(wait=False)
            await asyncio.shield(asyncio.wrap_future(closing))
            for cursors in left:
                with suppress(StoreError):  # they may lag, and no stop waits for a full disk
                    await cursors

    def cursors(self, account: str) -> Cursors:
        """Return how far a bot's conversations are complete."""
        return Cursors(self, account, self._moved)

    async def device_id(self) -> str:
        """Return this installation's device id, made on first use (protocol §4.4)."""
        return await self.run(_device_id)

    def _opened(self) -> Awaitable[None]:
        return asyncio.get_running_loop().run_in_executor(self._thread, self._open_file)

    def _open_file(self) -> None:
        self._db = open_database(self._path, self._clock.wall_ms())

    def _close_file(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def _device_id(tx: Transaction) -> str:
    tx.db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('device_id', ?)", (tx.new_id(),))
    (value,) = tx.db.execute("SELECT value FROM meta WHERE key = 'device_id'").fetchone()
    return str(value)
