"""Lanes: strict first-in-first-out work for each session key, one item in flight (design §7)."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct, field

__all__ = ["Lanes", "Work"]

Work = Callable[[], Awaitable[None]]

_log = logging.getLogger(__name__)


class _Lane(Struct):
    waiting: deque[Work] = field(default_factory=deque)
    in_flight: bool = False
    worker: asyncio.Task[None] | None = None


class Lanes:
    """Runs work of one key strictly in order and of different keys side by side.

    Whoever hands work in decides what a failure means; one that escapes is logged, and the lane goes on.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}

    def submit(self, key: str, work: Work, limit: int | None = None) -> bool:
        """Queue ``work`` behind what the lane holds.

        Args:
            key: the session key.
            work: called once, when everything before it in the lane has ended.
            limit: most items that may wait, the running one not counted; ``None`` takes any number.

        Returns:
            Whether there was room; without room ``work`` is never called.
        """
        lane = self._lanes.setdefault(key, _Lane())
        if limit is not None and len(lane.waiting) >= limit + (not lane.in_flight):
            return False
        lane.waiting.append(work)
        if lane.worker is None:
            lane.worker = asyncio.get_running_loop().create_task(
                self._run(key, lane), name=f"octo:lane:{key}"
            )
        return True

    def depth(self, key: str) -> int:
        """Return how many items wait in a lane."""
        lane = self._lanes.get(key)
        return len(lane.waiting) if lane else 0

    @property
    def depths(self) -> Mapping[str, int]:
        """How many items wait, by key, of every lane with work."""
        return {key: len(lane.waiting) for key, lane in self._lanes.items()}

    @property
    def active(self) -> int:
        """Number of lanes with work."""
        return len(self._lanes)

    def stop_waiting(self) -> None:
        """Drop what has not started; the running items go on."""
        for lane in self._lanes.values():
            lane.waiting.clear()

    async def settle(self) -> None:
        """Return when no lane has work."""
        while workers := [lane.worker for lane in self._lanes.values() if lane.worker]:
            await asyncio.wait(workers)

    async def cancel(self) -> None:
        """End the running items too."""
        self.stop_waiting()
        for lane in list(self._lanes.values()):
            if lane.worker is not None:
                lane.worker.cancel()
        await self.settle()

    async def _run(self, key: str, lane: _Lane) -> None:
        try:
            while lane.waiting:
                work = lane.waiting.popleft()
                lane.in_flight = True
                try:
                    await work()
                except Exception:  # noqa: BLE001  # the lane boundary: the items behind must not die with this one
                    _log.exception("work of lane %s failed", key)
                lane.in_flight = False
        finally:
            del self._lanes[key]
