"""What it costs an agent program's start that it is noted, so that it ends with the process that started it."""

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from openclaw_channel_octo.host.embedded.agents import Prompt
from openclaw_channel_octo.host.embedded.command import CommandAgent
from tests.bench.measure import Row, lower_quartile

PROMPT = Prompt(text="hello", session_key="k", session_id="s", run_id="r")


def run(scale: int) -> list[Row]:
    """Measure with ``scale`` runs of a program that does nothing, 200 for a real run."""
    with TemporaryDirectory() as folder:
        ours, base = asyncio.run(_runs(Path(folder), scale))
    return [
        Row(
            what="the run of a program that does nothing, noted",
            floor="the same, not noted",
            ours=ours,
            base=base,
            unit="ms",
            most=1.5,
        )
    ]


async def _runs(folder: Path, count: int) -> tuple[float, float]:
    """Return milliseconds of a run with and without a note, in turns."""
    noted, plain = CommandAgent(["true"], notes=folder), CommandAgent(["true"])
    await noted.start()
    try:
        taken = [(await _run(noted), await _run(plain)) for _ in range(count)]
    finally:
        await noted.stop()
    ours, base = (lower_quartile(times) for times in zip(*taken, strict=True))
    return ours * 1e3, base * 1e3


async def _run(agent: CommandAgent) -> float:
    began = time.perf_counter()
    async for _ in agent.reply(PROMPT):
        pass
    return time.perf_counter() - began
