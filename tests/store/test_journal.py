"""The journal on a real file: dedupe, lifecycle, crash safety, broken files, a full disk."""

import asyncio
import errno
import itertools
import logging
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.admin import JournalAdmin
from openclaw_channel_octo.store.database import open_database
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import Part
from openclaw_channel_octo.store.retention import KEEP_DAYS
from openclaw_channel_octo.store.schema import APPLICATION_ID, MIGRATIONS
from openclaw_channel_octo.store.states import ChunkState, RowState
from openclaw_channel_octo.testing.clock import ManualClock
from tests.store.rows import GROUP, inbound
from tests.until import until


async def test_a_message_is_recorded_once_for_each_bot(journal: Journal) -> None:
    first = await journal.messages.append([inbound("1"), inbound("2"), inbound("1")])
    again = await journal.messages.append([inbound("2"), inbound("1", account="other")])
    assert [row is not None for row in first] == [True, True, False]
    assert [row is not None for row in again] == [False, True]


async def test_half_an_emoji_is_stored_as_a_replacement_character_wherever_it_stands(
    journal: Journal, path: Path
) -> None:
    half = "\ud83d"
    (row,) = await journal.messages.append([replace(inbound("1"), from_uid=half, reason=half)])
    assert row is not None
    await journal.messages.start_run(row.id, half)
    (chunk,) = await journal.deliveries.plan(row.id, half, [Part(text=f"a{half}b")])
    await journal.deliveries.mark(chunk.ref, ChunkState.SENT, message_id="9", detail=half)
    assert await journal.episodes.note(half, half)
    assert not await journal.episodes.note(half, half)
    await journal.messages.settle([row.id], RowState.NOTIFIED, notice_id="9", detail=f"said {half}")
    reader = JournalAdmin(path)
    (stored,) = reader.find("1")
    assert (stored.from_uid, stored.run_id, stored.detail) == ("\ufffd", "\ufffd", "said \ufffd")
    assert [part.text for part in reader.chunks(stored)] == ["a\ufffdb"]
    assert reader.find(half) == []


async def test_a_duplicate_is_known_after_a_restart(path: Path) -> None:
    async with Journal(path, ManualClock()) as before:
        await before.messages.append([inbound("1")])
    async with Journal(path, ManualClock()) as after:
        assert await after.messages.append([inbound("1")]) == [None]


async def test_unfinished_rows_come_back_in_the_order_they_were_received(journal: Journal) -> None:
    rows = await journal.messages.append([inbound(str(number)) for number in range(5)])
    ids = [row.id for row in rows if row is not None]
    await journal.messages.queue(ids[1:])
    await journal.messages.start_run(ids[2], "run")
    await journal.messages.settle([ids[0]], RowState.ANSWERED)
    await journal.messages.settle([ids[4]], RowState.NOTIFIED, notice_id="9")
    open_rows = await journal.messages.unfinished("bot")
    assert [(row.message_id, row.state, row.attempt) for row in open_rows] == [
        ("1", RowState.QUEUED, 0),
        ("2", RowState.RUNNING, 1),
        ("3", RowState.QUEUED, 0),
    ]
    assert open_rows[0].channel == GROUP
    assert open_rows[0].payload == b'{"type":1}'
    assert await journal.messages.unfinished("other") == []


async def test_rows_that_address_nobody_are_never_taken_up(journal: Journal) -> None:
    await journal.messages.append([inbound("1", state=RowState.CONTEXT)])
    assert await journal.messages.unfinished("bot") == []
    assert await journal.messages.counts() == {"context": 1}


async def test_a_row_that_runs_already_is_not_put_back_into_the_queue(journal: Journal) -> None:
    (row,) = await journal.messages.append([inbound("1")])
    assert row is not None
    await journal.messages.start_run(row.id, "run")
    await journal.messages.queue([row.id])
    assert (await journal.messages.unfinished("bot"))[0].state is RowState.RUNNING


