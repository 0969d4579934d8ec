"""What an agent may send beside answering: to the right place, once, for people who could do it themselves."""

import asyncio
from typing import Any

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.errors import ApiError, BadRequest, PermissionDenied, RequestDenied, TargetError
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.target import Resolution
from openclaw_channel_octo.testing import ErrorAnswer, Hang, LoseAnswer, ScriptedHost
from tests.runtime.asking import CAT, Asked, ask, audited, people_a_city
from tests.runtime.rig import ANN, BEN, HELPER, OTHER, Rig

G3 = ChannelRef("g3", 2)


async def quiet(rig: Rig, who: str, where: ChannelRef | None = None) -> Asked:
    """Start a turn whose agent has nothing to say at its end."""
    return await ask(rig, who, where, final="")


async def test_an_agent_that_answered_by_a_tool_may_end_without_a_word(city: Rig) -> None:
    asked = await quiet(city, BEN)
    receipt = await asked.outbound.send_text("group:g1", "here you are")
    assert (receipt.reason, receipt.rewritten, str(receipt.target)) == (
        Resolution.PASSTHROUGH,
        False,
        "group:g1",
    )
    message_id = asked.host.turns[-1].message_id
    asked.host.release()
    await city.until_row(message_id, "answered")
    assert city.said() == ["here you are"]
    assert [line.message_id for line in city.octo.chat(city.group)][-1:] == list(receipt.message_ids)


async def test_a_send_elsewhere_is_no_answer_here(city: Rig) -> None:
    asked = await quiet(city, BEN)
    await asked.outbound.send_text("group:g3", "hello over there")
    asked.host.release()
    await city.until_row(asked.host.turns[-1].message_id, "notified")
    assert city.said(G3) == ["hello over there"]
    assert city.said() == [Texts().empty]


async def test_a_send_still_on_its_way_when_the_turn_ends_counts(city: Rig) -> None:
    asked = await quiet(city, BEN)
    city.octo.fail_next("sendMessage", Hang())
    sending = asyncio.create_task(asked.outbound.send_text("group:g1", "slow"))
    await city.octo.wait_for(lambda: city.calls("sendMessage"))
    asked.host.release()
    city.octo.release()
    assert (await sending).message_ids
    await city.until_row(asked.host.turns[-1].message_id, "answered")
    assert city.said() == ["slow"]


async def test_a_send_that_fails_is_told_to_the_agent_and_is_no_answer(city: Rig) -> None:
    asked = await quiet(city, BEN)
    city.octo.fail_next("sendMessage", ErrorAnswer(status=400, msg="bot is not a member of this group"))
    with pytest.raises(ApiError, match="not a member"):
        await asked.outbound.send_text("group:g1", "hello")
    asked.host.release()
    await city.until_row(asked.host.turns[-1].message_id, "notified")
    assert city.said() == [Texts().empty]


async def test_after_its_turn_an_agent_says_nothing_any_more(city: Rig) -> None:
    asked = await ask(city, ANN)
    asked.host.release()
    await city.until_row(asked.host.turns[-1].message_id, "answered")
    for target in ("group:g1", "group:g2"):
        with pytest.raises(RequestDenied, match="ended"):
            await asked.outbound.send_text(target, "boo")
    with pytest.raises(RequestDenied, match="ended"):
        city.channel.outbound(asked.host.turns[-1])
    assert city.said() == ["done"]


async def test_a_part_shown_by_a_tool_is_known_after_a_crash(city: Rig, asked: Asked) -> None:
    message_id = asked.host.turns[-1].message_id
    await asked.outbound.send_text("group:g1", "first half")
    await city.stop()
    again = await city.start_with(ScriptedHost())
    await city.until_row(message_id, "notified")
    assert city.said() == ["first half", Texts().cut_off]
    assert again.turns == []


async def test_a_message_for_the_group_stays_in_the_thread_it_was_asked_for_in(city: Rig) -> None:
    asked = await quiet(city, BEN, city.thread)
    receipt = await asked.outbound.send_text("group:g1", "for us only")
    assert (receipt.reason, receipt.rewritten) == (Resolution.THREAD_CONTEXT_REWRITE, True)
    assert city.said(city.thread) == ["for us only"]
    assert city.said() == []
    asked.host.release()
    await city.until_row(asked.host.turns[-1].message_id, "answered")
    assert audited(city)[0].target == f"group:{city.thread.id}"


