"""One transaction of the journal, and the methods that run as one."""

import sqlite3
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from msgspec import Struct, convert

from openclaw_channel_octo.ids import ChannelRef

__all__ = ["Repository", "Transaction", "TransactionRunner", "in_transaction", "records", "slots"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_R = TypeVar("_R", bound="Repository")


class Transaction(Struct, frozen=True):
    """What a statement needs: it is committed when the statement returns, and rolled back when it raises.

    Attributes:
        db: the connection, on the writer thread.
        now_ms: when the statement was asked for, Unix milliseconds.
        new_id: makes a fresh id.
    """

    db: sqlite3.Connection
    now_ms: int
    new_id: Callable[[], str]


class TransactionRunner(Protocol):
    """Runs transactions one at a time."""

    async def run(self, work: Callable[[Transaction], _T]) -> _T:
        """Return what ``work`` returns, once it is committed. Raises `StoreError`."""
        ...


class Repository:
    """Statements of one subject.

    Args:
        writer: runs them.
    """

    def __init__(self, writer: TransactionRunner) -> None:
        self.writer = writer


def in_transaction(
    work: Callable[Concatenate[_R, Transaction, _P], _T],
) -> Callable[Concatenate[_R, _P], Coroutine[Any, Any, _T]]:
    """Turn a method that takes a transaction into one that waits for its own; it raises `StoreError`."""

    @wraps(work)
    async def run(self: _R, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await self.writer.run(lambda transaction: work(self, transaction, *args, **kwargs))

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
