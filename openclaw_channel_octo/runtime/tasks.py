"""Background tasks that somebody owns: named, watched, and ended together."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from openclaw_channel_octo.observe.logs import BotLog

__all__ = ["TaskSet"]

_T = TypeVar("_T")


class TaskSet:
    """Tasks of one owner. A task that fails is logged with its traceback; it never fails in silence.

    Args:
        log: where failures go.
    """

    def __init__(self, log: BotLog) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, _T], role: str) -> asyncio.Task[_T]:
        """Start ``work`` under a name that tells its role."""
        task = asyncio.get_running_loop().create_task(work, name=f"octo:{self._log.account}:{role}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def settle(self) -> None:
        """Return when every task, those started meanwhile included, has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def cancel(self) -> None:
        """End every task and wait until they are gone."""
        for task in self._tasks:
            task.cancel()
        await self.settle()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("%s failed: %s", task.get_name(), error, exc_info=error)
