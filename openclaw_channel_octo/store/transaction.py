"""The journal's transactions: the thread that runs them one after the other, and the methods that run as one."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from msgspec import Struct, convert

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


class Writer:
    """Runs jobs on a database, one at a time on a thread of its own.

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
        self._waiting = 0  # jobs that wait for the file
        self.trouble = ""
        """Why writing waits at the moment; empty when it does not."""

    async def run(self, work: Callable[[Transaction], _T]) -> _T:
        """Run ``work`` as one transaction and return what it returns, once that is committed."""
        job = partial(self._transact, work, self._clock.wall_ms())
        return await self._patiently(job, "nothing is acknowledged until it is writable again")

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

    def _transact(self, work: Callable[[Transaction], _T], now_ms: int) -> _T:
        if self._db is None:
            raise StoreError(f"the journal {self._path} is closed")
        try:
            try:
                with self._db:
                    return work(Transaction(self._db, now_ms, self._clock.new_id))
            except UnicodeEncodeError:
                with self._db:
                    return work(Transaction(CleaningConnection(self._db), now_ms, self._clock.new_id))
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
