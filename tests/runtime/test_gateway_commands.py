"""Commands of the gateway in the chat: what people read, who may, and what reaches the gateway."""

from collections.abc import Mapping
from typing import Any

import pytest

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.host.gateway.connection import CALL_WITHIN_S
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import FakeGateway, Hang
from openclaw_channel_octo.testing.gateway.client import Client
from openclaw_channel_octo.testing.gateway.server import Hang as RunHangs
from openclaw_channel_octo.testing.gateway.server import Say
from tests.runtime.rig import ANN, BEN, HELPER, Rig
from tests.runtime.test_gateway import OLD, on
from tests.runtime.turn.test_commands import OWNER_ONLY, offered_in
from tests.until import until

TEXTS = Texts()
NEW = "2026.9.6"
DM = ChannelRef(BEN, 1)
BENS = "agent:main:octo:direct:ben"


async def asked(rig: Rig, text: str, who: str = BEN) -> str:
    """Give a command in a direct conversation and return its answer."""
    where = ChannelRef(who, 1)
    await rig.until_row(await rig.octo.say(who, rig.dm, text), "answered")
    return rig.said(where)[-1]


async def test_help_lists_the_gateways_commands_for_those_who_may(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    for who in (ANN, BEN):
        await rig.until_row(await rig.mention("/help", who=who), "answered")
    looks = ["/models", "/context"]
    changes = ["/model", "/think", "/compact"]
    owners, others = map(offered_in, rig.said())
    assert owners == ["/status", "/stop", "/reset", *looks, *changes, "/whoami", "/help"]
    assert others == ["/status", *looks, "/model", "/think", "/whoami", "/help"]
    assert "/verbose" not in offered_in(await asked(rig, "/help"))


@pytest.mark.parametrize("version", [NEW, OLD])
async def test_a_chosen_model_and_level_are_told_kept_over_a_reset_and_taken_back(
    rig: Rig, version: str
) -> None:
    async with FakeGateway(version=version) as gateway:
        await rig.start(on(rig, gateway))
        steps = {
            "/model": "Model: default",
            "/model Stub-2": "Model from now on: stub/stub-2",
            "/think": "Thinking: medium (of off, minimal, low, medium, high)",
            "／Think： HIGH": "Thinking from now on: high",
            "/reset": TEXTS.reset,
            "/model 。": "Model: stub/stub-2",
            "/models": "Models:\n- stub/stub-1\n* stub/stub-2",
            "/models one": "Models:\n- stub/stub-1",
            "/thinking": "Thinking: high (of off, minimal, low, medium, high)",
            "/think default": "Thinking from now on: default",
            "/t": "Thinking: medium (of off, minimal, low, medium, high)",
            "/model default": "Model from now on: stub/stub-1",
        }
        for text, answer in steps.items():
            assert (text, await asked(rig, text)) == (text, answer)
        assert gateway.asked == []
        assert set(gateway.models.parsed) <= {
            *("/model stub/stub-2", "/model default", "/think high", "/think default"),
        }
        assert bool(gateway.models.parsed) is (version == OLD)


@pytest.mark.parametrize("version", [NEW, OLD])
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("/model nope", TEXTS.model_unknown),
        ("/model stub-2 /compact", TEXTS.model_unknown),
        ("/model stub", TEXTS.model_unknown),
        ("/model default /new", TEXTS.model_unknown),
        ("/think high\n/new", "This model has no such level: off"),
        ("/think xhigh", "This model has no such level: off"),
        ("/models nope", TEXTS.models_none),
        ("/verbose on", TEXTS.host_refuses),
    ],
)
async def test_what_is_no_model_and_no_level_never_reaches_the_gateway(
    rig: Rig, version: str, text: str, answer: str
) -> None:
    async with FakeGateway(version=version) as gateway:
        await rig.start(on(rig, gateway))
        await asked(rig, "hello")
        assert await asked(rig, text) == answer
        assert gateway.models.parsed == []
        assert "sessions.patch" not in gateway.calls
        assert len(gateway.asked) == 1


