"""A time limit that runs on the injected clock."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from openclaw_channel_octo.clock import Clock

__all__ = ["within"]

_T = TypeVar("_T")


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, _T]) -> _T:
    """Return what ``work`` returns, or cancel it after ``seconds`` of the clock.

    Raises:
        TimeoutError: the time was up; ``work`` has ended by then, its clean-up included.
    """
    task = asyncio.ensure_future(work)
    limit = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TimeoutError
    finally:
        limit.cancel()
        task.cancel()
        await asyncio.wait({task, limit})
