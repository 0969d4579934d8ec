"""Work for a thread in batches: what comes while it works goes over together, so that many share one synced write."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Generic, TypeVar

__all__ = ["Batches"]

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")
_Waiting = tuple[_Job, asyncio.Future[_Result]]
_Outcome = tuple[_Result | None, Exception | None]


class Batches(Generic[_Job, _Result]):
    """Jobs for a thread, done in the order they came. Used on one event loop.

    Where a batch raises, each of its jobs is done again alone, so that none fails for another: what a job did before
    must not count.

    Args:
        work: does jobs on the thread, and returns their results in the order of the jobs.
        thread: where; ``None`` for the loop's own threads, one batch at a time.
    """

    def __init__(
        self, work: Callable[[Sequence[_Job]], Sequence[_Result]], thread: Executor | None = None
    ) -> None:
        self._work = work
        self._thread = thread
        self._waiting: list[_Waiting[_Job, _Result]] = []
        self._busy = False

    def submit(self, job: _Job) -> asyncio.Future[_Result]:
        """Put a job behind those that wait; return its result to come. Cancelled before its turn, it is not done."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_Result] = loop.create_future()
        self._waiting.append((job, done))
        if not self._busy:
            self._busy = True
            loop.call_soon(self.flush)  # what others hand in during this round of the loop comes along
        return done

    def flush(self) -> None:
        """Give the thread what waits, behind what it works on: for whoever ends the thread after that."""
        batch = [(job, done) for job, done in self._waiting if not done.done()]
        self._waiting = []
        self._busy = bool(batch)
        if batch:
            jobs = [job for job, _ in batch]
            try:
                working = asyncio.get_running_loop().run_in_executor(self._thread, self._do, jobs)
            except RuntimeError as error:  # the thread has ended
                for _, done in batch:
                    done.set_exception(error)
            else:
                working.add_done_callback(partial(self._tell, batch))

    def _do(self, jobs: Sequence[_Job]) -> list[_Outcome[_Result]]:
        try:
            return [(result, None) for result in self._work(jobs)]
        except Exception as error:  # noqa: BLE001  # raised again where its job was handed in
            if len(jobs) == 1:
                return [(None, error)]
            return [outcome for job in jobs for outcome in self._do([job])]

    def _tell(
        self, batch: Sequence[_Waiting[_Job, _Result]], working: asyncio.Future[list[_Outcome[_Result]]]
    ) -> None:
        for (_, done), (result, error) in zip(batch, working.result(), strict=True):
            if done.done():
                continue
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]  # without an error there is one
        self.flush()