async def test_the_group_itself_is_reached_from_a_thread_on_demand(city: Rig) -> None:
    asked = await ask(city, BEN, city.thread)
    receipt = await asked.outbound.send_text("group:g1", "for all", scope="parent")
    assert (receipt.reason, receipt.rewritten) == (Resolution.EXPLICIT_PARENT_SCOPE, False)
    assert city.said() == ["for all"]


async def test_a_message_to_a_person_leaves_the_thread(city: Rig) -> None:
    asked = await ask(city, BEN, city.thread)
    receipt = await asked.outbound.send_text("user:ben", "psst", thread_id="77")
    assert receipt.reason is Resolution.PASSTHROUGH
    assert city.said(ChannelRef(BEN, 1)) == ["psst"]


@pytest.mark.parametrize(
    "target", ["group:g2", "g2", "user:ann", "user:cat", "group:g2____2039626171074744320"]
)
async def test_a_send_that_is_denied_never_leaves(city: Rig, target: str, asked: Asked) -> None:
    with pytest.raises(RequestDenied):
        await asked.outbound.send_text(target, "hello")
    assert city.calls("sendMessage") == []
    (entry,) = audited(city)
    assert (entry.action, entry.outcome, entry.requester) == ("send", "denied", BEN)


async def test_another_bot_can_only_be_answered(city: Rig) -> None:
    city.octo.add_group("g4", [ANN, OTHER, HELPER])
    asked = await ask(city, OTHER)
    await asked.outbound.send_text("group:g1", "hello bot")
    with pytest.raises(RequestDenied, match="another bot"):
        await asked.outbound.send_text("group:g4", "hello")


async def test_an_operator_sends_anywhere_and_has_no_conversation(city: Rig) -> None:
    await city.start(city.config(), ScriptedHost())
    receipt = await city.channel.operator_outbound().send_text("g2", "good morning")
    assert city.said(ChannelRef("g2", 2)) == ["good morning"]
    (entry,) = audited(city)
    assert entry.detail == f"messages {receipt.message_ids[0]}, passthrough, 0 files failed"
    assert "morning" not in str(entry)


@pytest.mark.parametrize("target", ["group:g1", "group:g3"])
async def test_a_send_without_an_answer_is_looked_for_before_it_is_repeated(
    fast_rig: Rig, target: str
) -> None:
    people_a_city(fast_rig)
    asked = await ask(fast_rig, BEN)
    fast_rig.octo.fail_next("sendMessage", LoseAnswer())
    receipt = await asked.outbound.send_text(target, "only once")
    where = ChannelRef(target.partition(":")[2], 2)
    assert fast_rig.said(where) == ["only once"]
    assert [line.message_id for line in fast_rig.octo.chat(where)][-1:] == list(receipt.message_ids)


async def test_a_long_text_becomes_several_messages_in_order(city: Rig) -> None:
    await city.start(city.config(replyChunk=100), ScriptedHost())
    asked = await ask(city, BEN)
    text = " ".join(f"word{number}" for number in range(60))
    receipt = await asked.outbound.send_text("group:g3", text)
    assert len(receipt.message_ids) > 3
    assert " ".join(city.said(G3)) == text


def mention(rig: Rig, where: ChannelRef) -> tuple[str, Any]:
    line = rig.octo.chat(where)[-1]
    return line.text, line.payload.get("mention", {}).get("uids")


async def test_people_named_in_the_target_are_called(city: Rig, asked: Asked) -> None:
    await asked.outbound.send_text(f"group:g3@{CAT},{BEN}", "lunch?")
    assert mention(city, G3) == ("@Cat @Ben lunch?", [CAT, BEN])
    await asked.outbound.send_text(f"group:g3@{CAT}", "hello @Cat!")
    assert mention(city, G3) == ("hello @Cat!", [CAT])
    await asked.outbound.send_text("group:g3", "and @[ben:x] too, not @Ann")
    assert mention(city, G3) == ("and @Ben too, not @Ann", [BEN])


