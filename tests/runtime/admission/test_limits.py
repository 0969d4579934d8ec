"""Too much at once: what people see, and that it ends."""

from openclaw_channel_octo.testing.host import ScriptedHost
from tests.runtime.rig import ANN, BEN, HELPER, OTHER, OTHER_TOKEN, TOKEN, Rig

SLOW = "⏳ That is more than I can take in at once. Please write to me again in a minute."
LOOP = "🔁 Another bot and I keep answering each other. I stop until a person writes here."


async def test_a_person_who_asks_too_much_gets_one_notice_that_ends_every_message_it_stands_for(
    rig: Rig,
) -> None:
    await rig.start(rig.config(rateLimit={"personPerMinute": 2}), ScriptedHost())
    asked = [await rig.mention(f"question {number}", who=BEN) for number in range(6)]

    assert await rig.until_ended(*asked) == ["answered"] * 2 + ["notified"] * 4
    assert rig.said().count(SLOW) == 1
    assert len(rig.said()) == 3
    assert {rig.rows()[one][1] for one in asked[2:]} == {"more than rateLimit.personPerMinute"}


async def test_what_is_too_much_gets_no_receipt(rig: Rig) -> None:
    await rig.start(rig.config(rateLimit={"personPerMinute": 1}), ScriptedHost())
    asked = [await rig.mention(f"question {number}", who=BEN) for number in range(3)]
    await rig.until_ended(*asked)

    read = {one for call in rig.calls("readReceipt") for one in call.body["message_ids"]}
    assert read == {asked[0]}


async def test_others_are_answered_meanwhile_and_the_owner_always(rig: Rig) -> None:
    await rig.start(rig.config(rateLimit={"personPerMinute": 1}), ScriptedHost())
    flood = [await rig.mention("again", who=BEN) for _ in range(3)]
    owners = [await rig.mention("and me") for _ in range(3)]

    assert await rig.until_ended(*flood, *owners) == ["answered", "notified", "notified", *["answered"] * 3]


async def test_a_conversation_has_a_limit_of_its_own(rig: Rig) -> None:
    await rig.start(rig.config(rateLimit={"conversationPerMinute": 1}), ScriptedHost())
    asked = [await rig.mention("one", who=BEN), await rig.mention("two", who=BEN)]
    elsewhere = await rig.mention("three", who=BEN, where=rig.thread)

    assert await rig.until_ended(*asked, elsewhere) == ["answered", "notified", "answered"]


async def test_commands_count_too(rig: Rig) -> None:
    await rig.start(rig.config(rateLimit={"personPerMinute": 1}), ScriptedHost())
    asked = [await rig.mention("/help", who=BEN) for _ in range(3)]

    assert await rig.until_ended(*asked) == ["answered", "notified", "notified"]


async def test_two_bots_that_name_each_other_are_stopped_and_go_on_once_a_person_speaks(rig: Rig) -> None:
    """Both are ours and answer whoever names them by naming them back."""
    config = rig.config(
        bots={"helper": TOKEN, "other": OTHER_TOKEN}, botLoopProtection={"maxEventsPerWindow": 3}
    )
    await rig.start(config, ScriptedHost())
    await rig.octo.wait_for(lambda: rig.octo.online(OTHER))
    named = [await rig.octo.say(OTHER, rig.group, f"your turn {n}", mention=[HELPER]) for n in range(6)]

    assert await rig.until_ended(*named) == ["answered"] * 3 + ["notified"] * 3
    assert rig.said().count(LOOP) == 1

    await rig.octo.say(BEN, rig.group, "what is going on here?")
    again = [await rig.octo.say(OTHER, rig.group, f"once more {n}", mention=[HELPER]) for n in range(2)]
    assert await rig.until_ended(*again) == ["answered"] * 2


async def test_loop_protection_can_be_switched_off(rig: Rig) -> None:
    config = rig.config(botLoopProtection={"enabled": False, "maxEventsPerWindow": 1})
    await rig.start(config, ScriptedHost())
    named = [await rig.octo.say(OTHER, rig.group, f"your turn {n}", mention=[HELPER]) for n in range(8)]

    assert set(await rig.until_ended(*named)) == {"answered"}


async def test_no_ordinary_group_meets_a_limit(rig: Rig, host: ScriptedHost) -> None:
    asked = [await rig.mention(f"question {number}", who=who) for number in range(10) for who in (ANN, BEN)]

    assert set(await rig.until_ended(*asked)) == {"answered"}
