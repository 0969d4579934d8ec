"""Rows and chunks move along the table only, whatever is called on them in whatever state."""

import inspect
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from openclaw_channel_octo.store.admin import JournalAdmin
from openclaw_channel_octo.store.deliveries import Deliveries
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.messages import Messages
from openclaw_channel_octo.store.records import InboundRow, Part
from openclaw_channel_octo.store.states import CHUNK_MOVES, OPEN, ROW_MOVES, UNSENT, ChunkState, RowState
from openclaw_channel_octo.testing.clock import ManualClock
from tests.store.rows import inbound

PART = Part(text="text")
ENDS = [state for state in RowState if state not in OPEN and state is not RowState.CONTEXT]

Places = dict[str, str]
"""States by message id, and by ref."""

Move = tuple[str | None, str]

Call = Callable[[Journal, JournalAdmin, int, str], Awaitable[Any]]
"""What is called on a row and on one of its chunks."""


async def append(journal: Journal, _: JournalAdmin, row_id: int, __: str) -> None:
    for state in (RowState.RECEIVED, RowState.CONTEXT, RowState.DEAD):
        await journal.messages.append([inbound(f"new {row_id} {state}", state), inbound(str(row_id), state)])


async def retry(_: Journal, admin: JournalAdmin, row_id: int, __: str) -> None:
    for row in admin.find(f"{row_id}"):
        admin.retry(row, 1)


async def bury(_: Journal, admin: JournalAdmin, row_id: int, __: str) -> None:
    for row in admin.find(f"{row_id}"):
        admin.bury(row, "why", 1)


def settle(state: RowState) -> Call:
    return lambda journal, _, row_id, __: journal.messages.settle([row_id], state, detail="why")


def mark(state: ChunkState) -> Call:
    return lambda journal, _, __, ref: journal.deliveries.mark(ref, state, message_id="9")


def plan(ending: RowState | None) -> Call:
    return lambda journal, _, row_id, __: journal.deliveries.plan(row_id, "run", [PART], ending)


CALLS: dict[str, Call] = {
    "append": append,
    "retry": retry,
    "bury": bury,
    "claim": lambda journal, _, row_id, __: journal.messages.claim("bot", f"uid {row_id}"),
    "queue": lambda journal, _, row_id, __: journal.messages.queue([row_id]),
    "start_run": lambda journal, _, row_id, __: journal.messages.start_run(row_id, "run"),
    "assign_run": lambda journal, _, row_id, __: journal.messages.assign_run(row_id, "run"),
    "make_command": lambda journal, _, row_id, __: journal.messages.make_command(row_id),
    "note_break": lambda journal, _, row_id, __: journal.messages.note_break(row_id, "why"),
    **{f"settle {state}": settle(state) for state in ENDS},
    **{f"mark {state}": mark(state) for state in ChunkState if state is not ChunkState.PLANNED},
    **{f"plan {state}": plan(state) for state in (None, *ENDS)},
    "plan to send at once": lambda journal, _, row_id, __: journal.deliveries.plan(
        row_id, "run", [PART], sending=True
    ),
    "settle what was just sent": lambda journal, _, row_id, ref: journal.messages.settle(
        [row_id], RowState.ANSWERED, sent={ref: "9"}
    ),
    "stop": lambda journal, _, row_id, ref: journal.deliveries.stop(row_id, {ref: "9"}, PART, "why"),
    "drop_unsent": lambda journal, _, row_id, __: journal.deliveries.drop_unsent(row_id, "why"),
    "refuse": lambda journal, _, __, ref: journal.deliveries.refuse(ref, "why", PART),
    "revise": lambda journal, _, __, ref: journal.deliveries.revise(ref, PART),
}
READS = {"unfinished", "earlier_notice", "counts", "chunks"}

ENDINGS = ["", *ENDS]
"""What rows are to end as once their chunks are sent."""


async def put_in_every_state(journal: Journal, db: sqlite3.Connection) -> list[tuple[int, str]]:
    """Return rows in every state, each with a chunk in every state, once for each call that may follow."""
    made = []
    wanted = [(row, chunk, ending) for row in RowState for chunk in ChunkState for ending in ENDINGS]
    rows = await journal.messages.append(
        [inbound(str(number), RowState.RECEIVED) for number in range(1, len(wanted) + 1)]
    )
    for found, (state, chunk_state, ending) in zip(rows, wanted, strict=True):
        assert isinstance(found, InboundRow)
        (chunk,) = await journal.deliveries.plan(found.id, "run", [PART])
        db.execute(
            "UPDATE inbound SET state = ?, ending = ? WHERE id = ?",
            (state, ending, found.id),
        )
        db.execute("UPDATE delivery SET state = ? WHERE ref = ?", (chunk_state, chunk.ref))
        made.append((found.id, chunk.ref))
    db.commit()
    return made


def places(db: sqlite3.Connection) -> tuple[Places, Places]:
    rows = db.execute("SELECT message_id, state FROM inbound").fetchall()
    return dict(rows), dict(db.execute("SELECT ref, state FROM delivery").fetchall())


def moves(before: Places, after: Places) -> set[Move]:
    return {(before.get(name), state) for name, state in after.items() if before.get(name) != state}


async def seen(path: Path, call: Call) -> tuple[set[Move], set[Move]]:
    """Return the moves of rows and of chunks that a call makes in all states."""
    async with Journal(path, ManualClock()) as journal:
        db = journal._db
        assert db is not None
        db.execute("PRAGMA synchronous=OFF")  # nothing has to survive
        made = await put_in_every_state(journal, db)
        before = places(db)
        for row_id, ref in made:
            await call(journal, JournalAdmin(path), row_id, ref)
        after = places(db)
    return moves(before[0], after[0]), moves(before[1], after[1])


def edges(table: Any) -> set[Move]:
    return {(before, after) for before, targets in table.items() for after in targets}


def test_every_method_that_changes_a_row_or_a_chunk_is_tried() -> None:
    methods = {
        name
        for owner in (Messages, Deliveries)
        for name, found in vars(owner).items()
        if inspect.iscoroutinefunction(found) and not name.startswith("_")
    }
    assert methods - READS == {name.split()[0] for name in CALLS} - {"retry", "bury"}


async def test_rows_and_chunks_make_every_move_of_the_table_and_no_other(tmp_path: Path) -> None:
    rows: set[Move] = set()
    chunks: set[Move] = set()
    for name, call in CALLS.items():
        moved_rows, moved_chunks = await seen(tmp_path / f"{name}.sqlite", call)
        assert moved_rows <= edges(ROW_MOVES), name
        assert moved_chunks <= edges(CHUNK_MOVES), name
        rows |= moved_rows
        chunks |= moved_chunks
    assert rows == {(before, after) for before, after in edges(ROW_MOVES) if before != after}
    assert chunks == {(before, after) for before, after in edges(CHUNK_MOVES) if before != after}


def test_every_state_stands_in_the_table_and_only_ends_are_closed() -> None:
    assert set(ROW_MOVES) == {None, *RowState}
    assert set(CHUNK_MOVES) == {None, *ChunkState}
    assert all(ROW_MOVES[state] for state in OPEN)
    assert all(CHUNK_MOVES[state] for state in UNSENT)
