"""Lanes: order within a session, sessions side by side, a full lane that says so."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.host.base import Accepted, Final
from openclaw_channel_octo.runtime.turn.lanes import Begin, Lanes, Submitted, Submitter, Work
from openclaw_channel_octo.testing.host import HANG, ScriptedHost, Step
from openclaw_channel_octo.testing.octo.faults import ErrorAnswer
from tests.runtime.rig import ANN, BEN, Rig

BUSY = Texts().busy


def item(run: Callable[[], Awaitable[None]], dropped: Callable[[], None] = lambda: None) -> Work:
    """Return work that begins what a stop waits for at once."""

    async def begun(begin: Begin) -> None:
        begin()
        await run()

    return Work(run=begun, drop=dropped)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=40))
def test_work_of_a_key_runs_in_order_and_one_at_a_time_whatever_the_others_do(
    items: list[tuple[str, int]],
) -> None:
    async def play() -> None:
        lanes = Lanes()
        started: list[tuple[str, int]] = []
        running: set[str] = set()

        def work(key: str, number: int, pauses: int) -> Work:
            async def run() -> None:
                assert key not in running
                running.add(key)
                started.append((key, number))
                for _ in range(pauses):
                    await asyncio.sleep(0)
                running.discard(key)

            return item(run)

        for number, (key, pauses) in enumerate(items):
            assert lanes.submit(key, work(key, number, pauses), limit=100) is Submitted.QUEUED
            await asyncio.sleep(0)
        await lanes.settle()
        assert not lanes.active
        for key in "abc":
            mine = [number for name, number in started if name == key]
            assert mine == [number for number, (name, _) in enumerate(items) if name == key]

    asyncio.run(play())


class Gated:
    """A lane's worth of work that stands still until a test opens the gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.ran: list[int] = []
        self.dropped: list[int] = []

    def work(self, number: int, *, begins: bool = True, of: Submitter | None = None) -> Work:
        async def run(begin: Begin) -> None:
            if begins:
                begin()
            await self.gate.wait()
            if not begins:
                begin()
            self.ran.append(number)

        return Work(run=run, drop=lambda: self.dropped.append(number), submitter=of or Submitter())


async def test_a_lane_takes_no_more_than_its_limit_beside_the_running_item() -> None:
    lanes, gated = Lanes(), Gated()
    taken = [lanes.submit("k", gated.work(0), limit=2)]
    await asyncio.sleep(0)
    taken += [lanes.submit("k", gated.work(number), limit=2) for number in range(1, 5)]
    assert taken == [Submitted.QUEUED] * 3 + [Submitted.FULL] * 2
    assert lanes.depth("k") == 2
    assert lanes.depth("other") == 0
    gated.gate.set()
    await lanes.settle()
    assert gated.ran == [0, 1, 2]


async def test_an_item_that_has_not_begun_counts_as_waiting() -> None:
    lanes, gated = Lanes(), Gated()
    lanes.submit("k", gated.work(0, begins=False))
    lanes.submit("k", gated.work(1))
    await asyncio.sleep(0)
    assert lanes.depths == {"k": 2}
    gated.gate.set()
    await lanes.settle()


async def test_items_handed_in_together_fill_a_lane_exactly_to_its_limit() -> None:
    lanes, gated = Lanes(), Gated()
    gated.gate.set()
    taken = [lanes.submit("k", gated.work(number), limit=2) for number in range(4)]
    assert taken == [Submitted.QUEUED] * 3 + [Submitted.FULL]
    assert lanes.submit("k", gated.work(9)) is Submitted.QUEUED
    await lanes.settle()
    assert gated.ran == [0, 1, 2, 9]


