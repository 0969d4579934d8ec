"""Lanes: order within a session, sessions side by side, a full lane that says so."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.host.base import Accepted, Final
from openclaw_channel_octo.runtime.lanes import Lanes
from openclaw_channel_octo.testing.faults import ErrorAnswer
from openclaw_channel_octo.testing.host import HANG, ScriptedHost, Step
from tests.runtime.rig import ANN, BEN, Rig

BUSY = Texts().busy


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=40))
def test_work_of_a_key_runs_in_order_and_one_at_a_time_whatever_the_others_do(
    items: list[tuple[str, int]],
) -> None:
    async def play() -> None:
        lanes = Lanes()
        started: list[tuple[str, int]] = []
        running: set[str] = set()

        def work(key: str, number: int, pauses: int) -> Callable[[], Awaitable[None]]:
            async def run() -> None:
                assert key not in running
                running.add(key)
                started.append((key, number))
                for _ in range(pauses):
                    await asyncio.sleep(0)
                running.discard(key)

            return run

        for number, (key, pauses) in enumerate(items):
            assert lanes.submit(key, work(key, number, pauses), limit=100)
            await asyncio.sleep(0)
        await lanes.settle()
        assert lanes.active == 0
        for key in "abc":
            mine = [number for name, number in started if name == key]
            assert mine == [number for number, (name, _) in enumerate(items) if name == key]

    asyncio.run(play())


async def test_a_lane_takes_no_more_than_its_limit_beside_the_running_item() -> None:
    lanes = Lanes()
    gate = asyncio.Event()
    ran: list[int] = []

    def work(number: int) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await gate.wait()
            ran.append(number)

        return run

    taken = [lanes.submit("k", work(0), limit=2)]
    await asyncio.sleep(0)
    taken += [lanes.submit("k", work(number), limit=2) for number in range(1, 5)]
    assert taken == [True, True, True, False, False]
    assert lanes.depth("k") == 2
    assert lanes.depth("other") == 0
    gate.set()
    await lanes.settle()
    assert ran == [0, 1, 2]


async def test_items_handed_in_together_fill_a_lane_exactly_to_its_limit() -> None:
    lanes = Lanes()
    ran: list[int] = []

    def work(number: int) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            ran.append(number)

        return run

    assert [lanes.submit("k", work(number), limit=2) for number in range(4)] == [True, True, True, False]
    assert lanes.submit("k", work(9))
    await lanes.settle()
    assert ran == [0, 1, 2, 9]


async def test_an_item_that_fails_does_not_take_those_behind_it_along(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lanes = Lanes()
    ran: list[str] = []

    async def fail() -> None:
        raise RuntimeError("boom")

    async def succeed() -> None:
        ran.append("ok")

    lanes.submit("k", fail)
    lanes.submit("k", succeed)
    await lanes.settle()
    assert ran == ["ok"]
    assert "boom" in caplog.text


async def test_what_has_not_started_can_be_dropped_while_the_running_item_ends() -> None:
    lanes = Lanes()
    gate = asyncio.Event()
    ran: list[str] = []

    async def first() -> None:
        await gate.wait()
        ran.append("first")

    async def second() -> None:
        ran.append("second")

    lanes.submit("k", first, limit=5)
    await asyncio.sleep(0)
    lanes.submit("k", second, limit=5)
    lanes.stop_waiting()
    gate.set()
    await lanes.settle()
    assert ran == ["first"]


async def test_a_full_lane_says_busy_once_for_a_burst_and_ends_every_message_of_it(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("a")], [Accepted("r"), Final("b")])
    await rig.start(rig.config(laneLength=1), host)
    running = await rig.mention("a")
    await host.wait_for_turns(1)
    waiting = await rig.mention("b")
    refused = [await rig.mention(f"too much {number}", who=BEN) for number in range(4)]
    for message_id in refused:
        assert await rig.until_row(message_id, "notified") == "lane full"
    assert rig.said() == [BUSY]
    host.release()
    await rig.until_row(running, "answered")
    await rig.until_row(waiting, "answered")
    assert rig.said() == [BUSY, "a", "b"]


async def test_the_next_burst_gets_a_notice_of_its_own(rig: Rig) -> None:
    hanging: list[list[Step]] = [[Accepted("r"), HANG, Final(text)] for text in "abc"]
    host = ScriptedHost(*hanging)
    await rig.start(rig.config(laneLength=1), host)
    await rig.mention("a")
    await host.wait_for_turns(1)
    await rig.mention("b")
    await rig.until_row(await rig.mention("refused"), "notified")
    host.release()
    await host.wait_for_turns(2)
    await rig.mention("c")
    await rig.until_row(await rig.mention("refused again"), "notified")
    host.release()
    await host.wait_for_turns(3)
    host.release()
    assert await rig.until_said(5) == [BUSY, "a", BUSY, "b", "c"]


async def test_a_busy_notice_that_cannot_be_sent_leaves_dead_letters(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("a")])
    await rig.start(rig.config(laneLength=1), host)
    await rig.mention("a")
    await host.wait_for_turns(1)
    await rig.mention("b")
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=400))
    detail = await rig.until_row(await rig.mention("refused"), "dead")
    assert "lane full" in detail
    host.release()


async def test_other_conversations_are_answered_while_one_hangs(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("late")])
    await rig.start(rig.config(), host)
    await rig.mention("hang")
    await host.wait_for_turns(1)
    await rig.until_row(await rig.mention("quick", where=rig.thread), "answered")
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "quick"), "answered")
    host.release()
    assert await rig.until_said(1) == ["late"]


async def test_turns_at_once_are_limited_for_each_bot_and_in_all(rig: Rig) -> None:
    hanging: list[list[Step]] = [[Accepted("r"), HANG, Final(str(number))] for number in range(3)]
    host = ScriptedHost(*hanging)
    await rig.start(rig.config(maxTurns=2), host)
    await rig.mention("one")
    await rig.mention("two", where=rig.thread)
    third = await rig.octo.say(ANN, rig.dm, "three")
    await host.wait_for_turns(2)
    await rig.until_row(third, "running")
    assert len(host.turns) == 2
    host.release()
    await host.wait_for_turns(3)
    host.release()
    await rig.until_row(third, "answered")
