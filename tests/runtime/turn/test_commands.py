"""The bot's own commands, answered past a busy lane."""

import pytest

from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.config.model import GatewayHostConfig
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import Accepted, Final
from openclaw_channel_octo.host.commands import CommandCall, HostCommand
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.policy.commands import COMMANDS
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.session.route import Routing
from openclaw_channel_octo.testing import HANG, ErrorAnswer, Hang, ScriptedHost
from tests.runtime.rig import ANN, BEN, HELPER, OTHER, Rig

OWNER_ONLY = "Only the bot's owner, or somebody they have named for it, may do that here."
GROUP_KEY = "agent:main:octo:group:g1"


def offered_in(answer: str) -> list[str]:
    """Return the commands that an answer to ``/help`` lists."""
    return [line.split()[0] for line in answer.splitlines()]


class HostWithCommands(ScriptedHost):
    """A host of somebody else with commands of its own."""

    commands = (
        HostCommand(name="/weather", words=("/w", "/stop"), help="/weather place – the weather"),
        HostCommand(name="/paint", help="/paint – paint the session", changes=True),
        HostCommand(name="/secret"),
    )

    async def command(self, call: CommandCall) -> str:
        """Answer one."""
        if call.name == "/secret":
            raise HostError("there is none")
        return f"{call.name} {call.argument}".strip()


class AskingHost(ScriptedHost):
    """A host whose agents ask for leave in an interface of its own."""

    approvals_in = ""


async def test_help_lists_what_who_asks_may_do_there_and_asks_no_agent(rig: Rig, host: ScriptedHost) -> None:
    for uid, where in ((BEN, rig.dm), (ANN, rig.group), (BEN, rig.group)):
        mention = [HELPER] if where == rig.group else []
        await rig.until_row(await rig.octo.say(uid, where, "/Help", mention=mention), "answered")
    owners, others = rig.said()
    assert offered_in(owners) == ["/status", "/stop", "/reset", "/whoami", "/help"]
    assert offered_in(others) == ["/status", "/whoami", "/help"]
    assert rig.said(ChannelRef(BEN, 1)) == [owners]
    assert host.turns == []


async def test_every_command_has_an_answer_of_its_own(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost())
    for command in COMMANDS:
        await rig.until_row(await rig.octo.say(ANN, rig.dm, command), "answered")
    assert len(set(rig.said(ChannelRef(ANN, 1)))) == len(COMMANDS)
    assert host.turns == []


@pytest.mark.parametrize("text", ["/deploy now", "/model stub"])
async def test_an_unknown_word_with_a_slash_is_an_ordinary_message(
    rig: Rig, host: ScriptedHost, text: str
) -> None:
    await rig.until_row(await rig.octo.say(ANN, rig.dm, text), "answered")
    assert [turn.text for turn in host.turns] == [text]


async def test_the_owner_stops_a_running_turn_in_a_group(rig: Rig) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("never")]))
    running = await rig.under_way("long job", who=BEN)
    await rig.until_row(await rig.mention("/stop", who=ANN), "answered")
    await rig.until_row(running, "notified")
    assert sorted(rig.said()) == ["Stopping.", "⏹️ Stopped."]
    await rig.mentioned("next")
    assert rig.said()[-1] == "echo: @Helper next"


@pytest.mark.parametrize("command", ["/stop", "/reset", "/NEW", "停"])
async def test_others_may_not_stop_or_reset_in_a_group(rig: Rig, command: str) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("done")]))
    await rig.under_way("long job")
    session_id = host.sessions[GROUP_KEY].session_id
    await rig.until_row(await rig.mention(command, who=BEN), "answered")
    assert rig.said() == [OWNER_ONLY]
    assert host.sessions[GROUP_KEY].session_id == session_id
    host.release()
    assert (await rig.until_said(2))[-1] == "done"


@pytest.mark.parametrize("command", ["/reset", "/new", "／New。", "/重置"])
async def test_everybody_resets_their_own_conversation(rig: Rig, host: ScriptedHost, command: str) -> None:
    await rig.until_row(await rig.octo.say(BEN, rig.dm, "remember me"), "answered")
    before = host.sessions["agent:main:octo:direct:ben"].session_id
    await rig.until_row(await rig.octo.say(BEN, rig.dm, command), "answered")
    assert host.sessions["agent:main:octo:direct:ben"].session_id != before


