"""Background tasks with one owner: named, watched, and ended together."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

from msgspec import Struct, field

from openclaw_channel_octo.clock import Backoff, Clock, within
from openclaw_channel_octo.observe.logs import BotLog

__all__ = ["TaskSet", "aside", "drained", "together", "uninterrupted"]

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 300.0

LATE_S = 2.0
"""How long before the end of a drain the work that still goes on is told so."""

_T = TypeVar("_T")


async def together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do several things side by side; where one of them breaks, the others are cancelled and waited for.

    Raises:
        ExceptionGroup: what broke.
    """
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)


async def drained(
    clock: Clock,
    seconds: float,
    settle: Callable[[], Awaitable[None]],
    late: Callable[[], Awaitable[None]],
    last: Callable[[], Awaitable[None]],
) -> None:
    """Return when work has ended, and what has to be done behind it.

    Args:
        clock: time.
        seconds: how long that may take.
        settle: returns when no work goes on.
        late: called where it still does shortly before the time is over.
        last: what has to be done behind it.

    Raises:
        TimeoutError: the time was up.
    """

    async def settled() -> None:
        try:
            await within(clock, seconds - min(LATE_S, seconds / 2), settle())
        except TimeoutError:
            await late()
            await settle()
        await last()

    await within(clock, seconds, settled())


async def aside(work: Callable[[], _T]) -> _T:
    """Return what ``work`` returns, or raise what it raises, beside the loop, for work that may hang.

    A program cannot end while a thread of the loop's pool runs; it does not wait for this one.
    """
    told: Future[_T] = Future()
    told.set_running_or_notify_cancel()

    def work_and_tell() -> None:
        try:
            told.set_result(work())
        except Exception as problem:  # noqa: BLE001  # boundary of the thread: raised again where it is waited for
            told.set_exception(problem)

    threading.Thread(target=work_and_tell, daemon=True).start()
    return await asyncio.wrap_future(told)


class TaskSet(Struct, eq=False):
    """Tasks of one owner. A task that fails is logged with its traceback; none outlives `close`.

    Attributes:
        log: where failures go.
        clock: time between two tries of a job that failed.
        failing: jobs whose last try ended by an unexpected error, role to error; each is tried again.
    """

    log: BotLog
    clock: Clock
    failing: dict[str, str] = field(default_factory=dict)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    _closed: bool = False

    def start(self, work: Coroutine[Any, Any, _T], role: str) -> asyncio.Task[_T]:
        """Start ``work`` under a name that tells its role; in a closed set it is cancelled before its first step."""
        task = asyncio.get_running_loop().create_task(work, name=f"octo:{self.log.account}:{role}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        if self._closed:
            task.cancel()
        return task

    def until_done(self, job: Callable[[], Awaitable[None]], role: str) -> asyncio.Task[None]:
        """Run ``job``, and again after a back-off as long as it ends by an unexpected error."""
        return self.start(self._until_done(job, role, LONGEST_RETRY_S), role)

    def repeat(
        self,
        job: Callable[[], Awaitable[None]],
        role: str,
        every_s: float | Callable[[], float],
        *,
        wait_first: bool = False,
    ) -> asyncio.Task[None]:
        """Run ``job`` periodically, until the set is closed; an unexpected error ends one run of it only.

        Args:
            job: one pass of the work.
            role: names it in the log and in `failing`.
            every_s: seconds between two passes, ±20 %, or what tells them before each.
            wait_first: whether the first pass waits too.
        """
        wait_s = every_s if callable(every_s) else lambda: every_s
        return self.start(self._repeat(job, role, wait_s, wait_first=wait_first), role)

    async def settle(self) -> None:
        """Return when every task, those started meanwhile included, has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """End every task, start none any more, and return once all are gone; a second call does nothing."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await self.settle()

    async def _repeat(
        self, job: Callable[[], Awaitable[None]], role: str, wait_s: Callable[[], float], *, wait_first: bool
    ) -> None:
        if wait_first:
            await self.clock.sleep(wait_s() * self.clock.jitter(0.8, 1.2))
        while True:
            await self._until_done(job, role, wait_s())
            await self.clock.sleep(wait_s() * self.clock.jitter(0.8, 1.2))

    async def _until_done(self, job: Callable[[], Awaitable[None]], role: str, longest_s: float) -> None:
        backoff = Backoff(self.clock, FIRST_RETRY_S, longest_s)
        while True:
            try:
                await job()
            except Exception as error:  # the job boundary: one unexpected error must not end a background job
                wait_s = backoff.next()
                self.failing[role] = f"{type(error).__name__}, see the log"
                self.log.exception("%s failed; next try in %.0f s", role, wait_s)
            else:
                self.failing.pop(role, None)
                return
            await self.clock.sleep(wait_s)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error("%s failed: %s", task.get_name(), error, exc_info=error)


async def uninterrupted(work: Coroutine[Any, Any, None], role: str) -> None:
    """Do ``work`` to its end, whoever is cancelled meanwhile; a cancellation of the caller goes on after that.

    Args:
        work: what must not be left half done; it has to be short.
        role: names its task.
    """
    task = asyncio.get_running_loop().create_task(work, name=f"octo:{role}")
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    task.result()
