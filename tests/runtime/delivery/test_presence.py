"""Receipt and typing: at once, for every addressed message, and never in the way of the answer."""

import asyncio
import logging
from itertools import pairwise
from typing import Any

import pytest

from openclaw_channel_octo.host.base import Accepted, Final
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.delivery.presence import TYPING_GAP_S, Presence
from openclaw_channel_octo.testing import HANG, ErrorAnswer, Hang, ProxyPage, ScriptedHost
from tests.runtime.rig import ANN, BEN, RESTART, Rig


async def test_a_waiting_mention_is_shown_as_read_while_another_turn_runs(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("one")], [Accepted("r"), Final("two")])
    await rig.start(rig.config(), host)
    first = await rig.under_way("first")
    second = await rig.mention("second", who=BEN)
    await rig.octo.wait_for(
        lambda: {line.message_id for line in rig.octo.chat(rig.group) if line.read_by} == {first, second}
    )
    assert len(host.turns) == 1
    host.release()
    assert await rig.until_said(2) == ["one", "two"]


async def test_chatter_gets_neither_receipt_nor_typing(rig: Rig) -> None:
    await rig.start(rig.config())
    await rig.octo.say(ANN, rig.group, "not for the bot")
    await rig.mentioned("for the bot")
    assert [call.body["message_ids"] for call in rig.calls("readReceipt")] == [list(rig.rows())]


async def test_typing_is_repeated_every_five_seconds_until_the_answer_is_there(fast_rig: Rig) -> None:
    host = await fast_rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("done")]))
    message_id = await fast_rig.mention("long job")
    await fast_rig.octo.wait_for(lambda: len(fast_rig.calls("typing")) >= 4)
    host.release()
    await fast_rig.until_row(message_id, "answered")
    await fast_rig.clock.sleep(20)  # one may have been on its way
    after = len(fast_rig.calls("typing"))
    await fast_rig.clock.sleep(20)
    assert len(fast_rig.calls("typing")) == after


async def test_typing_is_logged_with_the_trace_of_a_message_that_is_open(
    fast_rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    host = ScriptedHost([Accepted("r"), HANG, Final("one")], [Accepted("r"), HANG, Final("two")])
    await fast_rig.start(fast_rig.config(), host)
    first = await fast_rig.under_way("first")
    second = await fast_rig.mention("second")
    await fast_rig.until_row(second, "queued")
    host.release()
    await fast_rig.until_row(first, "answered")
    await fast_rig.until_row(second, "running")
    await fast_rig.clock.sleep(20)  # one may have been on its way
    caplog.clear()
    typed = len(fast_rig.calls("typing"))
    await fast_rig.octo.wait_for(lambda: len(fast_rig.calls("typing")) >= typed + 3)
    ((trace,),) = fast_rig.sql("SELECT trace FROM inbound WHERE message_id = ?", second)
    lines = [each.getMessage() for each in caplog.records if "typing sent OK" in each.getMessage()]
    assert lines
    assert all(line.endswith(f" trace={trace}") for line in lines)
    host.release()
    await fast_rig.until_row(second, "answered")


async def test_a_burst_of_mentions_types_once_and_shares_receipts(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("0")]))
    rig.octo.fail_next("readReceipt", Hang())
    ids = [await rig.mention("first")]
    await rig.octo.wait_for(lambda: rig.calls("readReceipt"))
    ids += [await rig.mention(f"m{number}") for number in range(5)]
    await rig.octo.wait_for(lambda: len(rig.octo.acks) >= 6)
    rig.octo.release()
    await rig.octo.wait_for(lambda: len(rig.calls("readReceipt")) == 2)
    await rig.octo.wait_for(lambda: all(call.status == 200 for call in rig.calls("readReceipt")))
    assert [call.body["message_ids"] for call in rig.calls("readReceipt")] == [ids[:1], ids[1:]]
    assert len(rig.calls("typing")) == 1
    await host.wait_for_turns(1)
    host.release()
    await rig.until_said(6)


async def test_the_sign_comes_back_after_an_announcement(rig: Rig) -> None:
    rig.write_session({"status": "failed", "sessionId": "s"})
    await rig.start(rig.config())
    await rig.mentioned("hello")
    order = [call.name for call in rig.calls("typing", "sendMessage")]
    assert order[:2] == ["typing", "sendMessage"]
    assert "typing" in order[2:]


@pytest.mark.parametrize("fault", [ErrorAnswer(status=500), Hang()])
async def test_an_answer_does_not_wait_for_signs_that_fail(fast_rig: Rig, fault: ErrorAnswer | Hang) -> None:
    await fast_rig.start(fast_rig.config())
    fast_rig.octo.fail_next("readReceipt", fault, times=None)
    fast_rig.octo.fail_next("typing", fault, times=None)
    await fast_rig.mentioned("hello")
    assert fast_rig.said() == ["@Helper hello"]
    fast_rig.octo.heal()
    fast_rig.octo.release()


async def test_failing_signs_are_logged_once_for_a_conversation(
    fast_rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    host = await fast_rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("done")]))
    fast_rig.octo.fail_next("typing", ProxyPage(503), times=None)
    with caplog.at_level(logging.WARNING):
        await fast_rig.mention("hello")
        await fast_rig.octo.wait_for(lambda: len(fast_rig.calls("typing")) >= 3)
    host.release()
    await fast_rig.until_said(1)
    assert caplog.text.count("typing failed") == 1


async def test_the_first_message_comes_after_receipt_and_typing(rig: Rig) -> None:
    rig.write_session({"status": "failed", "sessionId": "s"})
    await rig.start(rig.config())
    await asyncio.gather(*(rig.mention(f"m{number}") for number in range(3)))
    said = await rig.until_said(4)
    assert said[0] == RESTART
    names = [call.name for call in rig.calls("readReceipt", "typing", "sendMessage")]
    assert set(names[:2]) == {"readReceipt", "typing"}


async def test_a_refused_sign_is_not_repeated_until_somebody_writes_again(fast_rig: Rig) -> None:
    host = await fast_rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("one")]))
    fast_rig.octo.fail_next("typing", ErrorAnswer(status=403, code="not_group_member"), times=1)
    await fast_rig.mention("first")
    await fast_rig.octo.wait_for(lambda: fast_rig.calls("typing") and fast_rig.calls("typing")[0].status)
    await fast_rig.clock.sleep(30)
    assert len(fast_rig.calls("typing")) == 1
    await fast_rig.mention("second")
    await fast_rig.octo.wait_for(lambda: len(fast_rig.calls("typing")) >= 3)
    host.release()


async def test_the_repeat_keeps_its_distance_from_a_sign_a_new_message_caused(
    fast_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, type_ = list[float](), Presence._type

    def noted(presence: Presence, channel: ChannelRef, talk: Any, now: float, *, again: bool = True) -> None:
        type_(presence, channel, talk, now, again=again)
        begun.append(talk.typed_at)  # a busy machine may hold up what follows

    monkeypatch.setattr(Presence, "_type", noted)
    host = await fast_rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("one")]))
    await fast_rig.mention("first")
    await fast_rig.octo.wait_for(lambda: fast_rig.calls("typing"))
    await fast_rig.clock.sleep(3.5)
    await fast_rig.mention("second")
    await fast_rig.octo.wait_for(lambda: len(fast_rig.calls("typing")) >= 4)
    host.release()
    assert min(later - earlier for earlier, later in pairwise(begun)) >= TYPING_GAP_S
