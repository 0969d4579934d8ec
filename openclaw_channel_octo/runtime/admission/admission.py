"""Messages that address the bot and get no turn: who is told what, and how often."""

from functools import partial
from typing import TYPE_CHECKING, Any

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.policy.access import NOT_PAIRED, new_code
from openclaw_channel_octo.runtime.admission.limits import Limits
from openclaw_channel_octo.runtime.admission.notifier import Notice, Notifier
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.received import TOO_OLD, Outcome
from openclaw_channel_octo.store.records import InboundRow

if TYPE_CHECKING:
    import asyncio

__all__ = ["Admission"]

REFUSAL_STANDS_S = 86_400.0
"""Seconds after which somebody who may not talk to the bot is told so again."""

CODE_STANDS_S = 3_600.0
"""Seconds for which nobody gets another code; theirs is good for as long (openclaw-host §3.4)."""

NO_CODE_STANDS_S = 900.0
"""Seconds after which somebody who got no code because others waited may have a place."""

LANE_FULL = "lane full"
"""Why a message of somebody who may talk got no turn."""


class Admission:
    """Turns messages of one bot away. What ends a message is returned as a task.

    Args:
        context: what every part of the bot is made from.
        notices: sends what people read.
        limits: says what is too much.
    """

    def __init__(self, context: BotContext, notices: Notifier, limits: Limits) -> None:
        self._context = context
        self.notices = notices
        self.limits = limits

    @property
    def _texts(self) -> Texts:
        return self._context.config.texts

    def excess(self, outcome: Outcome) -> "asyncio.Task[Any] | None":
        """End a recorded message with a notice where it is one too many; return what does, ``None`` where it is not."""
        notice = self.limits.excess(outcome)
        if notice is None or outcome.row is None:
            return None
        return self.notices.close_with_notice(outcome.row, notice)

    def refuse(self, row: InboundRow) -> "asyncio.Task[Any]":
        """End a message of somebody who may not talk to the bot; they are told once a day in a conversation."""
        unpaired = row.reason == NOT_PAIRED
        return self.notices.close_with_notice(
            row,
            Notice(
                text=partial(self._pairing_text, row) if unpaired else self._texts.refused,
                reason=row.reason,
                burst=(row.channel, row.from_uid, row.reason),
                stands_s=partial(self._pairing_stands_s, row) if unpaired else REFUSAL_STANDS_S,
            ),
        )

    def late(self, row: InboundRow) -> "asyncio.Task[Any]":
        """End a message that is too old to be answered; each conversation is told once."""
        return self.notices.close_with_notice(
            row, Notice(text=self._texts.too_late, reason=TOO_OLD, burst=(TOO_OLD, row.channel))
        )

    def busy(self, row: InboundRow) -> "asyncio.Task[Any]":
        """End a message its lane has no room for."""
        return self.notices.close_with_notice(
            row, Notice(text=self._texts.busy, reason=LANE_FULL, burst=row.session_key)
        )

    async def _pairing_text(self, row: InboundRow) -> str:
        fresh = new_code(self._context.clock.new_id())
        code = await self._context.journal.pairings.code(row.account, row.channel.id, fresh)
        return self._texts.pairing.replace("%s", code) if code else self._texts.refused

    async def _pairing_stands_s(self, row: InboundRow) -> float:
        asked = await self._context.journal.pairings.asked(row.account, row.channel.id)
        return CODE_STANDS_S if asked else NO_CODE_STANDS_S
