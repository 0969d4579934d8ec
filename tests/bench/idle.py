"""Many idle bots in one process: memory and CPU for each, sockets and API in memory."""

import asyncio
import gc
import random
import time
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from openclaw_channel_octo.runtime.preload import preload
from openclaw_channel_octo.testing.host import ScriptedHost
from tests.bench.measure import Row
from tests.runtime.memory_octo import MemoryOcto
from tests.runtime.one_loop import LoopExecutor
from tests.runtime.test_soak import SoakClock, started

MINUTES = 10


def run(scale: int) -> list[Row]:
    """Measure with ``scale`` bots, 1,000 for a real run."""
    with (
        TemporaryDirectory() as folder,
        patch("openclaw_channel_octo.store.transaction.ThreadPoolExecutor", LoopExecutor),
    ):
        kilobytes, cpu = asyncio.run(_idle(scale, Path(folder)))
    return [
        Row(what=f"memory of one idle bot of {scale:,}", floor="–", ours=kilobytes, base=0, unit="KiB"),
        Row(
            what=f"CPU of one idle bot of {scale:,} in a minute of its life (pings, checks)",
            floor="–",
            ours=cpu,
            base=0,
            unit="ms",
        ),
    ]


async def _idle(bots: int, folder: Path) -> tuple[float, float]:
    clock = SoakClock(random.Random(7))
    octo = MemoryOcto(clock, bots, frozenset())
    await preload()  # once for all bots, however many
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    with patch("openclaw_channel_octo.runtime.fleet.fleet.BotApi", octo.api):
        channel = await started(octo, ScriptedHost(clock=clock), folder)
    while not all(account.online for account in octo.accounts):
        await clock.advance(1)
        await asyncio.sleep(0.01)  # the journal is a thread, which no clock moves
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    began = time.process_time()
    await clock.advance(60 * MINUTES)
    cpu = time.process_time() - began
    await channel.stop(0)
    return (after - before) / bots / 1024, cpu / bots / MINUTES * 1e3
