"""Replies across lost answers and dead processes: complete, in order, never twice."""

import json
import logging

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.host.base import Accepted, Block, Failed, Final, MediaItem
from openclaw_channel_octo.testing.host import HANG, ScriptedHost, Step
from openclaw_channel_octo.testing.octo.faults import (
    ErrorAnswer,
    Hang,
    LoseAnswer,
    ProxyPage,
    RateLimit,
    Refuse,
)
from tests.runtime.asking import ask
from tests.runtime.rig import BEN, HELPER, RESTART, Rig

TEXTS = Texts()
LONG = " ".join(f"word{number}" for number in range(60))


async def broken_off(rig: Rig, fault: Hang | LoseAnswer, *steps: Step) -> str:
    """Stop the bot while it does not know whether its message was sent; return the id of the message it answers."""
    await rig.start(rig.config(), ScriptedHost([Accepted("r"), *steps]))
    rig.octo.fail_next("sendMessage", fault)
    message_id = await rig.mention("go")
    if isinstance(fault, LoseAnswer):
        await rig.until_said(1)
    else:
        await rig.octo.wait_for(lambda: rig.calls("sendMessage"))
    await rig.stop()
    return message_id


@pytest.mark.parametrize(
    ("end", "fault", "state", "said"),
    [
        pytest.param(Final("the answer"), LoseAnswer(), "answered", "the answer", id="sent and not recorded"),
        pytest.param(Final("the answer"), Hang(), "answered", "the answer", id="never left"),
        pytest.param(Failed("failed", "no luck"), LoseAnswer(), "notified", TEXTS.failed, id="a notice"),
    ],
)
async def test_after_a_restart_an_answer_or_a_notice_stands_in_the_chat_once_without_a_second_run(
    rig: Rig, end: Final | Failed, fault: Hang | LoseAnswer, state: str, said: str
) -> None:
    message_id = await broken_off(rig, fault, end)
    again = await rig.start_with(ScriptedHost())
    await rig.until_row(message_id, state)
    assert rig.said() == [said]
    assert again.turns == []


async def test_a_process_that_dies_between_two_chunks_leaves_an_answer_that_is_finished(rig: Rig) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), Final(LONG)]), replyChunk=100)
    message_id = await rig.broken_off(2)
    assert rig.said()
    await rig.start(rig.config(replyChunk=100), ScriptedHost())
    await rig.until_row(message_id, "answered")
    assert " ".join(rig.said()) == LONG


async def test_a_block_that_was_not_seen_by_anybody_does_not_count_as_shown(rig: Rig) -> None:
    message_id = await broken_off(rig, Hang(), Block("part"), HANG)
    await rig.start_with(ScriptedHost([Accepted("r"), Final("whole answer")]))
    await rig.until_row(message_id, "answered")
    assert rig.said() == ["whole answer"]


@pytest.mark.parametrize("dropped", [(), ("client_ref",)], ids=["by its key", "by its content"])
async def test_a_send_whose_answer_is_lost_is_found_in_the_history_and_not_repeated(
    fast_rig: Rig, dropped: tuple[str, ...]
) -> None:
    fast_rig.octo.dropped_keys = frozenset(dropped)
    await fast_rig.start(fast_rig.config())
    fast_rig.octo.fail_next("sendMessage", LoseAnswer())
    await fast_rig.mentioned("one")
    assert fast_rig.said() == ["@Helper one"]
    assert len(fast_rig.calls("sendMessage")) == 1


async def test_two_equal_answers_are_told_apart_where_only_their_content_is_left(fast_rig: Rig) -> None:
    fast_rig.octo.dropped_keys = frozenset({"client_ref"})
    await fast_rig.start_with(ScriptedHost([Accepted("r"), Final("ok")], [Accepted("r"), Final("ok")]))
    await fast_rig.mentioned("first")
    fast_rig.octo.fail_next("sendMessage", Refuse(), times=2)
    await fast_rig.mentioned("second")
    assert fast_rig.said() == ["ok", "ok"]


async def test_the_echo_proves_a_send_even_where_the_history_is_out_of_reach(fast_rig: Rig) -> None:
    await fast_rig.start(fast_rig.config())
    fast_rig.octo.fail_next("messages/sync", ErrorAnswer(status=400), times=None)
    fast_rig.octo.fail_next("sendMessage", LoseAnswer())
    await fast_rig.mentioned("one")
    assert fast_rig.said() == ["@Helper one"]


@pytest.mark.parametrize(
    "fault", [ProxyPage(), RateLimit(retry_after=2), ErrorAnswer(status=500), LoseAnswer()]
)
async def test_chunks_keep_their_order_whatever_happens_to_one_of_them(
    fast_rig: Rig, fault: ProxyPage | RateLimit | ErrorAnswer | LoseAnswer
) -> None:
    await fast_rig.start_with(ScriptedHost([Accepted("r"), Final(LONG)]), replyChunk=100)
    fast_rig.octo.fail_next("sendMessage", fault, times=2)
    await fast_rig.mentioned("go")
    assert " ".join(fast_rig.said()) == LONG