async def test_status_tells_the_session_and_what_waits(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("done")]))
    await rig.under_way("long job")
    await rig.mention("waits")
    await rig.mentioned("/status")
    assert rig.said() == ["Session: running\nWaiting messages: 1"]
    host.release()
    await rig.until_said(3)


@pytest.mark.parametrize(
    "said", ["stop", "停止", "取消", "abort", "Stop!", "／STOP", "/stop@Helper", "/停止。"]
)
async def test_every_way_to_say_stop_stops_a_running_turn(rig: Rig, said: str) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("never")]))
    running = await rig.under_way("long job")
    await rig.mentioned(said)
    await rig.until_row(running, "notified")
    assert sorted(rig.said()) == ["Stopping.", "⏹️ Stopped."]
    assert len(host.turns) == 1


@pytest.mark.parametrize("said", ["stop", "取消"])
async def test_a_stop_word_with_nothing_to_stop_is_for_the_agent(rig: Rig, said: str) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("done")]))
    await rig.octo.say(ANN, rig.dm, "long job")
    await host.wait_for_turns(1)
    await rig.mentioned(said)  # in the group nothing runs
    assert rig.said() == [f"echo: @Helper {said}"]
    host.release()
    assert await rig.until_said(1, ChannelRef(ANN, 1)) == ["done"]


async def test_a_stop_word_of_somebody_who_may_not_stop_stops_nothing(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("done")]))
    await rig.under_way("long job")
    await rig.until_row(await rig.mention("stop", who=BEN), "answered")
    await rig.octo.say(OTHER, rig.group, "stop", mention=[HELPER])
    assert rig.said() == [OWNER_ONLY]
    host.release()
    assert (await rig.until_said(3))[1:] == ["done", "echo: @Helper stop"]


async def test_a_stop_word_whose_answer_a_kill_cut_off_is_a_command_after_the_restart_too(rig: Rig) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("never")]))
    running = await rig.under_way("long job")
    rig.octo.fail_next("sendMessage", Hang())
    stopped = await rig.mention("stop")
    await rig.octo.wait_for(lambda: len(rig.calls("sendMessage")) >= 1)
    await rig.stop()
    host = await rig.start_with(ScriptedHost())
    await rig.until_row(stopped, "answered")
    await rig.until_ended(running)
    assert "@Helper stop" not in [turn.text for turn in host.turns]
    assert rig.said().count("Stopping.") + rig.said().count("Nothing is running here.") == 1


async def test_a_stop_word_said_while_the_bot_is_away_stops_the_turn_that_would_run_again(rig: Rig) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("never")]))
    running = await rig.under_way("long job")
    await rig.stop()
    word = await rig.mention("stop")
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("never")]))
    await rig.until_answered(word)
    assert await rig.until_row(running, "notified") == "stopped by a person"
    assert "@Helper stop" not in [turn.text for turn in host.turns]


async def test_nothing_to_stop_is_said(rig: Rig, host: ScriptedHost) -> None:
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "/stop"), "answered")
    assert rig.said(ChannelRef(ANN, 1)) == ["Nothing is running here."]


async def test_a_command_whose_answer_cannot_be_sent_is_a_dead_letter(rig: Rig, host: ScriptedHost) -> None:
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=403))
    reason = await rig.until_row(await rig.octo.say(ANN, rig.dm, "/help"), "dead")
    assert "403" in reason
    assert rig.said(ChannelRef(ANN, 1)) == []


@pytest.mark.parametrize("listed", [[BEN], ["*"]])
async def test_people_the_operator_names_stop_in_groups_and_others_still_do_not(
    rig: Rig, listed: list[str]
) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("never")]), commands={"allowFrom": listed})
    running = await rig.under_way("long job")
    await rig.until_row(await rig.mention("/stop", who=BEN), "answered")
    await rig.until_row(running, "notified")
    assert sorted(rig.said()) == ["Stopping.", "⏹️ Stopped."]


