"""Reference-behaviour §5.8 (members, roster, caches) and §5.9 (GROUP.md, THREAD.md), and the roster rows of §5.3."""

import pytest

from openclaw_channel_octo.message.history import PEOPLE_SHOWN, people_block
from openclaw_channel_octo.message.mentions import addressed
from openclaw_channel_octo.testing import ErrorAnswer, ScriptedHost
from tests.runtime.rig import ANN, Rig


def people(count: int) -> dict[str, str]:
    return {f"u{number}": f"Person {number}" for number in range(count)}


def test_5_3_roster_empty_no_block() -> None:
    assert people_block({}) == ""


@pytest.mark.parametrize("count", [1, PEOPLE_SHOWN])
def test_5_3_roster_up_to_ten_is_full_and_holds_exactly_one_legal_example_mention(count: int) -> None:
    block = people_block(people(count))

    assert all(name in block for name in people(count).values())
    assert addressed(block, people(count)).mention["uids"] == ["u0"]


def test_5_3_roster_above_ten_is_a_count_and_names_nobody() -> None:
    block = people_block(people(PEOPLE_SHOWN + 1))

    assert str(PEOPLE_SHOWN + 1) in block
    assert "Person" not in block
    assert not addressed(block, people(PEOPLE_SHOWN + 1)).mention


async def test_5_3_the_roster_is_that_of_this_group_only(rig: Rig) -> None:
    rig.octo.add_person("zoe", "Zoe")
    rig.octo.add_group("g2", [ANN, "zoe", "helper_bot"])
    host = await rig.start_with(ScriptedHost())
    await rig.mentioned("who is here?")

    assert "Ben (ben)" in host.turns[-1].notes
    assert "Zoe" not in host.turns[-1].notes


async def test_5_8_a_failed_look_never_makes_an_empty_list_of_what_was_known(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost())
    await rig.mentioned("hello")
    rig.octo.fail_next("groupMembers", ErrorAnswer(status=500), times=None)
    asked = len(rig.calls("groupMembers"))
    await rig.octo.say("", rig.group, {"type": 1003, "content": "somebody left"})
    await rig.octo.wait_for(lambda: len(rig.calls("groupMembers")) > asked + 2)
    await rig.mentioned("still?")

    assert host.turns[-1].sender.name == "Ann"


@pytest.mark.parametrize("content", ["", "   \n"], ids=["empty", "blank"])
async def test_5_9_a_thread_without_notes_gets_none_and_not_its_groups(rig: Rig, content: str) -> None:
    host = await rig.start_with(ScriptedHost())
    await rig.octo.write_notes(ANN, rig.group, "of the group")
    await rig.octo.write_notes(ANN, rig.thread, content)
    await rig.mentioned("hello", where=rig.thread)

    assert "Notes the members" not in host.turns[-1].notes


async def test_5_9_fetched_once_and_anew_after_the_delete_event(rig: Rig, host: ScriptedHost) -> None:
    await rig.octo.write_notes(ANN, rig.group, "be brief")
    for text in ("a", "b", "c"):
        await rig.mentioned(text)
    assert "be brief" in host.turns[-1].notes
    assert len(rig.calls("groupMd")) == 1

    await rig.octo.write_notes(ANN, rig.group, "", event="group_md_deleted")
    await rig.mentioned("d")
    assert "be brief" not in host.turns[-1].notes
    assert len(rig.calls("groupMd")) == 2


@pytest.mark.parametrize("status", [404, 403, 500])
async def test_5_9_notes_that_cannot_be_had_never_break_the_turn(rig: Rig, status: int) -> None:
    rig.octo.fail_next("groupMd", ErrorAnswer(status=status), times=None)
    host = await rig.start_with(ScriptedHost())
    await rig.mentioned("hello")

    assert "Notes the members" not in host.turns[-1].notes
