"""Notices in place of an answer: one for each burst, ending every message it stands for."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from cachetools import FIFOCache
from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.runtime.background import TaskSet
from openclaw_channel_octo.runtime.delivery.outbox import Outbox
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import InboundRow
from openclaw_channel_octo.store.states import RowState

__all__ = ["Notice", "Notifier"]

BURSTS = 5_000
"""Bursts remembered, the latest ones; one that is forgotten may get a second notice."""

MOST_FAILED = 2
"""Failed notices a message waits for before it is a dead letter."""


class Notice(Struct, frozen=True, kw_only=True):
    """What people read where a message gets no answer.

    Attributes:
        text: what it says, or what finds that out once it is certain that the notice is sent.
        reason: why there is no answer, for the journal.
        burst: messages with the same value share one notice that was sent, until `Notifier.over`.
        stands_s: seconds for which the same sender is not told again there, restarts included, or what finds that
            out; 0 for a burst only.
    """

    text: str | Callable[[], Awaitable[str]]
    reason: str
    burst: Hashable
    stands_s: float | Callable[[], Awaitable[float]] = 0.0


class Notifier:
    """Ends messages of one bot with a notice instead of an answer.

    Args:
        outbox: sends the notices.
        journal: records how the messages ended.
        tasks: owner of the work.
        clock: time.
        log: the bot's log.
    """

    def __init__(self, outbox: Outbox, journal: Journal, tasks: TaskSet, clock: Clock, log: BotLog) -> None:
        self._log = log
        self._outbox = outbox
        self._journal = journal
        self._tasks = tasks
        self._clock = clock
        self._bursts: FIFOCache[Hashable, asyncio.Task[str]] = FIFOCache(BURSTS)

    def close_with_notice(self, row: InboundRow, notice: Notice) -> "asyncio.Task[Any]":
        """End a message; the first of a burst sends the notice, the next one where that fails.

        Returns:
            The task that does; once it is done, the message has its end.
        """
        told = self._bursts.get(notice.burst)
        if told is None:
            return self._lead(row, notice)
        return self._tasks.start(self._end_with(row, told, notice), "notice-end")

    def end_burst(self, burst: Hashable) -> None:
        """Note that a burst has ended: the next message that gets no answer sends a notice again."""
        self._bursts.pop(burst, None)

    def _lead(self, row: InboundRow, notice: Notice) -> asyncio.Task[str]:
        """Let a message send the notice of its burst."""
        told = self._bursts[notice.burst] = self._tasks.start(self._told(row, notice), "notice")
        return told

    async def _told(self, row: InboundRow, notice: Notice) -> str:
        """Do what `_tell` does, and forget a burst whose notice failed, or is known to the journal from here on."""
        notice_id = ""
        try:
            notice_id = await self._tell(row, notice)
        finally:
            if (not notice_id or notice.stands_s) and (
                self._bursts.get(notice.burst) is asyncio.current_task()
            ):
                self.end_burst(notice.burst)
        return notice_id

    async def _tell(self, row: InboundRow, notice: Notice) -> str:
        """End the message that caused the notice; return the notice's id, empty when it could not be sent."""
        try:
            if row.ending:
                await self._outbox.resume(row)
                return await self._earlier(row, notice)
            if earlier := await self._earlier(row, notice):
                await self._journal.messages.settle(
                    [row.id], RowState.NOTIFIED, notice_id=earlier, detail=notice.reason
                )
                return earlier
            text = notice.text if isinstance(notice.text, str) else await notice.text()
            return await self._outbox.conclude(row, "", [], notice.reason, notice=text)
        except ApiError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001  # the notice boundary: no message stays without an end
            self._log.exception("the notice for message %s broke", row.message_id)
            problem = f"{type(error).__name__}, see the log"
        await self._outbox.give_up(row, f"{notice.reason}, and no notice: {problem}")
        return ""

    async def _earlier(self, row: InboundRow, notice: Notice) -> str:
        if not notice.stands_s:
            return ""
        stands_s = notice.stands_s if isinstance(notice.stands_s, float) else await notice.stands_s()
        since_ms = self._clock.wall_ms() - int(stands_s * 1_000)
        return await self._journal.messages.earlier_notice(row, since_ms)

    async def _end_with(self, row: InboundRow, told: asyncio.Task[str], notice: Notice) -> None:
        """End a further message of the burst with the same notice, or with one of its own where that failed."""
        for failed in range(1, MOST_FAILED + 1):
            if notice_id := await asyncio.shield(told):
                await self._journal.messages.settle(
                    [row.id], RowState.NOTIFIED, notice_id=notice_id, detail=notice.reason
                )
                return
            if failed < MOST_FAILED:
                another = self._bursts.get(notice.burst)
                if another is None:
                    await asyncio.wait({self._lead(row, notice)})
                    return
                told = another
        await self._outbox.give_up(row, f"{notice.reason}, and no notice could be sent")
