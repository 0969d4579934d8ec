"""What messages that address nobody cost: nearly nothing."""

import logging
from collections import Counter
from functools import partial

import pytest

from openclaw_channel_octo.runtime.directory.directory import STRANGER_AFTER_S
from openclaw_channel_octo.runtime.directory.groups import RETRY_S
from openclaw_channel_octo.testing.host import ScriptedHost
from openclaw_channel_octo.testing.octo.faults import ErrorAnswer
from tests.runtime.rig import ANN, BEN, HELPER, Rig
from tests.until import until

GROUPS = 250


def about(rig: Rig, call: str) -> Counter[str]:
    """Return how often a call was made about each group."""
    return Counter(one.query["group_no"] for one in rig.calls(call))


def recorded(rig: Rig, count: int) -> bool:
    """Return whether the journal holds so many messages of people."""
    return rig.recorded() == count


async def until_later(rig: Rig, seconds: float) -> None:
    """Wait until so many seconds of the bot's clock are over."""
    end = rig.clock.now() + seconds
    await until(lambda: rig.clock.now() > end)


async def test_chatter_in_hundreds_of_groups_asks_about_each_of_them_once(rig: Rig) -> None:
    groups = [rig.octo.add_group(f"many{number}", [ANN, BEN, HELPER]) for number in range(GROUPS)]
    await rig.start_with(ScriptedHost())
    for turn in (1, 2, 3):
        for group in groups:
            await rig.octo.say(ANN, group, "chatter")
        await until(partial(recorded, rig, turn * GROUPS))
        await rig.octo.wait_for(lambda: len(about(rig, "groupMembers")) >= GROUPS)
        await rig.octo.wait_for(lambda: len(about(rig, "mentionPref")) >= GROUPS)
    await rig.until_row(await rig.mention("hello", where=groups[0]), "answered")
    assert max(about(rig, "groupMembers").values()) == 1
    assert max(about(rig, "mentionPref").values()) == 1


async def test_somebody_new_is_asked_about_when_they_address_the_bot_and_not_when_they_chat(
    fast_rig: Rig,
) -> None:
    rig, host = fast_rig, await fast_rig.start_with(ScriptedHost())
    await rig.until_row(await rig.mention("hello"), "answered")
    rig.octo.add_person("zoe", "Zoe")
    rig.octo.add_member(rig.group.id, "zoe")
    await until_later(rig, STRANGER_AFTER_S)
    asked = len(rig.calls("groupMembers"))
    await rig.octo.say("zoe", rig.group, "chatter")
    await rig.until_row(await rig.mention("still there?"), "answered")
    assert len(rig.calls("groupMembers")) == asked
    await rig.until_row(await rig.mention("and me?", who="zoe"), "answered")
    assert len(rig.calls("groupMembers")) == asked + 1
    assert host.turns[-1].sender.name == "Zoe"


async def test_a_preference_that_could_not_be_had_is_asked_for_again_soon(fast_rig: Rig) -> None:
    rig = fast_rig
    rig.octo.agree_no_mention(rig.group)
    rig.octo.fail_next("mentionPref", ErrorAnswer(status=400))
    await rig.start_with(ScriptedHost())
    await rig.octo.wait_for(lambda: rig.calls("mentionPref"))
    await until_later(rig, RETRY_S)
    await rig.octo.say(ANN, rig.group, "anybody?")
    await rig.octo.wait_for(lambda: [one for one in rig.calls("mentionPref") if one.status == 200])
    await rig.until_row(await rig.mention("hello"), "answered")  # the answer has been read by then
    await rig.until_row(await rig.octo.say(ANN, rig.group, "anybody now?"), "answered")


async def test_chatter_is_logged_for_those_who_look_for_faults_and_mentions_for_everybody(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "openclaw_channel_octo")
    await rig.start_with(ScriptedHost())
    await rig.octo.say(BEN, rig.group, "chatter")
    await rig.until_row(await rig.mention("hello"), "answered")
    levels = {
        record.getMessage().split(" trace=")[0]: record.levelname
        for record in caplog.records
        if "recv message" in record.getMessage()
    }
    assert levels == {
        "[octo] [helper] recv message from=ben channel=g1 type=1": "DEBUG",
        "[octo] [helper] recv message from=ann channel=g1 type=1": "INFO",
    }
