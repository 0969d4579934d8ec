"""The notice a full lane gives: one for each burst, ending every message it stands for."""

import asyncio

from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.runtime.outbox import Outbox
from openclaw_channel_octo.runtime.tasks import TaskSet
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import InboundRow, RowState

__all__ = ["BusyNotices"]

LANE_FULL = "lane full"
"""Why a message was refused."""


class BusyNotices:
    """Refuses messages for one bot.

    Args:
        outbox: sends the notice.
        journal: records how the messages ended.
        tasks: owner of the work.
        text: what the notice says.
    """

    def __init__(self, outbox: Outbox, journal: Journal, tasks: TaskSet, text: str) -> None:
        self._outbox = outbox
        self._journal = journal
        self._tasks = tasks
        self._text = text
        self._bursts: dict[str, asyncio.Task[str]] = {}

    def refuse(self, row: InboundRow) -> None:
        """End a message its lane has no room for; the first of a burst sends the notice."""
        notice = self._bursts.get(row.session_key)
        if notice is None:
            notice = self._tasks.start(self._tell(row), "busy")
            self._bursts[row.session_key] = notice
        else:
            self._tasks.start(self._end_with(row, notice), "busy-end")

    def over(self, session_key: str) -> None:
        """Note that the lane has room again: the next refusal begins a new burst."""
        self._bursts.pop(session_key, None)

    async def _tell(self, row: InboundRow) -> str:
        """Send the notice, ending the message that caused it; return its id, empty when it could not be sent."""
        try:
            return await self._outbox.conclude(row, "", self._text, RowState.NOTIFIED, LANE_FULL)
        except ApiError as error:
            await self._journal.settle([row.id], RowState.DEAD, detail=f"{LANE_FULL}, and no notice: {error}")
            return ""

    async def _end_with(self, row: InboundRow, notice: asyncio.Task[str]) -> None:
        """End a further message of the burst with the same notice."""
        if notice_id := await asyncio.shield(notice):
            await self._journal.settle([row.id], RowState.NOTIFIED, notice_id=notice_id, detail=LANE_FULL)
        else:
            await self._journal.settle(
                [row.id], RowState.DEAD, detail=f"{LANE_FULL}, and no notice could be sent"
            )