async def test_the_chunks_of_a_row_come_back_in_order_with_where_they_stand(journal: Journal) -> None:
    (row,) = await journal.messages.append([inbound("1")])
    assert row is not None
    first, _ = await journal.deliveries.plan(row.id, "run", [Part(text="one"), Part(text="two")])
    await journal.deliveries.mark(first.ref, ChunkState.SENDING)
    await journal.deliveries.mark(first.ref, ChunkState.SENT, message_id="77")
    chunks = await journal.deliveries.chunks(row.id)
    assert [(chunk.text, chunk.state, chunk.message_id) for chunk in chunks] == [
        ("one", ChunkState.SENT, "77"),
        ("two", ChunkState.PLANNED, ""),
    ]


@pytest.mark.parametrize(
    ("sending", "first"), [(True, ChunkState.SENDING), (False, ChunkState.PLANNED)], ids=["at once", "later"]
)
async def test_a_plan_is_returned_as_it_is_recorded_behind_what_is_planned_already(
    journal: Journal, sending: bool, first: ChunkState
) -> None:
    (row,) = await journal.messages.append([inbound("1")])
    assert row is not None
    earlier = await journal.deliveries.plan(row.id, "run", [Part(text="one")])
    later = await journal.deliveries.plan(
        row.id, "run", [Part(text="two"), Part(text="three")], sending=sending
    )
    assert [chunk.state for chunk in later] == [first, ChunkState.PLANNED]
    recorded = await journal.deliveries.chunks(row.id)
    assert [replace(chunk, run_id="") for chunk in recorded] == [*earlier, *later]


async def test_the_end_a_row_is_to_have_is_stored_with_its_last_chunks(journal: Journal) -> None:
    (row,) = await journal.messages.append([inbound("1")])
    assert row is not None
    await journal.deliveries.plan(row.id, "run", [Part(text="part")])
    assert (await journal.messages.unfinished("bot"))[0].ending == ""
    await journal.deliveries.plan(row.id, "", [Part(text="notice")], RowState.NOTIFIED)
    assert (await journal.messages.unfinished("bot"))[0].ending == RowState.NOTIFIED


PARTS = [Part(text="one"), Part(text="two"), Part(text="three"), Part(text="four")]


async def planned(
    journal: Journal, ending: RowState | None = None, detail: str = ""
) -> tuple[int, list[str]]:
    """Return a row with one chunk in each state, and the refs of its chunks."""
    (row,) = await journal.messages.append([inbound("1")])
    assert row is not None
    refs = [chunk.ref for chunk in await journal.deliveries.plan(row.id, "run", PARTS, ending, detail)]
    await journal.deliveries.mark(refs[0], ChunkState.SENT, message_id="77")
    await journal.deliveries.mark(refs[1], ChunkState.DEAD, detail="refused")
    await journal.deliveries.mark(refs[2], ChunkState.SENDING)
    return row.id, refs


def ended(path: Path) -> tuple[str, str, str]:
    """Return state, notice and detail of the only row."""
    (row,) = JournalAdmin(path).rows()
    return row.state, row.notice_id, row.detail


@pytest.mark.parametrize("state", [RowState.ANSWERED, RowState.NOTIFIED, RowState.DEAD])
@pytest.mark.parametrize("detail", ["", "the reason"])
async def test_a_row_that_ends_leaves_no_chunk_that_is_neither_sent_nor_given_up_with_a_reason(
    journal: Journal, state: RowState, detail: str
) -> None:
    row_id, _ = await planned(journal)
    await journal.messages.settle([row_id], state, detail=detail)
    why = detail or "its message ended before it was sent"
    assert [(chunk.state, chunk.detail) for chunk in await journal.deliveries.chunks(row_id)] == [
        (ChunkState.SENT, ""),
        (ChunkState.DEAD, "refused"),
        (ChunkState.DEAD, why),
        (ChunkState.DEAD, why),
    ]


