"""Every benchmark with its size for a real run."""

from collections.abc import Callable, Mapping

from tests.bench import (
    chatter,
    gateway,
    idle,
    imports,
    packets,
    presence,
    programs,
    road,
    start,
    store,
    turns,
    waiting,
)
from tests.bench.measure import Row

__all__ = ["BENCHMARKS"]

BENCHMARKS: Mapping[str, tuple[Callable[[int], list[Row]], int]] = {
    "packets": (packets.run, 10_000),
    "chatter": (chatter.run, 20_000),
    "presence": (presence.run, 300),
    "gateway": (gateway.run, 50),
    "store": (store.run, 100_000),
    "programs": (programs.run, 200),
    "turns": (turns.run, 1_000),
    "idle": (idle.run, 1_000),
    "waiting": (waiting.run, 1_000),
    "imports": (imports.run, 25),
    "start": (start.run, 9),
    "road": (road.run, road.RUNS),
}
