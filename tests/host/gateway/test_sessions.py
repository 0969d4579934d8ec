"""Sessions of a gateway that take no run now, or none any more: what becomes of a turn there."""

import asyncio
from pathlib import Path

import pytest

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.config.model import GatewayHostConfig
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import Failed, Final, Waiting
from openclaw_channel_octo.host.configure import gateway_from_config
from openclaw_channel_octo.host.gateway.connection import GatewayState
from openclaw_channel_octo.host.gateway.runs import MOST_SPOILED
from openclaw_channel_octo.host.gateway.sessions import MOST_MEMORY
from openclaw_channel_octo.host.gateway.settings import Settings
from openclaw_channel_octo.session.status import Status
from openclaw_channel_octo.testing.gateway.server import Asked, Break, FakeGateway, Hang, Reply, Say
from tests.host.gateway.test_host import KEY, OLD, end_of, events_of, hosted, turn
from tests.runtime.rig import FastClock
from tests.until import until

ROW = KEY.lower()
NOT_YET = Break(f'Session "{KEY}" changed while starting work. Retry. | SESSION_WORK_START_CHANGED')
SPOILED = Break(
    "EmbeddedAttemptSessionTakeoverError: session file changed while embedded prompt lock was released"
)
LOCKED = Break("SessionWriteLockTimeoutError: session file locked (timeout 60000ms): pid=1 a.jsonl.lock")


@pytest.fixture
def clock() -> Clock:
    return FastClock(20.0)


def one_by_one(gateway: FakeGateway, *replies: Reply) -> None:
    """Answer the runs with these, the last one with every further run."""
    left = list(replies)
    gateway.answer(lambda _: left.pop(0) if len(left) > 1 else left[0])


def told(asked: Asked) -> str:
    return str(asked.params.get("extraSystemPrompt", ""))


async def test_a_session_that_is_recovered_is_waited_for_and_the_turn_is_answered_once(
    gateway: FakeGateway, tmp_path: Path, clock: Clock
) -> None:
    async with hosted(gateway, tmp_path, clock) as host:
        one_by_one(gateway, NOT_YET, NOT_YET, Say("now"))
        events = await events_of(host, turn())
    assert [event for event in events if isinstance(event, Waiting | Final)] == [
        *(Waiting(), Waiting(waits=False), Waiting(), Waiting(waits=False)),
        Final("now"),
    ]
    assert len({asked.run_id for asked in gateway.asked}) == 3  # the gateway tells an end it has told again
    assert all(asked.run_id.startswith("run-1") for asked in gateway.asked)
    assert {asked.session_key for asked in gateway.asked} == {ROW}


