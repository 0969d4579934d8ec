"""A journal of each test's own."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclaw_channel_octo.store.database import open_database
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.testing.clock import ManualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "octo.sqlite"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def journal(path: Path, clock: ManualClock) -> AsyncIterator[Journal]:
    async with Journal(path, clock) as opened:
        yield opened


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    """The file without a journal before it."""
    with closing(open_database(path, 0)) as opened:
        yield opened
