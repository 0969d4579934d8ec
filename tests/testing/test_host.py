"""The scripted host keeps the host contract and lets tests break it on purpose."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import (
    Accepted,
    AgentHost,
    Block,
    Delta,
    Failed,
    Final,
    Recovery,
    Skipped,
    Turn,
    TurnEvent,
)
from openclaw_channel_octo.session.status import SessionSnapshot
from openclaw_channel_octo.testing import HANG, ManualClock, ScriptedHost
from tests.host.turns import a_turn

KEY = "agent:main:octo:group:g1"


def turn(run_id: str = "run-1", text: str = "hi") -> Turn:
    return a_turn(run_id=run_id, session_key=KEY, text=text)


async def play(host: ScriptedHost, one: Turn | None = None) -> Sequence[TurnEvent]:
    return [event async for event in host.run(one or turn())]


async def status(host: ScriptedHost) -> tuple[str | None, str | None] | None:
    snapshot = await host.describe(KEY)
    return (snapshot.status, snapshot.last_run_id) if snapshot else None


async def test_it_is_an_agent_host(scripted_host: ScriptedHost) -> None:
    host: AgentHost = scripted_host

    assert isinstance(host, AgentHost)
    await host.start()
    assert scripted_host.running
    await host.stop()
    assert not scripted_host.running


async def test_without_a_script_it_echoes(scripted_host: ScriptedHost) -> None:
    assert await play(scripted_host) == [Accepted("run-1"), Final("echo: hi")]
    assert await status(scripted_host) == ("done", "run-1")
    assert scripted_host.turns == [turn()]


async def test_turns_take_the_scripts_in_order_and_then_the_default() -> None:
    host = ScriptedHost([Final("one")], [Block("two"), Final()], default=lambda _: [Final("more")])
    host.script(Final("three"))

    played = [await play(host, turn(f"run-{number}")) for number in range(4)]

    assert played == [[Final("one")], [Block("two"), Final()], [Final("three")], [Final("more")]]


@pytest.mark.parametrize("ending", ["failed", "timeout", "killed"])
async def test_a_failed_turn_leaves_its_status_and_the_same_session(ending: str) -> None:
    host = ScriptedHost([Final("fine")], [Delta("so far"), Failed(ending, "why")])
    await play(host)
    session_id = host.sessions[KEY].session_id

    assert await play(host, turn("run-2")) == [Delta("so far"), Failed(ending, "why")]

    assert await status(host) == (ending, "run-2")
    assert host.sessions[KEY].session_id == session_id


@pytest.mark.parametrize("error", [HostError("the gateway is gone"), ZeroDivisionError("a bug")])
async def test_an_error_is_raised_where_it_stands_in_the_script(error: Exception) -> None:
    host = ScriptedHost([Accepted("run-1"), error])
    stream = host.run(turn())

    assert await anext(stream) == Accepted("run-1")
    with pytest.raises(type(error), match=str(error)):
        await anext(stream)

    assert await status(host) == ("failed", "run-1")


async def test_a_run_that_hangs_is_running_until_it_is_released(manual_clock: ManualClock) -> None:
    host = ScriptedHost([Accepted("run-1"), HANG, Final("at last")], clock=manual_clock)
    running = asyncio.create_task(play(host))
    assert await host.wait_for_turns(1) == turn()
    await manual_clock.advance(60)
    assert await status(host) == ("running", "run-1")

    host.release()

    assert await running == [Accepted("run-1"), Final("at last")]
    snapshot = host.sessions[KEY]
    assert (snapshot.status, snapshot.runtime_ms) == ("done", 60_000)


async def test_an_aborted_run_ends_as_killed() -> None:
    host = ScriptedHost([Accepted("run-1"), HANG, Final("never seen")])
    running = asyncio.create_task(play(host))
    await host.wait_for_turns(1)

    assert await host.abort(KEY, "run-1")

    assert await running == [Accepted("run-1"), Failed("killed", "aborted")]
    assert await status(host) == ("killed", "run-1")
    assert host.aborts == [(KEY, "run-1")]
    assert not await host.abort(KEY, "run-1")


async def test_a_deaf_run_goes_on_after_its_abort() -> None:
    host = ScriptedHost([HANG, Final("a ghost")])
    host.ignores_abort = True
    running = asyncio.create_task(play(host))
    await host.wait_for_turns(1)

    assert await host.abort(KEY, "run-1")
    host.release()

    assert await running == [Final("a ghost")]


async def test_stopping_aborts_what_runs(scripted_host: ScriptedHost) -> None:
    scripted_host.script(HANG)
    running = asyncio.create_task(play(scripted_host))
    await scripted_host.wait_for_turns(1)

    await scripted_host.stop()

    assert await running == [Failed("killed", "aborted")]


async def test_closing_the_stream_kills_the_run(scripted_host: ScriptedHost) -> None:
    async with aclosing(scripted_host.run(turn())) as stream:
        assert await anext(stream) == Accepted("run-1")

    assert await status(scripted_host) == ("killed", "run-1")


async def test_leaving_after_the_terminal_event_keeps_its_status(scripted_host: ScriptedHost) -> None:
    scripted_host.script(Final("done"))
    async with aclosing(scripted_host.run(turn())) as stream:
        assert await anext(stream) == Final("done")

    assert await status(scripted_host) == ("done", "run-1")


async def test_a_cancelled_run_is_killed(scripted_host: ScriptedHost) -> None:
    scripted_host.script(Accepted("run-1"), HANG)
    running = asyncio.create_task(play(scripted_host))
    await scripted_host.wait_for_turns(1)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert await status(scripted_host) == ("killed", "run-1")


async def test_a_skipped_or_empty_turn_leaves_the_session_as_it_was(scripted_host: ScriptedHost) -> None:
    scripted_host.script()
    assert await play(scripted_host) == []
    assert await status(scripted_host) is None

    scripted_host.set_status(KEY, "failed", run_id="before")
    scripted_host.script(Skipped("session failed"))
    assert await play(scripted_host) == [Skipped("session failed")]
    assert await status(scripted_host) == ("failed", "before")


async def test_an_accepted_run_without_an_end_leaves_running_behind(scripted_host: ScriptedHost) -> None:
    scripted_host.script(Accepted("run-1"))

    assert await play(scripted_host) == [Accepted("run-1")]
    assert await status(scripted_host) == ("running", "run-1")


async def test_a_strict_host_skips_every_turn_of_a_failed_session_until_it_is_recovered() -> None:
    host = ScriptedHost(strict=True)
    host.set_status(KEY, "failed")

    assert await play(host) == [Skipped("the session is failed")]
    snapshot = await host.describe(KEY)
    assert snapshot is not None
    assert await host.recover(snapshot) is Recovery.RECOVERED

    recovered = host.sessions[KEY]
    assert (recovered.status, recovered.last_run_id, recovered.session_id) == (None, None, "session-1")
    assert await play(host, turn("run-2")) == [Accepted("run-2"), Final("echo: hi")]


async def test_recovery_of_what_has_changed_is_a_conflict(scripted_host: ScriptedHost) -> None:
    scripted_host.set_status(KEY, "failed", run_id="old")
    old = scripted_host.sessions[KEY]
    scripted_host.set_status(KEY, "failed", run_id="new")

    assert await scripted_host.recover(old) is Recovery.CONFLICT
    assert await scripted_host.recover(SessionSnapshot(session_key="unknown")) is Recovery.CONFLICT
    assert scripted_host.recoveries[0] == old
    assert await status(scripted_host) == ("failed", "new")


async def test_a_test_can_ask_for_conflicts_and_failing_lookups(scripted_host: ScriptedHost) -> None:
    scripted_host.set_status(KEY, "failed")
    snapshot = scripted_host.sessions[KEY]
    scripted_host.conflicts = 1
    assert [await scripted_host.recover(snapshot) for _ in range(2)] == [
        Recovery.CONFLICT,
        Recovery.RECOVERED,
    ]

    scripted_host.describe_error = HostError("disk")
    with pytest.raises(HostError, match="disk"):
        await scripted_host.describe(KEY)


async def test_a_reset_session_has_a_new_id_and_no_status(scripted_host: ScriptedHost) -> None:
    await play(scripted_host)
    before = scripted_host.sessions[KEY]

    fresh = await scripted_host.reset(KEY)

    assert (fresh.status, fresh.session_key) == (None, KEY)
    assert fresh.session_id != before.session_id
    assert await scripted_host.describe(KEY) == fresh


async def test_waiting_for_a_turn_that_never_comes_times_out(scripted_host: ScriptedHost) -> None:
    with pytest.raises(TimeoutError):
        await scripted_host.wait_for_turns(1, timeout=0.001)
