"""The long mode of the attacks: ``python -m tests.hostile.long``, bounded by SECONDS, repeated by SEED."""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.testing import OctoDouble, RawMessage, ScriptedHost
from tests.fuzz.content_harness import make_content
from tests.fuzz.runner import HARNESSES, Result, keep, run_chunk
from tests.hostile.members_harness import make_prompt
from tests.runtime.rig import ANN, BEN, HELPER, Rig

SECONDS = 120.0
INPUTS = 300
"""Inputs of one harness in one round."""
BATCH = 40
"""Messages that reach the bot of the double at once."""
TICK_S = 0.01
PATIENCE = 600
"""Looks at a batch, 50 ms apart, before one of its messages counts as never ended."""
OPEN = frozenset({"received", "queued", "running"})


class Pauses:
    """Looks how long the event loop was busy with one thing."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK_S)
            self.longest_s = max(self.longest_s, time.perf_counter() - before - TICK_S)


async def deployment(seed: str, seconds: float) -> tuple[Result, float]:
    """Give a bot on the double what members may send, until the time is up, one batch at least.

    Returns:
        What became of it, and the longest pause of the event loop in seconds.
    """
    rng, result, pauses = Random(seed), Result("deployment"), Pauses()
    with TemporaryDirectory(prefix="octo-attack-") as folder:
        async with OctoDouble() as octo:
            rig = Rig(octo, Path(folder) / "state", SystemClock())
            await rig.start(rig.config(laneLength=500, mediaMaxMb=0), ScriptedHost())
            watching = asyncio.create_task(pauses.watch())
            began = time.monotonic()
            try:
                while not result.inputs or time.monotonic() - began < seconds:
                    await _batch(rig, rng, result)
            finally:
                watching.cancel()
                await asyncio.wait({watching})
                await rig.stop()
            result.seconds = time.monotonic() - began
    return result, pauses.longest_s


async def _batch(rig: Rig, rng: Random, result: Result) -> None:
    """Send a batch and a plain mention behind it: all that was for the bot has an answer, and so has the mention."""
    ids = []
    for _ in range(BATCH):
        payload = make_content(rng)[3:] if rng.random() < 0.5 else make_prompt(rng)
        channel = rng.choice((rig.dm, rig.group, rig.thread))
        message = RawMessage(from_uid=rng.choice((ANN, BEN)), channel=channel, payload=payload)
        ids.append(await rig.octo.inject(HELPER, message, stored=True))
        result.inputs += 1
    at = time.perf_counter()
    for place in (rig.group, rig.thread):
        await rig.mentioned("are you there?", where=place)
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "and here?"), "answered")
    result.slowest_s = max(result.slowest_s, time.perf_counter() - at)
    rows: list[tuple[str, str]] = []
    for _ in range(PATIENCE):
        known = rig.rows()
        rows = [known[message_id] for message_id in ids if message_id in known]  # others were for nobody
        if not any(state in OPEN for state, _ in rows):
            break
        await asyncio.sleep(0.05)
    for state, detail in rows:
        if state not in {"answered", "notified"}:
            result.failures[f"a message ended as {state}: {detail}"] = state.encode()


def harnesses(seed: int, seconds: float) -> dict[str, Result]:
    """Give every harness inputs in turn until the time is up, each at least one round."""
    results = {name: Result(name) for name in HARNESSES}
    began, number = time.monotonic(), 0
    while not number or time.monotonic() - began < seconds:
        for name, harness in HARNESSES.items():
            part = run_chunk(harness, f"{seed}/{name}/{number}", INPUTS)
            keep(part)
            results[name].add(part)
            if number and time.monotonic() - began >= seconds:
                break
        number += 1
    return results


def report(results: Sequence[Result], pause_s: float) -> str:
    """Return the table of what happened."""
    lines = ["| what | inputs | a second | slowest | findings |", "|---|---:|---:|---:|---:|"]
    lines += [
        f"| {one.name} | {one.inputs:,} | {one.inputs / max(one.seconds, 0.001):,.0f} | {one.slowest_s * 1000:.0f} ms"
        f" | {len(one.failures)} |"
        for one in results
    ]
    return "\n".join(
        [*lines, "", f"Longest pause of the event loop in the deployment: {pause_s * 1000:.0f} ms."]
    )


def main() -> int:
    """Run the attacks; return 1 where one of them got through."""
    seed = int(os.environ.get("SEED") or secrets.randbelow(2**32))
    seconds = float(os.environ.get("SECONDS") or SECONDS)
    print(f"SEED={seed} SECONDS={seconds:g}", flush=True)  # noqa: T201  # a program
    results = list(harnesses(seed, seconds * 2 / 3).values())
    deployed, pause_s = asyncio.run(deployment(f"{seed}/deployment", seconds / 3))
    results.append(deployed)
    print(report(results, pause_s))  # noqa: T201
    for result in results:
        for finding in result.failures:
            print(f"{result.name}: {finding}", file=sys.stderr)  # noqa: T201
    return 1 if any(result.failures for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
