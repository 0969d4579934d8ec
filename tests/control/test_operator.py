"""What a gateway's plugin can have the bots do over the control socket: for whom, where, and once."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo import __version__
from openclaw_channel_octo.control.client import ask as ask_socket
from openclaw_channel_octo.control.server import socket_path
from openclaw_channel_octo.errors import ControlError
from openclaw_channel_octo.testing import ErrorAnswer, Fault, ProxyPage, ScriptedHost, Slow
from tests.cli.asking import controlled
from tests.runtime import asking
from tests.runtime.rig import HELPER, OTHER_TOKEN, TOKEN, Rig
from tests.until import until


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


async def test_a_hundred_sends_at_once_arrive_each_once(bot: Rig) -> None:
    targets = ["group:g1", "user:ann", "user:ben", f"group:{bot.thread.id}"]

    async def send(number: int) -> str:
        params = {"target": targets[number % 4], "text": f"{number:02}", "key": f"k{number}"}
        reader, writer = await asyncio.open_unix_connection(socket_path(bot.state_dir))
        request = {"v": 1, "id": 1, "call": "operator.send", "params": params}
        writer.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(await reader.readline())
        writer.transport.abort()
        (message_id,) = answer["result"]["message_ids"]
        return str(message_id)

    ids = await asyncio.gather(*map(send, [*range(100), *range(0, 100, 9)]))
    assert len({*ids}) == len(bot.calls("sendMessage")) == 100


async def test_long_messages_of_one_conversation_do_not_mix(bot: Rig) -> None:
    texts = [letter * 5_000 for letter in "abc"]
    await asyncio.gather(*(ask(bot, "send", target="group:g1", text=text, key=text[:1]) for text in texts))
    letters = [said[0] for said in bot.said()]
    assert len(letters) == 6
    assert letters[::2] == letters[1::2]


async def test_what_went_out_before_a_refused_part_is_told_with_the_refusal(bot: Rig) -> None:
    bot.octo.fail_next("sendMessage", Slow(0))
    bot.octo.fail_next("sendMessage", ErrorAnswer(status=400, msg="too many words"))
    error = await refused(bot, "send", target="group:g1", text="a" * 5_000, key="k1")
    ids = [line.message_id for line in bot.octo.chat(bot.group)]
    assert len(ids) == 1
    assert (error.code, error.data, ids[0] in str(error)) == ("refused", {"message_ids": ids}, True)
    assert await ask(bot, "sent", key="k1") == {"state": "unsent", "message_ids": ids}


async def test_of_several_bots_one_has_to_be_named(rig: Rig) -> None:
    await rig.start(rig.config(bots={"helper": TOKEN, "other": OTHER_TOKEN}), ScriptedHost())
    async with controlled(rig):
        await rig.octo.wait_for(lambda: rig.octo.online("other_bot"))
        error = await refused(rig, "send", target="group:g1", text="x")
        assert (error.code, "helper, other" in str(error)) == ("refused", True)
        await ask(rig, "send", target="group:g1", text="x", account="Other")
    assert rig.said(who="other_bot") == ["x"]


@pytest.mark.parametrize(
    "path", ["outside/b.txt", "media/gone.txt", "media/link.txt", "media/../outside/b.txt"]
)
async def test_a_file_that_cannot_be_sent_keeps_everything_back(rig: Rig, tmp_path: Path, path: str) -> None:
    for folder in ("media", "outside"):
        (tmp_path / folder).mkdir()
    (tmp_path / "media" / "a.txt").write_text("a")
    (tmp_path / "outside" / "b.txt").write_text("b")
    (tmp_path / "media" / "link.txt").symlink_to(tmp_path / "outside" / "b.txt")
    await rig.start(rig.config(mediaRoots=[str(tmp_path / "media")]), ScriptedHost())
    good, bad = str(tmp_path / "media" / "a.txt"), str(tmp_path / path)
    async with controlled(rig):
        files = [{"path": good}, {"path": bad}]
        error = await refused(rig, "send", target="group:g1", text="look", files=files, key="k1")
        assert (error.code, Path(bad).name in str(error)) == ("refused", True)
        assert rig.octo.chat(rig.group) == []
        sent = await ask(
            rig, "send", target="group:g1", text="look", files=[{"url": f"file://{good}"}], key="k1"
        )
        assert len(sent["message_ids"]) == 2
    assert rig.said()[0] == "look"
    assert rig.calls("sendMessage")[-1].body["payload"]["name"] == "a.txt"


async def test_the_rest_of_what_agents_can_do_is_there_for_the_operator(bot: Rig) -> None:
    sent = await ask(bot, "send", target="group:g1", text="first words")
    await ask(bot, "edit", target="group:g1", message_id=sent["message_ids"][0], text="second words")
    assert len((await ask(bot, "read", target="group:g1"))["messages"]) == 1
    assert len((await ask(bot, "search", target="group:g1", words="first"))["messages"]) == 1
    assert {one["uid"] for one in await ask(bot, "members", group="g1")} >= {"ann", "ben"}
    assert len(await ask(bot, "threads", group="g1")) == 1
    assert "candidates" in await ask(bot, "resolve", name="g1")


async def test_a_send_quotes_the_message_it_answers(bot: Rig) -> None:
    message_id = await bot.octo.say("ann", bot.group, "how is the weather")
    await until(bot.recorded, "the message in the journal")
    await ask(bot, "send", target="group:g1", text="fine", reply_to=message_id)
    assert bot.calls("sendMessage")[-1].body["payload"]["reply"]["message_id"] == message_id


class TestForWhom:
    """What an agent may do in a session, whose words nobody but the gateway has to vouch for."""

    KEY = "agent:main:octo:group:g1"

    async def test_of_a_run_under_way_the_person_who_asked(self, bot: Rig) -> None:
        bot.octo.add_group("g3", ["ben", HELPER])
        asked = await asking.ask(bot, "ben", final="")
        sent = await ask(bot, "send", target="group:g1", text="from the tool", session=self.KEY, key="k")
        assert (await refused(bot, "read", target="user:ann", session=self.KEY)).code == "refused"
        assert await ask(bot, "read", target="group:g3", session=self.KEY)
        message_id = asked.host.turns[-1].message_id
        asked.host.release()
        await bot.until_row(message_id, "answered")
        assert bot.said() == ["from the tool"]
        again = await ask(bot, "send", target="group:g1", text="from the tool", session=self.KEY, key="k")
        assert (again["repeated"], again["message_ids"]) == (True, sent["message_ids"])

    async def test_of_a_conversation_without_a_run_that_conversation_alone(self, bot: Rig) -> None:
        await bot.mentioned("hello")
        said = len(bot.said())
        await ask(bot, "send", target="group:g1", text="by itself", session=f"{self.KEY}:heartbeat")
        assert bot.said()[said:] == ["by itself"]
        for call, params in [
            ("send", {"target": "user:ann", "text": "x"}),
            ("read", {"target": "user:ann"}),
            ("resolve", {"name": "g1"}),
            ("groups", {}),
        ]:
            error = await refused(bot, call, session=self.KEY, **params)
            assert error.code == "refused", (call, error)

    @pytest.mark.parametrize("session", ["agent:main:main", "agent:main:cron:job-1"])
    async def test_of_a_job_what_its_gateway_lets_it_but_no_reading(self, bot: Rig, session: str) -> None:
        await ask(bot, "send", target="user:ann", text="time to go", session=session)
        assert bot.said(bot.dm) == ["time to go"]
        assert await ask(bot, "groups", session=session)
        for call, params in [("read", {"target": "group:g1"}), ("members", {"group": "g1"})]:
            error = await refused(bot, call, session=session, **params)
            assert (error.code, "jobsMayRead" in str(error)) == ("refused", True)

    @pytest.mark.parametrize(
        "session",
        [
            "agent:main:subagent:7f1c",
            "Agent:Main:SubAgent:7f1c:heartbeat",
            "subagent:7f1c",
            "agent:main:octo:group:g9:subagent:7f1c",
            "agent:main:acp:7f1c",
            "agent:main:dashboard:7f1c",
            " agent:main:dashboard:7f1c~2 ",
            "agent:main:octo:direct:nobody",
            "agent:main:octo:group:g9",
        ],
    )
    async def test_of_nobody_who_is_known_nothing(self, bot: Rig, session: str) -> None:
        error = await refused(bot, "send", target="group:g1", text="x", session=session)
        assert error.code == "refused"
        assert bot.said() == []
