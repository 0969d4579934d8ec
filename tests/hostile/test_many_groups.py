"""A server with so many groups that nobody can ask about all of them at once."""

from collections import Counter

import pytest

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.directory.directory import GROUPS_AT_FIRST
from openclaw_channel_octo.runtime.intake.gaps import AT_FIRST, LOOKS_A_PASS
from openclaw_channel_octo.runtime.intake.rounds import PASS_EVERY_S
from openclaw_channel_octo.testing import ScriptedHost
from tests.runtime.rig import ANN, BEN, HELPER, FastClock, Rig

GROUPS = 2_000


def many(rig: Rig, count: int) -> list[ChannelRef]:
    return [rig.octo.add_group(f"many{number}", [ANN, BEN, HELPER]) for number in range(count)]


def asked(rig: Rig) -> Counter[str]:
    """Return how often the history of each conversation was asked for."""
    return Counter(call.body["channel_id"] for call in rig.calls("messages/sync"))


async def test_a_start_among_thousands_of_groups_answers_at_once_and_asks_little(rig: Rig) -> None:
    groups = many(rig, GROUPS)
    await rig.start_with(ScriptedHost())
    await rig.mentioned("are you there?", where=groups[-1])
    passes = 2 + (rig.octo.calls[-1].at - rig.octo.calls[0].at) / PASS_EVERY_S
    assert len(rig.calls("groups")) == 1
    assert len(rig.calls("groupMembers")) <= GROUPS_AT_FIRST + 1
    assert len(rig.calls("mentionPref")) <= GROUPS_AT_FIRST + 1
    assert len(rig.calls("messages/sync")) <= AT_FIRST + 3 + LOOKS_A_PASS * passes


async def test_every_group_is_looked_at_in_the_end_once_and_the_first_words_there_are_answered(
    rig: Rig,
) -> None:
    rig.clock = FastClock(100)
    groups = many(rig, 3 * AT_FIRST)
    words = await rig.mention("we have waited for you", where=groups[-1])
    await rig.start_with(ScriptedHost())
    await rig.until_row(words, "answered")
    await rig.octo.wait_for(lambda: len(asked(rig)) >= len(groups) + 1)
    await rig.stop()
    assert max(asked(rig)[group.id] for group in groups) <= 2  # the one with words once more, for its context


@pytest.mark.parametrize("spoken", ["before", "after"])
async def test_groups_in_which_people_speak_come_first(rig: Rig, spoken: str) -> None:
    groups = many(rig, 2 * AT_FIRST)
    await rig.start(rig.config(), ScriptedHost())
    await rig.mentioned("hello", where=groups[-1])
    await rig.until_cursor(groups[-1], 2)
    await rig.stop()
    host = ScriptedHost()
    calls = len(rig.octo.calls)
    if spoken == "before":
        words = await rig.mention("while you were away", where=groups[-1])
        await rig.start(rig.config(), host)
        await rig.until_row(words, "answered")
        (first, *_) = [
            call.body["channel_id"] for call in rig.octo.calls[calls:] if call.name == "messages/sync"
        ]
        assert first == groups[-1].id
    else:
        await rig.start(rig.config(), host)
        await rig.mentioned("now", where=groups[-2])