async def test_an_item_that_fails_does_not_take_those_behind_it_along(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lanes, gated = Lanes(), Gated()

    async def fail() -> None:
        raise RuntimeError("boom")

    gated.gate.set()
    lanes.submit("k", item(fail))
    lanes.submit("k", gated.work(1))
    await lanes.settle()
    assert gated.ran == [1]
    assert "boom" in caplog.text


async def test_closing_lets_what_has_begun_end_drops_what_waits_and_takes_no_more() -> None:
    lanes, gated = Lanes(), Gated()
    lanes.submit("k", gated.work(0))
    await asyncio.sleep(0)
    lanes.submit("k", gated.work(1))
    lanes.close()
    assert gated.dropped == [1]
    assert lanes.submit("k", gated.work(2)) is Submitted.CLOSED
    assert lanes.submit("other", gated.work(3)) is Submitted.CLOSED
    gated.gate.set()
    await lanes.settle()
    assert gated.ran == [0]


async def test_closing_cancels_an_item_in_flight_that_has_not_begun() -> None:
    lanes, gated = Lanes(), Gated()
    lanes.submit("k", gated.work(0, begins=False))
    await asyncio.sleep(0)
    lanes.close()
    gated.gate.set()
    await lanes.settle()
    assert gated.ran == []


async def test_work_that_begins_again_after_the_lane_was_closed_is_cancelled() -> None:
    lanes, gated = Lanes(), Gated()
    begun: list[int] = []

    async def twice(begin: Begin) -> None:
        for attempt in (1, 2):
            begin()
            begun.append(attempt)
            await gated.gate.wait()

    lanes.submit("k", Work(run=twice))
    await asyncio.sleep(0)
    lanes.close()
    gated.gate.set()
    await lanes.settle()
    assert begun == [1]


@pytest.mark.parametrize("rounds", range(4))
async def test_cancelling_ends_whatever_point_a_lane_has_reached(rounds: int) -> None:
    lanes, gated = Lanes(), Gated()
    for number in range(3):
        lanes.submit("k", gated.work(number))
    for _ in range(rounds):
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await lanes.cancel()
    assert (lanes.active, gated.ran) == ([], [])
    assert set(gated.dropped) >= {1, 2}


@pytest.mark.parametrize("rounds", range(4))
@pytest.mark.parametrize("begins", [True, False])
@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_who_leaves_takes_no_work_of_others_along(rounds: int, begins: bool, theirs: list[bool]) -> None:
    async def play() -> None:
        lanes, gated = Lanes(), Gated()
        leaving, staying = Submitter(), Submitter()
        for number, leaves in enumerate(theirs):
            lanes.submit("k", gated.work(number, begins=begins, of=leaving if leaves else staying))
        for _ in range(rounds):
            await asyncio.sleep(0)
        under_way = rounds > 0 and theirs[0] and begins
        lanes.leave(leaving)
        assert lanes.begun_of(leaving) == (["k"] if under_way else [])
        assert lanes.submit("k", gated.work(9, of=leaving)) is Submitted.CLOSED
        await lanes.cancel_of(leaving)
        assert lanes.submit("k", gated.work(7, of=staying)) is Submitted.QUEUED
        gated.gate.set()
        await lanes.settle()
        assert gated.ran == [*(number for number, leaves in enumerate(theirs) if not leaves), 7]
        assert set(gated.dropped) | {0} >= {number for number, leaves in enumerate(theirs) if leaves}
        assert lanes.active == []

    asyncio.run(play())


async def test_a_worker_that_others_cancel_before_its_first_step_leaves_no_lane_behind() -> None:
    lanes, gated = Lanes(), Gated()
    lanes.submit("k", gated.work(0))
    (worker,) = (task for task in asyncio.all_tasks() if task.get_name() == "octo:lane:k")
    worker.cancel()
    async with asyncio.timeout(10):
        await lanes.settle()
        await lanes.cancel()
    assert gated.dropped == [0]


async def test_a_full_lane_says_busy_once_for_a_burst_and_ends_every_message_of_it(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("a")], [Accepted("r"), Final("b")])
    await rig.start(rig.config(laneLength=1), host)
    running = await rig.under_way("a")
    waiting = await rig.mention("b")
    refused = [await rig.mention(f"too much {number}", who=BEN) for number in range(4)]
    for message_id in refused:
        assert await rig.until_row(message_id, "notified") == "lane full"
    assert rig.said() == [BUSY]
    host.release()
    await rig.until_answered(running, waiting)
    assert rig.said() == [BUSY, "a", "b"]


async def test_the_next_burst_gets_a_notice_of_its_own(rig: Rig) -> None:
    hanging: list[list[Step]] = [[Accepted("r"), HANG, Final(text)] for text in "abc"]
    host = await rig.start_with(ScriptedHost(*hanging), laneLength=1)
    await rig.under_way("a")
    await rig.mention("b")
    await rig.mentioned("refused", "notified")
    host.release()
    await host.wait_for_turns(2)
    await rig.mention("c")
    await rig.mentioned("refused again", "notified")
    host.release()
    await host.wait_for_turns(3)
    host.release()
    assert await rig.until_said(5) == [BUSY, "a", BUSY, "b", "c"]


async def test_a_busy_notice_that_cannot_be_sent_leaves_dead_letters(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("a")]), laneLength=1)
    await rig.under_way("a")
    await rig.mention("b")
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=400))
    detail = await rig.until_row(await rig.mention("refused"), "dead")
    assert "lane full" in detail
    host.release()


async def test_other_conversations_are_answered_while_one_hangs(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("late")]))
    await rig.under_way("hang")
    await rig.mentioned("quick", where=rig.thread)
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "quick"), "answered")
    host.release()
    assert await rig.until_said(1) == ["late"]


async def test_turns_at_once_are_limited_for_each_bot_and_in_all(rig: Rig) -> None:
    hanging: list[list[Step]] = [[Accepted("r"), HANG, Final(str(number))] for number in range(3)]
    host = await rig.start_with(ScriptedHost(*hanging), maxTurns=2)
    asked = {await rig.mention("one"), await rig.mention("two", where=rig.thread)}
    asked.add(await rig.octo.say(ANN, rig.dm, "three"))
    await host.wait_for_turns(2)
    (third,) = asked - {turn.message_id for turn in host.turns}
    await rig.until_row(third, "queued")
    assert len(host.turns) == 2
    host.release()
    await host.wait_for_turns(3)
    host.release()
    await rig.until_row(third, "answered")
