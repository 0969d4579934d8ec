import asyncio
from contextlib import suppress

import pytest

from openclaw_channel_octo.clock import SystemClock, within
from openclaw_channel_octo.testing.clock import ManualClock


class Work:
    """Work that sleeps on a clock, and what has become of it."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.cleaned_up = False

    async def last(self, seconds: float) -> str:
        try:
            await self.clock.sleep(seconds)
        finally:
            await asyncio.sleep(0)
            self.cleaned_up = True
        return "done"


async def assert_nothing_is_left() -> None:
    await asyncio.sleep(0)  # until a cancelled timer has ended
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_work_that_is_quick_enough_gives_its_result_and_leaves_no_timer(clock: ManualClock) -> None:
    limited = asyncio.create_task(within(clock, 10, Work(clock).last(9)))
    await clock.advance(9)
    assert limited.done()
    assert limited.result() == "done"
    await assert_nothing_is_left()


async def test_work_that_takes_too_long_is_cancelled_and_has_cleaned_up_when_the_time_is_told(
    clock: ManualClock,
) -> None:
    work = Work(clock)
    limited = asyncio.create_task(within(clock, 10, work.last(11)))
    await clock.advance(10)
    with pytest.raises(TimeoutError):
        limited.result()
    assert work.cleaned_up
    await assert_nothing_is_left()


async def test_an_error_of_the_work_comes_through(clock: ManualClock) -> None:
    async def fail() -> None:
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        await within(clock, 10, fail())
    await assert_nothing_is_left()


async def test_cancelling_from_outside_ends_the_work_too(clock: ManualClock) -> None:
    work = Work(clock)
    limited = asyncio.create_task(within(clock, 10, work.last(5)))
    await clock.advance(1)
    limited.cancel()
    with pytest.raises(asyncio.CancelledError):
        await limited
    assert work.cleaned_up
    await assert_nothing_is_left()


async def test_without_any_time_work_that_waits_is_given_up(clock: ManualClock) -> None:
    with pytest.raises(TimeoutError):
        await within(clock, 0, Work(clock).last(5))
    await assert_nothing_is_left()


async def test_a_time_out_of_the_work_itself_needs_no_patience(clock: ManualClock) -> None:
    async def time_out() -> None:
        raise TimeoutError("inside")

    with pytest.raises(TimeoutError, match="inside"):
        await within(clock, 10, time_out())
    assert clock.now() == 0


@pytest.mark.parametrize("rounds", range(8))
async def test_work_may_end_in_the_moment_in_which_its_time_does(rounds: int) -> None:
    class Instant(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(0)

    async def work() -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)

    broken: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    with suppress(TimeoutError):
        await within(Instant(), 1, work())
    await assert_nothing_is_left()
    assert broken == []


async def test_the_machine_s_clock_limits_work_without_a_task_of_its_own() -> None:
    tasks: list[int] = []

    async def work() -> None:
        tasks.append(len(asyncio.all_tasks()))
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await within(SystemClock(), 0, work())
    assert tasks == [1]
    await assert_nothing_is_left()