async def test_what_a_lost_run_left_unsent_is_given_up_and_its_row_goes_on(journal: Journal) -> None:
    row_id, _ = await planned(journal)
    await journal.deliveries.drop_unsent(row_id, "its run was lost")
    states = [chunk.state for chunk in await journal.deliveries.chunks(row_id)]
    assert states == [ChunkState.SENT, ChunkState.DEAD, ChunkState.DEAD, ChunkState.DEAD]
    assert len(await journal.messages.unfinished("bot")) == 1


@pytest.mark.parametrize(("given", "kept"), [("", "the model said no"), ("found in the chat",) * 2])
async def test_a_row_keeps_the_reason_of_its_plan_unless_another_one_is_given(
    journal: Journal, path: Path, given: str, kept: str
) -> None:
    row_id, _ = await planned(journal, RowState.NOTIFIED, "the model said no")
    assert ended(path)[2] == "the model said no"
    await journal.messages.settle([row_id], RowState.NOTIFIED, notice_id="77", detail=given)
    assert ended(path) == ("notified", "77", kept)


async def test_a_refused_chunk_of_an_answer_is_given_up_and_its_notice_planned_in_one_step(
    journal: Journal, path: Path
) -> None:
    row_id, refs = await planned(journal, RowState.ANSWERED)
    notice = await journal.deliveries.refuse(refs[2], "not taken", Part(text="sorry"))
    assert notice is not None
    assert await journal.deliveries.refuse(refs[3], "nor this", Part(text="sorry")) is None
    assert await journal.deliveries.refuse(notice.ref, "nor this", Part(text="sorry")) is None
    chunks = await journal.deliveries.chunks(row_id)
    assert [(chunk.text, chunk.detail) for chunk in chunks[2:]] == [
        ("three", "not taken"),
        ("four", "nor this"),
        ("sorry", "nor this"),
    ]
    assert (await journal.messages.unfinished("bot"))[0].ending == RowState.NOTIFIED
    assert ended(path)[2] == "not taken"


@pytest.mark.parametrize("ending", [None, RowState.NOTIFIED])
async def test_no_notice_is_planned_where_the_answer_goes_on_or_a_notice_ends_it_anyway(
    journal: Journal, ending: RowState | None
) -> None:
    row_id, refs = await planned(journal, ending, "why")
    assert await journal.deliveries.refuse(refs[2], "not taken", Part(text="sorry")) is None
    assert len(await journal.deliveries.chunks(row_id)) == len(PARTS)
    assert (await journal.messages.unfinished("bot"))[0].ending == (ending or "")


async def saved(journal: Journal, account: str, moved: Mapping[ChannelRef, int]) -> None:
    """Store cursors of a bot."""
    cursors = journal.cursors(account)
    cursors.note(moved)
    await cursors.save()


async def test_cursors_that_moved_are_stored_with_the_next_messages_of_any_bot(journal: Journal) -> None:
    cursors = journal.cursors("bot")
    cursors.note({GROUP: 7})
    cursors.note({GROUP: 8})
    assert await cursors.load(GROUP) is None
    await journal.messages.append([inbound("1", account="other")])
    assert await cursors.load(GROUP) == 8


async def test_what_is_left_of_them_is_stored_by_the_end(path: Path) -> None:
    async with Journal(path, ManualClock()) as before:
        before.cursors("bot").note({GROUP: 7})
    async with Journal(path, ManualClock()) as after:
        assert await after.cursors("bot").load(GROUP) == 7


async def test_a_reset_forgets_what_was_noted_before(journal: Journal) -> None:
    cursors = journal.cursors("bot")
    cursors.note({GROUP: 7})
    await cursors.reset(GROUP, 2)
    await cursors.save()
    assert await cursors.load(GROUP) == 2


async def test_cursors_are_kept_for_each_bot_and_never_go_back(path: Path) -> None:
    thread = ChannelRef("g1____2", 5)
    async with Journal(path, ManualClock()) as before:
        await saved(before, "bot", {GROUP: 7, thread: 3})
        await saved(before, "bot", {GROUP: 5})
        await saved(before, "other", {GROUP: 1})
    async with Journal(path, ManualClock()) as after:
        assert await after.cursors("bot").latest() == {GROUP: 7, thread: 3}
        assert await after.cursors("nobody").latest() == {}


