"""The long form: `make chaos`. SEED and KILLS in the environment choose another run, or the same one again."""

import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.launcher import POINTS
from tests.chaos.world import Chaos, Plan

KILLS = 500
EACH_POINT = 5


def main() -> int:
    """Play a long plan, showing how far it is; return 1 when the judge found anything."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    kills = int(os.environ.get("KILLS") or KILLS)
    points = tuple(POINTS) * max(1, min(EACH_POINT, kills // (2 * len(POINTS))))
    others = max(0, kills - len(points))
    stops = others // 2
    plan = Plan(seed=seed, kills=others - stops, stops=stops, points=points, messages=(8, 16), reloads=0.03)
    begun = time.monotonic()
    print(f"SEED={seed} KILLS={kills}", flush=True)

    def progress(deaths: int, asked: int) -> None:
        if deaths % 10 == 0:
            print(f"{deaths} deaths, {asked} messages, {time.monotonic() - begun:.0f} s", flush=True)

    folder = Path(tempfile.mkdtemp(prefix="octo-chaos-"))
    chaos = Chaos(plan, folder, progress)
    verdict = asyncio.run(chaos.run())
    print(f"{chaos.deaths} deaths, {chaos.asked} addressed messages, {time.monotonic() - begun:.0f} s")
    print(verdict)
    if not verdict.fine:
        print(f"the log, the journal and the chats are kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
