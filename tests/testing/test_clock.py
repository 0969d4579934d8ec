"""The clock that tests move by hand."""

import asyncio

import pytest

from openclaw_channel_octo.testing import clock as clock_module
from openclaw_channel_octo.testing.clock import ManualClock


async def test_time_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock(wall_ms=1_000)
    assert (clock.now(), clock.wall_ms()) == (0.0, 1_000)
    await asyncio.sleep(0)
    assert (clock.now(), clock.wall_ms()) == (0.0, 1_000)


async def test_advancing_moves_both_times() -> None:
    clock = ManualClock(wall_ms=1_000)
    await clock.advance(1.5)
    assert (clock.now(), clock.wall_ms()) == (1.5, 2_500)


async def test_sleepers_wake_in_order_each_at_its_own_moment() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.now()))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleep("late", 3.0))
        tasks.create_task(sleep("often", 1.0, 1.0, 1.0))
        tasks.create_task(sleep("first of two", 2.0))
        await clock.advance(2.5)
        assert woken == [("often", 1.0), ("first of two", 2.0), ("often", 2.0)]
        await clock.advance(0.5)
    assert woken[3:] == [("late", 3.0), ("often", 3.0)]


async def test_a_sleep_of_nothing_only_lets_others_run() -> None:
    clock = ManualClock()
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.now() == 0.0


async def test_a_cancelled_sleeper_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_module, "WAIT_LIMIT_S", 0.001)
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(1))
    await clock.settle()
    task.cancel()
    await asyncio.wait({task})
    with pytest.raises(TimeoutError):
        await clock.sleepers(1)
    await clock.advance(2)


async def test_sleepers_waits_until_enough_tasks_sleep() -> None:
    clock = ManualClock()

    async def later() -> None:
        await asyncio.to_thread(lambda: None)
        await clock.sleep(1)

    tasks = [asyncio.create_task(later()) for _ in range(3)]
    await clock.sleepers(3)
    await clock.advance(1)
    assert all(task.done() for task in tasks)


def test_chance_is_no_chance() -> None:
    clock = ManualClock()
    assert clock.jitter(0.5, 1.5) == 1.0
    assert ManualClock(jitter=1.2).jitter(0.5, 1.5) == 1.2
    assert [clock.new_id(), clock.new_id()] == ["0" * 31 + "1", "0" * 31 + "2"]
