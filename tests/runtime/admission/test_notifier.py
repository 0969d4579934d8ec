"""Bursts of messages that get no answer: one notice for all, and no silence where it fails."""

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.testing import ErrorAnswer, RateLimit, ScriptedHost
from tests.runtime.rig import BEN, Rig
from tests.runtime.wire_bench import SkippingClock

SLOW = Texts().limited
FORBIDDEN = ErrorAnswer(status=403)


async def burst(rig: Rig, count: int, failing: int) -> list[str]:
    """Let a person ask too much while the notice of it waits, then let the first ``failing`` notices fail."""
    rig.clock = clock = SkippingClock(factor=1)
    await rig.start(rig.config(rateLimit={"personPerMinute": 1}), ScriptedHost())
    await rig.until_row(await rig.mention("first", who=BEN), "answered")
    rig.octo.fail_next("sendMessage", RateLimit(retry_after=50))
    rig.octo.fail_next("sendMessage", FORBIDDEN, times=failing)
    asked = [await rig.mention(f"too much {number}", who=BEN) for number in range(count)]
    await rig.octo.wait_for(lambda: {*asked} <= {ack.message_id for ack in rig.octo.acks})
    await clock.skip_sleep(49, 51)
    return asked


async def test_where_the_notice_of_a_burst_fails_the_next_of_its_messages_sends_one(rig: Rig) -> None:
    asked = await burst(rig, 4, failing=1)
    assert await rig.until_ended(*asked) == ["dead", *["notified"] * 3]
    assert rig.said().count(SLOW) == 1
    assert "403" in rig.rows()[asked[0]][1]
    assert {rig.rows()[one][1] for one in asked[1:]} == {"more than rateLimit.personPerMinute"}


async def test_a_message_that_waited_for_two_failed_notices_is_a_dead_letter_and_later_ones_begin_anew(
    rig: Rig,
) -> None:
    asked = await burst(rig, 4, failing=2)
    assert await rig.until_ended(*asked) == ["dead"] * 4
    assert SLOW not in rig.said()
    assert len(rig.calls("sendMessage")) == 4  # the answer, the first notice twice, the second one
    later = [await rig.mention(f"still too much {number}", who=BEN) for number in range(2)]
    assert await rig.until_ended(*later) == ["notified"] * 2
    assert rig.said().count(SLOW) == 1


@pytest.mark.parametrize("count", [1, 2])
async def test_a_burst_goes_on_behind_the_notice_that_was_sent(rig: Rig, count: int) -> None:
    asked = await burst(rig, count, failing=0)
    assert await rig.until_ended(*asked) == ["notified"] * count
    assert await rig.until_ended(await rig.mention("later", who=BEN)) == ["notified"]
    assert rig.said().count(SLOW) == 1


async def test_a_bot_that_is_stopped_while_a_notice_waits_ends_no_message_of_the_burst(
    rig: Rig,
) -> None:
    rig.clock = SkippingClock(factor=1)
    config = rig.config(rateLimit={"personPerMinute": 1})
    await rig.start(config, ScriptedHost())
    await rig.until_row(await rig.mention("first", who=BEN), "answered")
    rig.octo.fail_next("sendMessage", RateLimit(retry_after=50))
    asked = [await rig.mention(f"too much {number}", who=BEN) for number in range(3)]
    await rig.octo.wait_for(lambda: {*asked} <= {ack.message_id for ack in rig.octo.acks})
    await rig.octo.wait_for(lambda: len(rig.calls("sendMessage")) == 2)
    await rig.stop()
    assert {rig.rows()[one][0] for one in asked} <= {"received", "queued"}
