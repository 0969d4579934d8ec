"""The bot's own commands, answered past a busy lane."""

import pytest

from openclaw_channel_octo.host.base import Accepted, Final
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing.faults import ErrorAnswer
from openclaw_channel_octo.testing.host import HANG, ScriptedHost
from tests.runtime.rig import ANN, BEN, Rig

GROUP_KEY = "agent:main:octo:group:g1"


async def test_help_lists_the_commands_and_asks_no_agent(rig: Rig) -> None:
    host = ScriptedHost()
    await rig.start(rig.config(), host)
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "/help"), "answered")
    (text,) = rig.said(ChannelRef(ANN, 1))
    assert all(command in text for command in ("/status", "/stop", "/reset", "/help"))
    assert host.turns == []


async def test_an_unknown_word_with_a_slash_is_an_ordinary_message(rig: Rig) -> None:
    host = ScriptedHost()
    await rig.start(rig.config(), host)
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "/deploy now"), "answered")
    assert [turn.text for turn in host.turns] == ["/deploy now"]


async def test_the_owner_stops_a_running_turn_in_a_group(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("never")])
    await rig.start(rig.config(), host)
    running = await rig.mention("long job", who=BEN)
    await host.wait_for_turns(1)
    await rig.until_row(await rig.mention("/stop", who=ANN), "answered")
    await rig.until_row(running, "notified")
    assert sorted(rig.said()) == ["Stopping.", "⏹️ Stopped."]
    await rig.until_row(await rig.mention("next"), "answered")
    assert rig.said()[-1] == "echo: @Helper next"


@pytest.mark.parametrize("command", ["/stop", "/reset"])
async def test_others_may_not_stop_or_reset_in_a_group(rig: Rig, command: str) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("done")])
    await rig.start(rig.config(), host)
    await rig.mention("long job")
    await host.wait_for_turns(1)
    session_id = host.sessions[GROUP_KEY].session_id
    await rig.until_row(await rig.mention(command, who=BEN), "answered")
    assert rig.said() == ["Only the bot's owner may do that in a group."]
    assert host.sessions[GROUP_KEY].session_id == session_id
    host.release()
    assert (await rig.until_said(2))[-1] == "done"


async def test_everybody_resets_their_own_conversation(rig: Rig) -> None:
    host = ScriptedHost()
    await rig.start(rig.config(), host)
    await rig.until_row(await rig.octo.say(BEN, rig.dm, "remember me"), "answered")
    before = host.sessions["agent:main:octo:direct:ben"].session_id
    await rig.until_row(await rig.octo.say(BEN, rig.dm, "/reset"), "answered")
    assert host.sessions["agent:main:octo:direct:ben"].session_id != before


async def test_status_tells_the_session_and_what_waits(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("done")])
    await rig.start(rig.config(), host)
    await rig.mention("long job")
    await host.wait_for_turns(1)
    await rig.mention("waits")
    await rig.until_row(await rig.mention("/status"), "answered")
    assert rig.said() == ["Session: running\nWaiting messages: 1"]
    host.release()
    await rig.until_said(3)


async def test_nothing_to_stop_is_said(rig: Rig) -> None:
    await rig.start(rig.config(), ScriptedHost())
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "/stop"), "answered")
    assert rig.said(ChannelRef(ANN, 1)) == ["Nothing is running here."]


async def test_a_command_whose_answer_cannot_be_sent_is_a_dead_letter(rig: Rig) -> None:
    await rig.start(rig.config(), ScriptedHost())
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=400))
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "/help"), "dead")
