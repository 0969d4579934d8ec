"""Bots whose turns run in a gateway: people on the double, the whole channel, and a fake gateway."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.errors import HostRefused
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.turn.runs import HOST_WITHIN_S
from openclaw_channel_octo.testing import FakeGateway, ManualClock, ScriptedHost
from openclaw_channel_octo.testing.gateway.server import Asked, Break, Hang, Say, TimeOut
from tests.runtime.rig import ANN, HELPER, RESTART, FastClock, Rig
from tests.until import until

TEXTS = Texts()
OLD = "2026.5.22"
MARKED = re.compile(r"§\w{10}")


def on(rig: Rig, gateway: FakeGateway, **host: Any) -> dict[str, Any]:
    config = rig.config()
    config["host"] = {
        "kind": "gateway",
        "url": gateway.url,
        "token": gateway.token,
        "stateDir": str(rig.state_dir),
        **host,
    }
    return config


async def test_a_mention_a_thread_and_a_direct_message_are_answered_in_sessions_of_their_own(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    await rig.mention("in the group")
    assert await rig.until_said(1) == ["echo: [Ann (ann)] @Helper in the group"]
    await rig.mention("in the thread", where=rig.thread)
    assert await rig.until_said(1, rig.thread) == ["echo: [Ann (ann)] @Helper in the thread"]
    await rig.octo.say(ANN, rig.dm, "for you alone")
    assert await rig.until_said(1, ChannelRef(ANN, 1)) == ["echo: for you alone"]
    assert [asked.params["sessionKey"] for asked in gateway.asked] == [
        "agent:main:octo:group:g1",
        "agent:main:octo:group:g1____2039626171074744320",
        "agent:main:octo:direct:ann",
    ]
    assert gateway.connects == 1


@pytest.mark.parametrize("version", ["2026.9.6", OLD])
@pytest.mark.parametrize(("reply", "notice"), [(Break(), TEXTS.failed), (TimeOut(), TEXTS.timeout)])
async def test_a_failed_turn_ends_in_one_notice_and_the_next_mention_is_announced_and_answered(
    rig: Rig, version: str, reply: Break | TimeOut, notice: str
) -> None:
    async with FakeGateway(version=version) as gateway:
        await rig.start(on(rig, gateway))
        gateway.answer(lambda _: reply)
        await rig.mention("please")
        assert await rig.until_said(1) == [notice]
        gateway.answer(lambda _: Say("fine now"))
        await rig.mention("again")
        assert await rig.until_said(3) == [notice, RESTART, "fine now"]


async def test_an_empty_answer_is_told(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    gateway.answer(lambda _: Say(""))
    await rig.mention("please")
    assert await rig.until_said(1) == [TEXTS.empty]


async def test_mentions_sent_while_the_gateway_is_down_are_answered_in_order_when_it_is_back(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    await gateway.kill()
    for text in ("one", "two", "three"):
        await rig.mention(text)
    await until(lambda: len(rig.calls("typing")) > 0)
    assert rig.said() == []
    await gateway.start()
    assert await rig.until_said(3) == [
        f"echo: [Ann (ann)] @Helper {text}" for text in ("one", "two", "three")
    ]


async def test_a_gateway_killed_under_a_turn_and_taking_it_up_gives_one_answer(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    gateway.answer(lambda _: Hang())
    message_id = await rig.mention("long")
    await until(lambda: gateway.sessions)
    await gateway.kill()
    gateway.answer(lambda _: Say("went on"))
    await gateway.start()
    await rig.until_row(message_id, "answered")
    assert rig.said() == ["went on"]
    await rig.mention("and now?")
    assert await rig.until_said(2) == ["went on", "went on"]


@pytest.mark.parametrize("ended", [True, False], ids=["ended meanwhile", "still running"])
async def test_a_plugin_restarted_under_a_turn_takes_the_same_run_up(
    rig: Rig, gateway: FakeGateway, *, ended: bool
) -> None:
    await rig.start(on(rig, gateway))
    gateway.answer(lambda _: Hang(Say("patience pays")))
    message_id = await rig.mention("long")
    await until(lambda: gateway.sessions)
    await rig.stop()
    if ended:
        gateway.runs.release()
        await gateway.runs.settle()
    await rig.start(on(rig, gateway))
    if not ended:
        await until(lambda: "agent.wait" in gateway.calls)
        gateway.runs.release()
    await rig.until_row(message_id, "answered")
    assert rig.said() == ["patience pays"]
    assert len(gateway.asked) == 1


async def test_a_mark_that_an_agent_repeats_is_not_shown_after_a_restart_either(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    gateway.answer(lambda asked: Hang(Say(asked.message)))
    message_id = await rig.mention("long")
    await until(lambda: gateway.sessions)
    assert MARKED.search(gateway.asked[0].message)
    await rig.stop()
    gateway.runs.release()
    await gateway.runs.settle()
    await rig.start(on(rig, gateway))
    await rig.until_row(message_id, "answered")
    (said,) = rig.said()
    assert "@Helper long" in said
    assert not MARKED.search(said)


async def test_a_turn_the_gateway_never_ends_is_aborted_there_and_told_once(
    rig: Rig, gateway: FakeGateway
) -> None:
    rig.clock = FastClock()
    await rig.start(on(rig, gateway, timeoutSeconds=20))
    gateway.answer(lambda _: Hang())
    await rig.mentioned("long", "notified")
    assert rig.said() == [TEXTS.timeout]
    assert gateway.sessions["agent:main:octo:group:g1"]["status"] == "killed"
    gateway.answer(lambda _: Say("fine now"))
    await rig.mention("again")
    assert await rig.until_said(3) == [TEXTS.timeout, RESTART, "fine now"]


async def test_stop_ends_the_run_in_the_gateway(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    gateway.answer(lambda _: Hang())
    message_id = await rig.mention("long")
    await until(lambda: gateway.sessions)
    await rig.mentioned("/stop")
    await rig.until_row(message_id, "notified")
    assert set(rig.said()) == {"⏹️ Stopped.", "Stopping."}


async def test_bindings_of_the_gateways_file_choose_the_agent_and_the_session(
    rig: Rig, gateway: FakeGateway, tmp_path: Path
) -> None:
    file = tmp_path / "openclaw.json"
    content = {
        "gateway": {
            "port": int(gateway.url.rpartition(":")[2]),
            "auth": {"mode": "token", "token": gateway.token},
        },
        "agents": {"list": [{"id": "main"}, {"id": "work"}]},
        "bindings": [
            {
                "agentId": "work",
                "match": {"channel": "octo", "accountId": "*", "peer": {"kind": "group", "id": "g1"}},
            }
        ],
        "session": {"dmScope": "per-account-channel-peer"},
    }
    file.write_text(json.dumps(content))
    config = rig.config()
    config["host"] = {"kind": "gateway", "openclawConfig": str(file), "stateDir": str(rig.state_dir)}
    await rig.start(config)
    await rig.mention("for the agent at work")
    await rig.until_said(1)
    await rig.octo.say(ANN, rig.dm, "for the other one")
    await rig.until_said(1, ChannelRef(ANN, 1))
    assert [asked.params["sessionKey"] for asked in gateway.asked] == [
        "agent:work:octo:group:g1",
        "agent:main:octo:helper:direct:ann",
    ]


async def test_the_order_of_a_conversation_is_kept_and_other_conversations_do_not_wait(
    rig: Rig, gateway: FakeGateway
) -> None:
    groups = [rig.octo.add_group(f"many{number}", [ANN, HELPER]) for number in range(50)]
    config = on(rig, gateway)
    config["channels"]["octo"] |= {"maxTurns": 100}
    config["host"] |= {"maxTurns": 100}
    await rig.start(config)

    def answer(asked: Asked) -> Hang | Say:
        return Hang() if "many0" in asked.session_key else Say(asked.message)

    gateway.answer(answer)
    for text in ("first", "second", "third"):
        for group in groups:
            await rig.mention(text, where=group)
    for group in groups[1:]:
        said = await rig.until_said(3, group)
        assert [line.rpartition(" ")[2] for line in said] == ["first", "second", "third"]
    assert rig.said(groups[0]) == []
    assert gateway.connects == 1


async def test_a_host_that_refuses_ends_a_turn_in_a_notice_at_once(rig: Rig) -> None:
    host = ScriptedHost()
    host.ready_error = HostRefused("the gateway refuses the token")
    await rig.start(rig.config(), host)
    message_id = await rig.mentioned("please", "notified")
    assert rig.said() == [TEXTS.failed]
    assert "refuses the token" in rig.rows()[message_id][1]


async def test_a_host_out_of_reach_for_too_long_ends_the_turn_in_a_notice(rig: Rig) -> None:
    clock = ManualClock()
    rig.clock = clock
    host = ScriptedHost()
    host.reachable.clear()
    await rig.start(rig.config(), host)
    message_id = await rig.mention("please")
    await until(lambda: rig.calls("typing") and host.reachable._waiters)
    await clock.settle()
    assert rig.rows()[message_id][0] != "notified"
    await clock.advance(HOST_WITHIN_S + 1)
    await rig.until_row(message_id, "notified")
    assert rig.said() == [TEXTS.failed]


async def test_a_session_the_gateway_still_recovers_is_announced_once_and_its_mention_answered_once(
    fast_rig: Rig, gateway: FakeGateway
) -> None:
    await fast_rig.start(on(fast_rig, gateway))
    gateway.answer(lambda _: Break())
    await fast_rig.mention("one")
    assert await fast_rig.until_said(1) == [TEXTS.failed]
    replies = [Break("Session changed while starting work. Retry. | SESSION_WORK_START_CHANGED")] * 3
    gateway.answer(lambda _: replies.pop() if replies else Say("at last"))
    await fast_rig.mention("two")
    await fast_rig.mention("three")
    assert await fast_rig.until_said(4) == [TEXTS.failed, RESTART, "at last", "at last"]
    assert len(gateway.asked) == 6


async def test_a_session_the_gateway_gave_up_goes_on_elsewhere_also_after_a_restart_of_the_bots(
    fast_rig: Rig, gateway: FakeGateway
) -> None:
    await fast_rig.start(on(fast_rig, gateway))
    gateway.answer(lambda asked: Say(f"echo: {asked.message}") if asked.params else Hang())
    gateway.tombstoned.add("agent:main:octo:group:g1")
    await fast_rig.mention("one")
    assert await fast_rig.until_said(1) == ["echo: [Ann (ann)] @Helper one"]
    await fast_rig.stop()
    await fast_rig.start(on(fast_rig, gateway))
    await fast_rig.mention("two")
    assert (await fast_rig.until_said(2))[-1] == "echo: [Ann (ann)] @Helper two"
    assert gateway.calls.count("sessions.recover") == 1