async def test_in_a_group_everybody_looks(rig: Rig, host: ScriptedHost) -> None:
    for command in ("/status", "/help"):
        await rig.until_row(await rig.mention(command, who=BEN), "answered")
    assert rig.said()[0] == "Session: new\nWaiting messages: 0"
    assert OWNER_ONLY not in rig.said()


@pytest.mark.parametrize("command", ["/stop", "/reset"])
async def test_where_direct_messages_share_one_session_only_the_owner_and_listed_people_command_it(
    rig: Rig, command: str
) -> None:
    gateway = {"kind": "gateway", "stateDir": str(rig.state_dir)}
    config = rig.config(commands={"allowFrom": ["cat"]}) | {"host": gateway}
    rig.octo.add_person("cat", "Cat")
    loaded = parse_config(config, base=rig.state_dir).config
    assert isinstance(loaded.host, GatewayHostConfig)
    shared = loaded.host.model_copy(update={"routing": Routing(dm_scope="main")})
    host = ScriptedHost()
    rig.host = host
    rig.running = OctoChannel(loaded.model_copy(update={"host": shared}), clock=rig.clock)
    await rig.channel.start("helper", host)
    await rig.octo.wait_for(lambda: rig.octo.online(HELPER))
    for uid in (BEN, "cat", ANN):
        await rig.until_row(await rig.octo.say(uid, rig.dm, command), "answered")
    assert rig.said(ChannelRef(BEN, 1)) == [OWNER_ONLY]
    assert rig.said(ChannelRef("cat", 1)) == rig.said(ChannelRef(ANN, 1))
    assert rig.said(ChannelRef(ANN, 1)) != [OWNER_ONLY]


async def test_a_host_answers_commands_of_its_own_and_none_of_the_channels(rig: Rig) -> None:
    await rig.start(rig.config(), HostWithCommands())
    said = {
        "/w Paris": "/weather paris",
        "/weather": "/weather",
        "/paint": OWNER_ONLY,
        "/stop": OWNER_ONLY,
        "/secret": "⚠️ That did not work. The operator's log says why.",
        "/wind": "echo: @Helper /wind",
    }
    for text, answer in said.items():
        await rig.until_row(await rig.mention(text, who=BEN), "answered")
        assert rig.said()[-1] == answer
    await rig.until_row(await rig.mention("/help", who=ANN), "answered")
    assert offered_in(rig.said()[-1]) == [
        *("/status", "/stop", "/reset", "/weather", "/paint", "/whoami", "/help"),
    ]


@pytest.mark.parametrize("text", ["/approve 3f0c-12 allow-once", "/approve deny", "approve always"])
async def test_an_approval_passes_a_busy_lane_and_this_agent_asks_for_none(rig: Rig, text: str) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("done")]))
    await rig.octo.say(ANN, rig.dm, "long job")
    await host.wait_for_turns(1)
    await rig.until_row(await rig.octo.say(ANN, rig.dm, text), "answered")
    assert rig.said(ChannelRef(ANN, 1)) == ["This agent asks for no approvals."]
    host.release()
    assert (await rig.until_said(2, ChannelRef(ANN, 1)))[-1] == "done"
    assert len(host.turns) == 1


async def test_an_approval_for_a_gateway_is_sent_to_where_it_can_be_given(rig: Rig) -> None:
    await rig.start(rig.config(), AskingHost())
    await rig.mentioned("/approve 12 allow")
    assert rig.said() == ["I cannot pass decisions on. Please decide in the gateway's own interface."]


async def test_only_the_owner_and_listed_people_approve(rig: Rig) -> None:
    rig.octo.add_person("cat", "Cat")
    await rig.start(rig.config(commands={"allowFrom": ["*"], "approvers": [BEN]}), ScriptedHost())
    for uid in (BEN, "cat"):
        await rig.until_row(await rig.octo.say(uid, rig.dm, "/approve 12 allow"), "answered")
    assert rig.said(ChannelRef(BEN, 1)) == ["This agent asks for no approvals."]
    assert rig.said(ChannelRef("cat", 1)) == [OWNER_ONLY]
