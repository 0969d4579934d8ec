"""Bots that run go by another configuration, while their messages, their turns and the other bots go on."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.errors import ConfigError, HostError
from openclaw_channel_octo.host.base import Accepted, AgentHost, Block, Final, Turn, TurnEvent
from openclaw_channel_octo.runtime.connection.supervisor import LinkState
from openclaw_channel_octo.runtime.fleet.changes import Reload
from openclaw_channel_octo.testing import HANG, Hang, ScriptedHost
from tests.runtime.rig import ANN, BEN, HELPER, OTHER, OTHER_TOKEN, TOKEN, Rig
from tests.until import until

BOTH = {"helper": TOKEN, "other": OTHER_TOKEN}
NEW_TOKEN = "bf_00112233445566778899"


async def reloaded(rig: Rig, config: Mapping[str, Any], host: AgentHost | None = None) -> Reload:
    """Have the running channel go by another configuration."""
    return await rig.channel.reload(parse_config(config, base=rig.state_dir).config, host)


def logins(rig: Rig) -> dict[str, int]:
    """Return how often each bot has begun a connection anew."""
    bots = [call.bot for call in rig.octo.calls if call.name == "register"]
    return {bot: bots.count(bot) for bot in bots}


async def both_run(rig: Rig, host: ScriptedHost) -> None:
    await rig.start(rig.config(bots=BOTH), host)
    await rig.octo.wait_for(lambda: rig.octo.online(OTHER))


async def until_gone(rig: Rig, account: str) -> None:
    """Wait until a bot has ended and given everything back."""
    await until(lambda: account not in rig.channel.status().bots, f"the end of {account}")


async def test_settings_of_a_bot_count_from_its_next_message_on_without_a_reconnect(rig: Rig) -> None:
    await both_run(rig, ScriptedHost([Final("")], [Final("")]))
    accounts = {
        "helper": {"botToken": TOKEN, "texts": {"empty": "Nichts."}},
        "other": {"botToken": OTHER_TOKEN},
    }
    config = rig.config()
    config["channels"]["octo"]["accounts"] = accounts
    assert (await reloaded(rig, config)).changed == {"helper": ["texts"]}
    await rig.mentioned("say nothing", "notified")
    assert rig.said() == ["Nichts."]
    assert logins(rig) == {HELPER: 1, OTHER: 1}
    assert (await reloaded(rig, config)).lines() == ["nothing has changed"]


@pytest.mark.parametrize(
    ("settings", "mention", "decision"),
    [
        ({"blockFrom": [BEN]}, [HELPER], "ignored"),
        ({"requireMention": False}, [], "turn"),
        ({"groupPolicy": "disabled"}, [HELPER], "refused"),
    ],
)
async def test_policies_count_from_the_next_message_on(
    rig: Rig, settings: dict[str, Any], mention: list[str], decision: str
) -> None:
    await rig.start_with(ScriptedHost())
    await rig.meet()
    await reloaded(rig, rig.config(**settings))
    message_id = await rig.octo.say(BEN, rig.group, "now?", mention=mention)
    select = "SELECT decision FROM inbound WHERE message_id = ?"
    assert await until(lambda: rig.sql(select, message_id), "its row") == [(decision,)]


async def test_limits_count_from_the_next_message_on(rig: Rig) -> None:
    await rig.start_with(ScriptedHost())
    await reloaded(rig, rig.config(rateLimit={"personPerMinute": 1}))
    first, second = [await rig.mention(text, who=BEN) for text in ("one", "two")]
    assert await rig.until_ended(first, second) == ["answered", "notified"]


async def test_a_bot_that_is_removed_leaves_the_turn_of_another_in_the_same_session_alone(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("hers")], [Accepted("r"), HANG, Final("never")])
    await both_run(rig, host)
    first = await rig.under_way("for the helper")
    behind = await rig.octo.say(ANN, rig.group, "for the other", mention=[OTHER])
    last = await rig.mentioned("and again", "queued")
    assert (await reloaded(rig, rig.config())).removed == ["other"]
    states = {name: bot.state for name, bot in rig.channel.status().bots.items()}
    assert states == {"helper": LinkState.ONLINE, "other": LinkState.ENDING}
    await until_gone(rig, "other")
    host.script(Final("last"))
    host._scripts.popleft()
    host.release()
    await rig.until_answered(first, last)
    assert rig.said() == ["hers", "last"]
    assert rig.column("state")[behind] in {"received", "queued"}
    assert logins(rig) == {HELPER: 1, OTHER: 1}


async def test_what_waits_for_a_removed_bot_is_answered_once_when_it_is_back(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("just in time")])
    await both_run(rig, host)
    running = await rig.under_way("running")
    waiting = [await rig.mentioned(text, "queued") for text in ("one", "two")]
    await reloaded(rig, rig.config(bots={"other": OTHER_TOKEN}))
    await rig.octo.wait_for(lambda: not rig.octo.online(HELPER))
    missed = await rig.mention("three")
    host.release()
    await until_gone(rig, "helper")
    assert rig.rows()[running] == ("answered", "")
    assert {rig.rows()[one][0] for one in waiting} == {"queued"}

    await reloaded(rig, rig.config(bots=BOTH))
    await rig.until_answered(*waiting, missed)
    assert rig.said() == ["just in time", *(f"echo: @Helper {text}" for text in ("one", "two", "three"))]


async def test_a_turn_that_outlives_the_drain_of_its_removed_bot_is_taken_up_when_it_is_back(
    rig: Rig,
) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("never")])
    await both_run(rig, host)
    cut = await rig.under_way("too slow")
    await reloaded(rig, rig.config(bots={"other": OTHER_TOKEN}, host={"drainSeconds": 0.05}))
    await until_gone(rig, "helper")
    assert rig.column("state")[cut] == "running"
    await reloaded(rig, rig.config(bots=BOTH))
    await rig.until_answered(cut)
    assert rig.said() == ["echo: @Helper too slow"]


async def test_a_bot_that_is_wanted_again_while_it_ends_begins_once_it_has_ended(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("done")])
    await both_run(rig, host)
    running = await rig.under_way("slow")
    await reloaded(rig, rig.config(bots={"other": OTHER_TOKEN}))
    back = await reloaded(rig, rig.config(bots=BOTH))
    assert back.added == ["helper"]
    await rig.octo.wait_for(lambda: not rig.octo.online(HELPER))
    host.release()
    await rig.until_answered(running)
    await rig.octo.wait_for(lambda: rig.octo.online(HELPER))
    await rig.mentioned("again")
    assert rig.said() == ["done", "echo: @Helper again"]
    assert logins(rig) == {HELPER: 2, OTHER: 1}


async def test_a_rotated_token_costs_a_reconnect_and_no_message_and_no_turn(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("with the new token")])
    await both_run(rig, host)
    running = await rig.under_way("running")
    waiting = await rig.mentioned("waiting", "queued")
    rig.octo.change_token(HELPER, NEW_TOKEN)
    missed = await rig.mention("missed")
    told = await reloaded(rig, rig.config(bots={**BOTH, "helper": NEW_TOKEN}))
    assert (told.changed, told.reconnecting) == ({"helper": ["botToken"]}, ["helper"])
    await rig.octo.wait_for(lambda: rig.octo.online(HELPER))
    host.release()
    await rig.until_answered(running, waiting, missed)
    assert rig.said() == ["with the new token", "echo: @Helper waiting", "echo: @Helper missed"]
    assert [turn.attempt for turn in host.turns] == [1, 1, 1]
    assert logins(rig)[OTHER] == 1


async def test_a_turn_that_ends_while_its_bot_catches_up_with_a_new_token_is_answered_once(rig: Rig) -> None:
    host = ScriptedHost([Accepted("run"), HANG, Final("once")])
    await both_run(rig, host)
    running = await rig.under_way("running")
    rig.octo.fail_next("messages/sync", Hang(), times=None)
    rig.octo.change_token(HELPER, NEW_TOKEN)
    before = len(rig.calls("messages/sync"))
    await reloaded(rig, rig.config(bots={**BOTH, "helper": NEW_TOKEN}))
    await rig.octo.wait_for(lambda: len(rig.calls("messages/sync")) > before)
    host.release()
    await rig.until_answered(running)
    rig.octo.heal("messages/sync")
    rig.octo.release()
    await rig.mentioned("and now?")  # is answered only behind what was left open
    assert rig.said() == ["once", "echo: @Helper and now?"]


async def test_a_wrong_token_that_is_put_back_while_turns_still_end_leaves_no_bot_deaf(rig: Rig) -> None:
    class Slow(ScriptedHost):
        async def run(self, turn: Turn) -> AsyncGenerator[TurnEvent, None]:
            try:
                async for event in super().run(turn):
                    yield event
            finally:
                ending.set()
                await put_back.wait()  # as a program between SIGTERM and SIGKILL

    ending, put_back = asyncio.Event(), asyncio.Event()
    await rig.start(rig.config(), Slow([Accepted("run"), HANG, Final("never")]))
    running = await rig.under_way("running")
    await reloaded(rig, rig.config(bots={"helper": OTHER_TOKEN}))
    await ending.wait()
    await reloaded(rig, rig.config(bots={"helper": TOKEN}))
    await rig.octo.wait_for(lambda: rig.octo.online(HELPER))
    put_back.set()
    await rig.mentioned("are you there?")
    await rig.until_answered(running)
    assert sorted(rig.said()) == ["echo: @Helper are you there?", "echo: @Helper running"]


async def test_what_was_said_to_a_bot_is_not_answered_by_another_that_gets_its_account(rig: Rig) -> None:
    await rig.start(rig.config(), ScriptedHost([Accepted("run"), HANG, Final("never")]))
    running = await rig.under_way("running")
    await reloaded(rig, rig.config(bots={"helper": OTHER_TOKEN}))
    await rig.until_row(running, "dead")
    assert rig.rows()[running][1] == f"said to the bot {HELPER}, whose account has the token of {OTHER} now"
    told = await rig.octo.say(ANN, rig.group, "and you?", mention=[OTHER])
    await rig.until_answered(told)
    assert (rig.said(), rig.said(who=OTHER)) == ([], ["echo: @Other and you?"])


async def test_a_bot_whose_token_cannot_be_read_runs_on_and_one_that_could_not_is_tried_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.start_with(ScriptedHost())
    bots = {"helper": "${VAULT_A}", "other": "${VAULT_B}"}
    monkeypatch.setenv("VAULT_B", OTHER_TOKEN)
    told = await reloaded(rig, rig.config(bots=bots, texts={"empty": "x"}))
    assert (told.added, told.changed, list(told.unreadable)) == (["other"], {"helper": ["texts"]}, ["helper"])
    await rig.mentioned("still there?")
    monkeypatch.setenv("VAULT_A", TOKEN)
    assert (await reloaded(rig, rig.config(bots=bots, texts={"empty": "x"}))).lines() == [
        "nothing has changed"
    ]
    assert logins(rig)[HELPER] == 1

    monkeypatch.delenv("VAULT_B")
    await reloaded(rig, rig.config())
    await until_gone(rig, "other")
    await reloaded(rig, rig.config(bots=bots))
    assert rig.channel.status().bots["other"].state is LinkState.NO_TOKEN


async def test_settings_of_the_connection_have_the_bot_begin_anew_with_its_journal(rig: Rig) -> None:
    await rig.start_with(ScriptedHost())
    first = await rig.mentioned("one")
    told = await reloaded(rig, rig.config(mediaMaxMb=3))
    assert told.reconnecting == ["helper"]
    await rig.octo.wait_for(lambda: logins(rig)[HELPER] == 2 and rig.octo.online(HELPER))
    second = await rig.mentioned("two")
    assert [*rig.rows()] == [first, second]
    assert len(rig.said()) == 2


async def test_turns_that_begin_run_on_the_new_host_and_running_ones_end_on_the_old(rig: Rig) -> None:
    old = ScriptedHost([Accepted("r"), HANG, Block("old"), Final("")])
    await rig.start(rig.config(), old)
    running = await rig.under_way("running")
    waiting = await rig.mentioned("waiting", "queued")
    new = ScriptedHost()
    told = await reloaded(rig, rig.config(host={"maxTurns": 5, "timeoutSeconds": 33}), new)
    assert told.host == ["maxTurns", "timeoutSeconds"]
    elsewhere = await rig.mentioned("elsewhere", where=rig.dm)
    old.release()
    await rig.channel.released(old)
    await rig.until_answered(running, waiting)
    assert rig.said() == ["old", "echo: @Helper waiting"]
    assert [turn.message_id for turn in new.turns] == [elsewhere, waiting]
    assert {turn.budget_s for turn in new.turns} == {33}
    await old.stop()


async def test_a_turn_that_waits_for_a_host_goes_over_to_the_one_that_takes_its_place(rig: Rig) -> None:
    old = ScriptedHost()
    old.reachable.clear()
    await rig.start(rig.config(), old)
    message_id = await rig.mention("anybody?")
    await rig.until_row(message_id, "queued")
    await reloaded(rig, rig.config(), ScriptedHost())
    await rig.until_answered(message_id)
    assert old.turns == []


async def test_what_cannot_change_while_bots_run_is_named_and_stays(rig: Rig) -> None:
    await rig.start_with(ScriptedHost())
    config = {**rig.config(host={"stateDir": "/elsewhere"}), "metrics": {"listen": "127.0.0.1:0"}}
    for _ in range(2):
        assert (await reloaded(rig, config)).restart == ["metrics", "host.stateDir"]
    await rig.mentioned("hello")


async def test_a_stop_while_a_removed_bot_ends_ends_everything(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("never")])
    await both_run(rig, host)
    cut = await rig.under_way("slow")
    await reloaded(rig, rig.config(bots={"other": OTHER_TOKEN}))
    await rig.stop()
    assert rig.column("state")[cut] == "running"
    await rig.start(rig.config(bots=BOTH), ScriptedHost())
    await rig.until_answered(cut)


async def test_accounts_that_are_not_there_change_nothing(rig: Rig) -> None:
    await rig.start_with(ScriptedHost())
    config = parse_config(rig.config(texts={"empty": "x"}), base=rig.state_dir).config
    with pytest.raises(ConfigError, match="no account"):
        await rig.channel.reload(config, accounts=["nobody"])
    assert (await rig.channel.reload(config)).changed == {"helper": ["texts"]}
    channel = rig.channel
    await rig.stop()
    with pytest.raises(HostError, match="no bot was started"):
        await channel.reload(config)
