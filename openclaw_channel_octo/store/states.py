"""The states of a recorded message and of a message of a reply, and every move from one to another."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

__all__ = ["CHUNK_MOVES", "OPEN", "ROW_MOVES", "UNSENT", "ChunkState", "RowState", "any_of", "before"]


class RowState(StrEnum):
    """Life of an inbound message: received → queued → running → one of the ends."""

    RECEIVED = "received"
    QUEUED = "queued"
    RUNNING = "running"
    ANSWERED = "answered"
    NOTIFIED = "notified"
    CONTEXT = "context"
    DEAD = "dead"


class ChunkState(StrEnum):
    """Life of one message of a reply."""

    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"


_S = TypeVar("_S", RowState, ChunkState)

OPEN = (RowState.RECEIVED, RowState.QUEUED, RowState.RUNNING)
"""States of rows that have no end yet, in the order in which the indexes of the schema name them."""

UNSENT = (ChunkState.PLANNED, ChunkState.SENDING)
"""States of chunks that are neither sent nor given up."""

_ENDS = frozenset({RowState.ANSWERED, RowState.NOTIFIED, RowState.DEAD})

ROW_MOVES: Mapping[RowState | None, frozenset[RowState]] = {
    None: frozenset({RowState.RECEIVED, RowState.CONTEXT, RowState.DEAD}),
    RowState.RECEIVED: frozenset({RowState.QUEUED, RowState.RUNNING}) | _ENDS,
    RowState.QUEUED: frozenset({RowState.RUNNING}) | _ENDS,
    RowState.RUNNING: frozenset({RowState.RUNNING}) | _ENDS,
    RowState.ANSWERED: frozenset(),
    RowState.NOTIFIED: frozenset({RowState.RECEIVED}),
    RowState.CONTEXT: frozenset(),
    RowState.DEAD: frozenset({RowState.RECEIVED, RowState.RUNNING}) | _ENDS,
}
"""States a row can move to from each; ``None`` is a message that is not recorded yet.

A run that is started again stays ``running``. An operator can retry a ``dead`` row, or a ``notified`` one without a
run: it is ``received`` again. An operator can bury a row that the bot has in hand: what the bot does with a ``dead``
row is recorded all the same.
"""

CHUNK_MOVES: Mapping[ChunkState | None, frozenset[ChunkState]] = {
    None: frozenset({ChunkState.PLANNED, ChunkState.SENDING}),
    ChunkState.PLANNED: frozenset({ChunkState.SENDING, ChunkState.SENT, ChunkState.DEAD}),
    ChunkState.SENDING: frozenset({ChunkState.SENDING, ChunkState.SENT, ChunkState.DEAD}),
    ChunkState.SENT: frozenset(),
    ChunkState.DEAD: frozenset({ChunkState.SENDING, ChunkState.SENT, ChunkState.DEAD}),
}
"""States a chunk can move to from each; ``None`` is one that is not planned yet.

A ``planned`` chunk is ``sent`` at once where the chat shows it already. The chunks of a row that is buried while they
are being sent are ``dead`` and go on all the same.
"""


def any_of(states: Iterable[RowState | ChunkState]) -> str:
    """Return the SQL condition that a row or chunk is in one of some states."""
    return f"state IN ({', '.join(repr(state.value) for state in states)})"


def before(moves: Mapping[_S | None, frozenset[_S]], after: _S) -> str:
    """Return the SQL condition that a row or chunk can move to a state."""
    return any_of(state for state in type(after) if after in moves[state])
