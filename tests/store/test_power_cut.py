"""What a journal still has when the power is cut: of its log, what was synced and any piece of what was not."""

import asyncio
import random
from pathlib import Path

import pytest

from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.testing.clock import ManualClock
from tests.store.rows import inbound

ROUNDS = 60
AT_ONCE = 7

Told = list[tuple[int, str]]


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


async def recorded(journal: Journal, path: Path) -> Told:
    """Record messages, many at once, and return when each was told of: the size of the log then, and its id."""
    told: Told = []

    async def one(message_id: str) -> None:
        await journal.messages.append([inbound(message_id)])
        told.append((log_of(path).stat().st_size, message_id))

    for turn in range(ROUNDS):
        await asyncio.gather(*(one(f"{turn}-{number}") for number in range(AT_ONCE)))
    return told


@pytest.mark.parametrize(
    "rest", [b"", bytes(4096), random.Random(1).randbytes(9_000)], ids=["torn", "empty", "noise"]
)
async def test_everything_that_was_told_survives_a_power_cut_at_any_moment(
    journal: Journal, path: Path, tmp_path: Path, rest: bytes
) -> None:
    told = await recorded(journal, path)
    database, log = path.read_bytes(), log_of(path).read_bytes()
    chance = random.Random(len(rest))
    for number in range(40):
        cut = chance.randrange(told[0][0], len(log) + 1)
        copy = tmp_path / f"cut-{number}" / path.name
        copy.parent.mkdir()
        copy.write_bytes(database)
        log_of(copy).write_bytes(log[:cut] + rest)
        async with Journal(copy, ManualClock()) as after:
            known = {row.message_id for row in await after.messages.unfinished("bot")}
        assert known >= {message_id for size, message_id in told if size <= cut}
