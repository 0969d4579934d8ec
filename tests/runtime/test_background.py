import asyncio
import logging

import pytest

from openclaw_channel_octo.clock import Backoff
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.runtime.background import TaskSet
from openclaw_channel_octo.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(jitter=1.0)


@pytest.fixture
def tasks(clock: ManualClock) -> TaskSet:
    return TaskSet(BotLog(logging.getLogger("test"), "helper"), clock)


async def test_a_task_is_named_after_its_account_and_role_and_gives_its_result(tasks: TaskSet) -> None:
    async def answer() -> int:
        return 42

    task = tasks.start(answer(), "answer")
    assert task.get_name() == "octo:helper:answer"
    assert await task == 42


async def test_a_task_that_fails_is_logged_with_its_name_and_traceback(
    tasks: TaskSet, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ValueError("nobody foresaw this")

    tasks.start(fail(), "answer")
    await tasks.settle()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "[octo] [helper] octo:helper:answer failed: nobody foresaw this" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError


async def test_a_failing_task_leaves_the_others_alone(tasks: TaskSet, clock: ManualClock) -> None:
    async def fail() -> None:
        raise ValueError("nobody foresaw this")

    other = tasks.start(clock.sleep(5), "other")
    tasks.start(fail(), "failing")
    await clock.settle()
    assert not other.done()
    await clock.advance(5)
    assert not other.cancelled()


async def test_settling_waits_for_tasks_started_meanwhile(tasks: TaskSet, clock: ManualClock) -> None:
    async def start_another() -> None:
        await clock.sleep(5)
        tasks.start(clock.sleep(5), "second")

    tasks.start(start_another(), "first")
    settled = asyncio.create_task(tasks.settle())
    await clock.advance(9)
    assert not settled.done()
    await clock.advance(1)
    assert settled.done()


async def test_settling_with_nothing_under_way_returns_at_once(tasks: TaskSet) -> None:
    async with asyncio.timeout(10):
        await tasks.settle()
        await tasks.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_ends_every_task_waits_for_their_clean_up_and_logs_nothing(
    tasks: TaskSet, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    cleaned_up = []

    async def work(number: int) -> None:
        try:
            await clock.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleaned_up.append(number)

    for number in range(3):
        tasks.start(work(number), "work")
    await clock.settle()
    await tasks.close()
    assert sorted(cleaned_up) == [0, 1, 2]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert caplog.records == []


async def test_an_error_while_a_cancelled_task_cleans_up_is_logged(
    tasks: TaskSet, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        try:
            await clock.sleep(60)
        finally:
            raise ValueError("broken clean-up")

    tasks.start(work(), "work")
    await clock.settle()
    await tasks.close()
    assert "broken clean-up" in caplog.text


async def test_a_task_whose_clean_up_starts_more_work_does_not_keep_a_closed_set_alive(
    tasks: TaskSet, clock: ManualClock
) -> None:
    ran: list[int] = []

    async def work(generation: int) -> None:
        ran.append(generation)
        try:
            await clock.sleep(60)
        finally:
            tasks.start(work(generation + 1), "work")

    tasks.start(work(0), "work")
    await clock.settle()
    async with asyncio.timeout(10):
        await tasks.close()
    assert ran == [0]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_closed_set_runs_nothing_any_more(tasks: TaskSet) -> None:
    ran: list[str] = []

    async def work() -> None:
        ran.append("ran")

    await tasks.close()
    task = tasks.start(work(), "late")
    await tasks.settle()
    assert (task.cancelled(), ran) == (True, [])


async def test_a_repeated_job_outlives_its_errors_and_says_that_it_fails(
    tasks: TaskSet, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    at: list[float] = []
    broken = True

    async def job() -> None:
        at.append(clock.now())
        if broken:
            raise KeyError("nobody foresaw this")

    tasks.repeat(job, "keep-up", 100, wait_first=True)
    await clock.advance(107)
    assert at == [100, 101, 103, 107]
    assert dict(tasks.failing) == {"keep-up": "KeyError, see the log"}
    assert "keep-up failed; next try in 8 s" in caplog.text
    broken = False
    await clock.advance(8)
    assert dict(tasks.failing) == {}
    await clock.advance(100)
    assert at[-2:] == [115, 215]
    await tasks.close()


async def test_a_job_is_done_again_until_it_succeeds(tasks: TaskSet, clock: ManualClock) -> None:
    at: list[float] = []

    async def job() -> None:
        at.append(clock.now())
        if len(at) < 4:
            raise OSError("not yet")

    done = tasks.until_done(job, "begin")
    await clock.advance(60)
    assert (at, done.done()) == ([0, 1, 3, 7], True)


def test_waits_double_up_to_the_cap_and_begin_again_after_a_reset() -> None:
    backoff = Backoff(ManualClock(jitter=1.0), 1.0, 10.0)
    assert [backoff.next() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert backoff.next() == 1


def test_waits_after_thousands_of_attempts_stay_at_the_cap() -> None:
    backoff = Backoff(ManualClock(jitter=1.0), 1.0, 60.0)
    assert [backoff.next() for _ in range(5_000)][-1] == 60


@pytest.mark.parametrize("asked", [0.75, 1.25])
def test_waits_ask_for_a_quarter_of_jitter_either_way(asked: float) -> None:
    class Extreme(ManualClock):
        def jitter(self, low: float, high: float) -> float:
            return {0.75: low, 1.25: high}[asked]

    assert Backoff(Extreme(), 4.0, 60.0).next() == 4 * asked
