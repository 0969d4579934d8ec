"""One end for a message whose run a crash of the gateway interrupted, though the gateway speaks as well."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from openclaw_channel_octo.control.client import ask as ask_socket
from openclaw_channel_octo.errors import ControlError
from openclaw_channel_octo.message.marks import mark_of
from openclaw_channel_octo.testing import FakeGateway
from openclaw_channel_octo.testing.gateway import frames
from openclaw_channel_octo.testing.gateway.client import Client
from openclaw_channel_octo.testing.gateway.server import Break, Hang, Say
from tests.cli.asking import controlled
from tests.runtime.rig import HELPER, Rig
from tests.runtime.test_gateway import TEXTS, on
from tests.until import until

KEY = "gateway:queued-1:0"
GIVES_UP = "gateway:main-session-restart-recovery:r1:failed-notice:0"
NOTICE = "I'm continuing your interrupted request now."


async def speak(rig: Rig, text: str, key: str = KEY) -> Any:
    """Let the gateway say something in the group by itself."""
    params = {"target": "group:g1", "text": text, **({"key": key} if key else {})}
    return await asyncio.to_thread(ask_socket, rig.state_dir, "operator.send", params)


async def interrupted(rig: Rig, gateway: FakeGateway) -> str:
    """Let a run be interrupted by the end of its gateway; return the id of its message."""
    await rig.start(on(rig, gateway))
    gateway.answer(lambda _: Hang())
    message_id = await rig.mention("long")
    await until(lambda: gateway.sessions, "a session")
    await gateway.kill()
    await until(lambda: rig.sql("SELECT * FROM interruption"), "the interruption in the journal")
    return message_id


async def answered(rig: Rig, gateway: FakeGateway, text: str = "went on") -> list[str]:
    """Let a run be interrupted and taken up, and its message be answered; return the ids of the answer."""
    message_id = await interrupted(rig, gateway)
    gateway.answer(lambda _: Say(text))
    await gateway.start()
    await rig.until_row(message_id, "answered")
    return [line.message_id for line in rig.octo.chat(rig.group) if line.from_uid == HELPER]


async def test_words_that_come_before_the_answer_are_the_answer(fast_rig: Rig, gateway: FakeGateway) -> None:
    message_id = await interrupted(fast_rig, gateway)
    async with controlled(fast_rig):
        spoken = asyncio.create_task(speak(fast_rig, "went on"))
        with pytest.raises(ControlError) as caught:
            await speak(fast_rig, NOTICE, "")
        assert caught.value.code == "failed"
        gateway.answer(lambda _: Say("went on"))
        await gateway.start()
        await fast_rig.until_row(message_id, "answered")
        sent = await spoken
    assert fast_rig.said() == ["went on"]
    ids = [line.message_id for line in fast_rig.octo.chat(fast_rig.group) if line.from_uid == HELPER]
    assert (sent["message_ids"], sent["repeated"]) == (ids, True)


@pytest.mark.parametrize("killed", [False, True], ids=["the same process", "another process"])
@pytest.mark.parametrize(("text", "key"), [("went  on\n", KEY), ("I cannot go on.", GIVES_UP)])
async def test_words_that_come_behind_the_answer_are_left_out(
    rig: Rig, gateway: FakeGateway, text: str, key: str, *, killed: bool
) -> None:
    ids = await answered(rig, gateway)
    if killed:
        await rig.stop()
        await rig.start(on(rig, gateway))
    async with controlled(rig):
        assert (await speak(rig, text, key))["message_ids"] == ids
    assert rig.said() == ["went on"]


async def resumed(rig: Rig, gateway: FakeGateway, text: str) -> None:
    """Let the gateway die and take up a run whose answer people have."""
    await gateway.kill()
    for row in gateway.sessions.values():
        row["status"] = "running"
    gateway.answer(lambda _: Say(text))
    await gateway.start()
    last = text.splitlines()[-1]
    await until(lambda: last in str(gateway.runs.histories), "what the recovered run says")


@pytest.mark.parametrize("killed", [False, True], ids=["the same process", "another process"])
@pytest.mark.parametrize("crashed", [False, True], ids=["right behind its end", "and once before"])
async def test_a_run_that_is_taken_up_behind_its_answer_says_nothing_more_whatever_its_words(
    rig: Rig, gateway: FakeGateway, *, crashed: bool, killed: bool
) -> None:
    if crashed:
        ids = await answered(rig, gateway)
    else:
        await rig.start(on(rig, gateway))
        gateway.answer(lambda _: Say("went on"))
        await rig.until_row(await rig.mention("short"), "answered")
        ids = [line.message_id for line in rig.octo.chat(rig.group) if line.from_uid == HELPER]
    await resumed(rig, gateway, "As I said:\nMEDIA:./a.png\n**in other words**")
    if killed:
        await rig.stop()
        await rig.start(on(rig, gateway))
    async with controlled(rig):
        assert (await speak(rig, "As I said: in other words"))["message_ids"] == ids
        assert (await speak(rig, "I cannot go on.", GIVES_UP))["message_ids"] == ids
        await speak(rig, "the nightly build is done", "gateway:queued-2:0")
    assert rig.said() == ["went on", "the nightly build is done"]


async def test_every_text_of_a_recovered_run_waits_for_its_answer_and_is_left_out(
    fast_rig: Rig, gateway: FakeGateway
) -> None:
    message_id = await interrupted(fast_rig, gateway)
    (history,) = gateway.runs.histories.values()

    def going_on(_: object) -> Say:
        history.append(frames.assistant_row("Let me look.", 0))
        return Say("went on")

    async with controlled(fast_rig):
        spoken = asyncio.create_task(speak(fast_rig, "Let me look."))
        gateway.answer(going_on)
        await gateway.start()
        await fast_rig.until_row(message_id, "answered")
        await spoken
        await speak(fast_rig, "went on", "gateway:queued-2:0")
    assert fast_rig.said() == ["went on"]


async def test_what_a_sub_agent_found_behind_a_recovered_run_is_sent(rig: Rig, gateway: FakeGateway) -> None:
    await answered(rig, gateway)
    (history,) = gateway.runs.histories.values()
    history.append(frames.user_row("A sub-agent is done.", "other", 0, with_key=True))
    history.append(frames.assistant_row("It found nothing.", 0))
    async with controlled(rig):
        await speak(rig, "It found nothing.")
    assert rig.said() == ["went on", "It found nothing."]


async def test_words_that_repeat_the_mark_of_their_prompt_are_recognised(
    rig: Rig, gateway: FakeGateway
) -> None:
    ids = await answered(rig, gateway)
    (run_id,) = rig.column("run_id").values()
    async with controlled(rig):
        assert (await speak(rig, f"{mark_of(run_id)} went on"))["message_ids"] == ids
    assert rig.said() == ["went on"]


async def test_a_recovered_run_that_repeats_the_mark_of_its_prompt_says_nothing_more(
    rig: Rig, gateway: FakeGateway
) -> None:
    ids = await answered(rig, gateway)
    (run_id,) = rig.column("run_id").values()
    text = f"[{mark_of(run_id)} Ann (ann)] in other words"
    await resumed(rig, gateway, text)
    async with controlled(rig):
        assert (await speak(rig, text))["message_ids"] == ids
    assert rig.said() == ["went on"]


async def test_a_long_answer_is_recognised_whole(rig: Rig, gateway: FakeGateway) -> None:
    text = "\n\n".join(letter * 2_000 for letter in "abc")
    ids = await answered(rig, gateway, text)
    assert len(ids) > 1
    async with controlled(rig):
        assert (await speak(rig, text))["message_ids"] == ids


async def test_other_words_behind_the_answer_are_sent(rig: Rig, gateway: FakeGateway) -> None:
    await answered(rig, gateway)
    async with controlled(rig):
        await speak(rig, "the nightly build is done")
    assert rig.said() == ["went on", "the nightly build is done"]


async def test_behind_a_failure_notice_nothing_more_is_said_of_that_run(
    rig: Rig, gateway: FakeGateway
) -> None:
    message_id = await interrupted(rig, gateway)
    gateway.answer(lambda _: Break())
    await gateway.start()
    await rig.until_row(message_id, "notified")
    async with controlled(rig):
        await speak(rig, "I cannot go on.", GIVES_UP)
        await resumed(rig, gateway, "went on after all")
        await speak(rig, "went on after all")
        await speak(rig, "the nightly build is done", "gateway:queued-2:0")
    assert rig.said() == [TEXTS.failed, "the nightly build is done"]


async def test_while_nobody_knows_what_became_of_a_run_its_gateway_waits_and_comes_again(
    fast_rig: Rig, gateway: FakeGateway
) -> None:
    message_id = await interrupted(fast_rig, gateway)
    async with controlled(fast_rig):
        with pytest.raises(ControlError, match="try again") as caught:
            await speak(fast_rig, "went on")
        assert caught.value.code == "failed"
        gateway.answer(lambda _: Say("went on"))
        await gateway.start()
        await fast_rig.until_row(message_id, "answered")
        await speak(fast_rig, "went on")
    assert fast_rig.said() == ["went on"]


async def test_a_process_that_starts_after_the_crash_knows_of_it(fast_rig: Rig, gateway: FakeGateway) -> None:
    message_id = await interrupted(fast_rig, gateway)
    await fast_rig.stop()
    fast_rig.sql("DELETE FROM interruption")
    await fast_rig.start(on(fast_rig, gateway))
    async with controlled(fast_rig):
        spoken = asyncio.create_task(speak(fast_rig, "went on"))
        gateway.answer(lambda _: Say("went on"))
        await gateway.start()
        await fast_rig.until_row(message_id, "answered")
        await spoken
    assert fast_rig.said() == ["went on"]


async def test_a_connection_that_broke_alone_holds_nothing_back(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    gateway.answer(lambda _: Hang())
    await rig.mention("long")
    await until(lambda: gateway.sessions, "a session")
    gateway.drop_connections()
    await until(lambda: "chat.history" in gateway.calls, "a look for the run")
    await until(lambda: not rig.sql("SELECT * FROM interruption"), "no interruption")
    async with controlled(rig):
        await speak(rig, "the nightly build is done")
    assert rig.said() == ["the nightly build is done"]


async def test_a_gateway_that_takes_a_run_up_late_gives_one_answer(
    fast_rig: Rig, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = await interrupted(fast_rig, gateway)
    take_up, ask = gateway.runs.take_up, gateway.runs.ask
    refusals = 0

    async def recovering(client: Client, request_id: str, params: Mapping[str, Any]) -> None:
        nonlocal refusals
        refusals += 1
        if refusals == 1:
            take_up()
        words = "Session changed while starting work. Retry."
        await client.refuse(request_id, frames.fault("UNAVAILABLE", words))
        monkeypatch.setattr(gateway.runs, "ask", ask)

    monkeypatch.setattr(gateway.runs, "take_up", lambda: None)
    monkeypatch.setattr(gateway.runs, "ask", recovering)
    gateway.answer(lambda asked: Say("asked again") if asked.params else Say("went on"))
    await gateway.start()
    await fast_rig.until_row(message_id, "answered")
    assert (refusals, fast_rig.said()) == (1, ["went on"])
