"""Prompts in the journal: one for each message, so many and no more, and none without its message."""

import sqlite3
from pathlib import Path

import pytest

from openclaw_channel_octo.store.admin import JournalAdmin
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.retention import KEEP_DAYS
from openclaw_channel_octo.store.states import RowState
from openclaw_channel_octo.testing.clock import ManualClock
from tests.store.rows import inbound


async def recorded(journal: Journal, *names: str) -> list[int]:
    rows = await journal.messages.append([inbound(name) for name in names])
    return [row.id for row in rows if row is not None]


def kept(path: Path) -> list[str]:
    admin = JournalAdmin(path)
    return [prompt.text for row in reversed(admin.rows()) if (prompt := admin.prompt(row))]


async def test_the_prompt_of_the_last_run_takes_the_place_of_an_earlier_one(
    journal: Journal, clock: ManualClock, path: Path
) -> None:
    one, two = await recorded(journal, "1", "2")
    await journal.prompts.keep(one, "first run", "first")
    await journal.prompts.keep(two, "run", "other")
    await clock.advance(60)
    await journal.prompts.keep(one, "second run", "second")
    assert kept(path) == ["second", "other"]
    (row,) = JournalAdmin(path).find("1")
    prompt = JournalAdmin(path).prompt(row)
    assert prompt is not None
    assert (prompt.run_id, prompt.kept_at) == ("second run", clock.wall_ms())


async def test_more_prompts_than_are_kept_push_out_those_kept_first(
    journal: Journal, clock: ManualClock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.store.prompts.KEEP_PROMPTS", 2)
    one, two, three = await recorded(journal, "1", "2", "3")
    for row_id in (two, one, three):
        await journal.prompts.keep(row_id, "run", str(row_id))
        await clock.advance(1)
    assert kept(path) == [str(one), str(three)]


async def test_a_prompt_goes_with_its_message_and_none_is_kept_without_one(
    journal: Journal, clock: ManualClock, path: Path
) -> None:
    (row_id,) = await recorded(journal, "1")
    await journal.prompts.keep(row_id, "run", "prompt")
    await journal.messages.settle([row_id], RowState.ANSWERED)
    await clock.advance((KEEP_DAYS + 1) * 86_400)
    await journal.retention.prune()
    await journal.prompts.keep(row_id, "run", "too late")
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM prompt").fetchone() == (0,)
    db.close()
