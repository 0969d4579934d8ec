import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from openclaw_channel_octo.batches import Batches
from tests.until import until


class Doubling:
    """Work that doubles numbers, refuses negative ones, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.goes_on = threading.Event()
        self.goes_on.set()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.goes_on.wait()
        if min(numbers) < 0:
            raise ValueError(f"negative: {min(numbers)}")
        return [2 * number for number in numbers]


@pytest.fixture
def work() -> Doubling:
    return Doubling()


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


@pytest.fixture
def batches(work: Doubling, thread: ThreadPoolExecutor) -> Batches[int, int]:
    return Batches(work, thread)


async def held_up(work: Doubling, batches: Batches[int, int]) -> asyncio.Future[int]:
    """Return the result to come of a first job that the thread works on and does not end."""
    work.goes_on.clear()
    first = batches.submit(0)
    await until(lambda: work.batches, "the first batch")
    return first


async def test_jobs_of_one_moment_go_over_together_in_their_order(
    work: Doubling, batches: Batches[int, int]
) -> None:
    assert await asyncio.gather(*map(batches.submit, range(5))) == [0, 2, 4, 6, 8]
    assert work.batches == [[0, 1, 2, 3, 4]]


async def test_what_comes_while_the_thread_works_goes_over_in_one_batch(
    work: Doubling, batches: Batches[int, int]
) -> None:
    first = await held_up(work, batches)
    later = []
    for number in (1, 2, 3):
        later.append(batches.submit(number))
        await asyncio.sleep(0)
    work.goes_on.set()
    assert await asyncio.gather(first, *later) == [0, 2, 4, 6]
    assert work.batches == [[0], [1, 2, 3]]


async def test_a_job_that_raises_fails_alone(batches: Batches[int, int]) -> None:
    found = await asyncio.gather(*map(batches.submit, (1, -2, 3)), return_exceptions=True)
    assert [found[0], str(found[1]), found[2]] == [2, "negative: -2", 6]
    assert await batches.submit(4) == 8


async def test_a_job_cancelled_before_its_turn_is_not_done_and_one_under_way_is(
    work: Doubling, batches: Batches[int, int]
) -> None:
    first = await held_up(work, batches)
    waiting, last = batches.submit(1), batches.submit(2)
    first.cancel()
    waiting.cancel()
    work.goes_on.set()
    assert await last == 4
    assert work.batches == [[0], [2]]


async def test_whoever_ends_the_thread_can_have_what_waits_done_first(
    work: Doubling, batches: Batches[int, int], thread: ThreadPoolExecutor
) -> None:
    first = await held_up(work, batches)
    waiting = batches.submit(1)
    batches.flush()
    thread.shutdown(wait=False)
    work.goes_on.set()
    assert [await first, await waiting] == [0, 2]


async def test_a_job_for_a_thread_that_has_ended_fails(
    batches: Batches[int, int], thread: ThreadPoolExecutor
) -> None:
    thread.shutdown()
    with pytest.raises(RuntimeError):
        await batches.submit(1)
