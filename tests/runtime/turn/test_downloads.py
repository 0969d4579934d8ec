"""Files that come with a message: fetched beside the lane, given to the agent, told of where they are missing."""

import asyncio
import json
import logging
from collections.abc import Iterable
from pathlib import Path

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.marks import unmarked
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.render import MediaRef, render
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.rest.media import Budget, FetchedFile, MediaFetcher, MediaRefused
from openclaw_channel_octo.runtime.background import TaskSet
from openclaw_channel_octo.runtime.turn.downloads import FETCH_WITHIN_S, TELL, MediaDownloads
from openclaw_channel_octo.testing.clock import ManualClock
from tests.rest.test_media import PNG, site
from tests.runtime.rig import ANN, Rig, python_agent


class Shelf(MediaFetcher):
    """Files that are there, are not there, or take for ever."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []

    async def keep(self, paths: Iterable[Path]) -> bool:
        return all(path.exists() for path in paths)

    async def fetch(self, url: str, name: str, budget: Budget | None = None) -> FetchedFile:
        self.asked.append(url)
        if url.startswith("slow"):
            await asyncio.Event().wait()
        if url.startswith("gone"):
            raise MediaRefused("下载失败: HTTP 404")
        path = self.folder / f"{len(self.asked)}"
        path.write_bytes(b"a\nb" if name.endswith(".txt") else PNG)
        return FetchedFile(path=path, size=path.stat().st_size, mime="x/y")


def intake(folder: Path, clock: ManualClock) -> tuple[MediaDownloads, Shelf]:
    shelf = Shelf(folder)
    return MediaDownloads(shelf, TaskSet(BotLog(logging.getLogger("test"), "helper"), clock), clock), shelf


async def test_files_keep_their_order_and_a_missing_one_is_named(tmp_path: Path) -> None:
    media, _ = intake(tmp_path, ManualClock())
    refs = [
        MediaRef(kind="image", url="a.png", name="a.png"),
        MediaRef(kind="file", url="gone", name="b.pdf"),
        MediaRef(kind="file", url="c", name="c.txt"),
    ]
    taken = await media.take(1, refs)
    assert [item.url for item in taken.media] == ["a.png", "gone", "c"]
    assert [item.path is not None for item in taken.media] == [True, False, True]
    assert (
        unmarked(taken.text, taken.mark)
        == "[文件: b.pdf - 下载失败: HTTP 404]\n[文件: c.txt]\n--- 文件内容 ---\n  a\n  b\n--- 文件结束 ---\n"
        f"[{TELL}]"
    )


async def test_a_file_that_takes_too_long_is_given_up_and_the_others_are_there(tmp_path: Path) -> None:
    clock = ManualClock()
    media, _ = intake(tmp_path, clock)
    refs = [MediaRef(kind="video", url="slow"), MediaRef(kind="image", url="a.png")]
    taking = asyncio.create_task(media.take(1, refs))
    await clock.sleepers(1)
    await clock.settle()
    await clock.advance(FETCH_WITHIN_S + 1)
    taken = await taking
    assert unmarked(taken.text, taken.mark) == f"[视频 - 超时]\n[{TELL}]"
    assert taken.media[1].path is not None


async def test_what_was_begun_early_is_not_fetched_twice(tmp_path: Path) -> None:
    media, shelf = intake(tmp_path, ManualClock())
    refs = [MediaRef(kind="image", url="a.png")]
    media.begin(1, refs)
    await media.take(1, refs)
    assert shelf.asked == ["a.png"]


async def test_a_file_begun_for_another_quote_than_the_true_one_is_dropped(tmp_path: Path) -> None:
    media, _ = intake(tmp_path, ManualClock())
    media.begin(1, [MediaRef(kind="image", url="claimed.png")])
    taken = await media.take(1, [MediaRef(kind="image", url="said.png")])
    assert [item.url for item in taken.media] == ["said.png"]


async def test_a_file_that_was_swept_while_its_message_waited_is_fetched_again(tmp_path: Path) -> None:
    media, shelf = intake(tmp_path, ManualClock())
    refs = [MediaRef(kind="image", url="a.png")]
    media.begin(1, refs)
    await media._under_way[1][1]
    (tmp_path / "1").unlink()
    taken = await media.take(1, refs)
    assert shelf.asked == ["a.png", "a.png"]
    assert taken.media[0].path is not None
    assert taken.media[0].path.exists()


async def test_an_agent_gets_the_file_and_the_text_of_a_small_one(rig: Rig) -> None:
    async with site() as files:
        await rig.start(rig.config(agent=python_agent(SHOW_FILES), apiUrl=rig.octo.api_url))
        payload = {"type": 8, "url": f"{files.url}/a.png", "name": "notes.txt"}
        await rig.octo.say(ANN, rig.dm, payload)
        (said,) = await rig.until_said(1, ChannelRef(ANN, 1))
        # Loopback is nobody's business to fetch from, and people read why.
        assert said == (
            f"no file\n[文件: notes.txt] {files.url}/a.png\n\n[文件: notes.txt - 地址不允许访问]\n[{TELL}]"
        )
        assert files.seen == []


async def test_a_quoted_picture_is_fetched_too(tmp_path: Path) -> None:
    payload = {
        "type": 1,
        "content": "what is this?",
        "reply": {"from_uid": "ben", "payload": {"type": 2, "url": "quoted.png"}},
    }
    rendered = render(parse_payload(json.dumps(payload).encode()))
    media, _ = intake(tmp_path, ManualClock())
    taken = await media.take(1, rendered.files)
    assert [item.url for item in taken.media] == ["quoted.png"]


SHOW_FILES = "print(os.environ['OPENCLAW_MEDIA'] or 'no file'); print(prompt)"
