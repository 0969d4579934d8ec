"""The journal: SQLite, one writer thread, every commit on the disk before anybody is told (design §7)."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.store.audit import AuditLog
from openclaw_channel_octo.store.cursors import Cursors
from openclaw_channel_octo.store.database import open_database, store_error
from openclaw_channel_octo.store.deliveries import Deliveries
from openclaw_channel_octo.store.episodes import Episodes
from openclaw_channel_octo.store.messages import Messages
from openclaw_channel_octo.store.pairing import Pairings
from openclaw_channel_octo.store.retention import Retention
from openclaw_channel_octo.store.said import SaidMessages
from openclaw_channel_octo.store.transaction import Transaction

__all__ = ["Journal"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

RETRY_S = 1.0
"""Wait between two tries on a full disk or a locked file."""


class Journal:
    """Durable record of inbound messages and of what became of each.

    Where waiting can help, as with a full disk, every method waits and tries again until the file takes the write;
    `trouble` tells of it meanwhile. Otherwise they raise `StoreError`. The same holds for the methods of the
    repositories, each of which is one transaction.

    Args:
        path: the database file; its folder must exist.
        clock: for the times in the rows.

    Attributes:
        messages: inbound messages.
        deliveries: what is sent in reply.
        episodes: failed runs of sessions.
        audit: requests beside answers.
        pairings: who may write to a bot directly.
        said: what was said earlier.
        retention: deletes old rows.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="octo-journal")
        self._db: sqlite3.Connection | None = None
        self._closed = False
        self._waiting = 0  # jobs that wait for the file
        self.trouble = ""
        """Why writing waits at the moment; empty when it does not."""
        self.retention = Retention(self)
        self.messages = Messages(self, self.retention)
        self.deliveries = Deliveries(self)
        self.episodes = Episodes(self)
        self.audit = AuditLog(self)
        self.pairings = Pairings(self)
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

    def cursors(self, account: str) -> Cursors:
        """Return how far a bot's conversations are complete."""
        return Cursors(self, account)

    async def device_id(self) -> str:
        """Return this installation's device id, made on first use (protocol §4.4)."""
        return await self.run(_device_id)

    async def run(self, work: Callable[[Transaction], _T]) -> _T:
        """Run ``work`` as one transaction on the writer thread, again and again while waiting may help."""
        now_ms = self._clock.wall_ms()
        return await self._patiently(
            lambda: self._transact(work, now_ms), "nothing is acknowledged until it is writable again"
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

    def _transact(self, work: Callable[[Transaction], _T], now_ms: int) -> _T:
        if self._db is None:
            raise StoreError(f"the journal {self._path} is closed")
        try:
            with self._db:
                return work(Transaction(self._db, now_ms, self._clock.new_id))
        except sqlite3.Error as error:
            raise store_error(f"journal {self._path}", error, self._path) from error

    def _report(self, trouble: str, meanwhile: str = "") -> None:
        if trouble and not self.trouble:
            _log.error("%s; %s", trouble, meanwhile)
        if self.trouble and not trouble:
            _log.warning("journal %s is writable again", self._path)
        self.trouble = trouble


def _device_id(tx: Transaction) -> str:
    tx.db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('device_id', ?)", (tx.new_id(),))
    (value,) = tx.db.execute("SELECT value FROM meta WHERE key = 'device_id'").fetchone()
    return str(value)
