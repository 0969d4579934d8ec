"""Lanes: strict first-in-first-out work for each session key, one item in flight (design §7)."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum

from msgspec import Struct, field

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.runtime.background import drained

__all__ = ["Begin", "Lanes", "Submitted", "Submitter", "Work"]

Begin = Callable[[], None]
"""Called by work when it begins what a closing lane has to wait for; cancels the work where the lane is closed."""

_log = logging.getLogger(__name__)


class Submitter:
    """Whose work it is: a bot that may leave while lanes go on for others."""

    def __init__(self) -> None:
        self.left = False
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count one item as in flight meanwhile."""
        self._in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def settle(self) -> None:
        """Return when nothing of this submitter is in flight."""
        await self._idle.wait()


class Work(Struct, frozen=True, kw_only=True):
    """An item of a lane. One of both is called, once.

    Attributes:
        run: does the work. Until it has called what it is given, closing the lane cancels it.
        drop: gives up what was prepared for the work: the lane was closed before its turn came. Must not raise.
        submitter: whose work it is.
    """

    run: Callable[[Begin], Awaitable[None]]
    drop: Callable[[], None] = lambda: None
    submitter: Submitter = field(default_factory=Submitter)


class Submitted(Enum):
    """What a lane says to work."""

    QUEUED = "queued"
    FULL = "full"
    CLOSED = "closed"


class _Lane(Struct):
    worker: asyncio.Task[None] | None = None
    waiting: deque[Work] = field(default_factory=deque)
    current: Work | None = None
    begun: bool = False
    goes_on: bool = False
    """Whether a cancelled worker was cancelled for one submitter only, so that another one takes its place."""


class Lanes:
    """Runs work of one key strictly in order and of different keys side by side.

    Whoever hands work in decides what a failure means; one that escapes is logged, and the lane goes on.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._closed = False

    def submit(self, key: str, work: Work, limit: int | None = None) -> Submitted:
        """Queue ``work`` behind what the lane holds.

        Args:
            key: the session key.
            work: run once everything before it in the lane has ended.
            limit: most items that may wait, the one in flight not counted; ``None`` takes any number.

        Returns:
            Whether it was queued; if not, neither of its methods is ever called.
        """
        if self._closed or work.submitter.left:
            return Submitted.CLOSED
        lane = self._lanes.setdefault(key, _Lane())
        if limit is not None and len(lane.waiting) >= limit + (lane.current is None):
            return Submitted.FULL
        lane.waiting.append(work)
        if lane.worker is None:
            self._begin(key, lane)
        return Submitted.QUEUED

    def depth(self, key: str) -> int:
        """Return how many items of a lane have not begun."""
        lane = self._lanes.get(key)
        return _depth(lane) if lane else 0

    @property
    def depths(self) -> Mapping[str, int]:
        """How many items have not begun, by key, of every lane with work."""
        return {key: _depth(lane) for key, lane in self._lanes.items()}

    @property
    def active(self) -> Sequence[str]:
        """Keys of the lanes with work."""
        return sorted(self._lanes)

    @property
    def begun(self) -> Sequence[str]:
        """Keys of the lanes whose work in flight has begun."""
        return sorted(key for key, lane in self._lanes.items() if lane.begun)

    def begun_of(self, submitter: Submitter) -> Sequence[str]:
        """Return the keys of the lanes in which work of an submitter has begun."""
        return [
            key for key in self.begun if (work := self._lanes[key].current) and work.submitter is submitter
        ]

    def leave(self, submitter: Submitter) -> None:
        """Do as `close` does with the work of one submitter; that of others goes on."""
        submitter.left = True
        for lane in self._lanes.values():
            _give_up_waiting(lane, submitter)
            if lane.current is not None and lane.current.submitter is submitter and not lane.begun:
                _cancel_current(lane)

    async def cancel_of(self, submitter: Submitter) -> None:
        """Leave, and end what has begun of the submitter's work too."""
        self.leave(submitter)
        for key in self.begun_of(submitter):
            _cancel_current(self._lanes[key])
        await submitter.settle()

    def close(self) -> None:
        """Take no more work, give up what has not begun; what has begun goes on to its end."""
        self._closed = True
        for lane in list(self._lanes.values()):
            _give_up_waiting(lane)
            if lane.worker is not None and not lane.begun:
                lane.worker.cancel()

    async def drain(
        self,
        clock: Clock,
        seconds: float,
        late: Callable[[], Awaitable[None]],
        last: Callable[[], Awaitable[None]],
    ) -> bool:
        """Wait until every lane is empty, so long at most; return whether no work that has begun is left.

        ``late`` and ``last``: see `drained`.
        """
        try:
            await drained(clock, seconds, self.settle, late, last)
        except TimeoutError:
            if self.begun:
                _log.warning("turns still ran after %.0f s of draining: %s", seconds, self.begun)
            return not self.begun
        return True

    async def settle(self) -> None:
        """Return when no lane has work."""
        while workers := [lane.worker for lane in self._lanes.values() if lane.worker]:
            await asyncio.wait(workers)

    async def cancel(self) -> None:
        """Close, and end what has begun too."""
        self.close()
        for lane in list(self._lanes.values()):
            if lane.worker is not None:
                lane.worker.cancel()
        await self.settle()

    def _begin(self, key: str, lane: _Lane) -> None:
        lane.current, lane.begun, lane.goes_on = None, False, False
        lane.worker = asyncio.get_running_loop().create_task(self._run(key, lane), name=f"octo:lane:{key}")
        lane.worker.add_done_callback(lambda _: self._end(key, lane))

    async def _run(self, key: str, lane: _Lane) -> None:
        def begin() -> None:
            if self._closed or work.submitter.left:
                raise asyncio.CancelledError("the lane is closed")
            lane.begun = True

        while lane.waiting:
            work = lane.current = lane.waiting.popleft()
            try:
                with work.submitter.working():
                    await work.run(begin)
            except Exception:  # noqa: BLE001  # the lane boundary: the items behind must not die with this one
                _log.exception("work of lane %s failed", key)
            lane.current, lane.begun = None, False
        self._end(key, lane)  # at once: work that is handed in from here on needs a worker of its own

    def _end(self, key: str, lane: _Lane) -> None:
        """Forget a lane whose worker has ended, also where it was cancelled before its first step."""
        if self._lanes.get(key) is not lane:
            return
        if lane.goes_on and not self._closed and lane.waiting:
            self._begin(key, lane)
            return
        _give_up_waiting(lane)
        del self._lanes[key]


def _depth(lane: _Lane) -> int:
    return len(lane.waiting) + (lane.current is not None and not lane.begun)


def _cancel_current(lane: _Lane) -> None:
    lane.goes_on = True
    if lane.worker is not None:
        lane.worker.cancel()


def _give_up_waiting(lane: _Lane, submitter: Submitter | None = None) -> None:
    """Drop what waits, in order; of one submitter only where one is named."""
    waiting, lane.waiting = lane.waiting, deque[Work]()
    for work in waiting:
        if submitter is None or work.submitter is submitter:
            work.drop()
        else:
            lane.waiting.append(work)
