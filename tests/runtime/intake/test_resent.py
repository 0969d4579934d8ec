"""A person's app that sends a message again, because it never saw that the first one arrived."""

from msgspec.structs import replace

from openclaw_channel_octo.testing import RawMessage, ScriptedHost
from tests.runtime.rig import ANN, BEN, HELPER, Rig


async def sent(rig: Rig, raw: RawMessage) -> str:
    return await rig.octo.inject(HELPER, raw, stored=True)


async def test_a_message_sent_again_is_answered_once_and_acknowledged(rig: Rig, host: ScriptedHost) -> None:
    raw = replace(rig.raw_mention("deploy it", 1), client_msg_no="n1")
    first = await sent(rig, raw)
    copy = await sent(rig, replace(raw, message_seq=2))
    await rig.until_row(first, "answered")
    late = await sent(rig, replace(raw, message_seq=4))
    new = await sent(rig, replace(rig.raw_mention("and now something new", 5), client_msg_no="n2"))
    await rig.until_row(new, "answered")
    assert [turn.text for turn in host.turns] == ["@Helper deploy it", "@Helper and now something new"]
    assert {first, copy, late, new} <= {ack.message_id for ack in rig.octo.acks}
    receipts = [call.body["message_ids"] for call in rig.calls("readReceipt")]
    assert [copy] not in receipts
    assert [late] not in receipts


async def test_a_copy_sent_while_the_bot_was_away_is_known_after_its_start(rig: Rig) -> None:
    await rig.start_with(ScriptedHost())
    raw = replace(rig.raw_mention("deploy it", 1), client_msg_no="n1")
    await rig.until_row(await sent(rig, raw), "answered")
    await rig.until_cursor(rig.group, 2)
    await rig.stop()
    await sent(rig, replace(raw, message_seq=3))
    host = await rig.start_with(ScriptedHost())
    await rig.mentioned("and now something new")
    assert [turn.text for turn in host.turns] == ["@Helper and now something new"]


async def test_a_copy_that_overtakes_the_message_is_answered_in_its_place(fast_rig: Rig) -> None:
    host = await fast_rig.start_with(ScriptedHost())
    raw = replace(fast_rig.raw_mention("deploy it", 2), client_msg_no="n1")
    copy = await sent(fast_rig, raw)
    await sent(fast_rig, replace(raw, message_seq=1))
    await fast_rig.until_row(copy, "answered")
    await fast_rig.mentioned("next")
    assert [turn.text for turn in host.turns] == ["@Helper deploy it", "@Helper next"]


async def test_the_same_words_under_the_same_number_by_somebody_else_are_another_message(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost())
    raw = replace(rig.raw_mention("deploy it", 1), client_msg_no="n1")
    await rig.until_row(await sent(rig, raw), "answered")
    await rig.until_row(await sent(rig, replace(raw, from_uid=BEN, message_seq=3)), "answered")
    assert [turn.sender.uid for turn in host.turns] == [ANN, BEN]
