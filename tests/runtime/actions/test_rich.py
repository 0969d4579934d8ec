"""A text and pictures as one message, for agents that ask for it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import Hang, LoseAnswer, ScriptedHost
from tests.runtime.asking import ask, people_a_city
from tests.runtime.delivery.test_files_out import PNG
from tests.runtime.rig import ANN, BEN, HELPER, Rig

G3 = ChannelRef("g3", 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "shared"
    found.mkdir()
    for name in ("a.png", "b.png"):
        (found / name).write_bytes(PNG)
    (found / "notes.txt").write_text("notes")
    (found / "odd.png").write_text("no picture")
    return found


def of(folder: Path, *names: str) -> list[MediaItem]:
    return [MediaItem(kind="file", url="", path=folder / name, name=name) for name in names]


def sent(rig: Rig, where: ChannelRef | None = None) -> list[dict[str, Any]]:
    lines = rig.octo.chat(where or rig.group)
    return [dict(line.payload) for line in lines if line.from_uid == HELPER]


@pytest.mark.parametrize("target", ["group:g1", "group:g3"])
async def test_a_text_and_pictures_are_one_message_and_other_files_follow(
    city: Rig, folder: Path, target: str
) -> None:
    await city.start(city.config(mediaRoots=[str(folder)]), ScriptedHost())
    asked = await ask(city, BEN, final="")
    files = of(folder, "a.png", "notes.txt", "odd.png", "b.png", "gone.png")
    receipt = await asked.outbound.send_media(target, files, text="See these, @Ben:", rich=True)
    rich, *others = sent(city, ChannelRef(target.removeprefix("group:"), 2))
    assert [block["type"] for block in rich["content"]] == ["text", "image", "image"]
    assert rich["content"][0] == {"type": "text", "text": "See these, @Ben:"}
    assert {(block["width"], block["height"], block["size"]) for block in rich["content"][1:]} == {
        (640, 480, len(PNG))
    }
    assert (rich["type"], rich["plain"]) == (14, "See these, @Ben:[图片][图片]")
    assert rich["mention"] == {"uids": [BEN]}
    assert [one.get("name") for one in others] == ["notes.txt", "odd.png", None]
    assert others[-1]["content"].startswith(Texts().file_failed)
    assert len(receipt.message_ids) == 4
    assert receipt.failed_media == (("gone.png", Texts().file_gone),)
    page = await asked.outbound.read(target)
    assert page.messages[-4].text == "See these, @Ben:[图片][图片]"
    asked.host.release()
    await city.until_row(asked.host.turns[-1].message_id, "answered" if target == "group:g1" else "notified")


async def test_without_the_wish_a_text_and_files_are_messages_of_their_own(city: Rig, folder: Path) -> None:
    await city.start(city.config(mediaRoots=[str(folder)]), ScriptedHost())
    asked = await ask(city, BEN)
    await asked.outbound.send_media("group:g1", of(folder, "a.png"), text="See")
    assert [one["type"] for one in sent(city)] == [1, 2]


@pytest.mark.parametrize(
    ("text", "names", "types"),
    [
        ("x" * 4_000, ["a.png"], [1, 1, 2]),
        ("only a file", ["notes.txt"], [1, 8]),
        ("", ["a.png", "b.png"], [14]),
    ],
)
async def test_what_cannot_be_together_is_sent_as_ever(
    city: Rig, folder: Path, text: str, names: list[str], types: list[int]
) -> None:
    await city.start(city.config(mediaRoots=[str(folder)]), ScriptedHost())
    outbound = city.channel.operator_outbound()
    await outbound.send_media("group:g1", of(folder, *names), text=text, rich=True)
    assert [one["type"] for one in sent(city)] == types


@pytest.mark.parametrize("keyless", [False, True])
@pytest.mark.parametrize("target", ["group:g1", "group:g3"])
async def test_one_whose_send_had_no_answer_is_looked_for_and_stands_in_the_chat_once(
    fast_rig: Rig, folder: Path, target: str, keyless: bool
) -> None:
    people_a_city(fast_rig)
    fast_rig.octo.dropped_keys = frozenset({"client_ref"} if keyless else ())
    await fast_rig.start(fast_rig.config(mediaRoots=[str(folder)]), ScriptedHost())
    asked = await ask(fast_rig, BEN)
    fast_rig.octo.fail_next("sendMessage", LoseAnswer())
    receipt = await asked.outbound.send_media(target, of(folder, "a.png"), text="See", rich=True)
    there = fast_rig.octo.chat(ChannelRef(target.removeprefix("group:"), 2))
    assert [line.message_id for line in there if line.payload["type"] == 14] == list(receipt.message_ids)


async def test_one_that_was_on_its_way_when_the_process_died_is_known_after_it(
    rig: Rig, folder: Path
) -> None:
    await rig.start(rig.config(mediaRoots=[str(folder)]), ScriptedHost())
    asked = await ask(rig, ANN)
    rig.octo.fail_next("sendMessage", LoseAnswer())
    rig.octo.fail_next("messages/sync", Hang(), times=None)
    sending = asyncio.create_task(
        asked.outbound.send_media("group:g1", of(folder, "a.png"), text="See", rich=True)
    )
    await rig.octo.wait_for(lambda: sent(rig))
    await rig.stop()
    sending.cancel()
    rig.octo.heal()
    await rig.start(rig.config(mediaRoots=[str(folder)]), ScriptedHost())
    await rig.until_row(asked.host.turns[-1].message_id, "notified")
    assert [one["type"] for one in sent(rig)] == [14, 1]
    assert rig.said()[-1] == Texts().cut_off