async def test_a_cursor_that_is_reset_goes_back_and_on_from_there(journal: Journal) -> None:
    assert await journal.cursors("bot").load(GROUP) is None
    await saved(journal, "bot", {GROUP: 7})
    await journal.cursors("bot").reset(GROUP, 2)
    assert await journal.cursors("bot").load(GROUP) == 2
    await saved(journal, "bot", {GROUP: 1})
    assert await journal.cursors("bot").load(GROUP) == 2
    await saved(journal, "bot", {GROUP: 3})
    await journal.cursors("bot").reset(ChannelRef("new", 2), 0)
    assert await journal.cursors("bot").latest() == {GROUP: 3, ChannelRef("new", 2): 0}
    assert await journal.cursors("other").load(GROUP) is None
    assert await journal.cursors("bot").load(ChannelRef("g1", 5)) is None


async def test_what_broke_a_row_is_counted_across_restarts_with_the_last_reason(path: Path) -> None:
    async with Journal(path, ManualClock()) as before:
        (row,) = await before.messages.append([inbound("1")])
        assert row is not None
        assert await before.messages.note_break(row.id, "ValueError") == 1
    async with Journal(path, ManualClock(wall_ms=77)) as after:
        assert await after.messages.note_break(row.id, "TypeError") == 2
        (found,) = await after.messages.unfinished("bot")
        assert (found.breaks, found.state, found.attempt) == (2, RowState.RECEIVED, 0)
        assert await after.messages.note_break(row.id + 1, "gone") == 0
    (stored,) = JournalAdmin(path).find("1")
    assert (stored.detail, stored.updated_at) == ("TypeError", stored.received_at)


async def test_a_run_that_is_assigned_is_no_attempt_yet_and_begins_when_it_was_assigned(path: Path) -> None:
    clock = ManualClock(wall_ms=1_000)
    async with Journal(path, clock) as journal:
        (row,) = await journal.messages.append([inbound("1")])
        assert row is not None
        await journal.messages.queue([row.id])
        await clock.advance(5)
        await journal.messages.assign_run(row.id, "run")
        (assigned,) = await journal.messages.unfinished("bot")
        told = (assigned.state, assigned.attempt, assigned.run_id, assigned.since_ms)
        assert told == (RowState.QUEUED, 0, "run", 6_000)
        await clock.advance(5)
        await journal.messages.assign_run(row.id, "run")
        await journal.messages.start_run(row.id, "run")
        (started,) = await journal.messages.unfinished("bot")
        told = (started.state, started.attempt, started.run_id, started.since_ms)
        assert told == (RowState.RUNNING, 1, "run", 6_000)


async def test_old_ended_rows_are_deleted_and_open_ones_never(journal: Journal, clock: ManualClock) -> None:
    rows = await journal.messages.append([inbound("ended"), inbound("open")])
    assert rows[0] is not None
    await journal.deliveries.plan(rows[0].id, "run", [Part(text="text")])
    await journal.messages.settle([rows[0].id], RowState.ANSWERED)
    assert await journal.retention.prune() == 0
    await clock.advance((KEEP_DAYS + 1) * 86_400)
    await journal.messages.append([inbound("fresh", state=RowState.CONTEXT)])
    assert await journal.retention.prune() == 1
    assert [row.message_id for row in await journal.messages.unfinished("bot")] == ["open"]
    assert await journal.deliveries.chunks(rows[0].id) == []


