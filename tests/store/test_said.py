"""What was said before a message: the answers of a plain scan, at a price no number of rows changes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.database import open_database
from openclaw_channel_octo.store.records import SaidBefore, SaidRow
from tests.store.rows import GROUP
from tests.store.work import OnConnection, done, plans, steps

Said = tuple[str, str, int, bytes, str]
"""Decision, state, attempt, payload and detail of a row."""

CHATTER: Said = ("context", "context", 0, b"hello", "")
ANSWERED: Said = ("turn", "answered", 1, b"hello", "")
UNHEARD: Said = ("turn", "notified", 0, b"hello", "")
FAILED: Said = ("turn", "notified", 2, b"hello", "")
WAITING: Said = ("turn", "queued", 0, b"hello", "")
COMMAND: Said = ("command", "answered", 0, b'{"content":"/status"}', "")
RESET: Said = ("command", "answered", 0, b'{"content":"/new"}', "/reset")
REFUSED: Said = ("refused", "notified", 0, b"hello", "")
ECHO: Said = ("echo", "context", 0, b"hello", "")

ROWS = st.tuples(
    st.sampled_from(["bot", "other"]),
    st.sampled_from([GROUP, ChannelRef("g1", 5), ChannelRef("g2", 2)]),
    st.integers(0, 9),
    st.tuples(
        st.sampled_from(
            ["turn", "command", "refused", "context", "control", "echo", "ignored", "undecodable"]
        ),
        st.sampled_from(["received", "queued", "running", "answered", "notified", "context", "dead"]),
        st.integers(0, 2),
        st.sampled_from([b"", b"hello", b"/reset", b'{"content":"/reset"}', b"\xff/reset now", b"/rese"]),
        st.sampled_from(["", "/reset", "/reset: not allowed", "/stop", "found in the chat"]),
    ),
)


def said_before(
    db: sqlite3.Connection, account: str, channel: ChannelRef, seq: int, limit: int
) -> SaidBefore:
    return done(OnConnection(db).said.before(account, channel, seq, limit))


def said_as(db: sqlite3.Connection, account: str, channel: ChannelRef, message_id: str) -> SaidRow | None:
    return done(OnConnection(db).said.find(account, channel, message_id))


def scanned(db: sqlite3.Connection, account: str, channel: ChannelRef, seq: int, limit: int) -> SaidBefore:
    """Return the same by reading every row there is."""
    found = db.execute(
        "SELECT message_seq, from_uid, payload, decision, state, attempt, detail FROM inbound"
        " WHERE account = ? AND channel_id = ? AND channel_type = ? AND message_seq < ? AND message_seq > 0"
        " ORDER BY message_seq, id",
        (account, channel.id, channel.type, seq),
    ).fetchall()
    answered = max((row[0] for row in found if row[3:5] == ("turn", "answered")), default=0)
    reset = max(
        (
            row[0]
            for row in found
            if row[3:5] == ("command", "answered")
            and (row[6] == "/reset" or (b"/reset" in row[2] and row[6] in {"", "found in the chat"}))
        ),
        default=0,
    )
    said = [
        SaidRow(row[0], row[1], row[2], to_bot=row[3] == "turn")
        for row in found
        if row[0] > max(answered, reset)
        and (row[3] == "context" or (row[3] == "turn" and row[4] in {"notified", "dead"} and row[5] == 0))
    ]
    begins = 0 if answered or reset else found[0][0] if found else seq
    return SaidBefore(said=tuple(said[-limit:]), answered=answered, begins=begins, reset=bool(reset))


def insert(db: sqlite3.Connection, account: str, channel: ChannelRef, seq: int, row: Said) -> None:
    decision, state, attempt, payload, detail = row
    db.execute(
        "INSERT INTO inbound (account, message_id, message_seq, client_msg_no, from_uid, channel_id, channel_type,"
        " timestamp, payload, decision, reason, session_key, trace, state, attempt, detail, received_at, updated_at)"
        " VALUES (?, ?, ?, '', 'ann', ?, ?, 0, ?, ?, '', '', '', ?, ?, ?, 0, 0)",
        (
            *(account, str(db.total_changes), seq, channel.id, channel.type),
            *(payload, decision, state, attempt, detail),
        ),
    )


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    with closing(open_database(tmp_path_factory.mktemp("said") / "octo.sqlite", 0)) as opened:
        yield opened


@settings(max_examples=300, deadline=None)
@given(st.lists(ROWS, max_size=25), st.integers(0, 10), st.integers(1, 6))
def test_what_was_said_before_is_what_a_scan_of_all_rows_finds(
    scratch: sqlite3.Connection,
    rows: list[tuple[str, ChannelRef, int, Said]],
    seq: int,
    limit: int,
) -> None:
    scratch.execute("BEGIN")
    try:
        for row in rows:
            insert(scratch, *row)
        for channel in (GROUP, ChannelRef("g1", 5)):
            asked = ("bot", channel, seq, limit)
            # messages with one number have no order among themselves
            ours, theirs = said_before(scratch, *asked), scanned(scratch, *asked)
            assert (ours.answered, ours.begins, ours.reset) == (theirs.answered, theirs.begins, theirs.reset)
            assert [said.seq for said in ours.said] == [said.seq for said in theirs.said]
            if len({row[2] for row in rows}) == len(rows):
                assert ours == theirs
    finally:
        scratch.execute("ROLLBACK")


def test_a_row_is_told_by_what_it_has_become(db: sqlite3.Connection) -> None:
    insert(db, "bot", GROUP, 1, WAITING)
    assert said_before(db, "bot", GROUP, 2, 5).said == ()
    db.execute("UPDATE inbound SET state = 'dead'")
    assert [said.seq for said in said_before(db, "bot", GROUP, 2, 5).said] == [1]
    db.execute("UPDATE inbound SET state = 'answered', attempt = 1")
    assert said_before(db, "bot", GROUP, 2, 5) == SaidBefore(said=(), answered=1, begins=0, reset=False)


@pytest.mark.parametrize(
    "kind",
    [CHATTER, ANSWERED, UNHEARD, FAILED, WAITING, COMMAND, RESET, REFUSED, ECHO],
    ids=["chatter", "answered", "unheard", "failed", "waiting", "command", "reset", "refused", "echo"],
)
@pytest.mark.parametrize("between", [CHATTER, COMMAND, ANSWERED], ids=["chatter", "commands", "answered"])
def test_looking_back_takes_the_same_steps_however_many_rows_there_are(
    db: sqlite3.Connection, kind: Said, between: Said
) -> None:
    taken = {}
    look = partial(said_before, account="bot", channel=GROUP, seq=10**9, limit=20)
    for number in range(1, 4_001):
        insert(db, "bot", GROUP, number, between if number % 50 == 0 else kind)
        if number in {1_200, 4_000}:
            taken[number] = steps(db, look)
    assert taken[4_000] == pytest.approx(taken[1_200], rel=0.05)


def test_every_look_back_goes_through_the_index(db: sqlite3.Connection) -> None:
    insert(db, "bot", GROUP, 1, CHATTER)
    found = plans(db, partial(said_before, account="bot", channel=GROUP, seq=9, limit=20))
    assert len(found) >= 7
    assert all(
        "INDEX inbound_context (account=? AND channel_id=? AND channel_type=? AND context_role=? AND message_seq>?"
        in plan
        for plan in found
    ), found


def deliver(db: sqlite3.Connection, inbound_id: int, message_id: str, text: str, payload: str = "") -> None:
    db.execute(
        "INSERT INTO delivery (ref, inbound_id, run_id, position, text, state, message_id, updated_at, payload)"
        " VALUES (?, ?, '', 0, ?, 'sent', ?, 0, ?)",
        (message_id, inbound_id, text, message_id, payload),
    )


def test_a_message_is_found_by_its_id_in_its_own_conversation_only(db: sqlite3.Connection) -> None:
    other = ChannelRef("g2", 2)
    insert(db, "bot", GROUP, 1, CHATTER)
    ((message_id,),) = db.execute("SELECT message_id FROM inbound").fetchall()
    assert said_as(db, "bot", GROUP, message_id) == SaidRow(1, "ann", b"hello")
    assert said_as(db, "bot", other, message_id) is None
    assert said_as(db, "other", GROUP, message_id) is None
    assert said_as(db, "bot", GROUP, "") is None


def test_the_bots_own_answer_is_found_as_it_was_sent(db: sqlite3.Connection) -> None:
    insert(db, "bot", GROUP, 1, ANSWERED)
    deliver(db, 1, "77", "yes")
    deliver(db, 1, "78", "a.png", '{"type":2}')
    assert said_as(db, "bot", GROUP, "77") == SaidRow(0, "", b'{"type": 1, "content": "yes"}')
    assert said_as(db, "bot", GROUP, "78") == SaidRow(0, "", b'{"type":2}')
    assert said_as(db, "bot", ChannelRef("g2", 2), "77") is None


def test_looking_for_a_message_takes_the_same_steps_however_many_rows_there_are(
    db: sqlite3.Connection,
) -> None:
    look = partial(said_as, account="bot", channel=GROUP, message_id="unknown")
    taken = {}
    for number in range(1, 4_001):
        insert(db, "bot", GROUP, number, ANSWERED)
        deliver(db, number, f"answer {number}", "yes")
        if number in {1_200, 4_000}:
            taken[number] = steps(db, look)
    assert taken[4_000] == pytest.approx(taken[1_200], rel=0.05)
