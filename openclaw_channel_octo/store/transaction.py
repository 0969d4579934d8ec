"""The journal's transactions: the thread that runs them one after the other, and the methods that run as one."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from msgspec import Struct, convert

from openclaw_channel_octo.batches import Batches
from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.database import CleaningConnection, Connection, store_error

__all__ = ["Repository", "Transaction", "Writer", "in_transaction", "records", "slots"]

_log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")
_R = TypeVar("_R", bound="Repository")

RETRY_S = 1.0
"""Wait between two tries on a full disk or a locked file."""


class Transaction(Struct, frozen=True):
    """What a statement needs: it is committed when the statement returns, and rolled back when it raises.

    Attributes:
        db: the connection, on the writer thread.
        now_ms: when the statement was asked for, Unix milliseconds.
        new_id: makes a fresh id.
    """

    db: Connection
    now_ms: int
    new_id: Callable[[], str]


class _Job(Struct, frozen=True):
    """A transaction that waits for the thread: its statements, and when they were asked for in Unix milliseconds."""

    work: Callable[[Transaction], Any]
    now_ms: int


class Writer:
    """Runs jobs on a database, one at a time in the order they came, on a thread of its own.

    Jobs that wait share the next commit. One that raises is rolled back alone.

    Where waiting can help, as with a full disk, it waits and tries again until the file takes the write; `trouble`
    tells of it meanwhile. Otherwise it raises `StoreError`.

    Args:
        path: the database file.
        clock: for the times in the rows.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="octo-journal")
        self._db: sqlite3.Connection | None = None
        self._jobs = Batches[_Job, Any](self._transact, self._thread)
        self._closed = False
        self._waiting = 0  # jobs that wait for the file
        self.trouble = ""
        """Why writing waits at the moment; empty when it does not."""

    async def run(self, work: Callable[[Transaction], _T]) -> _T:
        """Run ``work`` as a transaction and return what it returns, once that is committed.

        Args:
            work: statements, and nothing beside them: it is run again where its commit fails.
        """
        now_ms = self._clock.wall_ms()
        return await self._patiently(
            lambda: self._submit(work, now_ms), "nothing is acknowledged until it is writable again"
        )

    async def _patiently(self, job: Callable[[], Awaitable[_T]], meanwhile: str) -> _T:
        """Do ``job``, again and again while waiting may help, and say once what waits."""
        waited = False
        try:
            while True:
                try:
                    result = await job()
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

    def _submit(self, work: Callable[[Transaction], _T], now_ms: int) -> asyncio.Future[_T]:
        if self._closed:
            raise StoreError(f"the journal {self._path} is closed")
        return self._jobs.submit(_Job(work, now_ms))

    def _transact(self, jobs: Sequence[_Job]) -> list[Any]:
        """Run jobs as one transaction, on the thread."""
        assert self._db is not None  # noqa: S101  # `open` comes first, and what is submitted is done before `close`
        try:
            try:
                with self._db:
                    return [job.work(Transaction(self._db, job.now_ms, self._clock.new_id)) for job in jobs]
            except UnicodeEncodeError:
                db = CleaningConnection(self._db)
                with self._db:
                    return [job.work(Transaction(db, job.now_ms, self._clock.new_id)) for job in jobs]
        except sqlite3.Error as error:
            raise store_error(f"journal {self._path}", error, self._path) from error

    def _report(self, trouble: str, meanwhile: str = "") -> None:
        if trouble and not self.trouble:
            _log.error("%s; %s", trouble, meanwhile)
        if self.trouble and not trouble:
            _log.warning("journal %s is writable again", self._path)
        self.trouble = trouble


class Repository:
    """Statements of one subject.

    Args:
        writer: runs them.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer


def in_transaction(
    work: Callable[Concatenate[_R, Transaction, _P], _T],
) -> Callable[Concatenate[_R, _P], Coroutine[Any, Any, _T]]:
    """Turn a method that takes a transaction into one that waits for its own; it raises `StoreError`."""

    @wraps(work)
    async def run(self: _R, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await self.writer.run(lambda tx: work(self, tx, *args, **kwargs))

    return run


def records(found: sqlite3.Cursor, kind: type[_T]) -> list[_T]:
    """Return the rows of a query as structs, by the names of its columns.

    The columns ``channel_id`` and ``channel_type`` make the field ``channel``, where there is one.
    """
    names = [column[0] for column in found.description]
    return [convert(_fields(dict(zip(names, row, strict=True))), kind, strict=False) for row in found]


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    if "channel_id" in row:
        row["channel"] = ChannelRef(row["channel_id"], row["channel_type"])
    return row


def slots(names: Iterable[str]) -> str:
    """Return columns and their parameters, as an ``INSERT`` takes them."""
    names = tuple(names)
    return f"({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
