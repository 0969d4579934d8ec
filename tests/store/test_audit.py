"""The audit on a real file: what was asked, what came of it, kept as long as the rest."""

import sqlite3
from pathlib import Path

import pytest

from openclaw_channel_octo.store.admin import JournalAdmin
from openclaw_channel_octo.store.audit import AuditEntry, AuditOutcome
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.retention import KEEP_DAYS
from openclaw_channel_octo.testing.clock import ManualClock


def request(clock: ManualClock, account: str = "helper") -> AuditEntry:
    return AuditEntry(
        at=clock.wall_ms(),
        account=account,
        requester="ben",
        run_id="run",
        action="read",
        target="",
        outcome=AuditOutcome.BEGUN,
        detail="",
    )


async def test_a_request_is_on_the_disk_before_anything_is_done_for_it(
    journal: Journal, clock: ManualClock, path: Path
) -> None:
    number = await journal.audit.begin(request(clock))
    assert [entry.outcome for entry in JournalAdmin(path).audit()] == ["begun"]
    await journal.audit.end(number, "group:g1", AuditOutcome.DENIED, "no")
    (entry,) = JournalAdmin(path).audit()
    assert (entry.outcome, entry.target, entry.detail, entry.requester) == ("denied", "group:g1", "no", "ben")


async def test_requests_are_listed_newest_first_for_one_bot_or_all(
    journal: Journal, clock: ManualClock, path: Path
) -> None:
    for account in ("one", "two", "one"):
        await journal.audit.begin(request(clock, account))
    assert [entry.account for entry in JournalAdmin(path).audit(limit=2)] == ["one", "two"]
    assert len(JournalAdmin(path).audit(account="one")) == 2


async def test_old_requests_go_with_the_old_rows(journal: Journal, clock: ManualClock, path: Path) -> None:
    await journal.audit.begin(request(clock))
    await clock.advance((KEEP_DAYS + 1) * 86_400)
    await journal.audit.begin(request(clock, "later"))
    await journal.retention.prune()
    assert [entry.account for entry in JournalAdmin(path).audit()] == ["later"]


async def test_more_requests_than_are_kept_push_the_oldest_out(
    journal: Journal, clock: ManualClock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.store.retention.KEEP_ROWS", 2)
    for account in ("one", "two", "three"):
        await journal.audit.begin(request(clock, account))
    await journal.retention.prune()
    assert [entry.account for entry in JournalAdmin(path).audit()] == ["three", "two"]


async def test_the_table_has_no_place_for_what_was_said(path: Path) -> None:
    async with Journal(path, ManualClock()):
        db = sqlite3.connect(path)
        columns = {row[1] for row in db.execute("PRAGMA table_info(audit)")}
        db.close()
    assert columns == {"id", "at", "account", "requester", "run_id", "action", "target", "outcome", "detail"}
