"""Files of addressed messages: fetched as soon as the message is recorded, beside its lane (design §4 step 4)."""

import asyncio
import logging
from collections.abc import Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.message.inline import INLINE_BYTES, inlined, is_text_like, missing, unshown
from openclaw_channel_octo.message.marks import mark_of, marked
from openclaw_channel_octo.message.render import MediaRef
from openclaw_channel_octo.rest.media import Budget, FetchedFile, MediaFetcher, MediaRefused
from openclaw_channel_octo.runtime.background import TaskSet

__all__ = ["SWEEP_EVERY_S", "DownloadedMedia", "MediaDownloads"]

_log = logging.getLogger(__name__)

FETCH_WITHIN_S = 60.0
"""Longest time the files of one message may take together."""
TOGETHER_BYTES = 100 * 1024 * 1024
"""Bytes the files of one message may have together."""
SWEEP_EVERY_S = 600.0
"""Time between two sweeps of old files."""
TELL = "有文件未能读取，请在回答中告知对方。"
"""Asks the agent to pass on that a file is missing: the people who sent it see no error."""


class DownloadedMedia(Struct, frozen=True):
    """The files of one message.

    Attributes:
        media: every file in order, fetched or not.
        text: contents of small text files, and why a file is missing; empty where there is neither.
        mark: stands in the lines of the text that are the channel's.
    """

    media: tuple[MediaItem, ...] = ()
    text: str = ""
    mark: str = ""


class MediaDownloads(Struct, frozen=True):
    """Fetches the files of messages, each message's together and under one limit of time.

    Attributes:
        fetcher: fetches; ``None`` where files are not wanted.
        tasks: owns the downloads.
        clock: time.
    """

    fetcher: MediaFetcher | None
    tasks: TaskSet
    clock: Clock
    _under_way: dict[int, tuple[tuple[MediaRef, ...], asyncio.Task[DownloadedMedia]]] = field(
        default_factory=dict
    )

    def begin(self, row_id: int, media: Sequence[MediaRef]) -> None:
        """Start to fetch a message's files, unless it has none."""
        if media and row_id not in self._under_way:
            refs = tuple(media)
            self._under_way[row_id] = refs, self.tasks.start(self._fetch_all(refs), "media")

    async def take(self, row_id: int, media: Sequence[MediaRef]) -> DownloadedMedia:
        """Return a message's files as soon as they are there, or their time is up.

        Args:
            row_id: the message.
            media: its files; what was begun for others is dropped.
        """
        if self._under_way.get(row_id, (media,))[0] != tuple(media):
            self.drop(row_id)
        self.begin(row_id, media)
        _, task = self._under_way.pop(row_id, ((), None))
        if task is None:
            return DownloadedMedia()
        taken = await task
        paths = [item.path for item in taken.media if item.path is not None]
        if self.fetcher is None or not paths or await self.fetcher.keep(paths):
            return taken
        return await self._fetch_all(media)  # swept while the message waited for its turn

    def drop(self, row_id: int) -> None:
        """Stop fetching for a message that gets no turn, or whose turn is over."""
        _, task = self._under_way.pop(row_id, ((), None))
        if task is not None:
            task.cancel()

    async def sweep(self) -> None:
        """Remove old files."""
        if self.fetcher is not None:
            await self.fetcher.sweep()

    async def _fetch_all(self, media: Sequence[MediaRef]) -> DownloadedMedia:
        deadline = self.clock.now() + FETCH_WITHIN_S
        budget, mark = Budget(TOGETHER_BYTES), mark_of(self.clock.new_id())
        found = await asyncio.gather(*(self._fetch(ref, deadline, budget, mark) for ref in media))
        texts = [text for _, text in found if text]
        if any(item.path is None for item, _ in found) and texts:
            texts.append(marked(TELL, mark))
        return DownloadedMedia(tuple(item for item, _ in found), "\n".join(texts), mark)

    async def _fetch(
        self, ref: MediaRef, deadline: float, budget: Budget, mark: str
    ) -> tuple[MediaItem, str]:
        """Return one file, and what the text has to say about it."""
        plain = MediaItem(kind=ref.kind, url=ref.url, name=ref.name, size=ref.size)
        if self.fetcher is None:
            return plain, ""
        try:
            left_s = max(0.0, deadline - self.clock.now())
            file = await within(self.clock, left_s, self.fetcher.fetch(ref.url, ref.name, budget))
            content = await asyncio.to_thread(_content, ref, file, mark)
        except MediaRefused as refused:
            return plain, missing(ref.kind, ref.name, str(refused), mark)
        except TimeoutError:
            return plain, missing(ref.kind, ref.name, "超时", mark)
        except Exception:  # noqa: BLE001  # the file boundary: a file must not cost the answer to its message
            _log.exception("a file was not fetched")
            return plain, missing(ref.kind, ref.name, "下载失败", mark)
        return replace(plain, size=file.size, path=file.path, mime=file.mime), content


def _content(ref: MediaRef, file: FetchedFile, mark: str) -> str:
    if ref.kind != "file" or not is_text_like(ref.name):
        return ""
    content = file.path.read_bytes() if file.size <= INLINE_BYTES else b""
    return inlined(ref.name, content, mark) or unshown(ref.name, file.size, mark)
