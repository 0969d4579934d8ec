"""Everything on one event loop, in an order that repeats: no threads, and time moves only when nothing is ready."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from openclaw_channel_octo.testing.clock import ManualClock

__all__ = ["LoopClock", "LoopExecutor", "inline"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class LoopClock(ManualClock):
    """A manual clock that settles exactly: nothing here waits for anything but the event loop itself."""

    async def settle(self) -> None:
        loop: Any = asyncio.get_running_loop()
        await asyncio.sleep(0)
        while loop._ready:  # noqa: ASYNC110  # an idle loop fires no event one could wait for
            await asyncio.sleep(0)


class LoopExecutor(Executor):
    """Does work as a thread does, one job after the other, in a later round of the loop.

    A job whose future is cancelled before its round is not done; one that was done has its result told a round later.
    """

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def submit(self, work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        done: Future[_T] = Future()

        def run() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(work(*args, **kwargs))
            except Exception as error:  # noqa: BLE001  # an executor hands every error to its future
                done.set_exception(error)

        asyncio.get_running_loop().call_soon(run)
        return done


async def inline(work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Do in the event loop what `asyncio.to_thread` does beside it: no look finds it half done."""
    return work(*args, **kwargs)