async def test_rows_beyond_the_count_are_deleted_oldest_first(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [inbound(str(number), state=RowState.CONTEXT) for number in range(5)]
    await journal.messages.append(rows)
    monkeypatch.setattr("openclaw_channel_octo.store.retention.KEEP_ROWS", 2)
    assert await journal.retention.prune() == 3
    known = await journal.messages.append(rows)
    assert [row is None for row in known] == [False, False, False, True, True]


async def test_old_rows_go_by_themselves_while_new_ones_come(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.store.retention.KEEP_ROWS", 10)
    monkeypatch.setattr("openclaw_channel_octo.store.retention.PRUNE_EVERY", 20)
    for number in range(100):
        await journal.messages.append([inbound(str(number), state=RowState.CONTEXT)])
    assert (await journal.messages.counts())["context"] <= 30


async def test_a_file_of_the_first_schema_is_brought_up_to_date_with_its_rows(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = sqlite3.connect(path)
    db.executescript(f"{MIGRATIONS[0]} PRAGMA user_version=1; PRAGMA application_id={APPLICATION_ID};")
    db.execute(
        "INSERT INTO inbound (account, message_id, message_seq, client_msg_no, from_uid, channel_id, channel_type,"
        " timestamp, payload, decision, reason, session_key, trace, state, received_at, updated_at)"
        " VALUES ('bot', '1', 1, '', 'ann', 'g1', 2, 0, x'', 'turn', '', 'k', 't', 'queued', 0, 0)"
    )
    db.execute(
        "INSERT INTO delivery (ref, inbound_id, run_id, position, text, state, updated_at)"
        " VALUES ('r', 1, 'run', 0, 'yes', 'sent', 0)"
    )
    db.commit()
    db.close()
    rebuilt = next(number for number, script in enumerate(MIGRATIONS) if "DROP TABLE delivery" in script)
    broken = (
        *MIGRATIONS[:rebuilt],
        f"{MIGRATIONS[rebuilt]} SELECT no_such_thing;",
        *MIGRATIONS[rebuilt + 1 :],
    )
    with monkeypatch.context() as patch:  # as a kill in the middle of it
        patch.setattr("openclaw_channel_octo.store.database.MIGRATIONS", broken)
        with pytest.raises(StoreError, match="no_such_thing"):
            await Journal(path, ManualClock()).__aenter__()
    caplog.clear()
    async with Journal(path, ManualClock()) as journal:
        assert f"from schema {rebuilt} to {len(MIGRATIONS)}" in caplog.text
        assert [row.message_id for row in await journal.messages.unfinished("bot")] == ["1"]
        assert [chunk.text for chunk in await journal.deliveries.chunks(1)] == ["yes"]
        await saved(journal, "bot", {GROUP: 1})


async def test_later_chunks_of_a_row_stand_behind_the_earlier_ones(journal: Journal, path: Path) -> None:
    (row,) = await journal.messages.append([inbound("1")])
    assert row is not None
    await journal.deliveries.plan(row.id, "run", [Part(text="one")])
    await journal.deliveries.plan(row.id, "run", [Part(text="two"), Part(text="three")])
    with closing(sqlite3.connect(path)) as db, db:
        found = db.execute("SELECT text FROM delivery ORDER BY position").fetchall()
    db.close()
    assert [text for (text,) in found] == ["one", "two", "three"]


async def test_a_failed_run_is_counted_once_however_often_it_is_noted_until_an_answer(
    journal: Journal,
) -> None:
    noted = [await journal.episodes.note("k", episode) for episode in ("a", "a", "b", "a")]
    assert noted == [True, False, True, False]
    ledger = await journal.episodes.ledger("k")
    assert (ledger.announced, ledger.failures) == (frozenset({"a", "b"}), 2)
    for kind, failures in (("command", 2), ("turn", 0)):
        (row,) = await journal.messages.append([replace(inbound(kind), decision=kind, session_key="k")])
        assert row is not None
        await journal.messages.settle([row.id], RowState.ANSWERED)
        ledger = await journal.episodes.ledger("k")
        assert (ledger.announced, ledger.failures) == (frozenset({"a", "b"}), failures)
    assert (await journal.episodes.ledger("other")).failures == 0


async def test_two_processes_that_note_the_same_run_at_once_agree_on_who_was_first(path: Path) -> None:
    async with Journal(path, ManualClock()) as one, Journal(path, ManualClock()) as two:
        noted = await asyncio.gather(*(each.episodes.note("k", "a") for each in (one, two, one, two)))
    assert sorted(noted) == [False, False, False, True]


async def test_the_device_id_is_made_once_for_the_installation(path: Path) -> None:
    clock = ManualClock()
    async with Journal(path, clock) as first:
        device_id = await first.device_id()
    async with Journal(path, clock) as second:
        assert await second.device_id() == device_id


async def test_the_file_is_private_and_marked_as_ours(journal: Journal, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


@pytest.mark.parametrize("kind", ["garbage", "truncated", "foreign"])
async def test_a_broken_or_foreign_file_is_set_aside_and_named(
    path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    if kind == "foreign":
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE somebody_elses (a)")
        db.commit()
        db.close()
    else:
        async with Journal(path, ManualClock()) as before:
            await before.messages.append([inbound(str(number)) for number in range(500)])
        content = path.read_bytes()
        broken = b"no database at all" * 100 if kind == "garbage" else content[: len(content) // 2]
        path.write_bytes(broken)
    content = path.read_bytes()
    with caplog.at_level(logging.ERROR):
        async with Journal(path, ManualClock(wall_ms=77)) as fresh:
            assert await fresh.messages.append([inbound("1")]) != [None]
    aside = path.with_name("octo.sqlite.broken-77")
    assert aside.read_bytes() == content
    assert str(aside) in caplog.text


async def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    async with Journal(path, ManualClock()):
        pass
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="schema 99"):
        await Journal(path, ManualClock()).open()


async def test_a_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "absent" / "octo.sqlite", ManualClock())
    with pytest.raises(StoreError, match="cannot open the journal"):
        await journal.open()
    await journal.close()


async def test_a_full_disk_is_waited_out_and_nothing_is_lost(
    journal: Journal, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    await journal.messages.append([inbound("1")])
    assert journal._db is not None
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={pages}")
    writing = asyncio.create_task(journal.messages.append([inbound(f"big{n}" * 50) for n in range(2_000)]))
    await clock.sleepers(1)
    assert "full" in journal.trouble
    assert not writing.done()
    journal._db.execute("PRAGMA max_page_count=1000000")
    await clock.advance(1)
    rows = await writing
    assert None not in rows
    assert journal.trouble == ""
    assert "free disk space" in caplog.text


async def test_reading_from_a_full_disk_does_not_make_it_writable_again(
    journal: Journal, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    with files_end_at(0):
        writing = asyncio.create_task(journal.messages.append([inbound("1")]))
        await clock.sleepers(1)
        await journal.messages.counts()
        assert "free disk space" in journal.trouble
        assert "WARNING" not in caplog.text
        writing.cancel()
        await asyncio.wait({writing})
    await journal.messages.counts()
    assert journal.trouble == ""  # nobody is left whom it would trouble


async def test_a_file_somebody_else_has_locked_is_waited_for_and_called_locked(
    journal: Journal, clock: ManualClock, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert journal._db is not None
    journal._db.execute("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(journal.messages.append([inbound("1")]))
        await clock.sleepers(1)
        assert "locked" in journal.trouble
        other.execute("COMMIT")
    await clock.advance(1)
    assert None not in await writing
    assert "another program has it locked" in caplog.text
    assert "free disk space" not in caplog.text


LOCKER = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 120)
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def somebody_locks(file: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", LOCKER, file]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the system does not list locks")
async def test_who_only_reads_and_keeps_the_journal_from_being_written_is_named(
    journal: Journal, clock: ManualClock, path: Path
) -> None:
    assert journal._db is not None
    journal._db.execute("PRAGMA busy_timeout=0")
    with somebody_locks(f"{path}-shm") as reader:
        writing = asyncio.create_task(journal.messages.append([inbound("1")]))
        await clock.sleepers(1)
        assert (
            f"another program has it locked, perhaps process {reader.pid} ({path.name}-shm)"
            in journal.trouble
        )
    await clock.advance(1)
    assert None not in await writing


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_files_that_are_open_to_others_are_closed_before_anything_is_written(path: Path, suffix: str) -> None:
    written_by_version(path, 0)
    with closing(sqlite3.connect(path)) as left:
        left.execute("PRAGMA journal_mode=WAL")
        left.execute("PRAGMA user_version").fetchone()
        path.with_name(path.name + suffix).chmod(0o644)
        open_database(path, 0).close()
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_file_of_another_user_is_refused(path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written_by_version(path, 0)
    path.with_name(path.name + suffix).touch()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(StoreError, match="another user's") as caught:
        open_database(path, 0)
    assert not caught.value.retryable


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Let every write behind ``size`` bytes of a file fail, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    ("size", "version"),
    [
        *itertools.product([0, 100, 1_000, 4_096, 5_000, 20_000], [None, 0, 1, 3, len(MIGRATIONS) - 1]),
        *itertools.product([33_000, 60_000], [None, 0, 1]),  # later versions migrate with less
    ],
)
async def test_a_start_on_a_full_disk_waits_says_so_once_and_goes_on_wherever_the_space_ended(
    path: Path, caplog: pytest.LogCaptureFixture, size: int, version: int | None
) -> None:
    if version is not None:
        written_by_version(path, version)
    clock = ManualClock()
    journal = Journal(path, clock)
    with files_end_at(size):
        opening = asyncio.create_task(journal.open())
        for _ in range(3):
            await clock.sleepers(1)
            await clock.advance(1)
        await clock.sleepers(1)
        assert not opening.done()
        assert "free disk space" in journal.trouble
        assert caplog.text.count("the start waits until it can be used") == 1
    await clock.advance(1)
    await opening
    assert journal.trouble == ""
    assert "is writable again" in caplog.text
    await journal.messages.append([inbound("1")])
    await journal.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing was set aside
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        rows = db.execute("SELECT message_id FROM inbound ORDER BY id").fetchall()
    assert rows == ([("old",), ("1",)] if version else [("1",)])


def written_by_version(path: Path, version: int) -> None:
    """Leave a journal of an earlier version with one row in it."""
    with closing(sqlite3.connect(path)) as db:
        for script in MIGRATIONS[:version]:
            db.executescript(script)
        db.execute(f"PRAGMA user_version={version}")
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        if version:
            db.execute(
                "INSERT INTO inbound (account, message_id, message_seq, client_msg_no, from_uid, channel_id,"
                " channel_type, timestamp, payload, decision, reason, session_key, trace, state, received_at,"
                " updated_at) VALUES ('bot', 'old', 1, '', 'ann', 'g1', 2, 1, x'00', 'context', '', '', '',"
                " 'context', 1700000000000, 1700000000000)"
            )
        db.commit()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_disk_without_room_for_the_file_itself_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Injected: a limit on the size of files still lets them be made."""
    clock = ManualClock()
    journal = Journal(path, clock)

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("openclaw_channel_octo.store.database.os.open", refuse)
        opening = asyncio.create_task(journal.open())
        await clock.sleepers(1)
    assert "free disk space" in journal.trouble
    await clock.advance(1)
    await opening
    await journal.close()


async def test_a_broken_file_on_a_full_disk_is_set_aside_once_and_the_start_waits(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    clock = ManualClock()
    journal = Journal(path, clock)
    with files_end_at(1_000):
        opening = asyncio.create_task(journal.open())
        for _ in range(3):
            await clock.sleepers(1)
            await clock.advance(1)
    await clock.advance(1)
    await opening
    await journal.close()
    aside = [file for file in path.parent.iterdir() if ".broken-" in file.name]
    assert [file.read_bytes() for file in aside] == [b"no database at all" * 100]


async def test_a_file_that_is_locked_at_the_start_is_waited_for_and_called_locked(path: Path) -> None:
    written_by_version(path, 0)
    clock = ManualClock()
    journal = Journal(path, clock)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        opening = asyncio.create_task(journal.open())
        await clock.sleepers(1)
        assert "another program has it locked" in journal.trouble
        other.execute("COMMIT")
    await clock.advance(1)
    await opening
    await journal.close()


async def test_an_opening_that_is_cancelled_leaves_neither_thread_nor_descriptor(path: Path) -> None:
    before = sum(1 for _ in Path("/dev/fd").iterdir())
    for steps in range(4):
        journal = Journal(path, ManualClock())
        opening = asyncio.create_task(journal.open())
        for _ in range(steps):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait({opening})
        await journal.close()
    clock = ManualClock()
    waiting = Journal(path.with_name("other"), clock)
    with files_end_at(0):
        opening = asyncio.create_task(waiting.open())
        await clock.sleepers(1)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    await until(lambda: not any(thread.name.startswith("octo-journal") for thread in threading.enumerate()))
    assert sum(1 for _ in Path("/dev/fd").iterdir()) <= before


def test_what_was_committed_survives_a_killed_process(path: Path) -> None:
    program = f"""
import asyncio, os, signal
from pathlib import Path
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.database import open_database
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.retention import KEEP_DAYS
from openclaw_channel_octo.store.records import NewInbound
from openclaw_channel_octo.store.states import RowState

async def main():
    journal = Journal(Path({str(path)!r}), SystemClock())
    await journal.open()
    await journal.messages.append([NewInbound(account="bot", message_id="1", message_seq=1, client_msg_no="",
        from_uid="ann", channel=ChannelRef("g1", 2), timestamp=1, payload=b"x", decision="turn", reason="uid",
        session_key="k", trace="t", state=RowState.RECEIVED)])
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    died = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert died.returncode == -9, died.stderr

    async def look() -> list[str]:
        async with Journal(path, ManualClock()) as journal:
            return [row.message_id for row in await journal.messages.unfinished("bot")]

    assert asyncio.run(look()) == ["1"]


async def test_statements_that_wait_share_a_commit_and_one_that_fails_is_rolled_back_alone(
    journal: Journal, path: Path
) -> None:
    (row,) = await journal.messages.append([inbound("1")])
    assert row is not None
    assert journal._db is not None
    seen: list[str] = []
    journal._db.set_trace_callback(seen.append)
    await asyncio.gather(*(journal.messages.append([inbound(f"{number}")]) for number in range(2, 12)))
    assert seen.count("COMMIT") == 1
    outcomes = await asyncio.gather(
        journal.messages.append([inbound("12")]),
        journal.deliveries.plan(row.id + 1_000, "run", PARTS),  # there is no such row
        journal.deliveries.plan(row.id, "run", PARTS),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [list, StoreError, list]
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM inbound").fetchone() == (12,)
        assert other.execute("SELECT count(*) FROM delivery").fetchone() == (len(PARTS),)


async def test_a_closed_journal_has_what_was_asked_of_it_before_and_takes_nothing_more(
    journal: Journal, path: Path
) -> None:
    noting = asyncio.gather(*(journal.episodes.note("k", f"{number}") for number in range(3)))
    await asyncio.sleep(0)
    await journal.close()
    assert await noting == [True, True, True]
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count FROM failure").fetchall() == [(3,)]
    with pytest.raises(StoreError, match="closed"):
        await journal.episodes.note("k", "late")


async def test_the_end_of_a_row_and_that_its_last_message_was_sent_are_one_commit(journal: Journal) -> None:
    (row,) = await journal.messages.append([inbound("1")])
    assert row is not None
    first, second = await journal.deliveries.plan(
        row.id, "run", [Part(text="one"), Part(text="two")], RowState.ANSWERED, sending=True
    )
    chunks = await journal.deliveries.chunks(row.id)
    assert [chunk.state for chunk in chunks] == [ChunkState.SENDING, ChunkState.PLANNED]
    await journal.deliveries.mark(first.ref, ChunkState.SENT, message_id="7")
    await journal.messages.settle([row.id], RowState.ANSWERED, sent={second.ref: "8"})
    chunks = await journal.deliveries.chunks(row.id)
    assert [(chunk.state, chunk.message_id) for chunk in chunks] == [
        (ChunkState.SENT, "7"),
        (ChunkState.SENT, "8"),
    ]
    assert await journal.messages.counts() == {"answered": 1}