async def test_status_and_context_tell_what_the_gateway_knows(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    assert await asked(rig, "/status") == "Session: new\nWaiting messages: 0"
    assert await asked(rig, "/context") == TEXTS.context_new
    await asked(rig, "hello")
    facts = "Model: stub/stub-1\nContext: 12,345 of 128,000 tokens\nCost: $0.0001"
    assert await asked(rig, "/status") == f"Session: done\nWaiting messages: 0\n{facts}"
    assert await asked(rig, "/context") == (
        f"{facts}\nInstructions: 24,653 characters\nof them files of the workspace: 1,096\n"
        "Skills: 6,483 characters\nTools: 5,917 characters"
    )


async def test_in_a_group_only_commanders_change_its_session_and_everybody_looks(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    for text in ("/model stub-2", "/think off", "/compact", "/model", "/models"):
        await rig.mention(text, who=BEN)
        await rig.until_said(len(rig.said()) + 1)
    assert sorted(rig.said()) == sorted(
        [*3 * [OWNER_ONLY], "Model: default", "Models:\n- stub/stub-1\n- stub/stub-2"]
    )
    await rig.mentioned("/model stub-2")
    assert rig.said()[-1] == "Model from now on: stub/stub-2"
    await rig.octo.say(ANN, rig.group, "/model stub-1")  # not to the bot
    await rig.mentioned("/model")
    assert rig.said()[-1] == "Model: stub/stub-2"


async def test_a_model_is_chosen_while_a_turn_runs_and_the_turn_is_answered(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    gateway.answer(RunHangs(Say("at last")))
    await rig.octo.say(BEN, rig.dm, "long job")
    await until(lambda: gateway.sessions)
    assert await asked(rig, "/model stub-2") == "Model from now on: stub/stub-2"
    gateway.runs.release()
    assert (await rig.until_said(2, DM))[-1] == "at last"


async def test_an_old_gateway_is_told_of_a_model_behind_the_turn_whose_end_would_take_it_back(
    rig: Rig,
) -> None:
    async with FakeGateway(version=OLD) as gateway:
        await rig.start(on(rig, gateway))
        gateway.answer(RunHangs(Say("at last")))
        await rig.octo.say(BEN, rig.dm, "long job")
        await until(lambda: gateway.sessions)
        await rig.octo.say(BEN, rig.dm, "/model stub-2")
        assert await asked(rig, "/model") == "Model: stub/stub-1"
        gateway.runs.release()
        assert (await rig.until_said(3, DM))[1:] == ["at last", "Model from now on: stub/stub-2"]


async def test_the_last_of_two_choices_counts(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    for _ in range(5):
        for model in ("stub-1", "stub-2"):
            await rig.octo.say(BEN, rig.dm, f"/model {model}")
    await rig.until_said(10, DM)
    assert await asked(rig, "/model") == "Model: stub/stub-2"


async def test_compact_waits_for_the_turn_before_it_and_the_next_turn_for_its_end(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    gateway.answer(RunHangs(Say("at last")))
    await rig.octo.say(BEN, rig.dm, "long job")
    await until(lambda: gateway.sessions)
    await rig.octo.say(BEN, rig.dm, "/compact everything")
    await rig.octo.say(BEN, rig.dm, "and now?")
    await until(lambda: rig.channel.status().lanes.get(BENS) == 2)
    assert gateway.models.parsed == []
    gateway.answer("fine")
    gateway.runs.release()
    assert await rig.until_said(3, DM) == ["at last", TEXTS.compacted, "fine"]
    assert gateway.models.parsed == ["/compact"]


@pytest.mark.parametrize(
    ("says", "answer"),
    [
        ("⚙️ Compaction skipped: nothing compactable in this session yet", TEXTS.compact_nothing),
        ("⚙️ Compaction failed: no room", TEXTS.command_failed),
        ("⚠️ OpenClaw couldn't produce or deliver a reply.", TEXTS.command_failed),
        ("", TEXTS.command_failed),
    ],
)
async def test_compact_answers_by_what_the_gateway_says(
    fast_rig: Rig, gateway: FakeGateway, says: str, answer: str
) -> None:
    await fast_rig.start(on(fast_rig, gateway))
    gateway.models.compaction = says
    assert await asked(fast_rig, "/compact") == TEXTS.compact_nothing
    await asked(fast_rig, "hello")
    assert await asked(fast_rig, "/compact") == answer


class Busy(FakeGateway):
    """A gateway that is late with the lines of a session, as one is that has just summed it up."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._late = clock

    async def _plain(self, client: Client, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        if method == "chat.history":
            await self._late.sleep(CALL_WITHIN_S + 10)
        return await super()._plain(client, method, params)


async def test_compact_is_told_as_done_where_the_gateway_tells_it_late(fast_rig: Rig) -> None:
    async with Busy(fast_rig.clock) as gateway:
        await fast_rig.start(on(fast_rig, gateway))
        await asked(fast_rig, "hello")
        assert await asked(fast_rig, "/compact") == TEXTS.compacted


async def test_compact_ends_no_run_that_somebody_else_started_in_the_session(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    await asked(rig, "hello")
    gateway.sessions[BENS]["status"] = "running"
    assert await asked(rig, "/compact") == TEXTS.compact_busy
    assert gateway.models.parsed == []


async def test_an_old_gateway_compacts_nothing_from_a_chat(rig: Rig) -> None:
    async with FakeGateway(version=OLD) as gateway:
        await rig.start(on(rig, gateway))
        assert await asked(rig, "/compact") == TEXTS.host_refuses


async def test_an_old_gateway_that_takes_no_commands_of_ours_is_told_of_and_asks_no_model(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeGateway(version=OLD) as gateway:
        await rig.start(on(rig, gateway))
        gateway.models.takes_commands = False
        assert await asked(rig, "/model stub-2") == TEXTS.command_failed
        assert "commands.allowFrom" in caplog.text
        assert gateway.asked == []


async def test_a_gateway_that_stays_away_is_told_of_and_status_does_without(
    fast_rig: Rig, gateway: FakeGateway
) -> None:
    await fast_rig.start(on(fast_rig, gateway))
    await asked(fast_rig, "hello")
    await gateway.kill()
    assert await asked(fast_rig, "/status") == "Session: done\nWaiting messages: 0"
    assert await asked(fast_rig, "/models") == TEXTS.command_failed


async def test_a_command_waits_a_moment_for_the_gateway(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    await gateway.kill()
    await rig.octo.say(BEN, rig.dm, "/models one")
    await until(lambda: rig.sql("SELECT 1 FROM inbound"))
    await gateway.start()
    assert await rig.until_said(1, DM) == ["Models:\n- stub/stub-1"]


async def test_a_command_whose_answer_a_kill_cut_off_is_carried_out_and_answered_once(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    await asked(rig, "hello")
    rig.octo.fail_next("sendMessage", Hang())
    compact = await rig.octo.say(BEN, rig.dm, "/compact")
    await rig.octo.wait_for(lambda: len(rig.calls("sendMessage")) >= 2)
    await rig.stop()
    await rig.start(on(rig, gateway))
    await rig.until_row(compact, "answered")
    assert rig.said(DM).count(TEXTS.compacted) == 1
    assert gateway.models.parsed == ["/compact"]


async def test_a_word_with_a_slash_that_is_no_command_is_for_the_agent(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    assert await asked(rig, "/deploy now") == "echo: [Ben (ben)] /deploy now"
    await rig.octo.say(ANN, rig.group, "/model@Other stub-2", mention=[HELPER])
    assert await rig.until_said(1) == ["echo: [Ann (ann)] @Helper /model@Other stub-2"]


async def test_everybody_learns_who_they_are_to_the_bot(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    for who in (ANN, BEN):
        await rig.until_row(await rig.mention("/我是谁", who=who), "answered")
    assert rig.said() == [
        f"You are ann.\n{TEXTS.whoami_may}",
        f"You are ben.\n{TEXTS.whoami_may_not}",
    ]
