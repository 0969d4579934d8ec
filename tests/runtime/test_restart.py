"""Across a restart: nothing that was acknowledged is forgotten, nothing is said twice."""

import os

import pytest

from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import Accepted, Block, Final
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.runtime.connection.supervisor import LinkState
from openclaw_channel_octo.runtime.connection.transport import Transport, open_websocket
from openclaw_channel_octo.testing.host import HANG, ScriptedHost
from tests.runtime.rig import ANN, HELPER, RESTART, Rig, python_agent
from tests.until import until

TEXTS = Texts()


async def test_messages_that_waited_are_answered_after_a_restart_in_their_order(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("never shown")]))
    first = await rig.mentioned("first", "running")
    second, third = await rig.mention("second"), await rig.mention("third")
    await rig.until_row(second, "queued")
    await rig.until_row(third, "queued")
    await rig.stop()

    again = await rig.start_with(ScriptedHost())
    assert await rig.until_said(3) == [f"echo: @Helper {word}" for word in ("first", "second", "third")]
    assert [(turn.message_id, turn.attempt, turn.resumed) for turn in again.turns] == [
        (first, 2, True),
        (second, 1, False),
        (third, 1, False),
    ]
    assert again.turns[0].run_id != host.turns[0].run_id


async def test_a_lane_that_was_full_is_taken_up_whole(rig: Rig) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), HANG]), laneLength=2)
    await rig.under_way("0")
    for number in (1, 2):
        await rig.mentioned(str(number), "queued")
    await rig.stop()
    await rig.start(rig.config(laneLength=2), ScriptedHost())
    assert await rig.until_said(3) == [f"echo: @Helper {number}" for number in range(3)]


async def test_an_answer_that_was_half_shown_is_owned_up_to_and_not_repeated(rig: Rig) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), Block("part one"), HANG, Final("part two")]))
    message_id = await rig.mention("go")
    await rig.until_said(1)
    await rig.stop()

    again = await rig.start_with(ScriptedHost())
    await rig.until_row(message_id, "notified")
    assert rig.said() == ["part one", TEXTS.cut_off]
    assert again.turns == []


async def test_a_message_under_which_two_processes_died_is_given_up_with_a_notice(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG], [Accepted("r"), HANG]))
    message_id = await rig.mentioned("poison", "running")
    await rig.stop()
    await rig.start(rig.config(), host)
    await host.wait_for_turns(2)
    await rig.until_attempt(message_id, 2)
    await rig.stop()
    await rig.start(rig.config(), ScriptedHost())
    detail = await rig.until_row(message_id, "notified")
    assert "2 processes" in detail
    assert rig.said() == [TEXTS.failed]


async def test_an_answered_message_is_not_answered_again_when_the_server_repeats_it(rig: Rig) -> None:
    await rig.start(rig.config())
    await rig.mentioned("once")
    acks = len(rig.octo.acks)
    await rig.stop()
    await rig.start(rig.config())
    line = rig.octo.chat(rig.group)[0]
    await rig.repeat(line)
    await rig.octo.wait_for(lambda: len(rig.octo.acks) > acks)
    await rig.mentioned("twice")
    assert rig.said() == ["@Helper once", "@Helper twice"]


async def test_a_turn_the_process_died_in_is_announced_and_run_again(rig: Rig) -> None:
    await rig.start(rig.config(agent=python_agent("time.sleep(60)")))
    message_id = await rig.mentioned("work", "running")
    await rig.until_session("running")
    entry = rig.session()
    await rig.stop()
    rig.write_session(entry)  # as a killed process leaves it

    await rig.start(rig.config())
    await rig.until_row(message_id, "answered")
    assert rig.said() == [RESTART, "@Helper work"]


async def test_draining_lets_the_running_turn_end_and_keeps_what_waits(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("finished")]))
    running, waiting = await rig.mention("one"), await rig.mention("two")
    await host.wait_for_turns(1)
    await rig.until_row(waiting, "queued")
    host.release()
    assert await rig.channel.stop(10)
    assert rig.said() == ["finished"]
    assert {message_id: row[0] for message_id, row in rig.rows().items()} == {
        running: "answered",
        waiting: "queued",
    }


