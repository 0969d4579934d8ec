"""What a benchmark gives, and how pieces of work are measured side by side."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Row", "cpu_seconds", "lower_quartile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        floor: what it is compared with in the same run.
        ours: the measure, in ``unit``.
        base: the floor's measure, in ``unit``; 0 where there is none.
        unit: of both.
        most: the aim: the ratio that should not be exceeded, 0 for none.
        most_ours: the aim: the measure that should not be exceeded, 0 for none.
    """

    what: str
    floor: str
    ours: float
    base: float
    unit: str
    most: float = 0.0
    most_ours: float = 0.0

    @property
    def ratio(self) -> float:
        """Ours against the floor, 0 where there is none."""
        return self.ours / self.base if self.base else 0.0

    @property
    def met(self) -> bool:
        """Whether the aim was reached."""
        return (not self.most or self.ratio <= self.most) and (
            not self.most_ours or self.ours <= self.most_ours
        )


def cpu_seconds(*works: Callable[[], object], rounds: int) -> list[float]:
    """Return the lower quartile of each work's CPU seconds, for work that only computes.

    The works are taken in turns, in short pieces many times: what else the machine does slows some rounds
    down, and those of all works alike.

    Args:
        works: each some milliseconds long.
        rounds: how often each is done.
    """
    taken = [[_cpu(work) for work in works] for _ in range(rounds)]
    return [lower_quartile(times) for times in zip(*taken, strict=True)]


def lower_quartile(times: Sequence[float]) -> float:
    """Return the time that a quarter of ``times`` stays below: steadier than the best, and no busy moment in it."""
    return sorted(times)[len(times) // 4]


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
