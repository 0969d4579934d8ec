"""Telling people how they can be let in to a bot's direct messages."""

from functools import partial

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.policy.pairing import new_code
from openclaw_channel_octo.runtime.admission.notifier import Notice
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import InboundRow

__all__ = ["PairingNotices"]

CODE_STANDS_S = 3_600.0
"""Seconds for which nobody gets another code; theirs is good for as long (openclaw-host §3.4)."""

REFUSAL_STANDS_S = 900.0
"""Seconds after which somebody who got no code because others waited may have a place."""


class PairingNotices:
    """Hands out codes for one bot.

    Args:
        texts: what people read.
        journal: keeps the codes.
        clock: time and chance.
    """

    def __init__(self, texts: Texts, journal: Journal, clock: Clock) -> None:
        self._texts = texts
        self._journal = journal
        self._clock = clock

    def notice(self, row: InboundRow) -> Notice:
        """Return what the sender of a direct message reads who was not let in yet."""
        return Notice(
            text=partial(self._text, row),
            reason=row.reason,
            burst=(row.channel, row.from_uid, row.reason),
            stands_s=partial(self._stands_s, row),
        )

    async def _stands_s(self, row: InboundRow) -> float:
        asked = await self._journal.pairings.asked(row.account, row.channel.id)
        return CODE_STANDS_S if asked else REFUSAL_STANDS_S

    async def _text(self, row: InboundRow) -> str:
        fresh = new_code(self._clock.new_id())
        code = await self._journal.pairings.code(row.account, row.channel.id, fresh)
        return self._texts.pairing.replace("%s", code) if code else self._texts.refused
