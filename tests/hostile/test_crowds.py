"""Crowds: many strangers at once hold up each other, and nobody else."""

from openclaw_channel_octo.host.base import Accepted, Final
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing.host import HANG, ScriptedHost, Step
from tests.runtime.rig import ANN, BEN, Rig

STRANGERS = 40
AT_ONCE = 2


async def crowded(rig: Rig) -> ScriptedHost:
    """Let more strangers write to the bot than it has turns for."""
    hanging: list[list[Step]] = [[Accepted("r"), HANG, Final("done")] for _ in range(STRANGERS + 3)]
    host = await rig.start_with(ScriptedHost(*hanging), maxTurns=AT_ONCE)
    for number in range(STRANGERS):
        rig.octo.add_person(f"stranger{number}", "Stranger")
        asked = await rig.octo.say(f"stranger{number}", rig.dm, "hello")
        await rig.until_row(asked, "running" if number < AT_ONCE else "queued")
    await host.wait_for_turns(AT_ONCE)
    return host


async def place_of(message_id: str, host: ScriptedHost) -> int:
    """Let one turn after the other end until a message has its own; return how many came before it.

    What its turn needs to know is asked for first, so that it waits for a slot only some turns later.
    """
    while message_id not in (asked := [turn.message_id for turn in host.turns]):
        host.release()
        await host.wait_for_turns(len(asked) + AT_ONCE)
    return asked.index(message_id)


async def test_a_group_is_answered_soon_however_many_strangers_wait(rig: Rig) -> None:
    host = await crowded(rig)
    asked = await rig.mention("and us?", who=BEN)
    await rig.until_row(asked, "queued")
    await rig.octo.wait_for(lambda: [call for call in rig.calls("typing") if call.body["channel_id"] == "g1"])
    assert await place_of(asked, host) < STRANGERS // 2


async def test_the_owner_is_answered_before_everybody_who_waits(rig: Rig) -> None:
    host = await crowded(rig)
    asked = await rig.octo.say(ANN, rig.dm, "what is going on?")
    await rig.until_row(asked, "queued")
    await rig.octo.wait_for(lambda: ChannelRef(ANN, 1) in {_where(call.body) for call in rig.calls("typing")})
    assert await place_of(asked, host) < STRANGERS // 2


async def test_every_stranger_has_their_turn(rig: Rig) -> None:
    host = await crowded(rig)
    for served in range(AT_ONCE, STRANGERS, AT_ONCE):
        host.release()
        await host.wait_for_turns(served + AT_ONCE)
    host.release()
    asked = [int(turn.sender.uid.removeprefix("stranger")) for turn in host.turns]
    # those who get the free slots together may begin in either order
    assert [number // AT_ONCE for number in asked] == [number // AT_ONCE for number in range(STRANGERS)]
    assert sorted(asked) == list(range(STRANGERS))


def _where(body: object) -> ChannelRef:
    assert isinstance(body, dict)
    return ChannelRef(body["channel_id"], body["channel_type"])
