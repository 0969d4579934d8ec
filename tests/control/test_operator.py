"""What a gateway's plugin can have the bots do over the control socket: for whom, where, and once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from openclaw_channel_octo import __version__
from openclaw_channel_octo.control.client import ask as ask_socket
from openclaw_channel_octo.errors import ControlError
from openclaw_channel_octo.testing import ErrorAnswer, Fault, ProxyPage, ScriptedHost
from tests.cli.asking import controlled
from tests.runtime.rig import HELPER, OTHER_TOKEN, TOKEN, Rig


@pytest.fixture
async def bot(fast_rig: Rig) -> AsyncIterator[Rig]:
    """A bot that answers on its control socket."""
    await fast_rig.start(fast_rig.config(), ScriptedHost())
    async with controlled(fast_rig):
        yield fast_rig


async def ask(rig: Rig, call: str, **params: Any) -> Any:
    return await asyncio.to_thread(ask_socket, rig.state_dir, f"operator.{call}", params)


async def refused(rig: Rig, call: str, **params: Any) -> ControlError:
    with pytest.raises(ControlError) as caught:
        await ask(rig, call, **params)
    return caught.value


async def test_a_message_arrives_and_its_key_sends_nothing_twice(bot: Rig) -> None:
    first = await ask(bot, "send", target="group:g1", text="hello", key="k1")
    again = await ask(bot, "send", target="group:g1", text="hello", key="k1")
    assert bot.said() == ["hello"]
    assert first == {**again, "repeated": False}
    assert (again["repeated"], again["target"], again["reason"]) == (True, "group:g1", "passthrough")
    assert [line.message_id for line in bot.octo.chat(bot.group)] == first["message_ids"]
    assert await ask(bot, "sent", key="k1") == {"state": "sent", "message_ids": first["message_ids"]}
    assert await ask(bot, "sent", key="k2") == {"state": "unsent", "message_ids": []}


async def test_a_key_of_another_message_is_refused(bot: Rig) -> None:
    await ask(bot, "send", target="group:g1", text="hello", key="k1")
    for other in ({"text": "other"}, {"text": "hello", "target": "user:ann"}):
        error = await refused(bot, "send", **{"target": "group:g1", "key": "k1", **other})
        assert (error.code, "another message" in str(error)) == ("refused", True)
    assert bot.said() == ["hello"]


async def test_without_a_key_every_call_is_a_message(bot: Rig) -> None:
    for _ in range(2):
        await ask(bot, "send", target="user:ann", text="hello")
    assert bot.said(bot.dm) == ["hello", "hello"]


async def test_status_groups_and_typing(bot: Rig) -> None:
    status = await ask(bot, "status")
    (account,) = status["accounts"]
    assert (status["version"], account["account"], account["uid"], account["name"], account["connected"]) == (
        __version__,
        "helper",
        HELPER,
        "Helper",
        True,
    )
    assert [group["group"] for group in await ask(bot, "groups")] == ["g1"]
    before = len(bot.calls("typing"))
    assert await ask(bot, "typing", target="group:g1") == {"target": "group:g1"}
    assert len(bot.calls("typing")) == before + 1


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"target": "group:elsewhere", "text": "x"}, ""),
        ({"target": "group:", "text": "x"}, "target"),
        ({"target": "group:g1"}, "no text and no file"),
        ({"target": "group:g1", "text": "x", "colour": "red"}, "colour"),
        ({"target": "group:g1", "text": "x", "account": "nobody"}, "helper"),
        ({"target": "group:g1", "text": "x", "key": "k" * 201}, "key"),
        ({"target": "group:g1", "files": [{"path": "pictures/a.png"}]}, "absolute"),
    ],
)
async def test_what_will_never_be_sent_is_refused(bot: Rig, params: dict[str, Any], said: str) -> None:
    error = await refused(bot, "send", **params)
    assert error.code == "refused", error
    assert said in str(error)
    assert bot.said() == []


@pytest.mark.parametrize(("fault", "code"), [(ProxyPage(), "failed"), (ErrorAnswer(status=503), "unknown")])
async def test_a_server_that_does_not_take_it_fails_and_the_same_key_sends_later(
    bot: Rig, fault: Fault, code: str
) -> None:
    bot.octo.fail_next("sendMessage", fault, times=None)
    error = await refused(bot, "send", target="group:g1", text="hello", key="k1")
    assert error.code == code, error
    assert (await ask(bot, "sent", key="k1"))["state"] == "unsent"
    bot.octo.heal()
    await ask(bot, "send", target="group:g1", text="hello", key="k1")
    assert bot.said() == ["hello"]


async def test_of_several_bots_one_has_to_be_named(rig: Rig) -> None:
    await rig.start(rig.config(bots={"helper": TOKEN, "other": OTHER_TOKEN}), ScriptedHost())
    async with controlled(rig):
        await rig.octo.wait_for(lambda: rig.octo.online("other_bot"))
        error = await refused(rig, "send", target="group:g1", text="x")
        assert (error.code, "helper, other" in str(error)) == ("refused", True)
        await ask(rig, "send", target="group:g1", text="x", account="Other")
    assert rig.said(who="other_bot") == ["x"]