async def test_a_server_that_asks_for_half_a_minute_gets_it_before_a_message_is_sent_again(
    fast_rig: Rig,
) -> None:
    await fast_rig.start(fast_rig.config())
    fast_rig.octo.fail_next("sendMessage", RateLimit(retry_after=30), times=2)
    await fast_rig.mentioned("go")
    first, second, third = (call.at for call in fast_rig.octo.calls if call.name == "sendMessage")
    assert min(second - first, third - second) >= 30 / 25  # the fast clock
    assert fast_rig.said() == ["@Helper go"]


async def test_a_bot_put_out_of_the_group_midway_leaves_a_dead_letter_with_the_reason(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), Block("part"), HANG, Final("rest")]))
    message_id = await rig.mention("go")
    await rig.until_said(1)
    rig.octo.remove_member("g1", HELPER)
    host.release()
    assert "not a member" in await rig.until_row(message_id, "dead")


async def test_the_key_of_a_message_travels_in_its_payload_and_is_a_string(rig: Rig) -> None:
    await rig.start(rig.config())
    await rig.mentioned("go")
    (call,) = rig.calls("sendMessage")
    assert isinstance(call.body["payload"]["client_ref"], str)
    assert len(json.dumps(call.body["payload"]["client_ref"])) < 64


def answered(rig: Rig) -> list[tuple[str, object]]:
    """Return what the bot said, each with the message it names as answered."""
    lines = [line for line in rig.octo.chat(rig.group) if line.from_uid == HELPER]
    return [(line.text, line.payload.get("client_answers")) for line in lines]


async def test_every_message_of_an_answer_names_the_message_it_answers(rig: Rig) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), Block("one"), Final("two", ())]))
    message_id = await rig.mentioned("go")
    assert answered(rig) == [("one", message_id), ("two", message_id)]


async def test_notices_and_answers_of_commands_name_their_message_too_and_announcements_do_not(
    rig: Rig,
) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), Failed("failed", "no")]), laneLength=1)
    failed = await rig.mentioned("go", "notified")
    host.script(Accepted("r"), HANG, Final("done"))
    done = await rig.under_way("again")
    host.script(Accepted("r"), Final("waited"))
    waits = await rig.mentioned("waits", "queued")
    busy = await rig.mentioned("too much", "notified")
    command = await rig.mentioned("/help")
    host.release()
    await rig.until_row(waits, "answered")
    seen = answered(rig)
    assert seen[0] == (TEXTS.failed, failed)
    assert seen[1] == (RESTART, None)
    assert seen[2] == (TEXTS.busy, busy)
    assert [name for _, name in seen[3:]] == [command, done, waits]


async def test_what_an_agent_sends_elsewhere_answers_nothing_and_here_its_message(city: Rig) -> None:
    asked = await ask(city, BEN)
    await asked.outbound.send_text("group:g3", "over there")
    await asked.outbound.send_text("group:g1", "here")
    asked.host.release()
    message_id = asked.host.turns[-1].message_id
    await city.until_row(message_id, "answered")
    sent = [call.body["payload"].get("client_answers") for call in city.calls("sendMessage")]
    assert sent == [None, message_id, message_id]


async def test_a_file_names_the_message_it_answers(rig: Rig) -> None:
    file = MediaItem(kind="file", url="data:text/plain;base64,aGVsbG8=", name="hello.txt")
    await rig.start(rig.config(), ScriptedHost([Accepted("r"), Final("", (file,))]))
    message_id = await rig.mentioned("go")
    assert [name for _, name in answered(rig)] == [message_id]


async def test_the_reason_of_a_notice_outlives_the_process_that_dies_while_it_sends_it(rig: Rig) -> None:
    await rig.start(rig.config(), ScriptedHost([Accepted("r"), Failed("failed", "the model said no")]))
    rig.octo.fail_next("sendMessage", Hang())
    message_id = await rig.broken_off()
    await rig.start(rig.config(), ScriptedHost())
    assert await rig.until_row(message_id, "notified") == "the model said no"
    assert rig.said() == [TEXTS.failed]


async def test_what_a_failed_run_wrote_and_its_notice_are_one_end_across_a_restart(rig: Rig) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), Failed("failed", "no luck", partial="half an answer")]))
    rig.octo.fail_next("sendMessage", Hang())
    message_id = await rig.broken_off()
    again = await rig.start_with(ScriptedHost())
    assert await rig.until_row(message_id, "notified") == "no luck"
    assert rig.said() == ["half an answer […]", TEXTS.failed]
    assert again.turns == []


async def test_the_log_says_when_a_message_is_tried_again(
    fast_rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await fast_rig.start(fast_rig.config())
    fast_rig.octo.fail_next("sendMessage", RateLimit(retry_after=20))
    with caplog.at_level(logging.WARNING):
        await fast_rig.mentioned("go")
    assert "too many requests" in caplog.text
    assert "next try in 20 s" in caplog.text
