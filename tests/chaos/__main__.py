"""The long form: `make chaos`. SEED and KILLS in the environment choose another run, or the same one again.

HOST=gateway takes a real gateway as the host.
"""

import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos import gateway
from tests.chaos.launcher import POINTS
from tests.chaos.world import Chaos, Plan
from tests.live.gateway.install import CannotInstall

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


def with_gateway() -> int:
    """Play with a real gateway; return 1 where people saw something wrong, 2 where there is no gateway to be had."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    folder, begun = Path(tempfile.mkdtemp(prefix="octo-chaos-")), time.monotonic()
    print(f"SEED={seed} HOST=gateway: {gateway.MENTIONS} mentions", flush=True)
    try:
        counts = asyncio.run(gateway.play(seed, folder, lambda line: print(line, flush=True)))
    except CannotInstall as missing:
        print(missing)
        return 2
    kills = f"{gateway.PROGRAM_KILLS} kills of the program, {gateway.GATEWAY_KILLS} of the gateway"
    print(f"{kills}, {time.monotonic() - begun:.0f} s")
    print(f"silent {counts.silent}, twice {counts.twice}, out of order {counts.out_of_order}")
    if not counts.fine:
        print(f"the log and the journal are kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(with_gateway() if os.environ.get("HOST") == "gateway" else main())