@pytest.mark.parametrize("uid", [ANN, HELPER, "made_up"])
async def test_nobody_is_called_who_is_no_person_of_that_group(city: Rig, uid: str, asked: Asked) -> None:
    with pytest.raises(TargetError, match=uid):
        await asked.outbound.send_text(f"group:g3@{uid}", "hello")
    assert city.calls("sendMessage") == []


async def test_nothing_is_sent_to_a_group_where_nobody_would_get_it(city: Rig) -> None:
    city.octo.disband("g2")
    asked = await ask(city, ANN)
    with pytest.raises(BadRequest, match="disbanded"):
        await asked.outbound.send_text("group:g2", "anybody?")
    assert city.calls("sendMessage") == []


@pytest.mark.parametrize(("target", "text"), [("", "hello"), ("group:", "hello"), ("group:g1", " \n")])
async def test_an_empty_target_or_text_is_refused_before_anything_happens(
    target: str, text: str, asked: Asked
) -> None:
    with pytest.raises((TargetError, BadRequest), match="empty"):
        await asked.outbound.send_text(target, text)
    assert asked.calls() == []


def a_file(asked: Asked, name: str, content: bytes = b"words") -> MediaItem:
    """Leave a file in the run's own folder, as agents do."""
    folder = asked.host.turns[-1].output
    assert folder is not None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return MediaItem(kind="file", url="", path=folder / name)


@pytest.mark.parametrize("target", ["group:g1", "group:g3"])
async def test_files_go_out_after_their_text_and_one_that_fails_keeps_none_back(
    city: Rig, target: str
) -> None:
    asked = await quiet(city, BEN)
    files = [a_file(asked, "a.txt"), MediaItem(kind="file", url="/etc/hostname"), a_file(asked, "b.txt")]
    receipt = await asked.outbound.send_media(target, files, text="two files")
    where = ChannelRef(target.partition(":")[2], 2)
    lines = [line for line in city.octo.chat(where) if line.from_uid == HELPER]
    assert lines[0].text == "two files"
    assert [line.payload.get("name") for line in lines[1:]] == ["a.txt", None, "b.txt"]
    assert [line.message_id for line in lines] == list(receipt.message_ids)
    ((source, reason),) = receipt.failed_media
    assert source == "/etc/hostname"
    assert reason
    assert audited(city)[0].detail.endswith("1 files failed")


async def test_a_file_shown_by_a_tool_is_an_answer_too(city: Rig) -> None:
    asked = await quiet(city, BEN, city.thread)
    receipt = await asked.outbound.send_media("group:g1", [a_file(asked, "a.txt")])
    assert (receipt.rewritten, receipt.failed_media) == (True, ())
    asked.host.release()
    await city.until_row(asked.host.turns[-1].message_id, "answered")
    assert [line.payload.get("name") for line in city.octo.chat(city.thread)][-1] == "a.txt"


@pytest.mark.parametrize("target", ["group:g2", "user:ann", ""])
async def test_no_file_is_uploaded_for_a_send_that_is_refused(city: Rig, target: str, asked: Asked) -> None:
    with pytest.raises((RequestDenied, TargetError)):
        await asked.outbound.send_media(target, [a_file(asked, "a.txt")])
    assert city.calls("presignUpload", "sendMessage") == []
    with pytest.raises(BadRequest, match="no file"):
        await asked.outbound.send_media("group:g1", [])


async def test_a_message_is_put_right_afterwards(city: Rig, asked: Asked) -> None:
    receipt = await asked.outbound.send_text("group:g1", "tomorow")
    await asked.outbound.edit("group:g1", receipt.message_ids[0], "tomorrow, @Ben")
    line = city.octo.chat(city.group)[-1]
    assert (line.text, line.edited, line.payload["mention"]["uids"]) == ("tomorrow, @Ben", True, [BEN])
    assert audited(city)[0].action == "edit"


async def test_only_own_messages_in_reach_are_changed_and_into_one_message(city: Rig, asked: Asked) -> None:
    theirs = asked.host.turns[-1].message_id
    with pytest.raises(PermissionDenied):
        await asked.outbound.edit("group:g1", theirs, "words in your mouth")
    with pytest.raises(RequestDenied):
        await asked.outbound.edit("group:g2", theirs, "x")
    for text in (" ", "x" * 4_000):
        with pytest.raises(BadRequest):
            await asked.outbound.edit("group:g1", theirs, text)
    assert len(city.calls("editMessage")) == 1
