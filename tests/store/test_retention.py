"""What the journal keeps: by age, and by number, messages for a bot apart from chatter; nobody waits for it."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store import audit
from openclaw_channel_octo.store.admin import JournalAdmin
from openclaw_channel_octo.store.audit import AuditEntry, AuditOutcome
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import InboundRow, NewInbound, Part
from openclaw_channel_octo.store.retention import KEEP_DAYS, KINDS
from openclaw_channel_octo.store.states import RowState
from openclaw_channel_octo.testing.clock import ManualClock
from tests.store.rows import GROUP, inbound
from tests.store.work import OnConnection, done, plans, steps

DAY_S = 86_400
SETTINGS = "openclaw_channel_octo.store.retention"


def chatter(count: int, begin: int = 0) -> list[NewInbound]:
    return [
        inbound(f"chatter{number}", RowState.CONTEXT, decision="context", session_key="")
        for number in range(begin, begin + count)
    ]


async def ended(journal: Journal, names: Sequence[str], state: RowState) -> None:
    rows = await journal.messages.append([inbound(name) for name in names])
    await journal.messages.settle([row.id for row in rows if row is not None], state, detail="why")


async def test_a_flood_of_chatter_leaves_dead_letters_and_answered_mentions(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{SETTINGS}.KEEP_ROWS", 50)
    monkeypatch.setattr(f"{SETTINGS}.PRUNE_EVERY", 100)
    await ended(journal, ["answered"], RowState.ANSWERED)
    await ended(journal, ["dead"], RowState.DEAD)
    await ended(journal, ["notified"], RowState.NOTIFIED)
    await journal.messages.append(
        [inbound("unreadable", RowState.DEAD, decision="undecodable", session_key=""), inbound("open")]
    )
    for number in range(0, 1_000, 20):
        await journal.messages.append(chatter(20, number))
    await journal.retention.prune()
    counts = await journal.messages.counts()
    assert counts == {"answered": 1, "dead": 2, "notified": 1, "received": 1, "context": 50}
    kept = {row.message_id for row in JournalAdmin(path).rows(limit=1_000)}
    assert kept == {"answered", "dead", "notified", "unreadable", "open"}


async def test_messages_that_were_for_the_bot_push_the_oldest_of_their_own_out_and_no_chatter(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{SETTINGS}.KEEP_ROWS", 3)
    await journal.messages.append(chatter(2))
    names = [str(number) for number in range(10)]
    await ended(journal, names, RowState.ANSWERED)
    assert await journal.retention.prune() == 7
    known = await journal.messages.append([inbound(name) for name in names])
    assert [row is None for row in known] == [False] * 7 + [True] * 3
    assert await journal.messages.append(chatter(2)) == [None, None]


async def test_thirty_days_stay_for_both_and_duplicates_are_known_for_as_long(
    journal: Journal, clock: ManualClock
) -> None:
    both = [inbound("mention", RowState.DEAD), *chatter(1)]
    await journal.messages.append(both)
    await clock.advance(KEEP_DAYS * DAY_S - 1)
    assert await journal.retention.prune() == 0
    assert await journal.messages.append(both) == [None, None]
    await clock.advance(2)
    assert await journal.retention.prune() == 2
    assert None not in await journal.messages.append(both)


async def test_an_old_message_that_is_open_stays_and_goes_once_it_has_ended(
    journal: Journal, clock: ManualClock
) -> None:
    (row,) = await journal.messages.append([inbound("open")])
    assert row is not None
    await clock.advance((KEEP_DAYS + 1) * DAY_S)
    assert await journal.retention.prune() == 0
    await journal.messages.settle([row.id], RowState.ANSWERED)
    assert await journal.retention.prune() == 1


async def test_what_is_deleted_goes_in_portions_and_with_its_chunks(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{SETTINGS}.KEEP_ROWS", 7)
    monkeypatch.setattr(f"{SETTINGS}.PRUNE_STEP", 4)
    monkeypatch.setattr(f"{SETTINGS}.LOOK_STEP", 3)
    rows = await journal.messages.append([inbound(str(number)) for number in range(30)])
    ids = [row.id for row in rows if row is not None]
    for row_id in ids:
        await journal.deliveries.plan(row_id, "run", [Part(text="text")])
    await journal.messages.settle(ids, RowState.ANSWERED)
    assert await journal.retention.prune() == 23
    with closing(sqlite3.connect(path)) as db:
        assert [row[0] for row in db.execute("SELECT inbound_id FROM delivery ORDER BY 1")] == ids[23:]
    assert await journal.retention.prune() == 0


async def test_a_backlog_of_old_rows_goes_with_the_next_messages_a_portion_each(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    monkeypatch.setattr(f"{SETTINGS}.PRUNE_STEP", 10)
    async with Journal(path, clock) as journal:
        await journal.messages.append(chatter(35))
    await clock.advance((KEEP_DAYS + 1) * DAY_S)
    async with Journal(path, clock) as journal:
        left = []
        for number in range(6):
            await journal.messages.append([inbound(f"new{number}")])
            left.append((await journal.messages.counts()).get("context", 0))
    assert left == [25, 15, 5, 0, 0, 0]


async def test_a_clock_that_was_set_back_deletes_nothing_new(path: Path) -> None:
    clock = ManualClock(wall_ms=1_700_000_000_000)
    async with Journal(path, clock) as journal:
        await journal.messages.append(chatter(3))
    async with Journal(path, ManualClock(wall_ms=1_600_000_000_000)) as journal:
        await journal.messages.append(chatter(3, 3))
        assert await journal.retention.prune() == 0


@pytest.mark.parametrize("count", [50, 2_000])
async def test_a_portion_takes_the_same_steps_however_much_is_kept(
    db: sqlite3.Connection, count: int
) -> None:
    on = OnConnection(db, now_ms=1_000)
    done(on.messages.append(chatter(count)))
    edges = dict.fromkeys(KINDS, (2_000, 0))
    with db:
        assert steps(db, lambda _: done(on.retention.delete(edges, 10))) < 3_000


def request(outcome: AuditOutcome) -> AuditEntry:
    return AuditEntry(
        at=1, account="bot", requester="ann", run_id="", action="read", target="", outcome=outcome, detail=""
    )


def refused(number: int) -> InboundRow:
    return InboundRow(
        id=number,
        account="bot",
        message_id=str(number),
        message_seq=number,
        from_uid="ann",
        channel=GROUP,
        payload=b"",
        decision="refused",
        reason="uid",
        session_key="k",
        trace="t",
        attempt=0,
        state=RowState.RECEIVED,
    )


SENT_AGAIN = inbound("1", client_msg_no="n")


def filled(db: sqlite3.Connection, count: int) -> None:
    """Add rows of each kind that other reads have to leave aside."""
    on = OnConnection(db)
    for number in range(count):
        name = f"{db.total_changes}-{number}"
        done(on.messages.append([inbound(name, RowState.NOTIFIED, decision="refused", client_msg_no=name)]))
        done(on.messages.append([inbound(f"{name}-dead", RowState.DEAD)]))
        at = OnConnection(db, number)
        at.cursors.note({ChannelRef(name, 2): 1})
        done(at.cursors.save())
        done(on.audit.begin(request(AuditOutcome.DONE)))
        done(on.episodes.note("k", name))
    done(on.messages.append([SENT_AGAIN]))


READS: dict[str, Callable[[sqlite3.Connection], object]] = {
    "an earlier notice": lambda db: done(OnConnection(db).messages.earlier_notice(refused(1), 0)),
    "a message sent again": lambda db: done(
        OnConnection(db).messages._append([inbound("2", client_msg_no="n")], lambda _: None)
    ),
    "open rows": lambda db: done(OnConnection(db).messages.unfinished("bot")),
    "cursors": lambda db: done(OnConnection(db).cursors.latest(20)),
    "one cursor": lambda db: done(OnConnection(db).cursors.load(GROUP)),
    "requests without an outcome": lambda db: done(OnConnection(db).audit.lose("bot")),
    "requests that are too many": partial(audit.prune, before_ms=0, keep=10**6, most=20),
    "notes that are too old": lambda db: done(OnConnection(db).retention.delete_notes(10**6, 20)),
    "a step back": lambda db: done(OnConnection(db).retention.back("addressed", (2**62, 0), 20)),
}


@pytest.mark.parametrize("name", READS)
def test_a_read_takes_the_same_steps_however_many_rows_there_are(db: sqlite3.Connection, name: str) -> None:
    filled(db, 200)
    few = steps(db, READS[name])
    filled(db, 1_000)
    assert steps(db, READS[name]) == pytest.approx(few, rel=0.2, abs=20)


def test_an_earlier_notice_is_found_among_many_that_were_told_with_it(db: sqlite3.Connection) -> None:
    filled(db, 300)
    (row,) = done(OnConnection(db).messages.append([inbound("first", decision="refused")]))
    assert row is not None
    db.execute("UPDATE inbound SET ending = 'notified', state = 'notified' WHERE id = ?", (row.id,))
    db.execute(
        "INSERT INTO delivery (ref, inbound_id, run_id, position, text, state, message_id, updated_at)"
        " VALUES ('r', ?, '', 0, 'no', 'sent', '99', 7)",
        (row.id,),
    )
    filled(db, 300)
    assert done(OnConnection(db).messages.earlier_notice(refused(1), 6)) == "99"
    assert done(OnConnection(db).messages.earlier_notice(refused(1), 7)) == ""
    assert "inbound_refused" in " ".join(plans(db, READS["an earlier notice"]))
