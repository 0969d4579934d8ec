"""Messages that address the bot and get no turn: who is told what, and how often."""

from typing import TYPE_CHECKING, Any

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.policy.access import NOT_PAIRED
from openclaw_channel_octo.runtime.admission.limits import Limits
from openclaw_channel_octo.runtime.admission.notifier import Notice, Notifier
from openclaw_channel_octo.runtime.admission.pairing import PairingNotices
from openclaw_channel_octo.runtime.received import TOO_OLD, Outcome
from openclaw_channel_octo.store.records import InboundRow

if TYPE_CHECKING:
    import asyncio

__all__ = ["Admission"]

REFUSAL_STANDS_S = 86_400.0
"""Seconds after which somebody who may not talk to the bot is told so again."""

LANE_FULL = "lane full"
"""Why a message of somebody who may talk got no turn."""


class Admission:
    """Turns messages of one bot away. What ends a message is returned as a task.

    Args:
        texts: what people read.
        notices: sends it.
        limits: says what is too much.
        pairing: what those read who can ask to be let in.
    """

    def __init__(self, texts: Texts, notices: Notifier, limits: Limits, pairing: PairingNotices) -> None:
        self._texts = texts
        self.notices = notices
        self._limits = limits
        self._pairing = pairing

    def excess(self, outcome: Outcome) -> "asyncio.Task[Any] | None":
        """End a recorded message with a notice where it is one too many; return what does, ``None`` where it is not."""
        notice = self._limits.excess(outcome)
        if notice is None or outcome.row is None:
            return None
        return self.notices.close_with_notice(outcome.row, notice)

    def refuse(self, row: InboundRow) -> "asyncio.Task[Any]":
        """End a message of somebody who may not talk to the bot; they are told once a day in a conversation."""
        if row.reason == NOT_PAIRED:
            return self.notices.close_with_notice(row, self._pairing.notice(row))
        return self.notices.close_with_notice(
            row,
            Notice(
                text=self._texts.refused,
                reason=row.reason,
                burst=(row.channel, row.from_uid, row.reason),
                stands_s=REFUSAL_STANDS_S,
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