async def test_a_session_that_is_never_ready_ends_the_turn_once_its_patience_is_used_up(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    clock = FastClock(100.0)
    async with hosted(gateway, tmp_path, clock) as host:
        gateway.answer(lambda _: NOT_YET)
        began = clock.now()
        end = await end_of(host, turn(budget_s=30.0))
    assert isinstance(end, Failed)
    assert "Retry" in end.message
    assert 90 <= clock.now() - began < 150


async def test_a_turn_that_waits_for_its_session_can_be_stopped(gateway: FakeGateway, tmp_path: Path) -> None:
    async with hosted(gateway, tmp_path, FastClock(5.0)) as host:
        gateway.answer(lambda _: NOT_YET)
        running = asyncio.create_task(end_of(host, turn(budget_s=10_000.0)))
        await until(lambda: len(gateway.asked) > 1)
        assert await host.abort(KEY, "run-1")
        end = await running
    assert isinstance(end, Failed)
    assert end.status == Status.KILLED


async def test_a_run_whose_gateway_is_away_can_be_stopped(
    gateway: FakeGateway, tmp_path: Path, clock: Clock
) -> None:
    async with hosted(gateway, tmp_path, clock) as host:
        gateway.answer(Hang())
        running = asyncio.create_task(end_of(host, turn(budget_s=10_000.0)))
        await until(lambda: gateway.asked)
        await gateway.kill()
        await until(lambda: host.connection.state is GatewayState.CONNECTING)
        assert await host.abort(KEY, "run-1")
        end = await running
    assert isinstance(end, Failed)
    assert end.status == Status.KILLED


async def test_a_run_that_was_asked_for_again_is_taken_up_by_the_next_process(
    gateway: FakeGateway, tmp_path: Path, clock: Clock
) -> None:
    one_by_one(gateway, NOT_YET, Hang(Say("of the second run")))
    async with hosted(gateway, tmp_path, clock) as host:
        lost = asyncio.create_task(end_of(host, turn()))
        await until(lambda: len(gateway.asked) == 2 and gateway.sessions[ROW]["status"] == "running")
        since = clock.wall_ms()
        lost.cancel()
    async with hosted(gateway, tmp_path, clock) as host:
        again = asyncio.create_task(end_of(host, turn(resumed=True, lost_since_ms=since)))
        await until(lambda: "agent.wait" in gateway.calls)
        gateway.runs.release()
        assert await again == Final("of the second run")
    assert len(gateway.asked) == 2


async def test_a_session_its_gateway_gave_up_goes_on_in_the_one_the_gateway_makes_of_it(
    gateway: FakeGateway, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with hosted(gateway, tmp_path, clock) as host:
        gateway.answer(lambda asked: Say(f"echo: {asked.message}") if asked.params else Hang())
        await end_of(host, turn("before"))
        gateway.tombstoned.add(ROW)
        assert await end_of(host, turn("after", run_id="run-2")) == Final("echo: [ann] after")
        (successor,) = {asked.session_key for asked in gateway.asked} - {ROW}
        assert (await host.describe(KEY)) is not None
    assert ":dashboard:" in successor
    assert "before" in str(gateway.runs.histories[successor])  # nothing has to be told
    assert "before" not in told(gateway.asked[-1])
    assert f"session {KEY} goes on as {successor}" in caplog.text
    async with hosted(gateway, tmp_path, clock) as again:  # kept in a file
        await end_of(again, turn("later", run_id="run-3"))
    assert gateway.asked[-1].session_key == successor


@pytest.mark.parametrize(
    "dead", [LOCKED, Break('Session "x" is quarantined after restart recovery exhaustion')]
)
async def test_any_other_dead_session_goes_on_in_a_new_one_that_is_told_what_was_said(
    gateway: FakeGateway, tmp_path: Path, clock: Clock, dead: Break
) -> None:
    async with hosted(gateway, tmp_path, clock) as host:
        await end_of(host, turn("my name is Ann\n[bob (bob)] not me"))
        gateway.answer(dead, session_key=ROW)
        assert await end_of(host, turn("who am I?", run_id="run-2")) == Final("echo: [ann] who am I?")
        assert await end_of(host, turn("still?", run_id="run-3")) == Final("echo: [ann] still?")
    assert [asked.session_key for asked in gateway.asked] == [ROW, ROW, f"{ROW}~2", f"{ROW}~2"]
    for asked in gateway.asked[2:]:
        assert "They: [ann] my name is Ann\n>     [bob (bob)] not me" in told(asked)
        assert "You: echo: [ann] my name is Ann" in told(asked)
    assert "my name" not in told(gateway.asked[1])


async def test_a_conversation_that_leaves_session_after_session_keeps_the_newest_of_its_memory(
    gateway: FakeGateway, tmp_path: Path, clock: Clock
) -> None:
    async with hosted(gateway, tmp_path, clock) as host:
        for number in range(1, 7):
            key = ROW if number == 1 else f"{ROW}~{number}"
            await end_of(host, turn(f"word{number} " + "x" * 3_000, run_id=f"a{number}"))
            assert gateway.asked[-1].session_key == key
            gateway.answer(LOCKED, session_key=key)
        await end_of(host, turn("end", run_id="end"))
    memory = told(gateway.asked[-1])
    assert gateway.asked[-1].session_key == f"{ROW}~7"
    assert "word6" in memory
    assert "word3" not in memory
    assert len(memory) < MOST_MEMORY + 1_000


@pytest.mark.parametrize(("spoiled", "key"), [(1, ROW), (MOST_SPOILED + 1, f"{ROW}~2")])
async def test_a_run_that_broke_over_the_end_of_the_one_before_it_is_run_again(
    spoiled: int, key: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeGateway(version=OLD) as gateway, hosted(gateway, tmp_path, clock) as host:
        one_by_one(gateway, *[SPOILED] * spoiled, Say("fine"))
        events = await events_of(host, turn(budget_s=10_000.0))
    assert events[-1] == Final("fine")
    assert len(gateway.asked) == spoiled + 1
    assert gateway.asked[-1].session_key == key


async def test_a_session_whose_stopped_run_holds_it_is_left_once_the_next_run_shows_no_sign_of_life(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FastClock(20.0)
    async with FakeGateway(version=OLD) as gateway, hosted(gateway, tmp_path, clock) as host:
        await end_of(host, turn("remember me", run_id="run-0"))
        gateway.runs.wedges = True
        gateway.answer(Hang())
        running = asyncio.create_task(end_of(host, turn()))
        await until(lambda: len(gateway.asked) == 2)
        await host.abort(KEY, "run-1")
        assert isinstance(await running, Failed)
        gateway.runs.wedges = False
        gateway.answer(lambda asked: Say(f"echo: {asked.message}"))
        events = await events_of(host, turn("again", run_id="run-3"))
    assert events[-1] == Final("echo: [ann] again")
    assert [asked.session_key for asked in gateway.asked[2:]] == [ROW, f"{ROW}~2"]
    assert "remember me" in told(gateway.asked[-1])
    assert "no sign of life" in caplog.text


async def test_a_slow_run_behind_a_good_one_is_left_alone(tmp_path: Path) -> None:
    clock = FastClock(1_000.0)
    async with FakeGateway(version=OLD) as gateway, hosted(gateway, tmp_path, clock) as host:
        await end_of(host, turn())
        async with gateway.runs._lanes[ROW]:  # somebody else's run
            slow = asyncio.create_task(end_of(host, turn(run_id="run-2", budget_s=100_000.0)))
            began = clock.now()
            await until(lambda: clock.now() > began + 60)
        assert await slow == Final("echo: [ann] hello")
    assert {asked.session_key for asked in gateway.asked} == {ROW}


async def test_a_reset_begins_a_session_without_memory_and_needs_no_further_scope(
    gateway: FakeGateway, tmp_path: Path, clock: Clock
) -> None:
    async with hosted(gateway, tmp_path, clock) as host:
        await end_of(host, turn("a secret"))
        assert (await host.reset(KEY)).session_key == KEY
        assert await host.describe(KEY) is None
        await end_of(host, turn("hello?", run_id="run-2"))
    assert gateway.asked[-1].session_key == f"{ROW}~2"
    assert "a secret" not in told(gateway.asked[-1])
    assert "sessions.reset" not in gateway.calls
    assert gateway.runs.histories[ROW]  # the operator still has it


@pytest.mark.parametrize("version", ["2026.9.6", OLD])
async def test_a_conversation_that_leaves_its_session_keeps_the_model_and_level_it_was_set_to(
    version: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeGateway(version=version) as gateway, hosted(gateway, tmp_path, clock) as host:
        await host.connection.ready()
        chosen = Settings(model="stub/stub-2", thinking="low")
        await host.sessions.settings.change(KEY, chosen, "key")
        gateway.answer(LOCKED, session_key=ROW)
        assert await end_of(host, turn()) == Final("echo: [ann] hello")
        successor = await host.sessions.settings.row(host.sessions.key(KEY))
    assert (successor["key"], successor["model"], successor["thinkingLevel"]) == (f"{ROW}~2", "stub-2", "low")


async def test_a_reset_while_the_gateway_is_away_goes_on_with_the_usual_model_and_says_so(
    gateway: FakeGateway, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with hosted(gateway, tmp_path, clock) as host:
        await gateway.kill()
        await until(lambda: host.connection.state is GatewayState.CONNECTING)
        await host.reset(KEY)
        assert host.sessions.key(KEY) == f"{KEY}~2"
    assert "goes on without its model and thinking level" in caplog.text


@pytest.mark.parametrize("text", ["/new", " /RESET now", "／model x", "!stop", "*/think*"])
async def test_a_direct_message_is_no_command_of_the_gateway(
    text: str, gateway: FakeGateway, tmp_path: Path, clock: Clock
) -> None:
    async with hosted(gateway, tmp_path, clock) as host:
        await end_of(host, turn(text, conversation="direct"))
    assert gateway.asked[-1].message == f"[ann] {text}"


async def test_a_broken_list_of_sessions_stops_the_start_and_is_named(
    gateway: FakeGateway, tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "sessions.json").write_text('{"sessions": [1]}')
    with pytest.raises(HostError, match=r"sessions\.json is not the list of sessions.*move it away"):
        async with hosted(gateway, tmp_path, clock):
            pass
    assert gateway.connects == 0


async def test_a_list_of_sessions_that_cannot_be_written_is_told_and_the_turn_is_answered(
    gateway: FakeGateway, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with hosted(gateway, tmp_path, clock) as host:
        (tmp_path / "sessions.json").mkdir()
        gateway.answer(LOCKED, session_key=ROW)
        assert await end_of(host, turn()) == Final("echo: [ann] hello")
    assert "sessions.json cannot be written" in caplog.text


async def test_a_host_that_is_configured_with_the_admin_scope_does_not_ask_for_it(
    gateway: FakeGateway, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    config = GatewayHostConfig.model_validate(
        {
            "url": gateway.url,
            "token": gateway.token,
            "scopes": ["operator.read", "operator.write", "operator.admin"],
            "stateDir": tmp_path,
        }
    )
    host = gateway_from_config(config, clock)
    await host.start()
    hello = await host.connection.ready()
    await host.stop()
    assert hello.scopes == {"operator.read", "operator.write"}
    assert "operator.admin is not asked for" in caplog.text


async def test_a_scope_that_was_not_granted_is_told_at_the_start(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeGateway(scopes=("operator.read",)) as gateway, hosted(gateway, tmp_path, clock) as host:
        await host.connection.ready()
    assert "the gateway did not grant operator.write" in caplog.text
    assert "openclaw devices approve" in caplog.text
