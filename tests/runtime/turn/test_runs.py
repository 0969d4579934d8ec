"""The budget of a run whose host waits."""

import asyncio
from collections.abc import Sequence

import pytest

from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.fair import FairSlots
from openclaw_channel_octo.host.base import Accepted, Block, Final, Waiting
from openclaw_channel_octo.runtime.turn.runs import GRACE_S, HOST_WITHIN_S, Runs
from openclaw_channel_octo.runtime.turn.stream import RunEnd, Stream, Told
from openclaw_channel_octo.session.status import Status
from openclaw_channel_octo.store.records import NewPost
from openclaw_channel_octo.testing import HANG, ManualClock, ScriptedHost
from openclaw_channel_octo.testing.host import Step
from tests.host.turns import a_turn
from tests.until import PATIENCE_S

BUDGET_S = 30.0


class Listener:
    async def begin(self) -> None:
        return

    def watch(self, seen: Stream) -> None:
        return

    async def taken(self) -> None:
        return

    async def interrupted(self, *, is_so: bool) -> None:
        pass

    async def deliver(self, said: Told, post: NewPost | None = None) -> Sequence[str]:
        raise StoreError("no space left")


async def begun(clock: ManualClock, host: ScriptedHost) -> asyncio.Task[RunEnd]:
    """Start a run and return what waits for its end."""
    run = Runs(host, clock, 1).run(a_turn(), BUDGET_S, FairSlots(1), Listener())
    task = asyncio.create_task(run)
    await clock.sleepers()
    return task


@pytest.mark.parametrize(
    ("steps", "left_s"),
    [
        ([Waiting(), HANG, Accepted("run-1"), Waiting(waits=False)], BUDGET_S + GRACE_S),
        ([Accepted("run-1")], BUDGET_S + GRACE_S - 500),
    ],
)
async def test_a_run_that_waits_for_its_host_has_its_whole_budget_afterwards(
    steps: list[Step], left_s: float
) -> None:
    clock, host = ManualClock(), ScriptedHost([*steps, HANG, Final("done")])
    running = await begun(clock, host)
    await clock.advance(500)
    assert running.done() == (left_s < 0)
    if left_s > 0:
        host.release()
        await clock.advance(left_s - 1)
        assert not running.done()
        await clock.advance(2)
    assert (await running).status == Status.TIMEOUT


async def test_a_run_whose_host_never_comes_back_is_given_up_after_an_hour() -> None:
    clock, host = ManualClock(), ScriptedHost([Waiting(), HANG])
    running = await begun(clock, host)
    await clock.advance(HOST_WITHIN_S - 60)
    assert not running.done()
    await clock.advance(120)
    assert (await running).status == Status.TIMEOUT


async def test_a_run_that_says_nothing_more_ends_at_once_where_what_it_said_cannot_be_posted() -> None:
    clock, host = ManualClock(), ScriptedHost([Accepted("run-1"), Block("a part"), HANG])
    running = await begun(clock, host)
    with pytest.raises(StoreError):
        await asyncio.wait_for(running, PATIENCE_S)
    assert host.aborts
