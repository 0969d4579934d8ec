"""A clock that tests move by hand."""

import asyncio
import heapq

__all__ = ["ManualClock"]

SETTLE_ROUNDS = 50
"""Rounds of the event loop that count as settled."""

WAIT_LIMIT_S = 10.0
"""Longest real wait for sleepers to appear."""


class ManualClock:
    """A `Clock` whose time stands still until `advance` is called.

    Use it wherever the package asks for a clock. Ids and jitter are deterministic. Work in threads or
    other processes is not moved by it: wait for such work with `sleepers`, or for its result.

    Example::

        clock = ManualClock()
        task = asyncio.create_task(retry_in_ten_seconds(clock))
        await clock.sleepers(1)
        await clock.advance(10)

    Args:
        wall_ms: Unix milliseconds at the beginning.
        jitter: the factor every `jitter` call returns; ``None`` for the middle of the asked range.
    """

    def __init__(self, *, wall_ms: int = 1_700_000_000_000, jitter: float | None = None) -> None:
        self._now = 0.0
        self._wall_start = wall_ms
        self._jitter = jitter
        self._ids = 0
        self._count = 0
        self._queue: list[tuple[float, int, asyncio.Future[None]]] = []
        """When a sleeper wakes, its number, and what wakes it."""
        self._more = asyncio.Event()

    def now(self) -> float:
        """Return seconds since the clock was made."""
        return self._now

    def wall_ms(self) -> int:
        """Return Unix milliseconds: the start plus the time advanced."""
        return self._wall_start + round(self._now * 1000)

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was advanced by ``seconds``; zero or less only lets other tasks run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._count += 1
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (self._now + seconds, self._count, woken))
        self._more.set()
        await woken

    def jitter(self, low: float, high: float) -> float:
        """Return the factor given at construction, else the middle of ``low`` and ``high``."""
        return (low + high) / 2 if self._jitter is None else self._jitter

    def new_id(self) -> str:
        """Return 1, 2, 3, … as 32 hexadecimal digits."""
        self._ids += 1
        return f"{self._ids:032x}"

    async def advance(self, seconds: float) -> None:
        """Move time forward, waking each sleeper at its own moment and letting its work settle in between.

        Args:
            seconds: how far, not negative.
        """
        end = self._now + seconds
        await self.settle()
        while self._queue and self._queue[0][0] <= end:
            wakes_at, _, woken = heapq.heappop(self._queue)
            if not woken.done():
                self._now = wakes_at
                woken.set_result(None)
                await self.settle()
        self._now = end
        await self.settle()

    async def settle(self) -> None:
        """Let the tasks that are ready run until they wait again; time stands still."""
        for _ in range(SETTLE_ROUNDS):
            await asyncio.sleep(0)

    async def sleepers(self, count: int = 1) -> None:
        """Wait, in real time, until at least ``count`` tasks sleep on this clock.

        Raises:
            TimeoutError: fewer than ``count`` sleep after ten real seconds.
        """
        async with asyncio.timeout(WAIT_LIMIT_S):
            while sum(not woken.done() for _, _, woken in self._queue) < count:
                self._more.clear()
                await self._more.wait()