async def test_a_turn_that_outlives_the_draining_is_reported_as_cut_short(fast_rig: Rig) -> None:
    await fast_rig.start_with(ScriptedHost([Accepted("r"), HANG]))
    message_id = await fast_rig.under_way("one")
    assert not await fast_rig.channel.stop(2)
    assert fast_rig.rows()[message_id][0] == "running"


async def test_the_rows_tell_which_messages_ended_an_answer(rig: Rig) -> None:
    await rig.start(rig.config(replyChunk=100, agent=python_agent("print('word ' * 60)")))
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "long"), "answered")
    chunks = rig.sql("SELECT state, message_id, text, ref FROM delivery ORDER BY position")
    assert len(chunks) > 2
    lines = rig.octo.chat(rig.dm)[1:]
    assert [(line.message_id, line.text) for line in lines] == [(row[1], row[2]) for row in chunks]
    assert [line.payload["client_ref"] for line in lines] == [row[3] for row in chunks]
    assert {row[0] for row in chunks} == {"sent"}


async def test_a_second_host_for_the_same_channel_is_refused(rig: Rig) -> None:
    await rig.start(rig.config())
    with pytest.raises(HostError, match="another host"):
        await rig.channel.start("helper", ScriptedHost())


async def test_a_bot_that_another_process_runs_waits_and_takes_over_when_that_ends(fast_rig: Rig) -> None:
    await fast_rig.start(fast_rig.config(), ScriptedHost())
    first = fast_rig.channel
    elsewhere = fast_rig.config(host={"stateDir": str(fast_rig.state_dir / "other")})
    config = parse_config(elsewhere, base=fast_rig.state_dir).config
    second = OctoChannel(config, clock=fast_rig.clock)
    await second.start("helper", ScriptedHost())
    registers = len(fast_rig.calls("register"))
    await until(lambda: second.status().bots["helper"].state is LinkState.PAUSED, "the second bot waits")
    await fast_rig.clock.sleep(10)
    waiting = second.status().bots["helper"]
    assert waiting.state is LinkState.PAUSED
    assert f"process {os.getpid()}" in waiting.why
    assert len(fast_rig.calls("register")) == registers
    await first.stop(0)
    await fast_rig.octo.wait_for(lambda: len(fast_rig.calls("register")) > registers)
    await fast_rig.octo.wait_for(lambda: fast_rig.octo.online(HELPER))
    await second.stop(0)


async def test_a_bot_that_breaks_begins_again_and_answers_each_message_once(
    fast_rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig, breaks = fast_rig, [RuntimeError("nobody foresaw this")]

    async def open_transport(url: str) -> Transport:
        if breaks and rig.calls("sendMessage"):
            raise breaks.pop()
        return await open_websocket(url)

    await rig.start(rig.config(), ScriptedHost(), open_transport=open_transport)
    await rig.mentioned("before")
    rig.octo.drop_connections(HELPER)
    await rig.octo.wait_for(lambda: not rig.octo.online(HELPER))
    await rig.octo.wait_for(lambda: rig.octo.online(HELPER))
    await rig.mentioned("after")
    assert rig.said() == ["echo: @Helper before", "echo: @Helper after"]
    assert "nobody foresaw this" in caplog.text


async def test_a_host_that_is_restarted_under_the_bot_leaves_no_message_without_an_end(rig: Rig) -> None:
    await rig.start(
        rig.config(agent=python_agent("time.sleep(60 if 'slow' in prompt else 0)\nprint('done')"))
    )
    assert rig.host is not None
    running = await rig.mention("slow")
    await rig.until_session("running")
    await rig.host.stop()
    await rig.until_row(running, "notified")
    await rig.mentioned("while it is down", "notified")
    await rig.host.start()
    await rig.mentioned("after")
    assert rig.said() == ["⏹️ Stopped.", TEXTS.failed, RESTART, "done"]
