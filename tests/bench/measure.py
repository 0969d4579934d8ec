"""What a benchmark gives, and how two pieces of work are measured side by side."""

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Row", "pair", "seconds"]


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


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def pair(ours: Callable[[], object], floor: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the best seconds of both, taken in turns so that a noisy moment hits both."""
    taken = [(seconds(ours), seconds(floor)) for _ in range(rounds)]
    return min(one for one, _ in taken), min(other for _, other in taken)
